"""Does a map rank the cells as the score does that the network gives without each of them?

Pixels of one cell cannot be taken away: a cell sees far more of the clip than its own territory. So
cells are replaced where the map counts them, in the features: one at a time each becomes what it is
of another clip (the frozen clip, say), and the score is computed anew by pooling, head and
normalisation. No formula of a map enters.
"""

import copy
from itertools import product

import numpy as np
import torch
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
    cells = np.arange(values_THW.size).reshape(values_THW.shape)
    moves = {
        np.roll(cells[:, ::down, ::right], by, (0, 1, 2)).tobytes()
        for down, right in product((1, -1), repeat=2)
        for by in product(*map(range, cells.shape))
    } - {cells.tobytes()}
    elsewhere = [
        rank_correlation(values_THW.ravel()[np.frombuffer(move, int)], drops_THW.ravel())
        for move in moves
    ]
    return rho, float(np.mean([other >= rho - 1e-12 for other in elsewhere])) if elsewhere else 1.0
