"""Every kind of map of a pair, by hand and from one forward pass a clip."""

import numpy as np
import pytest
import torch

from analysis import ClipInfo, PairClips, View, all_maps, explain_kind, extract_features
from analysis.core.clip import static_clip
from rspnet.models import Branch


def make_branch(seed: int, head: str = "linear") -> Branch:
    torch.manual_seed(seed)
    options = {"width": 2, "stem_kernel": (1, 3, 3)}
    return Branch("resnet18_fine", options, head=head, num_frames=8, size=64).eval()


def view(seed: int, speed: int = 1) -> View:
    frames = np.random.default_rng(seed).integers(0, 256, (8, 64, 64, 3), np.uint8)
    return View(frames, ClipInfo(f"v{seed}", tuple(range(0, 8 * speed, speed)), speed))


def test_one_forward_a_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    query, key = make_branch(0), make_branch(1)
    counts = {"query": 0, "key": 0}
    for name, branch in (("query", query), ("key", key)):
        forward = branch.encoder.forward

        def counted(x: torch.Tensor, name: str = name, forward=forward) -> torch.Tensor:
            counts[name] += 1
            return forward(x)

        monkeypatch.setattr(branch.encoder, "forward", counted)
    found = all_maps(query, key, view(0), view(1), view_k=view(2), others=[view(3), view(4)])
    # c_i and its static clip; c_j, its static clip, c_k and two others.
    assert counts == {"query": 2, "key": 5}
    assert set(found.pairwise) == {"rsp", "avid"}
    assert all(set(kind.rows) == {"rsp", "avid"} for kind in found.kinds.values())
    assert not found.skipped


def test_all_maps_are_of_the_same_scores() -> None:
    query, key = make_branch(0), make_branch(1)
    views = {"view_k": view(2), "others": [view(3), view(4)]}
    found = all_maps(query, key, view(0), view(1), **views, num_hard_negatives=1, fine=2)
    c_i, c_j = extract_features(query, view(0)), extract_features(key, view(1))
    away = {n: extract_features(key, view(n)) for n in (2, 3, 4)}
    static = extract_features(query, static_clip(view(0)))
    for head in ("rsp", "avid"):

        def s(c, i=c_i, head=head) -> float:
            return float(i.embeddings[head] @ c.embeddings[head])

        near = 2 if head == "rsp" else max((3, 4), key=lambda n: s(away[n]))
        margin = s(c_j) - s(away[near])
        maps = {key: kind.rows[head] for key, kind in found.kinds.items()}
        assert maps["contribution"][0].values.sum() == pytest.approx(s(c_j), abs=1e-6)
        assert maps["margin"][0].values.sum() == pytest.approx(margin, abs=1e-6)
        at_rest = s(c_j, static) - s(away[near], static)
        assert maps["margin_static"][0].values.sum() == pytest.approx(margin - at_rest, abs=1e-6)
        pairwise = found.pairwise[head].values
        np.testing.assert_allclose(
            pairwise.sum((3, 4, 5)), maps["contribution"][0].values, atol=1e-12
        )
        np.testing.assert_array_equal(maps["margin"][1].values, maps["contribution"][1].values)
        fine = found.fine["margin"].rows[head][0]
        # The clip that is not shifted has every fourth cell.
        np.testing.assert_allclose(
            fine.values[:, ::2, ::2], maps["margin"][0].values / 4, atol=1e-12
        )
    assert found.kinds["margin"].num_negatives == {"rsp": 1, "avid": 1}
    assert not found.kinds["margin"].has_one_target
    assert found.kinds["contribution"].has_one_target
    assert found.kinds["margin"].completeness_error < 1e-6
    assert "margin_deviation" not in found.fine


@pytest.mark.parametrize(("speed_j", "speed_k", "sign"), [(1, 2, -1), (2, 1, 1)])
def test_the_sign_is_that_of_the_faster_of_c_j_and_c_k(speed_j, speed_k, sign) -> None:
    query, key = make_branch(0), make_branch(1)
    clips = PairClips.of(
        query, key, view(0), view(1, speed_j), view_k=view(2, speed_k), others=[view(3, 4)]
    )
    faster, margin = explain_kind("margin_faster", clips), explain_kind("margin", clips)
    for head, factor in (("rsp", sign), ("avid", 1)):
        (i, j), (plain_i, plain_j) = faster.rows[head], margin.rows[head]
        np.testing.assert_array_equal(i.values, factor * plain_i.values)
        assert i.score == factor * plain_i.score
        assert (i.kind, i.exact) == ("margin_faster", True)
        np.testing.assert_array_equal(j.values, plain_j.values)


def test_what_is_missing_is_named() -> None:
    query, key = make_branch(0), make_branch(1)
    found = all_maps(query, key, view(0), view(1))
    assert set(found.kinds) == {"eq2", "contribution"}
    assert found.skipped["margin"].startswith("the margin of RSP needs negatives")
    found = all_maps(query, key, view(0), view(1), view_k=view(2))
    assert set(found.kinds["margin"].rows) == {"rsp"}
    assert "margin_avid" in found.skipped
    with pytest.raises(ValueError, match="the margin of RSP needs negatives"):
        all_maps(query, key, view(0), view(1), kinds=["margin_faster"])
    with pytest.raises(ValueError, match="class maps are of a classifier"):
        all_maps(query, key, view(0), view(1), kinds=["cam"])
    clips = PairClips.of(query, key, view(0), view(1), view_k=view(2)).finer(2)
    with pytest.raises(ValueError, match="Margin, deviation has no finer grid"):
        explain_kind("margin_deviation", clips)
    deep = make_branch(0, "mlp")
    skipped = all_maps(deep, deep, view(0), view(1)).skipped
    assert "'rsp' of this model is not linear" in skipped["eq2"]
