"""Class activation maps of a classifier, Eq. 1 (:mod:`analysis.attribution.class_map`)."""

from typing import TYPE_CHECKING

from analysis.attribution.registry import register_map
from rspnet.names import Side

if TYPE_CHECKING:
    from analysis.attribution.pair_clips import PairClips
    from analysis.core.clip_map import ClipMap


@register_map(
    key="cam",
    title="CAM, Eq. 1",
    symbol="v",
    units="share of the logit v, per cell",
    needs="classifier",
    sums_to="the logit v of the class",
    text="Eq. 1: where a classifier sees a class. Exact: all cells of a clip add up to the class's "
    "logit `v`. The upper class is the likeliest in `c_i`, the lower that in `c_j` or, where it is "
    "the same, the next in `c_i`.",
    by_default=False,
    order=70,
)
def class_map(clips: "PairClips", row: str, side: Side) -> "ClipMap":
    """The map of one of the two classes that are shown."""
    return clips.classes[row][side == "j"].clip_map
