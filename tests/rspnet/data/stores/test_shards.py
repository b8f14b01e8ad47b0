"""Lists of what is in tar shards and stores."""

import io
import os
import tarfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import fsspec
import pytest

from rspnet.commands import parse_config
from rspnet.data import manifest
from rspnet.data.datasets.labelled import DatasetConfig, load_video_set
from rspnet.data.manifest import main, read_manifest, write_manifest
from rspnet.data.stores.fetch import local_file
from rspnet.data.stores.pointers import address_of, pointer_folder, root_path
from rspnet.data.stores.shards import list_store, write_pointers
from rspnet.train import find_videos
from rspnet.training.config import TrainConfig


def pack(path: Path, **members: bytes) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


def test_a_pointer_names_the_bytes_of_its_video(shards, videos):
    pointers, others = list_store(f"{shards}/*.tar")
    assert others == {".json": 4}
    expected = {p.relative_to(videos).as_posix(): p.read_bytes() for p in videos.rglob("*.mp4")}
    assert pointers.keys() == expected.keys()
    for name, pointer in pointers.items():
        data = Path(pointer.address.removeprefix("file://")).read_bytes()
        assert len(data) == pointer.object_size
        assert data[pointer.offset : pointer.offset + pointer.size] == expected[name]


def test_one_folder_pattern_and_file_name_the_same_shards(shards, tmp_path, monkeypatch):
    whole = f"{shards}/*.tar"
    assert address_of(shards) == address_of(f"{shards}/*.tar") == whole
    assert address_of(shards / "shard-0.tar") == f"{shards}/shard-0.tar"
    monkeypatch.chdir(tmp_path)
    assert address_of("shards") == address_of("shards/*.tar") == whole
    assert address_of("s3://bucket/videos/") == "s3://bucket/videos"


def test_a_folder_of_videos_stays_one_where_a_tar_lies_beside_them(videos, tmp_path):
    pack(videos / "original.tar")
    assert address_of(videos) is None
    assert root_path(videos) == videos
    assert address_of(tmp_path / "model.pth") is None


def test_labels_of_webdataset_name_the_folders(tmp_path):
    path = pack(
        tmp_path / "a.tar", **{"0.mp4": b"x", "0.cls": b"7\n", "1.mp4": b"y", "w/2.mp4": b""}
    )
    assert sorted(list_store(str(path))[0]) == ["1.mp4", "7/0.mp4", "w/2.mp4"]


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"../../up.mp4": b"x"}, "leads out of its folder"),
        ({"/etc/up.mp4": b"x"}, "leads out of its folder"),
        ({"notes.txt": b"x"}, "no videos in .*: it holds 1 .txt"),
        ({}, "it holds nothing"),
    ],
)
def test_what_can_not_be_listed_is_refused(tmp_path, members, sentence):
    with pytest.raises(ValueError, match=sentence):
        list_store(str(pack(tmp_path / "a.tar", **members)))


def test_two_videos_of_one_name_are_refused(tmp_path):
    pack(tmp_path / "a.tar", **{"v.mp4": b"x"})
    pack(tmp_path / "b.tar", **{"v.mp4": b"y"})
    with pytest.raises(ValueError, match=r"a\.tar and .*b\.tar both hold 'v\.mp4'"):
        list_store(f"{tmp_path}/*.tar")


