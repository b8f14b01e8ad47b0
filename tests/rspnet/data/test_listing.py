"""Which files are videos, for all commands alike; what lists and roots name."""

import os
import shutil
from pathlib import Path

import av
import numpy as np
import pytest

from rspnet.data.datasets.labelled import DatasetConfig, load_video_set
from rspnet.data.listing import VideoWalk, expand_roots, list_videos
from rspnet.data.manifest import read_manifest, write_manifest
from rspnet.data.pretrain import DataConfig, training_videos
from rspnet.data.transcode import transcode
from rspnet.data.video.reader import VideoReader

# Containers and raw streams by suffix, as FFmpeg's muxer and encoder write them.
FORMATS = {
    ".ts": ("mpegts", "libx264"), ".MTS": ("mpegts", "libx264"), ".m2ts": ("mpegts", "libx264"),
    ".3gp": ("3gp", "libx264"), ".3g2": ("3g2", "libx264"), ".gif": ("gif", "gif"),
    ".vob": ("vob", "mpeg2video"), ".h264": ("h264", "libx264"), ".264": ("h264", "libx264"),
    ".hevc": ("hevc", "libx265"), ".asf": ("asf", "wmv2"), ".mxf": ("mxf", "mpeg2video"),
    ".m2v": ("mpeg2video", "mpeg2video"), ".mjpeg": ("mjpeg", "mjpeg"), ".ivf": ("ivf", "libvpx"),
    ".y4m": ("yuv4mpegpipe", "rawvideo"), ".Mp4": ("mp4", "libx264"),
}  # fmt: skip
PIXELS = {"gif": "rgb8", "mjpeg": "yuvj420p"}


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def found(root: Path, **options: object) -> list[str]:
    return [p.relative_to(root).as_posix() for p in VideoWalk(root, **options).videos()]


def write(path: Path, muxer: str, codec: str) -> None:
    with av.open(str(path), "w", format=muxer) as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, PIXELS.get(codec, "yuv420p")
        for number in range(9):  # FFmpeg knows a transport stream by many packets
            picture = np.random.default_rng(number).integers(0, 255, (48, 64, 3), np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame = frame.reformat(format=stream.pix_fmt)
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def test_what_the_reader_reads_is_listed(tmp_path: Path) -> None:
    for number, (suffix, (muxer, codec)) in enumerate(FORMATS.items()):
        path = tmp_path / f"{number:02d}{suffix}"
        write(path, muxer, codec)
        with VideoReader(path) as reader:
            assert len(reader) == 9, suffix
    assert len(list_videos(tmp_path)) == len(FORMATS)


@pytest.fixture
def linked(tmp_path: Path, video_folder: Path) -> Path:
    """A class folder, two that are links, a link that goes in a circle, and what does not count."""
    one = next(video_folder.rglob("*.mp4"))
    for name in ("real/a", "real/b", "root/c", "root/@eaDir/c", "root/__MACOSX", "root/.hidden"):
        (tmp_path / name).mkdir(parents=True)
        shutil.copy(one, tmp_path / name / "v.mp4")
    root = tmp_path / "root"
    for link, target in (("a", "../real/a"), ("b", "../real/b"), ("c/loop", ".."), ("d", "c")):
        (root / link).symlink_to(target)
    return root


def test_all_commands_see_the_same_videos(linked: Path, tmp_path: Path) -> None:
    expected = ["a/v.mp4", "b/v.mp4", "c/v.mp4"]
    assert found(linked) == expected
    assert [p.relative_to(linked).as_posix() for p in expand_roots([linked])] == expected
    trained = training_videos(DataConfig(root=str(linked)))
    assert [p.relative_to(linked).as_posix() for p in trained] == expected
    labelled = load_video_set(DatasetConfig(name="folder", root=str(linked)))
    assert [v.path.relative_to(linked).as_posix() for v in labelled.videos] == expected
    assert write_manifest(linked, num_workers=1, progress=False).num_valid == 3
    assert [row["path"] for row in read_manifest(linked / "manifest.parquet")] == expected
    out = tmp_path / "out"
    assert transcode(linked, out, num_workers=1, progress=False).written == 3
    assert found(out) == expected
    walk = VideoWalk(linked)
    walk.videos()
    said = "passed over: 2 links to a folder that is listed already (c/loop, d)"
    assert walk.sentence() == said
    # The dashboard does not enter what leads out of its folder.
    assert found(linked, inside=True) == ["c/v.mp4"]
    walk = VideoWalk(linked, inside=True)
    walk.videos()
    assert walk.links_out == ["a", "b"]


def test_hidden_files_and_those_of_file_servers_are_no_classes(linked: Path) -> None:
    videos = load_video_set(DatasetConfig(name="folder", root=str(linked)))
    assert videos.classes == ("a", "b", "c", "d")


def test_what_is_passed_over_is_said_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    touch(tmp_path, "a/1.mp4", "a/1.srt", "a/2.wav", "b/3.WAV", "b/4.jpg", "c/5.mp4", "labels.csv")
    expand_roots([tmp_path])
    said = "passed over: 3 files of another kind (.wav, .jpg), 1 folder without a video (b)\n"
    assert capsys.readouterr().err == f"{tmp_path}: {said}"
    load_video_set(DatasetConfig(name="folder", root=str(tmp_path)))
    assert capsys.readouterr().err == f"{tmp_path}: {said}"
    shutil.rmtree(tmp_path / "a")
    (tmp_path / "c" / "5.mp4").unlink()
    with pytest.raises(ValueError, match=r"no videos below .*2 files of another kind \(.wav, .jpg"):
        list_videos(tmp_path)


def test_a_folder_that_cannot_be_listed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "a/1.mp4", "closed/2.mp4")
    scan = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    walk = VideoWalk(tmp_path)
    assert len(walk.videos()) == 1
    assert f"1 folder that can't be listed ({tmp_path / 'closed'}: Permission" in walk.sentence()


