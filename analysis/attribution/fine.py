"""A map finer than the network's grid, by shifting the clip.

A cell of a network with stride 16 sees pixels 0, 16, 32, ... at its centre. Shifted by 4 pixels
the same cells see 4, 20, 36, ...: together they are a map with a cell every 4 pixels. Each cell
still looks at its whole receptive field; what gets finer is where that field stands.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from analysis.core.clip import ClipInfo
from analysis.core.clip_map import ClipMap
from analysis.core.grid import Grid
from analysis.core.score import Score, check_clip, extract_features


def _shift(clip: Tensor, down: int, right: int) -> Tensor:
    """The clip moved up and left by so many pixels, its border repeated: (1, 3, T, H, W)."""
    padded = functional.pad(clip, (0, right, 0, down, 0, 0), mode="replicate")
    return padded[..., down:, right:]


@torch.no_grad()
def fine_map(score: Score, clip: Tensor, steps: int = 4, info: ClipInfo | None = None) -> ClipMap:
    """The map of a score with ``steps`` times as many cells along height and width.

    The clip is shifted by all combinations of 0, 1/steps, 2/steps, ... of a cell; the maps are
    interleaved, and divided by their number. So the values sum to the mean score of the shifted
    clips, which is what ``ClipMap.score`` is.

    Args:
        score: What is asked.
        clip: Normalised, (3, T, H, W).
        steps: Divides the grid's stride in pixels.
        info: Where the clip is from.

    Returns:
        A map of (T', steps * H', steps * W') cells.

    Raises:
        ValueError: ``steps`` does not divide the stride, or the clip does not fit.
    """
    return fine_maps([score], clip, steps, info)[0]


@torch.no_grad()
def fine_maps(
    scores: Sequence[Score], clip: Tensor, steps: int = 4, info: ClipInfo | None = None
) -> list[ClipMap]:
    """:func:`fine_map` of several scores: each shifted clip goes through the network once.

    Args:
        scores: What is asked, all of one branch.
        clip: Normalised, (3, T, H, W).
        steps: Divides the grid's stride in pixels.
        info: Where the clip is from.

    Returns:
        A map of (T', steps * H', steps * W') cells for each score.

    Raises:
        ValueError: As :func:`fine_map`, or there is no score, or they are of several branches.
    """
    if not scores:
        raise ValueError("a fine map is of at least one score, got none")
    branch = scores[0].branch
    if any(score.branch is not branch for score in scores):
        raise ValueError("scores that share their shifted clips are of one branch: ask twice")
    clip = check_clip(branch, clip)
    strides = branch.cell_geometry.stride[1:]
    if steps < 1 or any(stride % steps for stride in strides):
        raise ValueError(
            f"steps divides the stride of this network's cells, {strides[0]:g} x {strides[1]:g} "
            f"pixels, got {steps}"
        )
    down, right = (int(stride) // steps for stride in strides)
    parts: list[dict[tuple[int, int], ClipMap]] = [{} for _ in scores]
    for a in range(steps):
        for b in range(steps):
            shifted = extract_features(branch, _shift(clip, a * down, b * right), info)
            for score, own in zip(scores, parts, strict=True):
                own[a, b] = score.contributions(shifted)
    return [_interleaved(own, steps, float(down), float(right)) for own in parts]


def _interleaved(
    parts: dict[tuple[int, int], ClipMap], steps: int, down: float, right: float
) -> ClipMap:
    """One map of those of the shifted clips, by their shift along height and width."""
    first = parts[0, 0]
    t, h, w = first.grid.cells
    values = torch.zeros(t, steps * h, steps * w, dtype=torch.float64).numpy()
    for (a, b), part in parts.items():
        values[:, a::steps, b::steps] = part.values / steps**2
    grid = Grid(
        cells=(t, steps * h, steps * w),
        clip=first.grid.clip,
        stride=(first.grid.stride[0], down, right),
        first=first.grid.first,
    )
    return ClipMap(
        values=values,
        score=sum(part.score for part in parts.values()) / steps**2,
        head=first.head,
        kind=f"{first.kind}, {steps} x {steps} shifts",
        grid=grid,
        clip=first.clip,
        others=first.others,
        model_hash=first.model_hash,
        exact=True,
        units="share of the mean score of the shifted clips, per cell",
    )
