"""One question of a clip, and its exact map."""

import numpy as np
import pytest
import torch
from torch import Tensor

from analysis import ClipInfo, Score, View, extract_features
from analysis.core.score import hard_negatives
from rspnet.models import Branch
from rspnet.names import HEADS

TINY = {"width": 2, "stem_kernel": (1, 3, 3)}


def make_branch(seed: int, head: str = "linear") -> Branch:
    torch.manual_seed(seed)
    branch = Branch("resnet18_fine", TINY, num_frames=8, size=64, head=head)
    return branch.eval()


def clip(seed: int) -> Tensor:
    return torch.randn(3, 8, 64, 64, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module", params=["linear", "mlp"])
def branches(request: pytest.FixtureRequest) -> tuple[Branch, Branch]:
    return make_branch(0, request.param), make_branch(1, request.param)


def test_one_forward_pass_gives_features_and_both_embeddings(branches, monkeypatch) -> None:
    query, _ = branches
    calls = []
    forward = query.encoder.forward
    monkeypatch.setattr(query.encoder, "forward", lambda x: calls.append(1) or forward(x))
    looked = extract_features(query, clip(0), ClipInfo("a", (0,), 1))
    assert len(calls) == 1
    assert looked.features.ndim == 5
    assert set(looked.embeddings) == set(HEADS)
    assert looked.info.video == "a"
    for head in HEADS:
        unit = looked.unit(head)
        assert unit.dtype == torch.float64
        torch.testing.assert_close(unit.float(), looked.embeddings[head], atol=1e-6, rtol=1e-5)


def test_similarity_is_the_cosine_and_its_map_sums_to_it(branches) -> None:
    query, key = branches
    c_i, c_j = extract_features(query, clip(0)), extract_features(key, clip(1))
    for head in HEADS:
        score = Score.similarity(query, head, c_j)
        cosine = float(c_i.embeddings[head] @ c_j.embeddings[head])
        assert score(clip(0)[None]).item() == pytest.approx(cosine, abs=1e-6)
        found = score.contributions(c_i)
        assert found.score == pytest.approx(cosine, abs=1e-6)
        assert found.completeness_error < 1e-6
        assert (found.kind, found.head, found.exact) == ("contribution", head, True)


def test_margin_is_the_difference_of_similarities(branches) -> None:
    query, key = branches
    c_i, c_j = extract_features(query, clip(0)), extract_features(key, clip(1))
    away = [extract_features(key, clip(seed), ClipInfo(str(seed), (), 1)) for seed in (2, 3)]
    for head in HEADS:
        maps = [Score.similarity(query, head, c).contributions(c_i) for c in (c_j, *away)]
        margin = Score.margin(query, head, c_j, away).contributions(c_i)
        expected = maps[0].values - (maps[1].values + maps[2].values) / 2
        np.testing.assert_allclose(margin.values, expected, atol=1e-12)
        assert margin.completeness_error < 1e-6
        assert margin.kind == "margin"
        assert [info.video for info in margin.others] == ["", "2", "3"]


def test_scores_have_gradients(branches) -> None:
    query, key = branches
    score = Score.similarity(query, "rsp", extract_features(key, clip(1)))
    pixels = torch.stack([clip(0), clip(2)]).requires_grad_()
    values = score(pixels)
    assert values.shape == (2,)
    values.sum().backward()
    assert pixels.grad is not None
    assert (pixels.grad.abs().amax((1, 2, 3, 4)) > 0).all()


def test_hardest_are_the_nearest_by_that_head(branches) -> None:
    query, _ = branches
    c_i = extract_features(query, clip(0))
    others = [extract_features(query, clip(seed)) for seed in (4, 5, 6)]
    others.insert(1, extract_features(query, clip(0) + 0.01))
    for head in HEADS:
        order = hard_negatives(c_i, others, head, 4)
        near = [float(c.embeddings[head] @ c_i.embeddings[head]) for c in others]
        assert order == sorted(range(4), key=lambda n: -near[n])
        assert order[0] == 1
    with pytest.raises(ValueError, match="between 1 and the 4 clips, got 5"):
        hard_negatives(c_i, others, "rsp", 5)


def test_a_larger_clip_has_a_finer_grid() -> None:
    query = make_branch(0)
    small, large = (extract_features(query, torch.randn(3, 8, size, size)) for size in (64, 128))
    t, h, w = small.grid.cells
    assert large.grid.cells == (t, 2 * h, 2 * w)
    assert large.grid.stride == small.grid.stride


def test_bad_clips_are_named() -> None:
    query = make_branch(0)
    with pytest.raises(ValueError, match="c_i has 4 frames, this model takes 8"):
        extract_features(query, clip(0)[:, :4], name="c_i")
    with pytest.raises(ValueError, match=r"one normalised clip .* got shape \(8, 64, 64\)"):
        extract_features(query, clip(0)[0])
    with pytest.raises(ValueError, match="not finite"):
        extract_features(query, clip(0) * float("nan"))
    with pytest.raises(ValueError, match="got none"):
        Score.margin(query, "rsp", extract_features(query, clip(0)), [])
    with pytest.raises(ValueError, match="motion"):
        Score.similarity(query, "motion", extract_features(query, clip(0)))


def test_nan_weights_are_refused() -> None:
    query = make_branch(0)
    with torch.no_grad():
        next(query.encoder.parameters()).fill_(float("nan"))
    with pytest.raises(ValueError, match="weights"):
        extract_features(query, clip(0))


def test_constant_features_have_no_cosine() -> None:
    query = make_branch(0)
    with torch.no_grad():
        query.head("rsp").weight.zero_()
        query.head("rsp").bias.zero_()
    with pytest.raises(ValueError, match="length 0"):
        Score.similarity(query, "rsp", extract_features(query, clip(0)))


def test_views_bring_their_own_info() -> None:
    query = make_branch(0)
    view = View(np.zeros((8, 64, 64, 3), np.uint8), ClipInfo("v", tuple(range(8)), 1))
    assert extract_features(query, view).info == view.info
