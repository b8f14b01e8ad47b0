"""A report's numbers as figures, still as data: what `dashboard.app_pages.evidence.charts` draws.

All numbers and intervals are those of `analysis`; here they only get a place.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rspnet.names import HEADS

if TYPE_CHECKING:
    from analysis.core.statistics import Estimate
    from analysis.studies.faithfulness_result import FaithfulnessResult
    from analysis.studies.localisation_result import LocalisationStudy
    from analysis.studies.optical_flow_result import FlowStudy
    from analysis.studies.response_result import Responses
    from analysis.studies.sanity_result import SanityResult


@dataclass(frozen=True)
class Dot:
    """A number of a head in a row.

    Attributes:
        row: From 0.
        head: ``rsp`` or ``avid``.
        value: With its interval.
        control: Whether it is of random weights.
    """

    row: int
    head: str
    value: "Estimate"
    control: bool = False


@dataclass(frozen=True)
class DotPanel:
    """One column of rows of dots.

    Attributes:
        title: Above it.
        dots: What it shows.
        lines: Places of thin lines to compare with, and whether each is dotted.
    """

    title: str
    dots: tuple[Dot, ...]
    lines: tuple[tuple[float, bool], ...] = ()


@dataclass(frozen=True)
class DotFigure:
    """Rows of dots with intervals, one or more columns.

    Attributes:
        title: Above the figure.
        rows: Names of the rows.
        panels: Columns.
        axis: What the values are.
        logarithmic: Scale of the values.
    """

    title: str
    rows: tuple[str, ...]
    panels: tuple[DotPanel, ...]
    axis: str
    logarithmic: bool = False


@dataclass(frozen=True)
class Line:
    """A curve of a head.

    Attributes:
        head: ``rsp`` or ``avid``.
        values: With intervals, one a place.
        control: Whether it is of random weights.
    """

    head: str
    values: "tuple[Estimate, ...]"
    control: bool = False


@dataclass(frozen=True)
class LinePanel:
    """Curves over the same places.

    Attributes:
        title: What the places are.
        places: Where the values lie.
        words: What the axis says at each.
        lines: Curves.
        logarithmic: Scale of the places.
        backwards: Whether they run from right to left.
        apart: Whether the last place does not belong to the curve.
    """

    title: str
    places: tuple[float, ...]
    words: tuple[str, ...]
    lines: tuple[Line, ...]
    logarithmic: bool = False
    backwards: bool = False
    apart: bool = False


@dataclass(frozen=True)
class LineFigure:
    """Panels of curves with one axis of values.

    Attributes:
        title: Above the figure.
        panels: In their order.
        columns: Panels side by side.
        axis: What the values are.
        band: Values between which a curve passes, or None.
    """

    title: str
    panels: tuple[LinePanel, ...]
    columns: int
    axis: str
    band: tuple[float, float] | None = None


Figure = DotFigure | LineFigure


def responses(responses: "Responses") -> list[Figure]:
    """Curves, exchanges and selectivity of both heads."""
    from analysis.figures.response_figure import CURVES

    panels = [_curve(responses, name) for name in CURVES]
    curves = LineFigure(
        "Similarity as one thing changes",
        tuple(panels),
        3,
        "Similarity on a scale of each head: 1 unchanged, 0 another video",
    )
    return [curves, _selectivity(responses), _switches(responses)]


def _curve(responses: "Responses", name: str) -> LinePanel:
    from analysis.figures.response_figure import height_of
    from analysis.stimuli.perturbations import find_change

    curve = responses.curve(name)
    lines = [
        Line(
            head,
            tuple(height_of(one.scaled_drop(head, name, level)) for level in curve.levels),
            one is not responses,
        )
        for one in (*responses.controls, responses)
        for head in HEADS
    ]
    return LinePanel(
        find_change(name).title,
        tuple(float(level) for level in curve.levels),
        # The first of them lie too close for words.
        tuple("" if name == "offset" and 0 < at < 4 else f"{at:g}" for at in curve.levels),
        tuple(lines),
        logarithmic=name in ("speed", "shuffle"),
        backwards=name == "crop",
    )


def _selectivity(responses: "Responses") -> DotFigure:
    from analysis.studies.selectivity import selectivities

    found = selectivities(responses)
    rows = tuple(dict.fromkeys(one.measure.title for one in found))
    dots = [
        Dot(rows.index(one.measure.title), own.head, own.motion, one.weights != responses.weights)
        for one in found
        for own in one.heads
    ]
    panel = DotPanel("", tuple(dots))
    return DotFigure(
        "Motion selectivity", rows, (panel,), "1: motion alone moves the head, 0: looks alone"
    )


def _switches(responses: "Responses") -> DotFigure:
    from analysis.stimuli.perturbations import find_change

    changes = [find_change(curve.change) for curve in responses.curves]
    switches = [change for change in changes if change.is_switch]
    dots = [
        Dot(row, head, one.scaled_drop(head, change.name, change.levels[-1]), one is not responses)
        for one in (*responses.controls, responses)
        for row, change in enumerate(switches)
        for head in HEADS
    ]
    panel = DotPanel("", tuple(dots), ((0.0, False), (1.0, True)))
    return DotFigure(
        "Changes that are on or off, and exchanges",
        tuple(change.title for change in switches),
        (panel,),
        "Drop of the similarity: 0 none, 1 (dotted) another video",
    )


def _rows_of(kinds: tuple[str, ...]) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """Kinds of maps and speeds of the query, and their names."""
    from analysis.figures.localisation_figure import ROWS
    from analysis.studies.localisation_result import KIND_NAMES

    rows = tuple(row for row in ROWS if row[0] in kinds)
    names = (KIND_NAMES[kind] + ("" if at == "both" else f", {at}") for kind, at in rows)
    return rows, tuple(names)


def planted(study: "LocalisationStudy") -> DotFigure:
    """Where the maps' positive energy lies, region by region."""
    from analysis.figures.localisation_figure import COLUMNS
    from analysis.studies.localisation_result import REGION_NAMES

    trained, random = study.of(), study.of("random weights")
    rows, names = _rows_of(trained.kinds)
    panels = []
    for region in COLUMNS:
        dots = [
            Dot(n, head, one.row(kind, head, region, speed).ratio, one is random)
            for one in (random, trained)
            for n, (kind, speed) in enumerate(rows)
            for head in HEADS
        ]
        ceiling = trained.row(rows[0][0], HEADS[0], region).ceiling.value
        lines = ((1.0, False), (ceiling, True))
        panels.append(DotPanel(REGION_NAMES[region], tuple(dots), lines))
    return DotFigure(
        "Positive energy of the maps in planted regions",
        names,
        tuple(panels),
        "Share of energy over share of pixels; line: 1, dotted: the most on this grid, below 0.08 "
        "at the edge",
        logarithmic=True,
    )


