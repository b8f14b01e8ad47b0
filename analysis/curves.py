"""Curves of a training for print: both losses and how often both tasks are solved.

    python -m analysis.curves runs/first runs/second --out curves.png

Runs that followed one another stand in their order, a dotted line between them; the axis counts
samples. Read from each run's ``metrics.csv`` and ``config.yaml``.
"""

import argparse
import csv
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from matplotlib.axes import Axes
from numpy.typing import NDArray

from analysis.figures import COLOURS, GREY, LINES, TITLES, check_out, new_figure, save, style

Floats = NDArray[np.float64]
# Left: the loss; right: the share of a batch that solves the task, and what chance gives.
_PANELS = (("rsp", "rsp_loss", "rsp_accuracy"), ("avid", "avid_loss", "avid_top1"))
_COLUMNS = ("step", "rsp_loss", "avid_loss", "rsp_accuracy", "avid_top1", "avid_weight")
SMOOTH = 9  # rows in a running mean


@dataclass(frozen=True, kw_only=True)
class Curves:
    """What one run logged.

    Attributes:
        name: Of its folder.
        samples: Seen until each row, in this run.
        values: By column of ``metrics.csv``, each as long.
        rsp_weight: Weight of the RSP loss: at 0 the task was not trained.
    """

    name: str
    samples: Floats
    values: dict[str, Floats]
    rsp_weight: float


def read_curves(folder: str | Path) -> Curves:
    """Read a run's folder.

    Raises:
        ValueError: It is no folder of a pre-training, or has no rows yet.
    """
    folder = Path(folder)
    try:
        config = yaml.safe_load((folder / "config.yaml").read_text())
        batch, rsp_weight = int(config["batch_size"]), float(config["loss"]["rsp_weight"])
        with (folder / "metrics.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        values = {name: np.array([float(row[name]) for row in rows]) for name in _COLUMNS}
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{folder} is no folder of a pre-training: expected config.yaml and metrics.csv as "
            f"python -m rspnet.train writes them ({error!r})"
        ) from error
    if not rows:
        raise ValueError(f"{folder / 'metrics.csv'} has no rows yet")
    return Curves(
        name=folder.resolve().name,
        samples=batch * values["step"],
        values=values,
        rsp_weight=rsp_weight,
    )


def running_mean(values: Floats, width: int = SMOOTH) -> Floats:
    """Each value's mean with its neighbours, (N,) -> (N,); fewer of them at the ends."""
    half = width // 2
    sums = np.concatenate([[0.0], np.cumsum(values)])
    begin = np.maximum(np.arange(len(values)) - half, 0)
    end = np.minimum(np.arange(len(values)) + half + 1, len(values))
    return np.asarray((sums[end] - sums[begin]) / (end - begin))


def _draw(axes: Axes, runs: Sequence[Curves], head: str, column: str) -> None:
    offset = 0.0
    for run in runs:
        trained = run.rsp_weight > 0 if head == "rsp" else run.values["avid_weight"] > 0
        raw = np.where(trained, run.values[column], np.nan)
        at = (run.samples + offset) / 1000
        axes.plot(at, raw, color=COLOURS[head], alpha=0.25, linewidth=0.6)
        smooth = np.where(trained, running_mean(run.values[column]), np.nan)
        axes.plot(at, smooth, LINES[head], color=COLOURS[head])
        offset += float(run.samples[-1])
        if run is not runs[-1]:
            axes.axvline(offset / 1000, color=GREY, linestyle=":", linewidth=0.8)
    axes.set_xlim(0, offset / 1000)


def draw_curves(runs: Sequence[Curves], out: str | Path) -> Path:
    """Draw runs that followed one another.

    Args:
        runs: In their order.
        out: ``*.png``, ``*.svg`` or ``*.pdf``.

    Raises:
        ValueError: No run, or ``out`` has another ending.
    """
    if not runs:
        raise ValueError("there is no run to draw")
    check_out(out)
    with style():
        figure = new_figure(height=3.4)
        grid = figure.subplots(2, 2, sharex=True)
        for row, (head, loss, solved) in zip(grid, _PANELS, strict=True):
            _draw(row[0], runs, head, loss)
            _draw(row[1], runs, head, solved)
            row[0].set_ylabel(f"{TITLES[head]} loss")
            row[1].set_ylabel("right order" if head == "rsp" else "top-1 in the queue")
            row[1].set_ylim(0, 1.02)
        grid[0][0].axhline(math.log(2), color=GREY, linewidth=0.6)
        grid[0][1].axhline(0.5, color=GREY, linewidth=0.6)
        grid[0][1].text(0.995, 0.46, "chance", ha="right", va="top", color=GREY, fontsize=7,
                        transform=grid[0][1].get_yaxis_transform())  # fmt: skip
        for axes in grid[1]:
            axes.set_xlabel("samples, in thousands")
        return save(figure, out)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m analysis.curves",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("runs", nargs="+", help="folders of runs, in their order")
    parser.add_argument("--out", default="curves.png", help="*.png, *.svg or *.pdf")
    options = parser.parse_args(arguments)
    try:
        print(draw_curves([read_curves(folder) for folder in options.runs], options.out))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
