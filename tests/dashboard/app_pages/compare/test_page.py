"""The page's logic, as far as Streamlit's AppTest sees it (neither charts nor pictures)."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from streamlit.testing.v1 import AppTest

import analysis
from dashboard.base import links
from dashboard.base.style import signed
from dashboard.overlays.view_model import PairView
from dashboard.services import models
from dashboard.services.embeddings import protocol
from rspnet import VideoReader, load_model
from rspnet.data.transforms import load_clip
from rspnet.retrieval.gallery import embed_videos
from tests.dashboard.apps import SCRIPT, numbers, run_until, texts
from tests.dashboard.conftest import ROOT, Open


def test_first_view_is_a_fast_positive_pair_by_its_margin(open_app: Open) -> None:
    app = open_app()
    assert not app.exception
    assert not app.error
    assert not app.warning
    assert app.selectbox("video_i").value == app.selectbox("video_j").value == "left/clip_1.mp4"
    assert app.session_state["speed_i"] == app.session_state["speed_j"] == 2
    assert (app.slider("start_i").value, app.slider("start_j").value) == (4, 35)
    assert app.slider("start_i").max == 70 - 31
    assert app.query_params["j_start"] == "35"
    assert app.query_params["map"] == "margin_faster"
    said = texts(app)
    # The margin of the shipped model on the synthetic videos is nothing to these.
    assert "This pair opens first because both clips play at 2x, where speed can be seen." in said
    assert re.search(
        r"Moving pixels cover \d+% of .*\. They hold <b>\d+%</b> of the RSP map's positive part",
        said,
    )
    app.button_group("map").set_value("contribution").run()
    assert "opens first" not in texts(app)
    app.button_group("map").set_value("margin_faster").run()
    assert "opens first" in texts(app)
    app.slider("start_i").set_value(3).run()
    assert "opens first" not in texts(app)


def test_the_first_frame_is_where_the_first_rows_map_is_largest() -> None:
    def clip_map(*steps: float) -> analysis.ClipMap:
        grid = analysis.Grid.even(cells=(len(steps), 1, 1), clip=(8, 4, 4))
        values = np.array(steps).reshape(-1, 1, 1)
        return analysis.ClipMap(values, 0.0, "rsp", "contribution", grid)

    rows = {"rsp": (clip_map(-1, -1, 2, 0), clip_map(9, 0)), "avid": (clip_map(9, 0),) * 2}
    view = PairView(analysis.KindMaps(kind="contribution", rows=rows), {}, [])
    assert view.strongest_frame == 4  # of frames 4 and 5 of its step, from 0


def test_numbers_of_the_planted_model(open_app: Open) -> None:
    page = texts(open_app(map="contribution"))
    assert "The maps have 4 x 7 x 7 cells" in page
    assert "drawn over 16 frames of 112 x 112 pixels" in page
    # One feature a head, the same in both clips: each cosine is 1.
    assert page.count("+1.0000 = ") == 2


def test_numbers_of_every_kind_are_those_of_analysis(open_app: Open, planted_videos: Path) -> None:
    link = {"i": "left/clip_1.mp4", "i_start": "2", "j": "left/clip_3.mp4", "j_start": "5"}
    app = open_app(**link, map="margin")
    model = sys.argv[sys.argv.index("--model") + 1]
    query, key = load_model(model, "query"), load_model(model, "key")

    def view(name: str, start: int, speed: int = 1) -> analysis.View:
        return analysis.load_view(planted_videos / name, 16, 112, start=start, speed=speed)

    c_i, c_j = view("left/clip_1.mp4", 2), view("left/clip_3.mp4", 5)
    found = analysis.explain_margin(query, key, "rsp", c_i, c_j, [view("left/clip_3.mp4", 5, 2)])
    assert signed(found.margin, 4) in numbers(app, "rsp")
    app.button_group("map").set_value("margin_static").run()
    assert signed(found.static.score, 4) in numbers(app, "rsp")
    app.button_group("map").set_value("eq2").run()
    pair = analysis.explain_pair(query, key, c_i.clip, c_j.clip)
    for head in ("rsp", "avid"):
        eq2 = pair.heads[head].eq2_i
        assert eq2 is not None
        assert signed(float(eq2.mean()), 4) in numbers(app, head)
    assert "Mean of the map" in texts(app)
    assert not app.exception


def test_fine_grid_and_what_has_none(open_app: Open) -> None:
    app = open_app(map="contribution", cells="fine", scale="map")
    assert not app.warning
    assert "The maps have 4 x 14 x 14 cells, from clips shifted" in texts(app)
    app.button_group("map").set_value("eq2").run()
    assert "4 x 7 x 7 cells" in texts(app)
    assert app.query_params["cells"] == "smooth"
    assert not app.exception


def test_place_and_its_partners(open_app: Open) -> None:
    app = open_app(map="contribution", place="rsp.1.2.1")
    page = texts(app)
    assert "row 3, column 2 of the cells, frames" in page
    assert app.query_params["place"] == "rsp.1.2.1"
    app.button("place_clear").click().run()
    assert 'data-testid="partners"' not in texts(app)
    assert "place" not in app.query_params
    app = open_app(map="contribution", place="rsp.999.1.1")
    (warning,) = app.warning
    assert "the place `rsp.999.1.1`, which is not here: the maps have 4 x 7 x 7" in warning.value
    assert "place" not in app.query_params
    app = open_app(place="rsp.1.2.1", map="margin")
    (warning,) = app.warning
    assert "`rsp.1.2.1`, and this kind of map has no places" in warning.value
    app = open_app(place="<b>")
    assert any("names the place `<b>`" in warning.value for warning in app.warning)
    assert not app.exception


def test_margin_without_anything_to_be_against(
    open_app: Open, planted_model: Path, planted_videos: Path, tmp_path: Path
) -> None:
    (tmp_path / "only.mp4").write_bytes((planted_videos / "left" / "clip_1.mp4").read_bytes())
    app = open_app("--model", str(planted_model), "--videos", str(tmp_path), map="margin")
    assert not app.exception
    assert not app.error
    assert "No row for A-VID: this gallery has no other video that can be read" in texts(app)
    assert "facts-rsp" in texts(app)
    assert "facts-avid" not in texts(app)


def test_link_restores_the_view(open_app: Open) -> None:
    link = {
        "i": "right/clip_2.mp4", "i_start": "3", "i_speed": "2", "j": "left/clip_5.mp4",
        "j_start": "9", "j_speed": "4", "frame": "7", "scale": "head",
    }  # fmt: skip
    app = open_app(**link)
    assert not app.warning
    assert app.selectbox("video_i").value == "right/clip_2.mp4"
    assert app.slider("start_i").value == 3
    assert app.session_state["speed_i"] == 2
    assert app.selectbox("video_j").value == "left/clip_5.mp4"
    assert app.slider("start_j").value == app.slider("start_j").max == 9
    assert app.session_state["speed_j"] == 4
    assert app.session_state["frame"] == 6
    assert app.session_state["scale"] == "head"
    assert {name: app.query_params[name] for name in link} == link


def test_tampered_link_is_said_once_and_left(open_app: Open) -> None:
    app = open_app(i="../../etc/passwd", j_start="1e9", i_speed="3", frame="0", model="<script>")
    assert not app.exception
    said = [warning.value for warning in app.warning]
    assert len(said) == 5
    assert any("`../../etc/passwd`, which is not here" in text for text in said)
    assert any("`3`, it can be 1, 2 or 4" in text for text in said)
    assert app.query_params["i"] == "left/clip_1.mp4"
    app.slider("start_i").set_value(1).run()
    assert not app.warning
    assert "4 x 7 x 7" in texts(app)


def test_back_button_brings_the_view_back(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_app()
    before = dict(app.query_params)
    app.slider("start_i").set_value(20).run()
    assert app.query_params["i_start"] == "20"
    monkeypatch.setattr(links, "_moves_in_history", lambda: True)
    app.query_params.clear()
    app.query_params.update(before)
    app.run()
    assert app.slider("start_i").value == 4


def test_start_follows_a_faster_speed(open_app: Open) -> None:
    app = open_app(j_start="54")
    app.button_group("speed_j").set_value(4).run()
    assert not app.exception
    assert app.slider("start_j").max == 70 - 61
    assert app.slider("start_j").value == 9


@pytest.mark.parametrize(
    ("video", "reason"),
    [("short/nine_frames.mp4", "has 9 frames, and a clip of this model takes 16"),
     ("short/text.mp4", "short/text.mp4")],
)  # fmt: skip
def test_bad_video_is_said_and_left(open_app: Open, video: str, reason: str) -> None:
    app = open_app()
    app.selectbox("video_j").set_value(video).run()
    assert not app.exception
    assert len(app.error) == 1
    assert reason in app.error[0].value
    assert "Choose another video" in app.error[0].value
    app.selectbox("video_j").set_value("left/clip_3.mp4").run()
    assert not app.error
    assert "4 x 7 x 7" in texts(app)


def test_video_that_vanishes(
    open_app: Open, planted_model: Path, planted_videos: Path, tmp_path: Path
) -> None:
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes((planted_videos / "left" / "clip_1.mp4").read_bytes())
    app = open_app("--model", str(planted_model), "--videos", str(tmp_path))
    assert not app.error
    (tmp_path / "a.mp4").unlink()
    app.slider("start_i").set_value(2).run()
    assert not app.exception


def test_wrong_model_files(open_app: Open, planted_videos: Path, tmp_path: Path) -> None:
    text, other = tmp_path / "text.safetensors", tmp_path / "other.safetensors"
    text.write_text("no weights")
    save_file({"x": np.zeros(3, np.float32)}, other)
    for path, reason in (
        (text, "is not a safetensors file"),
        (other, "not an RSPNet model"),
        (tmp_path / "none.safetensors", "expected a .safetensors file written by"),
    ):
        app = open_app("--model", str(path), "--videos", str(planted_videos))
        assert not app.exception
        assert len(app.error) == 1
        assert reason in app.error[0].value
        assert app.selectbox("video_i").value == "left/clip_1.mp4"


def test_no_model_at_all(open_app: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(models, "CHECKPOINTS", tmp_path)
    app = open_app("--num_videos", "4", "--runs", str(tmp_path / "none"))
    assert not app.exception
    assert "python -m rspnet.train" in app.error[0].value


@pytest.mark.parametrize("kind", ["missing", "empty"])
def test_folder_without_videos(
    open_app: Open, planted_model: Path, tmp_path: Path, kind: str
) -> None:
    folder = tmp_path if kind == "empty" else tmp_path / "nowhere"
    app = open_app("--model", str(planted_model), "--videos", str(folder))
    assert not app.exception
    assert "Your videos can't be shown" in app.error[0].value
    assert str(folder) in app.error[0].value.replace("\\", "")


def test_unknown_argument(
    open_app: Open, planted_model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(models, "CHECKPOINTS", tmp_path)
    app = open_app("--model", str(planted_model), "--speed", "9")
    assert not app.exception
    assert "unknown setting 'speed'" in app.error[0].value


def test_maps_are_computed_once(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    extract = analysis.extract_features

    def counted(*args: object, **options: object) -> object:
        calls.append(args)
        return extract(*args, **options)

    monkeypatch.setattr(analysis, "extract_features", counted)
    app = open_app(map="contribution", i_start="11", j_start="31")
    assert len(calls) == 2
    app.session_state["frame"] = 9
    app.run()
    app.button_group("scale").set_value("head").run()
    app.slider("opacity").set_value(50).run()
    app.button_group("cells").set_value("raw").run()
    app.button_group("map").set_value("eq2").run()
    assert len(calls) == 2
    app.slider("start_j").set_value(32).run()
    assert len(calls) == 3
    assert not app.exception


def wait_for_neighbours(app: AppTest) -> str:
    return texts(run_until(app, lambda app: "Nearest to" in texts(app)))


def test_neighbours_are_those_of_the_gallery(
    open_app: Open, planted_model: Path, planted_videos: Path
) -> None:
    app = open_app(i="left/clip_3.mp4", i_start="10")
    page = wait_for_neighbours(app)
    query = load_model(planted_model, "query")
    paths = sorted(planted_videos.rglob("*.mp4"))
    gallery = embed_videos(query, paths, protocol(query), progress=False)
    with VideoReader(planted_videos / "left" / "clip_3.mp4") as reader, torch.inference_mode():
        z = query(load_clip(reader, 10, 16)[0][None])
    for head in ("rsp", "avid"):
        own = planted_videos / "left" / "clip_3.mp4"
        found = gallery.nearest(z[head][0].numpy(), head, 5, exclude=own)
        names = [n.path.relative_to(planted_videos).with_suffix("").as_posix() for n in found]
        shown = re.findall(rf'near-{head}".*?class="what" title="([^"]+)"', page, re.DOTALL)
        assert shown == names
        assert "left/clip_3" not in shown
    assert page.count("same label") == sum("left" in name for name in shown) * 2
    (skipped,) = (c.value for c in app.caption if "Skipped" in c.value)
    assert r"nine\_frames.mp4" in skipped
    assert "text.mp4" in skipped
    app.button(f"near_rsp_{names[0]}.mp4").click().run()
    assert app.selectbox("video_j").value == f"{names[0]}.mp4"
    assert app.session_state["speed_j"] == 1
    assert not app.exception


def test_note_about_the_link_outlives_the_gallery(open_app: Open) -> None:
    app = open_app(i="gone.mp4")
    assert len(app.warning) == 1
    app.session_state[
        "dashboard.base.links.Visit"
    ].draws_again = True  # as when the gallery is done
    app.run()
    assert len(app.warning) == 1
    app.run()
    assert not app.warning


def test_two_sessions_do_not_mix(open_app: Open) -> None:
    one, two = open_app(i="left/clip_1.mp4", frame="1"), open_app(i="right/clip_2.mp4", frame="5")
    one.slider("start_i").set_value(30).run()
    two.slider("start_i").set_value(2).run()
    one.run()
    assert one.slider("start_i").value == 30
    assert (one.query_params["i"], one.query_params["frame"]) == ("left/clip_1.mp4", "1")
    assert (two.query_params["i"], two.query_params["frame"]) == ("right/clip_2.mp4", "5")


def test_controls_and_first_frames_come_before_torch(
    planted_model: Path, planted_videos: Path, tmp_path: Path
) -> None:
    rows = ["path,action,actor,set,prop,index"]
    for index in range(2):
        name = f"clip_{index}.mp4"
        source = next(planted_videos.glob(f"*/{name}"))
        (tmp_path / name).write_bytes(source.read_bytes())
        rows.append(f"{name},walk,{index},0,ball,{index}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    script = f"""
import sys
sys.argv = ["app.py", "--model", {str(planted_model)!r}, "--videos", {str(tmp_path)!r}]
from streamlit.testing.v1 import AppTest
from dashboard.services import models
from dashboard.app_pages.compare import panels
seen = []
draw = panels.draw_waiting
def waiting(selection):
    draw(selection)
    seen.append("torch" in sys.modules)
def load(choice):
    raise ValueError("no further")
panels.draw_waiting, models.load = waiting, load
app = AppTest.from_string({SCRIPT.format(name="compare")!r}, default_timeout=60).run()
assert not app.exception, app.exception
assert app.selectbox("video_i").options[0] == "walk 0 (actor 0, set 0)"
assert seen == [False], seen
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_grey_frames_and_the_row_of_the_difference_are_in_the_link(open_app: Open) -> None:
    app = open_app(map="contribution", frames="grey", rows="difference")
    assert not app.warning
    assert (app.query_params["frames"], app.query_params["rows"]) == ("grey", "difference")
    app.button_group("rows").set_value("heads").run()
    assert app.query_params["rows"] == "heads"
    app = open_app(frames="sepia")
    assert "names the frames `sepia`" in app.warning[0].value
    assert not app.exception
