"""Clips whose moving parts are shown before the background of another video."""

from dataclasses import replace

import cv2
import numpy as np

from analysis.core.clip import Masks, View, static_clip
from analysis.regions.flow import movement
from rspnet.data.synthetic.videos import Factors, render_backdrop
from rspnet.data.transforms import Frames, eval_frames

MOVING_SHARE = 0.2  # of the picture
SMOOTHED = 0.04  # of the side
DIFFERS = 8  # grey levels; at an actor's outline the set shines through


def moving_region(view: View) -> Masks:
    """The fifth of the picture that moves most over a clip, by optical flow, (H, W) booleans.

    One region for all frames, so that it does not flicker where a limb pauses. Flow is smoothed
    (Gaussian, 4% of the side), so that whole things are taken; the motion of the camera is not
    counted (:func:`analysis.regions.flow.camera_flow`). What does not move is never in it.
    """
    flow = movement(view.frames).mean(axis=0)
    moves = cv2.GaussianBlur(flow, (0, 0), SMOOTHED * len(flow))
    return np.asarray((moves > 0) & (moves >= np.quantile(moves, 1 - MOVING_SHARE)))


def with_background(view: View, region: Masks, background: Frames) -> View:
    """A clip that shows its own pixels in a region, and a still picture elsewhere.

    Args:
        view: The clip.
        region: Where it keeps its pixels, (H, W) or (T, H, W) booleans.
        background: The picture, (H, W, 3) uint8.

    Raises:
        ValueError: A shape does not fit.

    Example:
        >>> from analysis.core.examples import example_views
        >>> (view,) = example_views(1)
        >>> left = np.zeros((32, 32), bool)
        >>> left[:, :16] = True
        >>> black = with_background(view, left, np.zeros((32, 32, 3), np.uint8))
        >>> bool((black.frames[:, :, :16] == view.frames[:, :, :16]).all()), black.frames[0, 0, 31]
        (True, array([0, 0, 0], dtype=uint8))
    """
    shape = view.frames.shape
    if region.shape not in (shape[:3], shape[1:3]) or background.shape != shape[1:]:
        raise ValueError(
            f"a clip of {shape} takes a region {shape[:3]} or {shape[1:3]} and a background "
            f"{shape[1:]}, got {region.shape} and {background.shape}"
        )
    return view.with_frames(np.where(region[..., None], view.frames, background))


def swap_background(view: View, other: View) -> View:
    """What moves in a clip (:func:`moving_region`), before the middle frame of another clip."""
    return with_background(view, moving_region(view), static_clip(other).frames[0])


def swap_synthetic_background(view: View, own: Factors, other: Factors) -> View:
    """A clip of a synthetic video with the set and the prop of another one.

    The actor, who alone moves, is what differs from the video's own backdrop. Its shadow and the
    place of the prop stay.

    Args:
        view: The clip.
        own: Factors of its video.
        other: Of the video whose set and prop it gets.
    """
    pictures = (own, replace(own, set_id=other.set_id, prop=other.prop))
    size = view.frames.shape[1]
    before, after = (eval_frames(render_backdrop(f)[None], size)[0] for f in pictures)
    change = np.abs(view.frames.astype(np.int16) - before).max(axis=-1)
    return with_background(view, change > DIFFERS, after)
