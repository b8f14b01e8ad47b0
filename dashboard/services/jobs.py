"""Work that outlives a run of the page's script: one job a key, shared by all sessions.

A job can be stopped. It ends where its work next calls :meth:`Job.check`, and keeps what was done
in a way that is its own, so that the next start resumes from there.
"""

import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import streamlit as st

from dashboard.base.arguments import Arguments
from dashboard.services.child import child
from dashboard.services.galleries import (
    SYNTHETIC_SEED,
    synthetic_folder,
    synthetic_is_complete,
    unpack_shipped,
)

NICE = 5


class StoppedError(Exception):
    """Ends the work of a job that was told to stop."""


@dataclass
class Job:
    """A piece of work in its own thread.

    Attributes:
        total: Steps that it has.
        done: Steps that are done.
        error: What went wrong, as a sentence; empty if nothing.
        finished: Set at the end, whether it went well or not.
        stopped: Whether it ended because it was told to.
    """

    total: int
    done: int = 0
    error: str = ""
    finished: threading.Event = field(default_factory=threading.Event)
    stopped: bool = False
    _told: threading.Event = field(default_factory=threading.Event)

    def stop(self) -> None:
        """Tell it to stop; it does when the step that it is at is done."""
        self._told.set()

    @property
    def is_stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._told.is_set()

    def check(self) -> None:
        """For the work, between two steps.

        Raises:
            StoppedError: It was told to stop.
        """
        if self._told.is_set():
            raise StoppedError

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

    A job that failed or was stopped stays so until :func:`forget`, so that a page that is drawn
    again and again does not try again and again.

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
        if sys.platform == "linux":  # there each thread has a priority of its own: pages go first
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        try:
            work(job)
        except StoppedError:
            job.stopped = True
        except ValueError as error:
            job.error = str(error)
        except Exception as error:  # a fault of ours: the page says so, and the app stays up
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


def end_all(patience: float) -> None:
    """Tell all jobs to stop and wait until they did, or so many seconds: the app ends."""
    waited = under_way()
    for job in waited:
        job.stop()
    deadline = time.monotonic() + patience
    for job in waited:
        job.finished.wait(max(0.0, deadline - time.monotonic()))


def synthetic_key(arguments: Arguments) -> tuple[str, str]:
    """The key of :func:`generate_synthetic`'s job, for :func:`forget`."""
    return ("synthetic", str(synthetic_folder(arguments)))


def generate_synthetic(arguments: Arguments) -> Job:
    """Unpack the first gallery, or render what does not ship, in a process of its own.

    Both give the same videos as ``make synthetic`` does.
    """
    folder = synthetic_folder(arguments)

    def work(job: Job) -> None:
        if unpack_shipped(arguments):
            job.done = job.total
            return
        words = ["--out", str(folder), "--num_videos", str(arguments.num_videos)]
        words += ["--seed", str(SYNTHETIC_SEED)]
        folder.mkdir(parents=True, exist_ok=True)
        with (folder.parent / f"{folder.name}.log").open("w+", encoding="utf-8") as log:
            try:
                with child("rspnet.data.synthetic", *words, stdout=log, stderr=log) as process:
                    while process.poll() is None:
                        job.done = sum(1 for _ in folder.glob("*/*.npz"))
                        job.check()
                        time.sleep(0.25)
            finally:
                for half in folder.glob("*/.*"):  # what it was at when it was ended
                    half.unlink(missing_ok=True)
            log.seek(0)
            last = log.read().strip().splitlines()[-1:] or ["no message"]
        if process.returncode != 0 or not synthetic_is_complete(arguments):
            raise ValueError(
                f"The example videos could not be generated into {folder}: {last[0]}. "
                "Is the disk full, or the folder read-only? $RSPNET_CACHE names another place."
            )
        job.done = job.total

    return start(synthetic_key(arguments), arguments.num_videos, work)
