"""What a clip's pixels say without any model: where something moves, and what strikes the eye.

*Movement* is dense optical flow (DIS: Kroeger et al. 2016, "Fast Optical Flow using Dense Inverse
Search") minus the flow of the camera, where the picture visibly changes. The camera's flow is a
homography that RANSAC fits to the flow at places with texture. It counts only if it explains what
changes along the rim of the picture: before a plain wall a talking head has all the texture, and
its movement would be taken for the camera's, so that the head would stand still and the wall move.
Where nothing changes visibly, flow is a guess (of a plain wall anything may be said), and movement
is 0.

*Saliency* is the spectral residual (Hou and Zhang 2007, "Saliency Detection: A Spectral Residual
Approach"), *contrast* the standard deviation of grey values around each pixel. Both are of one
still frame: they know nothing of movement.
"""

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from analysis.core.grid import Grid

Frames = NDArray[np.uint8]
Floats = NDArray[np.float64]
Flow = NDArray[np.float32]

MIN_PLACES = 16  # a homography has 8 numbers, a place gives two, and some are wrong
INLIER_PIXELS = 0.5  # the flow of the camera is met so closely
MIN_INLIERS = 0.4  # of the places with texture; a camera whose motion fewer share is at rest
VISIBLE = 1.0  # grey levels; what changes less is noise of the sensor or of the compression
RIM = 8  # the rim of the picture is an eighth of its side wide


def _grey(frames: Frames) -> Frames:
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8:
        raise ValueError(f"frames are uint8 (T, H, W, 3), got {frames.dtype} {frames.shape}")
    return np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames])


def dense_flow(first: Frames, second: Frames) -> Flow:
    """Where each pixel of a grey frame goes in the next.

    Shape:
        (H, W), (H, W) uint8 -> (H, W, 2): columns and rows, in pixels.
    """
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(0)  # clips are small: every pixel counts
    start = np.zeros((*first.shape, 2), np.float32)
    return np.asarray(search.calc(first, second, start), np.float32)


def visible_change(first: Frames, second: Frames, camera: Flow | None = None) -> Flow:
    """By how much a grey frame changes to the next around each pixel, in grey levels, (H, W).

    Args:
        first: (H, W) uint8.
        second: The next frame.
        camera: Flow of the camera, (H, W, 2) in pixels, whose effect is taken away first.
    """
    one, two = (cv2.GaussianBlur(v.astype(np.float32), (0, 0), 1.0) for v in (first, second))
    if camera is not None:
        rows, columns = np.mgrid[: first.shape[0], : first.shape[1]].astype(np.float32)
        x, y = columns + camera[..., 0], rows + camera[..., 1]
        two = cv2.remap(two, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.GaussianBlur(np.abs(two - one), (0, 0), 2.0), np.float32)


def _explains_the_rim(rest: Flow, moved: Flow) -> bool:
    """Whether three sides of the picture change in most places, by a quarter less if it moved."""
    band = rest.shape[0] // RIM
    sides = (np.s_[:band], np.s_[-band:], np.s_[:, :band], np.s_[:, -band:])
    return (
        sum(
            bool(np.median(rest[side]) > VISIBLE and moved[side].mean() < 0.75 * rest[side].mean())
            for side in sides
        )
        >= 3
    )


def camera_flow(flow: Flow, first: Frames, second: Frames) -> Flow:
    """The part of a flow that a moving camera explains.

    Places every 4 pixels count where the frame has texture (the smaller eigenvalue of its structure
    tensor), as elsewhere flow is a guess. Without enough of them, if too few agree with one
    homography, or if it does not explain what changes along the rim of the picture, the camera is
    taken to be at rest: what moves in the middle alone is an object.

    Args:
        flow: (H, W, 2), of :func:`dense_flow`.
        first: The frame that it starts from, (H, W) uint8.
        second: The next frame.

    Returns:
        (H, W, 2), in pixels.
    """
    height, width = first.shape
    rest = np.zeros_like(flow)
    texture = cv2.cornerMinEigenVal(first, 5)
    y, x = (axis.ravel() for axis in np.mgrid[2:height:4, 2:width:4])
    has_texture = texture[y, x] > 0.01 * texture.max()
    y, x = y[has_texture], x[has_texture]
    if len(x) < MIN_PLACES:
        return rest
    places = np.stack([x, y], axis=1).astype(np.float32)
    matrix, inliers = cv2.findHomography(
        places, places + flow[y, x], cv2.RANSAC, INLIER_PIXELS, maxIters=500
    )
    if matrix is None or inliers.mean() < MIN_INLIERS:
        return rest
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    every = np.stack([columns, rows], axis=-1)
    moved = cv2.perspectiveTransform(every.reshape(1, -1, 2), matrix).reshape(every.shape)
    camera = np.asarray(moved - every, np.float32)
    changes = (visible_change(first, second), visible_change(first, second, camera))
    return camera if _explains_the_rim(*changes) else rest


