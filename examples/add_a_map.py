"""Add a kind of map: ``python examples/add_a_map.py --out runs/new_map``.

A kind of map is one function: a pair of clips in, signed values on the grid of one of them out.
Moved into ``analysis/attribution/kinds/`` it is in ``python -m analysis maps``, Figure 1, strips,
the studies, and the dashboard's menus and export, without another edit.
"""

import sys
from dataclasses import replace

from analysis.__main__ import main
from analysis.attribution.kinds.margin import margin
from analysis.attribution.pair_clips import PairClips
from analysis.attribution.registry import register_map
from analysis.core.clip_map import ClipMap
from rspnet.names import Side


@register_map(
    key="margin_in_time",
    title="Margin, over time",
    symbol="\N{GREEK CAPITAL LETTER DELTA}s",
    units="margin minus its mean over time, per cell",
    needs="triplet",  # c_i, c_j, and what each head's margin contrasts c_j with
    sums_to="0 at every place",
    text="When a place counts: the margin map minus its mean over time.",
)
def margin_in_time(clips: PairClips, head: str, side: Side) -> ClipMap:
    """The margin map of one head in one clip, minus its mean over time at each place."""
    found = margin(clips, head, side)  # (T', H', W')
    values = found.values - found.values.mean(axis=0)
    return replace(found, values=values, score=0.0, kind="margin_in_time")


if __name__ == "__main__":
    # Without --video_i the command takes a synthetic video.
    sys.exit(main(["maps", "--maps", "[margin_in_time]", *sys.argv[1:]]))
