"""Files that a visitor sends: what is taken, and what is said of what is not."""

import io
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from threading import Lock

import av
import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from analysis.attribution.retrieval.hit import explain_rank
from dashboard.base.viewer import ASSETS
from dashboard.services import galleries, uploads
from dashboard.services.embeddings import Pool, protocol
from dashboard.services.galleries import Video
from dashboard.services.models import Loaded
from dashboard.services.upload_worker import Limits, copy_small
from dashboard.services.uploads import MOST_FILES, UploadStore, title_of
from dashboard.widgets import cards
from rspnet import VideoReader, load_model
from rspnet.data.video.encode import encode_video
from rspnet.retrieval.gallery import embed_video, embed_videos
from tests.dashboard.apps import open_page, press, settle, texts
from tests.dashboard.conftest import Open, draw
from tests.dashboard.tiny import save_tiny_model, similarities

LIMITS = Limits(least_frames=16)


@pytest.fixture
def store() -> Iterator[UploadStore]:
    store = UploadStore()
    yield store
    store.close()


def grey(num_frames: int, height: int, width: int, fps: float = 25.0) -> bytes:
    frame = np.full((height, width, 3), 90, np.uint8)
    return encode_video((frame for _ in range(num_frames)), fps, preset="ultrafast")


def small(num_frames: int) -> bytes:
    return encode_video(draw(num_frames, 0), 25.0, preset="ultrafast")


def damaged() -> bytes:
    data = bytearray(small(40))
    place = data.index(b"mdat") + 4
    data[place + 2000 :: 5] = bytes(len(data[place + 2000 :: 5]))
    return bytes(data)


def test_a_video_becomes_a_small_copy(store: UploadStore) -> None:
    data = grey(20, 300, 400, 24.0)
    video = store.add("../../etc/my <i>walk.mov", io.BytesIO(data), LIMITS)
    assert video.title == "my i walk (yours)"
    assert video.path.parent == store.folder()
    # What was sent is gone; nobody else of this system enters.
    assert [path.name for path in store.folder().iterdir()] == [video.path.name]
    assert store.folder().stat().st_mode & 0o077 == 0
    with VideoReader(video.path) as reader:
        assert (len(reader), reader.height, reader.width) == (20, 256, 342)
        assert reader.fps == pytest.approx(24.0)
    assert store.find(video.name) == video
    assert uploads.is_upload(video)
    assert not uploads.is_upload(replace(video, name=f"{video.name}.mp4"))
    store.remove(video.name)
    assert not video.path.exists()
    assert store.find(video.name) is None


def in_format(name: str, codec: str, pixels: str, cover: bool = False) -> bytes:
    """Twenty frames in a container or a raw stream, with cover art as its first stream or not."""
    made = io.BytesIO()
    with av.open(made, "w", format=name) as container:
        if cover:
            art = container.add_stream("mjpeg", rate=1)
            art.width, art.height, art.pix_fmt = 32, 32, "yuvj420p"
            art.disposition = av.stream.Disposition.attached_pic
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 96, pixels
        if cover:
            container.mux(art.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8))))
            container.mux(art.encode())
        for image in draw(20, 0):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return cover_first(made.getvalue()) if cover else made.getvalue()


def cover_first(data: bytes) -> bytes:
    """An MP4 whose tags, with the cover art in them, stand before its tracks."""
    begin = data.index(b"moov") + 4
    end = begin - 8 + int.from_bytes(data[begin - 8 : begin - 4], "big")
    boxes, place = [], begin
    while place < end:
        size = int.from_bytes(data[place : place + 4], "big")
        boxes.append(data[place : place + size])
        place += size
    boxes.sort(key=lambda box: box[4:8] != b"udta")
    return data[:begin] + b"".join(boxes) + data[end:]


