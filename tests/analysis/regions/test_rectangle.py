"""Rectangles in pixels, cells and text."""

import numpy as np
import pytest

from analysis import Grid
from analysis.regions.rectangle import Rectangle


def test_a_pixel_is_inside_where_its_middle_is() -> None:
    mask = Rectangle(0.25, 0.1, 0.75, 0.2, frames=(1, 9)).mask((3, 10, 4))
    expected = np.zeros((3, 10, 4), bool)
    expected[1:, 1, 1:3] = True
    np.testing.assert_array_equal(mask, expected)
    for nothing in (Rectangle(0.3, 0.3, 0.31, 0.9), Rectangle(0, 0, 1, 1, frames=(3, 5))):
        with pytest.raises(ValueError, match="covers no pixel of the clip, which has 3 frames of"):
            nothing.mask((3, 4, 4))


def test_cells_are_those_whose_middle_is_inside_or_else_one() -> None:
    # Centres at pixels 0, 16: territories end at 8.5, so the first is half as wide as the second.
    grid = Grid((2, 2, 2), (8, 32, 32), (4, 16, 16), (0, 0, 0))
    assert Rectangle(0, 0, 1, 1).cells(grid) == ((0, 1), (0, 1), (0, 1))
    assert Rectangle(0, 0, 0.2, 0.99, frames=(4, 7)).cells(grid) == ((1, 1), (0, 1), (0, 0))
    assert Rectangle(0.9, 0.2, 1, 0.24).cells(grid) == ((0, 1), (0, 0), (1, 1))


def test_a_part_drawn_in_a_video_is_of_the_clip_nearest_in_time() -> None:
    grid = Grid.even(cells=(2, 2, 2), clip=(4, 32, 32))
    clips = [(0, 2, 4, 6), (20, 22, 24, 26), (40, 42, 44, 46)]
    everywhere = ((0, 1), (0, 1), (0, 1))
    whole = (0, 0, 1, 1)
    assert Rectangle(*whole).in_clips(clips, grid) == (0, everywhere)
    # Frames 24 to 26 are the second half of the second clip.
    assert Rectangle(*whole, frames=(24, 26)).in_clips(clips, grid) == (1, ((1, 1), (0, 1), (0, 1)))
    assert Rectangle(*whole, frames=(30, 99)).in_clips(clips, grid)[0] == 2
    # Between two clips: the nearer one, with all of its time.
    assert Rectangle(*whole, frames=(8, 9)).in_clips(clips, grid) == (0, everywhere)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "4 numbers, or 6 with frames, got 1"),
        ("1,2", "4 numbers, or 6 with frames, got 2"),
        ("0,0,1,x", "a rectangle is numbers, such as .* got '0,0,1,x'"),
        ("0,0,nan,1", "left < right and top < bottom .* got 0, 0, nan, 1"),
        ("0.5,0,0.5,1", "left < right and top < bottom .* got 0.5, 0, 0.5, 1"),
        ("-1,0,1,1", "0 to 1, got -1, 0, 1, 1"),
        ("0,0,1,1,4,2", r"first <= last, got \(3, 1\)"),
        ("0,0,1,1,0,2", r"first <= last, got \(-1, 1\)"),
    ],
)
def test_what_is_no_rectangle_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Rectangle.parse(text)
