"""Faults injected into runs: what is said, what is saved, and that nothing is left or lost."""

import os
import signal
import subprocess
import sys
import time
from multiprocessing import active_children
from pathlib import Path

import pytest
import torch

from rspnet import train
from rspnet.data.pretrain import PretrainDataset
from rspnet.training.run_folder import load_checkpoint
from rspnet.weights.checkpoint import save_model
from tests.factories import tiny_branch

ROOT = Path(__file__).resolve().parents[3]
TINY = [
    "--batch_size=2", "--log_every_steps=1", "--device=cpu", "--checkpoint_every_minutes=0",
    "--data.size=16", "--data.num_frames=8", "--loss.queue_length=7",
    "--model.options={width: 2, stem_kernel: [1, 3, 3]}",
]  # fmt: skip


def words(out: Path, videos: Path, *more: str) -> list[str]:
    return [*TINY, f"--out={out}", f"--data.root={videos}", "--num_workers=2", *more]


def network(out: Path, step: int) -> dict[str, torch.Tensor]:
    state = load_checkpoint(out / "checkpoints" / f"step_{step:08d}.pt")["network"]
    assert isinstance(state, dict)
    return state


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def one_error(capsys: pytest.CaptureFixture[str]) -> str:
    said = capsys.readouterr().err
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, said
    assert "Traceback" not in said
    return errors[0]


def kill_worker(_self: object = None) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def break_down(_self: object = None) -> None:
    raise KeyError("no such codec")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, video_folder: Path) -> Path:
    """A run of six steps that nothing happened to."""
    out = tmp_path_factory.mktemp("whole")
    assert train.main([*words(out, video_folder, "--max_steps=6"), "--num_workers=0"]) == 0
    return out


FAULTS = {
    "killed": (kill_worker, "a loader process was killed (SIGKILL), as the system does"),
    "exception": (break_down, "a loader process failed with KeyError: 'no such codec'"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_loader_process_that_fails_costs_no_step(
    fault, whole, tmp_path, video_folder, monkeypatch, capsys
):
    out, (break_it, sentence), load = tmp_path / "run", FAULTS[fault], PretrainDataset.load

    def broken(self, video, key):
        if key.position == 7:  # in the batch of step 4
            break_it()
        return load(self, video, key)

    with monkeypatch.context() as patch:
        patch.setattr(PretrainDataset, "load", broken)
        assert train.main(words(out, video_folder, "--max_steps=6")) == 1
    assert active_children() == []
    error = one_error(capsys)
    assert error.startswith(f"error: {sentence}")
    (checkpoint,) = (out / "checkpoints").iterdir()
    assert str(checkpoint) in error
    # A killed worker may have taken with it what it had ready for the steps before.
    step = load_checkpoint(checkpoint)["step"]
    assert step == 3 if fault == "exception" else 0 <= step <= 3
    assert train.main(words(out, video_folder, "--max_steps=6")) == 0
    assert same(network(out, 6), network(whole, 6))


_BROKEN = """
import sys
from importlib import import_module
from rspnet.data.video.reader import VideoReader
def broken(*_):
    raise KeyError("no such codec")
command, *words = sys.argv[1:]
VideoReader.get_frames = broken
sys.exit(import_module("rspnet." + command).main(words))
"""


@pytest.mark.parametrize("command", ["train", "extract"])
def test_a_command_ends_after_an_unexpected_exception(command, tmp_path, video_folder):
    model = save_model(tmp_path / "m.safetensors", *2 * [tiny_branch(0, size=16)])
    arguments = [f"--out={tmp_path / 'out'}", f"--data.root={video_folder}", "--num_workers=2"]
    arguments += TINY if command == "train" else [f"--model={model}", "--num_clips=1"]
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", _BROKEN, command, *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "a loader process failed with KeyError: 'no such codec'" in done.stderr
    assert "Traceback" not in done.stderr
    assert time.monotonic() - begun < 50
