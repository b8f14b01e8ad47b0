"""Runs that are killed and go on, and runs of two processes, as they are started from a shell."""

import csv
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from rspnet import train
from rspnet.training.run_folder import Checkpoints, load_checkpoint
from rspnet.training.stopping import EXIT_STOPPED
from rspnet.weights.checkpoint import load_model

ROOT = Path(__file__).resolve().parents[2]
NUM_KILLS = int(os.environ.get("RSPNET_KILLS", "1"))  # raise it to look harder
TINY = [
    "--batch_size=4", "--num_workers=0", "--log_every_steps=1", "--device=cpu",
    "--checkpoint_every_minutes=0", "--checkpoint_every_steps=1", "--data.size=16",
    "--data.num_frames=8", "--model.options={width: 2, stem_kernel: [1, 3, 3]}",
    "--loss.queue_length=7", "--optim.warmup_steps=2",
]  # fmt: skip
NUM_STEPS = 20


def arguments(out: Path, videos: Path, *more: str) -> list[str]:
    return [*TINY, f"--out={out}", f"--data.root={videos}", *more]


def start(
    out: Path, videos: Path, num_processes: int, *more: str, restarts: int = 0
) -> subprocess.Popen[bytes]:
    words = ["-m", "rspnet.train", *arguments(out, videos, *more)]
    if num_processes > 1:
        launcher = ["torch.distributed.run", "--standalone", f"--nproc-per-node={num_processes}"]
        words = ["-m", *launcher, f"--max-restarts={restarts}", *words]
    return subprocess.Popen(
        [sys.executable, *words],
        cwd=ROOT,
        # Unbuffered: what it said is read after it was killed.
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def complete(process: subprocess.Popen[bytes]) -> str:
    output, _ = process.communicate(timeout=240)
    text = output.decode(errors="replace")
    assert process.returncode == 0, text
    return text


def newest(out: Path) -> int:
    names = [p.stem for p in Checkpoints(out / "checkpoints", 3).paths()]
    return int(names[0].removeprefix("step_")) if names else 0


def wait_for(out: Path, step: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while newest(out) < step and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)


def kill_all(process: subprocess.Popen[bytes]) -> str:
    """Kill a run and all that it started; gives what they said."""
    # torchrun gives its workers sessions of their own.
    pids = {process.pid, *descendants(process.pid)}
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    return process.communicate()[0].decode(errors="replace")


def kill_rank(process: subprocess.Popen[bytes], rank: int) -> None:
    """Kill one process of a run of two, and wait until it is gone."""
    (worker, *_) = (pid for pid in descendants(process.pid) if is_rank(pid, rank))
    os.kill(worker, signal.SIGKILL)
    while Path(f"/proc/{worker}").exists():
        time.sleep(0.05)


def is_rank(pid: int, rank: int) -> bool:
    given = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return f"LOCAL_RANK={rank}".encode() in given


def descendants(pid: int) -> list[int]:
    children = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        children += [int(child) for child in task.read_text().split()]
    return children + [below for child in children for below in descendants(child)]


def state(out: Path) -> dict[str, torch.Tensor]:
    network = load_checkpoint(out / "checkpoints" / f"step_{NUM_STEPS:08d}.pt")["network"]
    assert isinstance(network, dict)
    return network


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


needs_proc = pytest.mark.skipif(
    not Path("/proc/self/task").is_dir(), reason="finds the processes to kill in /proc (Linux)"
)


@pytest.fixture(scope="module")
def never_stopped(tmp_path_factory, video_folder) -> dict[int, Path]:
    """A run of one and a run of two processes from beginning to end."""
    folder = tmp_path_factory.mktemp("whole")
    steps = f"--max_steps={NUM_STEPS}"
    two = start(folder / "2", video_folder, 2, steps)
    assert train.main(arguments(folder / "1", video_folder, steps)) == 0
    complete(two)
    return {1: folder / "1", 2: folder / "2"}


def assert_same(out: Path, whole: Path) -> None:
    """A run ended with the bits of one that was never stopped."""
    expected, found = state(whole), state(out)
    assert all(torch.equal(tensor, found[name]) for name, tensor in expected.items())
    for branch in ("query", "key"):
        models = [load_model(folder / "model.safetensors", branch) for folder in (out, whole)]
        first, second = (model.state_dict() for model in models)
        assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    assert [int(row["step"]) for row in rows(out)] == list(range(1, NUM_STEPS + 1))


def moments() -> Iterator[int]:
    """Steps after which the runs are killed, spread over the run."""
    for kill in range(NUM_KILLS):
        yield 1 + (2 * kill + 1) * (NUM_STEPS - 6) // (2 * NUM_KILLS)


@needs_proc
def test_a_killed_run_ends_with_the_bits_of_one_never_stopped(
    tmp_path, video_folder, never_stopped, capsys
):
    out, rng = tmp_path / "run", random.Random(1)
    # It has a loader process beside it, unlike the one that is never stopped.
    words = [f"--max_steps={NUM_STEPS}", "--num_workers=1"]
    for step in moments():
        process = start(out, video_folder, 1, *words)
        wait_for(out, step, process)
        time.sleep(rng.uniform(0, 0.15))
        kill_all(process)
    assert newest(out) < NUM_STEPS, "the run was over before it was killed"
    assert train.main(arguments(out, video_folder, *words)) == 0
    assert "Resuming from" in capsys.readouterr().out
    assert_same(out, never_stopped[1])


@needs_proc
def test_a_run_of_two_goes_on_when_a_rank_dies_and_after_it_is_killed(
    tmp_path, video_folder, never_stopped
):
    """The ranks die in turn and are started again; then all are killed, and the command is too."""
    out, rng, words = tmp_path / "run", random.Random(2), f"--max_steps={NUM_STEPS}"
    for kill, step in enumerate(moments()):
        process = start(out, video_folder, 2, words, restarts=1)
        wait_for(out, step, process)
        time.sleep(rng.uniform(0, 0.15))
        kill_rank(process, (kill + 1) % 2)
        wait_for(out, newest(out) + 1, process)
        said = kill_all(process)
        assert said.count("Resuming from") == (1 if kill == 0 else 2), said
    assert newest(out) < NUM_STEPS, "the run was over before it was killed"
    text = complete(start(out, video_folder, 2, words))
    assert text.count("Resuming from") == 1
    assert_same(out, never_stopped[2])


def test_two_processes_share_the_batch_and_not_its_statistics(never_stopped):
    # Each has BatchNorm statistics of its own, so the losses are near but not the same.
    one, two = (state(never_stopped[n]) for n in (1, 2))
    assert torch.equal(one["queue_video"], two["queue_video"])
    assert not torch.equal(one["queue"], two["queue"])


def test_with_batch_norm_frozen_processes_and_micro_batches_change_nothing(tmp_path, video_folder):
    more = ["--model.batch_norm=frozen", "--max_steps=6", "--loss.avid_warmup=0"]
    two = start(tmp_path / "two", video_folder, 2, *more)
    assert train.main(arguments(tmp_path / "one", video_folder, *more)) == 0
    micro = arguments(tmp_path / "micro", video_folder, "--accumulate=2", *more)
    assert train.main(micro) == 0
    complete(two)
    whole, *others = (
        load_checkpoint(tmp_path / name / "checkpoints" / "step_00000006.pt")["network"]
        for name in ("one", "two", "micro")
    )
    for other in others:
        assert torch.equal(whole["queue_video"], other["queue_video"])
        assert (whole["queue"] - other["queue"]).abs().max() < 1e-5
    for name in ("two", "micro"):
        for column in ("loss", "rsp_loss", "avid_loss", "rsp_accuracy"):
            expected = [float(row[column]) for row in rows(tmp_path / "one")]
            assert [float(row[column]) for row in rows(tmp_path / name)] == pytest.approx(
                expected, rel=1e-4
            )


@needs_proc
def test_a_signal_to_one_process_stops_both_with_their_state_saved(tmp_path, video_folder):
    out = tmp_path / "run"
    process = start(out, video_folder, 2, "--max_steps=4000", "--checkpoint_every_steps=0")
    deadline = time.monotonic() + 120
    while not ((out / "metrics.csv").is_file() and len(rows(out)) > 2):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (worker, *_) = (pid for pid in descendants(process.pid) if is_rank(pid, 1))
    os.kill(worker, signal.SIGTERM)
    output, _ = process.communicate(timeout=120)
    text = output.decode(errors="replace")
    assert f"exitcode  : {EXIT_STOPPED}" in text, text
    assert newest(out) > 2
