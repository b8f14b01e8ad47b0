"""Maps of a pretext task on Compare: where a model's own head sees its answer, or why not."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import analysis
from analysis.attribution.task_map import explain_task
from analysis.cli.maps import main as make_maps
from dashboard.app_pages.compare import export
from dashboard.base.arguments import Arguments
from dashboard.base.style import signed
from dashboard.overlays import maps
from dashboard.overlays.options import DisplayOptions, menu
from dashboard.overlays.request import resolve
from dashboard.overlays.selection import Selection
from dashboard.services import galleries, models
from dashboard.widgets.controls import first_pair
from rspnet.models import Branch
from rspnet.pretext.method import METHODS
from rspnet.pretext.task import LinearTask, TaskHead, load_task
from rspnet.weights.checkpoint import save_model
from tests.dashboard.conftest import Open, texts
from tests.rspnet.pretext.test_task import toy  # noqa: F401  (registers test_speeds)

SPEC = {"method": "test_speeds", "settings": {"num": 2}}


@pytest.fixture
def model(planted_branch: Branch, tmp_path: Path) -> Path:
    """Red things are fast, blue ones slow."""
    head = LinearTask(planted_branch.num_features, ["1x", "2x"])
    with torch.no_grad():
        head.fc.weight.zero_()
        head.fc.weight[1, 0] = head.fc.weight[0, 1] = 1.0
        head.fc.bias.copy_(torch.tensor([0.0, 0.5]))
    return save_model(
        tmp_path / "speeds.safetensors", planted_branch, planted_branch, task=(SPEC, head)
    )


def test_it_opens_first_with_the_numbers_of_the_task(
    open_app: Open, model: Path, planted_videos: Path
) -> None:
    given = ("--model", str(model), "--videos", str(planted_videos))
    app = open_app(*given, i="left/clip_3.mp4", i_start="4", i_speed="1")
    assert not app.exception
    assert not app.warning
    assert app.query_params["map"] == "task"
    assert app.button_group("map").options[0] == "Pretext task"
    page = texts(app)
    task = load_task(model)
    view = analysis.load_view(planted_videos / "left" / "clip_3.mp4", 16, 112, start=4)
    faster, answer = explain_task(task, [view], "2x", ["1x"]), explain_task(task, [view])
    for one in (faster, answer):
        assert one.title in page
        assert f"{one.probability:.1%}" in page
        assert signed(float(one.maps[0].values.sum()), 3) in page
        assert signed(-one.offset, 3) in page
    assert "Similarity" not in page
    app.button_group("map").set_value("contribution").run()
    assert "trained by test_speeds, and its own map is Pretext task" in texts(app)
    assert not app.exception


def test_a_model_without_a_task_does_not_offer_it(open_app: Open) -> None:
    assert "task" not in menu()
    app = open_app(map="task")
    assert not app.exception
    assert "which is of a model with the head of one" in app.warning[0].value
    assert app.button_group("map").value == "margin_faster"


class Three(TaskHead):
    """About three clips."""

    classes, num_clips = ("a", "b"), 3

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.fc = torch.nn.Linear(num_features, 2)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        logits: Tensor = self.fc(sum(F.mean((2, 3, 4)) for F in features))
        return logits


def test_why_a_task_of_several_clips_has_no_map_of_a_pair(
    open_app: Open,
    planted_branch: Branch,
    planted_videos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(METHODS["test_speeds"], "head", lambda num, _settings: Three(num))
    head = Three(planted_branch.num_features)
    branches = (planted_branch, planted_branch)
    model = save_model(tmp_path / "three.safetensors", *branches, task=(SPEC, head))
    app = open_app("--model", str(model), "--videos", str(planted_videos))
    assert not app.exception
    assert not app.error
    assert "test_speeds answers about 3 clips of a video at once" in app.info[0].value
    app.button_group("map").set_value("contribution").run()
    assert not app.info
    assert "facts-rsp" in texts(app)


def test_what_is_handed_out(model: Path, planted_videos: Path, tmp_path: Path) -> None:
    arguments = Arguments(videos=planted_videos, model=model)
    source = galleries.open_source(galleries.OWN, arguments)
    pair = first_pair(source, 16, 1)
    assert pair is not None
    choice = models.list_choices(arguments)[0]
    assert choice.task == "test_speeds"
    chosen, loaded = (
        Selection(choice, source, *pair, DisplayOptions(kind="task")),
        models.load(choice),
    )
    request = resolve(chosen)
    files = export.files_of(chosen, request, loaded, "name")
    made = {Path(f.name).suffix: f.make() for f in files if f.name.endswith((".json", ".csv"))}
    about = json.loads(made[".json"])
    assert about["classes"]["margin"] == "2x \N{MINUS SIGN} 1x"
    assert about["offset"]["margin"] == pytest.approx([0.5, 0.5])
    rows = list(csv.DictReader(io.StringIO(made[".csv"].decode())))
    assert {row["clip"] for row in rows} == {"c_i", "c_j"}
    found = maps.maps_of(request, loaded)
    commands = export.commands_of(chosen, request, str(tmp_path / "name"))
    (command,) = (c for c in commands if c.title.startswith("These maps"))
    assert make_maps([*command.words[4:], "--pictures", "false"]) == 0
    for row, both in found.rows.items():
        for side, own in zip("ij", both, strict=True):
            stored = analysis.ClipMap.load(tmp_path / "name" / f"task_{row}_{side}.npz")
            np.testing.assert_allclose(stored.values, own.values, atol=1e-12)
