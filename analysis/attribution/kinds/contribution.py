"""Exact contributions to the cosine similarity s: c[p] = (W F_i[p] + b) . z_j / (P |z_i| |z_j|)."""

from typing import TYPE_CHECKING

from analysis.attribution.registry import register_map
from rspnet.names import Side

if TYPE_CHECKING:
    from analysis.attribution.pair_clips import PairClips
    from analysis.core.clip_map import ClipMap


@register_map(
    key="contribution",
    title="Contribution",
    symbol="s",
    units="contribution to s, per cell",
    needs="pair",
    sums_to="the cosine similarity s",
    text="Exact: all cells of a clip add up to the cosine similarity `s`.",
    fine=True,
    has_partners=True,
    order=20,
)
def contribution(clips: "PairClips", head: str, side: Side) -> "ClipMap":
    """The signed contribution of every cell to s (:func:`analysis.contribution_map`)."""
    return clips.map_of(clips.similarity(head, side), side, "contribution")
