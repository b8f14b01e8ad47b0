"""The report of a tiny model: all its parts, going on after a stop, and models side by side."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from analysis.cli.compare import main as compare
from analysis.cli.report import main
from analysis.report import parts
from analysis.report import report as module
from analysis.report.compare import rows_of, selectivity_gain
from analysis.report.parts import Found, ReportConfig
from rspnet.data.synthetic.videos import render_video
from rspnet.data.video.encode import write_video
from rspnet.models import Branch
from rspnet.weights.checkpoint import save_model


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder, out = tmp_path_factory.mktemp("models"), []
    for seed in (0, 1):
        torch.manual_seed(seed)
        options = {"width": 2, "stem_kernel": (1, 3, 3)}
        pair = [Branch("resnet18_fine", options, num_frames=8, size=32) for _ in range(2)]
        out.append(save_model(folder / f"m{seed}.safetensors", *pair))
    return out


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV of generated videos: four to search, three to ask."""
    folder = tmp_path_factory.mktemp("data")
    with (folder / "list.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "split"])
        for index in range(7):
            write_video(folder / f"{index}.mp4", render_video(77, index).frames[:40], 25)
            rows.writerow([f"{index}.mp4", "ab"[index % 2], "train" if index < 4 else "test"])
    return folder / "list.csv"


@pytest.fixture(scope="module")
def small() -> "pytest.Generator":
    patch = pytest.MonkeyPatch()
    patch.setattr(parts, "_NUM_SYNTHETIC", 3)
    yield
    patch.undo()


SMALL = [
    *("--num_generated", "2", "--num_videos", "3", "--num_random", "1"),
    *("--num_examples", "1", "--num_workers", "1"),
]


@pytest.fixture(scope="module")
def made(small: None, models: list[Path], data: Path, tmp_path_factory: pytest.TempPathFactory):
    out = tmp_path_factory.mktemp("report") / "page.html"
    words = ["--model", str(models[0]), "--data.name", "csv", "--data.annotations", str(data)]
    words += [*SMALL, "--out", str(out)]
    assert main(words) == 0
    return out, words


def test_every_part_is_on_the_page_with_its_numbers(made) -> None:
    out, words = made
    page = out.read_text()
    numbers = json.loads(out.with_suffix(".json").read_text())
    assert numbers["model_hash"] in page
    assert words[1] in page  # the command that makes it again
    for name in (*parts.PARTS, "headline"):
        assert f'id="{name}"' in page
    assert "Left out" not in page
    # Planted regions, responses of two kinds of videos, examples of two heads.
    assert page.count("<img") == 1 + 2 + 2
    found = Found.from_json(numbers["found"])
    assert json.loads(json.dumps(found.to_json())) == numbers["found"]
    assert found.retrieval["num_queries"] == 3
    assert found.retrieval["num_gallery"] == 4
    assert set(found.responses) == set(found.faithfulness) == {"generated", "real"}
    assert found.flow.num_videos == 3
    assert found.planted.of().num_videos == 2
    # The numbers of the page are those of the file.
    ratio = found.planted.of().row("margin_faster", "rsp", "limbs").ratio
    assert f"{ratio.value:.2f}<small>" in page


def test_the_same_command_computes_nothing_anew(made, monkeypatch: pytest.MonkeyPatch) -> None:
    out, words = made
    before = out.with_suffix(".json").read_text()

    def never(*args: object, **kwargs: object) -> None:
        raise AssertionError("computed again")

    for name in ("localisation_study", "response_study", "flow_study", "faithfulness_study",
                 "sanity_study", "evaluate", "extract", "generate"):  # fmt: skip
        monkeypatch.setattr(parts, name, never)
    assert main(words) == 0
    assert out.with_suffix(".json").read_text() == before


def test_parts_left_out_say_so(small: None, models: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "little.html"
    skipped = ["pretext", "retrieval", "planted", "faithfulness", "sanity", "examples"]
    words = ["--model", str(models[0]), *SMALL, "--skip", json.dumps(skipped), "--out", str(out)]
    assert main(words) == 0
    page = out.read_text()
    assert page.count("Left out: not asked for") == 6
    assert "Left out: no real videos were given" in page
    found = Found.from_json(json.loads(out.with_suffix(".json").read_text())["found"])
    assert set(found.responses) == {"generated"}
    assert found.flow is None


def test_models_side_by_side(small: None, models: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "both.html"
    skipped = ["pretext", "retrieval", "planted", "faithfulness", "sanity", "examples"]
    words = [*map(str, models), *SMALL, "--skip", json.dumps(skipped), "--out", str(out)]
    assert compare(words) == 0
    numbers = json.loads(out.with_suffix(".json").read_text())
    assert list(numbers["models"]) == ["m0", "m1"]
    found = [
        Found.from_json(json.loads((tmp_path / f"m{n}.json").read_text())["found"]) for n in (0, 1)
    ]
    rows = dict(rows_of(found))
    assert set(rows) == set(numbers["rows"])
    name = "motion selectivity, RSP, generated videos"
    first, second = rows[name]
    gain = selectivity_gain(found[1].responses["generated"], found[0].responses["generated"], "rsp")
    assert gain.value == pytest.approx(second.value - first.value)
    assert numbers["paired"][name] == [gain.to_json()]
    nothing = selectivity_gain(
        found[0].responses["generated"], found[0].responses["generated"], "rsp"
    )
    assert (nothing.value, nothing.low, nothing.high) == (0, 0, 0)


def test_bad_input_ends_in_a_sentence(
    models: list[Path], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    model, out = ["--model", str(models[0])], ["--out", str(tmp_path / "r.html")]
    for words, message in (
        ([*model, "--out", "r.pdf"], "written as .html"),
        ([*model, *out, "--num_videos", "1"], "num_videos is at least 2"),
        ([*model, *out, "--skip", '["flows"]'], "flows"),
        (["--model", "none.safetensors", *out], "none.safetensors"),
        ([*model, *out, "--data.name", "csv", "--data.root", str(tmp_path / "none")], "no folder"),
    ):
        assert main(words) == 2
        assert message in capsys.readouterr().err
    assert compare([str(models[0]), *out]) == 2
    assert "at least two models" in capsys.readouterr().err
    assert compare([str(models[0])] * 2 + out) == 2
    assert "same file" in capsys.readouterr().err
    assert compare([]) == 2
    assert "missing: MODEL" in capsys.readouterr().err
    assert not (tmp_path / "r.html").exists()


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        ReportConfig(num_random=0)
    assert np.isfinite(ReportConfig().max_speed)
    assert module.FORMAT == "rspnet-report"
