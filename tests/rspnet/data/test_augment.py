"""Augmentation: torchvision as reference, one mapping a clip, different mappings between clips."""

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional as tv

from rspnet.data.augment import (
    AugmentConfig,
    adjust_brightness,
    adjust_contrast,
    adjust_hue,
    adjust_saturation,
    augment_clip,
    jitter_colours,
    random_crop_box,
    resized_crop,
)

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (40, 30, 3), dtype=np.uint8)
CHANGE = {
    "brightness": (adjust_brightness, tv.adjust_brightness, (0.6, 1.4)),
    "contrast": (adjust_contrast, tv.adjust_contrast, (0.6, 1.4)),
    "saturation": (adjust_saturation, tv.adjust_saturation, (0.6, 1.4)),
    "hue": (adjust_hue, tv.adjust_hue, (-0.4, 0.25)),
}


@pytest.mark.parametrize("name", CHANGE)
def test_colour_operations_agree_with_torchvision(name):
    ours, theirs, factors = CHANGE[name]
    for factor in factors:
        expected = theirs(torch.from_numpy(IMAGE).permute(2, 0, 1), factor).permute(1, 2, 0).numpy()
        difference = np.abs(ours(IMAGE, factor).astype(int) - expected.astype(int))
        # uint8 steps; OpenCV keeps the hue in 256 steps and saturation in 8 bits.
        assert np.quantile(difference, 0.99) <= (8 if name == "hue" else 2)
        assert difference.mean() < 1.5


def test_identity_leaves_the_frames_alone():
    config = AugmentConfig(
        min_area=1, max_ratio=1, gray=0, brightness=0, contrast=0, saturation=0, hue=0, flip=0
    )
    frames = np.repeat(IMAGE[None, :30], 3, axis=0)
    np.testing.assert_array_equal(augment_clip(frames, 30, config, RNG), frames)


def test_one_view_for_all_frames_of_a_clip():
    frames = np.repeat(IMAGE[None], 5, axis=0)
    for seed in range(10):
        view = augment_clip(frames, 24, AugmentConfig(), np.random.default_rng(seed))
        np.testing.assert_array_equal(view, np.repeat(view[:1], 5, axis=0))


def test_a_colour_has_one_image_throughout_a_clip():
    # Frames of very different mean grey: a mapping by frame would change the shared colour.
    frames = np.zeros((4, 20, 20, 3), np.uint8)
    frames[:, :, 10:] = np.array([0, 80, 160, 255])[:, None, None, None]
    frames[:, :, :10] = (120, 60, 200)
    config = AugmentConfig(min_area=1, max_ratio=1, flip=0, gray=0)
    for seed in range(10):
        view = augment_clip(frames, 20, config, np.random.default_rng(seed))
        assert len({tuple(frame[5, 3]) for frame in view}) == 1


def test_views_of_two_draws_differ():
    frames = np.repeat(IMAGE[None], 2, axis=0)
    views = [augment_clip(frames, 24, AugmentConfig(), np.random.default_rng(s)) for s in (1, 2)]
    assert np.abs(views[0].astype(int) - views[1].astype(int)).mean() > 5


def test_crops_have_the_area_and_ratio_that_was_asked_for():
    config = AugmentConfig(min_area=0.4, max_area=1.0)
    rng = np.random.default_rng(0)
    boxes = np.array([random_crop_box(120, 160, config, rng) for _ in range(2000)])
    top, left, height, width = boxes.T
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + height <= 120).all()
    assert (left + width <= 160).all()
    area = height * width / (120 * 160)
    assert 0.39 < area.min() < 0.45
    assert area.max() <= 1.0
    assert (width / height > 0.73).all()
    assert (width / height < 1.36).all()


def test_where_no_crop_fits_the_largest_centred_one_is_taken():
    config = AugmentConfig(min_area=1)
    assert random_crop_box(10, 400, config, np.random.default_rng(0)) == (0, 193, 10, 13)
    assert random_crop_box(400, 9, config, np.random.default_rng(0)) == (194, 0, 12, 9)


def test_brightness_changes_as_far_up_as_down():
    config = AugmentConfig(gray=0, brightness=0.4, contrast=0, saturation=0, hue=0)
    frames = np.full((1, 2, 2, 3), 100, np.uint8)
    rng = np.random.default_rng(0)
    values = [int(jitter_colours(frames, config, rng).max()) for _ in range(300)]
    assert 60 <= min(values) < 65
    assert 135 < max(values) <= 140
    assert 95 < np.mean(values) < 105


def test_crops_of_one_zoom_have_one_size_at_places_of_their_own():
    boxes = {
        random_crop_box(
            97, 131, AugmentConfig(), np.random.default_rng(place), np.random.default_rng(zoom)
        )
        for zoom in range(3)
        for place in range(20)
    }
    assert len({(height, width) for _, _, height, width in boxes}) == 3
    assert len(boxes) > 50


def test_flip_mirrors():
    config = AugmentConfig(
        min_area=1, max_ratio=1, gray=0, brightness=0, contrast=0, saturation=0, hue=0, flip=1
    )
    frames = IMAGE[None, :30]
    np.testing.assert_array_equal(augment_clip(frames, 30, config, RNG), frames[:, :, ::-1])


def test_resized_crop_takes_the_box():
    frames = np.zeros((1, 20, 20, 3), np.uint8)
    frames[0, 4:8, 10:14] = 255
    np.testing.assert_array_equal(
        resized_crop(frames, (4, 10, 4, 4), 8), np.full((1, 8, 8, 3), 255)
    )


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="0 < min_area <= max_area <= 1"):
        AugmentConfig(min_area=0.9, max_area=0.5)
    with pytest.raises(ValueError, match="hue is between 0 and 0.5"):
        AugmentConfig(hue=0.7)
    with pytest.raises(ValueError, match="flip is between 0 and 1"):
        AugmentConfig(flip=1.5)
