"""What a score loses without one cell's features, and whether a map knows the place."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from analysis import PairClips, example_views
from analysis.studies.measures.ablation import agreement_by_place, cell_drops, removal_by_place
from tests.factories import tiny_branch


@pytest.mark.parametrize("head", ["linear", "mlp"])
def test_a_drop_is_that_of_the_features_with_one_cell_replaced(head: str) -> None:
    branch = tiny_branch(0, head=head)
    clips = PairClips.of(branch, branch, *example_views(2))
    score, clip, other = clips.similarity("avid"), clips.c_i, clips.static("i")
    found = cell_drops(score, clip, other)
    whole = clip.embeddings["avid"].double() @ score.target
    for place in np.ndindex(found.shape):
        changed = clip.features.clone()
        changed[(0, slice(None), *place)] = other.features[(0, slice(None), *place)]
        with torch.no_grad():
            left = branch.project(changed)["avid"][0].double() @ score.target
        assert found[place] == pytest.approx(float(whole - left), abs=1e-6)
    assert not cell_drops(score, clip, clip).any()


def test_a_clip_on_another_grid_is_refused() -> None:
    branch = tiny_branch(0)
    clips = PairClips.of(branch, branch, *example_views(2))
    fine = clips.finer(2).map_of(clips.similarity("rsp"), "i", "s").grid
    other = replace(clips.c_i, grid=fine)
    with pytest.raises(ValueError, match="on one grid, got 2 x 2 x 2 cells and 2 x 4 x 4 cells"):
        cell_drops(clips.similarity("rsp"), clips.c_i, other)


@pytest.mark.parametrize("head", ["linear", "mlp"])
def test_removal_is_that_of_features_replaced_in_the_order_of_a_map(head: str) -> None:
    branch = tiny_branch(0, head=head)
    c_i, c_j, other = example_views(3)
    clips = PairClips.of(branch, branch, c_i, c_j, others=[other])
    score, others = clips.similarity("avid"), clips.negatives["avid"].clips
    values = np.arange(8.0).reshape(2, 2, 2)[::-1]  # the last cells of the first frames go first
    gain, share = removal_by_place(score, clips.c_i, values, others, num_steps=2)
    mean = others[0].features.mean(dim=(2, 3, 4))[0]

    def area(map_THW: np.ndarray) -> float:
        scores = []
        for count in (0, 4, 8):
            changed = clips.c_i.features.clone()
            for flat in np.argsort(-map_THW.ravel(), kind="stable")[:count]:
                place = np.unravel_index(flat, map_THW.shape)
                changed[(0, slice(None), *place)] = mean
            with torch.no_grad():
                scores.append(float(branch.project(changed)["avid"][0].double() @ score.target))
        return (scores[0] + 2 * scores[1] + scores[2]) / 4

    # On 2 x 2 x 2 cells a mirror image is a shift: seven other places.
    turned = [np.roll(values, by, (0, 1, 2)) for by in np.ndindex(2, 2, 2)]
    own, *elsewhere = (area(t) for t in turned)
    assert gain == pytest.approx(np.mean(elsewhere) - own, abs=1e-6)
    assert share == pytest.approx(np.mean([e <= own + 1e-9 for e in elsewhere]))
    assert removal_by_place(score, clips.c_i, np.ones((2, 2, 2)), others) == (0.0, 1.0)
    with pytest.raises(ValueError, match="the mean feature of other videos, got none"):
        removal_by_place(score, clips.c_i, values, [])


def test_agreement_counts_the_other_places_of_a_map() -> None:
    # Along a line of 4 cells there are 4 places, and 4 of the mirror image: 7 others.
    drops = np.array([[[0.0, 1, 5, 2]]])
    assert agreement_by_place(drops, drops) == pytest.approx((1, 0))
    rho, share = agreement_by_place(np.roll(drops, 1, axis=2), drops)
    # Ranks 2 0 1 3 against 0 1 3 2: rho = 1 - 6 * (4 + 1 + 4 + 1) / 60.
    assert rho == pytest.approx(0)
    # By hand, of the seven others: 1 (home), -1 (by 2), 0 (by 3), and of the mirror images four.
    mirrored = [np.roll([2.0, 5, 1, 0], n) for n in range(4)]
    ranks = [np.argsort(np.argsort(m)) for m in mirrored]
    others = [1 - 6 * ((r - [0, 1, 3, 2]) ** 2).sum() / 60 for r in ranks]
    expected = (1 + 1 + sum(other >= 0 for other in others)) / 7
    assert share == pytest.approx(expected)
    assert agreement_by_place(np.ones((1, 2, 2)), np.eye(2)[None]) == (0.0, 1.0)
    assert agreement_by_place(np.ones((1, 1, 1)), np.ones((1, 1, 1))) == (0.0, 1.0)
