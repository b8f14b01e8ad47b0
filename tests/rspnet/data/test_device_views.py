"""Views that a device makes are those that OpenCV makes."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from rspnet.data.augment import CENTRE, AugmentConfig, View, apply_view, draw_view
from rspnet.data.device_views import Crop, collate_crops, make_views
from rspnet.data.pretrain import DataConfig, PretrainDataset, collate
from rspnet.data.sources import FileSource
from rspnet.data.stream import SampleKey
from rspnet.training.transfer import map_tensors

RNG = np.random.default_rng(0)
# Shrunk, by 2 and by 3, enlarged, one way each, and as large as the view.
SHAPES = [(37, 50), (48, 48), (72, 96), (48, 60), (20, 27), (20, 60), (60, 20), (24, 24)]


def clip(shape, num=3):
    """Smooth in part, as pictures are, with all levels."""
    small = RNG.integers(0, 256, (num, shape[0], shape[1], 3), dtype=np.uint8)
    smooth = np.cumsum(small, axis=2) // np.arange(1, shape[1] + 1)[:, None]
    return np.where(np.arange(shape[1])[:, None] % 9 < 5, smooth, small).astype(np.uint8)


def worst(clips, views):
    found = make_views([Crop.cut(*pair) for pair in zip(clips, views, strict=True)])
    expected = np.stack([apply_view(*pair) for pair in zip(clips, views, strict=True)])
    assert found.dtype == torch.uint8
    difference = np.abs(found.numpy().astype(int) - expected)
    return difference.max(), (difference > 0).mean()


@pytest.mark.parametrize("flip", [False, True])
def test_resizing_is_opencvs(flip):
    views = [View((0, 0, *shape), 24, flip, (), grey=False) for shape in SHAPES]
    assert worst([clip(shape) for shape in SHAPES], views) <= (1, 1e-4)


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "hue"])
def test_a_colour_operation_is_opencvs(name):
    amounts = (-0.4, -0.11, 0.0, 0.23, 0.4) if name == "hue" else (0.6, 0.93, 1.0, 1.17, 1.4)
    views = [View((0, 0, 24, 24), 24, False, ((name, a),), grey=False) for a in amounts]
    assert worst([clip((24, 24)) for _ in views], views) <= (1, 1e-4)


def test_random_views_are_opencvs_within_a_grey_level():
    clips, views = [], []
    for number in range(60):
        shape = SHAPES[number % len(SHAPES)]
        shape = shape[0] + number % 5, shape[1] + number % 7
        clips.append(clip(shape, num=2))
        views.append(draw_view(shape, 24, AugmentConfig(), np.random.default_rng(number)))
    assert worst(clips, views) <= (1, 1e-3)


def test_in_pieces_views_are_the_same(monkeypatch):
    clips = [clip((30 + i, 40)) for i in range(5)]
    crops = [
        Crop.cut(c, draw_view(c.shape[1:3], 24, AugmentConfig(), np.random.default_rng(i)))
        for i, c in enumerate(clips)
    ]
    whole = make_views(crops)
    monkeypatch.setattr("rspnet.data.device_views._PIECE_BYTES", 1)
    assert torch.equal(make_views(crops), whole)


def test_a_still_clip_is_one_frame_of_its_view():
    frames = clip((30, 30), num=5)
    view = draw_view((30, 30), 24, AugmentConfig(gray=1), np.random.default_rng(0))
    crop = Crop.cut(frames, view)
    moving, still = make_views([crop, replace(crop, still=2)])
    assert torch.equal(still, moving[2].expand(5, -1, -1, -1))
    assert not torch.equal(moving[1], moving[2])


class Video(FileSource):
    def get_frames(self, indices):
        return np.random.default_rng(int(self.path.name)).integers(
            0, 256, (len(indices), 40, 50, 3), np.uint8
        )


@pytest.mark.parametrize(
    "shares", [{}, {"shared_crops": 0, "frozen_keys": 1.0}, {"shared_zooms": 1, "shared_keys": 1}]
)
def test_samples_have_the_same_draws_on_the_device(shares, tmp_path):
    videos = [Video(tmp_path / str(i), 60, 25.0) for i in range(3)]
    keys = [SampleKey(i, i % 3, i % 2, 1 - i % 2) for i in range(4)]
    config = DataConfig(num_frames=4, size=24, **shares)
    on_cpu, cut = (
        [PretrainDataset(videos, replace(config, augment_on=where), 5)[key] for key in keys]
        for where in ("cpu", "device")
    )
    failing = replace(cut[0], failures=((2, "damaged"),))
    found = collate_crops([failing, *cut[1:]])
    assert found.failures == ((2, "damaged"),)
    tensors = []
    map_tensors(found, lambda t: tensors.append(t) or t)
    assert len(tensors) == 1  # as many file handles does it take from a loader process
    expected, batch = collate(on_cpu), found.finished(collate)
    assert batch.failures == ((2, "damaged"),)
    for name in ("query", "same_speed", "other_speed"):
        own, other = (getattr(b, name).int() for b in (batch, expected))
        assert own.shape == (4, 4, 24, 24, 3)
        assert int((own - other).abs().max()) <= 1
    assert torch.equal(batch.video, expected.video)


def test_the_centre_is_left_alone():
    frames = clip((24, 30))
    view = draw_view((24, 30), 24, CENTRE, np.random.default_rng(0))
    assert torch.equal(
        make_views([Crop.cut(frames, view)])[0], torch.from_numpy(frames[:, :, 3:27])
    )
