"""Does a map rank the cells as the score does that the network gives without each of them?

Pixels of one cell cannot be taken away: a cell sees far more of the clip than its own territory. So
cells are replaced where the map counts them, in the features: one at a time each becomes what it is
of another clip (the frozen clip, say), and the score is computed anew by pooling, head and
normalisation. No formula of a map enters. A similarity loses little with any one cell, as the norm
falls as well: it is followed while all cells go in a map's order (:func:`removal_by_place`).
"""

import copy
from collections.abc import Sequence
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from analysis.core.clip_map import Map
from analysis.core.score import ClipFeatures, Score
from analysis.core.statistics import rank_correlation


@torch.no_grad()
def cell_drops(score: Score, clip: ClipFeatures, other: ClipFeatures) -> Map:
    """By how much a score falls when one cell's features become those of another clip.

    Args:
        score: Of the clip's branch.
        clip: The clip.
        other: What each cell is replaced with, on the same grid.

    Shape:
        -> (T', H', W').

    Raises:
        ValueError: The clips are on different grids.

    Example:
        >>> from analysis import PairClips, example_branch, example_views
        >>> branch = example_branch()
        >>> clips = PairClips.of(branch, branch, *example_views(2))
        >>> cell_drops(clips.similarity("rsp"), clips.c_i, clips.static("i")).shape
        (2, 2, 2)
    """
    if clip.grid != other.grid:
        raise ValueError(f"both clips are on one grid, got {clip.grid} and {other.grid}")
    F_CP, other_CP = (c.features[0].flatten(1).double() for c in (clip, other))
    x_C = F_CP.mean(dim=1)
    without_PC = x_C + (other_CP - F_CP).T / F_CP.shape[1]
    head = copy.deepcopy(score.branch.head(score.head)).double().eval()
    z = functional.normalize(head(torch.cat([x_C[None], without_PC])), dim=1)
    scores = (z @ score.target.to(z)).cpu().numpy()
    # What is of rounding alone, as in a clip that stands still, has no ranks.
    return np.asarray(np.round(scores[0] - scores[1:], 12)).reshape(clip.grid.cells)


def _moves(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Cells of a grid as a map moved to each place reads them, first where it is, (M, P)."""
    cells = np.arange(np.prod(shape)).reshape(shape)
    moved = (
        np.roll(cells[:, ::down, ::right], by, (0, 1, 2)).ravel()
        for down, right in product((1, -1), repeat=2)
        for by in product(*map(range, shape))
    )
    return np.stack(list({move.tobytes(): move for move in moved}.values()))


def agreement_by_place(values_THW: Map, drops_THW: Map) -> tuple[float, float]:
    """Spearman's rho of two maps, and how often the first agrees as well in another place.

    Maps are smooth, so that cells are no independent cases. The first map is moved to all other
    places of the grid, going round its edges, also mirrored: what is left of the agreement there
    takes no knowledge of the place.

    Returns:
        rho, and the share of the other places where it is as large (the p value of a test); 0 and
        1 if a map is constant or there is no other place.

    Example:
        >>> import numpy as np
        >>> values = np.arange(24.0).reshape(2, 3, 4) ** 2
        >>> rho, share = agreement_by_place(values, values)
        >>> round(rho, 6), share
        (1.0, 0.0)
    """
    rho = rank_correlation(values_THW, drops_THW)
    if not np.isfinite(rho):
        return 0.0, 1.0
    elsewhere = [
        rank_correlation(values_THW.ravel()[move], drops_THW.ravel())
        for move in _moves(values_THW.shape)[1:]
    ]
    return rho, float(np.mean([other >= rho - 1e-12 for other in elsewhere])) if elsewhere else 1.0


@torch.no_grad()
def removal_by_place(
    score: Score,
    clip: ClipFeatures,
    values_THW: Map,
    others: Sequence[ClipFeatures],
    num_steps: int = 6,
) -> tuple[float, float]:
    """How much lower a score is on the way as cells become those of an average video.

    In the order of the map, its largest value first, the features of cells are replaced by the mean
    feature of other videos, and the mean score on the way is taken. As in
    :func:`agreement_by_place` the map is also moved to all other places of the grid.

    Args:
        score: Of the clip's branch.
        clip: The clip.
        values_THW: The map, on the clip's grid.
        others: Clips of other videos, at least one.
        num_steps: Steps from none to all cells.

    Returns:
        The mean score on the way by the orders of the other places, minus that by the map's own;
        and the share of the other places whose order lowers the score as fast: 0 and 1 if a map is
        constant or there is no other place.

    Raises:
        ValueError: The map is not on the clip's grid, or there is no other clip.

    Example:
        >>> from analysis import PairClips, example_branch, example_views
        >>> branch = example_branch()
        >>> c_i, c_j, other = example_views(3)
        >>> clips = PairClips.of(branch, branch, c_i, c_j, others=[other])
        >>> score, others = clips.similarity("rsp"), clips.negatives["avid"].clips
        >>> own = score.contributions(clips.c_i).values
        >>> gain, share = removal_by_place(score, clips.c_i, own, others)
        >>> 0 <= share <= 1
        True
    """
    clip.grid.check(values_THW)
    if not others:
        raise ValueError("cells are replaced by the mean feature of other videos, got none")
    moves = _moves(values_THW.shape)
    if len(moves) == 1 or np.ptp(values_THW) == 0:
        return 0.0, 1.0
    own_CP = clip.features[0].flatten(1).double()
    mean_C = torch.stack([c.features[0].flatten(1).double().mean(dim=1) for c in others]).mean(0)
    num = values_THW.size
    counts = np.unique(np.linspace(0, num, num_steps + 1).round().astype(int))
    orders_MP = np.argsort(-values_THW.ravel()[moves], axis=1, kind="stable")
    ranks_MP = torch.from_numpy(np.argsort(orders_MP, axis=1))
    head = copy.deepcopy(score.branch.head(score.head)).double().eval()
    scores = []
    for count in counts.tolist():
        kept_MP = (ranks_MP >= count).to(own_CP)
        x_MC = (kept_MP @ own_CP.T + count * mean_C) / num
        scores.append((functional.normalize(head(x_MC), dim=1) @ score.target.to(x_MC)).cpu())
    own, *elsewhere = np.trapezoid(torch.stack(scores).numpy(), counts / num, axis=0)
    return float(np.mean(elsewhere) - own), float(np.mean(elsewhere <= own + 1e-12))
