"""The dashboard in a browser: how long one waits, and what a server holds after many pairs.

    python -m benchmarks.dashboard_speed [--parts first pair ...] [--repeats 5] [--pairs 200]

- ``first``: from opening Compare to its title and to the four overlays; with a server that has
  made nothing yet (once), with a new one (cold), and with the same one in a new window (warm).
- ``home``: from starting a server to the answer on Home and the ways to other pages.
- ``scrubber``: from the slider's event to the frame painted in all four panels.
- ``pair``: from another c_j to the four overlays.
- ``verdict``: from another c_j to the verdicts on both heads' maps.
- ``edit``: from choosing how a region is edited to its scores, maps and nearest videos.
- ``retrieval``: from another query to its lists by both heads, among 10,000 videos.
- ``embedding``: from opening the page to 20,000 points drawn by WebGL, their projection made.
- ``sessions``: from asking for another frame to the page's part drawn for it, with many visitors,
  alone and while others' work is under way; median, 95th percentile, slowest. Needs no browser.
- ``memory``: what the server holds as the pair is changed ``--pairs`` times (0 leaves it out).

The two large galleries are links to the example videos, with drawn vectors written where the app
keeps its own. All is made in a folder that goes again. Needs Chromium (named in $CHROMIUM, or on
the PATH); times tell something on a machine that does nothing else.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from playwright.sync_api import sync_playwright

# Before this file's own folder, where other scripts have names of packages.
from benchmarks.dashboard_speed import parts, sessions
from benchmarks.dashboard_speed.parts import Bench, Row
from benchmarks.harness import describe_machine, print_row

PARTS = (
    "first",
    "home",
    "scrubber",
    "pair",
    "verdict",
    "edit",
    "retrieval",
    "embedding",
    "memory",
    "sessions",
)
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
WIDTH = 50


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = made.add_argument
    add("--parts", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART")
    add("--repeats", type=int, default=5, help="how often each is measured")
    add("--pairs", type=int, default=0, help="changes of the pair for memory; 0 for none")
    add("--num_sessions", type=int, default=20, help="visitors of sessions")
    add("--num_searched", type=int, default=10_000, help="videos that retrieval searches")
    add("--num_mapped", type=int, default=20_000, help="points of embedding")
    add("--model", type=Path, help="a model file; nothing: the shipped one")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        print("no Chromium: install one, or name it in $CHROMIUM", file=sys.stderr)
        return 2
    print(describe_machine("streamlit", "torch", "playwright"))
    with tempfile.TemporaryDirectory() as made, sync_playwright() as playwright:
        os.environ["RSPNET_CACHE"] = str(Path(made) / "cache")
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        print(f"Chromium {browser.version}\n")
        model = options.model.resolve() if options.model else None
        bench = Bench(browser=browser, folder=Path(made), model=model, repeats=options.repeats)
        _measure(bench, options)
        browser.close()
    return 0


def _measure(bench: Bench, options: argparse.Namespace) -> None:
    print(f"{'seconds':{WIDTH}}{'median':>8}{'aim':>6}  all")
    if "sessions" in options.parts:
        for found in sessions.measure(bench.folder, bench.model, options.num_sessions):
            if isinstance(found, str):
                print(found, flush=True)
            else:
                _print(found)
    if options.parts == ["sessions"]:
        return
    for row in parts.first_visit(bench):  # in any case: it makes what the others use
        if "first" in options.parts:
            _print(row)
    chosen: dict[str, Iterable[Row]] = {  # nothing is done before its rows are taken
        "first": parts.opening(bench),
        "home": parts.home(bench),
        "scrubber": parts.scrubber(bench),
        "pair": parts.pair(bench),
        "verdict": parts.verdict(bench),
        "edit": parts.edit(bench),
        "retrieval": parts.retrieval(bench, options.num_searched),
        "embedding": parts.embedding(bench, options.num_mapped),
    }
    for name, rows in chosen.items():
        if name in options.parts:
            for row in rows:
                _print(row)
    if "memory" in options.parts and options.pairs:
        _print_memory(bench, options.pairs)


def _print(row: Row) -> None:
    aim = "" if row.aim is None else f"{row.aim:g}"
    values = [f"{v:.2f}" if v >= 1 else f"{v:.3f}" for v in row.seconds]
    median = statistics.median(row.seconds)
    print(f"{row.name:{WIDTH}}{median:8.3f}{aim:>6}  {' '.join(values)}", flush=True)


def _print_memory(bench: Bench, num: int) -> None:
    """Growth beyond what the caches hold is what should not be."""
    print()
    print_row("MB after so many changes of the pair", "RSS", "own", "cached", first=WIDTH, width=8)
    found = []
    for changes, held in parts.memory(bench, num):
        found.append([held.resident, held.own, held.cached])
        print_row(changes, *(f"{value:.0f}" for value in found[-1]), first=WIDTH, width=8)
    for name, start in (("growth in all", 0), ("growth since the last but one", -2)):
        growth = [b - a for a, b in zip(found[start], found[-1], strict=True)]
        print_row(name, *(f"{value:+.0f}" for value in growth), first=WIDTH, width=8)
    print("own: heap and stacks; cached: values in Streamlit's caches of data, each of which holds")
    print("a fixed number of entries. Aim: no growth beyond what the caches hold.")


if __name__ == "__main__":
    sys.exit(main())
