"""Figures in print: what is drawn is the overlay's, what is saved is the same each time."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from analysis.core.grid import Box, Grid
from analysis.figures.overlay import colours, draw_overlay, font
from analysis.figures.style import (
    CATEGORIES,
    MARKERS,
    check_out,
    colour_bar,
    frame_border,
    new_figure,
    number,
    save,
    scale_colours,
    show_map,
    style,
    values_at,
    wrapped,
)

GRID = Grid((2, 3, 4), (4, 24, 32), (2.0, 8.0, 8.0), (0.5, 0.0, 3.5))
MAP = np.random.default_rng(0).normal(size=GRID.cells)
FRAMES = np.random.default_rng(1).integers(0, 256, (4, 24, 32, 3), dtype=np.uint8)


def drawn() -> Figure:
    with style():
        figure = new_figure(2, 1.5)
        axis = figure.add_subplot()
        show_map(axis, FRAMES[1], values_at(MAP, GRID, 1), GRID, 2.0, box=Box(2, 3, 20, 21))
        frame_border(axis, "#0072b2")
        colour_bar(figure, axis, 2.0, "contribution to s")
    return figure


@pytest.mark.parametrize("smooth", [True, False])
def test_a_frame_is_drawn_as_in_the_clip(smooth: bool) -> None:
    whole = draw_overlay(FRAMES, MAP, GRID, limit=2.0, scale=3)
    for frame in range(4):
        axis = new_figure().add_subplot()
        show_map(axis, FRAMES[frame], values_at(MAP, GRID, frame), GRID, 2.0, smooth=smooth)
        (image,) = axis.images
        shown = np.asarray(image.get_array()).astype(int)
        if smooth:
            assert np.abs(shown - whole[frame]).max() <= 1  # of 255, by rounding
        else:
            assert shown.shape == whole[frame].shape
        assert tuple(image.get_extent()) == (0, 32, 24, 0)


def test_no_map_leaves_the_frame() -> None:
    axis = new_figure().add_subplot()
    show_map(axis, FRAMES[0], None, GRID, 1.0, scale=1)
    np.testing.assert_array_equal(axis.images[0].get_array(), FRAMES[0])
    assert len(axis.patches) == 0


def test_box_lies_where_it_says() -> None:
    axis = drawn().axes[0]
    (box,) = axis.patches
    assert box.get_window_extent().width > 0
    assert (box.get_x(), box.get_y(), box.get_width(), box.get_height()) == (2, 3, 18, 18)  # type: ignore[attr-defined]


def test_values_between_time_steps() -> None:
    # Centres of the steps are frames 0.5 and 2.5.
    np.testing.assert_allclose(values_at(MAP, GRID, 0), MAP[0])
    np.testing.assert_allclose(values_at(MAP, GRID, 1), 0.75 * MAP[0] + 0.25 * MAP[1])
    np.testing.assert_allclose(values_at(MAP, GRID, 3), MAP[1])
    with pytest.raises(ValueError, match="frames 0 to 3, got 4"):
        values_at(MAP, GRID, 4)
    with pytest.raises(ValueError, match="has the shape"):
        values_at(MAP[:1], GRID, 0)


def test_bar_shows_the_overlays_own_colours_on_white() -> None:
    found = np.asarray(scale_colours(5, opacity=1.0)([0, 1, 2, 3, 4]))[:, :3] * 255
    np.testing.assert_allclose(found[[0, -1]], colours(np.array([-1.0, 1.0])), atol=0.51)
    np.testing.assert_allclose(found[2], 255)
    figure = new_figure()
    axis = figure.add_subplot()
    with pytest.raises(ValueError, match="limit is positive"):
        colour_bar(figure, axis, 0.0, "")


def test_bar_is_labelled_with_its_ends_and_units() -> None:
    bar = drawn().axes[1]
    assert [tick.get_text() for tick in bar.get_yticklabels()] == ["\N{MINUS SIGN}2", "0", "+2"]
    assert bar.get_ylabel() == "contribution to s"
    assert bar.get_ylim() == (-2, 2)


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf", "PNG"])
def test_the_same_figure_is_the_same_file(tmp_path: Path, suffix: str) -> None:
    first, second = save(drawn(), tmp_path / f"a.{suffix}"), save(drawn(), tmp_path / f"b.{suffix}")
    assert first.read_bytes() == second.read_bytes()
    start = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[suffix.lower()]
    assert first.read_bytes().startswith(start)
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"a.{suffix}", f"b.{suffix}"]
    if suffix == "png":
        assert Image.open(first).size == (600, 450)  # 2 x 1.5 inches at 300 dots an inch


def test_other_kinds_of_file_are_refused(tmp_path: Path) -> None:
    for name in ("a.jpg", "a", "a.png.txt"):
        with pytest.raises(ValueError, match=r"written as \.png, \.svg, \.pdf, got"):
            save(drawn(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []
    assert check_out("a.pdf") == Path("a.pdf")


def test_style_leaves_settings_as_they_were() -> None:
    before = dict(mpl.rcParams)
    with style():
        assert mpl.rcParams["font.size"] == 8
        assert mpl.rcParams["pdf.fonttype"] == 42
    assert dict(mpl.rcParams) == before
    with pytest.raises(RuntimeError), style():
        raise RuntimeError
    assert dict(mpl.rcParams) == before


def test_categories_differ_in_lightness_or_hue_and_pair_with_shapes() -> None:
    pairs = {(CATEGORIES[i % len(CATEGORIES)], MARKERS[i % len(MARKERS)]) for i in range(56)}
    assert len(pairs) == 56


def test_numbers_have_signs_of_one_length() -> None:
    assert number(0.01234) == "+0.012"
    assert number(-0.01234) == "\N{MINUS SIGN}0.012"


def test_text_is_wrapped_by_its_measured_width() -> None:
    words = "iiii mmmm " * 20
    lines = wrapped(words.strip(), 1.0, 6.5)
    assert " ".join(lines) == words.strip()
    for n, line in enumerate(lines):
        assert font(65).getlength(line) / 10 <= 72
        if n:  # as much as fits stands on the line before
            assert font(65).getlength(f"{lines[n - 1]} {line.split()[0]}") / 10 > 72
    assert wrapped("a\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}b c", 0.01, 6.5) == [
        "a\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}b",
        "c",
    ]
