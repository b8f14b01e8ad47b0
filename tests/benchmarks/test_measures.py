"""What each test video gets, rows, chance, and features that are kept."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from analysis.core.statistics import mean
from benchmarks.small_scale.features import PART, clip_features, embed_all
from benchmarks.small_scale.measures import (
    RIDGE,
    Row,
    chance,
    first_places,
    outcomes,
    over_folds,
    video_vectors,
    whiten,
)
from benchmarks.small_scale.sets import Videos, generated_videos
from rspnet.data.video.encode import write_video
from rspnet.retrieval.gallery import embed_video, protocol_for
from tests.factories import tiny_branch


def videos_of(train: str, test: str) -> Videos:
    names = [Path(f"/{i}.mp4") for i in range(len(train + test))]
    labels = {"action": tuple(train + test)}
    return Videos(paths=tuple(names), labels=labels, num_train=len(train))


def clips_at(angles: list[float], num_clips: int = 2) -> np.ndarray:
    turn = np.deg2rad(angles)
    vectors = np.stack([np.cos(turn), np.sin(turn)], axis=1).astype(np.float32)
    return vectors[:, None].repeat(num_clips, axis=1)


VIDEOS = videos_of("aabb", "abbc")
CLIPS = clips_at([0, 20, 70, 90, 10, 80, 30, 45])


def test_outcomes_by_hand() -> None:
    # 30 has 20a, 0a at 10 and 30, 70b at 40; no one has c.
    assert first_places(video_vectors(CLIPS), VIDEOS, "action") == [1, 1, 3, 0]
    found = outcomes(CLIPS, VIDEOS, "action", neighbours=1, decay=1e-2)
    assert found == {"place": [1, 1, 3, 0], "k-NN": [1, 1, 0, 0], "linear": [1, 1, 0, 0]}


def test_more_neighbours_than_videos() -> None:
    assert outcomes(CLIPS, VIDEOS, "action", 20, 1e-2)["k-NN"] == [1, 1, 0, 0]


def test_mean_over_clips_at_unit_length() -> None:
    clips = np.array([[[3.0, 0], [0, 3]], [[2, 0], [0, 0]]], np.float32)
    np.testing.assert_allclose(video_vectors(clips), [[0.5**0.5] * 2, [1, 0]], rtol=1e-6)


def test_rows_are_means_over_seeds() -> None:
    one = {"place": [1, 1, 3, 0], "k-NN": [1, 1, 0, 0], "linear": [1, 1, 1, 0]}
    other = {"place": [1, 2, 3, 0], "k-NN": [0, 0, 0, 0], "linear": [1, 1, 1, 0]}
    row, alone = Row.of("m", "RSP", [one, other]), Row.of("n", "RSP", [other])
    assert [values.tolist() for values in row.per_video("top-1")] == [[100, 50, 0, 0]]
    assert row.estimate("top-1").value == row.mean("top-1") == 37.5
    assert row.seed_means("top-1") == [50, 25]
    assert row.estimate("top-5").value == 75
    assert (row.estimate("linear").value, row.estimate("k-NN").value) == (75, 25)
    less = row.minus(alone, "top-1")
    assert less.value == 12.5
    assert less.low == 0
    assert row.to_json()["metrics"]["top-1"]["seeds"] == [50, 25]


def test_folds_weigh_alike_and_are_resampled_apart() -> None:
    # The first fold has no spread: only the second makes the interval wide, at half its width.
    ones, mixed = np.ones(3), np.tile([0.0, 1.0], 20)
    found = over_folds([ones, mixed])
    assert (found.value, found.num) == (0.75, 43)
    rng = np.random.default_rng(0)
    rng.integers(0, 3, (2000, 3))
    draws = np.sort([(1 + mixed[rng.integers(0, 40, 40)].mean()) / 2 for _ in range(2000)])
    assert found.low == pytest.approx(np.quantile(draws, 0.025), abs=0.01)
    assert found.high == pytest.approx(np.quantile(draws, 0.975), abs=0.01)
    assert over_folds([mixed]) == mean(mixed)


def test_the_mean_over_folds_is_paired_within_each() -> None:
    def run(*places: int) -> dict[str, list[int]]:
        return {"place": list(places), "k-NN": [0] * len(places), "linear": [1] * len(places)}

    ours = Row.mean_of([Row.of("m", "RSP", [run(1, 1)]), Row.of("m", "RSP", [run(1, 0, 0, 0)])])
    other = Row.mean_of([Row.of("n", "RSP", [run(0, 1)]), Row.of("n", "RSP", [run(0, 0, 0, 0)])])
    assert ours.mean("top-1") == ours.estimate("top-1").value == (100 + 25) / 2
    assert ours.seed_means("top-1") == [62.5]
    assert ours.minus(other, "top-1").value == (50 + 25) / 2
    assert [len(values) for values in ours.per_video("top-1")] == [2, 4]


def test_whitening_by_hand() -> None:
    # Training videos vary by 4 along the first axis and by 1 along the second, about (1, 2).
    train = [[5.0, 2.0], [-3.0, 2.0], [1.0, 4.0], [1.0, 0.0]]
    clips = np.array([*train, [5.0, 4.0]], np.float32)[:, None]  # variances 8 and 2
    found = whiten(clips, num_train=4)
    r = RIDGE * (8 + 2) / 2
    expected = [4 / np.sqrt(8 + r), 2 / np.sqrt(2 + r)]
    np.testing.assert_allclose(found[4, 0], expected, rtol=1e-6)
    np.testing.assert_allclose(found[:4, 0].sum(axis=0), 0, atol=1e-6)


def test_whitening_looks_at_training_videos_only_and_takes_their_means() -> None:
    rng = np.random.default_rng(0)
    clips = rng.normal(size=(9, 3, 20)).astype(np.float32)  # more dimensions than videos
    found = whiten(clips, num_train=6)
    changed = clips.copy()
    changed[7] *= 100
    np.testing.assert_array_equal(whiten(changed, 6)[[0, 5, 6, 8]], found[[0, 5, 6, 8]])
    m = clips[:6].mean(axis=1)
    S = np.cov(m, rowvar=False, bias=True)
    values, axes = np.linalg.eigh(S + RIDGE * np.trace(S) / 20 * np.eye(20))
    root = axes @ np.diag(values**-0.5) @ axes.T
    np.testing.assert_allclose(found, (clips - m.mean(axis=0)) @ root, rtol=1e-4, atol=1e-4)
    # Of videos that are all alike nothing is left but zeros, and nothing that is not finite.
    assert not whiten(np.ones((3, 1, 2), np.float32), 2).any()


def test_chance_is_that_of_random_orders() -> None:
    videos = videos_of("aaabbbbbcc" * 3, "abcd")
    rng = np.random.default_rng(0)
    orders = [rng.permutation(30) for _ in range(4000)]
    labels = np.array(videos.labels["action"][:30])
    expected = {k: [] for k in (1, 5, 10)}
    for order in orders:
        for label in "abcd":
            for k, values in expected.items():
                values.append((labels[order[:k]] == label).any())
    found = chance(videos, "action")
    assert found["top-1"] == pytest.approx(25)
    for k, values in expected.items():
        assert found[f"top-{k}"] == pytest.approx(100 * np.mean(values), abs=1)
    assert found["top-50"] == 75  # d is never there


@pytest.mark.parametrize("length", [5, 9, 40])
def test_features_are_those_of_a_gallery(tmp_path: Path, length: int) -> None:
    rng = np.random.default_rng(length)
    noise = rng.integers(0, 255, (length, 24, 32, 3), np.uint8)
    path = write_video(tmp_path / "v.mp4", noise, 25, preset="fast") or tmp_path / "v.mp4"
    branch = tiny_branch(0, width=4, size=16)
    protocol = protocol_for(branch, num_clips=3)
    found = clip_features(branch, Path(path), protocol)
    assert found["max"].shape == (3, 32)
    assert found["rsp"].shape == (3, 128)
    for key, name, pooling in (
        ("max", "backbone", "max"),
        ("avg", "backbone", "avg"),
        ("rsp", "rsp", "max"),
        ("avid", "avid", "max"),
    ):
        known = embed_video(branch, path, protocol_for(branch, num_clips=3, pooling=pooling))
        assert video_vectors(found[key][None])[0].tobytes() == known[name].tobytes()


def test_kept_features_are_not_made_twice(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.mp4" for i in range(PART + 3)]
    for path in paths:
        path.touch()
    taken: Counter[Path] = Counter()

    def embed(path: Path, last: int) -> dict[str, np.ndarray]:
        taken[path] += 1
        if taken.total() > last:
            raise KeyboardInterrupt
        return {"x": np.full((2, 3), int(path.stem), np.float32)}

    with pytest.raises(KeyboardInterrupt):
        embed_all(tmp_path, {"model": 1}, paths, lambda p: embed(p, PART + 1), "t")
    found = embed_all(tmp_path, {"model": 1}, paths, lambda p: embed(p, 1000), "t")
    assert found["x"].shape == (PART + 3, 2, 3)
    assert found["x"][:, 0, 0].tolist() == list(range(PART + 3))
    assert {taken[path] for path in paths[:PART]} == {1}
    assert [taken[path] for path in paths[PART:]] == [2, 2, 1]
    again = embed_all(tmp_path, {"model": 1}, paths, lambda p: embed(p, 0), "t")
    assert again["x"].tobytes() == found["x"].tobytes()
    # A longer list has the first part in common.
    longer = [*paths, tmp_path / "more.mp4"]
    longer[-1].write_bytes(b"x")
    with pytest.raises(KeyboardInterrupt):
        embed_all(tmp_path, {"model": 1}, longer, lambda p: embed(p, 0), "t")
    taken[paths[PART]] -= 1
    part = max(tmp_path.glob("*/part-*.npz"), key=lambda path: path.stat().st_mtime_ns)
    part.write_bytes(part.read_bytes()[:100])
    embed_all(tmp_path, {"model": 1}, paths, lambda p: embed(p, 1000), "t")
    assert [taken[path] for path in (paths[0], paths[-1])] == [1, 2]
    embed_all(tmp_path, {"model": 2}, paths, lambda p: embed(p, 1000), "t")
    assert taken[paths[0]] == 2


def test_generated_halves(tmp_path: Path) -> None:
    found = generated_videos(tmp_path / "synthetic", 3, 5)
    assert [kind for _, kind in found.tables.values()] == ["action", "actor", "set"]
    videos = found.first
    assert found.paths == videos.paths
    assert found.mean is None
    assert [path.stem for path in videos.paths] == [
        "synthetic_5_000001",
        "synthetic_5_000002",
        "synthetic_5_000000",
    ]
    assert videos.num_train == 2
    assert [path.stem for path in videos.test_paths] == ["synthetic_5_000000"]
    assert [path.parent.name for path in videos.paths] == list(videos.labels["action"])
    assert set(videos.labels) == {"action", "actor", "set"}
    with pytest.raises(ValueError, match="at least 2 videos"):
        generated_videos(tmp_path / "other", 1, 5)
