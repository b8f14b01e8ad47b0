"""A map finer than the network's grid, by shifting the clip.

A cell of a network with stride 16 sees pixels 0, 16, 32, ... at its centre. Shifted by 4 pixels
the same cells see 4, 20, 36, ...: together they are a map with a cell every 4 pixels. Each cell
still covers its whole receptive field; what gets finer is where that field stands.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from analysis.core.clip import ClipInfo
from analysis.core.clip_map import ClipMap
from analysis.core.grid import Grid
from analysis.core.score import ClipFeatures, Score, check_clip, extract_features
from rspnet.models import Branch


def _shift(clip: Tensor, down: int, right: int) -> Tensor:
    """The clip moved up and left by so many pixels, its border repeated: (1, 3, T, H, W)."""
    padded = functional.pad(clip, (0, right, 0, down, 0, 0), mode="replicate")
    return padded[..., down:, right:]


@torch.no_grad()
def fine_map(score: Score, clip: Tensor, steps: int = 4, info: ClipInfo | None = None) -> ClipMap:
    """The map of a score with ``steps`` times as many cells along height and width.

    The clip is shifted by all combinations of 0, 1/steps, 2/steps, ... of a cell; the maps are
    interleaved, and divided by their number. So the values sum to the mean score of the shifted
    clips, which is what ``ClipMap.score`` is. For several scores of one clip, take
    :func:`shifted_features` once and :func:`fine_map_of` for each.

    Args:
        score: The target score.
        clip: Normalised, (3, T, H, W).
        steps: Divides the grid's stride in pixels.
        info: Where the clip is from.

    Returns:
        A map of (T', steps * H', steps * W') cells.

    Example:
        >>> import torch
        >>> from analysis import Score, example_branch, extract_features
        >>> branch = example_branch()
        >>> clip, other = torch.randn(2, 3, 8, 32, 32)
        >>> score = Score.similarity(branch, "rsp", extract_features(branch, other))
        >>> fine_map(score, clip, steps=2).grid.cells
        (2, 4, 4)

    Raises:
        ValueError: ``steps`` does not divide the stride, or the clip does not fit.
    """
    return fine_map_of(score, shifted_features(score.branch, clip, steps, info))


@torch.no_grad()
def shifted_features(
    branch: Branch, clip: Tensor, steps: int, info: ClipInfo | None = None
) -> list[list[ClipFeatures]]:
    """The features of a clip shifted by parts of a cell, one forward pass each.

    Returns:
        ``steps`` rows (shifts along height) of ``steps`` items (along width).

    Raises:
        ValueError: ``steps`` does not divide the stride, or the clip does not fit.
    """
    clip = check_clip(branch, clip)
    strides = branch.cell_geometry.stride[1:]
    if steps < 1 or any(stride % steps for stride in strides):
        raise ValueError(
            f"steps divides the stride of this network's cells, {strides[0]:g} x {strides[1]:g} "
            f"pixels, got {steps}"
        )
    down, right = (int(stride) // steps for stride in strides)
    return [
        [extract_features(branch, _shift(clip, a * down, b * right), info) for b in range(steps)]
        for a in range(steps)
    ]


def fine_map_of(score: Score, shifted: Sequence[Sequence[ClipFeatures]], kind: str = "") -> ClipMap:
    """The fine map of a score from the features of the shifted clips.

    Args:
        score: Of the branch that the clips went through.
        shifted: From :func:`shifted_features`.
        kind: Key of the map, if not ``contribution`` or ``margin``.
    """
    steps = len(shifted)
    parts = [[score.contributions(clip, kind) for clip in row] for row in shifted]
    first = parts[0][0]
    t, h, w = first.grid.cells
    values = np.zeros((t, steps * h, steps * w))
    for a, row in enumerate(parts):
        for b, part in enumerate(row):
            values[:, a::steps, b::steps] = part.values / steps**2
    stride = first.grid.stride
    grid = Grid(
        cells=(t, steps * h, steps * w),
        clip=first.grid.clip,
        stride=(stride[0], float(int(stride[1]) // steps), float(int(stride[2]) // steps)),
        first=first.grid.first,
    )
    return replace(
        first,
        values=values,
        score=sum(part.score for row in parts for part in row) / steps**2,
        kind=f"{first.kind}, {steps} x {steps} shifts",
        grid=grid,
        units="share of the mean score of the shifted clips, per cell",
    )
