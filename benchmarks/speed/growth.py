"""How time grows with what there is: files at the start, videos in a gallery, steps of a run.

    python -m benchmarks.speed.growth [--largest 200000] [--opened 2000] [--steps 400] [--out PNG]

Each line of the table is a size and seconds; the slope is that of the logarithms, 1 where time is
proportional to size. Files are links to one small video, their manifest its row many times. A step
is of a network so small that what is around it shows.
"""

import argparse
import itertools
import math
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.harness import describe_machine, print_row
from benchmarks.speed.retrieval import Names, grouped_vectors
from rspnet.commands import parse_config
from rspnet.data.listing import list_videos
from rspnet.data.manifest import NAME, describe_video, known_files, manifests_in, write_rows
from rspnet.data.sources import scan_files
from rspnet.data.synthetic.videos import generate
from rspnet.retrieval.approximate import ApproximateIndex
from rspnet.retrieval.gallery import Gallery, Protocol
from rspnet.train import Trainer
from rspnet.training.config import TrainConfig

Points = list[tuple[int, float]]
_LINKS = 20_000  # names of one file; ext4 allows 65,000


def timed(work: Callable[[], object]) -> float:
    """Seconds of the processor: what other work there is does not count."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def memory_mib() -> float:
    """Of this process, as Linux counts it."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def sizes(smallest: int, largest: int) -> list[int]:
    """Powers of ten from one to the other."""
    return list(itertools.takewhile(lambda n: n <= largest, (smallest * 10**i for i in range(9))))


def start_up(largest: int, opened: int) -> dict[str, Points]:
    """List the files of a folder and count their frames, without a manifest and with one.

    Args:
        largest: Files at most.
        opened: Files at most where there is no manifest, so that each is opened.
    """
    found: dict[str, Points] = {"start-up, no manifest": [], "start-up, manifest": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generate(folder / "one", 1, num_workers=1, progress=False)
        video = next((folder / "one").rglob("*.mp4")).read_bytes()
        for num in sizes(200, largest):
            root = folder / str(num)
            root.mkdir()
            rows = []
            for first in range(0, num, _LINKS):
                (root / f"{first}.mp4").write_bytes(video)
                row = describe_video(root / f"{first}.mp4")
                for i in range(first, min(num, first + _LINKS)):
                    if i > first:
                        os.link(root / f"{first}.mp4", root / f"{i}.mp4")
                    rows.append({"path": f"{i}.mp4"} | row)

            def start(root: Path = root) -> None:
                paths = list_videos(root)
                scan = scan_files(paths, 32, 0, known_files(paths, manifests_in([root])))
                assert len(scan.usable) == len(paths)

            if num <= opened:
                found["start-up, no manifest"].append((num, timed(start)))
            write_rows(rows, root / NAME)
            found["start-up, manifest"].append((num, timed(start)))
            shutil.rmtree(root)
    return {name: points for name, points in found.items() if points}


def galleries() -> dict[str, Points]:
    """The ten nearest of 10,000 to 1,000,000 vectors of 128 numbers; with faiss also nearly."""
    rng = np.random.default_rng(0)
    found: dict[str, Points] = {"ten nearest": [], "ten nearest, approximate": []}
    for num in sizes(10_000, 1_000_000):
        known = grouped_vectors(num + 64, rng)
        names: Any = Names("g", num)
        gallery = Gallery(names, names, {"avid": known[:num]}, "", Protocol())
        queries = known[num:]
        search = partial(gallery.nearest, queries[0], "avid", 10)
        found["ten nearest"].append((num, median(timed(search) for _ in range(5))))
        if find_spec("faiss"):
            index = ApproximateIndex(known[:num])
            batch = partial(index.nearest, queries, 10)
            seconds = median(timed(batch) for _ in range(5)) / len(queries)
            found["ten nearest, approximate"].append((num, seconds))
    return {name: points for name, points in found.items() if points}


def steps(num: int) -> dict[str, Points]:
    """Seconds of a step, and memory in MiB, in each fifth of a run."""
    seconds, memory = Points(), Points()
    with tempfile.TemporaryDirectory() as name:
        generate(Path(name) / "videos", 4, num_workers=1, progress=False)
        settings = {"root": str(Path(name) / "videos"), "num_frames": 4, "size": 16}
        config = parse(name, num, settings)
        trainer, begun = Trainer(config), time.process_time()
        for count, batch in enumerate(trainer.batches(), start=1):
            trainer.train_step([batch])
            if count % (num // 5) == 0:
                now = time.process_time()
                seconds.append((count, (now - begun) / (num // 5)))
                memory.append((count, memory_mib()))
                begun = now
    return {"a step, seconds": seconds, "a run, MiB": memory}


def parse(folder: str, num: int, data: dict[str, Any]) -> TrainConfig:
    """The smallest training that there is."""
    words = [f"--data.{name}={value}" for name, value in data.items()]
    return parse_config(
        TrainConfig,
        [*words, f"--out={folder}/run", f"--max_steps={num}", "--batch_size=2", "--num_workers=0",
         "--device=cpu", "--model.options={width: 2, stem_kernel: [1, 3, 3]}",
         "--data.cache_short_side=16", f"--data.cache_folder={folder}/cache"],
    )  # fmt: skip


def slope(points: Points) -> float:
    """Of the logarithms, from the first to the last."""
    (n0, t0), (n1, t1) = points[0], points[-1]
    return math.log(t1 / t0) / math.log(n1 / n0) if n1 > n0 else math.nan


def draw(found: dict[str, Points], out: Path) -> None:
    """A line for each on logarithmic axes, beside one that is proportional; then a run's steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    sizes_at, steps_at, memory_at = figure.subplots(1, 3, width_ratios=(2, 1, 1))
    *lines, seconds, memory = found.items()
    for (name, points), marker in zip(lines, "osv^", strict=False):
        sizes_at.loglog(*zip(*points, strict=True), marker=marker, label=name)
    sizes_at.loglog((200, 1e6), (2e-5, 0.1), ":", color="gray", label="in proportion")
    sizes_at.set(xlabel="files or videos", ylabel="seconds of the processor", ylim=(1e-5, 1e5))
    sizes_at.legend(fontsize=7, loc="upper left", ncols=2)
    for axes, (name, points) in ((steps_at, seconds), (memory_at, memory)):
        axes.plot(*zip(*points, strict=True), "o-")
        axes.set(xlabel="steps", title=name, ylim=(0, 1.5 * max(y for _, y in points)))
    figure.savefig(out, dpi=110)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--largest", type=int, default=200_000, help="files at the start")
    parser.add_argument("--opened", type=int, default=2_000, help="files without a manifest")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    print(describe_machine("torch", "numpy"))
    found = start_up(options.largest, options.opened) | galleries() | steps(options.steps)
    for name, points in found.items():
        cells = [f"{n:,}: {value:.3g}" for n, value in points]
        print_row(name, *cells, f"slope {slope(points):.2f}", first=24, width=20)
    if options.out:
        draw(found, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
