"""What a model learned, in one table: retrieval, k-NN, linear probe and its own two tasks.

    python -m benchmarks.small_scale --jhmdb DIR --models default "RSP only=runs/rsp.safetensors"

Test videos look for training videos of their label: JHMDB on HMDB51's split 1 (650 and 256 videos,
21 actions), and generated videos by action, actor and set, each drawn independently of the
others. The protocol is that of supplementary B (see :mod:`rspnet.extract`); k-NN and linear probe
are those of :mod:`rspnet.finetune`. Beside the models stand random weights of their architecture,
histograms of colour, optical flow and gradients (HOG), and chance. Last comes what the heads look
at: margin maps against the ground truth of generated videos, and motion selectivity.

Models of one name are seeds of one recipe: their row is the mean. Intervals are of a bootstrap
over test videos. All is kept in ``--out`` as soon as it is there; stop it when you like, the same
command resumes.
"""

import argparse
import json
import sys
from collections.abc import Sequence

import cv2
import torch

from benchmarks.small_scale.benchmark import Benchmark
from benchmarks.small_scale.picture import picture
from rspnet.files import atomic_path
from rspnet.training.stopping import StoppedError


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m benchmarks.small_scale",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    add("--out", default="runs/small_scale", help="folder of results and of what is kept")
    add("--models", nargs="+", default=["default"], help="files or shipped names, or NAME=FILE")
    add("--seeds", type=int, default=3, help="draws of random weights; 0 for none")
    add("--random_archs", nargs="*", default=[], help="more encoders with random weights")
    add("--jhmdb", help="folder of JHMDB's class folders; nothing skips it")
    add("--jhmdb_splits", help="CSV of its splits; nothing: jhmdb_splits.csv there or beside it")
    add("--num_generated", type=int, default=256, help="half of them test; 0 skips them")
    add("--generated_seed", type=int, default=1000, help="other than that of training")
    add("--num_clips", type=int, default=10, help="clips of each video")
    add("--neighbours", type=int, default=20, help="training videos that vote with k-NN")
    add("--grids", type=int, nargs="*", default=[], help="pool on grids of so many rows as well")
    add("--histogram_size", type=int, default=112, help="pixels of the histograms' view")
    add("--num_pretext", type=int, default=128, help="videos of the own tasks; 0 skips them")
    add("--num_maps", type=int, default=40, help="videos of the maps' table; 0 skips it")
    add("--finetune", action="store_true", help="fine-tune on JHMDB as well: slow")
    add("--finetune_epochs", type=float, default=10)
    add("--num_workers", type=int, default=2, help="processes that decode for fine-tuning")
    add("--figure", help="a picture of the tables, .png, .svg or .pdf")
    add("--device", default="auto", help="auto, cpu, cuda")
    add("--threads", type=int, default=0, help="of the CPU's arithmetic; 0 for PyTorch's choice")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)  # loader processes, made by forks, would wait for its threads for ever
    # TF32 would round each product to 10 bits, and benchmarks pick kernels by the clock.
    exact = torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    )
    try:
        with exact:
            benchmark = Benchmark(options)
            benchmark.run()
        write(benchmark)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, StoppedError):
        print("stopped; the same command resumes", file=sys.stderr)
        return 130
    return 0


def write(benchmark: Benchmark) -> None:
    """Write and print the tables, then the picture if one is requested.

    Raises:
        ValueError: There is nothing to draw.
    """
    text = benchmark.markdown()
    for name, content in (
        ("small_scale.md", text),
        ("small_scale.json", json.dumps(benchmark.to_json(), indent=1) + "\n"),
    ):
        with atomic_path(benchmark.out / name) as temporary:
            temporary.write_text(content)
    print(text)
    if benchmark.options.figure:
        picture(benchmark.rows, benchmark.localisation, benchmark.chance, benchmark.options.figure)


if __name__ == "__main__":
    sys.exit(main())
