"""The kinds of maps: what they sum to, what they are asked, and their controls."""

import numpy as np
import pytest
import torch

from analysis.core.clip import ClipInfo, View
from analysis.core.score import ClipFeatures, extract_features
from analysis.stimuli.kinds import (
    KINDS,
    OBJECTIVES,
    SWAPPED_OBJECTIVES,
    WEIGHTS,
    TripletFeatures,
    clip_size,
    encode_triplet,
    kinds_of,
    maps_of,
    triplet_views,
    with_controls,
    with_random_weights,
    with_swapped_heads,
)
from rspnet.data.sampling import ClipSpec, Triplet
from rspnet.models import Branch
from rspnet.names import HEADS
from tests.factories import tiny_branch


def branch(seed: int, head: str = "linear") -> Branch:
    return tiny_branch(seed, head=head)


def view(seed: int, speed: int = 1) -> View:
    frames = np.random.default_rng(seed).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    return View(frames, ClipInfo(f"v{seed}", tuple(range(0, 8 * speed, speed)), speed))


def encoded(
    query: Branch, key: Branch, speed: int = 2
) -> tuple[TripletFeatures, list[ClipFeatures]]:
    triplet = encode_triplet(query, key, (view(0, speed), view(1, speed), view(2, 3 - speed)))
    return triplet, [extract_features(key, view(n)) for n in range(3, 7)]


def test_maps_sum_to_the_scores_they_are_of() -> None:
    query, key = branch(0), branch(1)
    triplet, others = encoded(query, key)
    with torch.no_grad():
        z_i, static = triplet.c_i.embeddings, triplet.static.embeddings
        for head in HEADS:
            j, k = triplet.c_j.embeddings[head], triplet.c_k.embeddings[head]
            near = sorted((c.embeddings[head] for c in others), key=lambda z: -float(z @ z_i[head]))
            target = {"speed": j - k, "video": j - (near[0] + near[1]) / 2}
            for about in ("speed", "video"):
                maps = maps_of(triplet, head, others, objective=about, num_hard_negatives=2)
                assert tuple(maps) == KINDS
                score, at_rest = (float(z[head] @ target[about]) for z in (z_i, static))
                assert maps["contribution"].sum() == pytest.approx(float(z_i[head] @ j), abs=1e-6)
                assert maps["margin"].sum() == pytest.approx(score, abs=1e-6)
                assert maps["margin_static"].sum() == pytest.approx(score - at_rest, abs=1e-6)
                expected = np.abs(maps["margin"] - np.median(maps["margin"]))
                np.testing.assert_array_equal(maps["margin_deviation"], expected)
                weights = [b.head(head).weight for b in (query, key)]
                x = [c.features.mean(dim=(2, 3, 4))[0] for c in (triplet.c_i, triplet.c_j)]
                eq2 = (weights[0] @ x[0]) @ (weights[1] @ x[1])
                assert maps["eq2"].mean() == pytest.approx(float(eq2), rel=1e-5)


def test_each_head_is_asked_what_it_is_trained_on() -> None:
    triplet, others = encoded(branch(0), branch(1))
    assert OBJECTIVES == {"rsp": "speed", "avid": "video"}
    assert {SWAPPED_OBJECTIVES[head] for head in HEADS} == {"speed", "video"}
    for head in HEADS:
        own, given, other = (
            maps_of(triplet, head, others, objective=about)
            for about in (None, OBJECTIVES[head], SWAPPED_OBJECTIVES[head])
        )
        np.testing.assert_array_equal(own["margin"], given["margin"])
        np.testing.assert_array_equal(own["contribution"], other["contribution"])
        assert not np.allclose(own["margin"], other["margin"])


@pytest.mark.parametrize(("speed", "sign"), [(1, -1), (2, 1)])
def test_the_map_to_the_faster_clip_turns_the_margin_of_slow_queries(speed: int, sign: int) -> None:
    triplet, others = encoded(branch(0), branch(1), speed)
    maps = maps_of(triplet, "rsp", others)
    np.testing.assert_array_equal(maps["margin_faster"], sign * maps["margin"])
    maps = maps_of(triplet, "avid", others)
    np.testing.assert_array_equal(maps["margin_faster"], maps["margin"])


def test_swapped_heads_asked_under_their_other_names_give_the_very_maps() -> None:
    query, key = branch(0), branch(1)
    before = {name: tensor.clone() for name, tensor in query.state_dict().items()}
    triplet, others = encoded(query, key)
    swapped, swapped_others = encoded(with_swapped_heads(query), with_swapped_heads(key))
    for head, name in zip(HEADS, HEADS[::-1], strict=True):
        own = maps_of(triplet, head, others)
        renamed = maps_of(swapped, name, swapped_others, objective=OBJECTIVES[head])
        for kind in KINDS:
            np.testing.assert_array_equal(own[kind], renamed[kind])
    assert all(torch.equal(tensor, before[name]) for name, tensor in query.state_dict().items())


