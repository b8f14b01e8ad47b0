"""Galleries of data sets: the protocol, going on after a kill, several processes, bad files."""

import csv
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from pyarrow import parquet

from rspnet import extract as module
from rspnet.data.manifest import write_manifest as write_table
from rspnet.data.video.encode import write_video
from rspnet.extract import main
from rspnet.files import file_hash, folder_lock
from rspnet.models import Branch
from rspnet.retrieval import openvino
from rspnet.retrieval.gallery import Gallery, embed_video, protocol_for
from rspnet.retrieval.store import Protocol, part_path, read_manifest, write_manifest
from rspnet.retrieval.vectors import PooledVectors, Views, load_views
from rspnet.retrieve import main as retrieve_main
from rspnet.weights.checkpoint import load_model, save_model

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    branch = Branch("resnet18_fine", {"width": 2}, num_frames=8, size=16)
    return save_model(tmp_path_factory.mktemp("model") / "m.safetensors", branch, branch)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine videos of 5 (shorter than a clip) to 13 frames in three classes."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for number in range(9):
        frames = rng.integers(0, 256, (5 + number, 16, 24, 3), np.uint8)
        path = folder / "train" / f"class{number % 3}" / f"v{number}.mp4"
        write_video(path, frames, 25, preset="ultrafast")
    return folder


def words(model: Path, videos: Path, out: Path, *more: str) -> list[str]:
    return [f"--model={model}", "--data.name=folder", f"--data.root={videos}", f"--out={out}",
            "--num_clips=3", "--shard_size=2", "--num_workers=0", "--device=cpu",
            *more]  # fmt: skip


