"""One thing changed in a clip: the rest stays as it is."""

import numpy as np
import pytest

from analysis.core.clip import StoredFrames, load_view
from analysis.stimuli.perturbations import (
    PERTURBATIONS,
    Probe,
    blurred,
    cropped,
    find_perturbation,
    flipped,
    grey,
    hue_rotated,
    levels_within,
    perturbed_view,
    shuffled_order,
    window_of,
)

T, SIZE = 8, 32


def noise(num: int = 40, height: int = 48, width: int = 64, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (num, height, width, 3), np.uint8)


@pytest.fixture(scope="module")
def probe() -> Probe:
    other = {"action": StoredFrames(noise(seed=1))}
    return Probe(
        reader=StoredFrames(noise()), num_frames=T, size=SIZE, start=2, name="v", swapped=other
    )


@pytest.mark.parametrize("name", list(PERTURBATIONS))
def test_every_change_has_a_neutral_level_that_leaves_the_clip(probe: Probe, name: str) -> None:
    change = find_perturbation(name)
    assert change.neutral in change.levels
    assert len(set(change.levels)) == len(change.levels)
    view = perturbed_view(probe, name, change.neutral)
    np.testing.assert_array_equal(view.frames, probe.view.frames)
    assert view.info == probe.view.info


@pytest.mark.parametrize(
    ("speed", "expected"),
    [
        (0.25, [2, 2, 3, 3, 3, 3, 4, 4]),  # 2.25 is nearest to 2, 2.5 to 3 (the later one)
        (0.5, [2, 3, 3, 4, 4, 5, 5, 6]),
        (1.5, [2, 4, 5, 7, 8, 10, 11, 13]),
        (4, [2, 6, 10, 14, 18, 22, 26, 30]),
    ],
)
def test_speed_keeps_the_start_and_takes_the_nearest_frame(
    probe: Probe, speed: float, expected: list[int]
) -> None:
    view = perturbed_view(probe, "speed", speed)
    assert list(view.info.frame_indices) == expected
    assert view.info.speed == speed
    same = load_view(probe.reader, T, SIZE, start=2, speed=speed, name="v")
    np.testing.assert_array_equal(view.frames, same.frames)


def test_offset_reads_later_frames(probe: Probe) -> None:
    view = perturbed_view(probe, "offset", 5)
    assert list(view.info.frame_indices) == list(range(7, 15))
    np.testing.assert_array_equal(view.frames[0], probe.view.frames[5])


def test_order_of_frames(probe: Probe) -> None:
    own = probe.view
    back = perturbed_view(probe, "reverse", 1)
    np.testing.assert_array_equal(back.frames, own.frames[::-1])
    assert list(back.info.frame_indices) == list(range(9, 1, -1))
    halves = perturbed_view(probe, "shuffle", 2)
    assert list(halves.info.frame_indices) == [6, 7, 8, 9, 2, 3, 4, 5]
    mixed = perturbed_view(probe, "shuffle", 8)
    assert sorted(mixed.info.frame_indices) == list(range(2, 10))
    for place, frame in enumerate(mixed.info.frame_indices):
        np.testing.assert_array_equal(mixed.frames[place], own.frames[frame - 2])
    static = perturbed_view(probe, "static", 1)
    assert (static.frames == own.frames[4]).all()


def test_shuffled_order_is_seeded_and_never_as_it_was() -> None:
    assert shuffled_order(16, 16, 3) == shuffled_order(16, 16, 3)
    assert shuffled_order(16, 16, (3, 1)) != shuffled_order(16, 16, (3, 2))
    assert shuffled_order(5, 1) == [0, 1, 2, 3, 4]
    for seed in range(20):
        order = shuffled_order(7, 3, seed)  # pieces 0-2, 3-4, 5-6
        assert sorted(order) == list(range(7))
        assert order != sorted(order)
        for piece in ([0, 1, 2], [3, 4], [5, 6]):
            at = order.index(piece[0])
            assert order[at : at + len(piece)] == piece
        assert shuffled_order(2, 2, seed) == [1, 0]


