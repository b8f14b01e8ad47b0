"""Captum's methods on a pair of clips."""

import numpy as np
import pytest
import torch

from analysis import ClipInfo, View, look_at
from analysis.pair import explain_pair
from analysis.score import Score
from analysis.witness_pair import num_clips, witness_pair
from analysis.witnesses import METHODS, Method, witness
from rspnet.models import Branch


def make_branch(seed: int) -> Branch:
    torch.manual_seed(seed)
    options = {"width": 2, "stem_kernel": (1, 3, 3)}
    return Branch("resnet18_fine", options, num_frames=8, size=32).eval()


def view(seed: int) -> View:
    frames = np.random.default_rng(seed).integers(0, 256, (8, 32, 32, 3), np.uint8)
    return View(frames, ClipInfo(f"v{seed}", tuple(range(8)), 1))


@pytest.mark.parametrize("method", list(METHODS))
def test_each_clip_is_asked_for_its_cosine_to_the_other(method: Method) -> None:
    query, key = make_branch(0), make_branch(1)
    counted: list[int] = []
    found = witness_pair(query, key, view(0), view(1), method, on_pass=counted.append)
    c_i, c_j = look_at(query, view(0)), look_at(key, view(1))
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


def test_unknown_method() -> None:
    query = make_branch(0)
    with pytest.raises(ValueError, match="methods are .*'occlusion'.* got 'lime'"):
        witness_pair(query, query, view(0), view(1), "lime")
    with pytest.raises(ValueError, match="got 'lime'"):
        num_clips("lime", look_at(query, view(0)).grid)
