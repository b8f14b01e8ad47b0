"""What needs no learning: histograms of colour, optical flow and gradients of a whole video.

Each is at least 0 and sums to 1 before its square root is taken, so that the cosine of two of
them is Bhattacharyya's coefficient and ranks as Hellinger's distance does. All frames of a video
count, in the fixed view of evaluation: what a histogram sees is what a model sees.
"""

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from analysis.regions.flow import dense_flow
from rspnet.data.transforms import Frames, eval_frames
from rspnet.data.video.reader import VideoReader

Vector = NDArray[np.float32]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

NAMES = ("colour", "flow", "hog")
COLOUR_BINS = 6  # of each channel
GRID = 4  # rows and columns that directions are counted in
FLOW_DIRECTIONS = 8  # of 360 degrees, the first centred on "to the right"
HOG_DIRECTIONS = 9  # of 180 degrees: an edge from dark to bright is one from bright to dark


def hellinger(histogram: Floats) -> Vector:
    """The square root of a histogram's shares, of length 1; an empty one becomes even."""
    total = histogram.sum()
    if not total > 0:
        return np.full(histogram.shape, 1 / np.sqrt(len(histogram)), np.float32)
    return np.asarray(np.sqrt(histogram / total), np.float32)


def colour_histogram(frames: Frames) -> Vector:
    """Shares of pixels in 6 x 6 x 6 boxes of RGB, the mean over frames.

    Shape:
        (T, H, W, 3) uint8 -> (216,).
    """
    boxes = frames.astype(np.int64) * COLOUR_BINS // 256
    index = (boxes[..., 0] * COLOUR_BINS + boxes[..., 1]) * COLOUR_BINS + boxes[..., 2]
    return hellinger(np.bincount(index.ravel(), minlength=COLOUR_BINS**3).astype(np.float64))


def count_directions(x: Floats, y: Floats, num: int, turn: float, first: float) -> Floats:
    """Lengths of vectors by their direction, in each field of the grid.

    Args:
        x: To the right, (H, W).
        y: Downwards, (H, W).
        num: Directions.
        turn: Angle that they share, in radians: a full turn, or half of one where a vector and
            its opposite are the same.
        first: Angle at which the first begins.

    Returns:
        (GRID * GRID * num,), field by field.
    """
    height, width = x.shape
    angle = np.mod(np.arctan2(y, x) - first, turn)
    # The remainder of a tiny negative angle is the whole turn.
    direction = (angle / turn * num).astype(np.int64) % num
    rows = np.arange(height)[:, None] * GRID // height
    columns = np.arange(width) * GRID // width
    index = (rows * GRID + columns) * num + direction
    lengths = np.hypot(x, y)
    return np.asarray(np.bincount(index.ravel(), lengths.ravel(), GRID * GRID * num), np.float64)


def flow_histogram(frames: Frames) -> Vector:
    """Pixels' movement from frame to frame by direction on a 4 x 4 grid.

    Flow is DIS (:func:`analysis.regions.flow.dense_flow`), the camera's share left in.

    Shape:
        (T, H, W, 3) uint8 -> (128,).
    """
    found = np.zeros(GRID * GRID * FLOW_DIRECTIONS)
    half = np.pi / FLOW_DIRECTIONS
    for one, other in pairwise(_grey(frames)):
        flow = dense_flow(one, other).astype(np.float64)
        found += count_directions(flow[..., 0], flow[..., 1], FLOW_DIRECTIONS, 2 * np.pi, -half)
    return hellinger(found)


def fewer_fields(flow: Vector) -> dict[str, Vector]:
    """What is left of flow histograms without their places, or without their directions.

    Args:
        flow: Of :func:`flow_histogram`, (N, 1, 128).

    Returns:
        Shares of the movement, whose sum is 1: ``2 x 2`` (N, 1, 32) and ``1 x 1`` (N, 1, 8), in
        fewer fields; ``no directions`` (N, 1, 16), in each field whatever its direction.
    """
    shares = (flow.astype(np.float64) ** 2).reshape(-1, 1, 2, 2, 2, 2, FLOW_DIRECTIONS)
    found = {
        "2 x 2": shares.sum(axis=(3, 5)),
        "1 x 1": shares.sum(axis=(2, 3, 4, 5)),
        "no directions": shares.sum(axis=6),
    }
    return {name: rows.reshape(len(rows), 1, -1).astype(np.float32) for name, rows in found.items()}


def hog_histogram(frames: Frames) -> Vector:
    """Gradients of grey frames by direction on a 4 x 4 grid.

    Shape:
        (T, H, W, 3) uint8 -> (144,).
    """
    found = np.zeros(GRID * GRID * HOG_DIRECTIONS)
    for grey in _grey(frames):
        x, y = (
            np.asarray(cv2.Sobel(grey, cv2.CV_64F, *order, ksize=1), np.float64)
            for order in ((1, 0), (0, 1))
        )
        found += count_directions(x, y, HOG_DIRECTIONS, np.pi, 0)
    return hellinger(found)


def _grey(frames: Frames) -> list[Frames]:
    return [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]


def histograms(path: Path, size: int) -> dict[str, Vector]:
    """All of a video, as if it were one clip: each (1, D).

    Raises:
        ValueError: The video can't be read.
    """
    with VideoReader(path) as reader:
        frames = eval_frames(reader.get_frames(range(len(reader))), size)
    makers = (colour_histogram, flow_histogram, hog_histogram)
    return {name: make(frames)[None] for name, make in zip(NAMES, makers, strict=True)}
