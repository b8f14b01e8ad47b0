"""Cells replaced and pixels summed, against plain loops."""

import numpy as np
import pytest
import torch

from analysis.core.cells import CellSwap, filling, num_pixels, sum_into_cells
from analysis.core.grid import Grid

GRID = Grid((2, 2, 3), (4, 6, 9), (2, 4, 4), (0, 0, 0))


def a_clip() -> torch.Tensor:
    return torch.randn(1, 3, *GRID.clip, generator=torch.Generator().manual_seed(0))


def test_each_pixel_shows_its_own_cell_s_choice() -> None:
    clip = a_clip()
    swap = CellSwap.of(clip, "mean", GRID)
    kept = torch.from_numpy(np.random.default_rng(0).integers(0, 2, (5, *GRID.cells)))
    clips = swap(kept)
    where = [GRID.cell_of(axis) for axis in range(3)]
    for b, t, y, x in np.ndindex(5, *GRID.clip):
        keeps = kept[b, where[0][t], where[1][y], where[2][x]]
        source = clip if keeps else swap.fill
        assert torch.equal(clips[b, :, t, y, x], source[0, :, t, y, x])


def test_all_cells_are_the_clip_and_none_the_fill() -> None:
    swap = CellSwap.of(a_clip(), "blur", GRID)
    kept = torch.stack([torch.ones(GRID.cells), torch.zeros(GRID.cells)])
    assert torch.equal(swap(kept), torch.cat([swap.clip, swap.fill]))


def test_fills_keep_what_they_say() -> None:
    clip = a_clip()
    mean, static, blur = (filling(clip, fill, GRID) for fill in ("mean", "static", "blur"))
    assert torch.allclose(mean[0, :, 1, 2, 3], clip[0].mean(dim=(1, 2, 3)))
    assert all(torch.equal(static[:, :, t], clip[:, :, 2]) for t in range(4))
    assert blur.shape == clip.shape
    assert (blur.std(dim=(3, 4)) < 0.5 * clip.std(dim=(3, 4))).all()
    even = torch.full_like(clip, 0.7)
    assert torch.allclose(filling(even, "blur", GRID), even, atol=1e-6)


def test_a_blurred_frame_knows_nothing_of_the_others() -> None:
    clip = torch.zeros(1, 3, *GRID.clip)
    clip[:, :, 1] = 1.0
    blur = filling(clip, "blur", GRID)
    assert torch.allclose(blur, clip, atol=1e-6)


def test_black_is_black_before_normalisation() -> None:
    from rspnet.data.transforms import normalise

    black = normalise(np.zeros((*GRID.clip, 3), np.uint8))[None]
    assert torch.allclose(filling(a_clip(), "black", GRID), black)


def test_sums_over_territories_are_those_of_a_loop() -> None:
    values = np.random.default_rng(1).normal(size=GRID.clip)
    expected = np.zeros(GRID.cells)
    where = [GRID.cell_of(axis) for axis in range(3)]
    for t, y, x in np.ndindex(*GRID.clip):
        expected[where[0][t], where[1][y], where[2][x]] += values[t, y, x]
    np.testing.assert_allclose(sum_into_cells(values, GRID), expected)
    assert num_pixels(GRID).sum() == np.prod(GRID.clip)


def test_errors_name_what_was_got() -> None:
    with pytest.raises(ValueError, match=r"a fill is one of .*'sand'"):
        filling(a_clip(), "sand", GRID)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"cells to keep are \(B, 2, 2, 3\)"):
        CellSwap.of(a_clip(), "mean", GRID)(torch.ones(2, 2, 3))
    with pytest.raises(ValueError, match=r"\(T, H, W\) = \(4, 6, 9\)"):
        sum_into_cells(np.ones((1, 2, 3)), GRID)
