"""Captum's methods on a pair of clips."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from analysis import ClipInfo, KindMaps, PairClips, View, explain_kind, extract_features
from analysis.attribution.captum_methods import METHODS, Method, attribute
from analysis.attribution.kinds.captum import num_passes
from analysis.attribution.pair import explain_pair
from analysis.attribution.pair_clips import Negatives
from analysis.core.score import Score
from rspnet.models import Branch
from rspnet.models.geometry import CellGeometry
from tests.factories import tiny_branch


def make_branch(seed: int) -> Branch:
    return tiny_branch(seed)


def view(seed: int) -> View:
    frames = np.random.default_rng(seed).integers(0, 256, (8, 32, 32, 3), np.uint8)
    return View(frames, ClipInfo(f"v{seed}", tuple(range(8)), 1))


def run(
    query: Branch,
    key: Branch,
    view_i: View,
    view_j: View,
    kind: str,
    *,
    negatives: dict[str, list[View]] | None = None,
    on_pass: Callable[[int], None] | None = None,
) -> KindMaps:
    pair = PairClips.of(query, key, view_i, view_j)
    known = {
        head: Negatives("video", tuple(extract_features(key, one) for one in views))
        for head, views in (negatives or {}).items()
    }
    return explain_kind(kind, replace(pair, negatives=known, on_pass=on_pass))


@pytest.mark.parametrize("method", list(METHODS))
def test_each_clip_is_explained_by_its_cosine_to_the_other(method: Method) -> None:
    query, key = make_branch(0), make_branch(1)
    counted: list[int] = []
    found = run(query, key, view(0), view(1), method, on_pass=counted.append)
    c_i, c_j = extract_features(query, view(0)), extract_features(key, view(1))
    for head, (of_i, of_j) in found.rows.items():
        own_i = attribute(Score.similarity(query, head, c_j), view(0), method)
        own_j = attribute(Score.similarity(key, head, c_i), view(1), method)
        np.testing.assert_array_equal(of_i.values, own_i.values)
        np.testing.assert_array_equal(of_j.values, own_j.values)
        assert of_i.score == pytest.approx(of_j.score, abs=1e-6)
        assert not of_i.exact
    assert sum(counted) == 4 * num_passes(method, c_i.grid)
    assert not query.encoder._forward_pre_hooks


def test_layer_gradcam_is_the_contribution_map() -> None:
    query, key = make_branch(0), make_branch(1)
    found = run(query, key, view(0), view(1), "layer_gradcam")
    pair = explain_pair(query, key, view(0).clip, view(1).clip)
    for head, (of_i, of_j) in found.rows.items():
        maps = pair.heads[head]
        np.testing.assert_allclose(of_i.values, maps.contribution_i, atol=1e-5)
        np.testing.assert_allclose(of_j.values, maps.contribution_j, atol=1e-5)


def test_what_a_listener_raises_ends_it_and_leaves_the_branch_alone() -> None:
    query, key = make_branch(0), make_branch(1)
    seen: list[int] = []

    def stop(num: int) -> None:
        seen.append(num)
        if len(seen) == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        run(query, key, view(0), view(1), "occlusion", on_pass=stop)
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
    away = {head: [coloured(8)] for head in ("rsp", "avid")}
    counted: list[int] = []
    found = run(
        linear,
        linear,
        coloured(2),
        coloured(0),
        f"{method}_margin",
        negatives=away,
        on_pass=counted.append,
    )
    expected = np.array([red] * 6 + [green] * 2).reshape(2, 2, 2)
    for of_i, of_j in found.rows.values():
        assert of_i.score == pytest.approx(margin_by_hand(6, 2), abs=1e-6)
        np.testing.assert_allclose(of_i.values, expected, atol=1e-5)
        assert [clip.video for clip in of_i.others] == ["0 green", "8 green"]
        # Of c_j it is the cosine to c_i.
        assert of_j.score == pytest.approx(3 / math.sqrt(10), abs=1e-6)
        assert [clip.video for clip in of_j.others] == ["2 green"]
        total = float(of_i.values.sum())
        if method == "layer_gradcam":
            assert total == pytest.approx(of_i.score, abs=1e-6)
        if method == "integrated_gradients":
            # Complete: the clip's margin less that of its mean colour, which is the same.
            assert total == pytest.approx(0, abs=1e-5)
            assert of_i.convergence_delta == pytest.approx(total, abs=1e-5)
    assert sum(counted) == 4 * num_passes(method, extract_features(linear, coloured(2)).grid)


def test_integrated_gradients_of_the_margin_are_complete() -> None:
    query, key = make_branch(0), make_branch(1)
    away = {"rsp": [view(2)], "avid": [view(3), view(4)]}
    found = run(query, key, view(0), view(1), "integrated_gradients_margin", negatives=away)
    c_i, c_j = extract_features(query, view(0)), extract_features(key, view(1))
    even = view(0).clip.mean(dim=(1, 2, 3), keepdim=True).expand(3, 8, 32, 32)
    for head, (of_i, _) in found.rows.items():
        seen = [extract_features(key, one) for one in away[head]]
        score = Score.margin(query, head, c_j, seen)
        with torch.no_grad():
            change = float((score(view(0).clip[None]) - score(even[None]))[0])
        assert of_i.score == pytest.approx(score.contributions(c_i).score, abs=1e-6)
        assert float(of_i.values.sum()) == pytest.approx(change + of_i.convergence_delta, abs=1e-5)
        assert abs(of_i.convergence_delta) < 0.05


def test_a_margin_needs_negatives() -> None:
    query = make_branch(0)
    with pytest.raises(ValueError, match="the margin of RSP needs negatives"):
        run(query, query, view(0), view(1), "layer_gradcam_margin")
    away = {"rsp": [view(2)]}
    found = run(query, query, view(0), view(1), "layer_gradcam_margin", negatives=away)
    assert list(found.rows) == ["rsp"]
    assert set(found.skipped) == {"avid"}


def test_the_integrals_error_is_the_larger_of_both_clips() -> None:
    query, key = make_branch(0), make_branch(1)
    found = run(query, key, view(0), view(1), "integrated_gradients")
    deltas = [one.convergence_delta for one in found.rows["rsp"]]
    assert found.convergence_error("rsp") == max(abs(delta) for delta in deltas)
    assert run(query, key, view(0), view(1), "layer_gradcam").convergence_error("rsp") is None
