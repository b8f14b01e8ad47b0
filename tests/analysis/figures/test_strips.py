"""Maps over time: a panel a step, each the overlay of its own step, on one scale."""

import io
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from analysis import ClipInfo, ClipMap, Grid, KindMaps, View
from analysis.cli.strips import main
from analysis.figures.strips import StripRow, draw_strip, film_of, rows_of, step_frames
from analysis.figures.style import show_map

GRID = Grid((2, 3, 4), (4, 24, 32), (2.0, 8.0, 8.0), (0.5, 3.5, 3.5))
RANDOM = np.random.default_rng(0)
MAPS = [RANDOM.normal(size=GRID.cells) for _ in range(4)]


VIEWS = [
    View(RANDOM.integers(0, 256, (4, 24, 32, 3), dtype=np.uint8), ClipInfo(name, indices, 2))
    for name, indices in (("a", (10, 12, 14, 16)), ("b", (0, 2, 4, 6)))
]


def found() -> KindMaps:
    rows = {}
    for n, (head, score) in enumerate((("rsp", 0.5), ("avid", -0.25))):
        i, j = (
            ClipMap(MAPS[2 * n + side], score, head, "contribution", GRID, VIEWS[side].info)
            for side in range(2)
        )
        rows[head] = (replace(i, exact=True), replace(j, exact=True))
    return KindMaps(kind="contribution", rows=rows, similarity={"rsp": 0.5, "avid": -0.25})


def pair_rows() -> list[StripRow]:
    return rows_of(found(), *VIEWS)


def test_frames_are_nearest_to_the_centres_of_steps() -> None:
    assert step_frames(GRID) == [0, 2]  # centres 0.5 and 2.5, of two the earlier
    assert step_frames(Grid((4, 1, 1), (16, 8, 8), (4.0, 8, 8), (0.0, 0, 0))) == [0, 4, 8, 12]
    assert step_frames(Grid.even((4, 1, 1), (2, 8, 8))) == [0, 0, 1, 1]


def test_every_panel_is_its_own_step_on_one_scale() -> None:
    figure = draw_strip(pair_rows())
    panels = [axis for axis in figure.axes if len(axis.images) == 1]
    assert len(panels) == 8
    limit = max(float(np.abs(m).max()) for m in MAPS)
    views = (VIEWS[0], VIEWS[0], VIEWS[1], VIEWS[1])
    order = (MAPS[0], MAPS[2], MAPS[1], MAPS[3])
    other = draw_strip(pair_rows()).axes[0]
    for n, (view, values) in enumerate(zip(views, order, strict=True)):
        for step, frame in enumerate((0, 2)):
            other.images[0].remove()
            show_map(other, view.frames[frame], values[step], GRID, limit)
            np.testing.assert_array_equal(
                panels[2 * n + step].images[0].get_array(), other.images[0].get_array()
            )
    bar = figure.axes[-1]
    assert bar.get_xlim() == (-limit, limit)


def test_words_give_frames_of_the_video_and_sums_of_steps() -> None:
    texts = [t.get_text() for t in draw_strip(pair_rows()).texts]
    for values, numbers in zip(MAPS, ((10, 14), (0, 4)) * 2, strict=True):
        for step, frame in enumerate(numbers):
            total = f"{values[step].sum():+.2f}".replace("-", "\N{MINUS SIGN}")
            assert f"frame {frame}:  {total}" in texts
    assert {"s = +0.500", "s = \N{MINUS SIGN}0.250"} <= set(texts)


def test_no_name_of_a_map_runs_into_its_pictures() -> None:
    rows = pair_rows()
    kinds = ("contribution, 2 x 2 shifts", "margin, 4 x 4 shifts", "margin_static", "occlusion")
    named = [
        StripRow(name="", view=row.view, clip_map=replace(row.clip_map, kind=kind))
        for row, kind in zip(rows, kinds, strict=True)
    ]
    figure = draw_strip(named)
    figure.canvas.draw()
    left = min(axis.get_window_extent().x0 for axis in figure.axes if axis.images)
    words = ("2 x 2 shifts", "Margin\n4 x 4", "static", "Occlusion")
    beside = [t for t in figure.texts if any(word in t.get_text() for word in words)]
    assert len(beside) == 4
    reach = {t.get_text(): float(t.get_window_extent().x1) for t in beside}
    assert max(reach.values()) <= left, (reach, left)


def test_mistakes_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = pair_rows()
    with pytest.raises(ValueError, match="no maps to draw"):
        draw_strip([])
    fewer = ClipMap(MAPS[0][:1], 0.0, "rsp", "margin", Grid.even((1, 3, 4), GRID.clip))
    with pytest.raises(ValueError, match=r"as many time steps each, got \[1, 2\]"):
        draw_strip([rows[0], StripRow(name="", view=rows[0].view, clip_map=fewer)])
    short = View(rows[0].view.frames[:3], rows[0].view.info)
    with pytest.raises(ValueError, match="not what it was computed from"):
        draw_strip([StripRow(name="", view=short, clip_map=rows[0].clip_map)])
    assert main(["--out", str(tmp_path / "a.jpg")]) == 2
    assert main(["--model", "nobody", "--out", str(tmp_path / "a.mp4")]) == 2
    error = capsys.readouterr().err
    assert "written as .png" in error
    assert "no model 'nobody'" in error
    assert list(tmp_path.iterdir()) == []


def test_film_has_a_picture_a_frame() -> None:
    film = film_of(found(), VIEWS[0].frames, VIEWS[1].frames, fps=8)
    with av.open(io.BytesIO(film)) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        assert sum(1 for _ in container.decode(video=0)) == 4
