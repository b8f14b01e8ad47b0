"""The margin map minus that of the static clip: what movement adds to the margin, and where.

The static clip is c_i stopped at its middle frame. What both clips have in common, such as a
cell's unmoved appearance, cancels (:func:`analysis.attribution.margin.reference_map`).
"""

from typing import TYPE_CHECKING

from analysis.attribution.kinds.margin import NEGATIVES
from analysis.attribution.registry import register_map
from rspnet.names import Side

if TYPE_CHECKING:
    from analysis.attribution.pair_clips import PairClips
    from analysis.core.clip_map import ClipMap


@register_map(
    key="margin_static",
    title="Margin \N{MINUS SIGN} static clip",
    symbol="\N{GREEK CAPITAL LETTER DELTA}\N{GREEK CAPITAL LETTER DELTA}s",
    units="added by movement, per cell",
    needs="triplet",
    sums_to="the margin minus that of the static clip",
    text="What movement adds to the margin: its map minus that of the same clip stopped at its "
    f"middle frame. {NEGATIVES}, minus the static clip's.",
    order=60,
)
def margin_static(clips: "PairClips", head: str, side: Side) -> "ClipMap":
    """Of c_i what movement adds to its margin; of c_j what it adds to s."""
    if side == "j":
        return clips.static_map_of(clips.similarity(head, side), side, "contribution_static")
    return clips.static_map_of(clips.margin(head), side, "margin_static")
