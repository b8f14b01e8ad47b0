"""CaffeNet: reads clips frame by frame, and its cells lie where it says."""

import pytest
import torch

from rspnet.models import create_encoder


def test_a_clip_is_read_frame_by_frame() -> None:
    encoder = create_encoder("caffenet", width=6).eval()
    clip = torch.randn(2, 3, 3, 48, 64)
    with torch.inference_mode():
        features = encoder(clip)
        assert features.shape == (2, encoder.num_features, 3, 2, 3) == (2, 16, 3, 2, 3)
        for t in range(3):
            alone = encoder(clip[:, :, t : t + 1])
            torch.testing.assert_close(features[:, :, t : t + 1], alone)


def test_sizes_are_those_of_the_paper() -> None:
    with torch.device("meta"):
        encoder = create_encoder("caffenet")
        assert encoder(torch.empty(1, 3, 1, 80, 80)).shape == (1, 256, 1, 4, 4)
        assert encoder(torch.empty(1, 3, 1, 227, 227)).shape == (1, 256, 1, 13, 13)
    shapes = {name: tuple(p.shape) for name, p in encoder.named_parameters() if "conv" in name}
    assert shapes["conv1.weight"] == (96, 3, 1, 11, 11)
    assert shapes["conv2.weight"] == (256, 48, 1, 5, 5)  # two groups
    assert shapes["conv3.weight"] == (384, 256, 1, 3, 3)
    assert shapes["conv4.weight"] == (384, 192, 1, 3, 3)
    assert shapes["conv5.weight"] == (256, 192, 1, 3, 3)


def test_a_cell_sees_as_far_to_each_side_of_its_centre() -> None:
    """And 16 pixels further on there is the next one."""
    encoder = create_encoder("caffenet", width=6).eval()
    geometry = encoder.cell_geometry
    assert (geometry.stride, geometry.first) == ((1, 16, 16), (0, 17, 17))
    clips = torch.randn(8, 3, 1, 227, 227, requires_grad=True)
    features = encoder(clips)
    for row, column in ((6, 6), (6, 7)):
        (gradient,) = torch.autograd.grad(
            features[..., row, column].sum(), clips, retain_graph=True
        )
        seen = gradient.abs().sum(dim=(0, 1, 2)) > 0
        for axis, cell in ((1, row), (0, column)):
            touched = torch.nonzero(seen.any(dim=axis)).flatten()
            centre = float(touched[0] + touched[-1]) / 2
            assert centre == pytest.approx(17 + 16 * cell, abs=1.5)  # of a few random clips


def test_what_it_can_not_be_is_refused() -> None:
    for width in (0, -6, 8):
        with pytest.raises(ValueError, match=f"positive multiple of 6, got {width}"):
            create_encoder("caffenet", width=width)
    with pytest.raises(ValueError, match="at least 1 frames of 31 x 31"):
        create_encoder("caffenet", width=6)(torch.zeros(1, 3, 1, 30, 40))
