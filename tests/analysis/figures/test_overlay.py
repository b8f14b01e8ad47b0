"""Drawing: colours centred on zero, the frame under a zero map, boxes inside the picture."""

import io

import av
import numpy as np
import pytest

from analysis.core.grid import Box, Grid, upsample
from analysis.figures.overlay import (
    Row,
    colour_bar,
    colours,
    common_limit,
    compose_pair,
    draw_box,
    draw_overlay,
    pair_video,
)


def frames(num: int = 4, size: int = 56) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (num, size, size, 3), dtype=np.uint8)


def grid(*cells: int, num: int = 4, size: int = 56) -> Grid:
    return Grid.even(cells, (num, size, size))


ZERO = np.zeros((2, 7, 7))
GRID = grid(2, 7, 7)


def lightness(rgb: np.ndarray) -> np.ndarray:
    return rgb.astype(float) @ [0.2126, 0.7152, 0.0722]


def test_colours_are_centred_on_white_and_differ_in_hue_and_lightness_from_it() -> None:
    blue, white, orange = colours(np.array([-1.0, 0.0, 1.0]))
    assert white.min() > 240
    assert blue[2] > blue[0] + 80
    assert orange[0] > orange[2] + 80
    scale = lightness(colours(np.linspace(0, 1, 20)))
    assert (np.diff(scale) < 0).all()
    scale = lightness(colours(np.linspace(-1, 0, 20)))
    assert (np.diff(scale) > 0).all()
    np.testing.assert_array_equal(colours(np.array([-7.0, 9.0])), [blue, orange])


def test_limit_is_common_to_all_maps() -> None:
    assert common_limit([np.array([0.1, -0.4]), np.array([0.3])]) == 0.4
    assert common_limit([np.zeros(3)]) == 1.0


def test_zero_map_leaves_the_frames_as_they_are() -> None:
    clip = frames()
    np.testing.assert_array_equal(draw_overlay(clip, ZERO, GRID, limit=1), clip)


def test_a_cell_is_drawn_at_its_place_and_time_alone() -> None:
    clip = np.full((4, 56, 56, 3), 128, np.uint8)
    values = np.zeros((2, 7, 7))
    values[1, 2, 5] = 1.0
    values[0, 0, 0] = -1.0
    drawn = draw_overlay(clip, values, GRID, limit=1.0, smooth=False, opacity=1.0)
    changed = (drawn != clip).any(axis=-1)
    expected = np.zeros((4, 56, 56), bool)
    expected[2:, 16:24, 40:48] = True
    expected[:2, :8, :8] = True
    np.testing.assert_array_equal(changed, expected)
    np.testing.assert_array_equal(drawn[3, 20, 44], colours(np.array(1.0)))
    np.testing.assert_array_equal(drawn[0, 4, 4], colours(np.array(-1.0)))


def test_a_larger_value_covers_more() -> None:
    clip = np.full((1, 8, 8, 3), 255, np.uint8)
    values = np.array([[[0.2, 0.9]]])
    drawn = draw_overlay(
        clip, values, grid(1, 1, 2, num=1, size=8), limit=1.0, smooth=False
    ).astype(int)
    assert (255 - drawn[0, 4, 6]).sum() > (255 - drawn[0, 4, 1]).sum() > 0


def test_pixels_are_those_of_the_formula_but_for_a_grey_level() -> None:
    rng = np.random.default_rng(0)
    grid = Grid.even((2, 3, 3), (4, 24, 24))
    values, frames = rng.normal(size=(2, 3, 3)), rng.integers(0, 256, (4, 24, 24, 3), np.uint8)
    drawn = draw_overlay(frames, values, grid, limit=1.5, opacity=0.6)
    value = upsample(values / 1.5, grid, 4, 24, 24, smooth=True)
    strength = np.clip(np.abs(value), 0, 1)
    colour = colours(np.sign(value) * (0.5 + 0.5 * strength))
    alpha = (0.6 * strength**0.8)[..., None]
    exact = (frames * (1 - alpha) + colour * alpha).round()
    off = np.abs(drawn.astype(float) - exact)
    assert off.max() <= 1
    assert (off > 0).mean() < 0.02


