"""Copies for fast access: all frames, small, many key frames; going on; what is refused."""

import csv
import json
import os
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from rspnet.data import transcode as module
from rspnet.data.transcode import TranscodeResult, main, transcode
from rspnet.data.video import encode
from rspnet.data.video.encode import write_video
from rspnet.data.video.reader import VideoReader


def frames(num: int, height: int, width: int) -> np.ndarray:
    """Smooth pictures whose blue channel tells the number of the frame."""
    y, x = np.mgrid[:height, :width]
    clip = np.empty((num, height, width, 3), np.uint8)
    clip[..., 0], clip[..., 1] = x * 200 // width, y * 200 // height
    clip[..., 2] = (np.arange(num) * 9)[:, None, None]
    return clip


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    write_video(folder / "a" / "wide.avi", frames(21, 96, 130), 30000 / 1001, preset="fast")
    write_video(folder / "b" / "c" / "small #1 [x].mkv", frames(5, 24, 40), 12.5, preset="fast")
    (folder / "b" / "bad.mp4").write_bytes(b"no video")
    (folder / "b" / "._hidden.mp4").write_bytes(b"left by a copy")
    (folder / "notes.txt").write_text("not a video")
    return folder


def run(source: Path, out: Path, **options: int) -> TranscodeResult:
    return transcode(source, out, **{"short_side": 32, "num_workers": 1, **options}, progress=False)


