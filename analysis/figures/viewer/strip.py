"""What adds to a score over the time of a clip: lanes over a filmstrip, below the pictures.

``viewer_strip.js`` draws them. A lane has a number a time step, and where it is known what of it
stands still in the clip. Torch comes in with the first call, not with the import.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.figures.viewer.pictures import Frames, sheet
from analysis.figures.viewer.rows import COLOURS, signed
from rspnet.names import HEAD_TITLES

if TYPE_CHECKING:
    from analysis.attribution.retrieval.result import RetrievalExplanation, VideoMaps
    from analysis.core.clip_map import Map

PLAIN = "#808080"  # of the backbone, which is neither head

Lane = dict[str, Any]


def film_of(frames: Frames) -> str:
    """All frames of a clip in one row, as an image of CSS."""
    return f"url({sheet(frames, columns=len(frames), quality=80)})"


def words_of(name: str, title: str, lanes: Sequence[Lane]) -> str:
    """A clip's lanes for those who do not see them."""
    return f"{name} over time, {title}. {' '.join(map(_words, lanes))}".strip()


def _words(lane: Lane) -> str:
    total = float(np.sum(lane["total"]))
    said = f"{lane['title']}: {signed(total, 4)} in all"
    if lane["still"]:
        still = float(np.sum(lane["still"]))
        said += (
            f", {signed(total - still, 4)} of what moves and {signed(still, 4)} of what does not"
        )
    return f"{said}; by time step {', '.join(signed(value, 4) for value in lane['total'])}."


def share_axis(lanes: Sequence[Lane]) -> None:
    """Give lanes that are compared one axis."""
    from analysis.core.ledger import stacked_ends

    ends = stacked_ends([(lane["total"], lane["still"]) for lane in lanes])
    for lane in lanes:
        lane["range"] = list(ends)


def strip_of_hits(
    found: "RetrievalExplanation",
    shown: "Mapping[int, Sequence[tuple[VideoMaps, int, str]]]",
    still: "Mapping[int, tuple[Map, Map]]",
) -> dict[str, Any]:
    """The strip's data of a query and its hits, in step: what adds to their similarity.

    Args:
        found: From :func:`analysis.explain_retrieval`.
        shown: By rank, of the query and of the hit: the maps, which clip is shown, and its film
            (:func:`film_of`).
        still: By rank, what stands still in the map of either clip; a rank that is not there has
            its totals alone.
    """
    clips, lanes = [], []
    for rank, both in shown.items():
        for n, (side, (video, clip, film)) in enumerate(zip(("query", "hit"), both, strict=True)):
            own, held = video.maps[clip], still[rank][n] if rank in still else None
            lane = {
                "head": found.feature,
                "title": HEAD_TITLES.get(found.feature, "Backbone"),
                "colour": COLOURS.get(found.feature, PLAIN),
                "total": own.values.sum(axis=(1, 2)).tolist(),
                "still": None if held is None else held.sum(axis=(1, 2)).tolist(),
            }
            lanes.append(lane)
            name = f"clip {clip + 1} of {len(video.maps)}"
            adds = f"{name} adds {signed(own.score)}"
            if held is not None:
                adds += f", {signed(own.score - float(held.sum()))} of it by what moves"
            title = side.capitalize()
            if len(shown) > 1:
                title += f" and no. {rank}" if side == "query" else f" no. {rank}"
            clips.append(
                {
                    "index": side,
                    "title": title,
                    "of": adds,
                    "film": film,
                    "aspect": 1,
                    "indices": list(own.clip.frame_indices),
                    "lanes": [lane],
                    "alt": words_of(title, name, [lane]),
                }
            )
    share_axis(lanes)
    return {
        "token": "split",
        "waits": False,
        "title": "What adds to s over time",
        "edges": found.hits[0].query_maps.maps[0].grid.starts(0),
        "apart": None,
        "clips": clips,
    }
