"""``python -m rspnet.doctor`` says what is well and what to mend, by the exit status too."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from rspnet import doctor, save_model
from rspnet.data.video.encode import write_video
from rspnet.retrieval.gallery import Gallery
from rspnet.retrieval.store import FEATURES, Protocol
from rspnet.training.run_folder import Checkpoints
from tests.factories import tiny_branch


def rows(capsys: pytest.CaptureFixture[str], *paths: object) -> tuple[int, dict[str, str]]:
    """The exit status, and the lines of the paths that were given: name to mark and text."""
    status = doctor.main([str(path) for path in paths])
    lines = capsys.readouterr().out.split("machine and folders:\n")[1].splitlines()
    marked = [line.split(maxsplit=2) for line in lines if line.startswith(("  ok  ", "  MEND"))]
    return status, {name: f"{mark} {text}" for mark, name, text in marked}


@pytest.fixture
def gallery(tmp_path: Path) -> Path:
    vectors = np.eye(3, 8, dtype=np.float32)
    made = Gallery(
        paths=tuple(Path(f"{n}.mp4") for n in range(3)),
        labels=("a", "a", "b"),
        vectors=dict.fromkeys(FEATURES, vectors),
        model_hash="0" * 64,
        protocol=Protocol(),
    )
    return made.save(tmp_path / "gallery")


def test_an_installation_that_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.main([]) == 0
    said = capsys.readouterr().out
    assert said.endswith("all is well\n")
    assert "MEND" not in said
    for container in doctor.PROBES:
        assert f"  ok    {container:24}  PyAV reads it" in said
    assert f"  ok    {'torch':24}  {torch.__version__.split('+')[0]}" in said


def test_files_that_are_well(gallery, video_folder, tmp_path, capsys):
    branch = tiny_branch(0)
    run = tmp_path / "run"
    model = save_model(run / "model.safetensors", branch, branch)
    (run / "config.yaml").write_text("seed: 0\n")
    state = Checkpoints(run / "checkpoints", 2).save(7, {"step": 7})
    video = video_folder / "class0" / "v0.mp4"
    status, found = rows(capsys, video, model, gallery, run, video_folder, "default")
    assert status == 0
    assert found[str(video)] == "ok 40 frames of 24 x 32 pixels, 25 fps, all decoded"
    assert found[str(video_folder / "class1" / "v3.mp4")] == found[str(video)]
    assert found[str(model)].startswith("ok resnet18_fine, ")
    assert found[str(gallery)] == "ok gallery of 3 videos, 0 skipped, model 000000000000"
    assert found[str(state)] == "ok state after 7 steps"
    assert found["default"].startswith("ok resnet18_fine, ")


def test_files_to_mend(gallery, tmp_path, capsys):
    video, model, run = tmp_path / "v.mp4", tmp_path / "m.safetensors", tmp_path / "run"
    write_video(video, np.zeros((20, 16, 16, 3), np.uint8), 25)
    video.write_bytes(video.read_bytes()[:-40])
    branch = tiny_branch(0)
    save_model(model, branch, branch)
    model.write_bytes(model.read_bytes()[:-4])
    (gallery / "part-00000.parquet").unlink()
    state = Checkpoints(run / "checkpoints", 2).save(7, {"step": 7})
    (run / "config.yaml").touch()
    state.write_bytes(b"PK" + state.read_bytes()[:100])
    nothing = tmp_path / "nothing"
    status, found = rows(capsys, video, model, gallery, run, nothing)
    assert status == 1
    for path in (video, model, gallery, state, nothing):
        assert found[str(path)].startswith("MEND "), path
    assert "cut off" in found[str(video)]
    assert "is a damaged gallery" in found[str(gallery)]
    assert found[str(state)].endswith("the run resumes from the checkpoint before it")
    assert "there is no " in found[str(nothing)]


def test_an_old_dependency_and_a_folder_that_cannot_be_written(capsys, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("RSPNET_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr(doctor.metadata, "version", lambda name: "0.0.1")
    monkeypatch.setattr(doctor, "check_decoders", lambda: iter(()))
    assert doctor.main([]) == 1
    said = capsys.readouterr().out
    assert "0.0.1, but >=2.0 is needed: pip install 'numpy>=2.0'" in said
    assert "is a file, but a folder is expected there: set RSPNET_CACHE" in said
    assert "to mend: see the lines marked MEND" in said


def test_names_that_are_not_utf8_can_be_printed(tmp_path, capsys):
    path = tmp_path / os.fsdecode(b"caf\xe9.mp4")
    write_video(path, np.zeros((4, 16, 16, 3), np.uint8), 25)
    found = list(doctor.check_path(path))
    assert [row.well for row in found] == [True]
    assert found[0].name.endswith(r"caf\xe9.mp4")
