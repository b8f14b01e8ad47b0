"""The figure of responses shows the numbers of the result."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from analysis.figures.response_figure import (
    CURVES,
    EXCHANGES,
    draw_curve,
    draw_responses,
    draw_selectivity,
    save_responses,
)
from analysis.stimuli.perturbations import CHANGES
from analysis.stimuli.perturbed_clips import Curve
from analysis.studies.response_result import Responses
from analysis.studies.selectivity import selectivity
from rspnet.names import HEADS

SPREAD = {"rsp": 0.5, "avid": 0.8}
V = 6


def responses(seed: int = 0, weights: str = "trained") -> Responses:
    rng = np.random.default_rng(seed)
    curves = tuple(
        Curve(
            change=name,
            levels=change.levels,
            similarity={
                head: 1
                - (np.array(change.levels) != change.neutral)
                * rng.uniform(0.05, 0.4, (V, len(change.levels)))
                for head in HEADS
            },
        )
        for name, change in CHANGES.items()
    )
    return Responses(
        weights=weights,
        model_hash="",
        branch="query",
        source="videos",
        seed=0,
        num_frames=16,
        window=61,
        videos=tuple(f"v{n}" for n in range(V)),
        unchanged={head: np.ones(V) for head in HEADS},
        unrelated={head: np.full(V, 1 - SPREAD[head]) for head in HEADS},
        curves=curves,
    )


@pytest.fixture(scope="module")
def measured() -> Responses:
    return replace(responses(), controls=(responses(1, "random weights"),))


@pytest.mark.parametrize("change", CURVES)
def test_curves_are_the_scaled_means(measured: Responses, change: str) -> None:
    axis = Figure().add_subplot()
    draw_curve(axis, measured, change)
    curve = measured.curve(change)
    drawn = [line for line in axis.lines if len(line.get_xdata()) == len(curve.levels)]
    assert len(drawn) == 4  # a head and its control, twice
    for line, head in ((drawn[1], "rsp"), (drawn[3], "avid")):
        np.testing.assert_array_equal(line.get_xdata(), curve.levels)
        expected = 1 - (1 - curve.similarity[head].mean(axis=0)) / SPREAD[head]
        np.testing.assert_allclose(line.get_ydata(), expected)
    assert [line.get_linestyle() for line in drawn] == ["-", "-", "--", "--"]
    band = axis.collections[0].get_paths()[0].vertices[:, 1]
    estimate = measured.scaled_drop("rsp", change, curve.levels[-1])
    assert min(abs(band - (1 - estimate.high))) < 1e-12
    assert (axis.get_xscale() == "log") == (change in ("speed", "shuffle"))


def test_speed_is_on_an_axis_of_doublings(measured: Responses) -> None:
    axis = Figure().add_subplot()
    draw_curve(axis, measured, "speed")
    assert axis.xaxis.get_transform().base == 2
    labels = [text.get_text() for text in axis.get_xticklabels()]
    assert labels == ["¼", "½", "1", "1.5", "2", "3", "4"]


def test_selectivity_bars(measured: Responses) -> None:
    axis = Figure().add_subplot()
    draw_selectivity(axis, measured)
    heights = [bar.get_height() for bar in axis.patches]
    expected = [
        own.motion.value
        for measure in ("changes", "all", "exchange")
        for own in selectivity(measured, measure).heads
    ]
    np.testing.assert_allclose(heights, expected)


def test_panels_and_files(measured: Responses, tmp_path: Path) -> None:
    figure = draw_responses(measured)
    assert len(figure.axes) == 9
    lows = {axis.get_ylim() for axis in figure.axes[:6]}
    assert len(lows) == 1
    real = replace(
        measured,
        curves=tuple(c for c in measured.curves if c.change not in EXCHANGES),
        controls=(),
    )
    assert len(draw_responses(real).axes) == 8
    for ending, start in (("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")):
        assert save_responses(real, tmp_path / f"r.{ending}").read_bytes().startswith(start)
    with Image.open(tmp_path / "r.png") as picture:
        assert picture.width == 2100
    with pytest.raises(ValueError, match=r"\.png"):
        save_responses(real, tmp_path / "r.gif")
