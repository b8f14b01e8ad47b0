"""Offline pages: the maps' own numbers, small, nothing from outside; and what notebooks show."""

import html
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import analysis
from analysis import (
    ClipInfo,
    PairClips,
    PairExplanation,
    StudyTable,
    View,
    all_maps,
    example_branch,
    example_views,
    explain_kind,
    explain_margin,
    explain_pair,
    explain_retrieval,
    load_view,
    to_html,
    verdict,
)
from analysis.cli.maps import main as make_maps
from analysis.cli.retrieval import main as retrieve
from analysis.core.statistics import Estimate
from analysis.core.table import Row
from analysis.figures.viewer.page import MOST_BYTES, Page
from analysis.figures.viewer.pair import frames_at, pair_page
from rspnet.data.video.encode import write_video
from rspnet.models import Branch
from rspnet.retrieval.gallery import Gallery, embed_videos
from rspnet.weights.checkpoint import load_model, save_model

# The name of a language, which nothing is loaded from.
SVG = "http://www.w3.org/2000/svg"


@pytest.fixture(scope="module")
def clips() -> PairClips:
    branch = example_branch()
    c_i, c_j, c_k, other = example_views(4)
    return PairClips.of(branch, branch, c_i, c_j, view_k=c_k, others=[other])


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("films") / "wave"
    rng = np.random.default_rng(1)
    paths = [folder / f"{name}.mp4" for name in ("<b>one", "two", "three")]
    for path in paths:
        write_video(path, rng.integers(0, 256, (12, 48, 64, 3), np.uint8), 25, preset="fast")
    return paths


@pytest.fixture(scope="module")
def gallery(videos: list[Path]) -> tuple[Branch, Gallery]:
    branch = example_branch()
    return branch, embed_videos(branch, videos, progress=False)


def data_of(text: str, name: str = "values") -> dict[str, Any]:
    found = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', text)
    assert found is not None
    loaded: dict[str, Any] = json.loads(found[1])
    return loaded


def test_the_numbers_are_the_maps_own(clips: PairClips, tmp_path: Path) -> None:
    found = explain_kind("margin", clips)
    checked = {"rsp": verdict(clips, "rsp", "margin", num_orders=1, num_random=1)}
    command = "python -m analysis maps --maps margin"
    path = to_html(found, tmp_path / "view.html", verdicts=checked, command=command)
    text = path.read_text()
    values = data_of(text)
    for row, both in found.rows.items():
        for side, own in zip("ij", both, strict=True):
            kept = values["maps"][f"{row}.{side}"]
            np.testing.assert_array_equal(kept.pop("values"), own.values)
            assert kept == json.loads(json.dumps(own.manifest()))
    assert values["verdicts"] == {"rsp": checked["rsp"].sentence}
    assert html.escape(checked["rsp"].sentence) in text
    assert f"<code>{command}</code>" in text
    score = f"{found.score('rsp'):+.4f}".replace("-", "\N{MINUS SIGN}")
    assert f"<td>Δs = {score}</td>" in text
    panels = data_of(text, "panels")
    assert [row["head"] for row in panels["rows"]] == ["rsp", "avid"]
    assert [column["index"] for column in panels["columns"]] == ["i", "j"]
    alts = [panel["alt"] for row in panels["rows"] for panel in row["panels"]]
    assert alts[0] == "Margin, RSP, on c_i: noise 0, frames 0 to 7, 1x"
    assert alts[3] == "Contribution, A-VID, on c_j: noise 1, frames 0 to 7, 1x"


def test_nothing_is_loaded_from_outside(clips: PairClips) -> None:
    text = pair_page(explain_kind("contribution", clips)).html()
    assert not re.search("https?:", text.replace(SVG, ""))
    assert not re.search(r"""(src|href)=["'](?!data:)|@import|url\((?!data:)""", text)
    assert "default-src 'none'; img-src data:;" in text
    for panel in data_of(text, "panels")["rows"][0]["panels"]:
        assert panel["image"].startswith("data:image/jpeg;base64,")


def test_a_page_is_at_most_so_large() -> None:
    branch = Branch("resnet18_fine", {"width": 2}, num_frames=16, size=112).eval()
    noise = np.random.default_rng(0).integers(0, 256, (2, 64, 112, 112, 3), np.uint8)
    c_i, c_j = (View(own, ClipInfo("noise", tuple(range(64)))) for own in noise)
    found = explain_kind("contribution", PairClips.of(branch, branch, c_i, c_j))
    assert len(pair_page(found, pixels=112).html()) < MOST_BYTES


def test_the_scale_is_the_one_that_was_chosen(clips: PairClips) -> None:
    found = explain_kind("contribution", clips)
    most = {row: [np.abs(own.values).max() for own in both] for row, both in found.rows.items()}
    ticks = {
        scale: [row["bar"]["ticks"][0] for row in data_of(
            pair_page(found, scale=scale).html(), "panels")["rows"]]
        for scale in ("shared", "head", "map")
    }  # fmt: skip
    heads = [f"+{max(both):.2g}" for both in most.values()]
    assert ticks == {"shared": [max(heads)] * 2, "head": heads, "map": ["+max"] * 2}
    with pytest.raises(ValueError, match="scale is 'shared', 'head' or 'map'"):
        pair_page(found, scale="both")
    with pytest.raises(ValueError, match=r"opacity is between 0 and 1, got 2"):
        pair_page(found, opacity=2)


def test_a_text_of_a_user_does_not_end_the_script() -> None:
    page = Page(title="<i>", values={"name": "</script><script>alert(1)"}, panels={"rows": "</"})
    assert page.html().count("</script>") == 3
    assert "<h1>&lt;i&gt;</h1>" in page.html()
    assert data_of(page.html())["name"] == "</script><script>alert(1)"


