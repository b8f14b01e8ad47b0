"""A plan of two tiny trainings from the first to the table."""

import csv
import json
from pathlib import Path

import pytest
import torch

from benchmarks import pretraining
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


def test_a_mistake_is_one_sentence(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert pretraining.main([*words, "--only", "third"]) == 2
    assert "no run is named 'third'" in capsys.readouterr().err
