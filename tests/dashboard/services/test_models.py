"""Which models the menu offers: named files, shipped ones, those of runs, and random weights."""

from pathlib import Path

import pytest
import torch

from dashboard.base.arguments import Arguments
from dashboard.services import models
from rspnet import load_model
from tests.dashboard.apps import open_page, texts
from tests.dashboard.conftest import write_run
from tests.dashboard.tiny import save_tiny_model


@pytest.fixture
def arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Arguments:
    """A model, a run that has ended, one under way and one of another kind."""
    monkeypatch.setenv("RSPNET_CACHE", str(tmp_path / "cache"))
    model = save_tiny_model(tmp_path)
    for name in ("good/first", "under_way", "other"):
        write_run(tmp_path / "runs" / name)
    (tmp_path / "runs" / "good" / "first" / "model.safetensors").write_bytes(model.read_bytes())
    return Arguments(model=model, runs=tmp_path / "runs")


def test_models_of_runs_and_random_weights_are_offered(arguments: Arguments) -> None:
    choices = models.list_choices(arguments)
    assert [choice.name for choice in choices] == [
        "tiny", "rspnet-small", "good/first", "random weights",
    ]  # fmt: skip
    trained, *_, random = choices
    assert (random.num_frames, random.size) == (trained.num_frames, trained.size)
    assert not random.path.exists()
    state = torch.get_rng_state()
    for choice in choices:
        models.make_random(choice, choices)
    assert torch.equal(torch.get_rng_state(), state)
    first, made = load_model(trained.path), load_model(random.path)
    assert made.spec() == first.spec()
    assert made.metadata["name"] == "random weights"
    assert models.load(random).query.hash == made.hash


def test_a_run_and_random_weights_can_be_compared(
    arguments: Arguments, planted_videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = ["--model", str(arguments.model), "--runs", str(arguments.runs)]
    argv += ["--videos", str(planted_videos)]
    for name in ("good/first", "random weights"):
        app = open_page("compare", argv, monkeypatch, model=name)
        assert not app.exception
        assert not app.error
        assert not app.warning
        assert app.selectbox("model").value == name
        assert "facts-rsp" in texts(app)


def test_without_a_folder_of_runs_there_are_none(tmp_path: Path) -> None:
    names = [c.name for c in models.list_choices(Arguments(runs=tmp_path / "nowhere"))]
    assert names == ["rspnet-small", "random weights"]
