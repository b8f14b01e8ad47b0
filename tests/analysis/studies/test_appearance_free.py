"""Both tasks, and retrieval, on altered videos."""

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.core.clip import ClipInfo, View
from analysis.core.figure_spec import DotFigure
from analysis.core.table import StudyTable
from analysis.stimuli.triplets import Triplets
from analysis.studies import appearance_free
from analysis.studies.appearance_free import (
    ALTERED,
    AS_THEY_ARE,
    BACKGROUND,
    MOVEMENT,
    REST,
    STIMULI,
    AppearanceFree,
    AppearanceFreeConfig,
    chance,
    hits,
    outcomes,
    targets_of,
    with_donors,
)
from analysis.studies.measures.controlled import head_rows
from analysis.studies.registry import StudyInputs
from rspnet.data.synthetic.videos import draw_factors
from tests.factories import tiny_branch


def test_outcomes_by_hand() -> None:
    z_i = np.eye(3)
    z_j = np.array([[1, 0, 0], [0.9, 0.1, 0], [0, 0, 0.5]])
    z_k = np.array([[0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]])
    # The second is farther than c_k, but nearest of all; the third is as near as c_k.
    assert outcomes(z_i, z_j, z_k).tolist() == [[1, 0, 0], [1, 1, 1]]
    ties = np.ones((3, 1))
    assert outcomes(ties, ties, ties).sum() == 0


def test_hits_and_their_chance_by_hand() -> None:
    queries, gallery = np.eye(3), np.array([[1, 0, 0.6], [0, 0.5, 0.8], [0, 0.9, 0]])
    own = np.eye(3, dtype=bool)
    # The nearest: its own, that of the third, that of the second.
    assert hits(queries, gallery, own, own=True).tolist() == [1, 0, 0]
    assert chance(own, own=True) == 1 / 3
    # Of the other videos, the first and the second are of one class, the third is alone.
    label = own | np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]], bool)
    found = hits(queries, gallery, label, own=False)
    assert found.tolist()[:2] == [1, 0]  # a tie takes the first
    assert np.isnan(found[2])
    assert chance(label, own=False) == 1 / 2
    assert chance(own, own=False) == 0


@pytest.mark.parametrize("number", [3, 4, 7, 80])
def test_queries_and_gallery_have_other_backgrounds(number: int) -> None:
    assert 0 < with_donors(number)[0] < with_donors(number)[1] < number


def squares() -> list[tuple[View, View, View]]:
    """Five videos: a square of noise at a place of its own, before a wall of a colour of its own.

    It moves to and fro, by a pixel a frame, or by two in c_k.
    """
    rng = np.random.default_rng(0)
    videos = []
    for v in range(5):
        square, wall = rng.integers(0, 256, (12, 12, 3)), rng.integers(0, 256, 3)
        y, x = ((4, 4), (4, 44), (44, 4), (44, 44), (24, 24))[v]
        clips = []
        for speed, start in ((1, 0), (1, 1), (2, 0)):
            frames = np.full((8, 64, 64, 3), wall, np.uint8)
            for t in range(8):
                left = x + abs((start + speed * t) % 6 - 3)
                frames[t, y : y + 12, left : left + 12] = square
            clips.append(View(frames, ClipInfo(f"class{v // 2}/v{v}.mp4", (), speed)))
        videos.append(tuple(clips))
    return videos


