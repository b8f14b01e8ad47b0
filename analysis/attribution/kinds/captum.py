"""Captum's methods as independent attribution methods beside the exact maps.

Each evaluates the same scores as the exact maps: the similarity s of both clips, or the margin of
c_i (:mod:`analysis.attribution.captum_methods`). All but LayerGradCAM send many perturbed clips
through the network; a kind's ``num_passes`` says how many.
"""

import math
from typing import TYPE_CHECKING

from analysis.attribution.kinds.margin import NEGATIVES
from analysis.attribution.registry import register_map
from rspnet.names import Side

if TYPE_CHECKING:
    from analysis.attribution.captum_methods import Method
    from analysis.attribution.pair_clips import PairClips
    from analysis.core.clip_map import ClipMap
    from analysis.core.grid import Grid

GROUP = "Captum"
# The points of the path by default, and its two ends for the convergence delta.
_PATH = 50 + 2
# Of each method its title, units of a score's share and how it works, in words.
_METHODS: "dict[Method, tuple[str, str, str]]" = {
    "layer_gradcam": (
        "LayerGradCAM",
        "share of {}, per cell",
        "; LayerGradCAM's does, as features and gradients of the last layer, with the embedding's "
        "length held, are what the contributions are made of.",
    ),
    "integrated_gradients": (
        "Integrated gradients",
        "share of the change of {}, per cell",
        ": the gradients on the path from a clip of one constant colour, the clip's mean, come to "
        "`{}` minus that clip's own, but for the error of the numerical integral.",
    ),
    "occlusion": (
        "Occlusion",
        "mean drop of {}",
        ": a box of a cell's size, in the clip's mean colour, hides one part after another, and "
        "each cell has the mean drop of `{}` over its pixels.",
    ),
    "feature_ablation": (
        "Feature ablation",
        "drop of {}",
        ": each cell's pixels in turn take the clip's mean colour, and the cell has the drop of "
        "`{}`.",
    ),
}


def num_passes(method: "Method", grid: "Grid") -> int:
    """How many clips go through the network for one map, by a method's defaults.

    Args:
        method: Of :data:`analysis.attribution.captum_methods.METHODS`.
        grid: Of the model and clip.
    """
    if method == "layer_gradcam":
        return 1 + 1  # the score itself, and the pass whose gradient is taken
    if method == "integrated_gradients":
        return 1 + _PATH
    if method == "feature_ablation":
        return 1 + 1 + math.prod(grid.cells)
    places = 1
    for stride, length in zip(grid.stride, grid.clip, strict=True):
        places *= math.ceil(length / min(length, max(1, round(stride))))
    return 1 + 1 + places


def _register(method: "Method", *, of_margin: bool, order: int) -> None:
    title, units, text = _METHODS[method]
    letter = "\N{GREEK CAPITAL LETTER DELTA}s" if of_margin else "s"
    key = f"{method}_margin" if of_margin else method
    held = "the other clips" if of_margin else "the other clip"
    words = (
        f"Captum, which does not use the exact maps, evaluates what `{letter}` owes to each cell, "
        f"with {held} held fixed. It measures something else, so that its map need not add up to "
        f"`{letter}`{text.format(letter)}"
    )

    @register_map(
        key=key,
        title=f"{title} of the margin" if of_margin else title,
        symbol=letter,
        units=units.format(letter),
        needs="triplet" if of_margin else "pair",
        sums_to="",
        text=f"{words} {NEGATIVES}." if of_margin else words,
        group=GROUP,
        by_default=False,
        num_passes=lambda grid: num_passes(method, grid),
        order=order,
    )
    def compute(clips: "PairClips", head: str, side: Side) -> "ClipMap":
        from dataclasses import replace

        from analysis.attribution.captum_methods import attribute

        is_margin = of_margin and side == "i"
        score = clips.margin(head) if is_margin else clips.similarity(head, side)
        with clips.counted(side):
            found = attribute(score, clips.view(side), method)
        return replace(found, kind=key if is_margin else method)


for _place, _method in enumerate(_METHODS):
    _register(_method, of_margin=False, order=80 + _place)
    _register(_method, of_margin=True, order=90 + _place)
