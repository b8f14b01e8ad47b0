"""The picture of :mod:`analysis.studies.sanity`: rank correlation along the cascade."""

from pathlib import Path

import numpy as np

from analysis.figures.style import (
    COLOURS,
    GREY,
    LINES,
    PAGE_INCHES,
    TITLES,
    new_figure,
    save,
    style,
)
from analysis.studies.sanity_result import LIMIT, TARGET_TITLES, SanityResult


def draw_sanity(result: SanityResult, out: str | Path) -> Path:
    """Rank correlation along the cascade: a panel a question, a line a head, the interval as band.

    Args:
        result: What was measured.
        out: ``*.png``, ``*.svg`` or ``*.pdf``.

    Raises:
        ValueError: Another ending.
    """
    questions = list(dict.fromkeys(question for _, question in result.questions))
    heads = list(dict.fromkeys(head for head, _ in result.questions))
    names = ["trained", *result.stages]
    shown = [
        result.row(head, question, stage).rho.low
        for head, question in result.questions
        for stage in result.stages
    ]
    lowest = min(-LIMIT, *shown)
    with style():
        figure = new_figure(PAGE_INCHES, 2.6)
        axes = np.atleast_1d(figure.subplots(1, len(questions), sharey=True))
        for axis, question in zip(axes, questions, strict=True):
            axis.axhspan(-LIMIT, LIMIT, color=GREY, alpha=0.1, linewidth=0)
            axis.axhline(0, color=GREY, linewidth=0.6)
            for head in heads:
                found = [result.row(head, question, stage).rho for stage in result.stages]
                value = [1.0, *(e.value for e in found)]
                low, high = [1.0, *(e.low for e in found)], [1.0, *(e.high for e in found)]
                places = np.arange(len(names))
                axis.fill_between(places, low, high, color=COLOURS[head], alpha=0.18, linewidth=0)
                axis.plot(
                    places, value, color=COLOURS[head], linestyle=LINES[head], label=TITLES[head],
                    marker="o", markersize=2.5,
                )  # fmt: skip
            axis.set_title(TARGET_TITLES.get(question, question))
            axis.set_xticks(range(len(names)), names, rotation=30, ha="right")
            axis.set_xlim(-0.2, len(names) - 0.8)
            axis.set_ylim(lowest - 0.05, 1.05)
            axis.set_xlabel("random from the heads down to")
        axes[0].set_ylabel(
            "rank correlation with\nthe trained model\N{RIGHT SINGLE QUOTATION MARK}s map"
        )
        axes[-1].legend(loc="upper right")
    return save(figure, out)