def test_a_head_that_sees_movement_keeps_what_one_that_sees_colours_loses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """RSP: where something changes, and how much. A-VID: the median colour."""

    def embed(_branch: Any, views: Any, *, backbone: bool) -> dict[str, np.ndarray]:
        assert backbone
        frames = np.stack([view.frames for view in views]).astype(float)
        changes = np.abs(np.diff(frames, axis=1)).mean(axis=(1, 4))
        places = changes.reshape(len(views), 16, 4, 16, 4).mean(axis=(2, 4)).reshape(-1, 256)
        colours = np.median(frames, axis=(1, 2, 3)) - 127
        found = {"rsp": places, "avid": colours, "backbone": colours}
        lengths = {head: np.linalg.norm(z, axis=1, keepdims=True) for head, z in found.items()}
        return {head: z / np.maximum(lengths[head], 1e-9) for head, z in found.items()}

    videos = squares()
    paths = tuple(Path(i.info.video) for i, _, _ in videos)
    monkeypatch.setattr(appearance_free, "embed_views", embed)
    monkeypatch.setattr(
        StudyInputs, "triplets", lambda *_: Triplets(views=tuple(videos), what="squares")
    )
    branch = tiny_branch(0, size=64)
    labels = {path: path.parent.name for path in paths}
    inputs = StudyInputs(query=branch, key=branch, paths=paths, labels=labels, progress=False)
    study = AppearanceFree()
    table = study.measure(inputs, AppearanceFreeConfig(num_videos=5, num_random=1))

    def value(head: str, target: str, **keys: str) -> float:
        return table.one(weights="trained", head=head, **keys)[target].value

    for name in (MOVEMENT, BACKGROUND):
        for altered in ALTERED:
            assert value("rsp", "video", shown=name, altered=altered) == 1
            assert value("avid", "video", shown=name, altered=altered) <= 0.4
    for altered in ALTERED:
        assert value("rsp", "background", shown=BACKGROUND, altered=altered) == 0
        assert value("avid", "background", shown=BACKGROUND, altered=altered) == 1
    assert value("avid", "video", shown=AS_THEY_ARE) == 1
    assert value("rsp", "order", stimulus=REST) == 0  # all are alike: ties
    assert value("avid", "instance", stimulus=MOVEMENT) <= 0.4
    assert table.settings["chance"] == {"video": 1 / 5, "action": 1 / 4, "background": 1 / 5}
    assert "RSP orders" in study.finding(table)
    assert "Before the background of another video RSP finds" in study.finding(table)
    shown = study.tables(table)
    assert [len(own.rows) for own in shown[:5]] == [4, 4, 7, 7, 7]
    assert len(shown) == 10
    tasks, retrieval = study.figures(table)
    assert isinstance(tasks, DotFigure)
    assert isinstance(retrieval, DotFigure)
    assert tasks.rows == STIMULI
    assert len(retrieval.rows) == 7
    assert [panel.title for panel in retrieval.panels] == [
        "Video", "Action", "Background",
    ]  # fmt: skip
    assert study.key_numbers(table)[0].difference is not None


def test_results_without_backgrounds_are_still_shown() -> None:
    rows = [
        row
        for weights in ("trained", "random weights")
        for name in (AS_THEY_ARE, MOVEMENT, REST)
        for row in head_rows(
            {"weights": weights, "stimulus": name},
            {"order": ([0, 1], [1, 1]), "instance": ([0, 1], [1, 1])},
        )
    ]
    table = StudyTable(study="appearance_free", rows=tuple(rows), num_videos=2, videos="videos")
    study = AppearanceFree()
    assert study.finding(table).endswith("1.00, 1.00 to 1.00 of the videos again.")
    assert (len(study.tables(table)), len(study.figures(table))) == (4, 1)
    assert study.key_numbers(table)[0].values["rsp"].value == 0.5


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
    assert table.settings["chance"] == {"video": 1 / 4, "background": 1 / 4}
    labels = {path: path.parent.name for path in paths}
    labelled = AppearanceFree().measure(
        replace(inputs, labels=labels), AppearanceFreeConfig(num_videos=4, num_random=1)
    )
    assert labelled.settings["chance"]["action"] == 1 / 3
    found = table.one(weights="trained", stimulus=MOVEMENT, head="rsp")["order"]
    assert (found.num, 0 <= found.low <= found.value <= found.high <= 1) == (4, True)


def test_synthetic_videos_share_actions_and_appearances() -> None:
    branch = tiny_branch(0)
    inputs = StudyInputs(query=branch, key=branch, progress=False)
    factors = [draw_factors(9, v) for v in range(30)]
    found = targets_of(inputs, [squares()[0]] * 30, 9)
    assert list(found) == ["video", "action", "appearance"]
    for v, w in product(range(30), repeat=2):
        a, b = factors[v], factors[w]
        assert found["action"][v, w] == (a.action == b.action)
        assert found["appearance"][v, w] == (a.actor == b.actor or a.set_id == b.set_id)