@pytest.mark.parametrize(
    ("name", "codec", "pixels", "cover"),
    [
        ("gif", "gif", "rgb8", False),
        ("apng", "apng", "rgb24", False),
        ("h264", "libx264", "yuv420p", False),
        ("m4v", "mpeg4", "yuv420p", False),
        ("hevc", "libx265", "yuv420p", False),
        ("mpegts", "libx264", "yuv420p", False),
        ("vob", "mpeg2video", "yuv420p", False),
        ("3gp", "libx264", "yuv420p", False),
        ("mp4", "libx264", "yuv420p", True),
    ],
    ids=["gif", "apng", "h264", "m4v", "h265", "ts", "vob", "3gp", "cover"],
)
def test_what_is_taken(tmp_path: Path, name: str, codec: str, pixels: str, cover: bool) -> None:
    source, target = tmp_path / "sent", tmp_path / "copy.mp4"
    source.write_bytes(in_format(name, codec, pixels, cover))
    assert copy_small(source, target, LIMITS) == 20
    with VideoReader(target) as reader:
        assert (len(reader), reader.height, reader.width) == (20, 96, 128)


def test_a_copy_has_the_shape_that_is_shown(store: UploadStore) -> None:
    made = io.BytesIO()
    with av.open(made, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(2)
        for image in draw(20, 0):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    made.seek(0)
    video = store.add("wide.mp4", made, LIMITS)
    with VideoReader(video.path) as reader:
        assert (reader.height, reader.width, reader.sample_aspect_ratio) == (96, 256, 1)
    path = store.folder() / "coded.mp4"
    path.write_bytes(made.getvalue())
    info = galleries.probe(Video(path, "coded.mp4", "", "coded"))
    assert (info.height, info.width, info.pixel_aspect) == (96, 128, 2.0)
    shown = cards.film(Video(path, "coded.mp4", "", "coded"))
    assert "aspect-ratio: 256 / 96" in shown


def test_uploads_of_one_name_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "convert", lambda source, target, _: source.rename(target))
    store = UploadStore()
    titles = [store.add("walk.mp4", io.BytesIO(b"x"), LIMITS).title for _ in range(3)]
    assert titles == ["walk (yours)", "walk (yours, 2)", "walk (yours, 3)"]
    store.remove(store.videos[1].name)
    assert store.add("a/walk.avi", io.BytesIO(b"x"), LIMITS).title == "walk (yours, 2)"
    store.close()


def test_the_clock_starts_when_the_decoder_is_ready(
    store: UploadStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A busy machine: the interpreter takes longer to start than decoding may take.
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "sitecustomize.py").write_text("import time; time.sleep(4)")
    video = store.add("a.mp4", io.BytesIO(small(20)), replace(LIMITS, seconds=3.0))
    assert video.path.is_file()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: b"This is no video. " * 50, "it is no video, whatever its name says"),
        # A playlist makes FFmpeg read what it names; a picture has one frame.
        (lambda: b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "it is no video"),
        (lambda: b"ffconcat version 1.0\nfile '/etc/passwd'\n", "it is no video"),
        (lambda: (ASSETS / "icon.png").read_bytes(), "is no video"),
        (lambda: small(40)[:2000], "cut off"),
        (lambda: small(40)[:40], "begins as a video does, but is damaged or cut off"),
        (damaged, "it can't be decoded: corrupt: frame 13"),
        (lambda: small(1), "it has 1 frame, and a clip of this model takes 16"),
        (lambda: grey(2, 4320, 7680), r"7680 x 4320 pixels \(33.2 million\), at most 8.3 million"),
        (lambda: grey(21_600, 16, 16, 2.0), r"it has 21,600 frames \(3 h 0 min\), at most 3,000"),
    ],
    ids=["text", "playlist", "list", "picture", "half", "head", "damaged", "one", "8K", "3 hours"],
)
def test_what_is_not_taken(tmp_path: Path, make: Callable[[], bytes], said: str) -> None:
    source, target = tmp_path / "sent", tmp_path / "copy.mp4"
    source.write_bytes(make())
    with pytest.raises(ValueError, match=said):
        copy_small(source, target, LIMITS)
    assert [path.name for path in tmp_path.iterdir()] == ["sent"]


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (replace(LIMITS, seconds=0.02), "it took more than 0.02 s to decode"),
        (replace(LIMITS, memory=40 * 2**20), "memory"),
    ],
    ids=["time", "memory"],
)
def test_a_decoder_that_runs_on_is_ended(store: UploadStore, limits: Limits, said: str) -> None:
    begun = time.monotonic()
    with pytest.raises(ValueError, match=rf'^"big" is not taken: .*{said}'):
        store.add("big.mp4", io.BytesIO(grey(20, 1080, 1920)), limits)
    assert time.monotonic() - begun < 30
    assert list(store.folder().iterdir()) == []
    assert store.videos == []


