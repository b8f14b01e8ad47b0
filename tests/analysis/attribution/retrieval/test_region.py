"""Retrieval by a region: shares that sum to the cosine, and maps that sum to the shares."""

from pathlib import Path

import numpy as np
import pytest

from analysis.attribution.pairwise import explain_pairwise
from analysis.attribution.retrieval.explain import features_of_video
from analysis.attribution.retrieval.region import match_region, rank_region, region_vector
from analysis.core.clip import load_view
from analysis.core.score import extract_features
from rspnet.retrieval.gallery import FEATURES, Gallery, embed_videos, protocol_for
from tests.factories import tiny_branch

BRANCH = tiny_branch(0)


@pytest.fixture(scope="module")
def gallery(video_folder: Path) -> Gallery:
    paths = sorted(video_folder.rglob("*.mp4"))
    protocol = protocol_for(BRANCH, num_clips=2, pooling="avg")
    return embed_videos(BRANCH, paths, protocol, progress=False)


@pytest.mark.parametrize("feature", FEATURES)
def test_shares_of_a_partition_sum_to_the_cosine(gallery: Gallery, feature: str) -> None:
    seen = features_of_video(BRANCH, gallery.paths[0], gallery.protocol, feature)
    left = np.zeros(seen.grid.cells, bool)
    left[:, :, :1] = True
    parts = [(clip, cells) for clip in (0, 1) for cells in (left, ~left)]
    vectors = [region_vector(seen, *part) for part in parts]
    cosine = gallery.vectors[feature] @ gallery.vectors[feature][0]
    ranked = [rank_region(gallery, feature, vector, 0) for vector in vectors]
    for row in range(1, len(gallery)):
        shares = [next(hit.share for hit in hits if hit.index == row) for hits in ranked]
        assert sum(shares) == pytest.approx(float(cosine[row]), abs=1e-5)
    for hits in ranked:
        assert [hit.rank for hit in hits] == list(range(1, len(gallery)))
        assert [hit.share for hit in hits] == sorted((hit.share for hit in hits), reverse=True)
    # Where the match is: it sums to the share.
    hit = ranked[0][0]
    maps = match_region(seen, gallery, vectors[0], hit.index)
    assert maps.total == pytest.approx(hit.share, abs=1e-6)


def test_with_one_clip_it_is_the_pairwise_map(video_folder: Path) -> None:
    paths = sorted(video_folder.rglob("*.mp4"))[:2]
    protocol = protocol_for(BRANCH, num_clips=1, pooling="avg")
    gallery = embed_videos(BRANCH, paths, protocol, progress=False)
    seen = features_of_video(BRANCH, paths[0], protocol, "rsp")
    cells = np.zeros(seen.grid.cells, bool)
    cells[0, 1, :] = True
    clips = [
        extract_features(
            BRANCH, load_view(path, BRANCH.num_frames, BRANCH.size, start=gallery.clip_starts[n][0])
        )
        for n, path in enumerate(paths)
    ]
    pairs = explain_pairwise(clips[0], clips[1], "rsp").values
    (found,) = match_region(seen, gallery, region_vector(seen, 0, cells), 1).maps
    assert found.values == pytest.approx(pairs[cells].sum(axis=0), abs=1e-6)


def test_what_is_no_region_is_said(gallery: Gallery) -> None:
    seen = features_of_video(BRANCH, gallery.paths[0], gallery.protocol, "rsp")
    none = np.zeros(seen.grid.cells, bool)
    for clip, cells in ((0, none), (0, none[:1]), (2, ~none)):
        with pytest.raises(ValueError, match="a region is one cell or more"):
            region_vector(seen, clip, cells)
