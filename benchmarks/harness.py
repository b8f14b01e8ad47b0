"""What the benchmarks share: the machine in two lines, times round by round, rows of a table."""

import contextlib
import os
import platform
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

import torch

Work = Callable[[], object]


def installed(package: str) -> str:
    """Its version, or that there is none."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def describe_machine(*packages: str) -> str:
    """Processor, CPUs, threads and how busy they were over the last minute; then versions."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError, IndexError):
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        name = re.findall(r"^model name\s*: (.*)$", text, re.MULTILINE)[0]
    load = f", load {os.getloadavg()[0]:.1f} before the start" if hasattr(os, "getloadavg") else ""
    return (
        f"Python {platform.python_version()}, {platform.system()}, {name}, {os.cpu_count()} CPUs, "
        f"{torch.get_num_threads()} threads{load}\n"
        + ", ".join(f"{package} {installed(package)}" for package in packages)
    )


@dataclass
class Times:
    """Seconds of one work, a value a round: by the clock, and of all threads of the process."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Median by the clock."""
        return median(self.wall)


def measure(works: Mapping[str, Work], rounds: int) -> dict[str, Times]:
    """Time each work in each round, after a first round that does not count."""
    times = {name: Times() for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            wall, cpu = time.perf_counter(), time.process_time()
            work()
            if number:
                times[name].wall.append(time.perf_counter() - wall)
                times[name].cpu.append(time.process_time() - cpu)
    return times


def print_row(name: object, *cells: str, first: int = 44, width: int = 12) -> None:
    """A line of a table: its name to the left, its cells to the right."""
    print(f"{name!s:{first}}" + "".join(f"{cell:>{width}}" for cell in cells), flush=True)
