"""Units that encode action, appearance, both or neither."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from analysis.attribution.retrieval.layers import layers_of
from analysis.core.clip import StoredFrames, load_view
from analysis.core.table import StudyTable
from analysis.studies import units
from analysis.studies.registry import StudyInputs
from analysis.studies.units import (
    CODES,
    Units,
    UnitsConfig,
    correlations,
    encodes,
    mean_correlation,
    named_units,
    strongest_units,
    unit_values,
)
from rspnet.data.synthetic.videos import ACTIONS, draw_factors
from tests.factories import tiny_branch


def test_correlations_are_pearsons_and_0_for_a_constant_unit() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 30, 4))
    b[:, 1] = 3 * a[:, 1] + 2
    b[:, 2] = -a[:, 2]
    a[:, 3] = 5
    found = correlations(a, b)
    assert found[0] == pytest.approx(np.corrcoef(a[:, 0], b[:, 0])[0, 1])
    assert found[1:].tolist() == pytest.approx([1, -1, 0])
    assert mean_correlation(a, b).value == pytest.approx(found.mean())
    apart = mean_correlation(a, b, (a, b))
    assert (apart.value, apart.low, apart.high) == (0, 0, 0)


def test_a_unit_encodes_by_chance_once_in_a_hundred() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((2, 60, 2000))
    assert encodes(a, b).mean() == pytest.approx(0.01 + 1 / 60, abs=0.01)
    shared = rng.standard_normal((60, 5))
    assert encodes(shared + a[:, :5] / 4, shared + b[:, :5] / 4).all()


def test_values_are_those_of_the_network() -> None:
    branch = tiny_branch(0)
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, size=(3, 8, 32, 32, 3), dtype=np.uint8)
    views = [load_view(StoredFrames(own), 8, 32) for own in frames]
    found = unit_values(branch, views)
    assert list(found) == [*layers_of(branch), "rsp", "avid"]
    clips = torch.stack([view.clip for view in views])
    with torch.no_grad():
        F = branch.features(clips)
        z = branch.head("rsp")(F.mean(dim=(2, 3, 4)))
    last = list(layers_of(branch))[-1]
    assert np.allclose(found[last], F.mean(dim=(2, 3, 4)), atol=1e-6)
    assert np.allclose(found["rsp"], z, atol=1e-6)
    # The hooks are gone again.
    assert not any(layer._forward_hooks for layer in layers_of(branch).values())


def test_planted_units_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer of which a third encodes the action, a third the appearance, a third noise."""
    noise = np.random.default_rng(0)

    def render(seed: int, index: int, *, num_frames: int, **changes: Any) -> Any:
        factors = draw_factors(seed, index)
        own = {"action": factors.action, "actor": factors.actor, "set_id": factors.set_id} | {
            name: value for name, value in changes.items() if name != "prop"
        }
        code = [ACTIONS.index(own["action"]), 100 * own["actor"] + own["set_id"]]
        return type("Video", (), {"frames": np.array(code)})

    def values(_branch: Any, views: Any) -> dict[str, np.ndarray]:
        rows = np.array(
            [
                [np.random.default_rng([factor, int(code)]).standard_normal(20)
                 for factor, code in enumerate(view)]
                for view in views
            ]
        )  # fmt: skip
        nothing = noise.standard_normal((len(views), 20))
        layer = np.concatenate([rows[:, 0], rows[:, 1], nothing], axis=1)
        return {"layer": layer, "rsp": rows[:, 0], "avid": rows[:, 1]}

    monkeypatch.setattr(units, "render_video", render)
    monkeypatch.setattr(units, "load_view", lambda reader, *_: reader.frames)
    monkeypatch.setattr(units, "unit_values", values)
    branch = tiny_branch(0)
    inputs = StudyInputs(query=branch, key=branch, progress=False)
    table = Units().measure(inputs, UnitsConfig(num_videos=40, num_random=1))
    layer = table.one(weights="trained", layer="layer")
    shares = [float(layer.values[code]) for code in CODES]  # type: ignore[arg-type]
    assert shares == pytest.approx([1 / 3, 1 / 3, 0, 1 / 3], abs=0.09)
    rsp, avid = (table.one(weights="trained", layer=head) for head in ("rsp", "avid"))
    assert rsp["action"].value == pytest.approx(1) == avid["appearance"].value
    assert abs(rsp["appearance"].value) < 0.2 > abs(avid["action"].value)
    action, appearance = Units().key_numbers(table)
    assert action.difference is not None
    assert action.difference.low > 0.5
    assert appearance.difference is not None
    assert appearance.difference.high < -0.5
    assert "RSP's dimensions are correlated by 1.00" in Units().finding(table)
    (figure,) = Units().figures(table)
    assert figure.rows == ("layer", "RSP head", "A-VID head")  # type: ignore[union-attr]
    assert [len(found.rows) for found in Units().tables(table)] == [3, 3, 6, 6]
    # Of RSP's units those of the action are named, of A-VID's those of the appearance; none else.
    named = [row for row in table.rows if "encodes" in row.keys]
    assert [tuple(row.keys.values()) for row in named] == [
        (head, factor, place)
        for head, factor in (
            ("rsp", "action"),
            ("avid", "appearance"),
            ("layer", "action"),
            ("layer", "appearance"),
        )
        for place in (1, 2, 3)
    ]
    assert [row.values[str(row.keys["encodes"])] for row in named] == [pytest.approx(1)] * 12
    of_layer = [(own.head, own.factor, own.unit // 20) for own in named_units(table, "layer")]
    assert of_layer == [("layer", "action", 0)] * 3 + [("layer", "appearance", 1)] * 3
    read = StudyTable.from_json(json.loads(json.dumps(table.to_json())))
    assert named_units(read) == named_units(table)
    assert {(own.head, own.factor) for own in named_units(read)} == {
        ("rsp", "action"), ("avid", "appearance")
    }  # fmt: skip
    before = replace(table, rows=tuple(row for row in table.rows if row not in named))
    assert len(Units().tables(before)) == 2


def test_the_strongest_units_come_first() -> None:
    rng = np.random.default_rng(3)
    shared, action, appearance = rng.standard_normal((3, 60, 8))
    # Units 0 to 3 encode the action, ever more weakly; 4 both; 5 the appearance; the rest nothing.
    noise = np.array([0.0, 0.1, 0.2, 0.3, 0.1, 0.1])
    action[:, :5] = shared[:, :5] + noise[:5] * action[:, :5]
    appearance[:, 4:6] = shared[:, 4:6] + noise[4:6] * appearance[:, 4:6]
    own = np.stack([shared, action, appearance], axis=1)
    rows = strongest_units({"rsp": own, "avid": own})
    named = [(row.keys["head"], row.keys["encodes"], row.values["unit"]) for row in rows]
    for head in ("rsp", "avid"):
        assert [unit for h, f, unit in named if (h, f) == (head, "action")] == [0, 1, 2]
        assert next(u for h, f, u in named if (h, f) == (head, "appearance")) == 5
    assert rows[0].values["action"] == pytest.approx(1)
