"""What a model learned, in one table: retrieval, k-NN, linear probe and its own two tasks.

    python -m benchmarks.small_scale --jhmdb DIR --models default "RSP only=runs/rsp.safetensors"
    python -m benchmarks.small_scale --jhmdb DIR --jhmdb_folds 1 2 3 --ucf101 DIR --moments --whiten
    python -m benchmarks.small_scale --num_generated 0 --unseen dance=DIR signs=LIST.txt --dry_run

Test videos look for training videos of their label: JHMDB on HMDB51's splits (split 1: 650 and 256
videos, 21 actions), UCF101 on its own, as far as its class folders are there, and generated videos
by action, actor and set, each drawn independently of the others. With several splits there is a
table for each and one of their mean. The protocol is that of supplementary B (see
:mod:`rspnet.extract`); k-NN and linear probe are those of :mod:`rspnet.finetune`. Beside the models
stand random weights of their architecture, histograms of colour, optical flow and gradients (HOG),
and chance. A head has rows if the model's method trained it. Then comes what the heads look at:
margin maps against the ground truth of generated videos, and motion selectivity. ``--unseen`` adds
real videos without labels: both tasks, and how margin maps follow optical flow.

Models of one name are seeds of one recipe: their row is the mean. Intervals are of a bootstrap
over test videos, within each split. All is kept in ``--out`` as soon as it is there; stop it when
you like, the same command resumes.
"""

import argparse
import json
import sys
from collections.abc import Sequence

import cv2
import torch

from benchmarks.small_scale.benchmark import Benchmark
from benchmarks.small_scale.picture import picture
from benchmarks.small_scale.sets import OFFICIAL
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
    for option, official in OFFICIAL.items():
        title, near = official.title, " or ".join(official.near)
        add(f"--{option}", help=f"folder of {title}'s class folders; nothing skips it")
        add(f"--{official.lists}", help=f"{official.expected}; nothing: {near} there or beside it")
        add(f"--{option}_folds", type=int, nargs="+", default=[1], help="of its official splits")
    add("--num_generated", type=int, default=256, help="half of them test; 0 skips them")
    add("--generated_seed", type=int, default=1000, help="other than that of training")
    add("--num_clips", type=int, default=10, help="clips of each video")
    add("--neighbours", type=int, default=20, help="training videos that vote with k-NN")
    add("--grids", type=int, nargs="*", default=[], help="pool on grids of so many rows as well")
    add("--moments", action="store_true", help="features' mean, variance, skewness over time too")
    add("--whiten", action="store_true", help="each feature whitened by training videos as well")
    add(
        "--unseen",
        nargs="+",
        default=[],
        metavar="NAME=DIR_OR_LIST.txt",
        help=(
            "real videos without labels that no model saw: own tasks, maps against optical flow, "
            "motion selectivity"
        ),
    )
    add("--histogram_size", type=int, default=112, help="pixels of the histograms' view")
    add("--num_pretext", type=int, default=128, help="videos of the own tasks; 0 skips them")
    add("--num_maps", type=int, default=40, help="videos of the maps' tables; 0 skips them")
    add("--finetune", action="store_true", help="fine-tune on JHMDB as well: slow")
    add("--finetune_epochs", type=float, default=10)
    add("--num_workers", type=int, default=2, help="processes that decode for fine-tuning")
    add("--figure", help="a picture of the tables, .png, .svg or .pdf")
    add("--dry_run", action="store_true", help="check all options and say what would be measured")
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
            if options.dry_run:
                print(benchmark.plan())
                return 0
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