def flow(study: "FlowStudy") -> DotFigure:
    """How maps go with movement and saliency."""
    from analysis.studies.optical_flow_result import TARGET_NAMES, TARGETS

    trained, random = study.of(), study.of("random weights")
    rows, names = _rows_of(trained.kinds)
    panels = []
    for target in TARGETS:
        dots = [
            Dot(n, head, getattr(one.row(kind, target, speed), head), one is random)
            for one in (random, trained)
            for n, (kind, speed) in enumerate(rows)
            for head in HEADS
        ]
        panels.append(DotPanel(TARGET_NAMES[target], tuple(dots), ((0.0, False),)))
    return DotFigure(
        "Maps and pixels",
        names,
        tuple(panels),
        "Spearman's rho over the cells of a clip, mean over videos",
    )


def faithfulness(result: "FaithfulnessResult") -> list[Figure]:
    """Insertion, deletion and infidelity."""
    tests = tuple(dict.fromkeys((r.mode, r.question, r.fill) for r in result.curves))
    panels = []
    for title, name in (("than random orders", "over_random"), ("than the centre", "over_centre")):
        dots = [
            Dot(tests.index((r.mode, r.question, r.fill)), r.head, getattr(r, name))
            for r in result.curves
        ]
        panels.append(DotPanel(title, tuple(dots), ((0.0, False),)))
    questions = tuple(dict.fromkeys((r.question, r.fill) for r in result.infidelity))
    dots = [Dot(questions.index((r.question, r.fill)), r.head, r.better) for r in result.infidelity]
    return [
        DotFigure(
            "How much better the order of the map is",
            tuple(", ".join(test) for test in tests),
            tuple(panels),
            "Difference of areas under the curve of the score; above 0 the map knows something",
        ),
        DotFigure(
            "How much better the map explains drops than its shuffled self",
            tuple(", ".join(question) for question in questions),
            (DotPanel("", tuple(dots), ((0.0, False),)),),
            "Difference of the shares left unexplained",
        ),
    ]


def sanity(result: "SanityResult") -> LineFigure:
    """How maps change while weights are made random."""
    from analysis.core.statistics import Estimate
    from analysis.studies.sanity_result import LIMIT, OTHER_VIDEO

    stages = (*result.stages, OTHER_VIDEO)
    words = ("trained", *stages)
    same = Estimate(1.0, 1.0, 1.0, result.num_videos)
    panels = []
    for question in dict.fromkeys(question for _, question in result.questions):
        lines = [
            Line(head, (same, *(result.row(head, question, stage).rho for stage in stages)))
            for head, asked in result.questions
            if asked == question
        ]
        panels.append(
            LinePanel(
                f"map of the {question}",
                tuple(float(n) for n in range(len(words))),
                words,
                tuple(lines),
                apart=True,
            )
        )
    return LineFigure(
        "Weights made random, from the heads down",
        tuple(panels),
        2,
        "Rank correlation with the trained model's map; shaded: what passes",
        (-LIMIT, LIMIT),
    )
