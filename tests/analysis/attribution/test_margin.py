"""Maps of the margin: what the head is trained on."""

import json
from pathlib import Path

import numpy as np
import pytest

from analysis import ClipInfo, Score, View, explain_margin, extract_features
from analysis.attribution.margin import deviation, reference_map
from analysis.core.clip import static_clip
from rspnet.models import Branch
from tests.factories import tiny_branch


def make_branch(seed: int) -> Branch:
    return tiny_branch(seed, size=64)


def view(seed: int, size: int = 64) -> View:
    frames = np.random.default_rng(seed).integers(0, 256, (8, size, size, 3), np.uint8)
    return View(frames, ClipInfo(f"v{seed}", tuple(range(8)), 1))


@pytest.fixture(scope="module")
def branches() -> tuple[Branch, Branch]:
    return make_branch(0), make_branch(1)


@pytest.mark.parametrize("head", ["rsp", "avid"])
@pytest.mark.parametrize("num_k", [1, 3])
def test_every_map_sums_to_its_score(branches, head: str, num_k: int) -> None:
    query, key = branches
    away = [view(seed) for seed in range(2, 2 + num_k)]
    found = explain_margin(query, key, head, view(0), view(1), away)
    c_i, c_j = extract_features(query, view(0)), extract_features(key, view(1))
    s_ij = float(c_i.unit(head) @ c_j.unit(head))
    s_ik = [float(c_i.unit(head) @ extract_features(key, v).unit(head)) for v in away]
    assert found.margin == pytest.approx(s_ij - np.mean(s_ik), abs=1e-6)
    assert found.map_i.values.sum() == pytest.approx(found.margin, abs=1e-6)
    assert found.map_j.values.sum() == pytest.approx(s_ij, abs=1e-6)
    assert len(found.maps_k) == num_k
    for own, s in zip(found.maps_k, s_ik, strict=True):
        assert own.values.sum() == pytest.approx(-s / num_k, abs=1e-6)
    assert found.completeness_error < 1e-6
    # Both sides say the same: c_j's map and the others' sum to what c_i's map sums to.
    both = found.map_j.values.sum() + sum(own.values.sum() for own in found.maps_k)
    assert both == pytest.approx(found.map_i.values.sum(), abs=1e-6)


def test_what_c_j_and_c_k_share_cancels(branches) -> None:
    query, key = branches
    found = explain_margin(query, key, "rsp", view(0), view(1), [view(1)])
    np.testing.assert_allclose(found.map_i.values, 0, atol=1e-12)


def test_static_map_is_the_difference_to_the_static_clip(branches) -> None:
    query, key = branches
    found = explain_margin(query, key, "rsp", view(0), view(1), [view(2)])
    score = Score.margin(
        query, "rsp", extract_features(key, view(1)), [extract_features(key, view(2))]
    )
    moving, still = extract_features(query, view(0)), extract_features(query, static_clip(view(0)))
    expected = score.contributions(moving).values - score.contributions(still).values
    np.testing.assert_allclose(found.static.values, expected, atol=1e-12)
    # A clip that stands still already has nothing left.
    nothing = reference_map(score, still, still)
    assert not nothing.values.any()
    assert nothing.score == 0


def test_static_clip_repeats_the_middle_frame() -> None:
    clip = view(0)
    still = static_clip(clip)
    assert (still.frames == clip.frames[4]).all()
    assert still.info == clip.info
    assert (static_clip(still).frames == still.frames).all()


def test_deviation_by_hand() -> None:
    values = np.array([[[1.0, 2.0, 4.0, -3.0, 2.0]]])
    np.testing.assert_array_equal(deviation(values), [[[1, 0, 2, 5, 0]]])


def test_saved(branches, tmp_path: Path) -> None:
    query, key = branches
    found = explain_margin(query, key, "avid", view(0), view(1), [view(2), view(3)])
    path = found.save(tmp_path / "margin.npz")
    with np.load(path, allow_pickle=False) as stored:
        assert sorted(stored.files) == ["i", "j", "k0", "k1", "manifest", "static"]
        np.testing.assert_array_equal(stored["k1"], found.maps_k[1].values)
        manifest = json.loads(str(stored["manifest"]))
    assert manifest["margin"] == found.margin
    assert manifest["maps"]["k1"]["clip"]["video"] == "v3"
    assert manifest["maps"]["i"]["completeness_error"] < 1e-6


def test_clips_of_two_sizes_are_refused(branches) -> None:
    query, key = branches
    with pytest.raises(ValueError, match="one size"):
        explain_margin(query, key, "rsp", view(0), view(1), [view(2, size=80)])
    score = Score.similarity(query, "rsp", extract_features(key, view(1)))
    with pytest.raises(ValueError, match="one grid"):
        reference_map(
            score, extract_features(query, view(0)), extract_features(query, view(0, size=128))
        )
