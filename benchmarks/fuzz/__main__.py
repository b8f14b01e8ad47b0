"""Damaged and hostile files by the thousand: what comes of each.

    python -m benchmarks.fuzz                        all parts, about half an hour on two cores
    python -m benchmarks.fuzz --parts videos leaks   some of them
    python -m benchmarks.fuzz --share 0.1            a tenth of the cases
    python -m benchmarks.fuzz --case videos:17       one case, with its traceback

Each case is made from the seed and its number. The exit status is 1 if there was any exception but
``VideoError`` and ``ValueError``, a crash, a hang or a silent difference. A part of this, with few
cases, is among the tests (``tests/fuzz``).
"""

import argparse
import os
import resource
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import av
import numpy as np

from benchmarks.fuzz.damage import damage
from benchmarks.fuzz.parts import NUMBERS, OUTCOMES, PARTS, Models, Result
from benchmarks.fuzz.pool import run_part
from benchmarks.harness import describe_machine, print_row
from rspnet import VideoError, VideoReader
from rspnet.doctor import PROBES, write_probe
from rspnet.training.run_folder import load_checkpoint

NAMED = 3  # cases of a kind whose details are printed


def report(found: Mapping[str, Mapping[int, Result]]) -> int:
    """Print the table of counts and the cases that fall through; how many these are."""
    print_row("", "cases", *OUTCOMES, first=16, width=19)
    wrong = 0
    for name, results in found.items():
        counts = Counter(result.outcome for result in results.values())
        wrong += sum(counts[outcome] for outcome in OUTCOMES[2:6])
        cells = [f"{number:,}" for number in (len(results), *(counts[o] for o in OUTCOMES))]
        print_row(name, *cells, first=16, width=19)
    for name, results in found.items():
        for outcome in OUTCOMES[2:]:
            cases = [case for case in sorted(results) if results[case].outcome == outcome]
            for case in cases[:NAMED]:
                print(f"\n{outcome}, {name}:{case}\n{results[case].detail}")
            if len(cases) > NAMED:
                print(f"\n{outcome}, {name}: and cases {cases[NAMED:]}")
    return wrong


def _held() -> tuple[float, int]:
    """Memory of this process in MiB, and its open descriptors."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20, len(os.listdir("/proc/self/fd"))  # noqa: PTH208


def leaks(folder: Path, seed: int, num_videos: int = 2000, num_checkpoints: int = 200) -> None:
    """Memory and descriptors as videos and checkpoints, every second one damaged, are read."""
    rng = np.random.default_rng(seed)
    for number, (suffix, codec, pixels) in enumerate(PROBES.values()):
        write_probe(folder / f"{number}{suffix}", codec, pixels, num_frames=40)
    videos = [(path.read_bytes(), path.suffix) for path in sorted(folder.iterdir())]
    models = folder / "models"
    models.mkdir()
    Models(models, 0, seed).prepare()
    state = (models / "step_00000007.pt").read_bytes()

    def video(number: int) -> None:
        data, suffix = videos[number % len(videos)]
        path = folder / f"read{number}{suffix}"
        path.write_bytes(damage(data, rng)[0] if number % 2 else data)
        with suppress(VideoError):
            reader = VideoReader(path)  # not closed: it goes with its last name
            reader.get_frames(range(len(reader)))
        path.unlink()

    def checkpoint(number: int) -> None:
        path = folder / "read.pt"
        path.write_bytes(damage(state, rng)[0] if number % 2 else state)
        with suppress(ValueError):
            load_checkpoint(path)

    print_row("\nMiB and descriptors", "after", "MiB", "descriptors", first=26, width=14)
    parts = (("videos", video, num_videos), ("checkpoints", checkpoint, num_checkpoints))
    for name, work, total in parts:
        for number in range(total):
            work(number)
            if number + 1 in (total // 10, total // 2, total):
                mebibytes, descriptors = _held()
                cells = (f"{number + 1:,}", f"{mebibytes:,.0f}", f"{descriptors}")
                print_row(name, *cells, first=26, width=14)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--parts", nargs="+", choices=[*PARTS, "leaks"], default=[*PARTS, "leaks"])
    parser.add_argument("--share", type=float, default=1.0, help="of the cases of each part")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=20.0, help="most that a case may take")
    parser.add_argument("--case", help="run this one in this process, such as videos:17")
    options = parser.parse_args()
    av.logging.set_level(None)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if options.case:
            name, _, case = options.case.partition(":")
            part = PARTS[name](folder / "originals", NUMBERS[name], options.seed)
            part.folder.mkdir()
            part.prepare()
            part.start()
            print(part.run(int(case), folder / "case"))
            return 0
        print(describe_machine("av", "torch", "safetensors", "pyarrow", "hypothesis"), "\n")
        found = {}
        for name in options.parts:
            if name in PARTS:
                number = max(1, round(NUMBERS[name] * options.share))
                found[name] = run_part(
                    PARTS[name], folder / name, number, options.seed,
                    workers=options.workers, seconds=options.seconds,
                )  # fmt: skip
        wrong = report(found)
        if "leaks" in options.parts:
            (folder / "leaks").mkdir()
            leaks(folder / "leaks", options.seed)
    return min(1, wrong)


if __name__ == "__main__":
    sys.exit(main())
