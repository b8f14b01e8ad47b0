"""Training curves as a picture: ``python -m analysis.curves RUN [RUN ...] --out FILE.png``.

Runs that follow one another (each started from the model of the one before) are drawn on one axis
of steps, with a line where the next begins.
"""

import argparse
import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rspnet.checkpoint import atomic_path

# After Okabe and Ito, as on the dashboard: violet for RSP, green for A-VID.
RSP, AVID = "#b05cbb", "#0b8a66"


@dataclass(frozen=True)
class Run:
    """The metrics of a run, columns of ``metrics.csv``.

    Attributes:
        name: Its folder's name.
        columns: ``step`` and the rest, each (N,).
    """

    name: str
    columns: dict[str, NDArray[np.float64]]


def read_run(folder: str | Path) -> Run:
    """Read ``metrics.csv`` of a run's folder.

    Raises:
        ValueError: There is none, or it holds no rows.
    """
    path = Path(folder) / "metrics.csv"
    if not path.is_file():
        raise ValueError(f"{folder} is no run of `python -m rspnet.train`: no metrics.csv in it")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        raise ValueError(f"{path} holds no rows yet")
    names = rows[0].keys()
    return Run(
        Path(folder).name, {n: np.array([float(r[n] or "nan") for r in rows]) for n in names}
    )


def smoothed(values: NDArray[np.float64], span: int) -> NDArray[np.float64]:
    """Mean over a window of ``span`` rows, cut off at the ends."""
    kernel = np.ones(min(span, len(values)))
    return np.asarray(
        np.convolve(values, kernel, "same") / np.convolve(np.ones(len(values)), kernel, "same")
    )


def draw_curves(runs: Sequence[Run], out: str | Path, *, span: int = 7) -> Path:
    """Draw losses and accuracies of runs, one after the other.

    Args:
        runs: In the order in which they were trained.
        out: The picture, PNG.
        span: Rows that a line is the mean of; single rows are drawn faintly.

    Raises:
        ValueError: There are no runs.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    if not runs:
        raise ValueError("there are no runs to draw")
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
    panels = (
        (axes[0], (("rsp_loss", "RSP loss", RSP), ("avid_loss", "A-VID loss", AVID)), "loss"),
        (
            axes[1],
            (
                ("rsp_accuracy", "RSP, right order", RSP),
                ("avid_top1", "A-VID, top-1 against the queue", AVID),
            ),
            "share of the batch's samples",
        ),
    )
    for axis, curves, label in panels:
        offset = 0.0
        for number, run in enumerate(runs):
            steps = run.columns["step"] + offset
            for name, title, colour in curves:
                values = run.columns[name]
                axis.plot(steps, values, color=colour, alpha=0.2, linewidth=0.8)
                axis.plot(
                    steps,
                    smoothed(values, span),
                    color=colour,
                    linewidth=1.8,
                    linestyle="-" if colour == RSP else "--",
                    label=title if number == 0 else None,
                )
            offset = float(steps[-1])
            if number < len(runs) - 1:
                axis.axvline(offset, color="0.5", linewidth=0.8, linestyle=":")
        axis.set_xlabel("step")
        axis.set_ylabel(label)
        axis.grid(axis="y", color="0.9")
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_xlim(0, offset)
    axes[0].set_yscale("log")
    axes[0].legend(frameon=False)
    axes[1].set_ylim(0, 1)
    axes[1].axhline(0.5, color=RSP, linewidth=0.8, linestyle=":")
    axes[1].legend(frameon=False, loc="lower right")
    with atomic_path(out) as temporary:
        figure.savefig(temporary, format="png", dpi=150)
    plt.close(figure)
    return Path(out)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m analysis.curves", description="Draw training curves."
    )
    parser.add_argument("runs", nargs="+", help="folders of runs, in the order of training")
    parser.add_argument("--out", default="curves.png", help="the picture")
    options = parser.parse_args(arguments)
    try:
        print(draw_curves([read_run(run) for run in options.runs], options.out))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
