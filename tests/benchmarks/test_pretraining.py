"""A plan of two tiny trainings from the first to the table."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import pretraining
from rspnet.data.video.encode import write_video
from rspnet.weights.checkpoint import load_model

PLAN = """
base:
  data.num_frames: 4
  data.size: 16
  data.cache_short_side: 16
  data.cache_folder: {cache}
  model.options: {{width: 4}}
  batch_size: 2
  max_steps: 2
  log_every_steps: 1
runs:
  - name: first
    purpose: RSP alone
    set: {{loss.avid_weight: 0}}
  - name: second
    purpose: both
    after: first
"""


@pytest.fixture
def words(tmp_path: Path, video_folder: Path) -> list[str]:
    plan = tmp_path / "two.yaml"
    plan.write_text(PLAN.format(cache=tmp_path / "cache"))
    rows = ["clip,class,source,hmdb_split1"]
    rows += [f"class{n % 2}/v{n}.mp4,class{n % 2},film{n},{1 + n // 3}" for n in range(4)]
    (tmp_path / "splits.csv").write_text("\n".join(rows) + "\n")
    return [
        str(plan), "--jhmdb", str(video_folder), "--jhmdb_splits", str(tmp_path / "splits.csv"),
        "--out", str(tmp_path / "runs"), "--threads", "1", "--num_held_out", "2",
    ]  # fmt: skip


def test_a_dry_run_says_what_would_be_seen(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pretraining.main([*words, "--dry_run"]) == 0
    text = capsys.readouterr().out
    assert "| second | both | real | first | 4 x 16 | 4 |" in text
    assert "| all |  |  |  |  | 8 |" in text
    assert not (tmp_path / "runs" / "two" / "first").exists()


def test_runs_follow_one_another_and_are_done_once(
    words: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert pretraining.main(words) == 0
    table = capsys.readouterr().out
    folder = tmp_path / "runs" / "two"
    assert (folder / "table.md").read_text() == table
    assert [line.split(" | ")[0] for line in table.splitlines()[2:]] == ["| first", "| second"]
    # No test video is seen, and training videos are.
    listed = [Path(line).name for line in (folder / "real.txt").read_text().splitlines()]
    assert sorted(listed) == ["v0.mp4", "v1.mp4", "v2.mp4"]
    row = json.loads((folder / "second" / "result.json").read_text())
    assert row["samples"] == 4
    assert 0 <= row["max top-1"] <= row["max top-5"] <= 100
    with (folder / "second" / "metrics.csv").open(newline="") as file:
        solved = {int(line["step"]): float(line["rsp_accuracy"]) for line in csv.DictReader(file)}
    assert row.get("found_after") == next((2 * s for s, r in solved.items() if r >= 0.9), None)
    # Of two generated videos and two of three real ones each, four triplets at either speed.
    for name in ("generated", "jhmdb"):
        assert row[f"{name} order"] in [100 * n / 16 for n in range(17)]
        assert row[f"{name} avid"] in (0.0, 50.0, 100.0)

    monkeypatch.setattr(pretraining, "train", lambda config: pytest.fail("trained again"))
    assert pretraining.main(words) == 0
    assert capsys.readouterr().out == table


def test_another_seed_and_what_needs_no_learning(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = [*words, "--only", "first", "--references"]
    assert pretraining.main(more) == 0
    lines = capsys.readouterr().out.splitlines()
    dashes = " | ".join("-" * 9)
    assert lines[3].startswith(f"| random weights, 4 x 16 | {dashes} | ")
    assert {line.count(" | ") for line in lines[:4]} == {13}
    assert [line.split(" | ")[0] for line in lines[-3:]] == ["| colour", "| flow", "| hog"]
    assert pretraining.main([*more, "--seed", "1"]) == 0
    own, other = (
        load_model(tmp_path / "runs" / folder / "first" / "model.safetensors")
        for folder in ("two", "two_seed1")
    )
    assert not torch.equal(own.head("rsp").weight, other.head("rsp").weight)


@pytest.fixture
def ucf101(tmp_path: Path, video_folder: Path) -> Path:
    """Three training clips of two groups and a test clip, with their lists."""
    lists, folder = tmp_path / "splits" / "ucf101", tmp_path / "ucf101"
    lists.mkdir(parents=True)
    (folder / "Surfing").mkdir(parents=True)
    clips = [f"v_Surfing_{name}" for name in ("g08_c01", "g08_c02", "g09_c01", "g01_c01")]
    for name, source in zip(clips, sorted(video_folder.rglob("*.mp4")), strict=True):
        shutil.copy(source, folder / "Surfing" / f"{name}.mp4")
    (lists / "classInd.txt").write_text("1 Surfing\n")
    rows = [f"Surfing/{name}.avi 1\n" for name in clips[:3]]
    (lists / "trainlist01.txt").write_text("".join(rows))
    (lists / "testlist01.txt").write_text(f"Surfing/{clips[3]}.avi\n")
    return folder


def test_a_second_validation_comes_to_runs_that_are_done(
    words: list[str],
    ucf101: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    more = [*words, "--only", "first", "--references"]
    assert pretraining.main(more) == 0
    before = capsys.readouterr().out
    result = tmp_path / "runs" / "two" / "first" / "result.json"
    old = json.loads(result.read_text())
    monkeypatch.setattr(pretraining, "train", lambda config: pytest.fail("trained again"))
    assert pretraining.main([*more, "--ucf101", str(ucf101)]) == 0
    text = capsys.readouterr().out
    new = json.loads(result.read_text())
    assert new == new | old
    # All are of one class, so whoever has a neighbour in another group is right.
    assert new["ucf101 max top-1"] == 100
    assert {key.split()[0] for key in new.keys() - old.keys()} == {"ucf101"}
    assert text.startswith(before[: before.index("| histogram")])
    table = text.split("\n\n")[1].splitlines()
    assert table[0].startswith("| ucf101, without its own group | RSP order | backbone, max, top-1")
    assert [line.split(" | ")[0] for line in table[2:]] == ["| first", "| random weights, 4 x 16"]
    histograms = text.split("\n\n")[2].splitlines()
    assert histograms[0] == "| histogram, Hellinger | jhmdb, top-1/5/20 | ucf101, top-1/5/20 |"
    assert histograms[2].endswith("| 100.0 / 100.0 / 100.0 |")


def test_real_videos_are_folders_and_lists_without_test_clips(
    words: list[str], ucf101: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = tmp_path / "train.txt"
    own = sorted(ucf101.rglob("*g0[89]*.mp4"))
    listed.write_text("".join(f"{path}\n" for path in own))
    more = [*words, "--ucf101", str(ucf101), "--dry_run", "--real", str(listed)]
    assert pretraining.main(more) == 0
    seen = (tmp_path / "runs" / "two" / "real.txt").read_text().splitlines()
    assert [path for path in seen if "Surfing" in path] == [str(path.resolve()) for path in own]
    assert len(seen) == 3 + 3
    brief = tmp_path / "brief"
    write_video(brief / "v.mp4", np.zeros((39, 24, 32, 3), np.uint8), 25, preset="fast")
    assert pretraining.main([*more, str(brief), "--min_frames", "40"]) == 0
    assert (tmp_path / "runs" / "two" / "real.txt").read_text().splitlines() == seen
    capsys.readouterr()
    assert pretraining.main([*more, "--min_frames", "41"]) == 2
    assert "no real video has 41 frames" in capsys.readouterr().err
    assert pretraining.main([*more, str(ucf101)]) == 2
    assert "1 videos of --real are test clips, such as" in capsys.readouterr().err
    assert pretraining.main([*words, "--real", words[2]]) == 2  # JHMDB's
    assert "test clips" in capsys.readouterr().err
    listed.write_text("nowhere.mp4\n")
    assert pretraining.main(more) == 2
    assert "1 videos of --real are not there, such as" in capsys.readouterr().err
    assert pretraining.main([*words, "--real", str(tmp_path / "nowhere")]) == 2
    assert "expected a folder, a video, or a .txt list" in capsys.readouterr().err
    assert not (tmp_path / "runs" / "two" / "first").exists()


def test_a_mistake_is_one_sentence(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert pretraining.main([*words, "--only", "third"]) == 2
    assert "no run is named 'third'" in capsys.readouterr().err
