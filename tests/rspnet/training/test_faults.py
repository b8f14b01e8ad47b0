"""Faults injected into runs: what is said, what is saved, and that nothing is left or lost."""

import errno
import itertools
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from multiprocessing import active_children
from pathlib import Path

import pytest
import torch

from rspnet import finetune, train
from rspnet.data.pretrain import PretrainDataset
from rspnet.files import folder_lock
from rspnet.training import loading, run_folder
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
from rspnet.data.video.reader import VideoReader
from rspnet.extract import main
def broken(*_):
    raise KeyError("no such codec")
VideoReader.get_frames = broken
sys.exit(main(sys.argv[1:]))
"""


def test_a_process_ends_after_an_unexpected_exception(tmp_path, video_folder):
    model = save_model(tmp_path / "m.safetensors", *2 * [tiny_branch(0, size=16)])
    arguments = [f"--out={tmp_path / 'out'}", f"--data.root={video_folder}", "--num_workers=2"]
    arguments += [f"--model={model}", "--num_clips=1"]
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", _BROKEN, *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert "a loader process failed with KeyError: 'no such codec'" in done.stderr
    assert "Traceback" not in done.stderr
    assert time.monotonic() - begun < 100


def test_what_a_loader_process_says_of_a_mistake_is_said_as_it_is(video_folder):
    paths = sorted(video_folder.rglob("*.mp4"))

    def load(path):
        if path == paths[2]:
            raise OSError(errno.EIO, "Input/output error", str(path))
        return path.name

    with closing(loading.load_each(paths, {paths[0]: "bad"}, load, 2)) as items:
        assert [next(items), next(items)] == ["bad", paths[1].name]
        with pytest.raises(ValueError, match=f"^Input/output error: {paths[2]}$"):
            next(items)
    assert active_children() == []


def test_loading_that_is_given_up_leaves_no_process(video_folder):
    for _ in range(3):
        items = loading.load_each(sorted(video_folder.rglob("*.mp4")), {}, str, 2)
        next(items)
        assert len(active_children()) == 2
        items.close()
        assert active_children() == []


def test_one_writer(tmp_path, video_folder, capsys):
    out = tmp_path / "run"
    splits = tmp_path / "splits"
    for split in ("train", "test"):
        shutil.copytree(video_folder, splits / split)
    with folder_lock(out):
        for command, arguments in (
            (train, words(out, video_folder)),
            (finetune, [f"--out={out}", "--data.name=folder", f"--data.root={splits}"]),
        ):
            assert command.main(arguments) == 2
            error = one_error(capsys)
            assert f"{out} is being written by process {os.getpid()} on" in error
        assert [path.name for path in out.iterdir()] == [".lock"]


def test_a_full_disk_leaves_the_checkpoints_of_before(tmp_path, video_folder):
    """Files may have no more bytes than one checkpoint has not: so it is where disks are full."""
    out = tmp_path / "run"
    assert train.main([*words(out, video_folder, "--max_steps=1"), "--num_workers=0"]) == 0
    (first,) = (out / "checkpoints").iterdir()
    before = first.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
    try:
        assert train.main([*words(out, video_folder, "--max_steps=2"), "--num_workers=0"]) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in (out / "checkpoints").iterdir()] == [first.name]
    assert first.read_bytes() == before
    assert train.main([*words(out, video_folder, "--max_steps=2"), "--num_workers=0"]) == 0


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_a_folder_that_takes_no_more_files(code, tmp_path, video_folder, monkeypatch, capsys):
    out, make = tmp_path / "run", tempfile.mkstemp

    def refuse(*args, **options):
        if (
            options["dir"].name == "checkpoints"
            and (out / "metrics.csv").read_text().count("\n") > 3
        ):
            raise OSError(code, os.strerror(code), str(options["dir"]))
        return make(*args, **options)

    arguments = [*words(out, video_folder, "--max_steps=6"), "--num_workers=0"]
    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    assert train.main([*arguments, "--checkpoint_every_steps=2"]) == 2
    assert f"{out / 'checkpoints'}" in one_error(capsys)
    assert [path.name for path in (out / "checkpoints").iterdir()] == ["step_00000002.pt"]


def test_weights_that_are_not_finite_are_not_kept_and_what_is_left_is_named(
    tmp_path, video_folder, monkeypatch, capsys
):
    out, step = tmp_path / "run", train.Trainer.train_step
    arguments = [*words(out, video_folder, "--max_steps=6"), "--num_workers=0"]

    def diverge(self, batches):
        found = step(self, batches)
        return found | {"loss": float("nan")} if self.step == 3 else found

    monkeypatch.setattr(train.Trainer, "train_step", diverge)
    assert train.main(arguments) == 2
    assert "the loss is nan at step 3: lower optim.lr" in (error := one_error(capsys))
    assert error.endswith("; no checkpoint was written yet")
    assert train.main([*arguments, "--checkpoint_every_steps=2"]) == 2
    kept = out / "checkpoints" / "step_00000002.pt"
    assert one_error(capsys).endswith(f"; the newest checkpoint is {kept}")


def test_a_clock_that_jumps_stops_no_checkpoint(tmp_path, video_folder, monkeypatch):
    """The clock of the host is set back by a day at every step; time goes on by a minute."""
    passed = itertools.count(step=60)
    monkeypatch.setattr(time, "monotonic", lambda: float(next(passed)))
    days = itertools.count(20_000, -1)
    monkeypatch.setattr(time, "time", lambda: 86400.0 * next(days))
    due = run_folder.Due(0, 2.5)
    assert [due(step) for step in range(1, 10)].count(True) >= 3


def test_a_checkpoint_damaged_at_any_byte_is_passed_over(whole, tmp_path, video_folder, capsys):
    out = tmp_path / "run"
    arguments = [*words(out, video_folder, "--max_steps=6"), "--num_workers=0"]
    assert train.main([*arguments, "--max_steps=4", "--checkpoint_every_steps=2"]) == 0
    older, newest = sorted((out / "checkpoints").iterdir())
    sound, rng = newest.read_bytes(), random.Random(0)
    for place in [0, len(sound) - 1, *(rng.randrange(len(sound)) for _ in range(18))]:
        newest.write_bytes(sound[:place] + bytes([sound[place] ^ 4]) + sound[place + 1 :])
        found = run_folder.Checkpoints(out / "checkpoints", 3).load_newest()
        assert found is not None
        assert found[0] == older
    newest.write_bytes(sound[:-7])
    assert train.main(arguments) == 0
    assert "Passed over" in capsys.readouterr().out
    assert same(network(out, 6), network(whole, 6))


def test_where_all_checkpoints_are_damaged_nothing_is_begun_anew(tmp_path, video_folder, capsys):
    out = tmp_path / "run"
    arguments = [*words(out, video_folder, "--max_steps=2"), "--num_workers=0"]
    assert train.main(arguments) == 0
    (checkpoint,) = (out / "checkpoints").iterdir()
    checkpoint.write_bytes(b"PK")
    rows = (out / "metrics.csv").read_bytes()
    assert train.main(arguments) == 2
    assert f"no checkpoint in {out / 'checkpoints'} can be read" in one_error(capsys)
    checkpoint.unlink()
    assert train.main(arguments) == 2
    assert "is the result of a run that has no checkpoint any more" in one_error(capsys)
    assert (out / "metrics.csv").read_bytes() == rows


def test_a_run_that_went_back_does_not_return_to_where_it_came_from(tmp_path):
    """A damaged later checkpoint must not crowd out those that are made after it, either."""
    checkpoints = run_folder.Checkpoints(tmp_path, keep=1)
    checkpoints.save(30, {"step": 30})
    checkpoints.save(5, {"step": 5})
    assert [path.name for path in checkpoints.paths()] == ["step_00000005.pt"]
    assert (tmp_path / "step_00000030.old").is_file()
