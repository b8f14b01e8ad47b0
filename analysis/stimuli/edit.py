"""Change a region of a clip and nothing else, to see what a head makes of it."""

from dataclasses import replace
from typing import Any, Literal, get_args

import cv2
import numpy as np

from analysis.attribution.pair_clips import PairClips
from analysis.attribution.pair_maps import KindMaps, explain_kind
from analysis.core.clip import Frames, Masks, View, static_clip
from analysis.core.score import extract_features
from rspnet.names import SIDES, Side

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


def edit_pair(
    clips: PairClips, side: Side, mask: Masks, how: How, other: View | None = None
) -> PairClips:
    """A pair of which one clip is edited; its margins are against the negatives that it has.

    Args:
        clips: The pair.
        side: Which clip.
        mask: As for :func:`edit_region`.
        how: As for :func:`edit_region`; ``swap`` shows the other clip of the pair.
        other: The clip that ``speed`` takes pixels from.

    Raises:
        ValueError: As :func:`edit_region`; or the edit changes no pixel.
    """
    if how == "swap" and other is None:
        other = clips.view(SIDES[side == "i"])
    view = edit_region(clips.view(side), mask, how, other)
    if (view.frames == clips.view(side).frames).all():
        raise ValueError(
            "the edit changes no pixel: the region already looks like that, as what stands still "
            "does when it is frozen"
        )
    seen = extract_features(clips.branch(side), view, name=f"c_{side}")
    own: dict[str, Any]
    own = {"view_i": view, "c_i": seen} if side == "i" else {"view_j": view, "c_j": seen}
    own |= {name: {} for name in ("_margins", "_shifted", "_classes", "_answers", "_ledgers")}
    return replace(clips, static_features={}, **own)


def explain_edit(kind: str, before: PairClips, after: PairClips, side: Side) -> KindMaps:
    """The maps of one clip of a pair as it is and edited, in the place of those of c_i and c_j.

    Args:
        kind: Key of a kind of map.
        before: The pair.
        after: From :func:`edit_pair`.
        side: Which clip was edited.

    Returns:
        With the similarities of the edited pair.

    Raises:
        ValueError: As :func:`analysis.explain_kind`.

    Example:
        >>> from analysis import PairClips, example_branch, example_views
        >>> branch = example_branch()
        >>> before = PairClips.of(branch, branch, *example_views(2))
        >>> left = np.zeros((32, 32), bool)
        >>> left[:, :16] = True
        >>> after = edit_pair(before, "j", left, "mean")
        >>> found = explain_edit("contribution", before, after, "j")
        >>> found.sides, found.rows["rsp"][1].completeness_error < 1e-6
        (('j', 'j, edited'), True)
    """
    first, second = (explain_kind(kind, clips) for clips in (before, after))
    n = SIDES.index(side)

    def both(name: str) -> dict[str, tuple[Any, Any]]:
        a, b = getattr(first, name), getattr(second, name)
        return {row: (a[row][n], b[row][n]) for row in a if row in b}

    return replace(
        second,
        rows=both("rows"),
        probability=both("probability"),
        offset=both("offset"),
        views=(before.view(side), after.view(side)),
        sides=(side, f"{side}, edited"),
    )
