"""Class activation maps on Compare: of a classifier, or what is needed for one."""

import csv
import io
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

import analysis
from analysis.attribution.class_map import explain_classes
from analysis.cli.maps import main as make_maps
from dashboard.app_pages.compare import export
from dashboard.base.arguments import Arguments
from dashboard.base.style import signed
from dashboard.overlays import maps
from dashboard.overlays.options import DisplayOptions
from dashboard.overlays.request import resolve
from dashboard.overlays.selection import Selection
from dashboard.services import classifiers, galleries, models
from dashboard.services.models import Loaded
from dashboard.widgets.controls import first_pair
from rspnet.models import Branch
from rspnet.recognition.classifier import load_classifier
from tests.dashboard.conftest import Open, texts, write_classifier, write_run


@pytest.fixture
def runs(planted_branch: Branch, tmp_path: Path) -> Path:
    """A folder of runs: a pre-training and a classifier."""
    write_run(tmp_path / "runs" / "first")
    write_classifier(tmp_path / "runs" / "deep" / "actions", planted_branch)
    return tmp_path / "runs"


def test_without_a_classifier_it_is_said_what_is_needed(
    open_app: Open, planted_model: Path, planted_videos: Path, tmp_path: Path
) -> None:
    write_run(tmp_path / "runs" / "first")
    given = ("--model", str(planted_model), "--videos", str(planted_videos))
    for root in (tmp_path / "runs", tmp_path / "nowhere"):
        app = open_app(*given, "--runs", str(root), map="cam")
        assert not app.exception
        assert not app.error
        (info,) = app.info
        assert f"there is no classifier below `{root}`" in info.value
        assert f"python -m rspnet.finetune --model {planted_model} --data.name folder" in info.value
        assert "facts-" not in texts(app)
    app.button_group("map").set_value("contribution").run()
    assert not app.info
    assert "facts-rsp" in texts(app)


def test_numbers_are_those_of_the_classifier(
    open_app: Open, planted_model: Path, planted_videos: Path, runs: Path
) -> None:
    given = ("--model", str(planted_model), "--videos", str(planted_videos), "--runs", str(runs))
    app = open_app(*given, map="cam", classifier="deep/actions", i="left/clip_3.mp4", i_start="4")
    assert not app.exception
    assert not app.warning
    assert app.query_params["classifier"] == "deep/actions"
    page = texts(app)
    model = load_classifier(runs / "deep" / "actions" / classifiers.FILE)
    view = analysis.load_view(planted_videos / "left" / "clip_3.mp4", 16, 112, start=4)
    found = explain_classes(model, view)
    for one in found:
        assert one.name in page
        assert signed(one.clip_map.score, 3) in page
        assert f"{one.probability:.1%}" in page
    assert "Similarity" not in page
    app.query_params["classifier"] = "../actions"
    app.run()
    assert any("the classifier `../actions`, which is not here" in w.value for w in app.warning)
    assert not app.exception


def test_a_damaged_or_unfit_classifier_is_said(
    open_app: Open,
    planted_model: Path,
    planted_videos: Path,
    planted_branch: Branch,
    tmp_path: Path,
) -> None:
    root = tmp_path / "runs"
    path = write_classifier(root / "short", planted_branch, num_frames=8)
    given = ("--model", str(planted_model), "--videos", str(planted_videos), "--runs", str(root))
    app = open_app(*given, map="cam")
    assert not app.exception
    assert "takes clips of 8 frames, and those of the model chosen have 16" in app.error[0].value
    path.write_bytes(b"torn")
    app = open_app(*given, map="cam")
    assert not app.exception
    assert "is not a safetensors file" in app.error[0].value
    path.unlink()
    outside = write_classifier(tmp_path / "outside", planted_branch)
    path.symlink_to(outside)
    assert classifiers.list_classifiers(Arguments(runs=root)) == []


@pytest.fixture
def selection(planted_model: Path, planted_videos: Path, runs: Path) -> tuple[Selection, Loaded]:
    arguments = Arguments(videos=planted_videos, model=planted_model, runs=runs)
    source = galleries.open_source(galleries.OWN, arguments)
    pair = first_pair(source, 16, 1)
    assert pair is not None
    (classifier,) = classifiers.list_classifiers(arguments)
    choice = models.list_choices(arguments)[0]
    return Selection(choice, source, *pair, DisplayOptions(kind="cam"), classifier), models.load(
        choice
    )


def test_what_is_handed_out(selection: tuple[Selection, Loaded], tmp_path: Path) -> None:
    chosen, loaded = selection
    files = export.files_of(chosen, resolve(chosen), loaded, "name")
    made = {Path(file.name).suffix: file.make() for file in files}
    assert made[".png"].startswith(b"\x89PNG")
    (tmp_path / "film.mp4").write_bytes(made[".mp4"])
    assert cv2.VideoCapture(str(tmp_path / "film.mp4")).read()[0]
    about = json.loads(made[".json"])
    assert set(about["classes"].values()) == {"red", "blue"}
    assert "similarity" not in about
    rows = list(csv.DictReader(io.StringIO(made[".csv"].decode())))
    total = sum(float(r["value"]) for r in rows if (r["head"], r["clip"]) == ("red", "c_j"))
    both = maps.maps_of(resolve(chosen), loaded).rows["class1"]
    assert both[1].score == pytest.approx(total, abs=1e-5)


def test_the_commands_give_the_maps(selection: tuple[Selection, Loaded], tmp_path: Path) -> None:
    chosen, loaded = selection
    request = resolve(chosen)
    found = maps.maps_of(request, loaded)
    commands = export.commands_of(chosen, request, str(tmp_path / "name"))
    (command,) = (c for c in commands if c.title.startswith("These maps"))
    assert make_maps([*command.words[4:], "--pictures", "false"]) == 0
    for row, both in found.rows.items():
        for side, own in zip("ij", both, strict=True):
            stored = analysis.ClipMap.load(tmp_path / "name" / f"cam_{row}_{side}.npz")
            np.testing.assert_allclose(stored.values, own.values, atol=1e-12)
            assert (stored.clip, stored.head) == (own.clip, "classifier")
