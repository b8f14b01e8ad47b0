"""Fine-tuning, probes and their comparison, on tiny videos."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from pyarrow import parquet
from torch.nn import functional

from rspnet.commands import parse_config
from rspnet.data.manifest import write_manifest
from rspnet.data.transforms import normalise
from rspnet.data.video.encode import write_video
from rspnet.data.video.reader import VideoReader
from rspnet.finetune import FinetuneConfig, FinetuneTrainer, compare, finetune, main
from rspnet.models import Branch
from rspnet.recognition.classifier import Classifier, load_classifier
from rspnet.recognition.evaluation import load_splits
from rspnet.weights.checkpoint import save_model
from tests.factories import tiny_branch

CONFIGS = Path(__file__).resolve().parents[2] / "rspnet" / "configs" / "finetune"
TINY = [
    "--batch_size=4", "--num_workers=0", "--log_every_steps=1", "--device=cpu",
    "--checkpoint_every_minutes=0", "--data.num_clips=2", "--data.name=folder",
]  # fmt: skip


@pytest.fixture(scope="module")
def actions(tmp_path_factory):
    """Two classes, red and blue, that even random features tell apart; 4 train, 2 test each."""
    root = tmp_path_factory.mktemp("actions")
    rng = np.random.default_rng(0)
    for split, num in (("train", 4), ("test", 2)):
        for label, colour in (("blue", (30, 40, 200)), ("red", (200, 40, 30))):
            for i in range(num):
                frames = np.empty((12, 24, 24, 3), np.uint8)
                frames[:] = np.clip(np.array(colour) + rng.integers(-25, 25, 3), 0, 255)
                frames[:, 4 * i : 4 * i + 4] = 128
                write_video(root / split / label / f"{i}.mp4", frames, 25, preset="fast")
    return root


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(5)
    options = {"width": 2, "stem_kernel": [1, 3, 3]}
    branch = Branch("resnet18_fine", options, num_frames=8, size=16)
    return save_model(tmp_path_factory.mktemp("model") / "tiny.safetensors", branch, branch)


def config(out, root, model, *more):
    words = [*TINY, f"--out={out}", f"--data.root={root}", f"--model={model}", *more]
    return parse_config(FinetuneConfig, words)


def test_a_run_learns_the_colour_and_writes_all_it_promises(tmp_path, actions, model):
    more = ("--epochs=15", "--optim.lr=0.1")
    result = finetune(config(tmp_path / "run", actions, model, *more))
    assert result.video_top1 == 1.0
    assert result.classes == ("blue", "red")
    assert result.num_videos == 4
    plain = json.loads((tmp_path / "run" / "result.json").read_text())
    assert plain["protocol"]["kind"] == "fine-tuning"
    assert plain["protocol"]["test_clips"] == 2
    assert plain["protocol"]["clip"]["num_frames"] == 8
    assert plain["protocol"]["train_videos"] == 8
    assert len(plain["protocol"]["model_sha256"]) == 64
    with (tmp_path / "run" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 30  # 15 epochs of 8 videos in batches of 4
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    # The numbers are those of the classifier that was written.
    classifier = load_classifier(tmp_path / "run" / "classifier.safetensors")
    assert classifier.classes == ("blue", "red")
    path = actions / "test" / "red" / "1.mp4"
    with VideoReader(path) as reader:
        frames = [reader.get_frames(range(s, s + 8)) for s in (0, 4)]
    from rspnet.data.transforms import eval_frames

    clips = normalise(np.stack([eval_frames(f, 16) for f in frames]))
    with torch.inference_mode():
        assert classifier(clips).mean(dim=0).argmax() == 1


def test_the_same_seed_gives_the_same_numbers_and_a_stopped_run_goes_on(tmp_path, actions, model):
    more = ("--epochs=3", "--data.augment.flip=0.5")
    finetune(config(tmp_path / "a", actions, model, *more))
    again = config(tmp_path / "b", actions, model, *more, "--checkpoint_every_steps=1")
    trainer = FinetuneTrainer(again, load_splits(again.data)[0])
    for batch in trainer.batches():
        trainer.train_step([batch])
        if trainer.step == 2:
            trainer.save_checkpoint()
        if trainer.step == 3:
            break  # as if killed
    finetune(again)
    a, b = (load_classifier(tmp_path / n / "classifier.safetensors").state_dict() for n in "ab")
    assert all(torch.equal(tensor, b[name]) for name, tensor in a.items())


def test_heads_are_left_alone_and_the_encoder_is_not(tmp_path, actions, model):
    c = config(tmp_path / "run", actions, model, "--epochs=1")
    trainer = FinetuneTrainer(c, load_splits(c.data)[0])
    before = {k: v.clone() for k, v in trainer.network.state_dict().items()}
    trainer.train_step([next(iter(trainer.batches()))])
    changed = {k for k, v in trainer.network.state_dict().items() if not torch.equal(v, before[k])}
    assert "fc.weight" in changed
    assert "branch.encoder.conv1.weight" in changed
    assert not any("projections" in name for name in changed)


def test_the_classifier_is_equation_1():
    branch = tiny_branch(0, width=2)
    model = Classifier(branch, ["a", "b", "c"]).eval()
    clips = torch.randn(2, 3, 8, 32, 32)
    with torch.inference_mode():
        x = branch.features(clips).mean(dim=(2, 3, 4))
        assert torch.allclose(model(clips), functional.linear(x, model.fc.weight, model.fc.bias))


@pytest.mark.parametrize("kind", ["linear", "knn"])
def test_probes_are_deterministic_and_leave_the_network_alone(tmp_path, actions, model, kind):
    more = (f"--{kind}", "--neighbours=3")
    first = finetune(config(tmp_path / "a", actions, model, *more))
    second = finetune(config(tmp_path / "b", actions, model, *more))
    assert first.video_top1 == 1.0
    assert first.confusion == second.confusion == [[2, 0], [0, 2]]
    assert first.protocol["kind"] == ("linear probe" if kind == "linear" else "k-NN")
    assert not (tmp_path / "a" / "classifier.safetensors").exists()


def test_several_models_make_a_table(tmp_path, actions, model, capsys):
    words = [*TINY, f"--out={tmp_path}", f"--data.root={actions}", "--knn", "--neighbours=2"]
    words += ["--arch=resnet18_fine", "--options={width: 2}", "--data.size=16"]
    assert main([*words, f"--model=[random, {model}]", "--data.num_frames=8"]) == 0
    printed = capsys.readouterr().out
    assert "| random |" in printed
    assert f"| {model} |" in printed
    for name in ("random", "tiny"):
        assert json.loads((tmp_path / name / "result.json").read_text())["num_videos"] == 4
    random = json.loads((tmp_path / "random" / "result.json").read_text())
    assert random["protocol"]["model_sha256"] is None
    with pytest.raises(ValueError, match="models are different ones"):
        compare(config(tmp_path, actions, "[random, random]"))


def test_mistakes_end_with_a_sentence(tmp_path, actions, model, capsys):
    base = [*TINY, f"--out={tmp_path}", f"--data.root={actions}", f"--model={model}"]
    assert main([*base, "--linear", "--knn"]) == 2
    assert "give one of them" in capsys.readouterr().err
    assert main([*base, "--arch=c3d"]) == 2
    assert "is a resnet18_fine, arch says 'c3d'" in capsys.readouterr().err
    assert main([*base, "--data.test_split=train"]) == 2
    assert "8 videos are in train and in train" in capsys.readouterr().err


def test_unreadable_test_videos_are_named_and_too_many_refused(tmp_path, actions, model):
    root = tmp_path / "videos"
    for path in actions.rglob("*.mp4"):
        target = root / path.relative_to(actions)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(path)
    (root / "test" / "red" / "bad.mp4").write_text("no video")
    more = ("--knn", "--neighbours=2")
    with pytest.raises(ValueError, match=r"1 of 5 videos can't be read, more than the 5%"):
        finetune(config(tmp_path / "a", root, model, *more))
    result = finetune(config(tmp_path / "b", root, model, *more, "--data.max_unreadable=0.3"))
    ((path, reason),) = result.unreadable
    assert path.endswith("bad.mp4")
    assert reason
    assert result.num_videos == 4


def test_what_the_manifest_found_bad_is_not_opened_again(tmp_path, actions, model):
    """One training and one test video are named bad with a reason no decoder would give."""
    root = tmp_path / "videos"
    shutil.copytree(actions, root)
    marked = [sorted((root / split).rglob("*.mp4"))[0] for split in ("train", "test")]
    table = parquet.read_table(str(write_manifest(root, progress=False).path))
    paths = [str(path.relative_to(root)) for path in marked]
    reasons = ["seen to be bad" if path in paths else "" for path in table["path"].to_pylist()]
    place = table.schema.get_field_index("reason")
    changed = table.set_column(place, table.schema.field("reason"), [reasons])
    parquet.write_table(changed, str(root / "manifest.parquet"))
    more = ("--data.max_unreadable=0.3",)
    probe = finetune(config(tmp_path / "a", root, model, "--knn", "--neighbours=2", *more))
    assert probe.unreadable == ((str(marked[1]), "seen to be bad"),)
    assert probe.protocol["train_unreadable"] == 1
    trained = finetune(config(tmp_path / "b", root, model, "--epochs=1", *more))
    assert trained.unreadable == ((str(marked[1]), "seen to be bad"),)
    listed = (tmp_path / "b" / "unreadable.csv").read_text()
    assert f"{marked[0]},seen to be bad" in listed


# Every row of the release's table: batch, learning rate, epochs, frames, size, clips, milestones.
RECIPES = {
    "ucf101_c3d": (20, 0.005, 30, 16, 112, 10, ()),
    "ucf101_resnet18": (32, 0.1, 30, 16, 112, 10, ()),
    "ucf101_r2plus1d": (32, 0.1, 30, 16, 112, 10, ()),
    "ucf101_s3dg": (4, 0.005, 50, 64, 224, 10, ()),
    "hmdb51_c3d": (6, 0.005, 100, 16, 112, 10, (50, 70, 90)),
    "hmdb51_resnet18": (64, 0.01, 30, 16, 112, 3, (50, 70, 90)),
    "hmdb51_r2plus1d": (16, 0.1, 30, 16, 112, 10, ()),
    "hmdb51_s3dg": (4, 0.005, 50, 64, 224, 10, ()),
    "ssv2_c3d": (16, 0.01, 50, 16, 112, 2, (20, 40)),
    "ssv2_resnet18": (32, 0.01, 50, 16, 112, 2, (20, 40)),
    "ssv2_s3dg": (16, 0.01, 50, 16, 224, 2, (20, 40)),
}


def test_recipes_hold_the_settings_of_the_release():
    assert {p.stem for p in CONFIGS.glob("*.yaml")} == set(RECIPES)
    for name, expected in RECIPES.items():
        c = parse_config(FinetuneConfig, ["--config", str(CONFIGS / f"{name}.yaml")])
        found = (c.batch_size, c.optim.lr, c.epochs, c.data.num_frames, c.data.size)
        assert (*found, c.data.num_clips, c.optim.milestones) == expected
        assert (c.optim.name, c.optim.momentum, c.optim.weight_decay) == ("sgd", 0.9, 1e-4)
        assert c.optim.schedule == ("step" if c.optim.milestones else "cosine")
        assert (c.data.name, c.data.augment.min_area) == (name.split("_")[0], 0.25)
        assert c.data.fps == (25 if name in ("ucf101_resnet18", "ucf101_s3dg") else None)
        ssv2 = name.startswith("ssv2")
        assert (c.data.augment.flip, c.data.sampling) == ((0, "cover") if ssv2 else (0.5, "clip"))
        assert c.data.augment.hue == c.data.augment.gray == 0
        first = (CONFIGS / f"{name}.yaml").read_text().splitlines()[0]
        assert first.startswith(
            f"# python -m rspnet.finetune --config rspnet/configs/finetune/{name}"
        )


def test_one_setting_of_the_views_leaves_the_others_as_they_are():
    c = parse_config(FinetuneConfig, ["--data.augment.flip=0"])
    assert (c.data.augment.flip, c.data.augment.hue, c.data.augment.min_area) == (0, 0, 0.25)


def test_one_class_is_no_measure(actions, tmp_path, capsys):
    (tmp_path / "one.txt").write_text("red\n")
    words = [f"--data.root={actions}", f"--data.classes={tmp_path / 'one.txt'}", "--knn"]
    assert main([*words, f"--out={tmp_path / 'out'}"]) == 2
    assert "has the single class 'red': whatever the model, 100%" in capsys.readouterr().err