def test_colours_by_hand() -> None:
    pixels = np.array([[255, 0, 0], [0, 255, 0], [10, 20, 200], [77, 77, 77]], np.uint8)
    frames = pixels[None, None]
    np.testing.assert_array_equal(
        hue_rotated(frames, 120)[0, 0], [[0, 255, 0], [0, 0, 255], [200, 10, 20], [77, 77, 77]]
    )
    np.testing.assert_array_equal(hue_rotated(frames, 180)[0, 0, 0], [0, 255, 255])
    np.testing.assert_array_equal(hue_rotated(noise(2), 360), noise(2))
    luma = grey(frames)[0, 0]
    assert (luma == luma[:, :1]).all()
    np.testing.assert_array_equal(luma[:, 0], [76, 150, 38, 77])  # .299 R + .587 G + .114 B


def test_crop_flip_blur() -> None:
    frames = noise(2, 20, 30)
    np.testing.assert_array_equal(cropped(frames, 0.5), frames[:, 5:15, 7:22])
    np.testing.assert_array_equal(cropped(frames, 1), frames)
    np.testing.assert_array_equal(flipped(frames), frames[:, :, ::-1])
    np.testing.assert_array_equal(flipped(flipped(frames)), frames)
    dot = np.zeros((1, 41, 41, 3), np.uint8)
    dot[:, 20, 20] = 255
    spread = blurred(dot, 2)[0, :, :, 0].astype(float)
    y, x = np.mgrid[-20:21, -20:21]
    bell = 255 / (2 * np.pi * 4) * np.exp(-(x**2 + y**2) / 8)
    assert np.abs(spread - bell).max() <= 1  # uint8, and OpenCV ends its kernel at 3 sigma
    even = np.full((1, 16, 16, 3), 90, np.uint8)
    np.testing.assert_array_equal(blurred(even, 4), even)
    np.testing.assert_array_equal(blurred(frames, 0), frames)


def test_a_crop_is_cut_from_the_file_not_from_the_view() -> None:
    fine = noise(10, 64, 64)
    own = Probe(reader=StoredFrames(fine), num_frames=T, size=SIZE, start=1)
    view = perturbed_view(own, "crop", 0.5)  # 32 of 64 pixels: the very pixels of the file
    np.testing.assert_array_equal(view.frames, fine[1:9, 16:48, 16:48])


def test_frames_are_changed_in_the_view(probe: Probe) -> None:
    own = probe.view.frames
    for name, level, expected in (
        ("grey", 1, grey(own)),
        ("hue", 60, hue_rotated(own, 60)),
        ("flip", 1, flipped(own)),
        ("blur", 2, blurred(own, 2)),
    ):
        view = perturbed_view(probe, name, level, unchanged=probe.view)
        np.testing.assert_array_equal(view.frames, expected)
        assert view.info == probe.view.info


def test_exchange_shows_the_other_video_at_the_same_frames(probe: Probe) -> None:
    view = perturbed_view(probe, "action", 1)
    other = load_view(probe.swapped["action"], T, SIZE, start=2)
    np.testing.assert_array_equal(view.frames, other.frames)
    assert view.info.frame_indices == probe.view.info.frame_indices
    assert view.info.video == "v, other action"


def test_levels_that_fit() -> None:
    assert window_of(16, 4) == 61
    assert window_of(16, 2) == 31
    assert window_of(16, 0.5) == 16
    assert levels_within(PERTURBATIONS["speed"], 16, 31) == (0.25, 0.5, 1, 1.5, 2)
    assert levels_within(PERTURBATIONS["offset"], 16, 31) == (0, 1, 2, 4, 8)
    assert levels_within(PERTURBATIONS["shuffle"], 8, 31) == (1, 2, 4, 8)
    assert levels_within(PERTURBATIONS["hue"], 8, 8) == PERTURBATIONS["hue"].levels


@pytest.mark.parametrize(
    ("name", "level", "message"),
    [
        ("pitch", 1, "perturbations are .* got 'pitch'"),
        ("speed", -1, "positive, got -1"),
        ("speed", 10, "need a video of 73 frames, this one has 40"),
        ("offset", 31, "need a video of 41 frames"),
        ("offset", 1.5, "whole numbers, got 1.5"),
        ("shuffle", 9, "1 to 8 pieces, got 9"),
        ("crop", 0, "above 0 and at most 1, got 0"),
        ("blur", -1, "at least 0 pixels, got -1"),
        ("flip", 2, "on .1. or off .0., got level 2"),
        ("appearance", 1, "v has none to show .* only .'action'."),
    ],
)
def test_errors_say_what_to_do(probe: Probe, name: str, level: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        perturbed_view(probe, name, level)
