"""The four parts of a similarity: what stands still and what moves (:mod:`analysis.core.ledger`).

s = static-static + static-motion + motion-static + motion-motion, the first word of c_i and the
second of c_j, exactly. One more forward pass of each clip, stopped at its middle frame.
"""

from typing import TYPE_CHECKING

from analysis.attribution.registry import register_map
from rspnet.names import Side

if TYPE_CHECKING:
    from analysis.attribution.pair_clips import PairClips
    from analysis.core.clip_map import ClipMap

GROUP = "Static/motion"
_PARTS = {
    "motion_motion": (
        "Motion with motion",
        "what movement adds to `c_i` and what it adds to `c_j`",
    ),
    "motion_static": ("Motion with static", "what movement adds to `c_i` and `c_j` at rest"),
    "static_motion": ("Static with motion", "`c_i` at rest and what movement adds to `c_j`"),
    "static_static": ("Static with static", "`c_i` and `c_j`, both at rest"),
}


def _register(part: str, order: int) -> None:
    title, what = _PARTS[part]
    symbol = f"s({''.join(word[0] for word in part.split('_'))})"  # such as s(mm)

    @register_map(
        key=part,
        title=title,
        symbol=symbol,
        units=f"{part.replace('_', '-')} part of s, per cell",
        needs="pair",
        sums_to="its part of the cosine similarity s",
        text=f"`{symbol}`, the part of `s` that is of {what}. At rest is the clip stopped at its "
        "middle frame. The four parts of this group add up to `s` exactly.",
        group=GROUP,
        by_default=False,
        order=order,
    )
    def compute(clips: "PairClips", head: str, side: Side) -> "ClipMap":
        return clips.ledger(head).maps[part][side == "j"]


for _place, _part in enumerate(_PARTS):
    _register(_part, 62 + _place)
