"""Finer maps by shifting the clip."""

import numpy as np
import pytest
import torch

from analysis import ClipInfo, Score, extract_features, fine_map
from analysis.attribution.fine import _shift, fine_map_of, shifted_features
from rspnet.models import Branch
from tests.factories import tiny_branch


def test_shift_moves_and_repeats_the_border() -> None:
    clip = torch.arange(12.0).reshape(1, 1, 1, 3, 4).expand(1, 3, 2, 3, 4)
    shifted = _shift(clip, 1, 2)
    expected = torch.tensor([[6.0, 7, 7, 7], [10, 11, 11, 11], [10, 11, 11, 11]])
    assert torch.equal(shifted[0, 1, 1], expected)


def test_interleaves_the_maps_of_the_shifted_clips() -> None:
    torch.manual_seed(0)
    branch = Branch(
        "resnet18_fine", {"width": 2, "stem_kernel": (1, 3, 3)}, num_frames=8, size=64
    ).eval()
    clips = [torch.randn(3, 8, 64, 64) for _ in range(2)]
    score = Score.similarity(branch, "rsp", extract_features(branch, clips[1]))
    coarse = score.contributions(extract_features(branch, clips[0]))
    fine = fine_map(score, clips[0], steps=2)
    t, h, w = coarse.grid.cells
    assert fine.grid.cells == (t, 2 * h, 2 * w)
    assert fine.grid.stride[1] == coarse.grid.stride[1] / 2
    assert fine.grid.first == coarse.grid.first
    np.testing.assert_allclose(fine.values[:, ::2, ::2], coarse.values / 4, atol=1e-12)
    step = int(coarse.grid.stride[1]) // 2
    moved = extract_features(branch, _shift(clips[0][None], step, 0))
    np.testing.assert_allclose(
        fine.values[:, 1::2, ::2], score.contributions(moved).values / 4, atol=1e-12
    )
    assert fine.completeness_error < 1e-6
    assert "2 x 2" in fine.kind
    same = fine_map(score, clips[0], steps=1)
    np.testing.assert_allclose(same.values, coarse.values, atol=1e-12)
    with pytest.raises(ValueError, match="steps divides the stride"):
        fine_map(score, clips[0], steps=3)


def test_a_finer_map_tells_places_within_a_cell(planted_branch: Branch) -> None:
    """A red square that moves by half a cell moves the fine map by half a cell."""

    def clip(column: int) -> torch.Tensor:
        x = torch.zeros(3, 16, 112, 112)
        x[0, :, 40:56, column : column + 16] = 1.0
        return x

    score = Score.similarity(planted_branch, "rsp", extract_features(planted_branch, clip(40)))

    def centre(column: int) -> float:
        values = fine_map(score, clip(column), steps=2).values.sum(axis=(0, 1))
        return float((values * np.arange(len(values))).sum() / values.sum())

    assert centre(48) - centre(40) == pytest.approx(1, abs=0.05)


def test_many_scores_take_the_passes_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    branch = tiny_branch(size=64)
    clip, *rest = (torch.randn(3, 8, 64, 64) for _ in range(4))
    c_j, *c_k = (extract_features(branch, one) for one in rest)
    scores = [Score.similarity(branch, head, c_j) for head in ("rsp", "avid")]
    scores.append(Score.margin(branch, "rsp", c_j, c_k))
    info = ClipInfo("v", tuple(range(8)), 1)
    alone = [fine_map(score, clip, 2, info) for score in scores]
    passes = []
    branch.encoder.register_forward_pre_hook(lambda _module, given: passes.append(len(given[0])))
    shifted = shifted_features(branch, clip, 2, info)
    together = [fine_map_of(score, shifted) for score in scores]
    assert passes == [1] * 4
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_array_equal(a.values, b.values)
        assert (a.score, a.head, a.kind, a.clip) == (b.score, b.head, b.kind, b.clip)
    # By hand: the mean margin of the four shifted clips.
    moved = [extract_features(branch, _shift(clip[None], y, x)) for y in (0, 8) for x in (0, 8)]
    c_i = [one.embeddings["rsp"] for one in moved]
    near, *far = (one.embeddings["rsp"] for one in (c_j, *c_k))
    margin = sum(float(e @ near - (e @ far[0] + e @ far[1]) / 2) for e in c_i) / 4
    assert together[2].score == pytest.approx(margin, abs=1e-6)
    assert together[2].completeness_error < 1e-6
