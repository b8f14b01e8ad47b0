"""One video's curves, changed clips and maps."""

import numpy as np
import pytest
import torch

from analysis import explain_kind
from analysis.core.clip import StoredFrames, View
from analysis.core.score import extract_features
from analysis.stimuli.perturbations import PERTURBATIONS, perturbed_view
from analysis.stimuli.perturbed_clips import (
    embed_views,
    levels_of,
    probe_pair,
    responses_of_video,
    synthetic_probe,
    video_probe,
    views_of,
)
from rspnet.data.synthetic.videos import render_video
from rspnet.models import Branch
from rspnet.names import HEADS
from tests.factories import tiny_branch

WINDOW = 29  # 8 frames at 4x


def make_branch(seed: int) -> Branch:
    return tiny_branch(seed, size=64)


def noise(num: int = 40, seed: int = 0) -> StoredFrames:
    rng = np.random.default_rng(seed)
    return StoredFrames(rng.integers(0, 256, (num, 72, 80, 3), np.uint8))


@pytest.fixture(scope="module")
def branches() -> tuple[Branch, Branch]:
    return make_branch(0), make_branch(1)


def test_embeddings_are_the_network_s_and_take_one_forward_pass_a_view(
    branches, monkeypatch
) -> None:
    query, _ = branches
    views = views_of(video_probe(query, noise()), {"speed": (0.5, 1, 2), "blur": (0, 1, 4)})
    assert len(views) == 5
    counted = []
    forward = query.encoder.forward
    monkeypatch.setattr(query.encoder, "forward", lambda x: counted.append(len(x)) or forward(x))
    found = embed_views(query, views, batch_size=3)
    assert counted == [3, 2]
    for head in HEADS:
        assert found[head].shape == (5, 128)
        assert found[head].dtype == np.float64
        for view, z in zip(views, found[head], strict=True):
            np.testing.assert_allclose(
                z, extract_features(query, view).unit(head).numpy(), atol=1e-5
            )
        np.testing.assert_allclose(np.linalg.norm(found[head], axis=1), 1, atol=1e-14)


def test_curves_of_a_video_are_cosines_of_its_changed_views(branches) -> None:
    query, key = branches
    probe = video_probe(query, noise(), window=WINDOW, name="v", seed=5)
    assert probe.start == 5  # the window in the middle of 40 frames
    levels = levels_of(probe, WINDOW)
    assert list(levels) == [
        name for name, change in PERTURBATIONS.items() if not change.is_factor_swap
    ]
    curves = responses_of_video(query, key, probe, levels)
    own = extract_features(query, probe.view)
    for name, curve in curves.items():
        assert curve.levels == levels[name]
        for level in curve.levels:
            other = extract_features(key, perturbed_view(probe, name, level))
            for head in HEADS:
                expected = float(own.unit(head) @ other.unit(head))
                assert curve.at(head, level) == pytest.approx([expected], abs=1e-6)
    same = responses_of_video(query, query, probe, {"hue": [0, 90]})["hue"]
    assert same.at("rsp", 0) == pytest.approx([1], abs=1e-12)
    assert same.at("rsp", 90) < 1


def test_probed_pair_is_that_of_the_curve_and_has_exact_maps(branches) -> None:
    query, key = branches
    probe = video_probe(query, noise(), start=3, window=WINDOW, name="v")
    pair = probe_pair(query, key, probe, "speed", 2)
    assert pair.view_i.info.frame_indices == tuple(range(3, 11))
    assert pair.view_j.info.frame_indices == tuple(range(3, 19, 2))
    curve = responses_of_video(query, key, probe, {"speed": [2]})["speed"]
    found = explain_kind("contribution", pair)
    for head in HEADS:
        assert found.similarity[head] == pytest.approx(curve.at(head, 2)[0], abs=1e-6)
        assert found.completeness_error < 1e-6
    assert found.rows["rsp"][1].clip == pair.view_j.info


def test_generated_probe_holds_what_is_to_be_kept() -> None:
    branch = make_branch(0)
    probe = synthetic_probe(branch, 9, 2, WINDOW)
    whole = render_video(9, 2)
    # A video rendered in part is the beginning of the whole one.
    np.testing.assert_array_equal(probe.reader.get_frames(range(WINDOW)), whole.frames[:WINDOW])
    assert list(probe.swapped) == ["action", "actor", "set", "prop", "appearance"]
    again = synthetic_probe(branch, 9, 2, WINDOW)
    outside = ~(whole.masks["actor"][:WINDOW].any(axis=0))
    for name, video in probe.swapped.items():
        frames = video.get_frames(range(WINDOW))
        assert len(video) == WINDOW
        np.testing.assert_array_equal(frames, again.swapped[name].get_frames(range(WINDOW)))
        assert (frames != whole.frames[:WINDOW]).any()
        if name in ("action", "actor"):  # the set stays: most of what no actor covers
            share = (frames == whole.frames[:WINDOW])[:, outside].all(axis=-1).mean()
            assert share > 0.8
    # A prop is small: all but its pixels stay.
    same = (probe.swapped["prop"].get_frames(range(WINDOW)) == whole.frames[:WINDOW]).all(axis=-1)
    assert 0.9 < same.mean() < 1
    # Movement and body stay with another set: the same pixels move.
    moved = [
        (np.ptp(v.get_frames(range(WINDOW)).astype(int), axis=0) > 0).any(axis=-1)
        for v in (probe.reader, probe.swapped["set"])
    ]
    assert (moved[0] & moved[1]).sum() / (moved[0] | moved[1]).sum() > 0.9
    assert list(levels_of(probe, WINDOW)) == list(PERTURBATIONS)


def test_errors_say_what_to_do(branches) -> None:
    query, _ = branches
    with pytest.raises(ValueError, match="29 frames from frame 0 on are needed, the video has 20"):
        video_probe(query, noise(20), window=WINDOW)
    with pytest.raises(ValueError, match="29 frames from frame 15 on"):
        video_probe(query, noise(), start=15, window=WINDOW)
    dead = make_branch(0)
    with torch.no_grad():
        for parameter in dead.head("avid").parameters():
            parameter.zero_()
    view: View = video_probe(query, noise()).view
    with pytest.raises(ValueError, match="avid head gives an embedding of length 0"):
        embed_views(dead, [view])
