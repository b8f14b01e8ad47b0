"""Captum's methods on a pair of clips."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from analysis import ClipInfo, View, extract_features
from analysis.attribution.captum_methods import METHODS, Method, witness
from analysis.attribution.captum_pair import num_clips, witness_pair
from analysis.attribution.pair import explain_pair
from analysis.core.score import Score
from rspnet.models import Branch
from rspnet.models.geometry import CellGeometry
from tests.factories import tiny_branch


def make_branch(seed: int) -> Branch:
    return tiny_branch(seed)


def view(seed: int) -> View:
    frames = np.random.default_rng(seed).integers(0, 256, (8, 32, 32, 3), np.uint8)
    return View(frames, ClipInfo(f"v{seed}", tuple(range(8)), 1))


@pytest.mark.parametrize("method", list(METHODS))
def test_each_clip_is_asked_for_its_cosine_to_the_other(method: Method) -> None:
    query, key = make_branch(0), make_branch(1)
    counted: list[int] = []
    found = witness_pair(query, key, view(0), view(1), method, on_pass=counted.append)
    c_i, c_j = extract_features(query, view(0)), extract_features(key, view(1))
    for head, (of_i, of_j) in found.items():
        own_i = witness(Score.similarity(query, head, c_j), view(0), method)
        own_j = witness(Score.similarity(key, head, c_i), view(1), method)
        np.testing.assert_array_equal(of_i.map.values, own_i.map.values)
        np.testing.assert_array_equal(of_j.map.values, own_j.map.values)
        assert of_i.map.score == pytest.approx(of_j.map.score, abs=1e-6)
        assert not of_i.map.exact
    assert sum(counted) == 4 * num_clips(method, c_i.grid)
    assert not query.encoder._forward_pre_hooks


def test_layer_gradcam_is_the_contribution_map() -> None:
    query, key = make_branch(0), make_branch(1)
    found = witness_pair(query, key, view(0), view(1), "layer_gradcam")
    pair = explain_pair(query, key, view(0).clip, view(1).clip)
    for head, (of_i, of_j) in found.items():
        maps = pair.heads[head]
        np.testing.assert_allclose(of_i.map.values, maps.contribution_i, atol=1e-5)
        np.testing.assert_allclose(of_j.map.values, maps.contribution_j, atol=1e-5)


def test_what_a_listener_raises_ends_it_and_leaves_the_branch_alone() -> None:
    query, key = make_branch(0), make_branch(1)
    seen: list[int] = []

    def stop(num: int) -> None:
        seen.append(num)
        if len(seen) == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        witness_pair(query, key, view(0), view(1), "occlusion", on_pass=stop)
    assert len(seen) == 2
    assert not query.encoder._forward_pre_hooks
    assert all(weight.requires_grad for weight in query.parameters())


class Mean(torch.nn.Module):
    """A linear encoder: the mean colour of each cell of 4 frames of 16 x 16 pixels."""

    def forward(self, clips_BCTHW: torch.Tensor) -> torch.Tensor:
        return functional.avg_pool3d(clips_BCTHW, (4, 16, 16))


@pytest.fixture
def linear() -> Branch:
    """Embeds a clip as (mean red, mean green), each 0 to 1, along both heads."""
    colours = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    branch = Branch(
        "resnet18_fine", {"width": 2}, num_frames=8, size=32, normalisation=colours
    ).eval()
    branch.encoder = Mean()
    branch.cell_geometry = CellGeometry(stride=(4, 16, 16), first=(1.5, 7.5, 7.5))
    for head in branch.projections:
        branch.projections[head] = torch.nn.Linear(3, 2, bias=False)
        branch.projections[head].weight.data = torch.eye(3)[:2]
    return branch


def coloured(num_green: int) -> View:
    """A clip of 2 x 2 x 2 cells, the last so many of them green, the others red."""
    cells = np.zeros((8, 3), np.uint8)
    cells[:, 0] = 255
    cells[8 - num_green :] = (0, 255, 0)
    frames = cells.reshape(2, 2, 2, 3).repeat(4, 0).repeat(16, 1).repeat(16, 2)
    return View(frames, ClipInfo(f"{num_green} green", tuple(range(8)), 1))


def margin_by_hand(red: float, green: float) -> float:
    """The cosine to red less that to green."""
    return (red - green) / math.hypot(red, green)


@pytest.mark.parametrize(
    ("method", "red", "green"),
    [
        # A share of 1 / 8 of the pooled (3/4, 1/4), whose length is sqrt(10) / 4.
        ("layer_gradcam", 0.5 / math.sqrt(10), -0.5 / math.sqrt(10)),
        # The mean colour as the baseline leaves the pooled colour where it is all the way: there
        # the gradient is (1.6, -4.8) / sqrt(10), times an eighth of (1, 0) - (3/4, 1/4), or of
        # (0, 1) - (3/4, 1/4).
        ("integrated_gradients", 0.2 / math.sqrt(10), -0.6 / math.sqrt(10)),
        *(
            (
                method,
                margin_by_hand(6, 2) - margin_by_hand(6 - 1 / 4, 2 + 1 / 4),
                margin_by_hand(6, 2) - margin_by_hand(6 + 3 / 4, 2 - 3 / 4),
            )
            for method in ("occlusion", "feature_ablation")
        ),
    ],
)
def test_the_margin_of_a_linear_encoder_by_hand(
    linear: Branch, method: Method, red: float, green: float
) -> None:
    away = {head: [extract_features(linear, coloured(8))] for head in ("rsp", "avid")}
    counted: list[int] = []
    found = witness_pair(
        linear, linear, coloured(2), coloured(0), method, against=away, on_pass=counted.append
    )
    expected = np.array([red] * 6 + [green] * 2).reshape(2, 2, 2)
    for of_i, of_j in found.values():
        assert of_i.map.score == pytest.approx(margin_by_hand(6, 2), abs=1e-6)
        np.testing.assert_allclose(of_i.map.values, expected, atol=1e-5)
        assert [clip.video for clip in of_i.map.others] == ["0 green", "8 green"]
        # Of c_j it is the cosine to c_i.
        assert of_j.map.score == pytest.approx(3 / math.sqrt(10), abs=1e-6)
        assert [clip.video for clip in of_j.map.others] == ["2 green"]
        total = float(of_i.map.values.sum())
        if method == "layer_gradcam":
            assert total == pytest.approx(of_i.map.score, abs=1e-6)
        if method == "integrated_gradients":
            # Complete: the clip's margin less that of its mean colour, which is the same.
            assert total == pytest.approx(0, abs=1e-5)
            assert of_i.convergence_delta == pytest.approx(total, abs=1e-5)
    assert sum(counted) == 4 * num_clips(method, extract_features(linear, coloured(2)).grid)


def test_integrated_gradients_of_the_margin_are_complete() -> None:
    query, key = make_branch(0), make_branch(1)
    away = {
        "rsp": [extract_features(key, view(2))],
        "avid": [extract_features(key, view(n)) for n in (3, 4)],
    }
    found = witness_pair(query, key, view(0), view(1), "integrated_gradients", against=away)
    c_i, c_j = extract_features(query, view(0)), extract_features(key, view(1))
    even = view(0).clip.mean(dim=(1, 2, 3), keepdim=True).expand(3, 8, 32, 32)
    for head, (of_i, _) in found.items():
        score = Score.margin(query, head, c_j, away[head])
        with torch.no_grad():
            change = float((score(view(0).clip[None]) - score(even[None]))[0])
        assert of_i.map.score == pytest.approx(score.contributions(c_i).score, abs=1e-6)
        assert float(of_i.map.values.sum()) == pytest.approx(
            change + of_i.convergence_delta, abs=1e-5
        )
        assert abs(of_i.convergence_delta) < 0.05


def test_a_margin_needs_what_it_is_against() -> None:
    query = make_branch(0)
    away = {"rsp": [extract_features(query, view(2))]}
    with pytest.raises(ValueError, match="at least one other clip"):
        witness_pair(query, query, view(0), view(1), "layer_gradcam", against=away)
    found = witness_pair(
        query, query, view(0), view(1), "layer_gradcam", against=away, heads=["rsp"]
    )
    assert list(found) == ["rsp"]


def test_unknown_method() -> None:
    query = make_branch(0)
    with pytest.raises(ValueError, match="methods are .*'occlusion'.* got 'lime'"):
        witness_pair(query, query, view(0), view(1), "lime")
    with pytest.raises(ValueError, match="got 'lime'"):
        num_clips("lime", extract_features(query, view(0)).grid)