def test_random_weights_follow_from_their_seed_alone() -> None:
    trained = branch(5)
    state = torch.get_rng_state()
    a, again, b = (with_random_weights(trained, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert a.spec() == trained.spec()
    assert not a.training
    weights = [model.head("rsp").weight for model in (a, again, b, trained)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert not torch.equal(weights[0], weights[3])


def test_heads_of_layers_have_no_map_of_eq_2() -> None:
    query = branch(0, "mlp")
    assert kinds_of(branch(0), branch(0)) == KINDS
    assert kinds_of(query, query) == KINDS[1:]
    triplet, others = encoded(query, query)
    assert tuple(maps_of(triplet, "avid", others)) == KINDS[1:]


def test_views_of_a_triplet_are_its_frames() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)

    class Reader:
        def __len__(self) -> int:
            return len(frames)

        def get_frames(self, indices):
            return frames[list(indices)]

    triplet = Triplet(ClipSpec(2, 8, 2), ClipSpec(0, 8, 2), ClipSpec(5, 8, 1))
    i, j, k = triplet_views(Reader(), triplet, 32, "name")
    np.testing.assert_array_equal(i.frames, frames[2:18:2])
    np.testing.assert_array_equal(j.frames, frames[0:16:2])
    np.testing.assert_array_equal(k.frames, frames[5:13])
    assert i.info == ClipInfo("name", tuple(range(2, 18, 2)), 2)
    assert (j.info.speed, k.info.speed) == (2, 1)


def test_a_triplet_has_a_static_clip_and_uses_the_branches_in_their_roles() -> None:
    query, key = branch(0), branch(1)
    triplet, _ = encoded(query, key)
    assert triplet.c_i.branch is triplet.static.branch is query
    assert triplet.c_j.branch is triplet.c_k.branch is key
    middle = np.repeat(view(0, 2).frames[4:5], 8, axis=0)
    expected = extract_features(query, view(0, 2).with_frames(middle)).features
    assert torch.equal(triplet.static.features, expected)


def test_mistakes_are_named() -> None:
    triplet, others = encoded(branch(0), branch(1))
    with pytest.raises(ValueError, match=r"heads are \['rsp', 'avid'\], got 'motion'"):
        maps_of(triplet, "motion", others)
    with pytest.raises(ValueError, match="against clips of other videos, got none"):
        maps_of(triplet, "avid", [])
    with pytest.raises(ValueError, match="at least 2 videos and 1 draw of random weights, got 1"):
        next(with_controls(query := branch(0), query, [[]]))


def test_the_controls_are_evaluated_on_the_same_clips() -> None:
    query, key = branch(0), branch(1)
    videos = [[(view(n), view(n + 1), view(n + 2, 2))] for n in (0, 10, 20)]
    calls: list[int] = []
    found = list(with_controls(query, key, videos, num_random=2, done=lambda: calls.append(1)))
    assert tuple(model.weights for model in found) == (*WEIGHTS, WEIGHTS[-1])
    assert len(calls) == 3 * (2 + 2)
    for model in found:
        infos = [[q.c_i.info for q in own] for own in model.triplets]
        assert infos == [[triplet[0].info for triplet in own] for own in videos]
    trained, swapped, crossed = (model.maps(1, 0, "avid") for model in found[:3])
    assert found[0].triplets is found[2].triplets
    others = [found[0].triplets[n][0].c_j for n in (0, 2)]
    expected = maps_of(found[0].triplets[1][0], "avid", others)
    for kind in KINDS:
        np.testing.assert_array_equal(trained[kind], expected[kind])
        np.testing.assert_array_equal(trained[kind], found[1].maps(1, 0, "rsp")[kind])
    assert not np.allclose(trained["margin"], crossed["margin"])
    assert not np.allclose(trained["contribution"], swapped["contribution"])


def test_studies_are_checked_before_they_begin() -> None:
    model, enough = branch(0), {"num_videos": 2, "num_triplets": 1, "num_random": 1}
    assert clip_size(model, None, **enough) == 32
    assert [clip_size(model, size, **enough) for size in (16, 128)] == [16, 128]
    for size in (15, 129):
        with pytest.raises(ValueError, match=f"model's own 32 pixels, got {size}"):
            clip_size(model, size, **enough)
    for name, value in enough.items():
        with pytest.raises(ValueError, match=f"{name}={value - 1}"):
            clip_size(model, None, **(enough | {name: value - 1}))
