"""The picture of the study of optical flow: its dots are the study's numbers."""

from pathlib import Path

import numpy as np

from analysis.core.grid import Grid
from analysis.core.statistics import Estimate
from analysis.figures.flow_figure import draw_flow
from analysis.figures.localisation_figure import ROWS
from analysis.figures.style import save
from analysis.stimuli.kinds import KINDS
from analysis.studies.optical_flow_result import (
    TARGET_NAMES,
    TARGETS,
    FlowResult,
    FlowRow,
    FlowStudy,
)


def number(value: float) -> Estimate:
    return Estimate(value, value - 0.1, value + 0.1, 5)


def result(weights: str, kinds: tuple[str, ...], seed: int) -> FlowResult:
    rng = np.random.default_rng(seed)
    rows = [
        FlowRow(
            kind=kind, target=target, speed=speed, rsp=number(float(rng.uniform(-0.5, 0.5))),
            avid=number(float(rng.uniform(-0.5, 0.5))), difference=number(0),
        )
        for speed in ("both", "1x", "2x")
        for kind in kinds
        for target in TARGETS
    ]  # fmt: skip
    return FlowResult(weights=weights, rows=tuple(rows))


def study(kinds: tuple[str, ...] = KINDS) -> FlowStudy:
    return FlowStudy(
        results=(result("trained", kinds, 0), result("random weights", kinds, 1)),
        model_hash="", what="videos", num_videos=5, num_triplets=1, seed=9,
        grid=Grid.even((2, 2, 2), (8, 32, 32)), pixels={},
    )  # fmt: skip


def test_every_dot_is_a_number_of_the_study() -> None:
    found = study()
    figure = draw_flow(found)
    assert [axis.get_title() for axis in figure.axes] == [TARGET_NAMES[name] for name in TARGETS]
    for axis, target in zip(figure.axes, TARGETS, strict=True):
        points = [line for line in axis.lines if len(line.get_xdata()) == 1]
        drawn = {
            (round(float(p.get_ydata()[0]), 2), p.get_markerfacecolor() == "white"): float(
                p.get_xdata()[0]
            )
            for p in points
        }
        expected = {}
        for hollow, weights in ((False, "trained"), (True, "random weights")):
            for place, (kind, speed) in enumerate(ROWS):
                row = found.of(weights).row(kind, target, speed)
                expected[round(place - 0.17, 2), hollow] = row.rsp.value
                expected[round(place + 0.17, 2), hollow] = row.avid.value
        assert drawn == expected


def test_heads_of_layers_have_one_row_less() -> None:
    axis = draw_flow(study(KINDS[1:])).axes[0]
    assert len(axis.get_yticklabels()) == len(ROWS) - 1


def test_the_same_picture_each_time(tmp_path: Path) -> None:
    first, again = (
        save(draw_flow(study()), tmp_path / name, dpi=60) for name in ["a.png", "b.png"]
    )
    assert first.read_bytes() == again.read_bytes()