def test_frames_sizes_and_key_frames(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(source, out) == TranscodeResult(written=2, skipped=0, failed=1)
    files = sorted(str(p.relative_to(out)) for p in out.rglob("*") if p.is_file())
    wide, small = "a/wide.mp4", "b/c/small #1 [x].mp4"
    assert files == [wide, small, "transcode.json", "unreadable.csv"]
    with VideoReader(out / wide) as copy, VideoReader(source / "a" / "wide.avi") as original:
        # 130 * 32 / 96 is 43.3; 44 is the nearest even number.
        assert (len(copy), copy.height, copy.width) == (21, 32, 44)
        assert copy.fps == pytest.approx(original.fps)
        blue = copy.get_frames(range(21))[..., 2].mean((1, 2))
        np.testing.assert_allclose(blue, np.arange(21) * 9, atol=6)
    with VideoReader(out / small) as copy:
        assert (len(copy), copy.height, copy.width, copy.fps) == (5, 24, 40, 12.5)
    with av.open(str(out / wide)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
        assert container.streams.video[0].codec_context.name == "h264"
    assert [p.is_keyframe for p in packets] == [t % 8 == 0 for t in range(21)]
    assert all(p.pts == p.dts for p in packets)  # no B-frames: shown in the order of decoding
    with (out / "unreadable.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["path"] == str(source / "b" / "bad.mp4")
    assert "not a video" in row["reason"]


def test_chunks_give_the_same_as_the_whole(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What goes into the encoder is compared: on small pictures x264 itself is not the same to the
    # bit in every run.
    write, given = module.write_video, {}

    def keep(path: Path, pictures: Iterable[np.ndarray], *args: object, **options: object) -> None:
        given[path] = list(pictures)
        write(path, given[path], *args, **options)

    monkeypatch.setattr(module, "write_video", keep)
    run(source, tmp_path / "whole")
    monkeypatch.setattr(encode, "_CHUNK_BYTES", 4 * 96 * 130 * 3)
    run(source, tmp_path / "chunks")
    whole, chunks = (given[tmp_path / way / "a" / "wide.mp4"] for way in ("whole", "chunks"))
    assert len(whole) == 21
    np.testing.assert_array_equal(chunks, whole)


def test_goes_on_where_it_stopped(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(source, out)
    done = {p: p.stat().st_mtime_ns for p in out.rglob("*.mp4")}
    write_video(source / "b" / "bad.mp4", frames(3, 20, 20), 25, preset="fast")
    assert run(source, out) == TranscodeResult(written=1, skipped=2, failed=0)
    assert {p: p.stat().st_mtime_ns for p in done} == done
    assert not (out / "unreadable.csv").exists()
    # A source that changed is read again.
    later = max(done.values()) + 10**9
    os.utime(source / "a" / "wide.avi", ns=(later, later))
    assert run(source, out) == TranscodeResult(written=1, skipped=2, failed=0)


def test_processes_give_the_same_videos(source: Path, tmp_path: Path) -> None:
    assert run(source, tmp_path / "two", num_workers=2).written == 2
    run(source, tmp_path / "one")
    for path in (tmp_path / "one").rglob("*.mp4"):
        copy = tmp_path / "two" / path.relative_to(tmp_path / "one")
        with VideoReader(copy) as two, VideoReader(path) as one:
            a, b = (r.get_frames(range(len(r))).astype(int) for r in (two, one))
        np.testing.assert_allclose(a, b, atol=6)  # not bit by bit: see above


def test_a_stop_keeps_what_is_whole(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    out, write, seen = tmp_path / "out", module.write_video, []

    def interrupted(path: Path, *args: object, **kwargs: object) -> None:
        seen.append(path)
        if len(seen) == 2:
            raise KeyboardInterrupt
        write(path, *args, **kwargs)

    monkeypatch.setattr(module, "write_video", interrupted)
    arguments = [str(source), str(out), "--short_side", "32", "--num_workers", "1"]
    assert main(arguments) == 130
    assert "resumes" in capsys.readouterr().err
    monkeypatch.undo()
    assert main(arguments) == 0
    assert "1 written, 1 there already, 1 unreadable" in capsys.readouterr().out


def test_a_full_disk_is_not_the_videos_fault(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise av.FFmpegError(28, "No space left on device")

    monkeypatch.setattr(module, "write_video", full)
    assert main([str(source), str(tmp_path / "out"), "--num_workers", "1"]) == 2
    assert "error: the disk is full" in capsys.readouterr().err


def test_nothing_readable_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "bad.mp4").write_bytes(b"no video")
    assert main([str(tmp_path / "in"), str(tmp_path / "out")]) == 1
    assert "0 written, 0 there already, 1 unreadable" in capsys.readouterr().out


def test_mistakes(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / "out"
    for wrong, message in (
        ({"short_side": 31}, "even number of pixels, got 31"),
        ({"gop": 0}, "gop and num_workers are positive"),
        ({"num_workers": 0}, "gop and num_workers are positive"),
        ({"crf": 52}, "crf is between 0 and 51"),
    ):
        with pytest.raises(ValueError, match=message):
            run(source, out, **wrong)
    for folder in (source, source / "out", tmp_path):
        with pytest.raises(ValueError, match="lies in the other"):
            run(source, folder)
    with pytest.raises(ValueError, match="no folder"):
        run(tmp_path / "none", out)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no videos below"):
        run(tmp_path / "empty", out)
    with pytest.raises(ValueError, match="is a file"):
        run(source, Path(__file__))
    assert not out.exists()

    (source / "a" / "wide.mp4").write_bytes(b"")
    assert main([str(source), str(out)]) == 2
    assert "would both become" in capsys.readouterr().err


def test_another_folders_videos_are_left_alone(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "a").mkdir(parents=True)
    (out / "a" / "wide.mp4").write_bytes(b"somebody's")
    with pytest.raises(ValueError, match=r"is there, but no .*transcode\.json"):
        run(source, out)
    (out / "a" / "wide.mp4").unlink()
    run(source, out)
    with pytest.raises(ValueError, match=r"made with \{'crf': 18\}, requested is \{'crf': 30\}"):
        run(source, out, crf=30)
    source.rename(tmp_path / "moved")
    with pytest.raises(ValueError, match="if the folder was moved"):
        run(tmp_path / "moved", out)
    card = json.loads((out / "transcode.json").read_text())
    assert (card["short_side"], card["gop"], card["crf"]) == (32, 8, 18)
    (out / "transcode.json").write_text("{")
    with pytest.raises(ValueError, match="can't be read"):
        run(tmp_path / "moved", out)


def test_one_bad_name_ends_nothing(source: Path, tmp_path: Path) -> None:
    clip = source / "b" / "c" / "small #1 [x].mkv"
    names = [
        f"{'m' * 240}.mp4",  # the name of a temporary file is no longer
        f"{'m' * 251}.mp4",
        f"{'m' * 252}.ts",  # a copy's name would have 256 bytes
        os.fsdecode(b"caf\xe9.mkv"),
        "z.mkv",
    ]
    for name in names:
        (source / name).write_bytes(clip.read_bytes())
    (source / "nowhere.mp4").symlink_to("gone.mp4")
    out = tmp_path / "out"
    # Beside the two videos and the bad one of the folder.
    assert run(source, out) == TranscodeResult(written=6, skipped=0, failed=3)
    for name in (*names[:2], os.fsdecode(b"caf\xe9.mp4"), "z.mp4"):
        assert (out / name).is_file()
    with (out / "unreadable.csv").open(newline="", encoding="utf-8") as file:
        rows = {Path(row["path"]).name: row["reason"] for row in csv.DictReader(file)}
    assert set(rows) == {"bad.mp4", names[2], "nowhere.mp4"}
    assert "name too long" in rows[names[2]]
    assert not list(out.rglob(".*"))  # nothing half-written
    assert run(source, out) == TranscodeResult(written=0, skipped=6, failed=3)


def test_folders_that_are_not_utf8_or_have_a_colon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = os.fsdecode(b"set:1 \xe9")
    write_video("v.mp4", frames(5, 24, 40), 12.5, preset="fast")
    Path(folder, "a:b").mkdir(parents=True)
    Path("v.mp4").rename(Path(folder, "a:b", "c:d.mp4"))
    Path(folder, "bad.mp4").write_bytes(b"no video")
    words = ["--short_side", "32", "--num_workers", "1"]
    assert main([folder, f"{folder}:out", *words]) == 0
    assert r"set:1 \xe9:out: 1 written" in capsys.readouterr().out
    with VideoReader(Path(f"{folder}:out", "a:b", "c:d.mp4")) as copy:
        assert len(copy) == 5
    assert r"set:1 \xe9/bad.mp4" in Path(f"{folder}:out", "unreadable.csv").read_text("utf-8")
    assert main([folder, f"{folder}:out", *words]) == 0
    assert "1 there already" in capsys.readouterr().out


def test_rates_are_kept_as_fractions_and_shapes_as_shown(tmp_path: Path) -> None:
    rates = {"hourly": Fraction(1, 3600), "slow": Fraction(7, 60), "ntsc": Fraction(30000, 1001)}
    for name, rate in rates.items():
        path = tmp_path / "in" / f"{name}.mkv"
        path.parent.mkdir(exist_ok=True)
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=rate)
            stream.width, stream.height, stream.pix_fmt = 40, 24, "yuv420p"
            stream.codec_context.sample_aspect_ratio = Fraction(2)
            for picture in frames(9, 24, 40):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode(None))
    run(tmp_path / "in", tmp_path / "out")
    for name, rate in rates.items():
        with VideoReader(tmp_path / "out" / f"{name}.mp4") as copy:
            assert (len(copy), copy.rate) == (9, rate)
            assert (copy.height, copy.width, copy.sample_aspect_ratio) == (24, 80, 1)
