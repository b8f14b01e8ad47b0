"""Maps of the head that answers a pretext task (:mod:`analysis.attribution.task_map`)."""

from typing import TYPE_CHECKING

from analysis.attribution.registry import register_map
from rspnet.names import Side

if TYPE_CHECKING:
    from analysis.attribution.pair_clips import PairClips
    from analysis.core.clip_map import ClipMap


@register_map(
    key="task",
    title="Pretext task",
    symbol="v",
    units="share of v, per cell",
    needs="task",
    sums_to="the score v without the head's bias",
    text="Where a method of pre-training sees its answer. Upper: the margin of two answers, of "
    "speeds that of the fastest over the slowest: orange is where a clip appears fast. Lower: the "
    "logit of the answer that is likeliest in `c_i`, Eq. 1. Exact: all cells of a clip add up to "
    "`v`, but for the head's bias.",
    by_default=False,
    order=75,
)
def task(clips: "PairClips", row: str, side: Side) -> "ClipMap":
    """The margin of two answers, or the logit of one."""
    return clips.answers[row][side == "j"].maps[0]