def test_boxes_are_drawn_whole_inside_the_picture() -> None:
    image = np.full((40, 40, 3), 128, np.uint8)
    draw_box(image, Box(0, 0, 40, 40))
    middle = image[20, :, 0].tolist()
    # Dark rim, white line, dark rim on either side: nothing is cut off by the picture's edge.
    assert middle[:3] == [20, 255, 20]
    assert middle[-3:] == [20, 255, 20]
    assert set(middle[3:-3]) == {128}
    clip = np.full((2, 40, 40, 3), 128, np.uint8)
    drawn = draw_overlay(
        clip,
        np.zeros((1, 2, 2)),
        grid(1, 2, 2, num=2, size=40),
        limit=1,
        boxes=[None, Box(10, 10, 20, 30)],
        scale=2,
    )
    np.testing.assert_array_equal(drawn[0], 128)
    changed = (drawn[1] != 128).any(axis=-1)
    outline = np.zeros((80, 80), bool)
    outline[20:60, 20:40] = True
    outline[24:56, 24:36] = False
    np.testing.assert_array_equal(changed, outline)
    assert (drawn[1, 21:23, 21:39] == 255).all()


def test_figure_has_one_page_a_frame_with_the_frames_in_it() -> None:
    clip_i, clip_j = frames(4), frames(4)[::-1].copy()
    rows = [Row("RSP", 0.5, ZERO, ZERO), Row("A-VID", 0.25, ZERO, ZERO)]
    pages = compose_pair(clip_i, clip_j, rows, GRID, GRID, scale=1, caption="caption")
    assert pages.shape[0] == 4
    assert pages.shape[1] % 2 == pages.shape[2] % 2 == 0
    windows = np.lib.stride_tricks.sliding_window_view(pages[1, :, :, 0], (56, 56))
    for clip in (clip_i, clip_j):
        hits = (windows == clip[1, :, :, 0]).all(axis=(2, 3))
        assert hits.sum() == 2  # a row a head


def test_figure_refuses_clips_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="one shape"):
        compose_pair(frames(4), frames(5), [Row("RSP", 0.5, ZERO, ZERO)], GRID, GRID)


def test_maps_of_two_scores_have_scales_of_their_own() -> None:
    grey = np.full((4, 56, 56, 3), 128, np.uint8)
    assert GRID.clip == (4, 56, 56)
    small, large = np.full(GRID.cells, 0.1), np.full(GRID.cells, 10.0)
    rows = [Row("RSP", 0.5, small, large)]
    shared = compose_pair(grey, grey, rows, GRID, GRID, scale=1)
    own = compose_pair(grey, grey, rows, GRID, GRID, scale=1, units=("margin", "s"))
    place = np.s_[0, 26 + 28, 86 + 28]  # the middle of c_i
    full = draw_overlay(grey, large, GRID, limit=10)[0, 28, 28]
    np.testing.assert_array_equal(own[place], full)
    assert (shared[place] != own[place]).any()
    given = compose_pair(
        grey, grey, [Row("RSP", 0.5, small, large, limits=(0.1, 10))], GRID, GRID, scale=1
    )
    np.testing.assert_array_equal(given[place], full)


def test_film_is_h264_with_one_picture_a_frame() -> None:
    film = pair_video(
        frames(4), frames(4), [Row("RSP", 0.5, ZERO, ZERO)], GRID, GRID, fps=8, scale=1
    )
    with av.open(io.BytesIO(film)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert stream.average_rate == 8
        assert sum(1 for _ in container.decode(video=0)) == 4


def test_colour_bar_is_white_in_the_middle_and_signed_at_its_ends() -> None:
    bar = colour_bar(0.02, width=320)
    row = bar[9]
    assert row[160].min() > 235
    assert row[40][2] > row[40][0]
    assert row[280][0] > row[280][2]


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match=r"frames are \(T, H, W, 3\) uint8"):
        draw_overlay(frames().astype(float), ZERO, GRID, limit=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="limit=0"):
        draw_overlay(frames(), ZERO, GRID, limit=0)
    with pytest.raises(ValueError, match="not the frames that it was computed from"):
        draw_overlay(frames(1), ZERO, GRID, limit=1)
    with pytest.raises(ValueError, match="one box a frame"):
        draw_overlay(frames(), ZERO, GRID, limit=1, boxes=[None])
