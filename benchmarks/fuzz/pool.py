"""Cases in processes of their own, so that one that crashes or hangs is counted."""

import os
import time
from collections import deque
from contextlib import suppress
from multiprocessing import connection, get_context
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.fuzz.parts import CRASH, HANG, Part, Result

MEMORY = 4 * 2**30  # that a case may take, bytes
_START_SECONDS = 180.0


def _work(pipe: Any, kind: type[Part], folder: Path, number: int, seed: int, place: Path) -> None:
    import resource

    import av
    import torch

    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    av.logging.set_level(None)
    torch.set_num_threads(1)
    part = kind(folder, number, seed)
    part.start()
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    pipe.send(None)
    with suppress(EOFError):
        while True:
            pipe.send(part.run(pipe.recv(), place))


class _Worker:
    def __init__(self, *arguments: Any) -> None:
        # What all need is imported once; the server that forks them has no threads.
        context = get_context("forkserver")
        context.set_forkserver_preload(["benchmarks.fuzz.parts"])
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, *arguments), daemon=True)
        self.process.start()
        theirs.close()
        self.case: int | None = None
        self.ready, self.deadline = False, time.monotonic() + _START_SECONDS

    def give(self, case: int, seconds: float) -> None:
        self.case, self.deadline = case, time.monotonic() + seconds
        self.pipe.send(case)

    def end(self) -> int | None:
        self.pipe.close()
        self.process.join(0.2)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        return self.process.exitcode


def run_part(
    kind: type[Part],
    folder: Path,
    number: int,
    seed: int,
    *,
    workers: int = 2,
    seconds: float = 20.0,
    progress: bool = True,
) -> dict[int, Result]:
    """Run the cases of a part and give what came of each.

    Args:
        kind: The part.
        folder: An empty one.
        number: Cases.
        seed: Of all that is random: the same cases each time.
        workers: Processes.
        seconds: That a case may take before it counts as one that hangs.
        progress: Show a bar.

    Raises:
        RuntimeError: A process ends before its first case.
    """
    originals = folder / "originals"
    originals.mkdir(parents=True)
    kind(originals, number, seed).prepare()
    name = kind.__name__.lower()

    def new(slot: int) -> _Worker:
        return _Worker(kind, originals, number, seed, folder / f"case{slot}")

    pool = [new(slot) for slot in range(min(workers, number))]
    waiting, results = deque(range(number)), dict[int, Result]()
    bar = tqdm(total=number, desc=name, unit="case", disable=None if progress else True)
    with bar:
        while len(results) < number:
            connection.wait([worker.pipe for worker in pool], timeout=0.5)
            for slot, worker in enumerate(pool):
                ended: Result | None = None
                try:
                    if worker.pipe.poll():
                        found = worker.pipe.recv()
                        if not worker.ready:
                            worker.ready, worker.deadline = True, float("inf")
                        else:
                            ended = found
                    elif time.monotonic() > worker.deadline:
                        worker.process.kill()
                        ended = Result(HANG, f"after {seconds:g} s")
                except (EOFError, ConnectionError):
                    ended = Result(CRASH, f"exit status {worker.end()}")
                if ended is not None:
                    if worker.case is None:
                        raise RuntimeError(
                            f"{name}: a process ended before its first case: {ended}"
                        )
                    results[worker.case], worker.case = ended, None
                    worker.deadline = float("inf")
                    bar.update()
                    if ended.outcome in (CRASH, HANG):
                        worker.end()
                        worker = pool[slot] = new(slot)
                if worker.ready and worker.case is None and waiting:
                    worker.give(waiting.popleft(), seconds)
    for worker in pool:
        worker.end()
    return results
