"""Retrieval, as far as Streamlit's AppTest sees it, on a model that ranks by colours."""

import csv
import html
import io
import json
import os
import re
import shutil
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from analysis import example_branch, explain_rank, explain_unit
from analysis.attribution.retrieval.layers import layer_sizes
from analysis.gallery.neighbours import Space
from analysis.gallery.structure import gallery_statistics
from analysis.report.verdict import verdicts_on_hits
from dashboard.app_pages.retrieval import explain, export, labels, marks, measures
from dashboard.app_pages.retrieval.lists import Filter, Hit
from dashboard.base.style import signed
from dashboard.overlays import verdict_job
from dashboard.services.embeddings import protocol
from dashboard.services.galleries import Video
from rspnet.data.video.encode import write_video
from rspnet.retrieval.gallery import Protocol, embed_videos
from rspnet.retrieve import retrieve
from rspnet.weights.checkpoint import load_model
from tests.dashboard.apps import open_page, press, run_until, settle, texts
from tests.dashboard.conftest import COLOURS, draw_colours

QUERY = "walk/query.mp4"


@pytest.fixture
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RSPNET_CACHE", str(tmp_path / "cache"))


@pytest.mark.usefixtures("_cache")
def test_names_in_the_table_are_no_formulas(monkeypatch: pytest.MonkeyPatch) -> None:
    video = SimpleNamespace(name="=cmd|x.mp4", label=os.fsdecode(b"@caf\xe9"), labels=())
    pool = SimpleNamespace(videos=[video], columns={})
    one = SimpleNamespace(pool=pool, query=0, feature="rsp", model="+m")
    hit = Hit(0, 1, -0.5, 2, 0.0)
    monkeypatch.setattr(export.explain, "hits_of", lambda *_: ([hit], ""))
    (row,) = list(csv.DictReader(io.StringIO(export.table_of([one], Filter(1), "").decode())))  # type: ignore[list-item]
    assert (row["query"], row["path"], row["model"]) == ("'=cmd|x.mp4", "'=cmd|x.mp4", "'+m")
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
    choice = SimpleNamespace(path=tmp_path / "m.safetensors", name="m")
    loaded = SimpleNamespace(query=branch, lock=nullcontext())
    request = explain.ExplainRequest(pool, loaded, 0, "rsp", choice)  # type: ignore[arg-type]
    files = explain.files_of(request, [1])
    page = next(file for file in files if file.group == "Page")
    assert page.name == "retrieval-rsp-v0-1.html"
    text = page.make().decode()
    (command,) = (c.line for c in explain.commands_of(request, 1) if "one page" in c.title)
    assert command.endswith("--feature rsp --k 1 --out retrieval-rsp-v0.html")
    assert f"<code>{command}</code>" in text
    assert f"{found.hits[0].similarity:+.4f}" in text
    data = next(file for file in files if file.name == "retrieval-rsp-v0-1.json")
    assert json.loads(data.make())["verdicts"] == {}
    # Once its map is checked, the files say what came of it, as the command line would.
    (checked,) = verdicts_on_hits(branch, found).values()
    key = verdict_job._key_of_score(*explain._checked(request, found))
    verdict_job.store().keep(key, {"rsp": checked})
    text = page.make().decode()
    assert f"<b>No. 1, its map of the query:</b> {checked.sentence}" in text
    assert f"<code>{command} --verdict true</code>" in text
    assert json.loads(data.make())["verdicts"] == {"1": checked.sentence}


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
@pytest.mark.parametrize("feature", ["avid", "backbone"])
def test_under_an_explained_hit_stands_what_adds_to_it_over_time(
    feature: str, coloured_model: Path, coloured_videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[dict[str, Any]] = []
    monkeypatch.setattr(explain, "viewer", lambda data, *_: shown.append(data))
    for name in ("NUM_ORDERS", "NUM_STEPS", "NUM_RANDOM"):
        monkeypatch.setattr(verdict_job, name, 2)
    argv = ["--model", str(coloured_model), "--videos", str(coloured_videos)]
    link = {"query": QUERY, "by": feature, "why": f"{feature}.1"}
    app = settle(open_page("retrieval", argv, monkeypatch, **link))
    assert not app.exception
    data = shown[-1]
    made = data["strip"]
    assert [clip["title"] for clip in made["clips"]] == ["Query", "Hit"]
    assert made["edges"][-1] == data["num_frames"] == 16
    ends = {tuple(lane["range"]) for clip in made["clips"] for lane in clip["lanes"]}
    assert len(ends) == 1  # both clips on one axis
    for clip, column in zip(made["clips"], data["columns"], strict=True):
        (lane,) = clip["lanes"]
        # What the strip comes to is what the clip adds, and is of the frames that are shown.
        assert f" adds {signed(sum(lane['total']))}" in clip["of"]
        frames = clip["indices"]
        assert column["detail"].endswith(f", frames {frames[0]} to {frames[-1]}")
        assert (lane["still"] is None) == (feature == "backbone")
    if feature == "avid":
        app = run_until(app, lambda app: "Verdict on this map of the query: A-VID" in texts(app))
        assert any("random orders, on average by" in text.value for text in app.markdown)
    else:
        assert 'data-testid="verdicts"' not in texts(app)


def test_a_unit_is_searched_for_and_what_a_link_names_wrongly_is_said(
    coloured_model: Path, coloured_videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = ["--model", str(coloured_model), "--videos", str(coloured_videos)]
    branch = load_model(coloured_model)
    paths = sorted(coloured_videos.rglob("*.mp4"))
    app = settle(open_page("retrieval", argv, monkeypatch, query=QUERY, unit="rsp.3"))
    assert not app.exception
    gallery = embed_videos(branch, paths, protocol(branch), progress=False)
    found = explain_unit(branch, gallery, "rsp", 3, num=5)
    titles = [
        own.maps.path.removeprefix(f"{coloured_videos}/").removesuffix(".mp4")
        for own in found.videos
    ]
    (shown,) = re.findall(r'data-testid="unit">(.*)</div>', texts(app))
    # Who follows a link to a unit sees it first.
    assert texts(app).index('data-testid="unit"') < texts(app).index("same motion, different")
    assert re.findall(r"<b>\d\. ([^<]+)</b>", shown) == titles
    values = re.findall(r"value (\S+);", shown)
    assert values == [signed(own.value) for own in found.videos]
    assert app.query_params["unit"] == "rsp.3"
    measures._found.clear()  # what was measured is made anew where it was pushed out
    app = settle(app.run())
    assert not app.exception
    for wrong in ("rsp.128", "speed.1", "rsp"):
        app = settle(open_page("retrieval", argv, monkeypatch, query=QUERY, unit=wrong))
        assert any("`rsp.0` to `rsp.127`" in own.value for own in app.warning)
        assert not app.exception


def test_a_unit_of_a_layer_is_searched_for_until_its_panel_is_closed(
    coloured_model: Path, coloured_videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = ["--model", str(coloured_model), "--videos", str(coloured_videos)]
    branch = load_model(coloured_model)
    app = settle(open_page("retrieval", argv, monkeypatch, query=QUERY, unit="layer2.5"))
    app = run_until(app, lambda app: 'data-testid="unit"' in texts(app))
    assert not app.exception
    gallery = embed_videos(
        branch, sorted(coloured_videos.rglob("*.mp4")), protocol(branch), progress=False
    )
    found = explain_unit(branch, gallery, "layer2", 5, num=5)
    (shown,) = re.findall(r'data-testid="unit">(.*)</div>', texts(app))
    assert re.findall(r"value (\S+);", shown) == [signed(own.value) for own in found.videos]
    assert "unit 5 of layer2" in texts(app)
    assert app.query_params["unit"] == "layer2.5"
    assert app.number_input("unit_number").max == layer_sizes(branch)["layer2"] - 1

    def is_first() -> bool:
        return texts(app).index('data-testid="unit"') < texts(app).index("same motion, different")

    # With another query the lists come first again, and the unit stays below them.
    assert is_first()
    app = settle(press(app, "Random"))
    assert not is_first()
    # Closed, it is over.
    app.session_state["unit_panel"] = False
    app = settle(app.run())
    assert 'data-testid="unit"' not in texts(app)
    assert "unit" not in app.query_params
    assert not app.exception
    app = settle(open_page("retrieval", argv, monkeypatch, query=QUERY, unit="layer2.9999"))
    assert any("`layer1.0` to `layer1." in own.value for own in app.warning)


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


def shown_titles(app: AppTest, name: str) -> list[str]:
    found = re.findall(rf'data-testid="hit-{name}".*?class="what" title="([^"]+)"', texts(app))
    return [html.unescape(title) for title in found]


@pytest.fixture
def own_labels(coloured_videos: Path, tmp_path: Path) -> Path:
    """The coloured videos in one folder, with a table of labels."""
    root = tmp_path / "own"
    root.mkdir()
    rows = ["path,shade, note,number"]
    for number, name in enumerate(sorted(COLOURS)):
        path = Path(shutil.copy(coloured_videos / f"{name}.mp4", root))
        rows.append(f"./{path.name},{'green' if 'green' in name else 'other'},x{number},{number}")
    (root / "labels.csv").write_text("\n".join(rows))
    return root


@pytest.mark.usefixtures("_cache")
def test_lists_are_filtered_sorted_and_judged_by_a_table(
    coloured_model: Path, own_labels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = ["--model", str(coloured_model), "--videos", str(own_labels)]
    link = {"query": "query.mp4", "label": "shade: green", "k": "5"}
    app = settle(open_page("retrieval", argv, monkeypatch, **link))
    assert not app.exception
    assert not app.warning
    # What differs in each video is no label, what two share is.
    assert app.selectbox(key="retrieval_correct").options == ["Same shade"]
    assert sorted(re.sub(r"^\d\. ", "", title) for title in shown_titles(app, "rsp")) == [
        "green", "more_green", "some_green",
    ]  # fmt: skip
    # Ranks are those of the whole gallery: red and blue come before these.
    assert [title[0] for title in shown_titles(app, "rsp")] == ["2", "3", "4"]
    assert "0 of 3 correct" in texts(app)
    app.text_input(key="retrieval_name").set_value("ME").run()
    assert [title[3:] for title in shown_titles(app, "rsp")] == ["some_green"]
    assert app.query_params["name"] == "ME"
    app.text_input(key="retrieval_name").set_value("nothing").run()
    assert "No video has this label and name." in [info.value for info in app.info]
    app.text_input(key="retrieval_name").set_value("").run()
    app.selectbox(key="retrieval_label").set_value("").run()
    for sort, first in (("name", "blue"), ("rank", "red"), ("difference", "red")):
        app.selectbox(key="retrieval_sort").set_value(sort).run()
        assert shown_titles(app, "rsp")[0][3:] == first
        assert app.query_params["sort"] == sort
    assert shown_titles(app, "avid")[0][3:] == "blue"
    assert "by A-VID no." not in texts(app)
    assert re.search(r"A-VID no. \d, \+\d\.\d sd", texts(app))


@pytest.mark.usefixtures("_cache")
@pytest.mark.parametrize(
    ("table", "reason"),
    [("name,shade\na,b", "got the columns name, shade"), ("path\n", "got the columns path"),
     ("\0", "is no text")],
)  # fmt: skip
def test_a_bad_table_of_labels_is_said(
    table: str, reason: str, coloured_model: Path, own_labels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (own_labels / "labels.csv").write_text(table)
    argv = ["--model", str(coloured_model), "--videos", str(own_labels)]
    app = open_page("speed_lab", argv, monkeypatch)
    (said,) = [c.value for c in app.caption if "The table labels.csv is not used" in c.value]
    assert reason in said
    assert not app.exception


@pytest.mark.usefixtures("_cache")
def test_marks_survive_and_what_is_bad_loses_nothing(
    coloured_model: Path, coloured_videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = tmp_path / "runs"
    argv = ["--model", str(coloured_model), "--videos", str(coloured_videos), "--runs", str(runs)]
    app = settle(open_page("retrieval", argv, monkeypatch, query=QUERY))
    app.button(key="mark_button_rsp_1").click().run()
    assert not app.error
    (note,) = [field for field in app.text_input if field.label == "Note on walk/red"]
    note.set_value("the same red").run()
    # Another visit, later: it is there, and goes with one press.
    app = settle(open_page("retrieval", argv, monkeypatch, query="run/blue.mp4"))
    (note,) = [field for field in app.text_input if field.label == "Note on walk/red"]
    assert note.value == "the same red"
    assert [e.label for e in app.expander if "Marks" in e.label] == ["Marks (1)"]
    press(app, "Open the query")
    assert app.query_params["query"] == QUERY
    held = (runs / "marks.csv").read_bytes()
    assert b"walk/query.mp4,rsp,walk/red.mp4,the same red,1," in held
    # What can't be written is said, and what was typed stays.
    (runs / "marks.csv").write_text("not,ours\n")
    app.run()
    assert "it stays as it is until then" in app.error[0].value
    app.button(key="mark_button_avid_1").click().run()
    assert (runs / "marks.csv").read_text() == "not,ours\n"
    (runs / "marks.csv").write_bytes(held)
    press(app.run(), "Remove")
    assert [e.label for e in app.expander if "Marks" in e.label] == ["Marks (0)"]


def test_marks_are_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = marks.Shelf(folder=tmp_path, gallery="here")
    monkeypatch.setattr(marks, "state_of", lambda _: shelf)
    pool = SimpleNamespace(places={"a.mp4": 0, "b.mp4": 1})
    marks.take(b"query,feature,video,note,gallery\na.mp4,rsp,b.mp4,n,elsewhere\n", pool)  # type: ignore[arg-type]
    assert shelf.said == []
    kept = (tmp_path / "marks.csv").read_bytes()
    assert b"a.mp4,rsp,b.mp4,n,,,,here" in kept
    for bad in (b"\xff\xfe\0", b"query,video\na,b\n", b"query,feature,video\na,b,c\n"):
        marks.take(bad, pool)  # type: ignore[arg-type]
        (said,) = shelf.said
        assert said.startswith("These marks are not taken, and nothing has changed: ")
        assert str(tmp_path) not in said
        assert (tmp_path / "marks.csv").read_bytes() == kept
    marks.take(b"query,feature,video\na.mp4,rsp,gone.mp4\n", pool)  # type: ignore[arg-type]
    assert shelf.said[0].startswith("1 of the 1 marks name videos that are not in this gallery")


@pytest.mark.usefixtures("_cache")
def test_two_models_have_their_lists_and_the_difference(
    coloured_model: Path, coloured_videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = ["--model", str(coloured_model), "--videos", str(coloured_videos)]
    link = {"query": QUERY, "second": "random weights", "k": "5"}
    app = run_until(
        open_page("retrieval", argv, monkeypatch, **link),
        lambda app: not app.get("progress") and "hit-avid-2" in texts(app),
    )
    assert not app.exception
    assert not app.warning
    assert len(shown_titles(app, "rsp")) == len(shown_titles(app, "rsp-2")) == 5
    assert "5 of 5 in both lists" in texts(app)
    said = re.sub(r"<[^>]+>", " ", texts(app))
    assert re.search(r"RSP\s+difference\s+[+\N{MINUS SIGN}]?\d", said)
    assert "colours minus random weights, query by query" in said
    assert re.search(r"By chance\s+folder\s+40.0\s+100.0", said)
    press(app, "Explain")  # the first is of the first model
    assert app.query_params["why"] == "rsp.1"
    app.selectbox(key="second_model").set_value("").run()
    assert "hit-rsp-2" not in texts(app)


def test_a_part_of_the_query_finds_what_matches_it(
    coloured_model: Path, coloured_videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = ["--model", str(coloured_model), "--videos", str(coloured_videos)]
    app = settle(open_page("retrieval", argv, monkeypatch, query=QUERY))
    assert "match-rsp" not in texts(app)
    app.toggle(key="region_open").set_value(True).run()
    app.slider(key="region_Columns_7").set_range(1, 3).run()  # the red block is on the left
    app.button(key="region_search").click().run()
    assert not app.exception
    assert not app.error
    (found,) = re.findall(r'data-testid="match-rsp">(.*?)</div></div>', texts(app)) or [texts(app)]
    assert "<b>1. walk/red</b>adds +" in found
    # Another query begins anew.
    app.button(key="query_rsp_1").click().run()
    assert "match-rsp" not in texts(app)


def test_a_part_drawn_on_compare_is_searched_for(
    coloured_model: Path, coloured_videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = ["--model", str(coloured_model), "--videos", str(coloured_videos)]
    app = open_page("retrieval", argv, monkeypatch, query=QUERY, region="0,0,0.4,1,1,16")
    app = settle(app)
    assert not app.exception
    assert not app.warning
    assert app.slider(key="region_Columns_7").value == (1, 3)
    assert app.slider(key="region_Rows_7").value == (1, 7)
    assert "<b>1. walk/red</b>adds +" in texts(app).split('data-testid="match-rsp">')[1]
