"""A folder given with ``--videos`` that holds what can't be shown: said, and the app goes on."""

import io
import struct
from pathlib import Path

import av
import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard.base import limits
from dashboard.base.arguments import Arguments
from dashboard.services import galleries
from rspnet import VideoError
from rspnet.data.video.encode import encode_video, write_video
from tests.dashboard.apps import open_page, settle, texts
from tests.dashboard.conftest import draw
from tests.dashboard.tiny import save_tiny_model


def claims(seconds: int) -> bytes:
    """A Matroska file of 70 frames whose header says that it lasts so long."""
    film, copy = io.BytesIO(encode_video(draw(70, 0), 25.0, preset="ultrafast")), io.BytesIO()
    with av.open(film) as source, av.open(copy, "w", format="matroska") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    data = bytearray(copy.getvalue())
    place = data.index(b"\x44\x89\x88") + 3  # its duration, a double of milliseconds
    data[place : place + 8] = struct.pack(">d", 1000.0 * seconds)
    return bytes(data)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three good videos, and whatever else there is."""
    root, outside = tmp_path_factory.mktemp("bad"), tmp_path_factory.mktemp("outside")
    for number in range(3):
        path = root / "good" / f"{number}.mp4"
        write_video(path, draw(40, number), 25.0, preset="ultrafast")
    write_video(outside / "secret.mp4", draw(40, 9), 25.0, preset="ultrafast")
    odd = root / "odd"
    odd.mkdir()
    (odd / "text.mp4").write_text("This is no video.")
    (odd / "long.mkv").write_bytes(claims(3 * 3600))
    frame = np.full((4320, 7680, 3), 90, np.uint8)
    (odd / "large.mp4").write_bytes(encode_video([frame, frame], 25.0, preset="ultrafast"))
    (odd / "led_out.mp4").symlink_to(outside / "secret.mp4")
    (odd / "led_in.mp4").symlink_to(root / "good" / "0.mp4")
    (odd / "nowhere.mp4").symlink_to(outside / "nowhere.mp4")
    (root / "folder").symlink_to(outside)
    return root


REASONS = {
    "text.mp4": "not a video that FFmpeg can open",
    "long.mkv": "it says that it has 270,000 frames (3 h 0 min), and at most 100,000 are opened "
    "(1 h 6 min at its 25 frames per second): cut out",
    "large.mp4": "its frames have 7680 x 4320 pixels (33.2 million), and at most 8.3 million (4K)",
}


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RSPNET_CACHE", str(tmp_path / "cache"))
    st.cache_resource.clear()


def said(app: AppTest) -> list[str]:
    shown = (*app.error, *app.warning, *app.info, *app.caption)
    return [element.value.replace("\\", "") for element in shown]  # as one reads it


def test_links_lead_nowhere_else(folder: Path) -> None:
    source = galleries.open_source(galleries.OWN, Arguments(videos=folder))
    names = [video.name for video in source.videos]
    assert names[:3] == ["good/0.mp4", "good/1.mp4", "good/2.mp4"]
    assert names[3:] == ["odd/large.mp4", "odd/led_in.mp4", "odd/long.mkv", "odd/text.mp4"]
    assert source.skipped == ("folder", "odd/led_out.mp4")


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_folder_of_nothing_but_such_links(tmp_path: Path, folder: Path, kind: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.mp4").symlink_to(folder / "good" / ("0.mp4" if kind == "file" else ""))
    with pytest.raises(ValueError, match=r"links that lead out of it, such as a\.mp4: start"):
        galleries.open_source(galleries.OWN, Arguments(videos=root))


def test_a_table_does_not_lead_out(tmp_path: Path, folder: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "b.mp4").write_bytes((folder / "good" / "0.mp4").read_bytes())
    rows = [f"{name},wave,one,two,{n}" for n, name in enumerate(["b.mp4", f"../{folder.name}/x"])]
    rows.append(f"{folder / 'good' / '0.mp4'},wave,one,two,3")
    (root / "labels.csv").write_text("\n".join(["path,action,actor,set,index", *rows]))
    source = galleries.open_source(galleries.OWN, Arguments(videos=root))
    assert [video.name for video in source.videos] == ["b.mp4"]


@pytest.mark.parametrize("name", sorted(REASONS))
@pytest.mark.parametrize("page", ["compare", "speed_lab"])
def test_a_page_says_why_and_goes_on(
    page: str, name: str, folder: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = ["--model", str(model), "--videos", str(folder)]
    key, menu = ("i", "video_i") if page == "compare" else ("video", "lab_video")
    app = open_page(page, argv, monkeypatch, **{key: f"odd/{name}"})
    assert not app.exception
    (error,) = (element.value for element in app.error)
    assert f"can't be `odd/{name}`" in error or f"can't be of `odd/{name}`" in error
    assert REASONS[name] in error
    assert error.endswith("Choose another video.")
    assert any("links that lead out of" in text and "led_out" in text for text in said(app))
    app.selectbox(menu).set_value("good/1.mp4").run()
    assert not app.exception
    assert not app.error


def test_a_gallery_is_made_without_them(
    folder: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = ["--model", str(model), "--videos", str(folder)]
    app = settle(open_page("retrieval", argv, monkeypatch))
    assert not app.exception
    assert not app.error
    # Of three videos and the link to one of them, all but the query.
    assert texts(app).count('data-testid="hit-rsp"') == 3
    (text,) = (element for element in said(app) if element.startswith("Skipped: "))
    for name, reason in REASONS.items():
        assert f"odd/{name}: {reason}" in text


def test_what_says_nothing_of_itself_is_left_to_the_reader(tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "text.mp4"
    path.write_text("no video")
    limits.check(path)
    limits.check(tmp_path / "nowhere.mp4")
    limits.check(folder / "good" / "0.mp4")
    with pytest.raises(VideoError, match="it says that it has 270,000 frames"):
        limits.check(folder / "odd" / "long.mkv")
