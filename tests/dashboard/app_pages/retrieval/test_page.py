"""Retrieval, as far as Streamlit's AppTest sees it, on a model that ranks by colours."""

import csv
import io
import os
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import streamlit as st

from analysis import example_branch, explain_rank
from analysis.gallery.neighbours import Space
from analysis.gallery.structure import gallery_statistics
from dashboard.app_pages.retrieval import explain, export, labels
from dashboard.base.style import signed
from dashboard.services.embeddings import protocol
from dashboard.services.galleries import Video
from rspnet.data.video.encode import write_video
from rspnet.retrieval.gallery import Protocol, embed_videos
from rspnet.retrieve import retrieve
from rspnet.weights.checkpoint import load_model
from tests.dashboard.apps import open_page, settle, texts
from tests.dashboard.conftest import draw_colours

QUERY = "walk/query.mp4"


@pytest.fixture
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RSPNET_CACHE", str(tmp_path / "cache"))


@pytest.mark.usefixtures("_cache")
def test_names_in_the_table_are_no_formulas(monkeypatch: pytest.MonkeyPatch) -> None:
    video = SimpleNamespace(name="=cmd|x.mp4", label=os.fsdecode(b"@caf\xe9"))
    one = SimpleNamespace(pool=SimpleNamespace(videos=[video]), query=0, feature="rsp")
    hit = SimpleNamespace(index=0, similarity=-0.5)
    monkeypatch.setattr(export.explain, "hits_of", lambda *_: ([hit], ""))
    (row,) = list(csv.DictReader(io.StringIO(export.table_of([one], 1).decode())))  # type: ignore[list-item]
    assert (row["query"], row["path"]) == ("'=cmd|x.mp4", "'=cmd|x.mp4")
    assert (row["label"], row["similarity"]) == (r"'@caf\xe9", "-0.5")


