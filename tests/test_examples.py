"""The examples run, and show what they say."""

import sys
from importlib import util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from analysis.attribution.registry import MAP_KINDS
from analysis.core.table import StudyTable
from analysis.studies import registry
from rspnet.data.synthetic.videos import render_video
from rspnet.data.video.encode import write_video

EXAMPLES = Path(__file__).parents[1] / "examples"


def load(name: str) -> ModuleType:
    spec = util.spec_from_file_location(f"examples_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_minimal_pretraining_learns_relative_speed() -> None:
    log = load("pretrain_minimal").train(num_steps=60, log_every=20)
    accuracies = [rsp for rsp, _ in log]
    assert len(accuracies) == 3
    assert accuracies[0] < 0.8 < accuracies[-1]


def test_explain_pair_writes_maps_that_sum_to_their_scores(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = render_video(9, 13, num_frames=48)
    video = tmp_path / "run.mp4"
    write_video(video, made.frames, made.fps)
    scores = load("explain_pair").main(str(video), "default", tmp_path)
    printed = capsys.readouterr().out
    for name in ("rsp", "avid"):
        assert f"{name}: s = {scores[name]:+.4f} = {scores[name]:+.4f}" in printed
    with np.load(tmp_path / "pair.npz") as stored:
        total = float(stored["rsp.contribution_i"].sum())
    assert total == pytest.approx(scores["rsp"], abs=1e-6)
    with np.load(tmp_path / "margin.npz") as stored:
        assert float(stored["i"].sum()) == pytest.approx(scores["margin"], abs=1e-6)
    assert (tmp_path / "margin.png").is_file()


def test_a_kind_of_map_is_one_function(tmp_path: Path) -> None:
    module = load("add_a_map")
    try:
        words = ["maps", "--maps", "[margin_in_time]", "--pictures", "false"]
        assert module.main([*words, "--out", str(tmp_path)]) == 0
        for head in ("rsp", "avid"):
            with np.load(tmp_path / f"margin_in_time_{head}_i.npz") as stored:
                assert np.abs(stored["values"].sum(axis=0)).max() < 1e-12
                assert np.abs(stored["values"]).max() > 0
    finally:
        MAP_KINDS.remove("margin_in_time")


def test_a_study_is_one_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = load("add_a_study")
    try:
        out = tmp_path / "standstill.json"
        assert module.main(["standstill", "--num_videos", "4", "--out", str(out)]) == 0
        table = StudyTable.load(out)
        trained, untrained = (
            table.one(weights=weights, head="rsp")["distance"].value
            for weights in ("trained", "random weights")
        )
        assert trained > 0.3 > untrained
        assert f"RSP {trained:.2f}" in capsys.readouterr().out
    finally:
        del registry._STUDIES["standstill"]


def test_the_notebook_runs() -> None:
    nbformat = pytest.importorskip("nbformat", reason="needs requirements-docs.txt")
    nbclient = pytest.importorskip("nbclient", reason="needs requirements-docs.txt")
    pytest.importorskip("ipykernel", reason="needs requirements-docs.txt")
    notebook = nbformat.read(EXAMPLES / "explain_pair.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)  # committed without outputs
    resources = {"metadata": {"path": str(EXAMPLES.parent)}}
    nbclient.NotebookClient(notebook, timeout=120, resources=resources).execute()
    printed = "".join(
        output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", [])
    )
    sums = [line.split(" = ") for line in printed.splitlines() if "sum of the map" in line]
    assert len(sums) == 4
    for parts in sums:
        assert float(parts[1].split(",")[0]) == pytest.approx(float(parts[2]), abs=2e-6)
    ratios = notebook.cells[-1].outputs[0]["data"]["text/plain"]
    rsp, avid = (float(part.split(":")[1].strip(" }")) for part in ratios.split(","))
    assert rsp > 2 > avid
