"""Results of long work on a pair: one job at a time makes them, and they are kept."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from dashboard.services import jobs
from dashboard.services.jobs import Job

R = TypeVar("R")

MOST_KEPT = 64
OnPass = Callable[[int], None]


@dataclass
class Background(Generic[R]):
    """Results by key, the least recently used first; and who is at work."""

    results: "OrderedDict[Hashable, R]" = field(default_factory=OrderedDict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    at_work: threading.Lock = field(default_factory=threading.Lock)

    def kept(self, key: Hashable) -> R | None:
        """The result, if there is one."""
        with self.lock:
            found = self.results.get(key)
            if found is not None:
                self.results.move_to_end(key)
            return found

    def keep(self, key: Hashable, result: R) -> R:
        """Keep a result, in place of the one that was not used for longest."""
        with self.lock:
            self.results[key] = result
            while len(self.results) > MOST_KEPT:
                self.results.popitem(last=False)
        return result

    def start(self, key: Hashable, total: int, run: Callable[[OnPass], R]) -> Job:
        """Begin the work, or find that it is under way.

        Args:
            key: Of its job and result.
            total: Clips that go through the network.
            run: Does it, and says before each pass how many clips go through.
        """

        def work(job: Job) -> None:
            def count(num: int) -> None:
                job.check()
                job.done += num

            while not self.at_work.acquire(timeout=0.2):
                job.check()
            try:
                job.check()
                self.keep(key, run(count))
            finally:
                self.at_work.release()

        return jobs.start(key, total, work)
