"""Pre-training from the command line, on tiny videos."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

from rspnet.commands import parse_config
from rspnet.train import Trainer, main, train
from rspnet.training import engine
from rspnet.training.config import TrainConfig
from rspnet.training.optim import OptimConfig, lr_factor
from rspnet.training.run_folder import Checkpoints, load_checkpoint
from rspnet.training.stopping import EXIT_STOPPED
from rspnet.weights.checkpoint import load_model
from tests.factories import assert_resumes_exactly

ROOT = Path(__file__).resolve().parents[2]
TINY = [
    "--batch_size=3", "--num_workers=0", "--log_every_steps=1", "--device=cpu",
    "--checkpoint_every_minutes=0", "--data.size=16", "--data.num_frames=8",
    "--model.options={width: 2, stem_kernel: [1, 3, 3]}", "--loss.queue_length=7",
]  # fmt: skip


def words(out: Path, videos: Path, *more: str) -> list[str]:
    return [*TINY, f"--out={out}", f"--data.root={videos}", *more]


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def weights(path: Path) -> dict[str, torch.Tensor]:
    return {
        f"{branch}.{name}": tensor
        for branch in ("query", "key")
        for name, tensor in load_model(path, branch).state_dict().items()
    }


def test_a_run_leaves_what_it_promises(tmp_path, video_folder):
    out = tmp_path / "run"
    assert main(words(out, video_folder, "--max_steps=3")) == 0
    assert [row["step"] for row in rows(out)] == ["1", "2", "3"]
    assert float(rows(out)[0]["rsp_loss"]) > 0
    assert 0 <= float(rows(out)[-1]["rsp_accuracy"]) <= 1
    config = yaml.safe_load((out / "config.yaml").read_text())
    assert config["data"]["num_frames"] == 8
    assert list((out / "tensorboard").iterdir())
    assert load_checkpoint(out / "checkpoints" / "step_00000003.pt")["step"] == 3
    model = load_model(out / "model.safetensors")
    assert model.metadata["steps"] == 3
    assert model.metadata["config"]["batch_size"] == 3
    assert (model.num_frames, model.size) == (8, 16)
    # The saved configuration is one that can be run again.
    assert parse_config(TrainConfig, ["--config", str(out / "config.yaml")]).out == str(out)


def test_training_moves_both_branches_and_the_same_seed_gives_the_same_weights(
    tmp_path, video_folder
):
    configs = [
        parse_config(TrainConfig, words(tmp_path / n, video_folder, "--max_steps=2", f"--seed={s}"))
        for n, s in (("a", 0), ("b", 0), ("c", 1))
    ]
    start = Trainer(configs[0]).network.query.state_dict()["encoder.conv1.weight"].clone()
    a, b, c = (weights(train(config)) for config in configs)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert any(not torch.equal(a[name], c[name]) for name in a)
    assert not torch.equal(a["query.encoder.conv1.weight"], start)
    assert not torch.equal(a["key.encoder.conv1.weight"], start)
    assert not torch.equal(a["key.encoder.conv1.weight"], a["query.encoder.conv1.weight"])


def test_a_resumed_run_ends_with_the_weights_of_one_never_stopped(tmp_path, video_folder):
    whole = train(parse_config(TrainConfig, words(tmp_path / "w", video_folder, "--max_steps=5")))
    arguments = words(tmp_path / "r", video_folder, "--max_steps=5", "--checkpoint_every_steps=2")
    trainer = Trainer(parse_config(TrainConfig, arguments))
    for batch in trainer.batches():
        trainer.train_step([batch])
        if trainer.step == 2:
            trainer.save_checkpoint()
        if trainer.step == 3:
            break  # as if killed: step 3 is lost
    resumed = train(parse_config(TrainConfig, arguments))
    found = weights(resumed)
    for name, tensor in weights(whole).items():
        assert torch.equal(tensor, found[name]), name
    assert [row["step"] for row in rows(tmp_path / "r")] == ["3", "4", "5"]


def test_sigterm_saves_and_the_same_command_goes_on(tmp_path, video_folder):
    out = tmp_path / "run"
    command = [sys.executable, "-m", "rspnet.train", *words(out, video_folder, "--max_steps=400")]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (
        (out / "metrics.csv").is_file() and len(rows(out)) > 2
    ):
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == EXIT_STOPPED, errors.decode()
    assert "the same command resumes" in errors.decode()
    (checkpoint,) = (out / "checkpoints").glob("*.pt")
    step = load_checkpoint(checkpoint)["step"]
    assert 2 < step < 400
    assert main(words(out, video_folder, f"--max_steps={step + 2}")) == 0
    assert [int(row["step"]) for row in rows(out)] == list(range(1, step + 3))


def test_a_damaged_checkpoint_is_passed_over(tmp_path):
    checkpoints = Checkpoints(tmp_path / "c", keep=2)
    for step in (1, 2, 3):
        checkpoints.save(step, {"step": step})
    assert [p.name for p in checkpoints.paths()] == ["step_00000003.pt", "step_00000002.pt"]
    checkpoints.paths()[0].write_bytes(b"PK half a file")
    found = checkpoints.load_newest()
    assert found is not None
    assert found[1]["step"] == 2
    with pytest.raises(ValueError, match="not a readable training checkpoint"):
        load_checkpoint(checkpoints.paths()[0])


def test_init_from_starts_with_the_weights_of_a_model(tmp_path, video_folder):
    first = train(parse_config(TrainConfig, words(tmp_path / "a", video_folder, "--max_steps=1")))
    arguments = words(tmp_path / "b", video_folder, f"--init_from={first}")
    network = Trainer(parse_config(TrainConfig, arguments)).network
    expected = weights(first)
    for name, tensor in network.key.state_dict().items():
        assert torch.equal(tensor, expected[f"key.{name}"])
    arguments = [*arguments, "--model.options={width: 4}", f"--out={tmp_path / 'c'}"]
    with pytest.raises(ValueError, match=r"init_from: .* encoder_options .*'width': 2"):
        Trainer(parse_config(TrainConfig, arguments))


def test_heads_that_a_model_did_not_train_can_be_centred(tmp_path, video_folder):
    first = train(parse_config(TrainConfig, words(tmp_path / "a", video_folder, "--max_steps=1")))
    arguments = words(tmp_path / "b", video_folder, f"--init_from={first}", "--recentre=[avid]")
    trainer = Trainer(parse_config(TrainConfig, arguments))
    asked = []
    trainer.network.centre_heads = lambda clips, average, names: asked.append(list(names))
    trainer.train_step([next(iter(trainer.batches()))])
    assert asked == [["avid"]]
    with pytest.raises(ValueError, match="without one: new heads are centred"):
        parse_config(TrainConfig, words(tmp_path / "c", video_folder, "--recentre=[avid]"))


def test_mistakes_end_with_a_sentence(tmp_path, video_folder, capsys):
    assert main(["--batchsize", "3"]) == 2
    assert "Did you mean 'batch_size'" in capsys.readouterr().err
    assert main(words(tmp_path / "x", tmp_path / "nothing")) == 2
    assert "expected a folder" in capsys.readouterr().err
    long_clips = words(tmp_path / "y", video_folder, "--data.num_frames=30")
    assert main(long_clips) == 2
    error = capsys.readouterr().err
    assert "none of 4 videos is long enough" in error
    assert "needs 59" in error
    out = tmp_path / "run"
    assert main(words(out, video_folder, "--max_steps=1")) == 0
    assert main(words(out, video_folder, "--resume=never")) == 2
    assert "holds a run already" in capsys.readouterr().err
    assert main(words(out, video_folder, "--seed=9")) == 2
    assert "(then -> now): seed 0 -> 9. Give the same" in capsys.readouterr().err


def test_unreadable_videos_are_listed_and_too_many_stop_the_run(tmp_path, video_folder, capsys):
    videos = tmp_path / "videos"
    videos.mkdir()
    for path in video_folder.rglob("*.mp4"):
        (videos / path.name).symlink_to(path)
    (videos / "broken.mp4").write_text("no video")
    out = tmp_path / "run"
    assert main(words(out, videos, "--max_steps=1")) == 2
    assert "1 of 5 videos can't be read, more than the 5%" in capsys.readouterr().err
    assert main(words(out, videos, "--max_steps=1", "--data.max_unreadable=0.5")) == 0
    (skipped,) = csv.DictReader((out / "unreadable.csv").open())
    assert skipped["path"].endswith("broken.mp4")
    assert skipped["reason"]


def test_learning_rate_by_hand():
    config = OptimConfig(warmup_steps=4, final_lr=0.1)
    factors = [lr_factor(step, 14, config) for step in (0, 1, 3, 4, 9, 14)]
    assert factors == pytest.approx([0.25, 0.5, 1.0, 1.0, 0.55, 0.1])


def test_weights_that_are_not_finite_are_not_saved(tmp_path, video_folder):
    trainer = Trainer(parse_config(TrainConfig, words(tmp_path / "run", video_folder)))
    good = trainer.save_checkpoint()
    trainer.step = 1
    next(trainer.network.query.parameters()).data[0] = float("nan")
    with pytest.raises(ValueError, match="weights are not finite after step 1: lower optim.lr"):
        trainer.save_checkpoint()
    assert trainer.checkpoints.paths() == [good]


def test_half_precision_trains_and_keeps_its_scale(tmp_path, video_folder, monkeypatch):
    monkeypatch.setattr(engine, "check_precision", lambda *_: None)  # slow, but the same code
    words_ = words(tmp_path / "run", video_folder, "--max_steps=2", "--precision=fp16")
    model = load_model(train(parse_config(TrainConfig, words_)))
    assert all(tensor.isfinite().all() for tensor in model.state_dict().values())
    state = load_checkpoint(tmp_path / "run" / "checkpoints" / "step_00000002.pt")
    assert state["scaler"]["scale"] > 0
    assert all(tensor.dtype != torch.float16 for tensor in state["network"].values())


@pytest.mark.parametrize(
    ("precision", "why"),
    [("bf16", "give wrong gradients, some of them NaN"), ("fp16", "take about eight times as")],
)
def test_half_precision_is_refused_on_a_cpu(precision, why, tmp_path, video_folder, capsys):
    assert main(words(tmp_path / "run", video_folder, f"--precision={precision}")) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: precision is '{precision}'")
    assert why in said
    assert not (tmp_path / "run").exists()


def test_a_callback_that_does_not_exist_is_named(tmp_path, video_folder, capsys):
    assert main(words(tmp_path / "a", video_folder, "--callback=analysis.trak:X")) == 2
    assert "callback is named module:Class, got 'analysis.trak:X'" in capsys.readouterr().err


def test_views_made_on_the_device_train_alike_and_resume_exactly(tmp_path, video_folder):
    plain = ["--max_steps=1", "--data.shared_crops=0"]
    train(parse_config(TrainConfig, words(tmp_path / "cpu", video_folder, *plain)))
    common = words(tmp_path, video_folder, *plain[1:], "--data.augment_on=device")
    assert_resumes_exactly([w for w in common if not w.startswith("--out")], tmp_path)
    on_cpu, on_device = rows(tmp_path / "cpu")[0], rows(tmp_path / "whole")[0]
    assert float(on_device["loss"]) == pytest.approx(float(on_cpu["loss"]), rel=1e-3)


def test_a_method_with_views_of_its_own_makes_them_on_the_cpu(tmp_path, video_folder):
    more = ["--max_steps=1", "--data.augment_on=device", "--method=pace"]
    with pytest.raises(ValueError, match=r"method 'pace' makes its views on the CPU"):
        Trainer(parse_config(TrainConfig, words(tmp_path, video_folder, *more)))
