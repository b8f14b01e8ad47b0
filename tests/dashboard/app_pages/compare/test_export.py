"""What is handed out: the numbers of `analysis`, files that open, commands that run."""

import csv
import io
import json
import shlex
from pathlib import Path

import cv2
import numpy as np
import pytest

import analysis
from analysis.cli.figure1 import main as figure1
from analysis.cli.maps import main as make_maps
from dashboard.app_pages.compare import export as pair_export
from dashboard.base.arguments import ROOT, Arguments, shown_path
from dashboard.overlays import maps, pair_maps
from dashboard.overlays.options import Look
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


def select(arguments: Arguments, **look: str) -> Selection:
    source = galleries.open_source(galleries.OWN, arguments)
    model = models.list_choices(arguments)[0]
    pair = first_pair(source, model.num_frames)
    assert pair is not None
    return Selection(model, source, *pair, Look(**look))


def files(selection: Selection, loaded: Loaded) -> dict[str, bytes]:
    return {
        Path(file.name).suffix: file.make()
        for file in pair_export.files_of(selection, loaded, "name")
    }


def test_a_pair_is_that_of_the_python_api(
    arguments: Arguments, loaded: Loaded, tmp_path: Path
) -> None:
    selection = select(arguments)
    made = files(selection, loaded)
    (tmp_path / "pair.npz").write_bytes(made[".npz"])
    pair = analysis.PairExplanation.load(tmp_path / "pair.npz")
    model = arguments.model
    assert model is not None
    i, j = (
        analysis.load_view(clip.video.path, 16, 112, start=clip.start)
        for clip in (selection.clip_i, selection.clip_j)
    )
    own = analysis.explain_pair(load_model(model), load_model(model, "key"), i.clip, j.clip)
    for head in ("rsp", "avid"):
        np.testing.assert_array_equal(
            pair.heads[head].contribution_i, own.heads[head].contribution_i
        )
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


def test_other_kinds_have_a_strip_and_their_own_maps(arguments: Arguments, loaded: Loaded) -> None:
    selection = select(arguments, kind="margin")
    made = files(selection, loaded)
    assert made[".png"].startswith(b"\x89PNG")
    with np.load(io.BytesIO(made[".npz"])) as stored:
        found = pair_maps.maps_of(maps.asked_of(selection), loaded)
        np.testing.assert_array_equal(stored["avid.i"], found.heads["avid"][0].values)
        assert json.loads(str(stored["manifest"]))["maps"]["avid.i"]["kind"] == "margin"


def test_the_command_gives_the_figure(
    arguments: Arguments, loaded: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    selection = select(arguments, scale="head")
    command = pair_export.commands_of(selection, "it's a name")[0]
    words = shlex.split(command.line)
    assert words == list(command.words)
    assert words[:4] == ["python", "-m", "analysis", "figure1"]
    assert words[words.index("--start") + 1 :][:2] == ["6", "48"]
    monkeypatch.chdir(tmp_path)
    words[-1] = "figure.png"
    assert figure1(words[4:]) == 0
    assert (tmp_path / "figure.png").read_bytes() == files(selection, loaded)[".png"]


@pytest.mark.parametrize(
    "look",
    [
        "margin",
        "still",
        "fine",
        "fine_margin",
        "layer_gradcam",
        "layer_gradcam_margin",
        "occlusion",
        "occlusion_margin",
    ],
)
def test_the_command_gives_the_maps(planted_videos: Path, tmp_path: Path, look: str) -> None:
    # The margins of the planted model are 0 everywhere.
    arguments = Arguments(videos=planted_videos, model=save_tiny_model(tmp_path))
    loaded = models.load(models.list_choices(arguments)[0])
    kind = {"kind": look}
    if look.startswith("fine"):
        kind = {"kind": "margin" if "margin" in look else "contribution", "cells": "fine"}
    selection = select(arguments, **kind)
    asked = maps.asked_of(selection)
    if "occlusion" in look:  # hundreds of passes are not this test's
        (command,) = pair_export.commands_of(selection, "name")
        option = "--witness-margin" if "margin" in look else "--witness"
        place = command.words.index(option)
        assert command.words[place + 1] == "occlusion"
        assert ("--others" in command.words) == ("margin" in look)
        return
    found = pair_maps.maps_of(asked, loaded).heads
    (command,) = pair_export.commands_of(selection, str(tmp_path / "name"))
    assert command.words[:4] == ("python", "-m", "analysis", "maps")
    assert make_maps([*command.words[4:], "--no-pictures"]) == 0
    for head, both in found.items():
        for side, own in zip("ij", both, strict=True):
            assert np.abs(own.values).max() > 1e-6
            name = f"{look}_{head}_{side}"
            if look in ("margin", "still"):
                name = f"margin_{head}"
            if look == "fine_margin":  # of c_j the map is of s
                name = f"fine_margin_{head}" if side == "i" else f"fine_{head}_j"
            array = {"margin": side, "still": "still"}.get(look, "values")
            if (look, side) == ("still", "j"):
                continue
            with np.load(tmp_path / "name" / f"{name}.npz") as stored:
                np.testing.assert_allclose(stored[array], own.values, atol=1e-12)

            if look == "fine_margin":
                stored_map = analysis.ClipMap.load(tmp_path / "name" / f"{name}.npz")
                assert stored_map.score == pytest.approx(own.score, abs=1e-12)
                assert stored_map.grid == own.grid


def test_the_apps_own_command(arguments: Arguments) -> None:
    assert arguments.model is not None
    line = export.app_command(arguments, arguments.model).line
    assert line.startswith("streamlit run dashboard/app.py -- --videos /")
    assert shown_path(ROOT / "checkpoints" / "x") == "checkpoints/x"
