"""|margin - median of the map|: where a cell stands out in the margin map, whatever its sign.

For slow queries the evidence is often what does *not* move fast: everything that stands still
raises the margin a little, and what moves lowers it.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from analysis.attribution.kinds.margin import NEGATIVES, margin
from analysis.attribution.registry import register_map
from rspnet.names import Side

if TYPE_CHECKING:
    from analysis.attribution.pair_clips import PairClips
    from analysis.core.clip_map import ClipMap


@register_map(
    key="margin_deviation",
    title="Margin, deviation",
    symbol="\N{GREEK CAPITAL LETTER DELTA}s",
    units="|margin \N{MINUS SIGN} median|, per cell",
    needs="triplet",
    sums_to="",
    text="How far each cell of the margin map is from the map's median, without a sign. "
    f"{NEGATIVES}.",
    order=50,
)
def margin_deviation(clips: "PairClips", head: str, side: Side) -> "ClipMap":
    """Of c_i the deviation of its margin map; of c_j the map of s."""
    found = margin(clips, head, side)
    if side == "j":
        return found
    from analysis.attribution.margin import deviation

    return replace(found, values=deviation(found.values), kind="margin_deviation", exact=False)
