"""A disk that is full while a command works: one sentence, status 2, and nothing half written."""

import errno
import os
from pathlib import Path

import pytest

from analysis.__main__ import main as analysis_main
from rspnet.__main__ import main as rspnet_main

TINY = [
    "--num_workers=0", "--device=cpu", "--batch_size=2", "--max_steps=1", "--data.size=16",
    "--data.num_frames=8", "--model.options={width: 2, stem_kernel: [1, 3, 3]}",
    "--loss.queue_length=7",
]  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, video_folder: Path) -> Path:
    """A folder that holds a run and a gallery."""
    folder = tmp_path_factory.mktemp("made")
    run, gallery = folder / "run", folder / "gallery"
    assert rspnet_main(["train", *TINY, f"--data.root={video_folder}", f"--out={run}"]) == 0
    words = [f"--model={run / 'model.safetensors'}", "--num_clips=1", f"--out={gallery}"]
    assert rspnet_main(["extract", *words, f"--data.root={video_folder}"]) == 0
    return folder


@pytest.mark.parametrize(
    "line",
    [
        "rspnet train {tiny} --data.root={videos} --out={out}",
        "rspnet extract --model={model} --num_clips=1 --data.root={videos} --out={out}",
        "rspnet retrieve --gallery={gallery} --queries={gallery} --k=1 --out={out}.json",
        "rspnet evaluate --model={model} --videos={videos} --num_triplets=1 --out={out}.json",
        "rspnet convert {model} {out}.safetensors",
        "rspnet manifest {videos} --out={out}.parquet --num_workers=1",
        "rspnet transcode {videos} {out} --num_workers=1",
        "rspnet synthetic --out={out} --num_videos=1 --num_workers=1",
        "rspnet synthetic --contact_sheet={out}.png --num_videos=1",
        "analysis curves {run} --out={out}.png",
        "analysis structure --gallery={gallery} --k=1 --out={out}.json",
        "analysis projection --gallery={gallery} --out={out}.png",
        "analysis strips --model={model} --out={out}.png",
    ],
)
def test_it_is_said(line, made, video_folder, tmp_path, monkeypatch, capsys):
    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    out = tmp_path / "out"
    places = {"run": made / "run", "gallery": made / "gallery", "videos": video_folder, "out": out}
    places["model"] = made / "run" / "model.safetensors"
    package, *words = line.replace(" {tiny}", "").format(**places).split()
    words += TINY * ("{tiny}" in line)
    main = rspnet_main if package == "rspnet" else analysis_main
    capsys.readouterr()
    monkeypatch.setattr(os, "fsync", full)
    assert main(words) == 2
    said = capsys.readouterr().err
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, said
    assert errors[0].startswith(f"error: the disk is full: {out}")
    assert "Traceback" not in said
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]
