"""Single hits of a retrieval: the same numbers as in the whole list."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from analysis.attribution.retrieval.explain import explain_retrieval
from analysis.attribution.retrieval.hit import (
    explain_rank,
    join_ranks,
    score_of_clips,
    still_part,
)
from analysis.core.clip import View, static_clip
from analysis.core.score import extract_features
from analysis.figures.viewer.pair import view_of
from rspnet.models import Branch
from rspnet.retrieval.gallery import FEATURES, Gallery, embed_videos, protocol_for
from tests.factories import tiny_branch


@pytest.fixture(scope="module")
def branch() -> Branch:
    return tiny_branch(0, arch="resnet18")


@pytest.fixture(scope="module")
def gallery(branch: Branch, video_folder: Path) -> Gallery:
    paths = sorted(video_folder.rglob("*.mp4"))
    return embed_videos(branch, paths, protocol_for(branch, num_clips=2), progress=False)


@pytest.mark.parametrize("feature", FEATURES)
def test_ranks_joined_are_the_list(branch: Branch, gallery: Gallery, feature: str) -> None:
    query = gallery.paths[2]
    whole = explain_retrieval(branch, gallery, query, feature, 3)
    single = [explain_rank(branch, gallery, query, feature, rank) for rank in (1, 2, 3)]
    joined = join_ranks(single)
    assert joined.to_json() == whole.to_json()
    assert [len(one.gaps) for one in single] == [1, 1, 0]
    for one, same in zip(joined.hits, whole.hits, strict=True):
        for mine, theirs in zip(one.hit_maps.maps, same.hit_maps.maps, strict=True):
            np.testing.assert_array_equal(mine.values, theirs.values)


@pytest.mark.parametrize("head", ["rsp", "avid"])
def test_the_map_of_a_clip_is_taken_apart_into_what_stands_still_and_what_moves(
    branch: Branch, gallery: Gallery, head: str
) -> None:
    (hit,) = explain_rank(branch, gallery, gallery.paths[2], head, 1).hits
    for video, other in ((hit.query_maps, hit.index), (hit.hit_maps, 2)):
        views = [view_of(own.clip, own.grid) for own in video.maps]
        score = score_of_clips(branch, video)
        for own, view in zip(video.maps, views, strict=True):
            made = score.contributions(extract_features(branch, view))
            np.testing.assert_allclose(made.values, own.values, atol=1e-6)
        # By hand: z of the clip at rest, over the length of the clip's own z, times the target,
        # which is the other video's vector over the number of clips and the mean's length.
        (z, *_), (u, *others) = zip(*(embed(branch, view, head) for view in views), strict=True)
        held, _ = embed(branch, static_clip(views[0]), head)
        mean = np.mean([u, *others], axis=0)
        target = gallery.vectors[head][other] / (len(views) * np.linalg.norm(mean))
        still = still_part(branch, video, views[0])
        assert still.shape == video.maps[0].values.shape
        assert still.sum() == pytest.approx(held @ target / np.linalg.norm(z), abs=1e-5)
    # A clip at rest has nothing that moves.
    at_rest = static_clip(views[0])
    whole = score.contributions(extract_features(branch, at_rest)).values
    np.testing.assert_allclose(still_part(branch, video, at_rest), whole, atol=1e-6)


def embed(branch: Branch, view: View, head: str) -> tuple[np.ndarray, np.ndarray]:
    """The embedding by the network's own layers, and at unit length."""
    with torch.no_grad():
        z = branch.head(head)(branch.features(view.clip[None]).mean((2, 3, 4)))[0].numpy()
    return z, z / np.linalg.norm(z)


def test_the_backbone_has_no_score_of_a_head(branch: Branch, gallery: Gallery) -> None:
    (hit,) = explain_rank(branch, gallery, gallery.paths[2], "backbone", 1).hits
    with pytest.raises(ValueError, match="by one of the heads rsp, avid, .* of the backbone"):
        score_of_clips(branch, hit.query_maps)


def test_of_two_equally_near_videos_each_is_explained(branch: Branch, gallery: Gallery) -> None:
    twice = replace(gallery, vectors={n: rows.copy() for n, rows in gallery.vectors.items()})
    twice.vectors["rsp"][1] = twice.vectors["rsp"][0]
    # By its own vector video 1 is as near as video 0, which comes first: 1 is no hit of rank 1.
    near = twice.nearest(twice.vectors["rsp"][3], "rsp", 3, exclude=twice.paths[3])
    ranks = [one.index for one in near]
    assert ranks.index(1) == ranks.index(0) + 1
    found = explain_rank(branch, twice, twice.paths[3], "rsp", ranks.index(0) + 1)
    assert found.hits[0].index == 0
    assert found.gaps[0].gap == 0
    # That its file gives another vector than the gallery holds is found out.
    with pytest.raises(ValueError, match="the file has changed"):
        explain_rank(branch, twice, twice.paths[3], "rsp", ranks.index(1) + 1)


def test_picked_videos_keep_what_belongs_to_them(gallery: Gallery) -> None:
    picked = gallery.take([3, 1])
    assert picked.paths == (gallery.paths[3], gallery.paths[1])
    assert picked.labels == (gallery.labels[3], gallery.labels[1])
    assert picked.clip_starts == (gallery.clip_starts[3], gallery.clip_starts[1])
    np.testing.assert_array_equal(picked.vectors["avid"], gallery.vectors["avid"][[3, 1]])
    assert (picked.splits, picked.model_hash) == ((), gallery.model_hash)


def test_what_can_not_be_explained(branch: Branch, gallery: Gallery) -> None:
    query = gallery.paths[0]
    with pytest.raises(ValueError, match="between 1 and the 3 other videos of the gallery, got 4"):
        explain_rank(branch, gallery, query, "rsp", 4)
    with pytest.raises(ValueError, match="got 0"):
        explain_rank(branch, gallery, query, "rsp", 0)
    with pytest.raises(ValueError, match=r"feature is one of .* got 'speed'"):
        explain_rank(branch, gallery, query, "speed", 1)
    with pytest.raises(ValueError, match=r"nowhere\.mp4 is none: give one of its 4"):
        explain_rank(branch, gallery, "nowhere.mp4", "rsp", 1)
    other = tiny_branch(arch="resnet18")
    with pytest.raises(ValueError, match="made by another model or protocol"):
        explain_rank(other, gallery, query, "rsp", 1)
    with pytest.raises(ValueError, match="of one query, feature and gallery make a list, got 0"):
        join_ranks([])
