"""Both heads' maps of a pair, on a model whose answer is planted."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from analysis import ClipInfo, Grid, PairExplanation, contribution_map, explain_pair, similarity_map
from analysis.core.grid import upsample
from rspnet.models import Branch
from tests.factories import tiny_branch


def clip(red_column: int, blue_column: int) -> Tensor:
    """16 x 112 x 112 with a red and a blue square of 32 pixels, each in a column of its own."""
    x = torch.zeros(3, 16, 112, 112)
    x[0, :, 40:72, red_column : red_column + 32] = 1.0
    x[2, :, 40:72, blue_column : blue_column + 32] = 1.0
    return x


def test_each_head_sees_its_own_colour_in_each_clip(planted_branch: Branch) -> None:
    pair = explain_pair(planted_branch, planted_branch, clip(0, 80), clip(64, 16))
    assert pair.grid_i == pair.grid_j
    assert pair.grid_i == Grid((4, 7, 7), (16, 112, 112), (4, 16, 16), (0, 0, 0))
    left, right = (slice(None), slice(None), slice(0, 3)), (slice(None), slice(None), slice(4, 7))

    def half(values: np.ndarray) -> str:
        a, b = values[left].sum(), values[right].sum()
        assert max(a, b) > 0.6
        assert abs(min(a, b)) < 0.05
        return "left" if a > b else "right"

    assert half(pair.heads["rsp"].contribution_i) == "left"
    assert half(pair.heads["rsp"].contribution_j) == "right"
    assert half(pair.heads["avid"].contribution_i) == "right"
    assert half(pair.heads["avid"].contribution_j) == "left"


def test_maps_lie_on_what_they_are_about(planted_branch: Branch) -> None:
    """The map's centre of mass, drawn over the clip, is the centre of the coloured square."""
    pair = explain_pair(planted_branch, planted_branch, clip(16, 48), clip(48, 16))
    for name, column in (("rsp", 16), ("avid", 48)):
        big = upsample(pair.heads[name].contribution_i, pair.grid_i).sum(axis=0)
        for axis, first in ((0, column), (1, 40)):
            along = big.sum(axis=axis)
            centre = float((along * np.arange(112)).sum() / along.sum())
            assert centre == pytest.approx(first + 15.5, abs=4)


def test_query_weights_go_with_c_i_and_key_weights_with_c_j() -> None:
    torch.manual_seed(0)
    query, key = (tiny_branch(arch="resnet18") for _ in "qk")
    clip_i, clip_j = torch.randn(3, 8, 32, 32), torch.randn(3, 8, 32, 32)
    pair = explain_pair(query, key, clip_i, clip_j)
    with torch.no_grad():
        F_i, F_j = query.features(clip_i[None]).double(), key.features(clip_j[None]).double()
        for name, maps in pair.heads.items():
            s = (query(clip_i[None])[name] * key(clip_j[None])[name]).sum()
            assert maps.similarity == pytest.approx(float(s), abs=1e-6)
            for got, expected in (
                (maps.contribution_i, contribution_map(F_i, F_j, query.head(name), key.head(name))),
                (maps.contribution_j, contribution_map(F_j, F_i, key.head(name), query.head(name))),
            ):
                np.testing.assert_allclose(got, expected[0].numpy(), atol=1e-12)
            W_i, W_j = query.head(name).weight.double(), key.head(name).weight.double()
            np.testing.assert_allclose(
                maps.eq2_j, similarity_map(F_j, F_i, W_j, W_i)[0].numpy(), atol=1e-12
            )


@pytest.mark.parametrize("head", ["linear", "mlp"])
def test_contributions_sum_to_s_for_random_pairs(head: str) -> None:
    torch.manual_seed(1)
    spec = {"head": head, "num_frames": 8, "size": 32}
    query, key = (Branch("resnet18", {"width": 4}, **spec).eval() for _ in "qk")
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        # Fully convolutional: a larger clip has a finer grid.
        size = (32, 48)[seed % 2]
        clips = [torch.randn(3, 8, size, size, generator=generator) for _ in "ij"]
        pair = explain_pair(query, key, *clips)
        assert pair.grid_i.clip == (8, size, size)
        for maps in pair.heads.values():
            assert maps.completeness_error < 1e-6
            assert (maps.eq2_i is None) == (head == "mlp")


def test_one_forward_pass_a_clip(planted_branch: Branch, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    original = Branch.features
    monkeypatch.setattr(
        Branch, "features", lambda self, x: calls.append(x.shape) or original(self, x)
    )
    explain_pair(planted_branch, planted_branch, clip(0, 80), clip(0, 80))
    assert len(calls) == 2


def test_saved_maps_are_read_back(planted_branch: Branch, tmp_path: Path) -> None:
    info = ClipInfo("videos/a.mp4", tuple(range(3, 35, 2)), 2)
    pair = explain_pair(planted_branch, planted_branch, clip(0, 80), clip(64, 16), info_i=info)
    again = PairExplanation.load(pair.save(tmp_path / "pair.npz"))
    assert again.clip_i == info
    assert (again.grid_i, again.grid_j) == (pair.grid_i, pair.grid_j)
    assert again.units == pair.units
    for name, maps in pair.heads.items():
        assert again.heads[name].similarity == maps.similarity
        np.testing.assert_array_equal(again.heads[name].contribution_j, maps.contribution_j)
        np.testing.assert_array_equal(again.heads[name].eq2_i, maps.eq2_i)
    (tmp_path / "bad.npz").write_bytes(b"PK no")
    with pytest.raises(ValueError, match=r"bad\.npz holds no maps of a pair"):
        PairExplanation.load(tmp_path / "bad.npz")


def test_mistakes_are_named(planted_branch: Branch) -> None:
    with pytest.raises(ValueError, match="clip_j is one normalised clip"):
        explain_pair(planted_branch, planted_branch, clip(0, 80), torch.zeros(2, 3, 16, 112, 112))
    with pytest.raises(ValueError, match="one size, got clip_i"):
        explain_pair(planted_branch, planted_branch, clip(0, 80), torch.zeros(3, 16, 128, 128))
    with pytest.raises(ValueError, match="clip_i has 8 frames, this model takes 16"):
        explain_pair(planted_branch, planted_branch, clip(0, 80)[:, :8], clip(0, 80))
    with pytest.raises(ValueError, match=r"heads are \['rsp', 'avid'\]"):
        explain_pair(planted_branch, planted_branch, clip(0, 80), clip(0, 80), heads=["motion"])
