"""Training curves for print: ``python -m analysis curves RUN [RUN ...] --out FILE.png``.

Both losses, and how often both tasks are solved. Runs that follow one another (each started from
the model of the one before) are drawn on one axis of steps, with a line where the next begins.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from matplotlib.axes import Axes
from numpy.typing import NDArray

from analysis.figures.style import COLOURS, GREY, LINES, TITLES, check_out, new_figure, save, style

Floats = NDArray[np.float64]
# Left: the loss; right: the share of a batch that solves the task.
_PANELS = (("rsp", "rsp_loss", "rsp_accuracy"), ("avid", "avid_loss", "avid_top1"))


@dataclass(frozen=True)
class Run:
    """The metrics of a run, columns of ``metrics.csv``.

    Attributes:
        name: Its folder's name.
        columns: ``step`` and the rest, each (N,).
        rsp_weight: Weight of the RSP loss; at 0 the task was not trained.
    """

    name: str
    columns: dict[str, Floats]
    rsp_weight: float = 1.0

    def trained(self, head: str) -> NDArray[np.bool_]:
        """At which rows a head's task had a weight in the loss, (N,)."""
        if head == "rsp":
            return np.full(len(self.columns["step"]), self.rsp_weight > 0)
        weights = self.columns.get("avid_weight")
        return np.ones(len(self.columns["step"]), bool) if weights is None else weights > 0


def read_run(folder: str | Path) -> Run:
    """Read ``metrics.csv`` of a run's folder, and its RSP weight from ``config.yaml`` if there.

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
    columns = {n: np.array([float(r[n] or "nan") for r in rows]) for n in rows[0]}
    return Run(Path(folder).name, columns, _rsp_weight(path.with_name("config.yaml")))


def _rsp_weight(path: Path) -> float:
    try:
        return float(yaml.safe_load(path.read_text())["loss"]["rsp_weight"])
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError):
        return 1.0  # of another kind of run, or of none


def smoothed(values: Floats, span: int) -> Floats:
    """Mean over a window of ``span`` rows, cut off at the ends."""
    kernel = np.ones(min(span, len(values)))
    return np.asarray(
        np.convolve(values, kernel, "same") / np.convolve(np.ones(len(values)), kernel, "same")
    )


def _draw(axes: Axes, runs: Sequence[Run], head: str, column: str, span: int) -> None:
    offset = 0.0
    for number, run in enumerate(runs):
        steps, trained = run.columns["step"] + offset, run.trained(head)
        values = run.columns[column]
        axes.plot(steps, np.where(trained, values, np.nan), color=COLOURS[head], alpha=0.25, lw=0.6)
        line = np.where(trained, smoothed(values, span), np.nan)
        axes.plot(steps, line, LINES[head], color=COLOURS[head])
        offset = float(steps[-1])
        if number < len(runs) - 1:
            axes.axvline(offset, color=GREY, linestyle=":", linewidth=0.8)
    axes.set_xlim(0, offset)


def draw_curves(runs: Sequence[Run], out: str | Path, *, span: int = 7) -> Path:
    """Draw losses and accuracies of runs, one after the other.

    A task is skipped where it had no weight in the loss.

    Args:
        runs: In the order in which they were trained.
        out: ``*.png``, ``*.svg`` or ``*.pdf``.
        span: Rows that a line is the mean of; single rows are drawn faintly.

    Raises:
        ValueError: There are no runs, or ``out`` has another ending.
    """
    check_out(out)
    if not runs:
        raise ValueError("there are no runs to draw")
    with style():
        figure = new_figure(height=3.4)
        grid = figure.subplots(2, 2, sharex=True)
        for row, (head, loss, solved) in zip(grid, _PANELS, strict=True):
            _draw(row[0], runs, head, loss, span)
            _draw(row[1], runs, head, solved, span)
            row[0].set_ylabel(f"{TITLES[head]} loss")
            row[1].set_ylabel("RSP, right order" if head == "rsp" else "A-VID, top-1 in the queue")
            row[1].set_ylim(0, 1.02)
        grid[0][1].axhline(0.5, color=GREY, linewidth=0.6)
        grid[0][1].annotate(
            "chance", (1, 0.5), (-2, -3), xycoords=grid[0][1].get_yaxis_transform(),
            textcoords="offset points", ha="right", va="top", color=GREY, fontsize=7,
        )  # fmt: skip
        for axes in grid[1]:
            axes.set_xlabel("step")
        return save(figure, out)
