"""A study is one file: what is registered is a command, in the report, and in the comparison."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

import analysis
from analysis.__main__ import main
from analysis.cli.compare import main as compare
from analysis.core.statistics import mean
from analysis.core.table import Row, StudyTable
from analysis.studies import registry
from analysis.studies.registry import (
    KeyNumber,
    Study,
    StudyConfig,
    StudyInputs,
    get_study,
    inputs_of,
    list_studies,
    register_study,
    run_study,
    verdict,
)
from rspnet.models import Branch
from rspnet.weights.checkpoint import save_model


@dataclass(frozen=True, kw_only=True)
class ToyConfig(StudyConfig):
    """How many parameters a model has.

    Attributes:
        num_videos: Counted, not watched.
    """

    num_videos: int = 2


@pytest.fixture
def toy() -> Iterator[None]:
    """A study of which nothing else knows."""

    @register_study
    class Toy(Study[ToyConfig]):
        """How large the weights are."""

        name = "toy"
        title = "Toy study"
        question = "How large are the weights?"
        reading = "Larger is not better."
        needs = "synthetic"
        config = ToyConfig

        def measure(self, inputs: StudyInputs, config: ToyConfig) -> StudyTable:
            sizes = [p.abs().mean().item() for p in inputs.query.parameters()]
            rows = (Row(keys={"head": "rsp"}, values={"size": mean(sizes, seed=config.seed)}),)
            return StudyTable(
                study=self.name,
                rows=rows,
                num_videos=config.num_videos,
                videos="no videos",
                model_hash=inputs.query.hash,
            )

        def finding(self, table: StudyTable) -> str:
            return f"They are {table.one(head='rsp')['size'].value:.3f} large."

        def key_numbers(self, table: StudyTable) -> list[KeyNumber]:
            return [KeyNumber(name="size", values={"rsp": table.one(head="rsp")["size"]})]

    yield
    del registry._STUDIES["toy"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder, out = tmp_path_factory.mktemp("models"), []
    for seed in (0, 1):
        torch.manual_seed(seed)
        options = {"width": 2, "stem_kernel": (1, 3, 3)}
        pair = [Branch("resnet18_fine", options, num_frames=8, size=32) for _ in range(2)]
        out.append(save_model(folder / f"m{seed}.safetensors", *pair))
    return out


def test_a_new_study_is_a_command(
    toy: None, models: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--help"]) == 0
    assert "toy " in capsys.readouterr().out
    out = tmp_path / "toy.json"
    assert main(["toy", "--model", str(models[0]), "--out", str(out), "--num_videos", "3"]) == 0
    table = StudyTable.load(out)
    assert table.num_videos == 3
    printed = capsys.readouterr().out
    assert f"They are {table.rows[0]['size'].value:.3f} large." in printed
    assert "Toy study, 3 no videos" in printed
    again = run_study("toy", model=str(models[0]), num_videos=3, progress=False)
    assert again.to_json() == table.to_json()
    figure = ["--figure", str(tmp_path / "f.png")]
    assert main(["toy", "--model", str(models[0]), "--out", str(out), *figure]) == 2
    assert "this study has tables alone" in capsys.readouterr().err


def test_a_new_study_is_in_the_report_and_in_the_comparison(
    toy: None, models: list[Path], tmp_path: Path
) -> None:
    others = [study.name for study in list_studies() if study.name != "toy"]
    out = tmp_path / "both.html"
    words = ["--skip", json.dumps([*others, "examples"]), "--out", str(out)]
    assert compare([*map(str, models), *words]) == 0
    page = (tmp_path / "m0.html").read_text()
    assert 'id="toy"' in page
    assert "How large are the weights?" in page
    numbers = json.loads(out.with_suffix(".json").read_text())
    assert list(numbers["rows"]) == ["size, RSP"]
    first, second = numbers["rows"]["size, RSP"]
    assert first["value"] != second["value"]
    assert "size, RSP" in out.read_text()


def test_studies_have_names_and_an_order() -> None:
    names = [study.name for study in list_studies()]
    assert (names[0], names[-1]) == ("pretext_tasks", "sanity")
    assert len(set(names)) == len(names)
    for study in list_studies():
        assert get_study(study.name) is study
        assert study.question.endswith("?")
        assert study.config.__doc__
    assert analysis.list_studies is list_studies
    with pytest.raises(ValueError, match="studies are pretext_tasks, .* got 'toy'"):
        get_study("toy")
    with pytest.raises(ValueError, match="there is a study 'sanity' already"):
        register_study(type("Other", (type(get_study("sanity")),), {}))


def test_unknown_commands_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["localization"]) == 2
    assert "no command 'localization'. Did you mean 'localisation'?" in capsys.readouterr().err


def test_inputs_name_the_videos(models: list[Path], video_folder: Path, tmp_path: Path) -> None:
    study = get_study("class_retrieval")
    listed = tmp_path / "list.csv"
    listed.write_text("path,label,split\n" + "class0/v0.mp4,a,train\nclass1/v1.mp4,b,test\n")
    data = analysis_data(listed, video_folder)
    config = study.config(model=str(models[0]), data=data)
    inputs = inputs_of(study, config, progress=False)
    assert inputs.kind == "real"
    assert (inputs.gallery.split, inputs.queries.split) == ("train", "test")
    folder = study.config(model=str(models[0]), videos=str(video_folder))
    found = inputs_of(study, folder, progress=False)
    assert len(found.paths) == 4
    with pytest.raises(ValueError, match="class_retrieval needs labels"):
        study.measure(found, folder)
    assert inputs_of(study, study.config(model=str(models[0]))).kind == "synthetic"


def analysis_data(listed: Path, folder: Path):
    from rspnet.data.datasets.labelled import DatasetConfig

    return DatasetConfig(name="csv", root=str(folder), annotations=str(listed), split="test")


def test_a_verdict_is_as_sure_as_its_interval() -> None:
    values = {"more": [1.0, 2.0], "fewer": [-2.0, -1.0]}
    for says, numbers in values.items():
        assert verdict(mean(numbers), "more", "fewer") == says
    assert verdict(mean([-1.0, 1.0]), "more", "fewer") == "no difference that these videos can show"