def contents(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def gallery(model: Path, videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("gallery") / "g"
    assert main(words(model, videos, out)) == 0
    return out


def test_no_video_is_left_out_and_each_has_its_vectors(
    gallery: Path, model: Path, videos: Path
) -> None:
    found = Gallery.load(gallery)
    assert found.paths == tuple(sorted(videos.rglob("*.mp4")))
    assert found.labels == tuple(path.parent.name for path in found.paths)
    assert found.splits == ("train",) * 9
    branch = load_model(model)
    for i, path in enumerate(found.paths):
        expected = embed_video(branch, path, protocol_for(branch, num_clips=3))
        for name, vector in expected.items():
            np.testing.assert_array_equal(found.vectors[name][i], vector)
    # v0 has 5 frames, a clip takes 8; v8 has 13.
    starts = dict(zip([path.stem for path in found.paths], found.clip_starts, strict=True))
    assert starts["v0"] == (0, 0, 0)
    assert starts["v8"] == (0, 2, 5)


def test_the_folder_says_what_it_is_and_other_tools_read_it(gallery: Path, model: Path) -> None:
    manifest = json.loads((gallery / "manifest.json").read_text())
    assert manifest["protocol"] == {
        "num_clips": 3, "num_frames": 8, "size": 16, "pooling": "max", "fps": None, "speed": 1,
        "view": "centre", "short": "loop",
    }  # fmt: skip
    assert manifest["model_hash"] == file_hash(model)
    assert manifest["dataset"]["name"] == "folder"
    assert manifest["classes"] == ["class0", "class1", "class2"]
    assert (manifest["num_videos"], manifest["num_unreadable"]) == (9, 0)
    assert manifest["complete"] is True
    assert len(list(gallery.glob("part-*.parquet"))) == 5
    table = parquet.read_table(str(part_path(gallery, 1)))
    assert table.num_rows == 2
    assert str(table.schema.field("clip_starts").type) == "list<element: int32>"
    assert str(table.schema.field("rsp").type) == "fixed_size_list<element: float>[128]"
    norms = np.linalg.norm(np.array(table["backbone"].to_pylist()), axis=1)
    np.testing.assert_allclose(norms, 1, atol=1e-6)


@pytest.mark.parametrize(
    "more", [["--batch_size=1"], ["--batch_size=7"], ["--batch_size=32", "--num_workers=2"]]
)
def test_batches_and_workers_change_no_byte(
    more: list[str], gallery: Path, model: Path, videos: Path, tmp_path: Path
) -> None:
    assert main(words(model, videos, tmp_path / "g", *more)) == 0
    assert contents(tmp_path / "g") == contents(gallery)


def test_what_is_missing_is_made_again_and_the_rest_is_kept(
    gallery: Path, model: Path, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "g"
    assert main(words(model, videos, out)) == 0
    times = {p.name: p.stat().st_mtime_ns for p in out.glob("part-*.parquet")}
    part_path(out, 3).unlink()
    part_path(out, 4).write_bytes(part_path(out, 4).read_bytes()[:500])
    write_manifest(out, module.replace(read_manifest(out), complete=False, num_unreadable=None))
    (out / ".part-00003.parquet.abc.parquet").write_text("half")
    assert main(words(model, videos, out)) == 0
    assert "Made anew: " in capsys.readouterr().out
    assert contents(out) == contents(gallery)
    for number in range(3):
        path = part_path(out, number)
        assert path.stat().st_mtime_ns == times[path.name]


def test_damaged_and_swapped_parts_are_made_anew(
    gallery: Path, model: Path, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "g"
    shutil.copytree(gallery, out)
    whole = part_path(out, 1).read_bytes()
    changed = bytearray(whole)
    changed[len(whole) // 2] ^= 1
    part_path(out, 1).write_bytes(changed)
    shutil.copy(part_path(out, 0), part_path(out, 3))
    kept = part_path(out, 2).stat().st_mtime_ns
    assert main(words(model, videos, out)) == 0
    said = capsys.readouterr().out
    assert "Made anew: " in said
    assert f"{part_path(out, 1)} is no part of a gallery: it is damaged" in said
    assert f"{part_path(out, 3)} is no part of a gallery: it is another part" in said
    assert contents(out) == contents(gallery)
    assert part_path(out, 2).stat().st_mtime_ns == kept


def test_an_older_gallery_is_resumed_and_its_swapped_parts_are_made_anew(
    gallery: Path, model: Path, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "g"
    shutil.copytree(gallery, out)
    values = json.loads((out / "manifest.json").read_text())
    del values["sealed"]
    (out / "manifest.json").write_text(json.dumps(values))
    for number in range(5):
        table = parquet.read_table(str(part_path(out, number)))
        note = json.dumps({"version": 2, "unreadable": []})
        table = table.replace_schema_metadata({"rspnet-gallery": note})
        parquet.write_table(table, str(part_path(out, number)))
    before = contents(out)
    assert main(words(model, videos, out)) == 0
    assert {n: b for n, b in contents(out).items() if n != "manifest.json"} == {
        n: b for n, b in before.items() if n != "manifest.json"
    }
    shutil.copy(part_path(out, 0), part_path(out, 3))
    capsys.readouterr()
    assert main(words(model, videos, out)) == 0
    assert "part-00003.parquet is no part of a gallery: it tells of" in capsys.readouterr().out
    for name, vectors in Gallery.load(gallery).vectors.items():
        assert np.array_equal(Gallery.load(out).vectors[name], vectors)


def test_two_writers_of_one_gallery_are_refused(
    model: Path, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with folder_lock(tmp_path / "g"):
        assert main(words(model, videos, tmp_path / "g")) == 2
    said = capsys.readouterr().err
    assert f"{tmp_path / 'g'} is being written by process {os.getpid()} on" in said
    assert main(words(model, videos, tmp_path / "g")) == 0
    assert not (tmp_path / "g" / ".lock").exists()


def start(arguments: list[str], num_processes: int = 1) -> subprocess.Popen[bytes]:
    command = ["-m", "rspnet.extract", *arguments]
    if num_processes > 1:
        launcher = ["torch.distributed.run", "--standalone", f"--nproc-per-node={num_processes}"]
        command = ["-m", *launcher, *command]
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # A shell lets what it starts in the background ignore Ctrl-C, and so would this.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


@pytest.mark.parametrize(("number", "status"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_a_stopped_extraction_goes_on_to_the_same_bytes(
    number: signal.Signals, status: int, model: Path, videos: Path, tmp_path: Path
) -> None:
    # Many clips, so that there is time to stop it.
    arguments = words(model, videos, tmp_path / "g", "--num_clips=150", "--num_workers=1")
    process = start(arguments)
    deadline = time.monotonic() + 120
    while not part_path(tmp_path / "g", 1).exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(number)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == status, output.decode()
    if number == signal.SIGINT:
        assert b"the same command resumes" in output
        assert b"Traceback" not in output
    kept = part_path(tmp_path / "g", 0).stat().st_mtime_ns
    assert not part_path(tmp_path / "g", 4).exists()
    with pytest.raises(ValueError, match="is not complete"):
        Gallery.load(tmp_path / "g")
    assert main(arguments) == 0
    assert part_path(tmp_path / "g", 0).stat().st_mtime_ns == kept
    assert main(words(model, videos, tmp_path / "whole", "--num_clips=150")) == 0
    assert contents(tmp_path / "g") == contents(tmp_path / "whole")


def test_two_processes_write_the_same_bytes(
    gallery: Path, model: Path, videos: Path, tmp_path: Path
) -> None:
    process = start(words(model, videos, tmp_path / "g"), num_processes=2)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output.decode()
    assert output.decode().count("Gallery: ") == 1
    assert contents(tmp_path / "g") == contents(gallery)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--num_clips=4"], "num_clips 3 and 4"),
        (["--pooling=avg"], "pooling 'max' and 'avg'"),
        (["--fps=25"], "fps None and 25.0"),
        (["--shard_size=3"], "shard_size 2 and 3"),
        (["--random_weights=true"], "model_hash"),
    ],
)
def test_going_on_with_something_else_is_refused(
    more: list[str], message: str, gallery: Path, model: Path, videos: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    before = contents(gallery)
    assert main(words(model, videos, gallery, *more)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Choose another --out" in error
    assert contents(gallery) == before


def test_a_list_of_videos_that_changed_is_refused(
    model: Path, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "data"
    for path in sorted(videos.rglob("*.mp4"))[:4]:
        target = copy / path.relative_to(videos)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(path)
    assert main(words(model, copy, tmp_path / "g")) == 0
    target.rename(target.with_name("other.mp4"))
    assert main(words(model, copy, tmp_path / "g")) == 2
    assert "videos_hash" in capsys.readouterr().err
    target.with_name("other.mp4").rename(target)
    assert main(words(model, copy, copy)) == 2
    assert "is no gallery: choose another --out" in capsys.readouterr().err


def test_unreadable_videos_are_listed_and_too_many_are_an_error(
    model: Path, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, out = tmp_path / "list.csv", tmp_path / "g"
    (tmp_path / "bad.mp4").write_text("no video")
    (tmp_path / "worse.mp4").write_text("nor this")
    good = sorted(videos.rglob("*.mp4"))
    for path in good:
        (tmp_path / path.name).symlink_to(path)
    names = [p.name for p in good]
    names.insert(3, "bad.mp4")
    rows = [(name, "c", "train") for name in (*names, "gone.mp4", "worse.mp4")]
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "split"), *rows])
    arguments = [f"--model={model}", "--data.name=csv", f"--data.annotations={table}",
                 f"--out={out}", "--num_clips=1", "--shard_size=2", "--num_workers=0",
                 "--device=cpu"]  # fmt: skip
    assert main([*arguments, "--max_unreadable=0.1"]) == 2
    error = capsys.readouterr().err
    assert "2 of 11 videos can't be read, more than the 10%" in error
    assert "bad.mp4" in error
    assert read_manifest(out).complete is False
    assert main([*arguments, "--max_unreadable=0.2"]) == 0
    assert "9 videos, 2 unreadable (unreadable.csv), 1 listed but not" in capsys.readouterr().out
    manifest = read_manifest(out)
    assert (manifest.num_videos, manifest.num_unreadable) == (11, 2)
    assert manifest.missing == ("gone.mp4",)
    found = Gallery.load(out)
    assert [path.name for path in found.paths] == [p.name for p in good]
    with (out / "unreadable.csv").open(newline="") as file:
        listed = list(csv.reader(file))
    assert listed[0] == ["path", "reason"]
    assert [Path(path).name for path, _ in listed[1:]] == ["bad.mp4", "worse.mp4"]
    assert all(reason for _, reason in listed[1:])


def test_random_weights_follow_the_seed(model: Path, videos: Path, tmp_path: Path) -> None:
    hashes = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        arguments = words(model, videos, tmp_path / name, f"--seed={seed}", "--random_weights=true")
        assert main([*arguments, "--num_clips=1"]) == 0
        hashes.append(read_manifest(tmp_path / name).model_hash)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert hashes[0] == hashes[1] != hashes[2]
    assert file_hash(model) not in hashes
    assert "random weights of seed 1" in read_manifest(tmp_path / "a").model


def test_what_the_manifest_found_bad_is_listed_with_its_reason_and_not_opened(
    model: Path, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "data"
    shutil.copytree(videos, root)
    bad = root / "train" / "class0" / "bad.mp4"
    bad.write_text("no video")
    ((name, reason),) = write_table(root, progress=False).invalid
    assert root / name == bad
    opened: list[Path] = []

    def load(path: Path, protocol: Protocol) -> Views:
        opened.append(path)
        return load_views(path, protocol)

    monkeypatch.setattr(module, "load_views", load)
    assert main(words(model, root, tmp_path / "a", "--max_unreadable=0.2")) == 0
    assert bad not in opened
    assert len(opened) == 9
    with (tmp_path / "a" / "unreadable.csv").open(newline="") as file:
        ((path, why),) = [tuple(row.values()) for row in csv.DictReader(file)]
    assert (path, why) == (str(bad), reason)
    # Mended since: the table no longer speaks of this file.
    shutil.copy(root / "train" / "class0" / "v0.mp4", bad)
    assert main(words(model, root, tmp_path / "b")) == 0
    assert bad in Gallery.load(tmp_path / "b").paths


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--batch_size=0"], "batch_size is at least 1"),
        (["--max_unreadable=2"], "max_unreadable is between 0 and 1"),
        (["--num_workers=-1"], "num_workers is not negative"),
        (["--fps=-5"], "positive"),
        (["--pool=max"], "Did you mean 'pooling'"),
        (["--model=nothing"], "no model 'nothing'"),
        (["--data.root=nowhere"], "no folder nowhere"),
    ],
)
def test_wrong_settings_are_refused_by_name(
    more: list[str], message: str, model: Path, videos: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert main(words(model, videos, tmp_path / "g", *more)) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "g").exists()


def test_names_that_are_not_utf8_are_used_or_listed(
    model: Path, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, clip = tmp_path / os.fsdecode(b"d\xe9ta"), next(videos.rglob("*.mp4"))
    names = [os.fsdecode(name) for name in (b"caf\xe9/a\xff.mp4", b"caf\xe9/b.mp4", b"=x/\xe9.mp4")]
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(clip, root / name)
    (root / names[1]).write_text("no video")
    for before in (False, True):  # the second time what the table found is not opened again
        out = tmp_path / os.fsdecode(b"gall\xe9ry %d" % before)
        assert main(words(model, root, out, "--max_unreadable=0.5")) == 0
        found = Gallery.load(out)
        assert [str(path.relative_to(root)) for path in found.paths] == [names[2], names[0]]
        assert all(path.is_file() for path in found.paths)
        assert found.labels == ("=x", r"caf\xe9")
        assert [path for path, _ in found.skipped] == [root / names[1]]
        listed = (out / "unreadable.csv").read_text("utf-8")
        assert r"caf\xe9/b.mp4" in listed
        assert Gallery.load(found.save(tmp_path / f"again {before}")).paths == found.paths
        assert main(words(model, root, out, "--max_unreadable=0.5")) == 0  # nothing is left to do
        write_table(root, num_workers=1, progress=False)
    assert retrieve_main([f"--gallery={out}", f"--queries={out}", "--k=1"]) == 0
    assert "1 unreadable" in capsys.readouterr().out


def test_openvino_gives_the_vectors_of_pytorch_whatever_the_batch(
    model: Path, videos: Path, gallery: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("openvino", reason="the optional package openvino is not installed")
    assert main(words(model, videos, tmp_path / "a", "--backend=openvino", "--batch_size=2")) == 0
    assert "times as fast as PyTorch" in capsys.readouterr().out
    assert main(words(model, videos, tmp_path / "b", "--backend=openvino", "--batch_size=7")) == 0
    plain, own, other = map(Gallery.load, (gallery, tmp_path / "a", tmp_path / "b"))
    for name, vectors in plain.vectors.items():
        assert np.abs((vectors * own.vectors[name]).sum(axis=1) - 1).max() < 1e-5
        np.testing.assert_array_equal(own.vectors[name], other.vectors[name])
    # What one backend began another does not go on with.
    assert main(words(model, videos, tmp_path / "a")) == 2
    assert "backend 'openvino' and 'torch'" in capsys.readouterr().err


def test_a_backend_that_is_not_there_or_rounds_is_refused(
    model: Path, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert main(words(model, videos, tmp_path / "a", "--backend=openvino")) == 2
    assert "python -m pip install openvino" in capsys.readouterr().err
    network = PooledVectors(load_model(model), "max")
    clips = torch.zeros(2, 8, 16, 16, 3, dtype=torch.uint8)
    with torch.no_grad():
        exact = [part.clone() for part in network(clips)]
    openvino._check_equal(network, lambda _: exact, clips)
    exact[2][0] = -exact[2][0]
    with pytest.raises(ValueError, match=r"OpenVINO's avid differs from PyTorch's by 2\.0e\+00"):
        openvino._check_equal(network, lambda _: exact, clips)
