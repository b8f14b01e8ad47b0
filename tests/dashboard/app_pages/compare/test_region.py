"""A region drawn on a clip, and what changes when it shows something else."""

import re
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import analysis
from analysis.regions.motion import share_inside
from analysis.stimuli.edit import How
from dashboard.base.style import signed
from rspnet import load_model
from rspnet.data.video.encode import write_video
from tests.dashboard.conftest import Open, texts
from tests.dashboard.tiny import save_tiny_model, write_tiny_videos

REGION = "0.2,0.1,0.7,0.8"


@pytest.fixture
def given(tmp_path: Path) -> tuple[str, ...]:
    (tmp_path / "videos").mkdir()
    videos = write_tiny_videos(tmp_path / "videos")
    return "--model", str(save_tiny_model(tmp_path)), "--videos", str(videos)


def row(app: AppTest, head: str) -> str:
    return texts(app).split(f'data-testid="edit-{head}"')[1].split("</tr>")[0]


def test_edited_numbers_are_those_of_analysis(given: tuple[str, ...], open_app: Open) -> None:
    _, model, _, videos = given
    path = Path(videos) / "a_long.mp4"
    query, key = load_model(model, "query"), load_model(model, "key")
    link = {"i": "a_long.mp4", "j": "a_long.mp4", "i_start": "2", "j_start": "20"}
    app = open_app(*given, map="contribution", region=f"{REGION},3,6", edit="speed2", **link)
    assert not app.exception
    assert not app.warning
    c_i = analysis.load_view(path, 8, 32, start=2)
    c_j = analysis.load_view(path, 8, 32, start=20)
    fast = analysis.load_view(path, 8, 32, start=2, speed=2)
    mask = np.zeros((8, 32, 32), bool)
    mask[2:6, 3:26, 6:22] = True  # pixels whose middle lies in 3.2 to 25.6 and 6.4 to 22.4
    edits: list[tuple[str, How, analysis.View | None]] = [
        ("speed2", "speed", fast), ("swap", "swap", c_j), ("freeze", "freeze", None),
    ]  # fmt: skip
    for how, kind, other in edits:
        app.button_group("region_how").set_value(how).run()
        assert app.query_params["edit"] == how
        edited = analysis.edit_region(c_i, mask, kind, other)
        before, after = (
            analysis.explain_kind("contribution", analysis.PairClips.of(query, key, c, c_j))
            for c in (c_i, edited)
        )
        for head in ("rsp", "avid"):
            said, (own, new) = row(app, head), (f.similarity[head] for f in (before, after))
            assert f"{signed(own, 4)} &rarr; {signed(new, 4)}" in said
            assert f"<b>{signed(new - own, 4)}</b>" in said
            shares = [
                share_inside(f.rows[head][0].values, mask, f.rows[head][0].grid)
                for f in (before, after)
            ]
            assert (
                " &rarr; ".join(
                    f'{p.share:.0%} <span class="dim">of {p.area:.0%}</span>' for p in shares
                )
                in said
            )
    # A margin is over the same negatives before and after.
    app.button_group("map").set_value("margin").run()
    assert row(app, "avid").count("&rarr;") == 3
    facts = texts(app).split('data-testid="facts-avid"')[1]
    margin = re.search(r"[+\N{MINUS SIGN}]\d\.\d{4}", facts)
    assert margin
    assert f"{margin[0]} &rarr; " in row(app, "avid")
    assert not app.exception
    app.button("region_clear").click().run()
    assert "edit-rsp" not in texts(app)
    assert not {"region", "edit", "region_of"} & set(app.query_params)


def test_a_region_of_the_second_clip_is_edited_in_the_same_way(
    given: tuple[str, ...], open_app: Open
) -> None:
    _, model, _, videos = given
    path = Path(videos) / "a_long.mp4"
    query, key = load_model(model, "query"), load_model(model, "key")
    link = {"i": "a_long.mp4", "j": "a_long.mp4", "i_start": "2", "j_start": "20"}
    app = open_app(*given, map="margin", region=REGION, region_of="j", edit="swap", **link)
    assert not app.exception
    assert app.button_group("region_side").value == "j"
    assert {k: app.query_params[k] for k in ("region_of", "edit")} == {
        "region_of": "j",
        "edit": "swap",
    }
    c_i, c_j = (analysis.load_view(path, 8, 32, start=start) for start in (2, 20))
    fast = analysis.load_view(path, 8, 32, start=20, speed=2)
    mask = np.zeros((8, 32, 32), bool)
    mask[:, 3:26, 6:22] = True
    edited = analysis.edit_region(c_j, mask, "swap", c_i)
    pairs = [analysis.PairClips.of(query, key, c_i, c, view_k=fast) for c in (c_j, edited)]
    before, after = (analysis.explain_kind("margin", pair) for pair in pairs)
    said = row(app, "rsp")
    for own, new in (
        (before.similarity["rsp"], after.similarity["rsp"]),
        (before.score("rsp"), after.score("rsp")),
    ):
        assert f"{signed(own, 4)} &rarr; {signed(new, 4)}" in said
    for found in (before, after):
        own = found.rows["rsp"][1]
        part = share_inside(own.values, mask, own.grid)
        assert f'{part.share:.0%} <span class="dim">of {part.area:.0%}' in said
    assert "In the region, <span" in texts(app)
    assert "Map of RSP on c_j edited" in texts(app)
    # The same region of the other clip, by the control.
    app.button_group("region_side").set_value("i").run()
    assert "region_of" not in app.query_params
    assert "Map of RSP on c_i edited" in texts(app)
    assert not app.exception


def test_what_can_not_be_edited_is_said(
    given: tuple[str, ...], open_app: Open, tmp_path: Path
) -> None:
    def said(**link: str) -> str:
        app = open_app(*given, map="contribution", **link)
        assert not app.exception
        boxes = (*app.warning, *app.error, *app.info, *app.caption)
        return " ".join([*(box.value for box in boxes), texts(app)])

    assert "drag over a frame of <span" in said()
    assert "a region of clip `k`, it can be `i` or `j`" in said(region=REGION, region_of="k")
    assert "draws the region `0,0,2,1`, it can be left, top" in said(region="0,0,2,1")
    assert "edits the region by `burn`, it can be freeze" in said(region=REGION, edit="burn")
    assert "can't be played at 2x" in said(region=REGION, edit="speed2", i_speed="2")
    assert "covers no pixel of the clip" in said(region="0.4,0.4,0.401,0.9", edit="blur")
    assert "covers no pixel of the clip" in said(region=f"{REGION},30,40", edit="blur")
    still = np.full((40, 48, 64, 3), 90, np.uint8)
    write_video(tmp_path / "videos" / "still.mp4", still, 25.0, preset="ultrafast")
    assert "This edit changes no pixel" in said(region=REGION, edit="freeze", i="still.mp4")
