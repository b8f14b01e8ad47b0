"""A clip with a region edited, on the same way from request to panels as any other clip.

Torch comes in with the first call, not with the import.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import streamlit as st

from analysis.figures.viewer.panel import PANEL_PIXELS, Panel, draw_panel
from analysis.regions.rectangle import Rectangle
from dashboard.overlays import maps
from dashboard.overlays.clip_ref import ClipRef
from dashboard.overlays.maps import BY_MODEL
from dashboard.overlays.options import DisplayOptions
from dashboard.overlays.request import MapRequest
from dashboard.overlays.selection import SIDES
from dashboard.services.galleries import Frames
from dashboard.services.models import Loaded

if TYPE_CHECKING:
    from analysis import KindMaps
    from analysis.stimuli.edit import How


@dataclass(frozen=True)
class EditedClip(ClipRef):
    """A clip that shows something else in one region.

    Attributes:
        region: The region.
        how: As :func:`analysis.edit_region` has it.
        other: The clip that pixels are taken from, for ``swap`` and ``speed``.
    """

    region: Rectangle
    how: str
    other: ClipRef | None = None

    def frames(self, pixels: int) -> Frames:
        """As :meth:`ClipRef.frames`.

        Raises:
            ValueError: A frame can't be decoded, or the region covers no pixel.
        """
        from analysis import View, edit_region

        own = View(super().frames(pixels), self.info)
        other = None
        if self.other is not None:
            other = View(self.other.frames(pixels), self.other.info)
        mask = self.region.mask(own.frames.shape[:3])
        return edit_region(own, mask, cast("How", self.how), other).frames


def edit(
    request: MapRequest, region: Rectangle, how: str, other: ClipRef | None = None, side: str = "i"
) -> MapRequest:
    """The same pair with a region of one clip edited.

    Args:
        request: The pair.
        region: Of the clip.
        how: What is shown there, as :func:`analysis.edit_region` has it.
        other: Where pixels are taken from.
        side: Which clip.
    """
    own = request.clip(side)
    edited = EditedClip(own.video, own.indices, own.speed, own.size, region, how, other)
    return replace(request, clip_i=edited) if side == "i" else replace(request, clip_j=edited)


def changes(before: ClipRef, after: ClipRef) -> bool:
    """Whether an edit changes any pixel of a clip that the model sees.

    Raises:
        ValueError: A frame can't be decoded, or the region covers no pixel.
    """
    own, new = (clip.frames(clip.size) for clip in (before, after))
    return bool((own != new).any())


def same_negatives(request: MapRequest, loaded: Loaded) -> MapRequest:
    """The request with those other videos alone that A-VID's margin of it is over.

    Else an edited c_i would choose negatives of its own, and its margin would be another score.

    Raises:
        ValueError: A clip can't be decoded or does not fit the model.
    """
    negatives = maps.pair_of(request, loaded).negatives.get("avid")
    if negatives is None:
        return request
    chosen = {clip.info for clip in negatives.clips}
    return replace(request, others=tuple(c for c in request.others if c.info in chosen))


@dataclass(frozen=True)
class EditView:
    """What the page shows of an edited clip.

    Attributes:
        before: Maps of the pair as it is.
        after: Maps of the pair with the edited clip.
        panels: Of each row that of the clip before and after, on one scale.
    """

    before: "KindMaps"
    after: "KindMaps"
    panels: dict[str, tuple[Panel, Panel]]


@st.cache_data(max_entries=16, show_spinner=False, hash_funcs=BY_MODEL)
def view_edit(
    before: MapRequest, after: MapRequest, side: str, display: DisplayOptions, loaded: Loaded
) -> EditView:
    """Maps, numbers and pictures of a pair before and after an edit of one clip.

    Raises:
        ValueError: A clip can't be decoded or does not fit the model, or has no such map.
    """
    from analysis.figures.overlay import common_limit

    found = [maps.maps_of(request, loaded) for request in (before, after)]
    clips = (before.clip(side), after.clip(side))
    small = [clip.frames(clip.size) for clip in clips]
    large = [clip.frames(PANEL_PIXELS) for clip in clips]
    panels = {}
    for row in found[0].rows:
        both = [own.rows[row][SIDES.index(side)] for own in found]
        limit = common_limit([own.values for own in both])
        first, second = (
            draw_panel(own, small[n], large[n], limit, **display.drawn)
            for n, own in enumerate(both)
        )
        panels[row] = (first, second)
    return EditView(found[0], found[1], panels)
