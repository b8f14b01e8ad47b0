"""Where things are in a synthetic video: masks of its limbs, its prop and its set."""

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from analysis.core.clip import Masks, View, view_masks

Floats = NDArray[np.float64]
REGIONS = {
    "limbs": "moving limbs",
    "body": "rest of the actor",
    "prop": "prop",
    "background_cues": "background cues",
    "cues": "prop + background cues",
    "static": "prop + whole set",
    "whole": "all of it",
}
CUES_SHARE = 0.1  # of the set's pixels, those that count as its cues


def background_cues(
    frames: NDArray[np.uint8], background: Masks, share: float = CUES_SHARE
) -> Masks:
    """The most contrasted places of a set that stands still: windows, pictures, edges.

    The set is put together from what each frame shows of it. Its contrast at a pixel is the
    standard deviation of grey values around it (Gaussian, 2 pixels), in which only pixels of the
    set count, so that an actor's or prop's outline is no cue.

    Args:
        frames: (T, H, W, 3) uint8.
        background: Pixels that show the set, (T, H, W).
        share: Of the set's pixels, how many are cues.

    Returns:
        (T, H, W) booleans inside of ``background``.
    """
    gray = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]).astype(float)
    times_seen = background.sum(axis=0)
    seen = times_seen > 0
    picture = (gray * background).sum(axis=0) / np.maximum(times_seen, 1)

    def blurred(values: Floats) -> Floats:
        return np.asarray(cv2.GaussianBlur(values * inner, (0, 0), 2.0), float)

    # Pixels at the edge of the set are partly of something else.
    inner = cv2.erode(seen.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(float)
    weight = np.maximum(blurred(np.ones_like(picture)), 1e-6)
    contrast = blurred(picture**2) / weight - (blurred(picture) / weight) ** 2
    inside = inner > 0
    if not inside.any():
        return np.zeros_like(background)
    lowest = np.quantile(contrast[inside], 1 - share)
    return np.asarray(background & (inside & (contrast > lowest)))


def regions_of(masks: Mapping[str, Masks], view: View) -> dict[str, Masks]:
    """The regions of :data:`REGIONS` in a clip.

    Args:
        masks: Of the whole video, as :func:`rspnet.data.synthetic.videos.render_video` gives them.
        view: The clip.

    Returns:
        (T, size, size) booleans each.
    """
    size = view.frames.shape[1]
    shown = {name: view_masks(m, view.info.frame_indices, size) for name, m in masks.items()}
    cues = background_cues(view.frames, shown["background"] & ~shown["actor"] & ~shown["prop"])
    return {
        "limbs": shown["limbs"],
        "body": shown["actor"] & ~shown["limbs"],
        "prop": shown["prop"],
        "background_cues": cues,
        "cues": shown["prop"] | cues,
        "static": ~shown["actor"],
        "whole": np.ones_like(shown["actor"]),
    }
