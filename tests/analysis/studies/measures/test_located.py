"""A pretext task's maps against ground truth: planted heads, regions that follow the clips."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from analysis.core.table import StudyTable
from analysis.regions.ground_truth import REGIONS, regions_of
from analysis.studies import localisation
from analysis.studies.localisation import Localisation, LocalisationConfig
from analysis.studies.measures import located
from analysis.studies.measures.controlled import Scene
from analysis.studies.measures.located import measure_task, task_rows, task_samples, untrained
from analysis.studies.registry import StudyInputs
from rspnet.data.synthetic.videos import render_video
from rspnet.models import Branch
from rspnet.pretext.method import METHODS, NoSettings, register_method
from rspnet.pretext.task import Drawn, LinearTask, PretextTask, TaskHead, TaskMethod
from tests.analysis.studies.test_localisation import at, scene
from tests.factories import tiny_branch


class Sum(TaskHead):
    """A logit of each order of two clips, linear in both."""

    classes, num_clips = ("1-2", "2-1"), 2

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.fc = nn.Linear(2 * num_features, 2)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        logits: Tensor = self.fc(torch.cat([F.mean((2, 3, 4)) for F in features], dim=1))
        return logits


@pytest.fixture
def turned() -> Iterator[PretextTask]:
    """Two clips of a video, the second upside down."""

    @register_method("test_turned")
    class Turned(TaskMethod):
        settings_class = NoSettings

        @classmethod
        def head(cls, num_features: int, settings: Any) -> TaskHead:
            return Sum(num_features)

        @classmethod
        def draw(cls, source: Any, data: Any, settings: Any, rng: np.random.Generator) -> Drawn:
            start = int(rng.integers(source.num_frames - 2 * data.num_frames + 1))
            clips = [range(n, n + data.num_frames) for n in (start, start + data.num_frames)]
            answer = int(rng.integers(2))
            return Drawn(clips[::-1] if answer else clips, answer)

        @classmethod
        def views(cls, clips, answer, data, settings, rng):
            views, answer = super().views(clips, answer, data, settings, rng)
            return [views[0], np.rot90(views[1], 2, (1, 2)).copy()], answer

    branch = tiny_branch(0)
    yield PretextTask("test_turned", NoSettings(), branch, Sum(branch.num_features).eval())
    METHODS.remove("test_turned")


@pytest.mark.filterwarnings("ignore:All-NaN slice")  # regions that no clip shows
def test_where_a_planted_head_sees_speed(planted_branch: Branch) -> None:
    """Red things, which are limbs here, are fast; blue ones, the prop, slow."""
    head = LinearTask(planted_branch.num_features, ["1x", "2x"])
    with torch.no_grad():
        head.fc.weight.zero_()
        head.fc.weight[1, 0] = head.fc.weight[0, 1] = 1.0
    task = PretextTask("toy", None, planted_branch, head)
    scenes = [scene(0, 80), scene(64, 16)]
    rows = task_rows(task, scenes, 9, 112, 1)
    table = StudyTable(study="toy", rows=tuple(rows), num_videos=2, videos="made by hand")
    assert table.keys("weights") == ("trained", "random weights")
    assert table.keys("speed") == ("both", "1x", "2x")
    assert table.keys("region") == tuple(REGIONS)
    limbs, prop, whole = (
        table.one(weights="trained", speed="both", region=name)
        for name in ("limbs", "prop", "whole")
    )
    area = 32**2 / 112**2
    assert limbs["area"].value == pytest.approx(area)
    assert limbs["ratio"].value == pytest.approx(limbs["share"].value / area)
    assert limbs["ratio"].value > 5
    assert limbs["signed_share"].value > 0 > prop["signed_share"].value
    assert prop["ratio"].value < 0.5
    assert whole["ratio"].value == pytest.approx(1)
    # Signed towards the faster answer: the other class first is the negative map.
    swapped = LinearTask(planted_branch.num_features, ["2x", "1x"])
    swapped.load_state_dict(head.state_dict())
    other = PretextTask("toy", None, planted_branch, swapped)
    found = measure_task(other, task_samples(other, scenes, 9, 112))
    assert (found["share"][..., at("prop")] > 5 * area).all()


def test_regions_follow_what_a_method_does_to_its_clips(
    turned: PretextTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenes = [scene(0, 0, size=32, num_frames=8)]
    samples = task_samples(turned, scenes, 4, 32)
    ((first, second),) = samples
    video = render_video(4, 0)
    for one in (first, second):
        indices = [view.info.frame_indices for view in one.clips]
        order = 0 if indices[0][0] < indices[1][0] else 1
        assert one.answer == Sum.classes[order]
        assert abs(indices[1][0] - indices[0][0]) == 8
        for n, view in enumerate(one.clips):
            step = -1 if n else 1
            upright = view.frames[:, ::step, ::step]
            expected = regions_of(video.masks, type(view)(upright, view.info))
            for name in REGIONS:
                np.testing.assert_array_equal(
                    one.truth[n][name][:, ::step, ::step], expected[name], err_msg=name
                )
    assert first.clips[0].info != second.clips[0].info  # drawn anew
    # Both clips count as one.
    found = measure_task(turned, samples)
    assert found["share"].shape == (1, 2, len(REGIONS))
    (limbs,) = at("limbs")
    for n, sample in enumerate((first, second)):
        inside = total = 0.0
        for truth, own in zip(sample.truth, located.task_maps(turned, sample), strict=True):
            positive = np.clip(own.values, 0, None)
            inside += (located.cell_coverage(truth["limbs"], own.grid) * positive).sum()
            total += positive.sum()
        assert found["share"][0, n, limbs] == pytest.approx(inside / total)
    # The rows of such a task are of both speeds together: its clips play at 1x.
    monkeypatch.setattr(located, "task_samples", lambda *_: [*samples, *samples])
    rows = task_rows(turned, scenes, 4, 32, 0)
    assert {row.keys["speed"] for row in rows} == {"both"}
    assert {row.keys["weights"] for row in rows} == {"trained"}
    placed = PretextTask("opn", None, turned.branch, turned.head)
    assert task_rows(placed, scenes, 4, 32, 0) == []


def test_untrained_weights_are_others_and_follow_from_a_seed(turned: PretextTask) -> None:
    state = torch.get_rng_state()
    one, again, other = (untrained(turned, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    weights = [task.head.fc.weight for task in (turned, one, again, other)]
    assert torch.equal(weights[1], weights[2])
    assert not torch.equal(weights[1], weights[0])
    assert not torch.equal(weights[1], weights[3])


def test_the_study_tells_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def small(_seed: int, index: int, **_: int) -> Scene:
        own = scene(8 * index, 0, size=32, num_frames=8)
        for masks in own.truth:
            for n, name in enumerate(REGIONS):
                masks[name][:, n : n + 4] = True
        return own

    monkeypatch.setattr(localisation, "make_scene", small)
    branch = tiny_branch(0)
    task = PretextTask("speednet", None, branch, LinearTask(branch.num_features, ["1x", "2x"]))
    inputs = StudyInputs(query=branch, key=branch, task=task, progress=False)
    study = Localisation()
    config = LocalisationConfig(num_videos=2, num_triplets=1, num_random=1)
    table = study.measure(inputs, config)
    own = table.one(weights="trained", head="task", region="limbs", speed="both")["ratio"]
    assert study.finding(table).startswith("The map of speednet's own margin lies in moving limbs")
    shown = study.tables(table)
    rows = {row[0]: row for row in shown[0].rows}
    assert rows["margin of speednet"][1] == own
    assert not any("Pretext" in row for row in rows)
    assert not any("Pretext" in row for row in study.figures(table)[0].rows)
