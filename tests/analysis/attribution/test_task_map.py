"""Maps of pretext tasks: exact for linear and piecewise linear heads, the model left as it was."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from analysis import (
    ClipMap,
    PairClips,
    View,
    class_activation_map,
    example_views,
    explain_kind,
    explain_task,
)
from analysis.attribution.task_map import answers_of_pair, margin_of
from analysis.cli.figure1 import main as figure1
from analysis.cli.maps import main as maps
from analysis.figures.strips import pair_rows
from rspnet.models import global_average_pool
from rspnet.pretext.task import LinearTask, PretextTask, TaskHead
from rspnet.weights.checkpoint import save_model
from tests.factories import tiny_branch
from tests.rspnet.pretext.test_task import toy  # noqa: F401  (registers test_speeds)

SPEEDS = ("1x", "2x", "4x")


class Orders(TaskHead):
    """Three clips: ReLU of all pairs of pooled features, then a linear layer, with dropout."""

    classes = ("abc", "acb", "bac")
    num_clips = 3

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.pair, self.drop = nn.Linear(2 * num_features, 6), nn.Dropout(0.5)
        self.fc = nn.Linear(18, 3)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        x = [global_average_pool(F) for F in features]
        pairs = [torch.cat([x[i], x[j]], dim=1) for i, j in ((0, 1), (0, 2), (1, 2))]
        read = torch.cat([self.pair(pair).relu() for pair in pairs], dim=1)
        logits: Tensor = self.fc(self.drop(read))
        return logits


@pytest.fixture
def speeds() -> PretextTask:
    branch = tiny_branch(0)
    head = LinearTask(branch.num_features, SPEEDS)
    nn.init.normal_(head.fc.weight)
    nn.init.normal_(head.fc.bias)
    return PretextTask("toy", None, branch, head)


@pytest.fixture
def orders() -> PretextTask:
    branch = tiny_branch(1)
    torch.manual_seed(2)
    return PretextTask("toy_orders", None, branch, Orders(branch.num_features).eval())


def clips(num: int) -> list[View]:
    frames = np.random.default_rng(3).integers(0, 256, (num, 8, 32, 32, 3), np.uint8)
    return [replace(view, frames=own) for view, own in zip(example_views(num), frames, strict=True)]


def test_a_linear_head_is_eq_1(speeds: PretextTask) -> None:
    (clip,) = clips(1)
    head = speeds.head
    assert isinstance(head, LinearTask)
    with torch.no_grad():
        F = speeds.branch.features(clip.clip[None]).double()
        weight, bias = head.fc.weight.double(), head.fc.bias.double()
    for k, name in enumerate(SPEEDS):
        found = explain_task(speeds, [clip], name)
        expected = class_activation_map(F, weight[k].detach())[0] / F[0, 0].numel()
        np.testing.assert_allclose(found.maps[0].values, expected, atol=1e-6)
        assert found.offset == pytest.approx(float(bias[k]), abs=1e-6)
        assert found.score == pytest.approx(float(speeds.logits([clip.clip[None]])[0, k]), abs=1e-6)
        assert found.completeness_error < 1e-5
    logits = speeds.logits([clip.clip[None]])[0]
    likeliest = explain_task(speeds, [clip])
    assert likeliest.answer == SPEEDS[int(logits.argmax())] == likeliest.title
    assert likeliest.probability == pytest.approx(float(logits.softmax(0).max()), abs=1e-6)
    assert likeliest.maps[0].clip == clip.info


def test_margins_are_differences_of_logits(speeds: PretextTask) -> None:
    (clip,) = clips(1)
    one, two, four = (explain_task(speeds, [clip], name) for name in SPEEDS)
    faster = explain_task(speeds, [clip], "4x", ["1x"])
    np.testing.assert_allclose(faster.maps[0].values, four.maps[0].values - one.maps[0].values)
    assert (faster.title, faster.offset) == (
        "4x \N{MINUS SIGN} 1x",
        pytest.approx(four.offset - one.offset),
    )
    assert faster.probability == pytest.approx(1 / (1 + np.exp(one.score - four.score)))
    rest = explain_task(speeds, [clip], "2x", ["1x", "4x"])
    expected = two.maps[0].values - (one.maps[0].values + four.maps[0].values) / 2
    np.testing.assert_allclose(rest.maps[0].values, expected, atol=1e-9)
    assert rest.title == "2x \N{MINUS SIGN} others"
    assert rest.probability == pytest.approx(two.probability)


def test_a_head_of_several_clips_is_shared_among_them_exactly(orders: PretextTask) -> None:
    own = clips(3)
    found = explain_task(orders, own, "acb", ["abc"])
    assert [one.completeness_error < 1e-6 for one in found.maps] == [True] * 3
    assert found.completeness_error < 1e-6
    assert [one.clip for one in found.maps] == [view.info for view in own]
    # A cell's share by hand: the head is linear as long as no ReLU changes its side.
    head = orders.head.double()
    with torch.no_grad():
        features = [orders.branch.features(view.clip[None]).double() for view in own]
    step = 1e-3

    def margin(of: list[Tensor]) -> float:
        with torch.no_grad():
            logits = head(of)[0]
        return float(logits[1] - logits[0])

    for n, place in ((0, (0, 0, 1)), (2, (1, 1, 0))):
        less = [F.clone() for F in features]
        less[n][(0, slice(None), *place)] *= 1 - step
        expected = (margin(features) - margin(less)) / step
        assert found.maps[n].values[place] == pytest.approx(expected, abs=1e-7)


def test_the_model_is_left_in_training_mode_and_gives_the_same(orders: PretextTask) -> None:
    own = clips(3)
    expected = explain_task(orders, own)
    orders.branch.train()
    orders.head.train()
    state = {k: v.clone() for k, v in orders.branch.state_dict().items()}
    for context in (torch.no_grad, torch.inference_mode, torch.enable_grad):
        with context():
            found = explain_task(orders, own)
        np.testing.assert_array_equal(found.maps[1].values, expected.maps[1].values)
    assert all(m.training for part in (orders.branch, orders.head) for m in part.modules())
    assert all(torch.equal(v, state[k]) for k, v in orders.branch.state_dict().items())
    assert all(p.grad is None for p in orders.head.parameters())


def test_which_margin() -> None:
    assert margin_of(["2x", "1x"], "1x") == ("2x", ("1x",))
    assert margin_of(["1x", "0.5x", "4x"], "1x") == ("4x", ("0.5x",))
    assert margin_of(["normal", "sped up"], "normal") == ("sped up", ("normal",))
    assert margin_of(["1x", "other"], "1x") == ("1x", ("other",))
    assert margin_of(["abc", "acb", "bac"], "acb") == ("acb", ("abc", "bac"))


def test_mistakes_are_named(speeds: PretextTask, orders: PretextTask) -> None:
    own = clips(3)
    for run, says in (
        (lambda: explain_task(speeds, own), "toy answers about 1 clips at once, got 3"),
        (lambda: explain_task(orders, own[:1]), "answers about 3 clips at once, got 1"),
        (lambda: explain_task(speeds, own[:1], "3x"), "answers of toy are 1x, 2x, 4x, got 3x"),
        (lambda: explain_task(speeds, own[:1], "2x", ["2x"]), "got 2x against itself"),
        (lambda: explain_task(speeds.branch, own[:1]), "got Branch: read one with"),
        (lambda: answers_of_pair(orders, *own[:2]), "one clip each: give its clips to"),
    ):
        with pytest.raises(ValueError, match=says):
            run()


def test_the_kind_of_map_of_a_pair(speeds: PretextTask) -> None:
    c_i, c_j = clips(2)
    pair = PairClips.of(speeds.branch, speeds.branch, c_i, c_j, task=speeds)
    found = explain_kind("task", pair)
    answer = explain_task(speeds, [c_i]).answer
    assert found.titles == {"margin": "4x \N{MINUS SIGN} 1x", "answer": answer}
    for row, target in (("margin", ("4x", ["1x"])), ("answer", (answer, []))):
        for n, view in enumerate((c_i, c_j)):
            own = explain_task(speeds, [view], *target)
            np.testing.assert_allclose(found.rows[row][n].values, own.maps[0].values)
            assert found.probability[row][n] == pytest.approx(own.probability)
            assert found.offset[row][n] == pytest.approx(own.offset)
    assert found.has_one_target
    assert found.completeness_error < 1e-5
    assert [row.name.split("\n")[0] for row in pair_rows(pair, "task")[:2]] == [
        "4x \N{MINUS SIGN} 1x",
        answer,
    ]
    with pytest.raises(ValueError, match="the head that answers it: take one of a method"):
        explain_kind("task", replace(pair, task=None))


def test_the_commands_draw_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    branch = tiny_branch(0)
    head = LinearTask(branch.num_features, ["1x", "2x"])
    spec = {"method": "test_speeds", "settings": {"num": 2}}
    model = save_model(tmp_path / "m.safetensors", branch, branch, task=(spec, head))
    words = ["--model", str(model), "--out"]
    assert maps([*words, str(tmp_path / "maps"), "--maps", "task"]) == 0
    found = ClipMap.load(tmp_path / "maps" / "task_margin_i.npz")
    assert (found.kind, found.head, found.completeness_error < 1e-5) == ("task", "task", True)
    picture = tmp_path / "figure.png"
    assert figure1([*words, str(picture), "--map", "task", "--num_videos", "0", "--dpi=50"]) == 0
    assert "Pretext task." in capsys.readouterr().out
    plain = save_model(tmp_path / "plain.safetensors", branch, branch)
    assert maps(["--model", str(plain), "--out", str(tmp_path / "no"), "--maps", "task"]) == 2
    assert "has no head of a pretext task: take a model of one of" in capsys.readouterr().err
