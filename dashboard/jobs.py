"""Work that outlives a run of the page's script: one job a key, shared by all sessions."""

import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import streamlit as st

from dashboard.arguments import ROOT, Arguments
from dashboard.sources import STAGE_SEED, stage_folder, stage_is_complete


@dataclass
class Job:
    """A piece of work in its own thread.

    Attributes:
        total: Steps that it has.
        done: Steps that are done.
        error: What went wrong, as a sentence; empty if nothing.
        finished: Set at the end, whether it went well or not.
    """

    total: int
    done: int = 0
    error: str = ""
    finished: threading.Event = field(default_factory=threading.Event)

    @property
    def part(self) -> float:
        """Part of the work that is done, 0 to 1."""
        return min(1.0, self.done / max(1, self.total))


@dataclass
class _Board:
    jobs: dict[object, Job] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


@st.cache_resource(show_spinner=False)
def _board() -> _Board:
    return _Board()


def start(key: object, total: int, work: Callable[[Job], None]) -> Job:
    """Begin a job, or find the one under way or done under this key.

    A job that failed stays failed until :func:`forget`, so that a page that is drawn again and
    again does not try again and again.

    Args:
        key: What the job is about; hashable.
        total: Steps it has.
        work: Does it, and counts ``job.done`` up. What it raises becomes ``job.error``.
    """
    board = _board()
    with board.lock:
        if key in board.jobs:
            return board.jobs[key]
        job = board.jobs[key] = Job(total)

    def run() -> None:
        try:
            work(job)
        except ValueError as error:
            job.error = str(error)
        except Exception as error:  # a fault of ours: say so in the page, the app goes on
            job.error = f"{type(error).__name__}: {error}"
        finally:
            job.finished.set()

    threading.Thread(target=run, daemon=True, name="rspnet-job").start()
    return job


def forget(key: object) -> None:
    """Drop a finished job, so that it can be started anew."""
    board = _board()
    with board.lock:
        job = board.jobs.get(key)
        if job is not None and job.finished.is_set():
            del board.jobs[key]


def under_way() -> list[Job]:
    """Jobs that are not finished."""
    board = _board()
    with board.lock:
        return [job for job in board.jobs.values() if not job.finished.is_set()]


def generate_stage(arguments: Arguments) -> Job:
    """Render the first gallery, in a process of its own: the same as ``make stage`` does."""
    folder = stage_folder(arguments)

    def work(job: Job) -> None:
        command = [sys.executable, "-m", "rspnet.data.stage", "--out", str(folder)]
        command += ["--num_videos", str(arguments.num_videos), "--seed", str(STAGE_SEED)]
        folder.mkdir(parents=True, exist_ok=True)
        with (folder.parent / f"{folder.name}.log").open("w+", encoding="utf-8") as log:
            process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
            try:
                while process.poll() is None:
                    job.done = sum(1 for _ in folder.glob("*/*.npz"))
                    job.finished.wait(0.25)
            finally:
                if process.poll() is None:
                    process.terminate()
            log.seek(0)
            last = log.read().strip().splitlines()[-1:] or ["no message"]
        if process.returncode != 0 or not stage_is_complete(arguments):
            raise ValueError(
                f"The example videos could not be generated into {folder}: {last[0]}. "
                "Is the disk full, or the folder read-only? $RSPNET_CACHE names another place."
            )
        job.done = job.total

    return start(("stage", str(folder)), arguments.num_videos, work)