def test_pictures_are_as_sharp_as_the_file_while_it_is_the_same(
    videos: list[Path], tmp_path: Path
) -> None:
    view = load_view(videos[1], 8, 32)
    sharp = frames_at(view, 48)
    np.testing.assert_array_equal(sharp, load_view(videos[1], 8, 48).frames)
    changed = replace(view, info=replace(view.info, video=str(videos[2])))
    assert np.abs(frames_at(changed, 48).astype(int) - sharp).mean() > 5


def test_results_without_frames_read_the_videos_or_say_that_they_are_gone(
    videos: list[Path], tmp_path: Path
) -> None:
    branch = example_branch()
    film = tmp_path / "film.mp4"
    film.write_bytes(videos[1].read_bytes())
    pair = explain_pair(branch, branch, load_view(film, 8, 32), load_view(film, 8, 32, start=4))
    stored = PairExplanation.load(pair.save(tmp_path / "pair.npz"))
    assert stored.views is None
    again, first = (to_html(p, tmp_path / "a.html").read_text() for p in (stored, pair))
    assert again == first
    film.unlink()
    with pytest.raises(ValueError, match=r"film\.mp4, which is gone: put it back"):
        stored.to_html(tmp_path / "b.html")
    with pytest.raises(ValueError, match="which is gone"):
        stored.plot()
    assert "It can&#x27;t be shown" not in stored._repr_html_()
    assert "which is gone" in stored._repr_html_()
    nameless = replace(pair, views=None, clip_i=ClipInfo())
    with pytest.raises(ValueError, match="give views instead of tensors"):
        nameless.to_html(tmp_path / "b.html")
    with pytest.raises(ValueError, match="a page is written as .html, got"):
        pair.to_html(tmp_path / "a.png")


def test_every_result_shows_itself(clips: PairClips, gallery: tuple[Branch, Gallery]) -> None:
    branch, searched = gallery
    margin = explain_margin(branch, branch, "rsp", *example_views(2), [clips.view_j])
    everything = all_maps(branch, branch, *example_views(2))
    checked = verdict(clips, "rsp", "contribution", num_orders=1, num_random=1)
    found = explain_retrieval(branch, searched, searched.paths[0], "rsp", num=2)
    row = Row(keys={"head": "rsp"}, values={"num": Estimate(1, 1, 1, 4)})
    for result, words in (
        (explain_pair(branch, branch, *example_views(2)), "PairExplanation(heads={rsp, avid}"),
        (margin, "MarginExplanation(map_i=ClipMap"),
        (everything, "PairMaps("),
        (explain_kind("margin", clips), "KindMaps(kind='margin', rows={rsp, avid}"),
        (checked, "Verdict(word="),
        (found, "RetrievalExplanation(feature='rsp'"),
    ):
        assert repr(result).startswith(words)
        assert len(repr(result)) < 400, repr(result)
        shown = result._repr_html_()
        assert shown.startswith("<iframe srcdoc=")
        assert html.unescape(shown[16 : shown.index('" title=')]).startswith("<!doctype html>")
    assert len(repr(searched)) < 400
    assert len(repr(clips)) < 400
    with pytest.raises(ValueError, match="there is no figure of a Verdict"):
        checked.plot()
    assert analysis.plot(searched).get_size_inches()[0] == pytest.approx(7)
    assert len(margin.plot().axes) == 6 + 2  # three frames of two clips, and two colour scales
    table = StudyTable(study="nothing", rows=(row,), num_videos=4, videos="toys")
    assert "studies are" in table._repr_html_()


def test_the_page_of_a_retrieval(
    gallery: tuple[Branch, Gallery], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    branch, searched = gallery
    model = save_model(tmp_path / "tiny.safetensors", branch, branch)
    branch = load_model(model)
    searched = embed_videos(branch, searched.paths, progress=False)
    folder = searched.save(tmp_path / "gallery")
    words = ["--gallery", str(folder), "--query", str(searched.paths[0]), "--k", "2"]
    out = tmp_path / "why.html"
    assert retrieve(["--model", str(model), *words, "--out", str(out)]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    text = out.read_text()
    found = explain_retrieval(branch, searched, searched.paths[0], "rsp", num=2)
    values = data_of(text)
    for hit in found.hits:
        for name, video in (("query", hit.query_maps), ("hit", hit.hit_maps)):
            np.testing.assert_array_equal(
                values["values"][f"{name}{hit.rank}"], [m.values for m in video.maps]
            )
    assert values["command"].startswith("python -m analysis retrieval --model")
    assert [row["title"] for row in data_of(text, "panels")["rows"]] == ["No. 1", "No. 2"]
    assert "<b>one" not in text
    assert len(text) < MOST_BYTES


def test_the_command_line_writes_a_page(
    videos: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    branch = example_branch()
    model = save_model(tmp_path / "tiny.safetensors", branch, branch)
    words = ["--model", str(model), "--video_i", str(videos[0]), "--maps", "contribution"]
    out = tmp_path / "view.html"
    assert make_maps([*words, "--scale", "map", "--fine", "2", "--out", str(out)]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    values = data_of(out.read_text())
    assert values["command"].endswith(f"--scale map --fine 2 --out {out}")
    assert values["maps"]["rsp.i"]["grid"]["cells"] == [2, 4, 4]
    assert make_maps([*words[:4], "--maps", "eq2", "margin", "--out", str(out)]) == 2
    assert "a page shows one kind of map, got eq2, margin: name one" in capsys.readouterr().err
