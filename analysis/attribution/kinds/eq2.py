"""Eq. 2 of supplementary C, verbatim: M_s = ((W_j x_j)^T W_i) F_i."""

from typing import TYPE_CHECKING

from analysis.attribution.registry import register_map
from rspnet.names import SIDES, Side

if TYPE_CHECKING:
    from analysis.attribution.pair_clips import PairClips
    from analysis.core.clip_map import ClipMap


@register_map(
    key="eq2",
    title="Eq. 2",
    symbol="M",
    units="Eq. 2, per cell",
    needs="pair",
    sums_to="s without the norms and the heads' bias",
    reduction="mean",
    text="Eq. 2 as the paper has it: its mean is `s` without the norms and the heads' bias.",
    order=10,
)
def eq2(clips: "PairClips", head: str, side: Side) -> "ClipMap":
    """Eq. 2 of one clip (:func:`~analysis.core.closed_form.similarity_map`).

    Raises:
        ValueError: The heads are not linear.
    """
    import torch

    from analysis.core.clip_map import ClipMap
    from analysis.core.closed_form import similarity_map

    own, other = clips.features(side), clips.features(SIDES[side == "i"])
    heads = [clip.branch.head(head) for clip in (own, other)]
    if not all(isinstance(layer, torch.nn.Linear) for layer in heads):
        raise ValueError(
            f"Eq. 2 is of linear heads, and the head {head!r} of this model is not linear: choose "
            "another kind of map"
        )
    W_own, W_other = (torch.as_tensor(layer.weight).double() for layer in heads)
    with torch.no_grad():
        found = similarity_map(own.features.double(), other.features.double(), W_own, W_other)
    values = found[0].cpu().numpy()
    return ClipMap(
        values=values,
        score=float(values.mean()),
        head=head,
        kind="eq2",
        grid=own.grid,
        clip=own.info,
        others=(other.info,),
        model_hash=own.branch.hash,
        units="Eq. 2, per cell",
    )
