"""What the heads see over the time of a pair, as the viewer's strip shows it.

The contribution of each time step, signed, is taken apart into what moves in the clip and what
stands still (:func:`analysis.core.ledger.static_part`), where the map is the exact map of a score.
That takes one more forward pass of each clip, stopped at its middle frame, for all kinds of maps
and both heads: they are kept with the pair.
"""

from typing import TYPE_CHECKING, Any

import streamlit as st

from analysis.attribution.registry import MapKind
from analysis.figures.viewer import strip
from analysis.figures.viewer.pictures import resize
from dashboard.base.style import COLOURS
from dashboard.overlays import maps
from dashboard.overlays.clip_ref import ClipRef
from dashboard.overlays.maps import BY_MODEL
from dashboard.overlays.options import DisplayOptions
from dashboard.overlays.request import MapRequest
from dashboard.overlays.selection import Clip
from dashboard.overlays.view_model import PairView, difference_of
from dashboard.services.galleries import decode
from dashboard.services.models import Loaded
from rspnet.names import SIDES

if TYPE_CHECKING:
    from analysis import ClipMap

FILM_PIXELS = 168

# Of each head, what stands still in c_i and in c_j, a number a time step.
Still = dict[str, tuple[list[float], list[float]]]


def has_still(request: MapRequest) -> bool:
    """Whether the maps can be taken apart: they are of a score, exactly, on the network's grid."""
    return request.map.fine and not request.fine


def is_at_hand(request: MapRequest, loaded: Loaded) -> bool:
    """Whether :func:`still_of` needs no forward pass."""
    return len(maps.pair_of(request, loaded).static_features) == len(SIDES)


@st.cache_data(max_entries=128, show_spinner=False, hash_funcs=BY_MODEL)
def still_of(request: MapRequest, loaded: Loaded) -> Still:
    """What stands still in each map of a request, over time; empty where :func:`has_still` is not.

    Raises:
        ValueError: A clip can't be decoded or does not fit the model.
    """
    from analysis.core.ledger import static_part

    if not has_still(request):
        return {}
    pair, kind = maps.pair_of(request, loaded), request.map
    with loaded.lock:
        static = {side: pair.static(side) for side in SIDES}
    found: Still = {}
    for head in maps.maps_of(request, loaded).rows:
        i, j = (
            kind.over_time(
                static_part(kind.score(pair, head, side), pair.features(side), static[side])
            )
            for side in SIDES
        )
        found[head] = i, j
    return found


@st.cache_data(max_entries=64, show_spinner=False)
def film_of(clip: ClipRef) -> str:
    """All frames of a clip in one row, as an image of CSS.

    Raises:
        ValueError: A frame can't be decoded.
    """
    return strip.film_of(clip.frames(FILM_PIXELS))


def waiting(clips: tuple[Clip, Clip]) -> dict[str, Any]:
    """The strip's data while the maps are on their way: the films alone, made without torch."""
    shown = []
    for clip in clips:
        frames = decode(clip.video.identity(), clip.indices)
        side = min(frames.shape[1:3])
        top, left = ((length - side) // 2 for length in frames.shape[1:3])
        middle = frames[:, top : top + side, left : left + side]
        shown.append(_clip(clip, strip.film_of(resize(middle, FILM_PIXELS, FILM_PIXELS)), "", []))
    return {
        "token": "waiting",
        "waits": False,
        "title": "Over time",
        "edges": [0, clips[0].num_frames],
        "clips": shown,
    }


def strip_of(
    clips: tuple[Clip, Clip],
    request: MapRequest,
    display: DisplayOptions,
    view: PairView,
    still: Still | None,
) -> dict[str, Any]:
    """The strip's data.

    Args:
        clips: c_i and c_j.
        request: Their maps.
        display: How they are drawn.
        view: The maps, drawn.
        still: From :func:`still_of`; nothing while it is on its way.
    """
    from analysis.core.ledger import size_over_time

    kind, edges = request.map, view.grid.starts(0)
    lanes: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    for head, both in view.found.rows.items():
        for n, side in enumerate(SIDES):
            lanes[side].append(
                {
                    "head": head,
                    "title": view.title(head),
                    "colour": COLOURS[head],
                    "total": kind.over_time(both[n].values),
                    "still": still[head][n] if still else None,
                }
            )
    _set_ranges(lanes, display.scale, view.found.has_one_target)
    apart = difference_of(view.found)
    films = [film_of(ref) for ref in (request.clip_i, request.clip_j)]
    of = [_of(kind, both) for both in zip(*view.found.rows.values(), strict=True)]
    return {
        "token": "split" if still else "whole",
        "waits": still is None and has_still(request),
        "title": f"{kind.title} over time",
        "edges": edges,
        # By how much the two heads' maps differ, in both clips together.
        "apart": apart and size_over_time(apart),
        "clips": [
            _clip(clip, films[n], of[n], lanes[side])
            for n, (side, clip) in enumerate(zip(SIDES, clips, strict=True))
        ],
    }


def _of(kind: MapKind, of_side: "tuple[ClipMap, ...]") -> str:
    """What a clip's lanes are of, in symbols."""
    symbol = kind.symbol if of_side[0].kind == kind.key else "s"
    if not kind.sums_to:
        return f"map of {symbol}"
    return f"{'mean' if kind.reduction == 'mean' else 'share'} of {symbol}"


def _clip(clip: Clip, film: str, of: str, lanes: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "index": clip.side,
        "of": of,
        "film": film,
        "aspect": clip.info.pixel_aspect,
        "indices": list(clip.indices),
        "lanes": lanes,
        "alt": strip.words_of(f"c_{clip.side}", clip.title, lanes),
    }


def _set_ranges(lanes: dict[str, list[dict[str, Any]]], scale: str, has_one_target: bool) -> None:
    """Lanes that share a colour scale share the ends of their axis."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for side, own in lanes.items():
        for lane in own:
            head = "" if scale == "shared" else lane["head"]
            apart = scale == "map" or not has_one_target
            groups.setdefault((head, side if apart else ""), []).append(lane)
    for group in groups.values():
        strip.share_axis(group)
