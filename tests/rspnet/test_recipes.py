"""The papers' settings of pre-training: RSPNet's value by value, those of other methods run."""

from dataclasses import replace
from pathlib import Path

import pytest

from rspnet.commands import parse_config
from rspnet.models import list_encoders
from rspnet.train import Trainer
from rspnet.training.config import TrainConfig
from rspnet.training.optim import lr_factor

CONFIGS = Path(__file__).resolve().parents[2] / "rspnet" / "configs" / "pretrain"
LR = {"c3d": 0.1, "resnet18": 0.1, "s3dg": 0.05, "r2plus1d": 0.05}

# What the videos here, of 40 frames, need of the options of a method.
SMALL = {
    "opn": ["--method_options={window: 40, candidates: 8}"],
    "vcp": ["--method_options={interval: 1, remote: 2}"],
}


def read(path: Path, *more: str) -> TrainConfig:
    return parse_config(TrainConfig, ["--config", str(path), *more])


OTHERS = [path for path in sorted(CONFIGS.glob("*.yaml")) if read(path).method != "rspnet"]


def test_there_is_a_recipe_for_every_network_of_the_paper():
    names = {f"{arch}_k400" for arch in LR} | {"resnet18_k400_release"}
    assert {p.stem for p in CONFIGS.glob("*.yaml") if p not in OTHERS} == names


def test_the_release_differs_in_its_loss_alone():
    paper, release = (
        parse_config(TrainConfig, ["--config", str(CONFIGS / f"resnet18_k400{name}.yaml")])
        for name in ("", "_release")
    )
    assert (release.loss.rsp_form, release.loss.margin) == ("hinge_logits", 2.0)
    assert release.loss.rsp_temperature == 0.07
    loss = replace(release.loss, rsp_form="hinge", rsp_margin=0.15)
    assert replace(release, loss=loss, out=paper.out) == paper


@pytest.mark.parametrize("arch", LR)
def test_recipes_hold_the_settings_of_the_paper(arch):
    path = CONFIGS / f"{arch}_k400.yaml"
    c = parse_config(TrainConfig, ["--config", str(path)])
    assert c.model.arch == arch
    assert arch in list_encoders()
    assert (c.epochs, c.batch_size) == (200, 64)
    assert (c.data.num_frames, c.data.size) == (16, 224 if arch == "s3dg" else 112)
    assert (tuple(c.data.speeds), c.data.fps, c.data.stride) == ((1, 2), None, 1)
    assert (c.data.shared_crops, c.data.shared_colours) == (0, 0)
    a = c.data.augment
    assert (a.min_area, a.max_area, a.max_ratio, a.gray, a.flip) == (0.4, 1.0, 4 / 3, 0.2, 0.5)
    assert a.brightness == a.contrast == a.saturation == a.hue == 0.4
    assert (c.model.head, c.model.centre_heads) == ("linear", False)
    loss = c.loss
    assert (loss.rsp_form, loss.margin, loss.rsp_weight) == ("hinge", 0.15, 1)
    assert (loss.avid_weight, loss.avid_start, loss.avid_warmup) == (1, 0, 0)
    assert (loss.avid_temperature, loss.queue_length, loss.momentum) == (0.07, 16384, 0.999)
    o = c.optim
    assert (o.name, o.momentum, o.weight_decay, o.clip_norm) == ("sgd", 0.9, 1e-4, 0)
    assert o.base_lr(64) == LR[arch]
    assert o.base_lr(256) == pytest.approx(4 * LR[arch])
    # 10 steps an epoch: the cosine moves with the epoch, from lr to nearly lr / 1000.
    factors = [lr_factor(step, 2000, o, 10) for step in (0, 9, 1000, 1009, 1999)]
    assert factors == pytest.approx([1, 1, 0.5005, 0.5005, 0.00106162], rel=1e-4)
    assert path.read_text().startswith("# torchrun --nproc-per-node ")
    assert f"--config rspnet/configs/pretrain/{path.name} " in path.read_text().splitlines()[0]


def test_a_recipe_runs(tmp_path, video_folder):
    words = [
        "--config", str(CONFIGS / "resnet18_k400.yaml"), f"--out={tmp_path}",
        f"--data.root={video_folder}", "--data.size=32", "--data.num_frames=8",
        "--batch_size=2", "--num_workers=0", "--device=cpu", "--epochs=0.5",
        "--loss.queue_length=8", "--checkpoint_every_minutes=0",
    ]  # fmt: skip
    trainer = Trainer(parse_config(TrainConfig, words))
    assert trainer.max_steps == 1
    scalars = trainer.train_step([next(iter(trainer.batches()))])
    assert scalars["lr"] == pytest.approx(0.1 * 2 / 64)
    assert float(scalars["rsp_loss"]) > 0


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: path.stem)
def test_a_recipe_of_another_method_says_how_it_is_run_and_runs(path, tmp_path, video_folder):
    first, second = path.read_text().splitlines()[:2]
    assert first.startswith(("# python -m rspnet.train ", "# torchrun --nproc-per-node "))
    assert f" --config rspnet/configs/pretrain/{path.name} --data.root " in first
    assert second.startswith("# ")
    recipe = read(path)
    assert recipe.out == f"runs/{path.stem}"
    assert path.stem.startswith(recipe.method)
    trainer = Trainer(
        read(
            path, f"--out={tmp_path}", f"--data.root={video_folder}", "--data.size=32",
            f"--data.num_frames={min(recipe.data.num_frames, 8)}", *SMALL.get(recipe.method, ()),
            "--batch_size=2", "--num_workers=0", "--device=cpu", "--epochs=0.5", "--accumulate=1",
            "--checkpoint_every_minutes=0",
        )
    )  # fmt: skip
    scalars = trainer.train_step([next(iter(trainer.batches()))])
    assert trainer.max_steps == 1
    assert float(scalars["loss"]) > 0
