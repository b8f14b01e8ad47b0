"""Change a region of a clip and nothing else, to see what a head makes of it."""

from typing import Literal, get_args

import cv2
import numpy as np

from analysis.core.clip import Frames, Masks, View, static_clip

How = Literal["freeze", "blur", "mean", "swap", "speed"]
BLUR_SIGMA = 0.05  # of the clip's side


def edit_region(view: View, mask: Masks, how: How, other: View | None = None) -> View:
    """A clip in which one region shows something else; all other pixels stay as they are.

    Args:
        view: The clip.
        mask: The region, (T, H, W) or, the same in all frames, (H, W) booleans.
        how: ``freeze`` shows the region as it is in the clip's middle frame. ``blur`` blurs it
            (Gaussian, 5% of the side). ``mean`` fills it with the mean colour of its own pixels.
            ``swap`` shows there what ``other`` shows. ``speed`` does so as well, and ``other`` has
            to be a clip of the same video at another speed: that region alone runs faster or
            slower.
        other: The clip that ``swap`` and ``speed`` take pixels from, of the same size.

    Returns:
        A clip of the same video and frames.

    Raises:
        ValueError: The mask does not fit or is empty, or ``other`` is missing or does not fit.

    Example:
        >>> import numpy as np
        >>> from analysis import edit_region, example_views
        >>> (view,) = example_views(1)
        >>> left = np.zeros((32, 32), bool)
        >>> left[:, :16] = True
        >>> frozen = edit_region(view, left, "freeze")
        >>> bool((frozen.frames[0, :, :16] == frozen.frames[7, :, :16]).all())
        True
        >>> bool((frozen.frames[:, :, 16:] == view.frames[:, :, 16:]).all())
        True
    """
    region = _check(view, mask, how, other)
    return view.with_frames(
        np.where(region[..., None], _shown(view, region, how, other), view.frames)
    )


def _shown(view: View, region: Masks, how: How, other: View | None) -> Frames:
    """What the region is to show, (T, H, W, 3) or a shape that fits it."""
    if how == "freeze":
        return static_clip(view).frames
    if how == "blur":
        sigma = BLUR_SIGMA * view.frames.shape[1]
        return np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in view.frames])
    if how == "mean":
        colour = view.frames[region].mean(axis=0)
        return np.asarray(np.round(colour), np.uint8)
    assert other is not None  # checked
    return other.frames


def _check(view: View, mask: Masks, how: str, other: View | None) -> Masks:
    if how not in get_args(How):
        raise ValueError(f"how is one of {', '.join(get_args(How))}, got {how!r}")
    shape = view.frames.shape[:3]
    if mask.dtype != np.bool_ or mask.shape not in (shape, shape[1:]):
        raise ValueError(
            f"a mask is booleans {shape} or {shape[1:]}, as the clip's frames, got {mask.dtype} "
            f"{mask.shape}"
        )
    if not mask.any():
        raise ValueError("the region is empty: there is nothing to edit")
    if how in ("swap", "speed"):
        if other is None:
            raise ValueError(f"how={how!r} takes pixels from another clip: give other")
        if other.frames.shape != view.frames.shape:
            raise ValueError(
                f"both clips are of one size, got {view.frames.shape} and {other.frames.shape}"
            )
    elif other is not None:
        raise ValueError(f"how={how!r} takes no other clip, got one")
    if how == "speed" and other is not None:
        own, info = view.info, other.info
        if info.video != own.video or info.speed == own.speed:
            raise ValueError(
                "how='speed' takes a clip of the same video at another speed, got "
                f"{info.video!r} at {info.speed:g}x for {own.video!r} at {own.speed:g}x"
            )
    return np.broadcast_to(mask, shape)
