"""The benchmark's tables, in Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.core.statistics import Estimate
from benchmarks.small_scale.measures import METRICS, Row
from rspnet.retrieve import KS, PUBLISHED

_FULL = ("top-1", "k-NN", "linear")  # with their interval; those of the others are in the JSON

_OWN_TASKS = (("rsp_accuracy", "rsp_interval"), ("avid_top1", "avid_interval"))


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]], num_text: int = 1) -> str:
    """A table; so many first columns are text, the others are numbers."""
    rules = ["---"] * num_text + ["---:"] * (len(header) - num_text)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, rules, *rows))


def in_percent(e: Estimate) -> str:
    """A number in % with its interval."""
    return f"{e.value:.1f} [{e.low:.1f}, {e.high:.1f}]"


def in_points(e: Estimate) -> str:
    """A difference in points with its interval."""
    return f"{e.value:+.1f} [{e.low:+.1f}, {e.high:+.1f}]"


def label_table(
    rows: Sequence[Row],
    chance: Mapping[str, float],
    controls: Mapping[tuple[str, str], Row],
) -> str:
    """All metrics on one kind of label."""
    header = ["", "feature", *METRICS, "top-1 minus random weights", "seeds' top-1"]
    rest = ["-"] * (len(METRICS) - len(KS) + 2)
    cells = [["chance", "-", *(f"{chance[f'top-{k}']:.1f}" for k in KS), *rest]]
    for row in rows:
        numbers = [
            in_percent(row.estimate(metric)) if metric in _FULL else f"{row.mean(metric):.1f}"
            for metric in METRICS
        ]
        control = controls.get((row.name, row.feature))
        gain = "-" if control is None else in_points(row.minus(control, "top-1"))
        seeds = "-"
        if row.num_seeds > 1:
            means = row.seed_means("top-1")
            seeds = f"{min(means):.1f} to {max(means):.1f} ({row.num_seeds})"
        cells.append([row.name, row.feature, *numbers, gain, seeds])
    return markdown(header, cells, num_text=2)


def heads_table(tables: Mapping[str, Sequence[Row]], names: Sequence[str]) -> str:
    """RSP minus A-VID at top-1, paired by test video."""
    cells = []
    for name in names:
        line = [name]
        for rows in tables.values():
            rsp, avid = (
                next(row for row in rows if (row.name, row.feature) == (name, feature))
                for feature in ("RSP", "A-VID")
            )
            line.append(in_points(rsp.minus(avid, "top-1")))
        cells.append(line)
    return markdown(["RSP minus A-VID, top-1", *tables], cells)


def tasks_cells(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """RSP's ordering accuracy, A-VID's top-1 and on how many videos, of the seeds of a model.

    A task whose head was not trained has no number.
    """
    cells = []
    for value, interval in _OWN_TASKS:
        if runs[0][value] is None:
            cells.append("-")
            continue
        values = [100 * run[value] for run in runs]
        text = f"{sum(values) / len(values):.1f}"
        if len(runs) == 1:
            low, high = runs[0][interval]
            text += f" [{100 * low:.1f}, {100 * high:.1f}]"
        else:
            text += f" ({min(values):.1f} to {max(values):.1f})"
        cells.append(text)
    return [*cells, str(runs[0]["num_videos"])]


def pretext_table(found: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]]) -> str:
    """RSP's ordering accuracy and A-VID's top-1.

    Args:
        found: For each set of videos and each model the results of its seeds.
    """
    cells = [
        [title, name, *tasks_cells(runs)]
        for title, models in found.items()
        for name, runs in models.items()
    ]
    return markdown(["", "model", "RSP ordering", "A-VID top-1", "videos"], cells, num_text=2)


def published_table() -> str:
    """Published top-k by the same protocol on UCF101."""
    cells = [
        [name, *("-" if value is None else f"{value:.1f}" for value in values)]
        for name, values in PUBLISHED
    ]
    return markdown(["published: UCF101 split 1", *(f"top-{k}" for k in KS)], cells)
