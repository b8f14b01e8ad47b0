"""Generated videos: the same for a seed, true masks, labels that tell nothing of each other."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rspnet.data.synthetic.__main__ import main
from rspnet.data.synthetic.render import pose_at
from rspnet.data.synthetic.videos import (
    ACTIONS,
    FPS,
    HEIGHT,
    MASKS,
    NUM_ACTORS,
    NUM_BACKGROUNDS,
    PROPS,
    WIDTH,
    draw_factors,
    generate,
    load_masks,
    read_labels,
    render_video,
)
from rspnet.data.video.reader import VideoReader


def test_a_seed_fixes_every_byte_of_the_decoded_frames(
    synthetic_folder: Path, tmp_path: Path
) -> None:
    # Fewer videos and two processes: the same videos.
    again = generate(tmp_path / "again", 3, seed=3, num_workers=2, progress=False)
    rows = read_labels(again)
    assert len(rows) == 3
    for row in rows:
        with (
            VideoReader(synthetic_folder / row["path"]) as a,
            VideoReader(again / row["path"]) as b,
        ):
            assert len(a) == len(b) == int(row["num_frames"])
            indices = range(0, len(a), 7)
            np.testing.assert_array_equal(a.get_frames(indices), b.get_frames(indices))


def test_files_are_what_is_promised(synthetic_folder: Path) -> None:
    rows = read_labels(synthetic_folder)
    assert len(rows) == 6
    for row in rows:
        with VideoReader(synthetic_folder / row["path"]) as reader:
            assert (
                (reader.height, reader.width, reader.fps) == (HEIGHT, WIDTH, FPS) == (192, 256, 25)
            )
            assert 75 <= len(reader) == int(row["num_frames"]) <= 125
        assert Path(row["path"]).parent.name == row["action"]
        assert row["action"] in ACTIONS
        assert row["prop"] in PROPS
        assert 0 <= int(row["actor"]) < NUM_ACTORS
        assert 0 <= int(row["set"]) < NUM_BACKGROUNDS
    assert len(ACTIONS) >= 10


def test_saved_masks_are_those_of_the_rendering(synthetic_folder: Path) -> None:
    row = read_labels(synthetic_folder)[2]
    video = render_video(int(row["seed"]), int(row["index"]))
    stored = load_masks(synthetic_folder / row["path"])
    assert set(stored) == set(MASKS)
    for name in MASKS:
        np.testing.assert_array_equal(stored[name], video.masks[name])
    with VideoReader(synthetic_folder / row["path"]) as reader:
        decoded = reader.get_frames([0, 40]).astype(int)
    # Coding costs little: the picture is the rendered one.
    assert np.abs(decoded - video.frames[[0, 40]]).mean() < 3


@pytest.mark.parametrize("action", ACTIONS)
def test_masks_cover_each_frame_once_and_only_the_actor_changes(action: str) -> None:
    video = render_video(0, 5, action=action, num_frames=60)
    m = video.masks
    assert video.frames.shape == (60, HEIGHT, WIDTH, 3)
    assert (m["actor"].astype(int) + m["prop"] + m["background"] == 1).all()
    assert not (m["limbs"] & ~m["actor"]).any()
    # Prop and background stand still, to the byte, but for the soft edge of the actor.
    near = np.lib.stride_tricks.sliding_window_view(np.pad(m["actor"].any(axis=0), 2), (5, 5))
    still = ~near.any(axis=(2, 3))
    assert (video.frames[:, still] == video.frames[0, still]).all()
    assert (m["prop"] == m["prop"][0]).all()
    assert still[m["prop"][0]].all()
    # Moving limbs are in every frame, and most of the change is theirs: the rest is the sway of
    # a torso, and soft edges.
    assert m["limbs"].any(axis=(1, 2)).all()
    change = np.abs(np.diff(video.frames.astype(int), axis=0)).sum(axis=-1)
    assert change[m["limbs"][1:] | m["limbs"][:-1]].sum() > 0.55 * change.sum() > 0


def test_one_factor_is_exchanged_and_the_rest_stays() -> None:
    base = render_video(1, 4, num_frames=20)
    assert render_video(1, 4, num_frames=20).labels == base.labels
    other = render_video(
        1, 4, num_frames=20, set_id=(int(base.labels["set"]) + 1) % NUM_BACKGROUNDS
    )
    np.testing.assert_array_equal(other.masks["limbs"], base.masks["limbs"])
    assert (other.frames[base.masks["background"]] != base.frames[base.masks["background"]]).any()
    assert {k for k in base.labels if base.labels[k] != other.labels[k]} == {"set"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"action": "fly"}, "action is one of"),
        ({"actor": NUM_ACTORS}, "actor is one of"),
        ({"set_id": -1}, "set_id is one of"),
        ({"prop": "ghost"}, "prop is one of"),
        ({"num_frames": 0}, "num_frames is one of"),
    ],
)
def test_unknown_factors_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        render_video(0, 0, **change)  # type: ignore[arg-type]


def test_factors_tell_nothing_of_each_other() -> None:
    drawn = [draw_factors(7, index) for index in range(4000)]
    actions = np.array([ACTIONS.index(f.action) for f in drawn])
    for values, num in (
        (np.array([f.actor for f in drawn]), NUM_ACTORS),
        (np.array([f.set_id for f in drawn]), NUM_BACKGROUNDS),
        (np.array([PROPS.index(f.prop) for f in drawn]), len(PROPS)),
    ):
        table = np.zeros((len(ACTIONS), num))
        np.add.at(table, (actions, values), 1)
        expected = table.sum(1, keepdims=True) * table.sum(0, keepdims=True) / table.sum()
        chi2 = ((table - expected) ** 2 / expected).sum()
        freedom = (len(ACTIONS) - 1) * (num - 1)
        # Mean and standard deviation of chi-squared: freedom and sqrt(2 freedom).
        assert abs(chi2 - freedom) < 4 * np.sqrt(2 * freedom)
    for name in ("num_frames", "tempo", "phase"):
        r = np.corrcoef(actions, [getattr(f, name) for f in drawn])[0, 1]
        assert abs(r) < 4 / np.sqrt(len(drawn))


def test_tempo_is_the_speed_of_the_pose() -> None:
    # At twice the tempo frame t shows the pose of frame 2t.
    factors = replace(draw_factors(0, 0), action="walk", tempo=1.0)
    fast = replace(factors, tempo=2.0)
    for t in range(12):
        assert pose_at(fast, t) == pytest.approx(pose_at(factors, 2 * t), abs=1e-9)


def test_coding_leaves_no_rhythm(synthetic_folder: Path) -> None:
    # One key frame and no B-frames: nothing in the pixels tells a frame's number.
    import av

    row = read_labels(synthetic_folder)[0]
    with av.open(str(synthetic_folder / row["path"])) as container:
        packets = [p for p in container.demux(video=0) if p.size]
        assert [p.is_keyframe for p in packets] == [True] + [False] * (len(packets) - 1)
        assert all(p.pts == p.dts for p in packets)


def test_generation_goes_on_where_it_was_stopped(synthetic_folder: Path, tmp_path: Path) -> None:
    folder = generate(tmp_path / "s", 2, seed=3, num_workers=1, progress=False)
    first = {p: p.stat().st_mtime_ns for p in folder.rglob("*.mp4")}
    generate(folder, 3, seed=3, num_workers=1, progress=False)
    assert len(read_labels(folder)) == 3
    assert {p: p.stat().st_mtime_ns for p in first} == first
    with pytest.raises(ValueError, match=r"holds generated videos of version 1, seed 3, requested"):
        generate(folder, 3, seed=4, progress=False)


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "out"
    assert main(["--out", str(folder), "--num-videos", "1", "--seed", "5"]) == 0
    assert "1 videos in" in capsys.readouterr().out
    assert len(list(folder.rglob("*.mp4"))) == len(list(folder.rglob("*.npz"))) == 1
    with (folder / "labels.csv").open() as file:
        assert [row["seed"] for row in csv.DictReader(file)] == ["5"]
    assert main(["--out", str(folder), "--num_videos", "0"]) == 2
    assert "num_videos is positive, got 0" in capsys.readouterr().err
    sheet = tmp_path / "sheet.png"
    assert main(["--contact_sheet", str(sheet), "--num_videos", "1"]) == 0
    assert sheet.read_bytes().startswith(b"\x89PNG")


def test_missing_labels_and_masks_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no labels.csv"):
        read_labels(tmp_path)
    with pytest.raises(ValueError, match="no masks beside"):
        load_masks(tmp_path / "a.mp4")


def test_siblings_differ_in_the_prop_alone(tmp_path: Path) -> None:
    folder = generate(tmp_path, 3, seed=3, siblings=3, num_workers=1, progress=False)
    rows = read_labels(folder)
    assert len({row.pop("prop") for row in rows}) == 3
    assert [row.pop("index") for row in rows] == ["0", "1", "2"]
    paths = [Path(row.pop("path")) for row in rows]
    assert [path.stem for path in paths] == [f"siblings_3_3_{n:06d}" for n in range(3)]
    assert rows[0] == rows[1] == rows[2]
    clips = []
    for path in paths[:2]:
        with VideoReader(folder / path) as reader:
            clips.append(reader.get_frames([0, 20]).astype(int))
    outside = ~(load_masks(folder / paths[0])["prop"] | load_masks(folder / paths[1])["prop"])
    differs = np.abs(clips[0] - clips[1]).max(axis=-1)
    assert differs.max() > 60
    assert differs[outside[[0, 20]]].mean() < 2  # what the coding changes
    with pytest.raises(ValueError, match="of version 1, seed 3, siblings 3, requested are those"):
        generate(tmp_path, 3, seed=3, num_workers=1, progress=False)
    with pytest.raises(ValueError, match="siblings is between 1 and 12, got 13"):
        generate(tmp_path / "many", 3, siblings=13, num_workers=1, progress=False)
