"""Insertion, deletion, infidelity and sensitivity, by hand and against loops."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from analysis.core.cells import CellSwap
from analysis.core.grid import Grid
from analysis.core.score import Score, extract_features
from analysis.studies.measures.deletion import (
    Curve,
    KeptCells,
    centre_prior,
    order_of,
    perturbation_curve,
    sensitivity,
    unexplained,
)
from rspnet.models import Branch
from tests.factories import tiny_branch


def clip(seed: int) -> Tensor:
    return torch.randn(3, 8, 32, 32, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def branch() -> Branch:
    return tiny_branch(1, width=4)


@pytest.fixture(scope="module")
def score(branch: Branch) -> Score:
    return Score.similarity(branch, "rsp", extract_features(branch, clip(1)))


@pytest.fixture(scope="module")
def cells(branch: Branch) -> KeptCells:
    grid = extract_features(branch, clip(0)).grid
    return KeptCells(branch, CellSwap.of(clip(0)[None], "mean", grid), batch_size=4)


@dataclass
class Additive(KeptCells):
    """A score that is the sum of what its cells are worth."""

    worth: np.ndarray | None = None

    def score(self, score: Score, kept_BTHW: Tensor) -> Tensor:
        return (kept_BTHW.double() * torch.from_numpy(self.worth)).sum(dim=(1, 2, 3))


def test_curves_of_an_additive_score_by_hand(branch: Branch, score: Score) -> None:
    grid = Grid.even((1, 2, 2), (8, 32, 32))
    worth = np.array([[[4.0, -1.0], [2.0, 0.0]]])
    cells = Additive(branch, CellSwap.of(clip(0)[None], "mean", grid), worth=worth)
    order = order_of(worth)
    assert order.tolist() == [0, 2, 3, 1]
    deletion = perturbation_curve(score, cells, order, "deletion", num_steps=4)
    insertion = perturbation_curve(score, cells, order, "insertion", num_steps=4)
    assert deletion.shares.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert deletion.scores.tolist() == [5, 1, -1, -1, 0]
    assert insertion.scores.tolist() == [0, 4, 6, 6, 5]
    assert deletion.area == pytest.approx((2.5 + 1 - 1 - 1 + 0) / 4)
    assert insertion.area == pytest.approx((0 + 4 + 6 + 6 + 2.5) / 4)


def test_no_order_beats_that_of_an_additive_score(branch: Branch, score: Score) -> None:
    grid = Grid.even((2, 2, 2), (8, 32, 32))
    rng = np.random.default_rng(0)
    worth = rng.normal(size=grid.cells)
    cells = Additive(branch, CellSwap.of(clip(0)[None], "mean", grid), worth=worth)
    for mode, sign in (("deletion", -1), ("insertion", 1)):
        best = perturbation_curve(score, cells, order_of(worth), mode, 8).area
        others = [
            perturbation_curve(score, cells, rng.permutation(8), mode, 8).area for _ in range(20)
        ]
        assert all(sign * best >= sign * other for other in others)


def test_curves_are_those_of_clips_made_one_by_one(score: Score, cells: KeptCells) -> None:
    grid = cells.swap.grid
    order = np.random.default_rng(0).permutation(int(np.prod(grid.cells)))
    curve = perturbation_curve(score, cells, order, "deletion", num_steps=3)
    num = len(order)
    for share, value in zip(curve.shares, curve.scores, strict=True):
        kept = torch.ones(num)
        kept[order[: round(share * num)]] = 0
        with torch.no_grad():
            alone = score(cells.swap(kept.reshape(1, *grid.cells))).item()
        assert value == pytest.approx(alone, abs=1e-6)


def test_ends_are_the_clip_and_the_fill_in_either_mode(score: Score, cells: KeptCells) -> None:
    order = np.arange(int(np.prod(cells.swap.grid.cells)))
    deletion = perturbation_curve(score, cells, order, "deletion")
    insertion = perturbation_curve(score, cells, order, "insertion")
    with torch.no_grad():
        whole, none = score(cells.swap.clip).item(), score(cells.swap.fill).item()
    assert deletion.scores[[0, -1]] == pytest.approx([whole, none], abs=1e-6)
    assert insertion.scores[[0, -1]] == pytest.approx([none, whole], abs=1e-6)


def test_each_set_of_cells_is_sent_through_once(branch: Branch, score: Score) -> None:
    grid = extract_features(branch, clip(0)).grid
    cells = KeptCells(branch, CellSwap.of(clip(0)[None], "static", grid), batch_size=2)
    seen: list[int] = []
    handle = branch.register_forward_hook(lambda _m, inputs, _o: seen.append(len(inputs[0])))
    other = Score.similarity(branch, "avid", extract_features(branch, clip(2)))
    order = np.arange(int(np.prod(grid.cells)))
    perturbation_curve(score, cells, order, "deletion", num_steps=4)
    assert seen == [2, 2, 1]
    perturbation_curve(other, cells, order, "deletion", num_steps=4)
    # Insertion backwards shows the very same clips.
    perturbation_curve(score, cells, order[::-1].copy(), "insertion", num_steps=4)
    handle.remove()
    assert seen == [2, 2, 1]


def test_centre_prior_orders_by_distance_to_the_middle() -> None:
    grid = Grid((3, 3, 3), (9, 48, 48), (3, 16, 16), (1, 7.5, 7.5))
    prior = centre_prior(grid)
    order = order_of(prior)
    assert set(order[:3].tolist()) == {4, 13, 22}  # the middle column, all frames
    assert order[0] == 13  # the middle frame first
    assert set(order[-12:].tolist()) == {9 * t + p for t in range(3) for p in (0, 2, 6, 8)}


def test_a_perfect_map_leaves_nothing_unexplained_and_none_explains_nothing(
    branch: Branch, score: Score
) -> None:
    grid = Grid.even((2, 2, 2), (8, 32, 32))
    worth = np.random.default_rng(0).normal(size=grid.cells)
    cells = Additive(branch, CellSwap.of(clip(0)[None], "mean", grid), worth=worth)
    assert unexplained(score, cells, 3 * worth) == pytest.approx(0, abs=1e-12)
    assert unexplained(score, cells, np.zeros(grid.cells)) == 1
    assert 0.1 < unexplained(score, cells, np.roll(worth, 1, axis=0)) <= 1 + 1e-12
    nothing = Additive(branch, cells.swap, worth=np.zeros(grid.cells))
    assert math.isnan(unexplained(score, nothing, worth))


def test_unexplained_by_its_definition(score: Score, cells: KeptCells) -> None:
    grid = cells.swap.grid
    values = np.random.default_rng(1).normal(size=grid.cells)
    rng = np.random.default_rng(7)
    assert grid.cells == (2, 2, 2)  # boxes are single cells
    taken = np.zeros((5, *grid.cells))
    for box in taken:
        box[tuple(rng.integers([2, 2, 2]))] = 1
    whole = cells.score(score, torch.ones(1, *grid.cells)).item()
    drops = whole - cells.score(score, torch.from_numpy(1 - taken)).numpy()
    predicted = (taken * values).sum(axis=(1, 2, 3))
    scale = (predicted @ drops) / (predicted @ predicted)
    expected = ((scale * predicted - drops) ** 2).sum() / (drops**2).sum()
    found = unexplained(score, cells, values, num_samples=5, seed=7)
    assert found == pytest.approx(expected, rel=1e-6)


def test_sensitivity_grows_with_the_noise_and_is_fixed_by_its_seed(score: Score) -> None:
    small, large = (sensitivity(score, clip(0), radius=r, num_samples=3) for r in (1e-4, 0.1))
    assert sensitivity(score, clip(0), radius=0.1, num_samples=20) >= 0.5 * large
    assert 0 < small < 0.1 * large
    assert sensitivity(score, clip(0), radius=0.1, num_samples=3) == large
    state = torch.random.get_rng_state()
    sensitivity(score, clip(0), num_samples=2)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_area_of_a_straight_line() -> None:
    shares = np.array([0, 0.5, 1.0])
    assert Curve(mode="deletion", shares=shares, scores=1 - shares).area == pytest.approx(0.5)


def test_errors_say_what_there_is(score: Score, cells: KeptCells) -> None:
    num = int(np.prod(cells.swap.grid.cells))
    with pytest.raises(ValueError, match=f"each of the {num} cells once"):
        perturbation_curve(score, cells, np.zeros(num, int), "deletion")
    with pytest.raises(ValueError, match="got 'removal'"):
        perturbation_curve(score, cells, np.arange(num), "removal")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="num_steps is positive, got 0"):
        perturbation_curve(score, cells, np.arange(num), "deletion", 0)
    other = tiny_branch(width=4)
    foreign = Score(other, "rsp", score.target)
    with pytest.raises(ValueError, match="another branch"):
        cells.score(foreign, torch.ones(1, *cells.swap.grid.cells))
