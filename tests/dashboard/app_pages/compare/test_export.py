"""What is handed out: the numbers of `analysis`, files that open, commands that run."""

import csv
import io
import json
import shlex
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

import analysis
from analysis.cli.figure1 import main as figure1
from analysis.cli.maps import main as make_maps
from dashboard.app_pages.compare import export as pair_export
from dashboard.base.arguments import ROOT, Arguments, shown_path
from dashboard.overlays import maps
from dashboard.overlays.options import DisplayOptions
from dashboard.overlays.request import resolve
from dashboard.overlays.selection import Selection
from dashboard.services import galleries, models
from dashboard.services.models import Loaded
from dashboard.widgets import export
from dashboard.widgets.controls import first_pair
from rspnet import load_model
from tests.dashboard.tiny import save_tiny_model


@pytest.fixture
def arguments(planted_model: Path, planted_videos: Path) -> Arguments:
    return Arguments(videos=planted_videos, model=planted_model)


@pytest.fixture
def loaded(arguments: Arguments) -> Loaded:
    return models.load(models.list_choices(arguments)[0])


def select(arguments: Arguments, **display: Any) -> Selection:
    source = galleries.open_source(galleries.OWN, arguments)
    model = models.list_choices(arguments)[0]
    pair = first_pair(source, model.num_frames, 1)
    assert pair is not None
    return Selection(model, source, *pair, DisplayOptions(**display))


def files(selection: Selection, loaded: Loaded) -> dict[str, bytes]:
    return {
        Path(file.name).suffix: file.make()
        for file in pair_export.files_of(selection, resolve(selection), loaded, "name")
    }


def test_a_pair_is_that_of_the_python_api(
    arguments: Arguments, loaded: Loaded, tmp_path: Path
) -> None:
    selection = select(arguments, kind="contribution")
    made = files(selection, loaded)
    model = arguments.model
    assert model is not None
    i, j = (
        analysis.load_view(clip.video.path, 16, 112, start=clip.start)
        for clip in (selection.clip_i, selection.clip_j)
    )
    own = analysis.explain_pair(load_model(model), load_model(model, "key"), i.clip, j.clip)
    with np.load(io.BytesIO(made[".npz"])) as stored:
        for head in ("rsp", "avid"):
            np.testing.assert_array_equal(stored[f"{head}.i"], own.heads[head].contribution_i)
    rows = list(csv.DictReader(io.StringIO(made[".csv"].decode())))
    assert len(rows) == 4 * 4 * 7 * 7
    total = sum(float(r["value"]) for r in rows if (r["head"], r["clip"]) == ("rsp", "c_j"))
    assert total == pytest.approx(own.heads["rsp"].similarity, abs=1e-6)
    assert {r["first_frame"] for r in rows if r["time"] == "0" and r["clip"] == "c_i"} == {"6"}
    about = json.loads(made[".json"])
    assert about["maps"]["rsp.i"]["model_hash"] == loaded.query.hash
    assert about["maps"]["rsp.i"]["clip"]["frame_indices"] == list(range(6, 22))
    assert made[".png"].startswith(b"\x89PNG")
    assert made[".pdf"].startswith(b"%PDF")
    assert b"<svg" in made[".svg"]
    (tmp_path / "film.mp4").write_bytes(made[".mp4"])
    assert cv2.VideoCapture(str(tmp_path / "film.mp4")).read()[0]


def test_other_kinds_have_a_figure_and_their_own_maps(arguments: Arguments, loaded: Loaded) -> None:
    selection = select(arguments, kind="margin")
    made = files(selection, loaded)
    assert made[".png"].startswith(b"\x89PNG")
    with np.load(io.BytesIO(made[".npz"])) as stored:
        found = maps.maps_of(resolve(selection), loaded)
        np.testing.assert_array_equal(stored["avid.i"], found.rows["avid"][0].values)
        assert json.loads(str(stored["manifest"]))["maps"]["avid.i"]["kind"] == "margin"


def test_the_command_gives_the_figure(
    arguments: Arguments, loaded: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    selection = select(arguments, scale="map", cells="raw", opacity=0.5)
    command = pair_export.commands_of(selection, resolve(selection), "it's a name")[0]
    words = shlex.split(command.line)
    assert words == list(command.words)
    assert words[:4] == ["python", "-m", "analysis", "figure1"]
    assert words[words.index("--start_i") + 1] == "6"
    assert words[words.index("--start_j") + 1] == "48"
    assert words[words.index("--map") + 1] == "margin_faster"
    monkeypatch.chdir(tmp_path)
    words[-1] = "figure.png"
    assert figure1(words[4:]) == 0
    made = files(selection, loaded)
    (tmp_path / "made.png").write_bytes(made[".png"])
    own, given = (Image.open(tmp_path / name) for name in ("figure.png", "made.png"))
    np.testing.assert_array_equal(np.asarray(own), np.asarray(given))
    assert own.text["Title"] == given.text["Title"] == "Margin, faster clip"
    own_command = pair_export.commands_of(selection, resolve(selection), "name")[0]
    assert given.text["Description"] == own_command.line
    assert b"Margin, faster clip</dc:title>" in made[".svg"]
    assert b">RSP</text>" in made[".svg"]  # text stays text


def test_the_command_gives_the_page(
    arguments: Arguments, loaded: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    selection = select(arguments, kind="contribution", scale="shared")
    (command,) = (
        c for c in pair_export.commands_of(selection, resolve(selection), "name")
        if c.title.startswith("The page")
    )  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert make_maps(list(command.words[4:])) == 0
    made = (tmp_path / "name.html").read_bytes().replace(b'"speed": 1.0', b'"speed": 1')
    assert made == files(selection, loaded)[".html"]


@pytest.mark.parametrize(
    ("kind", "cells"),
    [
        ("margin_faster", "smooth"),
        ("margin_static", "smooth"),
        ("contribution", "fine"),
        ("margin_faster", "fine"),
        ("layer_gradcam", "smooth"),
        ("layer_gradcam_margin", "smooth"),
    ],
)
def test_the_command_gives_the_maps(
    planted_videos: Path, tmp_path: Path, kind: str, cells: str
) -> None:
    # The margins of the planted model are 0 everywhere.
    arguments = Arguments(videos=planted_videos, model=save_tiny_model(tmp_path))
    loaded = models.load(models.list_choices(arguments)[0])
    selection = select(arguments, kind=kind, cells=cells)
    request = resolve(selection)
    found = maps.maps_of(request, loaded).rows
    commands = pair_export.commands_of(selection, request, str(tmp_path / "name"))
    (command,) = (c for c in commands if c.title.startswith("These maps"))
    assert command.words[:4] == ("python", "-m", "analysis", "maps")
    assert ("--others" in command.words) == ("margin" in kind)
    assert make_maps([*command.words[4:], "--pictures", "false"]) == 0
    prefix = "fine_" if cells == "fine" else ""
    for head, both in found.items():
        for side, own in zip("ij", both, strict=True):
            assert np.abs(own.values).max() > 1e-6
            stored = analysis.ClipMap.load(tmp_path / "name" / f"{prefix}{kind}_{head}_{side}.npz")
            np.testing.assert_allclose(stored.values, own.values, atol=1e-12)
            assert stored.score == pytest.approx(own.score, abs=1e-12)
            assert stored.grid == own.grid


def test_the_apps_own_command(arguments: Arguments) -> None:
    assert arguments.model is not None
    line = export.app_command(arguments, arguments.model).line
    assert line.startswith("streamlit run dashboard/app.py -- --videos /")
    assert shown_path(ROOT / "checkpoints" / "x") == "checkpoints/x"
