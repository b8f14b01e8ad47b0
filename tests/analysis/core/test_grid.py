"""Where cells lie: by hand, and against the gradient of a real network."""

import numpy as np
import pytest
import torch
from torch import nn

from analysis.core.grid import HEIGHT, TIME, WIDTH, Box, Grid, upsample
from rspnet.models import Branch, CellGeometry
from rspnet.models.resnet3d import ResNet3D

# As resnet18_fine has them.
FINE = Grid((4, 7, 7), (16, 112, 112), (4, 16, 16), (0, 0, 0))


def test_even_cells_by_hand() -> None:
    grid = Grid.even((2, 2, 4), (4, 8, 8))
    assert grid.centres(TIME).tolist() == [0.5, 2.5]
    assert grid.edges(HEIGHT).tolist() == [0, 4, 8]
    assert grid.edges(WIDTH).tolist() == [0, 2, 4, 6, 8]
    assert grid.cell_of(TIME).tolist() == [0, 0, 1, 1]


def test_cells_of_a_strided_network_by_hand() -> None:
    assert FINE.centres(WIDTH).tolist() == [0, 16, 32, 48, 64, 80, 96]
    # Pixel k reaches from k to k + 1, its centre is at k + 0.5 of the picture.
    assert FINE.edges(WIDTH).tolist() == [0, 8.5, 24.5, 40.5, 56.5, 72.5, 88.5, 112]
    assert FINE.cell_of(TIME).tolist() == [0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3]
    assert FINE.cell_of(WIDTH)[[7, 9, 88, 89, 111]].tolist() == [0, 1, 6, 6, 6]
    # At another number of pixels the same places.
    assert FINE.cell_of(WIDTH, 336)[[24, 26, 264, 267]].tolist() == [0, 1, 5, 6]


def test_boxes_are_bounded_by_territories() -> None:
    assert FINE.in_pixels(Box(1, 0, 3, 7)) == Box(8.5, 0, 40.5, 112)
    assert FINE.in_pixels(Box(0, 6, 7, 7), (1, 1)) == Box(0, 88.5 / 112, 1, 1)
    assert Grid.even((1, 4, 5), (1, 80, 200)).in_pixels(Box(2, 1, 4, 3)) == Box(80, 20, 160, 60)
    assert Box(2, 1, 4, 3).centre == (3, 2)


def test_blocky_upsampling_shows_each_cell_on_its_territory() -> None:
    values = np.arange(4 * 7 * 7.0).reshape(4, 7, 7)
    big = upsample(values, FINE, smooth=False)
    for t, y, x in ((0, 0, 0), (5, 41, 57), (15, 111, 9), (7, 55, 90)):
        cell = [int(np.abs(FINE.centres(a) - k).argmin()) for a, k in enumerate((t, y, x))]
        assert big[t, y, x] == values[tuple(cell)]
    even = Grid.even((2, 2, 2), (4, 4, 6))
    values = np.arange(8.0).reshape(2, 2, 2)
    big = upsample(values, even, smooth=False)
    for t, y, x in np.ndindex(4, 4, 6):
        assert big[t, y, x] == values[t // 2, y // 2, x // 3]


def test_smooth_upsampling_goes_through_the_centres_and_keeps_ramps() -> None:
    values = np.random.default_rng(0).normal(size=(4, 7, 7))
    big = upsample(values, FINE)
    np.testing.assert_allclose(big[::4, ::16, ::16], values, atol=1e-6)
    ramp = np.broadcast_to(FINE.centres(WIDTH), (4, 7, 7))
    expected = np.clip(np.arange(112), 0, 96)
    np.testing.assert_allclose(upsample(ramp, FINE)[3, 50], expected, atol=1e-4)
    ramp = np.broadcast_to(FINE.centres(TIME)[:, None, None], (4, 7, 7))
    np.testing.assert_allclose(
        upsample(ramp, FINE)[:, 9, 9], np.clip(np.arange(16), 0, 12), atol=1e-5
    )
    # A picture of another size shows the same places.
    small = upsample(values, FINE, 16, 56, 56)
    # Sample k of 56 lies at pixel 2 k + 0.5.
    np.testing.assert_allclose(small[:, 4, 4], (big[:, 8:10, 8:10]).mean(axis=(1, 2)), atol=1e-5)


def test_weights_sum_to_one() -> None:
    for grid in (FINE, Grid.even((3, 5, 9), (16, 100, 90))):
        for axis in range(3):
            for num in (None, 33):
                for smooth in (True, False):
                    weights = grid.weights(axis, num, smooth=smooth)
                    assert weights.shape == (num or grid.clip[axis], grid.cells[axis])
                    np.testing.assert_allclose(weights.sum(axis=1), 1)


STRIDES = {
    "fine": {"stem_stride": (2, 2, 2), "pool_stride": (1, 2, 2),
             "stage_strides": ((1, 1, 1), (1, 2, 2), (2, 2, 2), (1, 1, 1))},
    "paper": {},
    "no pool": {"stem_stride": (1, 3, 2), "pool_stride": None},
}  # fmt: skip


@pytest.mark.parametrize("name", STRIDES)
def test_a_cell_sees_its_centre(name: str) -> None:
    """The gradient of a cell far from the border is centred where the grid says."""
    encoder = ResNet3D((1, 1, 1, 1), width=1, stem_kernel=(3, 5, 5), **STRIDES[name]).eval()
    for parameter in encoder.parameters():
        nn.init.ones_(parameter)
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm3d):
            nn.init.zeros_(module.bias)
    if isinstance(encoder.maxpool, nn.MaxPool3d):
        # The mean in place of the maximum: the maximum's gradient depends on the input.
        encoder.maxpool = nn.AvgPool3d(3, encoder.maxpool.stride, 1)
    clip = torch.ones(1, 3, 128, 240, 272, requires_grad=True)
    F = encoder(clip)
    cells, geometry = F.shape[2:], encoder.cell_geometry
    grid = Grid(tuple(cells), (128, 240, 272), geometry.stride, geometry.first)
    cell = [n // 2 for n in cells]
    F[(0, 0, *cell)].backward()
    assert clip.grad is not None
    weight = clip.grad[0].double().sum(dim=0)
    for axis in range(3):
        along = weight.sum(dim=[a for a in range(3) if a != axis])
        assert along[0] == along[-1] == 0  # the field lies inside the clip
        centre = float((along * torch.arange(len(along))).sum() / along.sum())
        assert centre == pytest.approx(grid.centres(axis)[cell[axis]], abs=1e-3)


def test_grid_of_a_branch() -> None:
    branch = Branch("resnet18_fine", {"width": 2})
    assert Grid.of(branch, (4, 7, 7), (16, 112, 112)) == FINE
    assert Branch("resnet18", {"width": 2}).cell_geometry == CellGeometry((16, 32, 32))


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match=r"the shape \(4, 7, 7\)"):
        upsample(np.zeros((4, 7, 8)), FINE)
    with pytest.raises(ValueError, match="not finite"):
        upsample(np.full((4, 7, 7), np.nan), FINE)
    with pytest.raises(ValueError, match="at least one cell"):
        Grid((0, 7, 7), (16, 112, 112), (4, 16, 16), (0, 0, 0))


def test_json_and_words() -> None:
    assert Grid.from_json(FINE.to_json()) == FINE
    assert str(FINE) == "4 x 7 x 7 cells"
