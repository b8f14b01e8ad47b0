"""The picture of :mod:`analysis.gallery.projection`: galleries in two dimensions, by label."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.style import (
    CATEGORIES,
    COLOURS,
    GREY,
    INK,
    MARKERS,
    PAGE_INCHES,
    TITLES,
    style,
    wrapped,
)
from analysis.gallery.projection import Embedding

MOST_CLASSES = 10  # with a mark of their own; of more the largest nine are shown
_OTHER = "other"
_HUES = (*CATEGORIES[:-1], INK)  # grey is for the others
# Shapes of one size look as large as each other with these shares of a disc's area.
_AREAS = {"*": 1.8, "P": 1.2, "X": 1.2, "D": 0.75, "^": 1.1, "v": 1.1}
# Inches.
_EDGE, _LEFT, _RIGHT, _HEAD, _FOOT = 0.06, 0.52, 0.14, 0.26, 0.4
_PANEL = PAGE_INCHES / 2 - _LEFT - _RIGHT
_ROW, _LINE = 0.16, 0.125
_SMALL = 6.5  # points


@dataclass(frozen=True, kw_only=True)
class EmbeddingFigure:
    """The picture and what it shows in words.

    Attributes:
        figure: To be saved with :func:`analysis.figures.style.save`.
        caption: With the number of videos, the method and its settings.
    """

    figure: Figure
    caption: str


@dataclass(frozen=True)
class Mark:
    """How the videos of a class are drawn.

    Attributes:
        name: Of the class.
        num: Its videos in the first gallery.
        colour: Okabe and Ito's, or grey.
        marker: matplotlib's.
        filled: Whether it is filled in.
    """

    name: str
    num: int
    colour: str
    marker: str
    filled: bool = True


def marks_of(labels: Sequence[str]) -> tuple[dict[str, Mark], Mark | None]:
    """A colour and a shape for each class, the largest class first.

    The first seven differ in colour and in shape; those after them are hollow.

    Returns:
        The marks of classes by label, and that of all others, if there are any: videos without a
        label, and the smaller classes where there are more than :data:`MOST_CLASSES`.
    """
    sizes = Counter(label for label in labels if label)
    order = sorted(sizes, key=lambda name: (-sizes[name], name))
    shown = order if len(order) <= MOST_CLASSES else order[: MOST_CLASSES - 1]
    marks = {
        name: Mark(
            name,
            sizes[name],
            _HUES[n % len(_HUES)],
            MARKERS[n % len(_HUES)],
            filled=n < len(_HUES),
        )
        for n, name in enumerate(shown)
    }
    num_others = len(labels) - sum(mark.num for mark in marks.values())
    return marks, Mark(_OTHER, num_others, CATEGORIES[-1], ".") if num_others else None


def _draw_panel(
    axis: Axes, e: Embedding, marks: dict[str, Mark], other: Mark | None, title: str
) -> None:
    labels = np.array([label if label in marks else "" for label in e.labels])
    area = float(np.clip(2400 / math.sqrt(len(labels)) / 9, 3, 20))
    layers = [("", other)] if other is not None else []
    for name, mark in [*layers, *marks.items()]:
        rows = labels == name
        if not rows.any():
            continue
        grey = mark is other
        axis.scatter(
            e.points[rows, 0],
            e.points[rows, 1],
            s=area * _AREAS.get(mark.marker, 1.0),
            facecolors=mark.colour if mark.filled else "none",
            edgecolors="none" if grey else ("white" if mark.filled else mark.colour),
            marker=mark.marker,
            alpha=0.4 if grey else 0.9,
            linewidths=0.25 if mark.filled else 0.8,
            rasterized=len(labels) > 2000,  # a vector file of many points is slow to open
        )
    axis.set_title(title, color=COLOURS.get(e.name, INK), fontweight="bold", fontsize=9, pad=5)
    if e.explained is not None:
        names = [
            f"PC {n} ({100 * share:.0f}% of the variance)" for n, share in enumerate(e.explained, 1)
        ]
        axis.set_xlabel(names[0], labelpad=2)
        axis.set_ylabel(names[1], labelpad=2)
        axis.tick_params(length=2, pad=1.5)
        axis.locator_params(nbins=5)
    else:
        # Their axes mean nothing.
        axis.set_xticks([])
        axis.set_yticks([])
        axis.spines[:].set_visible(True)
        axis.spines[:].set(edgecolor=GREY, linewidth=0.4)
    # One unit is as long to the right as up: distances are what is looked at.
    axis.set_aspect("equal", adjustable="datalim")
    axis.margins(0.05)


def _caption(embeddings: Sequence[Embedding], label: str, num_classes: int, other: bool) -> str:
    first = embeddings[0]
    counts = sorted({len(e.paths) for e in embeddings})
    videos = " and ".join(f"{count:,}" for count in counts)
    parts = [f"{videos} videos in two dimensions by {first.settings}, coloured by {label}."]
    if first.explained is not None:
        shares = "; ".join(
            f"{_title(e)} {100 * sum(e.explained):.0f}%" for e in embeddings if e.explained
        )
        parts.append(f"Share of the variance that both axes together show: {shares}.")
    else:
        parts.append("What is near stays near; distances between groups mean little.")
    if label == "cluster":
        parts.append("Clusters are those of k-means in all dimensions, each panel's own.")
    if other and num_classes > MOST_CLASSES:
        parts.append(
            f"The largest {MOST_CLASSES - 1} of {num_classes} classes have a mark of their own."
        )
    return " ".join(parts)


def _title(e: Embedding) -> str:
    name = TITLES.get(e.name, e.name)
    return f"{name}, {e.gallery}" if e.gallery else name


def draw_embeddings(
    embeddings: Sequence[Embedding],
    *,
    label: str = "label",
    with_caption: bool = True,
) -> EmbeddingFigure:
    """Draw maps side by side, a class in one mark in all of them.

    Args:
        embeddings: By one method; two go side by side, more in further rows.
        label: What they are coloured by, in words.
        with_caption: Write the caption below.

    Raises:
        ValueError: There are no maps, or they are of several methods.
    """
    if not embeddings or len({e.method for e in embeddings}) > 1:
        raise ValueError(
            f"maps by one method are drawn side by side, got {[e.method for e in embeddings]}"
        )
    # Marks are dealt out over all galleries, a video of two features counts once.
    seen: dict[tuple[str, str], str] = {}
    for e in embeddings:
        seen |= {(e.gallery, path): own for path, own in zip(e.paths, e.labels, strict=True)}
    if label == "cluster":
        # Each feature has clusters of its own.
        every = tuple(name for e in embeddings for name in e.labels)
    else:
        every = tuple(seen.values())
    marks, other = marks_of(every)
    num_classes = len({name for name in every if name})
    columns = min(len(embeddings), 2)
    rows = -(-len(embeddings) // columns)
    foot = _FOOT if embeddings[0].explained is not None else 0.12  # without axes' names
    width, tall = columns * PAGE_INCHES / 2, _HEAD + _PANEL + foot
    with style():
        caption = _caption(embeddings, label, num_classes, other is not None)
        lines = wrapped(caption, width - 2 * _EDGE, _SMALL) if with_caption else []
        legend = [*marks.values(), *([other] if other is not None else [])]
        per_row = max(int((width - 2 * _EDGE) / 1.36), 1)
        legend_rows = -(-len(legend) // per_row)
        panels = rows * tall
        height = panels + _ROW * legend_rows + 0.12 + _LINE * len(lines) + _EDGE
        figure = Figure((width, height))
        for n, e in enumerate(embeddings):
            row, column = divmod(n, columns)
            x, y = column * PAGE_INCHES / 2 + _LEFT, row * tall + _HEAD
            axis = figure.add_axes(
                (x / width, 1 - (y + _PANEL) / height, _PANEL / width, _PANEL / height)
            )
            _draw_panel(axis, e, marks, other, _title(e))
        figure.legend(
            handles=[
                Line2D(
                    [], [], linestyle="", marker=mark.marker, color=mark.colour,
                    markersize=4.5 * _AREAS.get(mark.marker, 1.0) ** 0.5,
                    markerfacecolor=mark.colour if mark.filled else "none",
                    markeredgewidth=0 if mark.filled else 0.8, label=_name(mark, label),
                )
                for mark in legend
            ],
            loc="upper left",
            bbox_to_anchor=(_EDGE / width, 1 - panels / height),
            ncols=per_row,
            fontsize=_SMALL,
            borderaxespad=0,
            borderpad=0,
            handletextpad=0.1,
            columnspacing=1.2,
        )  # fmt: skip
        top = panels + _ROW * legend_rows + 0.1
        for n, line in enumerate(lines):
            figure.text(
                _EDGE / width, 1 - (top + n * _LINE) / height, line, va="top", fontsize=_SMALL,
                color=GREY,
            )  # fmt: skip
    return EmbeddingFigure(figure=figure, caption=caption)


def _name(mark: Mark, label: str, most: int = 18) -> str:
    name = mark.name.replace("_", " ")
    name = name if len(name) <= most else name[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return name if label == "cluster" else f"{name} ({mark.num:,})"
