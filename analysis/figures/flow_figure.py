"""The picture of :mod:`analysis.studies.optical_flow`: maps correlated with pixels.

A dot a head and kind of map with its 95% interval, a column a property of the pixels. Videos
themselves are not shown.
"""

from matplotlib.figure import Figure

from analysis.figures.localisation_figure import ROWS, dot, dot_axis, dot_legend
from analysis.figures.style import GREY, INK, PAGE_INCHES, new_figure, style
from analysis.studies.localisation_result import KIND_NAMES
from analysis.studies.optical_flow_result import TARGET_NAMES, TARGETS, FlowStudy
from rspnet.names import HEADS


def draw_flow(study: FlowStudy) -> Figure:
    """Draw a study.

    Returns:
        A figure for :func:`analysis.figures.style.save`.
    """
    trained, random = study.of(), study.of("random weights")
    rows = [row for row in ROWS if row[0] in trained.kinds]
    names = [KIND_NAMES[kind] + ("" if speed == "both" else f", {speed}") for kind, speed in rows]
    with style():
        figure = new_figure(PAGE_INCHES, 0.9 + 0.27 * len(rows))
        axes = figure.subplots(1, len(TARGETS), sharex=True, sharey=True)
        for axis, target in zip(axes, TARGETS, strict=True):
            dot_axis(axis, names)
            axis.axvline(0, color=GREY, linewidth=0.8, zorder=0)
            for place, (kind, speed) in enumerate(rows):
                own = trained.row(kind, target, speed)
                untrained = random.row(kind, target, speed)
                for head in HEADS:
                    dot(axis, place, getattr(untrained, head), head, hollow=True)
                    dot(axis, place, getattr(own, head), head)
            axis.set_title(TARGET_NAMES[target])
        figure.supxlabel(
            "Spearman\N{RIGHT SINGLE QUOTATION MARK}s rho of map and pixels over the cells of a "
            "clip, mean over videos",
            fontsize=7, color=INK,
        )  # fmt: skip
        dot_legend(figure, f"{study.num_videos} videos")
    return figure