def test_hits_are_handed_out_as_a_page(
    tmp_path: Path, video_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    branch = example_branch()
    paths = sorted(video_folder.rglob("*.mp4"))
    small = Protocol(num_clips=2, num_frames=8, size=32)
    gallery = embed_videos(branch, paths, small, progress=False)
    videos = [Video(path, path.name, "", path.stem) for path in paths]
    found = explain_rank(branch, gallery, paths[0], "rsp", rank=1)
    monkeypatch.setattr(explain, "explain", lambda _request, _rank: found)
    pool = SimpleNamespace(videos=videos, folder=tmp_path / "g", gallery=gallery, key="k")
    request = explain.ExplainRequest(pool, None, 0, "rsp", tmp_path / "m.safetensors")  # type: ignore[arg-type]
    page = next(file for file in explain.files_of(request, [1]) if file.group == "Page")
    assert page.name == "retrieval-rsp-v0-1.html"
    text = page.make().decode()
    (command,) = (c.line for c in explain.commands_of(request, 1) if "one page" in c.title)
    assert command.endswith("--feature rsp --k 1 --out retrieval-rsp-v0.html")
    assert f"<code>{command}</code>" in text
    assert f"{found.hits[0].similarity:+.4f}" in text


def test_lists_and_numbers_are_those_of_the_command_line(
    coloured_model: Path, coloured_videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = ["--model", str(coloured_model), "--videos", str(coloured_videos)]
    app = settle(open_page("retrieval", argv, monkeypatch, query=QUERY, by="backbone", k="5"))
    assert not app.exception
    assert not app.warning
    branch = load_model(coloured_model)
    paths = sorted(coloured_videos.rglob("*.mp4"))
    gallery = embed_videos(branch, paths, protocol(branch), progress=False)
    own = gallery.paths.index(coloured_videos / QUERY)
    vector = gallery.vectors["backbone"][own]
    shown = re.findall(r'class="what" title="\d\. ([^"]+)".*?class="number">([^<]+)<', texts(app))
    near = gallery.nearest(vector, "backbone", 5, exclude=gallery.paths[own])
    assert shown[:5] == [
        (
            hit.path.relative_to(coloured_videos).with_suffix("").as_posix(),
            signed(hit.similarity, 2),
        )
        for hit in near
    ]
    result = retrieve(gallery, gallery, "rsp", [1, 5])
    assert f"{result.top_k[1]:.1f} <span" in texts(app)
    assert "Top-k accuracy in %, with 95% intervals over 6 queries" in texts(app)
    found = gallery_statistics([Space.of(gallery, head) for head in ("rsp", "avid")], k=5, num=1)
    for head in ("rsp", "avid"):
        skewness = found.select(feature=head)[0]["skewness"]
        assert f"{signed(skewness.value, 2)} <span" in texts(app)
    overlap = found.one(feature="rsp", other_feature="avid")["overlap"]
    assert f"share {100 * overlap.value:.0f}%" in texts(app)


@pytest.mark.usefixtures("_cache")
def test_what_makes_a_hit_correct_is_said(
    coloured_model: Path, coloured_videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "own"
    argv = ["--model", str(coloured_model), "--videos", str(root)]
    for name in ("query", "red", "blue"):
        folder = next(p.parent for p in coloured_videos.rglob(f"{name}.mp4"))
        root.mkdir(exist_ok=True)
        shutil.copy(folder / f"{name}.mp4", root)
    app = settle(open_page("retrieval", argv, monkeypatch))
    assert not app.exception
    assert labels.NO_FOLDERS in [caption.value for caption in app.caption]
    assert [info.value for info in app.info] == [labels.NO_TABLE]  # not top-k of 100%
    assert 'class="verdict' not in texts(app)
    assert "of 2 correct" not in texts(app)
    assert not any("rspnet.retrieve" in code.value for code in app.code)
    # Two of the same folder, and three that lie in none.
    shutil.copytree(coloured_videos / "walk", root / "walk")
    st.cache_resource.clear()  # the folder is listed anew only now and then
    app = settle(open_page("retrieval", argv, monkeypatch, query="walk/red.mp4"))
    captions = [caption.value for caption in app.caption]
    assert any(
        text.startswith("Correct: a hit lies in a folder of the same name") for text in captions
    )
    assert "over 3 queries" in texts(app)
    assert "3 of the videos have no label and are no queries." in texts(app)
    app = open_page("retrieval", argv, monkeypatch, query="red.mp4")
    captions = [caption.value for caption in app.caption]
    assert any("The query lies in no folder of a class" in text for text in captions)
    assert 'class="verdict' not in texts(app)


@pytest.mark.usefixtures("_cache")
def test_videos_that_changed_are_not_explained(
    coloured_model: Path, coloured_videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "own"
    shutil.copytree(coloured_videos, root)
    for folder in (root, *(path for path in root.iterdir() if path.is_dir())):
        os.utime(folder, (0, 0))  # it changed long ago: the list of its videos is kept
    argv = ["--model", str(coloured_model), "--videos", str(root)]
    app = settle(open_page("retrieval", argv, monkeypatch, query=QUERY, why="rsp.1"))
    assert not app.exception
    assert not app.error
    assert "walk/red</b> is no. 1 of 5" in texts(app)
    assert app.query_params["why"] == "rsp.1"
    write_video(tmp_path / "new.mp4", draw_colours((235, 235, 20)), 25.0, preset="ultrafast")
    # In place, so that no folder changes and the gallery is not embedded anew.
    (root / "run" / "blue.mp4").write_bytes((tmp_path / "new.mp4").read_bytes())
    (root / "run" / "green.mp4").write_text("This is no video.")
    link = {"query": QUERY, "k": "5"}
    app = open_page("retrieval", argv, monkeypatch, why="avid.1", **link)
    assert not app.exception
    assert "the file has changed" in app.error[0].value
    app = open_page("retrieval", argv, monkeypatch, why="avid.2", **link)
    assert not app.exception
    assert "green.mp4" in app.error[0].value


@pytest.mark.usefixtures("_cache")
def test_equal_videos_have_neighbours_but_no_map(
    coloured_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "same"
    for name in ("a/one", "b/two", "c/three"):
        write_video(root / f"{name}.mp4", draw_colours((200, 150, 150)), 25.0, preset="ultrafast")
    argv = ["--model", str(coloured_model), "--videos", str(root)]
    app = settle(open_page("retrieval", argv, monkeypatch))
    assert not app.exception
    assert texts(app).count('data-testid="hit-rsp"') == 2
    assert "No two videos of this gallery have a label in common" in app.info[0].value
    commands = [code.value for code in app.code]
    assert any("analysis retrieval" in c and "--feature avid --k 2" in c for c in commands)
    assert any("rspnet.retrieve" in c and c.endswith("--k 1") for c in commands)


@pytest.mark.usefixtures("_cache")
def test_each_head_is_judged_by_what_it_should_know(
    coloured_model: Path, coloured_videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = ["path,action,actor,set,prop,index"]
    known = {"query": "wave,1,2,ball", "red": "jump,1,3,vase", "blue": "wave,4,5,cone"}
    for name, factors in known.items():
        (found,) = coloured_videos.rglob(f"{name}.mp4")
        shutil.copy(found, tmp_path)
        rows.append(f"{name}.mp4,{factors},0")
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n")
    argv = ["--model", str(coloured_model), "--videos", str(tmp_path)]
    app = settle(open_page("retrieval", argv, monkeypatch, query="query.mp4"))
    assert not app.exception
    said = re.sub(r"<[^>]+>", " ", texts(app))
    assert len(re.findall(r"1 of 2 correct", said)) == 2
    assert re.search(r"same actor\s+\N{CHECK MARK} correct", said)
    assert re.search(r"nothing in common\s+\N{MULTIPLICATION X} incorrect", said)
    assert re.search(r"wave\s+\N{CHECK MARK} correct", said)
    assert re.search(r"jump\s+\N{MULTIPLICATION X} incorrect", said)