@pytest.mark.parametrize("kept", [300, 1000, 2048, -1024, 0])
def test_a_tar_that_is_cut_off_is_refused(tmp_path, kept, capsys):
    """In a member's header or bytes, at a member's end, and before the end mark."""
    path = pack(tmp_path / "a.tar", **{"v.mp4": b"x" * 1000, "w.mp4": b"y" * 1000})
    size = 2 * (512 + 1024)  # without the end mark
    os.truncate(path, kept if kept >= 0 else size)
    assert main([str(path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: file://")
    assert "cut off" in error


def test_what_is_no_tar_is_refused(tmp_path, capsys):
    (tmp_path / "a.tar").write_text("no tar" * 1000)
    (tmp_path / "b.tar.gz").touch()
    for name, sentence in (("a.tar", "no tar"), ("b.tar.gz", "compressed"), ("c.tar", "no /")):
        assert main([str(tmp_path / name)]) == 2
        assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("file:///nowhere", "there is no file:///nowhere"),
        ("foo://bucket", "foo://bucket: Protocol not known: foo"),
        ("file:///nowhere/*.tar", "no videos in file:///nowhere/"),
    ],
)
def test_an_address_that_is_not_there_is_a_sentence(address, sentence, capsys):
    assert main([address]) == 2
    assert f"error: {sentence}" in capsys.readouterr().err


def test_a_data_set_finds_its_listed_videos_in_shards(shards, tmp_path):
    write_manifest(shards, num_workers=0, progress=False)
    table = tmp_path / "labels.csv"
    table.write_text("path,label,split\nclass1/v3.avi,jump,train\nclass0/v0.mp4,walk,train\n")
    config = DatasetConfig(name="csv", root=str(shards), annotations=str(table))
    found = load_video_set(config)
    assert [(video.path, video.label) for video in found.videos] == [
        (root_path(shards) / "class1" / "v3.mp4", "jump"),
        (root_path(shards) / "class0" / "v0.mp4", "walk"),
    ]


def test_a_folder_by_http(videos, shards):
    pytest.importorskip("aiohttp", reason="needs aiohttp: pip install aiohttp")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=videos.parent)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        folder, _ = write_pointers(f"{address}/videos/")
        for path in videos.rglob("*.mp4"):
            copy = local_file(folder / path.relative_to(videos))
            assert copy.read_bytes() == path.read_bytes()
        folder, _ = write_pointers(f"{address}/shards/shard-0.tar")
        with pytest.raises(ValueError, match=r"shard-0\.tar gives .*its server reads no ranges"):
            local_file(next(folder.rglob("*.mp4")))  # as this one does not
        server.shutdown()


def test_a_missing_package_is_named(monkeypatch, capsys):
    def refuse(*_, **__):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", refuse)
    assert main(["s3://bucket/videos"]) == 2
    assert "Install s3fs to access S3): for s3:// it is s3fs, in `pip" in capsys.readouterr().err


def test_the_table_of_a_store_is_that_of_its_files(shards, videos):
    (videos / "class0" / "bad.mp4").write_text("no video")
    pack(shards / "bad.tar", **{"class0/bad.mp4": b"no video"})
    result, expected = (write_manifest(r, num_workers=0, progress=False) for r in (shards, videos))
    assert result.path.parent == root_path(shards) == pointer_folder(f"{shards}/*.tar")
    assert (result.num_valid, [n for n, _ in result.invalid]) == (4, ["class0/bad.mp4"])
    mine = ("path", "num_frames", "fps", "height", "width", "decoders")
    rows = [[[row[n] for n in mine] for row in read_manifest(r.path)] for r in (result, expected)]
    assert rows[0] == rows[1]
    with pytest.raises(ValueError, match="lies in the cache folder"):
        write_manifest(shards, "elsewhere.parquet")


def test_written_again_it_follows_the_store_and_reads_only_what_is_new(shards, monkeypatch):
    write_manifest(shards, num_workers=0, progress=False)
    looked = []
    look = manifest.describe_video
    monkeypatch.setattr(manifest, "describe_video", lambda path: looked.append(path) or look(path))
    assert write_manifest(shards, num_workers=0, progress=False).num_unchanged == 4
    (shards / "shard-1.tar").rename(shards / "away")
    result = write_manifest(shards, num_workers=0, progress=False)
    assert (result.num_unchanged, result.num_valid, looked) == (2, 2, [])
    (shards / "away").rename(shards / "shard-1.tar")
    os.utime(shards / "shard-1.tar")
    result = write_manifest(shards, num_workers=0, progress=False)
    assert (result.num_unchanged, result.num_valid, len(looked)) == (2, 4, 2)


def test_the_start_of_a_training_fetches_nothing(shards, monkeypatch):
    config = parse_config(TrainConfig, [f"--data.root={shards}", "--data.num_frames=4"])
    with pytest.raises(
        ValueError, match=r"has no manifest yet.*python -m rspnet\.data\.manifest /"
    ):
        find_videos(config)
    write_manifest(shards, num_workers=0, progress=False)
    monkeypatch.setattr("rspnet.data.stores.fetch._fetch", None)
    assert [source.num_frames for source in find_videos(config).usable] == [40] * 4
