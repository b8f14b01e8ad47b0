"""A triplet a video, and both heads' scores of it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from analysis.stimuli.triplets import (
    Triplets,
    encode_triplets,
    file_triplets,
    generated_triplets,
    nearest_videos,
    scores_of,
)
from rspnet.data.video.encode import write_video
from rspnet.models import Branch, from_module
from tests.factories import tiny_branch


@pytest.fixture(scope="module")
def branches() -> tuple[Branch, Branch]:
    torch.manual_seed(0)
    query, key = (tiny_branch(width=4) for _ in "qk")
    return query, key


@pytest.fixture(scope="module")
def triplets(branches: tuple[Branch, Branch]) -> Triplets:
    return generated_triplets(branches[0], 4, seed=2)


def test_speeds_alternate_and_c_k_has_the_other_one(triplets: Triplets) -> None:
    views = triplets.views
    speeds = [tuple(view.info.speed for view in triplet) for triplet in views]
    assert speeds == [(1, 1, 2), (2, 2, 1)] * 2
    assert {view.info.video for view in views[3]} == {"synthetic_2_000003"}


def test_clips_are_fixed_by_the_seed_and_not_by_how_many_there_are(
    branches: tuple[Branch, Branch], triplets: Triplets
) -> None:
    again = generated_triplets(branches[0], 2, seed=2).views
    assert all(
        np.array_equal(a.frames, b.frames) for a, b in zip(again[1], triplets.views[1], strict=True)
    )


def test_scores_are_cosines_and_margins_of_the_network(
    branches: tuple[Branch, Branch], triplets: Triplets
) -> None:
    query, key = branches
    encoded = encode_triplets(query, key, triplets)
    scores = scores_of(encoded, 1)
    own = encoded[1]
    for head in ("rsp", "avid"):
        cosine = own.c_i.unit(head) @ own.c_j.unit(head)
        found = scores[head, "similarity"].contributions(own.c_i).values.sum()
        assert found == pytest.approx(cosine.item(), abs=1e-9)
        if head == "rsp":
            against = own.c_i.unit(head) @ own.c_k.unit(head)
        else:
            others = [encoded[n].c_j.unit(head) for n in (0, 2, 3)]
            against = torch.stack(others).mean(dim=0) @ own.c_i.unit(head)
        margin = scores[head, "margin"].contributions(own.c_i).values.sum()
        assert margin == pytest.approx((cosine - against).item(), abs=1e-9)


def test_avid_is_set_against_the_nearest_of_other_videos(
    branches: tuple[Branch, Branch], triplets: Triplets
) -> None:
    query, key = branches
    encoded = encode_triplets(query, key, triplets)
    unit = encoded[2].c_i.unit("avid")
    cosines = {n: (unit @ encoded[n].c_j.unit("avid")).item() for n in (0, 1, 3)}
    expected = sorted(cosines, key=lambda n: -cosines[n])
    assert nearest_videos(encoded, 2) == expected
    assert nearest_videos(encoded, 2, num=2) == expected[:2]
    chosen = scores_of(encoded, 2, nearest=[0])["avid", "margin"].target
    assert torch.equal(chosen, encoded[2].c_j.unit("avid") - encoded[0].c_j.unit("avid"))


def test_files_are_spread_over_the_usable_ones(
    branches: tuple[Branch, Branch], video_folder: Path
) -> None:
    triplets = file_triplets(branches[0], [video_folder], 3)
    names = [Path(i.info.video).name for i, _, _ in triplets.views]
    assert len(names) == 3 == len(set(names))
    assert str(video_folder) in triplets.what
    assert all(view.frames.shape == (8, 32, 32, 3) for view in triplets.views[0])


def test_files_that_cannot_be_measured_are_named(
    branches: tuple[Branch, Branch], video_folder: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video")
    short = tmp_path / "short.mp4"
    write_video(short, np.zeros((9, 32, 32, 3), np.uint8), 25)
    triplets = file_triplets(branches[0], [video_folder, tmp_path], 9)
    assert len(triplets.views) == 4
    assert set(triplets.skipped) == {str(bad), str(short)}
    assert triplets.skipped[str(short)] == "9 frames, needs 15"
    assert not triplets.skipped[str(bad)].startswith(str(bad))


def test_too_few_videos_are_refused(branches: tuple[Branch, Branch], video_folder: Path) -> None:
    with pytest.raises(ValueError, match="at least two, got 1"):
        generated_triplets(branches[0], 1)
    one = next(video_folder.rglob("*.mp4"))
    with pytest.raises(ValueError, match=r"1 usable videos in .*at least two are needed"):
        file_triplets(branches[0], [one], 5)


def test_synthetic_videos_are_as_long_as_the_clips_of_any_encoder_need() -> None:
    branch = from_module(nn.AvgPool3d(4), num_frames=64, size=16)
    for views in generated_triplets(branch, 2, seed=9).views:
        assert [view.frames.shape for view in views] == [(64, 16, 16, 3)] * 3
        assert max(max(view.info.frame_indices) for view in views) >= 126  # 64 frames at 2x
