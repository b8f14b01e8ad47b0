"""A gallery that is embedded for a page: what is said where there is too little to show."""

from pathlib import Path

import pytest

from dashboard.services.embeddings import protocol
from dashboard.services.galleries import Video
from dashboard.widgets import pool
from dashboard.widgets.pool import Pool
from rspnet.data.video.encode import write_video
from rspnet.retrieval.gallery import embed_videos
from rspnet.weights.checkpoint import load_model
from tests.dashboard.apps import open_page, settle
from tests.dashboard.conftest import draw_colours


@pytest.mark.parametrize("name", ["retrieval", "embedding"])
def test_too_few_videos_are_said(
    name: str, coloured_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RSPNET_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "few"
    write_video(root / "a" / "one.mp4", draw_colours((200, 150, 150)), 25.0, preset="ultrafast")
    argv = ["--model", str(coloured_model), "--videos", str(root)]
    app = open_page(name, argv, monkeypatch)
    assert not app.exception
    assert "holds 1 video: at least 2 are needed" in app.info[0].value
    write_video(root / "a" / "two.mp4", draw_colours((200, 150, 150))[:9], 25.0, preset="ultrafast")
    app = settle(open_page(name, argv, monkeypatch))
    assert not app.exception
    assert "Only 1 of the 2 videos can be used" in app.info[0].value
    assert "a/two.mp4" in app.info[0].value
    empty = tmp_path / "empty"
    empty.mkdir()
    app = open_page(name, ["--model", str(coloured_model), "--videos", str(empty)], monkeypatch)
    assert not app.exception
    assert "Your videos can't be shown" in app.error[0].value


@pytest.fixture(scope="module")
def small_pool(coloured_model: Path, coloured_videos: Path) -> Pool:
    """The coloured videos, embedded."""
    branch = load_model(coloured_model)
    paths = sorted(coloured_videos.glob("[rw]*/*.mp4"))
    videos = tuple(Video(path, path.name, path.parent.name, path.stem) for path in paths)
    return Pool(
        key="small",
        gallery=embed_videos(branch, paths, protocol(branch), progress=False),
        videos=videos,
        places={video.name: n for n, video in enumerate(videos)},
        skipped={"_nine_.mp4": "it has 9 frames, *too few*"},
    )


@pytest.mark.parametrize(
    ("given", "value", "note"),
    [
        (None, "a.mp4", ""),
        ("red.mp4", "red.mp4", ""),
        ("x.mp4", "a.mp4", "`x.mp4`, which is not in the gallery; this is `a.mp4`."),
        ("_nine_.mp4", "a.mp4", r"can't be used: it has 9 frames, \*too few\*; this is `a.mp4`."),
    ],
)
def test_a_video_of_a_link(small_pool: Pool, given: str | None, value: str, note: str) -> None:
    chosen = pool.choose_video(small_pool, "the query", given, "a.mp4")
    assert chosen.value == value
    assert chosen.note.endswith(note)
    assert bool(chosen.note) == bool(note)
