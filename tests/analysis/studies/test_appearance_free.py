"""Both tasks on noise that moves as clips do."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.studies import appearance_free
from analysis.studies.appearance_free import (
    MOVEMENT,
    STIMULI,
    AppearanceFree,
    AppearanceFreeConfig,
    outcomes,
)
from analysis.studies.registry import StudyInputs
from tests.factories import tiny_branch


def test_outcomes_by_hand() -> None:
    z_i = np.eye(3)
    z_j = np.array([[1, 0, 0], [0.9, 0.1, 0], [0, 0, 0.5]])
    z_k = np.array([[0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]])
    # The second is farther than c_k, but nearest of all; the third is as near as c_k.
    assert outcomes(z_i, z_j, z_k).tolist() == [[1, 0, 0], [1, 1, 1]]
    ties = np.ones((3, 1))
    assert outcomes(ties, ties, ties).sum() == 0


def test_a_head_that_measures_change_orders_noise_and_one_that_sees_colours_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def embed(_branch: Any, views: Any) -> dict[str, np.ndarray]:
        frames = np.stack([view.frames for view in views]).astype(float)
        angle = np.minimum(np.abs(np.diff(frames, axis=1)).mean(axis=(1, 2, 3, 4)) / 60, 1.5)
        colour = frames.mean(axis=(1, 2, 3)) - 127
        return {
            "rsp": np.stack([np.cos(angle), np.sin(angle)], axis=1),
            "avid": colour / np.linalg.norm(colour, axis=1, keepdims=True),
        }

    monkeypatch.setattr(appearance_free, "embed_views", embed)
    branch = tiny_branch(0, size=64)
    inputs = StudyInputs(query=branch, key=branch, progress=False)
    table = AppearanceFree().measure(inputs, AppearanceFreeConfig(num_videos=10, num_random=1))

    def value(stimulus: str, head: str, measure: str) -> float:
        return table.one(weights="trained", stimulus=stimulus, head=head)[measure].value

    assert value(MOVEMENT, "rsp", "order") >= 0.6
    assert value("noise at rest", "rsp", "order") == 0  # all are alike: ties
    assert value(next(iter(STIMULI)), "avid", "instance") >= 0.8
    assert value(MOVEMENT, "avid", "instance") <= 0.4
    assert "RSP orders" in AppearanceFree().finding(table)
    assert len(AppearanceFree().tables(table)) == 4
    (figure,) = AppearanceFree().figures(table)
    assert figure.rows == tuple(STIMULI)  # type: ignore[union-attr]
    assert AppearanceFree().key_numbers(table)[0].difference is not None


def test_no_control_is_refused() -> None:
    with pytest.raises(ValueError, match="num_random=0"):
        AppearanceFreeConfig(num_random=0)


def test_real_videos_move_noise_and_those_that_cannot_be_read_are_named(
    video_folder: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video")
    branch = tiny_branch(0)
    paths = (*sorted(video_folder.rglob("*.mp4")), bad)
    inputs = StudyInputs(
        query=branch, key=branch, paths=paths, videos="videos of a folder", progress=False
    )
    table = AppearanceFree().measure(inputs, AppearanceFreeConfig(num_videos=4, num_random=1))
    assert (table.num_videos, table.videos) == (4, "videos of a folder")
    assert list(table.skipped) == [str(bad)]
    assert table.keys("weights") == ("trained", "random weights")
    found = table.one(weights="trained", stimulus=MOVEMENT, head="rsp")["order"]
    assert (found.num, 0 <= found.low <= found.value <= found.high <= 1) == (4, True)