def movement(frames: Frames, *, remove_camera: bool = True) -> Floats:
    """How far each pixel moves from a frame to the next, in pixels.

    A frame has the mean of the flow from the frame before and of the flow to the one after; the
    first and the last have only one. Where a step changes the picture by less than one grey level
    (:func:`visible_change`), nothing moves.

    Args:
        frames: At least two, (T, H, W, 3) uint8.
        remove_camera: Take away :func:`camera_flow` first.

    Returns:
        (T, H, W).

    Raises:
        ValueError: The frames have another shape, or there is one only.
    """
    grey = _grey(frames)
    if len(grey) < 2:
        raise ValueError(f"movement is between frames: give at least two, got {len(grey)}")
    steps = []
    for first, second in pairwise(grey):
        flow = dense_flow(first, second)
        camera = camera_flow(flow, first, second) if remove_camera else None
        own = flow if camera is None else flow - camera
        size = np.hypot(own[..., 0], own[..., 1]).astype(np.float64)
        steps.append(size * (visible_change(first, second, camera) > VISIBLE))
    before, after = [steps[0], *steps], [*steps, steps[-1]]
    return np.stack([(a + b) / 2 for a, b in zip(before, after, strict=True)])


def spectral_residual(frame: Frames, width: int = 64) -> Floats:
    """Saliency of a frame by its spectral residual: what its spectrum has above the usual.

    The picture is made small (``width`` pixels; what is smaller than its pixels is no object), the
    logarithm of its amplitudes minus their mean of 3 x 3 neighbours is transformed back with the
    phases as they are, squared, and blurred (2.5 pixels).

    Shape:
        (H, W, 3) uint8 -> (H, W), at least 0, mean 1; all 0 for an even frame.

    Raises:
        ValueError: The frame has another shape.
    """
    grey = _grey(frame[None])[0].astype(np.float64)
    height = max(8, round(width * grey.shape[0] / grey.shape[1]))
    small = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)
    if np.ptp(small) < 1e-6:
        return np.zeros_like(grey)
    spectrum = np.fft.fft2(small)
    amplitude = np.log(np.abs(spectrum) + 1e-9)
    residual = amplitude - cv2.blur(amplitude, (3, 3), borderType=cv2.BORDER_WRAP)
    back = np.abs(np.fft.ifft2(np.exp(residual + 1j * np.angle(spectrum)))) ** 2
    blurred = cv2.GaussianBlur(back, (0, 0), 2.5)
    found = cv2.resize(blurred, grey.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(found / found.mean(), np.float64)


def local_contrast(frame: Frames, sigma: float = 3.0) -> Floats:
    """Standard deviation of the grey values around each pixel of a frame, in grey levels.

    Args:
        frame: (H, W, 3) uint8.
        sigma: Of the Gaussian window, in pixels.

    Returns:
        (H, W).

    Raises:
        ValueError: The frame has another shape.
    """
    grey = _grey(frame[None])[0].astype(np.float64)
    mean, square = (cv2.GaussianBlur(v, (0, 0), sigma) for v in (grey, grey**2))
    return np.asarray(np.sqrt(np.clip(square - mean**2, 0, None)))


def cell_means(values_THW: Floats, grid: Grid) -> Floats:
    """The mean of pixels' values over every cell's territory, (T', H', W').

    Args:
        values_THW: Of the clip, (T, H, W); one frame alone, (1, H, W), holds for all times.
        grid: Where the cells lie.

    Raises:
        ValueError: The values have another shape.
    """
    if values_THW.ndim != 3 or values_THW.shape[0] not in (1, grid.clip[0]):
        raise ValueError(
            f"values are (T, H, W) with {grid.clip[0]} frames or 1, got {values_THW.shape}"
        )
    if values_THW.shape[1:] != grid.clip[1:]:
        raise ValueError(f"values have {grid.clip[1:]} pixels, got {values_THW.shape[1:]}")
    values = np.broadcast_to(values_THW, grid.clip)
    t, y, x = (grid.weights(axis, smooth=False) for axis in range(3))
    t, y, x = (weights / weights.sum(axis=0) for weights in (t, y, x))
    return np.asarray(np.einsum("thw,ta,hb,wc->abc", values, t, y, x, optimize=True))
