"""Training and extraction from tar shards, and from a local object store that speaks S3."""

import csv
import shutil
from pathlib import Path

import fsspec
import numpy as np
import pytest

from rspnet.data.manifest import main as write_manifest
from rspnet.data.manifest import write_manifest as make_manifest
from rspnet.extract import main as extract
from rspnet.retrieval.gallery import Gallery
from rspnet.train import main as train
from rspnet.weights.checkpoint import save_model
from tests.factories import assert_resumes_exactly, tiny_branch

TINY = [
    "--batch_size=3", "--num_workers=0", "--log_every_steps=1", "--device=cpu",
    "--data.size=16", "--data.num_frames=4", "--loss.queue_length=7",
    "--model.options={width: 2, stem_kernel: [1, 3, 3]}",
]  # fmt: skip
NAMES = ("step", "loss", "rsp_loss", "avid_loss", "rsp_spread", "avid_spread")


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    """The address of an empty bucket, and a client of its store."""
    server = pytest.importorskip("moto.server", reason="needs moto: pip install 'moto[s3]' flask")
    s3fs = pytest.importorskip("s3fs", reason="needs s3fs: pip install s3fs")
    pytest.importorskip("flask_cors", reason="needs flask-cors: pip install flask-cors")
    running = server.ThreadedMotoServer(port=0)
    running.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", "http://{}:{}".format(*running.get_host_and_port()))
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        store = s3fs.S3FileSystem(use_listings_cache=False)
        store.mkdir("bucket")
        yield "s3://bucket", store
    running.stop()


def losses(root: object, out: Path, *more: str) -> list[list[str]]:
    assert train([*TINY, f"--data.root={root}", f"--out={out}", "--max_steps=2", *more]) == 0
    return logged(out)


def logged(out: Path) -> list[list[str]]:
    with (out / "metrics.csv").open() as file:
        return [[row[name] for name in NAMES] for row in csv.DictReader(file)]


def vectors(root: object, out: Path, model: Path) -> dict[str, np.ndarray]:
    words = [f"--model={model}", f"--data.root={root}", f"--out={out}", "--num_clips=2"]
    assert extract([*words, "--num_workers=0", "--device=cpu"]) == 0
    gallery = Gallery.load(out)
    assert gallery.labels == ("class0", "class0", "class1", "class1")
    return gallery.vectors


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


@pytest.fixture
def model(tmp_path) -> Path:
    branch = tiny_branch(0)
    return save_model(tmp_path / "m.safetensors", branch, branch)


def test_tar_shards_train_and_extract_as_the_folder_of_their_files(shards, videos, tmp_path, model):
    make_manifest(shards, num_workers=0, progress=False)
    expected = losses(videos, tmp_path / "a")
    assert losses(shards, tmp_path / "b") == losses(shards, tmp_path / "c") == expected
    assert_same(vectors(shards, tmp_path / "g", model), vectors(videos, tmp_path / "h", model))
    # The run of the folder goes on with the shards: the videos are the same.
    assert losses(shards, tmp_path / "a", "--max_steps=3")[:2] == expected


def test_a_training_from_shards_resumes_exactly(shards, tmp_path):
    make_manifest(shards, num_workers=0, progress=False)
    assert_resumes_exactly([*TINY, f"--data.root={shards}"], tmp_path)


def test_an_outage_stops_a_run_and_the_same_command_resumes(
    videos, tmp_path, model, cache, monkeypatch, capsys
):
    store = fsspec.filesystem("memory")
    store.put(str(videos), "/run", recursive=True)
    make_manifest("memory://run", num_workers=0, progress=False)
    expected = losses(videos, tmp_path / "a")
    here = vectors(videos, tmp_path / "h", model)
    cat_file = type(store).cat_file

    def fails_after(number: int):
        shutil.rmtree(cache / "fetched")
        read: list[str] = []

        def fails(self, path, **where):
            read.append(path)
            if len(read) > number:
                raise ConnectionError("no route to host")
            return cat_file(self, path, **where)

        monkeypatch.setattr(type(store), "cat_file", fails)

    words = ["--data.root=memory://run", f"--out={tmp_path / 'b'}"]
    fails_after(2)
    assert train([*TINY, *words, "--max_steps=2"]) == 2
    assert "no route to host" in capsys.readouterr().err
    monkeypatch.setattr(type(store), "cat_file", cat_file)
    assert losses("memory://run", tmp_path / "b") == expected
    words = ["--data.root=memory://run", f"--out={tmp_path / 'g'}", f"--model={model}"]
    fails_after(2)
    assert extract([*words, "--num_clips=2", "--num_workers=0", "--device=cpu"]) == 2
    assert "no route to host" in capsys.readouterr().err
    monkeypatch.setattr(type(store), "cat_file", cat_file)
    assert_same(vectors("memory://run", tmp_path / "g", model), here)


def test_an_object_store_trains_and_extracts_as_the_folder(
    s3, shards, videos, tmp_path, model, cache
):
    address, store = s3
    store.put(str(videos), "bucket/videos", recursive=True)
    store.put(str(shards), "bucket/shards", recursive=True)
    for root in ("videos", "shards/*.tar"):
        assert write_manifest([f"{address}/{root}", "--num_workers=0"]) == 0
    shutil.rmtree(cache / "fetched")
    expected = losses(videos, tmp_path / "a", "--max_steps=4")
    packed = f"{address}/shards/*.tar"
    assert losses(packed, tmp_path / "b", "--max_steps=4", "--num_workers=1") == expected
    assert_same(vectors(packed, tmp_path / "g", model), vectors(videos, tmp_path / "h", model))
    assert_resumes_exactly([*TINY, f"--data.root={address}/videos"], tmp_path / "run")
    assert logged(tmp_path / "run" / "whole") == expected


def test_what_an_object_store_refuses_is_a_sentence(s3, videos, tmp_path, monkeypatch, capsys):
    address, store = s3
    for bad, sentence in (("no", "there is no"), ("videos/*.tar", "no videos in")):
        assert write_manifest([f"{address}/{bad}"]) == 2
        assert f"error: {sentence} {address}/{bad}" in capsys.readouterr().err
    store.put(str(videos), "bucket/changed", recursive=True)
    root = f"{address}/changed"
    assert write_manifest([root, "--num_workers=0"]) == 0
    monkeypatch.setenv("RSPNET_FETCHED", str(tmp_path / "fetched"))
    store.pipe("bucket/changed/class0/v0.mp4", b"another video")
    words = [*TINY, f"--data.root={root}", f"--out={tmp_path / 'run'}", "--max_steps=2"]
    assert train(words) == 2
    assert "was changed since its manifest was written" in capsys.readouterr().err
    store.clear_instance_cache()  # it has read the environment
    monkeypatch.setattr(type(store), "retries", 1)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert write_manifest([root]) == 2
    assert f"error: {root} can't be read (" in capsys.readouterr().err
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    store.clear_instance_cache()
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert write_manifest([root]) == 2
    assert f"error: no access to {root} (" in capsys.readouterr().err
