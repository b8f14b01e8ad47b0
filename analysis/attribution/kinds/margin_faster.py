"""The margin map, signed towards the faster of the two clips that the margin tells apart.

If c_j is faster than c_k it is the margin map, else its negative: positive is where c_i appears
fast. A head that reads how much moves has no sign of slowness but stillness. What moves in a slow
c_i lowers its margin, and the positive part of its margin map is all that stands still; with this
sign the maps of fast and slow clips can be compared. A margin over other videos has no faster
clip: there it is the margin map.
"""

from typing import TYPE_CHECKING

from analysis.attribution.kinds.margin import NEGATIVES, margin
from analysis.attribution.registry import register_map
from rspnet.names import Side

if TYPE_CHECKING:
    from analysis.attribution.pair_clips import PairClips
    from analysis.core.clip_map import ClipMap


@register_map(
    key="margin_faster",
    title="Margin, faster clip",
    symbol="\N{GREEK CAPITAL LETTER DELTA}s",
    units="margin towards the faster clip, per cell",
    needs="triplet",
    sums_to="the margin of the faster clip over the slower one",
    text="The margin map, for RSP signed towards the faster clip: orange is where `c_i` appears "
    f"fast. {NEGATIVES}.",
    fine=True,
    margin=lambda clips, head: clips.margin_to_faster(head),
    order=40,
)
def margin_faster(clips: "PairClips", head: str, side: Side) -> "ClipMap":
    """Of c_i the margin map with the sign of the faster clip; of c_j that of s."""
    if side == "j":
        return margin(clips, head, side)
    return clips.map_of(clips.margin_to_faster(head), side, "margin_faster")
