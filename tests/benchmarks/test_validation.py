"""Retrieval among training videos, without those of the same source."""

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.validation import (
    held_out_tasks,
    read_groups,
    read_sources,
    without_own_source,
)
from rspnet.data.listing import list_videos
from rspnet.data.sources import FileSource
from rspnet.data.video.encode import write_video
from rspnet.evaluate import evaluate_pretext
from rspnet.models import Branch
from rspnet.weights.checkpoint import save_model


def test_each_is_queried_against_other_sources_only() -> None:
    # On a circle at 0, 1, 2 and 40 degrees: all nearest neighbours but the last's are of the
    # same source, and the nearest of another source is right for the first two.
    angles = np.deg2rad([0.0, 1.0, 40.0, 2.0])
    clips = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)[:, None]
    labels, sources = ["a", "a", "b", "a"], ["one", "one", "two", "two"]
    # 0 -> 3 (a, right), 1 -> 3 (right), 2 -> 1 (a, wrong; 3 is of its source), 3 -> 1 (right)
    found = without_own_source(clips, labels, sources)
    assert found == {"top-1": 75.0, "top-5": 75.0, "top-20": 75.0}


def test_a_video_without_others_is_never_right() -> None:
    clips = np.ones((2, 1, 3), np.float32)
    assert without_own_source(clips, ["a", "a"], ["one", "one"])["top-5"] == 0.0


def test_the_mean_over_clips_is_what_is_compared() -> None:
    clips = np.array(
        [[[1, 0], [0, 1]], [[1, 1], [1, 1]], [[1, 0], [1, 0]]], np.float32
    )  # the first is nearest to the second only as a mean
    found = without_own_source(clips, ["a", "a", "b"], ["1", "2", "3"])
    assert found["top-1"] == pytest.approx(200 / 3)


def test_sources_are_read_by_class_and_name(tmp_path: Path) -> None:
    splits = tmp_path / "splits.csv"
    splits.write_text("clip,source\nrun/a.mp4,film\nsit/a.mp4,web\n")
    paths = [Path("/x/sit/a.mp4"), Path("/x/run/a.mp4")]
    assert read_sources(splits, paths) == ["web", "film"]
    with pytest.raises(ValueError, match="no source of sit/b.mp4"):
        read_sources(splits, [Path("sit/b.mp4")])
    splits.write_text("clip,class\n")
    with pytest.raises(ValueError, match="columns clip and source"):
        read_sources(splits, paths)


def test_groups_are_those_of_a_class() -> None:
    paths = [Path(f"/x/{name}.mp4") for name in ("A/v_A_g08_c01", "A/v_A_g09_c02", "B/v_B_g08_c01")]
    assert read_groups(paths) == ["A g08", "A g09", "B g08"]
    with pytest.raises(ValueError, match="named v_Class_g01_c01, got /x/B/clip.mp4"):
        read_groups([*paths, Path("/x/B/clip.mp4")])


def test_both_tasks_are_asked_of_evenly_spaced_videos_that_are_long_enough(
    tmp_path: Path, video_folder: Path
) -> None:
    torch.manual_seed(0)
    options = {"width": 4}
    query, key = (Branch("resnet18_fine", options, num_frames=4, size=16).eval() for _ in range(2))
    model = save_model(tmp_path / "model.safetensors", query, key)
    write_video(tmp_path / "short.mp4", np.zeros((6, 24, 32, 3), np.uint8), 25, preset="fast")
    paths = list_videos(video_folder)
    found = held_out_tasks(model, [tmp_path / "short.mp4", *reversed(paths)], 2)
    ends = [FileSource(path, 40, 25.0) for path in (sorted(paths)[0], sorted(paths)[-1])]
    expected = evaluate_pretext(query, key, ends, speeds=(1, 2))
    assert found == {"order": 100 * expected.rsp_accuracy, "avid": 100 * expected.avid_top1}
