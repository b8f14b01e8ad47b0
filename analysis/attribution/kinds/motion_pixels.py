"""What movement adds to a score, pixel by pixel: integrated gradients from the static clip.

:func:`analysis.attribution.captum_methods.motion_pixels`, of the margin towards the faster clip in
c_i and of s in c_j.
"""

from typing import TYPE_CHECKING

from analysis.attribution.kinds.captum import GROUP
from analysis.attribution.kinds.margin import NEGATIVES
from analysis.attribution.registry import register_map
from rspnet.names import Side

if TYPE_CHECKING:
    from analysis.attribution.pair_clips import PairClips
    from analysis.core.clip_map import ClipMap


@register_map(
    key="motion_pixels",
    title="Motion, pixel by pixel",
    symbol="\N{GREEK CAPITAL LETTER DELTA}\N{GREEK CAPITAL LETTER DELTA}s",
    units="added by movement, per pixel and frame",
    needs="triplet",
    sums_to="",
    text="What movement adds to the margin, signed towards the faster clip: the gradients on the "
    "path from the clip stopped at its middle frame add up to the margin minus the static clip's, "
    "but for the error of the numerical integral. A pixel that does not change has 0 whatever the "
    f"model is: what counts is the sign. {NEGATIVES}, minus the static clip's.",
    group=GROUP,
    by_default=False,
    num_passes=lambda _grid: 1 + 24 + 2,
    margin=lambda clips, head: clips.margin_to_faster(head),
    order=100,
)
def motion_pixels(clips: "PairClips", head: str, side: Side) -> "ClipMap":
    """Of c_i what movement adds to its margin to the faster clip; of c_j what it adds to s."""
    from analysis.attribution.captum_methods import motion_pixels as evaluate

    score = clips.margin_to_faster(head) if side == "i" else clips.similarity(head, side)
    with clips.counted(side):
        return evaluate(score, clips.view(side))
