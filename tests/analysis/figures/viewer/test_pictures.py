"""Pictures of frames of any shape."""

import base64

import cv2
import numpy as np
import pytest

from analysis.figures.viewer.pictures import fit_height, jpeg, resize


def size_of(picture: str) -> tuple[int, int]:
    data = np.frombuffer(base64.b64decode(picture.partition(",")[2]), np.uint8)
    height, width, _ = cv2.imdecode(data, cv2.IMREAD_COLOR).shape
    return height, width


@pytest.mark.parametrize(
    ("shape", "shown"),
    [((96, 128), (48, 64)), ((8, 1920), (2, 512)), ((1920, 8), (48, 1)), ((1, 9000), (1, 512))],
)
def test_frames_keep_their_shape_within_bounds(
    shape: tuple[int, int], shown: tuple[int, int]
) -> None:
    frames = np.zeros((2, *shape, 3), np.uint8)
    assert fit_height(frames, 48, 512).shape == (2, *shown, 3)
    assert resize(frames, *shape) is frames


def test_a_picture_that_is_too_wide_for_its_format_is_made_smaller() -> None:
    assert size_of(jpeg(np.zeros((4, 70_000, 3), np.uint8))) == (4, 65_500)
    assert size_of(jpeg(np.zeros((40, 30, 3), np.uint8))) == (40, 30)
