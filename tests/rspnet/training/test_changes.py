"""A run is resumed with its own settings and videos, or with changes that are named."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from rspnet import finetune, train
from rspnet.data.video.encode import write_video
from rspnet.training.changes import check_changes, describe_videos
from rspnet.training.config import RunConfig, TrainConfig
from rspnet.training.run_folder import load_checkpoint
from rspnet.weights.checkpoint import load_model, save_model
from tests.factories import tiny_branch

TINY = [
    "--batch_size=2", "--num_workers=0", "--log_every_steps=1", "--device=cpu",
    "--checkpoint_every_minutes=0",
]  # fmt: skip
TINY_MODEL = [
    "--data.size=16", "--data.num_frames=8", "--loss.queue_length=7",
    "--model.options={width: 2, stem_kernel: [1, 3, 3]}",
]  # fmt: skip


def words(out: Path, videos: Path, *more: str) -> list[str]:
    return [*TINY, *TINY_MODEL, f"--out={out}", f"--data.root={videos}", *more]


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def videos(tmp_path: Path, video_folder: Path) -> Path:
    return Path(shutil.copytree(video_folder, tmp_path / "videos"))


@pytest.fixture
def run(tmp_path: Path, videos: Path) -> Path:
    """A finished run of two steps."""
    out = tmp_path / "run"
    assert train.main(words(out, videos, "--max_steps=2")) == 0
    return out


@pytest.fixture
def other_videos(tmp_path: Path, videos: Path) -> Path:
    """Videos of the same names and lengths that show something else."""
    folder = tmp_path / "other"
    frames = np.random.default_rng(0).integers(0, 256, (40, 24, 32, 3), np.uint8)
    for path in videos.rglob("*.mp4"):
        write_video(folder / path.relative_to(videos), frames, 25, preset="ultrafast")
    return folder


def test_a_run_with_other_settings_or_videos_is_refused(
    run, videos, other_videos, tmp_path, monkeypatch, capsys
):
    before = contents(run)
    for steps in ("--max_steps=2", "--max_steps=3"):  # nothing to do, something to do
        more = ("--optim.lr=0.5", "--data.size=24", steps)
        assert train.main(words(run, other_videos, *more)) == 2
        said = capsys.readouterr().err
        assert f"data.root {videos} -> {other_videos}" in said
        assert "data.size 16 -> 24" in said
        assert "optim.lr 0.001 -> 0.5" in said
        assert said.endswith("--accept_changes data.root data.size optim.lr\n")
        assert train.main(words(run, other_videos, steps)) == 2
        said = capsys.readouterr().err
        assert said.endswith("--accept_changes data.root\n")
    (videos / "class0" / "new.mp4").symlink_to(next(other_videos.rglob("*.mp4")))
    assert train.main(words(run, videos, "--max_steps=3")) == 2
    said = capsys.readouterr().err
    assert "videos 4 (" in said
    assert " -> 5 (" in said
    assert contents(run) == before
    # A long scan is not waited for.
    monkeypatch.setattr(train, "find_videos", lambda config: pytest.fail("scanned"))
    assert train.main(words(run, other_videos, "--optim.lr=0.5")) == 2


def test_what_changes_nothing_needs_no_word(run, videos, tmp_path, capsys):
    before = contents(run)
    moved = shutil.move(videos, tmp_path / "moved")
    more = ("--num_workers=1", "--log_every_steps=3", "--checkpoint_every_steps=5", "--threads=1")
    assert train.main(words(run, moved, "--max_steps=2", *more)) == 0
    assert "there is nothing to train" in capsys.readouterr().out
    # The result tells of what happened, and nothing did.
    assert contents(run) == before
    assert train.main(words(run, moved, "--max_steps=3", *more)) == 0
    model = load_model(run / "model.safetensors")
    assert (model.metadata["steps"], model.metadata["config"]["num_workers"]) == (3, 1)
    assert model.metadata["changes"] == [{"step": 2, "max_steps": [2, 3]}]
    assert train.main(words(run, moved, "--max_steps=1")) == 2
    assert "is of step 3, but the run is to end after 1" in capsys.readouterr().err


def test_an_accepted_change_is_kept_with_the_result(run, other_videos, videos, capsys):
    more = ("--optim.lr=0.5", "--accept_changes", "optim.lr", "data.root")
    assert train.main(words(run, other_videos, "--max_steps=2", *more)) == 2
    assert (
        "is of the run's last step: other settings of data.root, optim.lr would change nothing"
        in (capsys.readouterr().err)
    )
    assert train.main(words(run, other_videos, "--max_steps=3", *more)) == 0
    metadata = load_model(run / "model.safetensors").metadata
    changes = {"max_steps": [2, 3], "optim.lr": [0.001, 0.5]}
    changes["data.root"] = [str(videos), str(other_videos)]
    assert metadata["changes"] == [{"step": 2, **changes}]
    settings = yaml.safe_load((run / "config.yaml").read_text())
    assert settings == metadata["config"]
    assert (settings["optim"]["lr"], settings["accept_changes"]) == (0.5, [])
    # From now on these are the run's settings, and what it went through stays known.
    assert train.main(words(run, other_videos, "--optim.lr=0.5", "--max_steps=4")) == 0
    metadata = load_model(run / "model.safetensors").metadata
    assert [change["step"] for change in metadata["changes"]] == [2, 3]


def test_a_checkpoint_of_before_tells_no_videos(run, videos, other_videos, capsys):
    path = run / "checkpoints" / "step_00000002.pt"
    state = load_checkpoint(path)
    for name in ("videos", "changes"):
        del state[name]
    del state["config"]["accept_changes"]
    torch.save(state, path)
    assert train.main(words(run, other_videos, "--max_steps=3")) == 2
    assert "--accept_changes data.root\n" in capsys.readouterr().err
    assert train.main(words(run, videos, "--max_steps=3")) == 0


def test_names_that_are_accepted_are_settings():
    with pytest.raises(ValueError, match=r"'optim.lrr'. Did you mean 'optim.lr'\?"):
        check_changes(TrainConfig(accept_changes=["optim.lrr"]), "run", {})
    config = RunConfig(accept_changes=["videos"])
    assert check_changes(config, "run", {}, "1 (a)", "2 (b)") == {"videos": ["1 (a)", "2 (b)"]}


def test_videos_are_described_by_names_sizes_and_labels(tmp_path):
    paths = [tmp_path / "a" / "x.mp4", tmp_path / "b" / "y\udce9.mp4"]
    for path in paths:
        path.parent.mkdir()
        path.write_bytes(b"123")
    rows = [(path, "label") for path in paths]
    described = describe_videos(rows)
    assert described.startswith("2 (")
    assert describe_videos(rows[::-1]) != described
    assert describe_videos([(path, "other") for path in paths]) != described
    moved = Path(shutil.copytree(tmp_path, tmp_path / "moved"))
    assert describe_videos((moved / p.relative_to(tmp_path), m) for p, m in rows) == described
    paths[0].write_bytes(b"1234")
    assert describe_videos(rows) != described


def test_results_of_recognition_are_not_replaced_by_those_of_something_else(
    tmp_path, videos, other_videos, capsys
):
    for root in (videos, other_videos):
        for label in ("class0", "class1"):
            for number, path in enumerate(sorted((root / label).iterdir())):
                split = root / ("train", "test")[number] / label
                split.mkdir(parents=True)
                shutil.move(path, split)
            (root / label).rmdir()
    model = save_model(tmp_path / "m.safetensors", *2 * [tiny_branch(0, size=16)])

    def call(root, *more):
        base = [*TINY, f"--out={tmp_path / 'run'}", f"--model={model}", "--data.name=folder"]
        return finetune.main([*base, f"--data.root={root}", "--data.num_clips=1", *more])

    for kind in (["--knn", "--neighbours=1"], ["--epochs=1"]):
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        assert call(videos, *kind) == 0
        before = contents(tmp_path / "run")
        capsys.readouterr()
        for more in ("--optim.lr=0.5", "--data.size=24", "--dropout=0.1"):
            assert call(videos, *kind, more) == 2
            assert f"{more.split('=')[0].removeprefix('--')} " in capsys.readouterr().err
        assert call(other_videos, *kind) == 2
        assert f"data.root {videos} -> {other_videos}" in capsys.readouterr().err
        assert contents(tmp_path / "run") == before
        assert call(videos, *kind) == 0
        assert contents(tmp_path / "run") == before
    # Other test clips are another result of the same training.
    assert call(videos, "--epochs=1", "--data.num_clips=2") == 2
    more = ("--data.num_clips=2", "--accept_changes=data.num_clips")
    assert call(videos, "--epochs=1", *more) == 0
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["protocol"]["test_clips"] == 2
    assert (tmp_path / "run" / "config.yaml").read_bytes() == before[tmp_path / "run/config.yaml"]
