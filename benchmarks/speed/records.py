"""Ratios to a named peer: measured in turn, printed, recorded as JSON, and compared later."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import torch

from benchmarks.harness import Work, installed, measure, print_row

RESULTS = Path(__file__).parents[1] / "results"
SLOWER = 1.15  # by so much a ratio may rise before it counts as slower


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        name: What is timed.
        peer: What it is timed against, in the same rounds.
        seconds: Its median by the clock.
        peer_seconds: The peer's.
        ratio: Median over rounds of its time to the peer's, in seconds of all processors, which
            other work on the machine does not lengthen. Below 1 it is faster.
        note: What else was measured.
    """

    name: str
    peer: str
    seconds: float
    peer_seconds: float
    ratio: float
    note: str = ""


def against(
    name: str, own: Work, peers: Mapping[str, Work], rounds: int, note: str = ""
) -> list[Row]:
    """Time a work and its peers round by round."""
    times = measure({name: own, **peers}, rounds)
    return [
        Row(
            name,
            peer,
            times[name].seconds,
            times[peer].seconds,
            median(a / b for a, b in zip(times[name].cpu, times[peer].cpu, strict=True)),
            note,
        )
        for peer in peers
    ]


def print_rows(rows: Sequence[Row], before: Mapping[tuple[str, str], Row]) -> list[Row]:
    """A table. Returns those that are slower than they were."""
    slower = []
    print_row("", "ms", "peer ms", "ratio", "recorded", first=76)
    for row in rows:
        old = before.get((row.name, row.peer))
        was = "" if old is None else f"{old.ratio:.2f}"
        if old is not None and row.ratio > SLOWER * old.ratio:
            slower.append(row)
            was += " slower"
        numbers = (f"{1000 * row.seconds:.1f}", f"{1000 * row.peer_seconds:.1f}")
        print_row(f"{row.name} / {row.peer}", *numbers, f"{row.ratio:.3g}", was, first=76)
        if row.note:
            print(f"  {row.note}")
    return slower


def _short(value: str | float) -> str | float:
    return float(f"{value:.4g}") if isinstance(value, float) else value


def write_rows(name: str, rows: Sequence[Row], packages: Sequence[str]) -> Path:
    """Write rows with the machine and the versions of what was measured."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    record = {
        "machine": f"{os.cpu_count()} CPUs, {torch.get_num_threads()} threads",
        "versions": {package: installed(package) for package in packages},
        "rows": [{k: _short(v) for k, v in asdict(row).items()} for row in rows],
    }
    path.write_text(json.dumps(record, indent=1) + "\n")
    return path


def read_rows(name: str) -> dict[tuple[str, str], Row]:
    """Recorded rows by their names and peers; none where nothing was recorded."""
    path = RESULTS / f"{name}.json"
    if not path.is_file():
        return {}
    rows = [Row(**row) for row in json.loads(path.read_text())["rows"]]
    return {(row.name, row.peer): row for row in rows}