def test_a_link_that_leads_nowhere_is_not_forgotten(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4")
    (tmp_path / "b.mp4").symlink_to("gone.mp4")
    assert found(tmp_path) == ["a.mp4", "b.mp4"]
    result = write_manifest(tmp_path, num_workers=1, progress=False)
    assert [name for name, _ in result.invalid] == ["a.mp4", "b.mp4"]


@pytest.mark.parametrize(
    ("names", "split", "classes"),
    [
        # A folder "test" of videos is a class; one of class folders is a split.
        (("run/1.mp4", "test/2.mp4"), "train", ("run", "test")),
        (("run/1.mp4", "train/2.mp4", "test/3.mp4"), "test", ("run", "test", "train")),
        (("train/run/1.mp4", "test/run/2.mp4"), "test", ("run",)),
        (("train/run/1.mp4", "train/0.mp4"), "train", ("run",)),
        (("Train/run/1.mp4", "TEST/run/2.mp4"), "test", ("run",)),
    ],
)
def test_a_class_may_be_called_test(
    tmp_path: Path, names: tuple[str, ...], split: str, classes: tuple[str, ...]
) -> None:
    root = str(touch(tmp_path, *names))
    assert load_video_set(DatasetConfig(root=root, split=split)).classes == classes


def test_folders_beside_the_splits_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    touch(tmp_path, "train/run/1.mp4", "train/0.mp4", "more/2.mp4", "training/run/3.mp4")
    assert len(load_video_set(DatasetConfig(root=str(tmp_path))).videos) == 1
    assert capsys.readouterr().err == (
        f"{tmp_path}: videos that lie in no class folder: 1; folders beside those of the splits: "
        "more; more folders of the same split: training\n"
    )


def test_a_class_that_two_splits_spell_differently_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    touch(tmp_path, "train/HandStandPushups/1.mp4", "test/Handstand_Pushups/2.mp4")
    with pytest.raises(ValueError, match=r"train/HandStandPushups and .*test/Handstand_Pushups"):
        load_video_set(DatasetConfig(root=str(tmp_path)))
    # Two in one split may be meant.
    flat = touch(tmp_path / "flat", "a b/1.mp4", "A_b/2.mp4")
    assert load_video_set(DatasetConfig(root=str(flat))).classes == ("A_b", "a b")
    assert "differ in case, spaces or punctuation only: A_b and a b" in capsys.readouterr().err


def test_a_list_may_have_labels_spaces_and_any_encoding(tmp_path: Path) -> None:
    names = ["a.mp4", "b c.mp4", "d 2/e, f.mp4", "é.mp4", "g 1.mp4"]
    touch(tmp_path, *names, "h.MTS")
    latin = touch(tmp_path, os.fsdecode(b"i\xe9.mp4")) / os.fsdecode(b"i\xe9.mp4")
    plain = [
        "a.mp4",
        "b c.mp4 3",
        "d 2/e, f.mp4\t7",
        "é.mp4,0",
        "g 1.mp4",
        "h.MTS 120 4",
        "a.mp4 5",
    ]
    expected = [tmp_path / name for name in (*names, "h.MTS")]
    for encoding in ("utf-8-sig", "utf-16", "utf-8", "latin-1"):
        path = tmp_path / f"{encoding}.TXT"
        path.write_bytes("\r\n".join([*plain, "", "a.mp4 5", "iéx.mp4 1"]).encode(encoding))
        # What is not there is kept, to be named as unreadable.
        assert expand_roots([path]) == [*expected, tmp_path / "iéx.mp4"]
    (tmp_path / "raw.txt").write_bytes(b"i\xe9.mp4 3\n")  # as `ls` writes it
    assert expand_roots([tmp_path / "raw.txt"]) == [latin]
    (tmp_path / "empty.txt").write_text("\n\n")
    with pytest.raises(ValueError, match=r"empty.txt is empty: expected the path of a video"):
        expand_roots([tmp_path / "raw.txt", tmp_path / "empty.txt"])
