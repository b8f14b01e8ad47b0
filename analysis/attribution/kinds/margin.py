"""Exact contributions to the margin s_ij - mean of s_ik, which each head is trained on.

RSP contrasts c_j with c_k, the same video at another speed; A-VID with the clips of other videos
that are nearest to c_i. What c_j and c_k share cancels (:func:`analysis.explain_margin`).
"""

from typing import TYPE_CHECKING

from analysis.attribution.registry import register_map
from rspnet.names import Side

if TYPE_CHECKING:
    from analysis.attribution.pair_clips import PairClips
    from analysis.core.clip_map import ClipMap

NEGATIVES = (
    "RSP contrasts `c_j` with the same video at another speed, A-VID with the clips of other "
    "videos that are nearest to `c_i`. The map of `c_j` is of `s` itself"
)


@register_map(
    key="margin",
    title="Margin",
    symbol="\N{GREEK CAPITAL LETTER DELTA}s",
    units="margin, per cell",
    needs="triplet",
    sums_to="the margin of c_j over its negatives",
    text=f"What makes `c_i` nearer to `c_j` than to other clips. {NEGATIVES}.",
    fine=True,
    order=30,
)
def margin(clips: "PairClips", head: str, side: Side) -> "ClipMap":
    """Of c_i the map of its margin; of c_j that of s."""
    if side == "j":
        return clips.map_of(clips.similarity(head, side), side, "contribution")
    return clips.map_of(clips.margin(head), side, "margin")
