"""Pairs of places, saved and asked for partners."""

from pathlib import Path

import numpy as np
import pytest
import torch

from analysis import ClipInfo, Score, extract_features
from analysis.attribution.pairwise import PairwiseMap, explain_pairwise
from rspnet.models import Branch


@pytest.fixture(scope="module")
def found(planted_branch: Branch) -> PairwiseMap:
    """A red square on the left of c_i and on the right of c_j."""

    def clip(column: int) -> torch.Tensor:
        x = torch.zeros(3, 16, 112, 112)
        x[0, :, 40:72, column : column + 32] = 1.0
        return x

    c_i = extract_features(planted_branch, clip(0), ClipInfo("i", (0, 1), 1))
    c_j = extract_features(planted_branch, clip(80), ClipInfo("j", (2, 3), 1))
    return explain_pairwise(c_i, c_j, "rsp")


def test_sums_give_each_clips_map(found: PairwiseMap, planted_branch: Branch) -> None:
    assert found.values.shape == (4, 7, 7, 4, 7, 7)
    assert found.score == pytest.approx(1)
    assert found.completeness_error < 1e-6

    def clip(column: int) -> torch.Tensor:
        x = torch.zeros(3, 16, 112, 112)
        x[0, :, 40:72, column : column + 32] = 1.0
        return x

    c_i, c_j = extract_features(planted_branch, clip(0)), extract_features(planted_branch, clip(80))
    own = Score.similarity(planted_branch, "rsp", c_j).contributions(c_i)
    np.testing.assert_allclose(found.values.sum((3, 4, 5)), own.values, atol=1e-12)


def test_partners_of_the_red_square_lie_on_the_other_red_square(found: PairwiseMap) -> None:
    partners = found.partners((1, 3, 0))
    assert partners.completeness_error == 0
    assert partners.score == pytest.approx(found.values[1, 3, 0].sum())
    assert partners.values[..., 4:].sum() > 0.9 * partners.score > 0
    assert partners.clip.video == "j"
    with pytest.raises(ValueError, match="got the cell"):
        found.partners((0, 7, 0))


def test_saved_and_read_back(found: PairwiseMap, tmp_path: Path) -> None:
    path = found.save(tmp_path / "p.npz")
    other = PairwiseMap.load(path)
    np.testing.assert_array_equal(other.values, found.values)
    for name in ("score", "head", "grid_i", "grid_j", "clip_i", "clip_j", "model_hash", "units"):
        assert getattr(other, name) == getattr(found, name)
    np.savez(tmp_path / "other.npz", values=found.values)
    with pytest.raises(ValueError, match="holds no pairwise map"):
        PairwiseMap.load(tmp_path / "other.npz")
    with pytest.raises(ValueError, match="pairwise map of these grids"):
        PairwiseMap(
            values=found.values[0], score=1, head="rsp", grid_i=found.grid_i, grid_j=found.grid_j
        )
