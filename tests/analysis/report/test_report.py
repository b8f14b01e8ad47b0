"""The report of a tiny model: all its studies, resuming after a stop, and models side by side."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from analysis.cli.compare import main as compare
from analysis.cli.report import main
from analysis.report.compare import paired_rows, rows_of
from analysis.report.results import EXAMPLES, ReportConfig, ReportResults
from analysis.studies.registry import list_studies
from rspnet.data.synthetic.render import draw_factors, render
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
    """A CSV of synthetic videos: four in the gallery, three queries."""
    folder = tmp_path_factory.mktemp("data")
    with (folder / "list.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "split"])
        for index in range(7):
            video = render(replace(draw_factors(77, index), num_frames=40))
            write_video(folder / f"{index}.mp4", video.frames[:, ::2, ::2], 25)
            rows.writerow([f"{index}.mp4", "ab"[index % 2], "train" if index < 4 else "test"])
    return folder / "list.csv"


SMALL = [
    *("--num_synthetic", "2", "--num_videos", "3", "--num_random", "1", "--num_evaluated", "3"),
    *("--num_examples", "1", "--num_workers", "1"),
]


@pytest.fixture(scope="module")
def made(
    models: list[Path], data: Path, tmp_path_factory: pytest.TempPathFactory, few_resamples: None
):
    out = tmp_path_factory.mktemp("report") / "page.html"
    words = ["--model", str(models[0]), "--data.name", "csv", "--data.annotations", str(data)]
    words += [*SMALL, "--out", str(out)]
    assert main(words) == 0
    return out, words


def read(path: Path) -> ReportResults:
    return ReportResults.from_json(json.loads(path.with_suffix(".json").read_text()))


def test_every_study_is_on_the_page_with_its_numbers(made) -> None:
    out, words = made
    page = out.read_text()
    results = read(out)
    assert results.model_hash in page
    assert words[1] in page  # the command that makes it again
    names = [study.name for study in list_studies()]
    places = [page.index(f'id="{name}"') for name in ("headline", *names, EXAMPLES)]
    assert places == sorted(places)
    assert "Skipped: " not in page
    # A picture of each table that has figures, and three of the examples.
    tables = [(s, t) for s in list_studies() for t in results.tables[s.name].values()]
    assert page.count("<img") == sum(bool(s.figures(t)) for s, t in tables) + 3
    assert json.loads(json.dumps(results.to_json())) == results.to_json()
    assert list(results.tables) == names
    retrieval = results.tables["class_retrieval"]["real"]
    assert retrieval.num_videos == 3
    assert retrieval.settings["gallery"]["num_videos"] == 4
    for name in ("responses", "faithfulness", "pretext_tasks"):
        assert list(results.tables[name]) == ["synthetic", "real"]
    assert results.tables["optical_flow"]["real"].num_videos == 3
    localisation = results.tables["localisation"]["synthetic"]
    assert localisation.num_videos == 2
    # The numbers of the page are those of the file.
    keys = {"kind": "margin_faster", "head": "rsp", "region": "limbs", "speed": "both"}
    ratio = localisation.one(weights="trained", **keys)["ratio"]
    assert f"{ratio.value:.2f} <small>" in page


def test_the_same_command_computes_nothing_anew(made, monkeypatch: pytest.MonkeyPatch) -> None:
    out, words = made
    before = out.with_suffix(".json").read_text()

    def never(*args: object, **kwargs: object) -> None:
        raise AssertionError("computed again")

    def blank(figure: Figure, file: IO[bytes], **words: object) -> None:
        file.write(b"\x89PNG\r\n\x1a\n")

    monkeypatch.setattr(Figure, "savefig", blank)  # pictures are drawn again, and were looked at
    for study in list_studies():
        monkeypatch.setattr(type(study), "measure", never)
    assert main(words) == 0
    assert out.with_suffix(".json").read_text() == before


def skipped_but(*kept: str) -> list[str]:
    """What --skip names for a report of a few studies."""
    return [*(study.name for study in list_studies() if study.name not in kept), EXAMPLES]


def test_skipped_studies_say_so(models: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "little.html"
    named = skipped_but("responses", "optical_flow")
    words = ["--model", str(models[0]), *SMALL, "--skip", json.dumps(named), "--out", str(out)]
    assert main(words) == 0
    page = out.read_text()
    assert page.count("Skipped: named by --skip") == len(named)
    assert "Skipped: no real videos were given" in page
    results = read(out)
    assert list(results.tables) == ["responses"]
    assert list(results.tables["responses"]) == ["synthetic"]


def test_models_side_by_side(models: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "both.html"
    words = [*map(str, models), *SMALL, "--out", str(out)]
    words += ["--skip", json.dumps(skipped_but("responses", "optical_flow"))]
    assert compare(words) == 0
    numbers = json.loads(out.with_suffix(".json").read_text())
    assert list(numbers["models"]) == ["m0", "m1"]
    results = [read(tmp_path / f"m{n}.html") for n in (0, 1)]
    rows = dict(rows_of(results))
    assert set(rows) == set(numbers["rows"])
    first, second = rows["motion selectivity, synthetic videos, RSP"]
    (gain,) = dict(paired_rows(results))["motion selectivity, RSP, synthetic videos"]
    assert gain.value == pytest.approx(second.value - first.value)
    name = "motion selectivity, RSP, synthetic videos"
    assert numbers["paired"][name] == [gain.to_json()]
    (nothing,) = dict(paired_rows([results[0], results[0]]))[name]
    assert (nothing.value, nothing.low, nothing.high) == (0, 0, 0)


def test_mistakes_end_in_a_sentence(
    models: list[Path], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    model, out = ["--model", str(models[0])], ["--out", str(tmp_path / "r.html")]
    for words, message in (
        ([*model, "--out", "r.pdf"], "written as .html"),
        ([*model, *out, "--num_videos", "1"], "num_videos is at least 2"),
        ([*model, *out, "--skip", '["flows"]'], "skip takes pretext_tasks, "),
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


def test_studies_share_the_settings_of_the_report() -> None:
    config = ReportConfig(num_videos=5, num_synthetic=7, num_random=2, max_speed=2, seed=3)
    made = {
        (study.name, kind): config.of_study(study, kind)
        for study in list_studies()
        for kind in ("synthetic", "real")
    }
    assert made["responses", "real"].max_speed == 2
    assert made["responses", "synthetic"].max_speed == 4
    assert made["localisation", "synthetic"].num_videos == 7
    assert made["sanity", "real"].num_videos == 5
    assert made["sanity", "real"].num_random == 2
    assert {own.seed for own in made.values()} == {3}


def test_an_old_report_says_how_to_make_it_again() -> None:
    old = {"format": "rspnet-report", "version": 1, "found": {}}
    with pytest.raises(
        ValueError, match="version 1; make it again with `python -m analysis report`"
    ):
        ReportResults.from_json(old)
    with pytest.raises(ValueError, match="got format None"):
        ReportResults.from_json([])
