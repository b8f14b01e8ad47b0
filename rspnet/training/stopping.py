"""A training that is told to stop ends after the step in progress, with its state saved."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rspnet.training.processes import leave_processes

EXIT_STOPPED = 143  # 128 + SIGTERM: stopped by a signal with its state saved; start it again


class StoppedError(Exception):
    """A signal stopped the run, which has saved its state."""


class StopRequest:
    """Turns SIGTERM and Ctrl-C into a wish to stop after the step in progress."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def note(self, number: int, _frame: FrameType | None) -> None:
        """Note a signal; the second one interrupts at once."""
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number


@contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """Within the block the first SIGTERM or SIGINT is only noted; a second interrupts."""
    request = StopRequest()
    before = {s: signal.signal(s, request.note) for s in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_main(what: Callable[[], Path], result: str) -> int:
    """Run a training, end its processes, and give its exit status: 0 or :data:`EXIT_STOPPED`."""
    try:
        path = what()
        if os.environ.get("RANK", "0") == "0":
            print(f"{result}: {path}")
    except StoppedError as note:
        print(note, file=sys.stderr)
        return EXIT_STOPPED
    finally:
        leave_processes()
    return 0
