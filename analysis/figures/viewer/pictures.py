"""Frames as pictures in the page: JPEG in the page itself, many frames to a sheet."""

import base64
import math

import cv2
import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]

SHEET_COLUMNS = 4
# Of a side of a JPEG.
MOST_PIXELS = 65_500


def jpeg(image: Frames, quality: int = 88) -> str:
    """An image (H, W, 3) uint8 RGB as a data URI; smaller where a side has more than JPEG takes."""
    image = fit_height(image[None], min(image.shape[0], MOST_PIXELS), MOST_PIXELS)[0]
    options = [
        cv2.IMWRITE_JPEG_QUALITY,
        quality,
        # Full colour resolution: a thin coloured edge of a map must not smear.
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]
    good, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    assert good
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")


def sheet(frames: Frames, columns: int = SHEET_COLUMNS, quality: int = 88) -> str:
    """Frames (T, H, W, 3) side by side, row by row, as one data URI."""
    num_frames, height, width = frames.shape[:3]
    rows = math.ceil(num_frames / columns)
    page = np.zeros((rows * height, columns * width, 3), np.uint8)
    for t, frame in enumerate(frames):
        y, x = divmod(t, columns)
        page[y * height : (y + 1) * height, x * width : (x + 1) * width] = frame
    return jpeg(page, quality)


def fit_height(frames: Frames, height: int, most_width: int) -> Frames:
    """Frames (T, H, W, 3) at another height, keeping their shape; lower where that is too wide."""
    scale = min(height / frames.shape[1], most_width / frames.shape[2])
    return resize(frames, *(max(1, round(side * scale)) for side in frames.shape[1:3]))


def resize(frames: Frames, height: int, width: int) -> Frames:
    """Frames (T, H, W, 3) at another size; as they are where it is theirs."""
    if frames.shape[1:3] == (height, width):
        return frames
    shrinks = height * width < frames.shape[1] * frames.shape[2]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    resized = [cv2.resize(frame, (width, height), interpolation=method) for frame in frames]
    return np.stack(resized).astype(np.uint8, copy=False)