def test_a_decoder_that_crashes_is_said(
    store: UploadStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ValueError, match="the decoder gave up on it"):
        store.add("a.mp4", io.BytesIO(b"x"), LIMITS)


@pytest.mark.parametrize(
    ("data", "said"),
    [(b"", r"it is empty \(0 bytes\)"), (bytes(2**20 + 1), "it has more than 1 MB")],
)
def test_sizes(store: UploadStore, data: bytes, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", None)  # no process is started for these
    with pytest.raises(ValueError, match=rf'^"a" is not taken: {said}'):
        store.add("a.mp4", io.BytesIO(data), replace(LIMITS, megabytes=1))


def test_sessions_have_folders_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def convert(source: Path, target: Path, limits: Limits) -> None:
        target.write_bytes(source.read_bytes())

    monkeypatch.setattr(uploads, "convert", convert)
    mine, others = UploadStore(), UploadStore()
    videos = [mine.add("a.mp4", io.BytesIO(b"x"), LIMITS) for _ in range(MOST_FILES)]
    assert len({video.name for video in videos}) == MOST_FILES
    with pytest.raises(ValueError, match="there are 5 uploads, the most at a time"):
        mine.add("b.mp4", io.BytesIO(b"x"), LIMITS)
    assert others.find(videos[0].name) is None
    assert mine.folder() != others.folder()
    folder = mine.folder()
    mine.close()
    assert not folder.exists()
    left = others.folder()
    del others  # as when nothing of a session is left
    assert not left.exists()


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("walk_1.mp4", "walk 1"),
        ("..\\..\\win.mp4", "win"),
        ("/etc/passwd", "passwd"),
        ("<script>`x`</script>.mp4", "script"),
        ("\u202e\n.mp4", "Untitled"),
        ("läufer " * 9 + ".mp4", "läufer läufer läufer läufer läufer lä..."),
    ],
)
def test_titles(name: str, title: str) -> None:
    assert title_of(name) == title


def test_compare_shows_an_upload(open_app: Open) -> None:
    app = open_app()
    before = app.selectbox("video_j").value
    files = [("my clip.mp4", small(70), "video/mp4"), ("text.mp4", b"no video " * 9, "video/mp4")]
    app.file_uploader[0].set_value(files)
    next(button for button in app.button if button.label == "Use them").click().run()
    try:
        assert not app.exception
        assert ['"text" is not taken' in error.value for error in app.error] == [True]
        name = str(app.selectbox("video_i").value)
        assert name.startswith("Your uploads/")
        assert name in app.query_params["i"]
        assert app.selectbox("video_j").value == before
        # It is gone with the session: a command that names it would not work.
        assert not any("analysis.figures.figure1" in code.value for code in app.code)
    finally:
        press(app, "Remove")
    assert not app.exception
    assert not str(app.selectbox("video_i").value).startswith("Your uploads/")


