"""Does the score change where a map says? Insertion, deletion, infidelity, sensitivity.

*Deletion* takes a clip's cells away in the order of the map, the largest value first, and follows
the score: the lower the curve, the better the map. *Insertion* starts with nothing and puts them
back in the same order: the higher, the better. Source: Petsiuk et al. 2018, "RISE". What is left
in place of a cell is a choice (:mod:`analysis.core.cells`), so results are given for each.

*Infidelity* and *sensitivity* are Captum's, of Yeh et al. 2019, "On the (In)fidelity and
Sensitivity of Explanations".
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from captum.metrics import infidelity, sensitivity_max
from numpy.typing import NDArray
from torch import Tensor

from analysis.core.cells import CellSwap
from analysis.core.clip_map import Map
from analysis.core.closed_form import directed_map
from analysis.core.grid import HEIGHT, TIME, WIDTH, Grid
from analysis.core.score import Score, check_clip
from rspnet.models import Branch, evaluation_mode

Mode = Literal["deletion", "insertion"]
MODES: tuple[Mode, ...] = ("deletion", "insertion")
Floats = NDArray[np.float64]
Order = NDArray[np.int64]
BATCH_SIZE = 16


@dataclass
class KeptCells:
    """Embeddings of a clip with some of its cells kept, each set of cells computed once.

    Both heads and any number of scores are of the same clips, so what the network gave is
    kept: 1 kB a set.

    Attributes:
        branch: In any mode.
        swap: The clip and what stands in for its cells.
        batch_size: Clips in one pass.
    """

    branch: Branch
    swap: CellSwap
    batch_size: int = BATCH_SIZE
    _known: dict[bytes, dict[str, Tensor]] = field(default_factory=dict, repr=False)

    @torch.no_grad()
    def score(self, score: Score, kept_BTHW: Tensor) -> Tensor:
        """The score with some cells kept.

        Args:
            score: A score of this branch.
            kept_BTHW: Not 0 where a cell stays.

        Shape:
            (B, T', H', W') -> (B,) double precision.

        Raises:
            ValueError: The score is of another branch, or the cells are not those of the grid.
        """
        if score.branch is not self.branch:
            raise ValueError("the score is of another branch than the clips are sent through")
        kept = (kept_BTHW != 0).cpu()
        names = [row.numpy().tobytes() for row in kept]
        new = {name: row for row, name in enumerate(names) if name not in self._known}
        for first in range(0, len(new), self.batch_size):
            chunk = list(new.items())[first : first + self.batch_size]
            with evaluation_mode(self.branch):
                found = self.branch(self.swap(kept[[row for _, row in chunk]]))
            for place, (name, _) in enumerate(chunk):
                self._known[name] = {head: z[place].double() for head, z in found.items()}
        embeddings = torch.stack([self._known[name][score.head] for name in names])
        return embeddings @ score.target.to(embeddings)


def order_of(values_THW: Map) -> Order:
    """Cells of a map from the largest signed value to the smallest, as flat indices."""
    return np.argsort(-values_THW.ravel(), kind="stable")


def centre_prior(grid: Grid) -> Map:
    """A map that knows only that cameras are pointed at things: minus the distance to the middle.

    Squared, in shares of the frame's height and width. Time decides between equals, the middle
    first.

    Shape:
        -> (T', H', W').
    """

    def squared(axis: int) -> Floats:
        size = grid.clip[axis]
        return np.asarray(((grid.centres(axis) - (size - 1) / 2) / size) ** 2, float)

    t, y, x = squared(TIME), squared(HEIGHT), squared(WIDTH)
    return np.asarray(-(1e-6 * t[:, None, None] + y[:, None] + x), float)


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A score while cells are taken away or put back.

    Attributes:
        mode: ``deletion`` or ``insertion``.
        shares: Of the cells that were taken or put, from 0 to 1, (K,).
        scores: (K,).
    """

    mode: Mode
    shares: Floats
    scores: Floats

    @property
    def area(self) -> float:
        """Area under the curve: the mean score on the way (trapezoids)."""
        return float(np.trapezoid(self.scores, self.shares))


def perturbation_curve(
    score: Score, cells: KeptCells, order: Order, mode: Mode, num_steps: int = 10
) -> Curve:
    """Follow a score while cells are taken away, or put back, in an order.

    Args:
        score: The target score.
        cells: The clip and what stands in for its cells.
        order: All cells as flat indices, the first to be taken or put first.
        mode: ``deletion`` or ``insertion``.
        num_steps: Steps from none to all, as equal as can be.

    Raises:
        ValueError: The order is not one of all cells, or a choice is out of range.
    """
    shape = cells.swap.grid.cells
    num = int(np.prod(shape))
    if sorted(order.tolist()) != list(range(num)):
        raise ValueError(f"the order holds each of the {num} cells once, got {len(order)} values")
    if mode not in MODES:
        raise ValueError(f"mode is one of {list(MODES)}, got {mode!r}")
    if num_steps < 1:
        raise ValueError(f"num_steps is positive, got {num_steps}")
    counts = np.unique(np.linspace(0, num, num_steps + 1).round().astype(int))
    rank = np.empty(num, int)
    rank[order] = np.arange(num)
    changed_KP = rank < counts[:, None]
    kept = ~changed_KP if mode == "deletion" else changed_KP
    scores = cells.score(score, torch.from_numpy(kept.reshape(-1, *shape)))
    return Curve(mode=mode, shares=counts / num, scores=scores.cpu().numpy())


def unexplained(
    score: Score, cells: KeptCells, values_THW: Map, *, num_samples: int = 30, seed: int = 0
) -> float:
    """Captum's normalised infidelity of a map, over the mean square of the drops it predicts.

    A box of cells, half of the grid along each axis, is taken away at a random place ("square
    removal" of the source). A map predicts the drop of the score as the sum of its values there.
    The infidelity is the mean squared error of that, at the best scale of the map. Of the drops'
    own mean square it is the share that the map leaves unexplained: 0 for a perfect map, 1 for one
    that says nothing. Compare it with that of the map shuffled: boxes of one size have much of
    their drop in common, which takes no knowledge of the place.

    Args:
        score: The target score.
        cells: The clip and what stands in for its cells.
        values_THW: The map.
        num_samples: Boxes.
        seed: Fixes them.

    Returns:
        The share; NaN if no box changes the score.

    Raises:
        ValueError: The map is not on the grid.
    """
    grid = cells.swap.grid
    grid.check(values_THW)
    sizes = [(n + 1) // 2 for n in grid.cells]

    def measured(values: Map, *, normalize: bool) -> float:
        rng = np.random.default_rng(seed)

        def delete_cells(kept: Tensor) -> tuple[Tensor, Tensor]:
            taken = torch.zeros_like(kept)
            for box in taken:
                starts = [
                    rng.integers(n - size + 1) for n, size in zip(grid.cells, sizes, strict=True)
                ]
                box[tuple(slice(a, a + size) for a, size in zip(starts, sizes, strict=True))] = 1
            return taken, kept - taken

        found = infidelity(
            lambda kept: cells.score(score, kept),
            delete_cells,
            torch.ones(1, *grid.cells, dtype=torch.float64),
            torch.from_numpy(np.asarray(values, np.float64))[None],
            n_perturb_samples=num_samples,
            normalize=normalize,
        )
        return float(found)

    drops = measured(np.zeros(grid.cells), normalize=False)
    # A map without values has no best scale.
    if drops == 0 or not values_THW.any():
        return 1.0 if drops else float("nan")
    return measured(values_THW, normalize=True) / drops


def sensitivity(
    score: Score, clip: Tensor, *, radius: float = 0.02, num_samples: int = 10, seed: int = 0
) -> float:
    """Captum's largest relative change of the contribution map under noise on all pixels.

    Args:
        score: Which target score; its target stays.
        clip: Normalised, (3, T, H, W).
        radius: Of the noise, uniform, in normalised units; 0.02 is about one of 255 grey levels.
        num_samples: Draws of it.
        seed: Fixes them.

    Raises:
        ValueError: The clip does not fit.
    """
    clip = check_clip(score.branch, clip)
    head = score.branch.head(score.head)

    @torch.no_grad()
    def explain(clips: Tensor | tuple[Tensor, ...]) -> tuple[Tensor]:
        batch = clips if isinstance(clips, Tensor) else clips[0]
        with evaluation_mode(score.branch):
            F = score.branch.features(batch).double()
        return (directed_map(F, head, score.target.expand(len(F), -1)),)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        largest = sensitivity_max(
            explain,
            clip,
            perturb_radius=radius,
            n_perturb_samples=num_samples,
            max_examples_per_batch=min(BATCH_SIZE, num_samples),
        )
    return float(largest)