def test_speed_lab_changes_an_upload(
    store: UploadStore, planted_videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = save_tiny_model(tmp_path)
    monkeypatch.setattr(uploads, "store_of_session", lambda: store)
    argv = ["--model", str(model), "--videos", str(planted_videos)]
    app = open_page("speed_lab", argv, monkeypatch)
    before = app.selectbox("lab_video").value
    app.file_uploader[0].set_value([("my clip.mp4", small(70), "video/mp4")])
    press(app, "Use them")
    assert not app.exception
    assert not app.error
    name = str(app.selectbox("lab_video").value)
    assert name.startswith("Your uploads/")
    assert app.query_params["video"] in (name, [name])
    assert texts(app).count('data-testid="lab-') >= 2
    copy, start = store.find(name), int(str(app.slider("lab_start").value))
    assert copy is not None
    assert shown_in_lab(app) == similarities(model, copy.path, start, "speed", 2)
    press(app, "Remove")
    assert not app.exception
    assert app.selectbox("lab_video").value == before


def shown_in_lab(app: AppTest) -> dict[str, str]:
    rows = re.findall(r'data-testid="lab-(\w+)".*?<b>(.*?)</b>', texts(app), re.DOTALL)
    return dict(rows)


def test_embedding_marks_an_upload(
    store: UploadStore, planted_videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RSPNET_CACHE", str(tmp_path / "cache"))
    model = save_tiny_model(tmp_path)
    monkeypatch.setattr(uploads, "store_of_session", lambda: store)
    argv = ["--model", str(model), "--videos", str(planted_videos)]
    app = settle(open_page("embedding", argv, monkeypatch))
    # A file of the gallery itself stays a video of its own.
    twin = planted_videos / "left" / "clip_1.mp4"
    app.file_uploader[0].set_value([("my clip.mp4", twin.read_bytes(), "video/mp4")])
    press(app, "Use them")
    assert not app.exception
    assert not app.error
    name = store.videos[0].name
    data = json.loads(app.get("plotly_chart")[0].proto.spec)["data"]
    stars = [trace for trace in data if trace["name"] == "yours (1)"]
    assert [trace["customdata"] for trace in stars] == [[name], [name]]
    assert [trace["text"] for trace in stars] == [["my clip"]] * 2
    assert "1 video selected" in texts(app)
    assert app.query_params["video"] in (name, [name])
    assert any("A star is a video of yours" in caption.value for caption in app.caption)
    press(app, "Remove")
    assert not app.exception
    assert "No video is selected" in texts(app)
    assert "yours (1)" not in app.get("plotly_chart")[0].proto.spec


def test_an_upload_is_the_query_of_a_gallery(
    store: UploadStore, planted_model: Path, planted_videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "store_of_session", lambda: store)
    loaded = Loaded(load_model(planted_model, "query"), load_model(planted_model, "key"), Lock())
    paths = [planted_videos / "right" / f"clip_{n}.mp4" for n in (0, 2, 4)]
    videos = tuple(Video(path, path.name, "right", path.stem) for path in paths)
    gallery = embed_videos(loaded.query, paths, protocol(loaded.query), progress=False)
    places = {video.name: n for n, video in enumerate(videos)}
    pool = Pool(key="k", gallery=gallery, videos=videos, places=places, skipped={})
    video = store.add("a.mp4", io.BytesIO(paths[1].read_bytes()), LIMITS)
    joined = uploads.with_query(pool, loaded, video.name)
    assert uploads.with_query(pool, loaded, video.name) is joined
    assert joined.places[video.name] == 3
    assert joined.folder == pool.folder
    assert len(pool.gallery) == 3  # what other sessions search is as it was
    for feature, own in embed_video(loaded.query, video.path, protocol(loaded.query)).items():
        assert np.array_equal(joined.gallery.vectors[feature][3], own)
    found = explain_rank(loaded.query, joined.gallery, video.path, "rsp", 1)
    assert Path(found.hits[0].path) in paths
    assert found.num_videos == 3
    store.remove(video.name)
    with pytest.raises(ValueError, match="no longer there"):
        uploads.with_query(pool, loaded, video.name)
