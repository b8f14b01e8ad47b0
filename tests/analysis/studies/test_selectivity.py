"""Is a head moved by motion or by appearance?"""

import json
from dataclasses import replace

import numpy as np
import pytest

from analysis.stimuli.perturbations import CHANGES
from analysis.stimuli.perturbed_clips import Curve
from analysis.studies.response_result import Responses
from analysis.studies.selectivity import (
    MEASURES,
    appearance_selectivity,
    group_drop,
    measures_of,
    motion_selectivity,
    selectivities,
    selectivity,
    selectivity_table,
)
from rspnet.names import HEADS

MOTION = ("speed", "shuffle", "reverse", "freeze", "action")
V = 12


def responses(motion: dict[str, float], looks: dict[str, float], spread=None, seed=0) -> Responses:
    """Heads whose drop is one number under every change of motion, another under the rest.

    Videos differ by a factor that both heads share, of mean 1.
    """
    factor = np.random.default_rng(seed).uniform(0.5, 1.5, V)
    factor /= factor.mean()
    spread = spread or dict.fromkeys(HEADS, 1.0)
    curves = []
    for name, change in CHANGES.items():
        drop = motion if name in MOTION else looks
        similarity = {
            head: np.stack(
                [
                    1 - (level != change.neutral) * drop[head] * spread[head] * factor
                    for level in change.levels
                ],
                axis=1,
            )
            for head in HEADS
        }
        curves.append(Curve(change=name, levels=change.levels, similarity=similarity))
    return Responses(
        weights="trained",
        model_hash="",
        branch="query",
        source="videos",
        seed=seed,
        num_frames=16,
        window=61,
        videos=tuple(f"v{n}" for n in range(V)),
        unchanged={head: np.ones(V) for head in HEADS},
        unrelated={head: np.full(V, 1 - spread[head]) for head in HEADS},
        curves=tuple(curves),
    )


def swapped(found: Responses) -> Responses:
    def other(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"rsp": values["avid"], "avid": values["rsp"]}

    return replace(
        found,
        weights="swapped",
        unchanged=other(found.unchanged),
        unrelated=other(found.unrelated),
        curves=tuple(replace(c, similarity=other(c.similarity)) for c in found.curves),
    )


@pytest.mark.parametrize("measure", list(MEASURES))
def test_by_hand(measure: str) -> None:
    found = responses({"rsp": 0.6, "avid": 0.1}, {"rsp": 0.2, "avid": 0.3})
    both = selectivity(found, measure)
    rsp, avid = both.heads
    assert rsp.motion.value == pytest.approx(0.75)
    assert avid.motion.value == pytest.approx(0.25)
    assert both.difference.value == pytest.approx(0.5)
    assert rsp.motion_drop.value == pytest.approx(0.6)
    assert rsp.appearance_drop.value == pytest.approx(0.2)
    # Every video has the same share, whatever its strength.
    assert (both.difference.low, both.difference.high) == pytest.approx((0.5, 0.5))
    for own in both.heads:
        assert own.motion == motion_selectivity(found, own.head, measure)
        assert own.appearance == appearance_selectivity(found, own.head, measure)
        assert own.appearance.value == pytest.approx(1 - own.motion.value)
        assert own.appearance.low <= own.appearance.value <= own.appearance.high


def test_ends_of_the_scale() -> None:
    found = selectivity(responses({"rsp": 0.5, "avid": 0.0}, {"rsp": 0.0, "avid": 0.5}))
    assert [own.motion.value for own in found.heads] == [1, 0]
    assert found.difference.value == 1
    nothing = responses({"rsp": 0.5, "avid": 0.0}, {"rsp": 0.5, "avid": 0.0})
    with pytest.raises(ValueError, match="no change moves the avid head"):
        selectivity(nothing)
    assert selectivities(nothing) == ()
    # Nearer than the unchanged clip counts as not moved.
    nearer = responses({"rsp": -0.1, "avid": 0.2}, {"rsp": 0.3, "avid": 0.2})
    assert motion_selectivity(nearer, "rsp").value == 0


def test_the_spread_of_a_head_is_no_advantage() -> None:
    drops = ({"rsp": 0.4, "avid": 0.4}, {"rsp": 0.1, "avid": 0.1})
    found = selectivity(responses(*drops, spread={"rsp": 0.05, "avid": 1.2}))
    rsp, avid = found.heads
    assert found.difference.value == pytest.approx(0, abs=1e-12)
    assert rsp.motion_drop.value == pytest.approx(avid.motion_drop.value)


@pytest.mark.parametrize("measure", list(MEASURES))
def test_swapped_heads_are_exactly_reversed(measure: str) -> None:
    found = responses({"rsp": 0.6, "avid": 0.1}, {"rsp": 0.2, "avid": 0.3})
    rng = np.random.default_rng(1)

    def shaken(curve: Curve) -> Curve:
        similarity = {h: v + rng.normal(0, 0.05, v.shape) for h, v in curve.similarity.items()}
        return replace(curve, similarity=similarity)

    found = replace(found, curves=tuple(shaken(curve) for curve in found.curves))
    own, other = selectivity(found, measure), selectivity(swapped(found), measure)
    assert own.heads[0].motion == other.heads[1].motion
    assert own.heads[1].motion_drop == other.heads[0].motion_drop
    a, b = own.difference, other.difference
    assert (a.value, a.low, a.high) == pytest.approx((-b.value, -b.high, -b.low))
    assert a.low < a.value < a.high


def test_changes_of_a_group_have_one_weight() -> None:
    found = responses({"rsp": 0.6, "avid": 0.1}, {"rsp": 0.2, "avid": 0.3})
    own = found.curve("shuffle").similarity
    lower = {"rsp": own["rsp"] - [0, 0, 0, 0, 0.5], "avid": own["avid"]}
    curves = tuple(
        replace(c, similarity=lower) if c.change == "shuffle" else c for c in found.curves
    )
    more = replace(found, curves=curves)
    part = MEASURES["changes"].motion
    # Shuffling is one of five changes of motion, and its largest level counts.
    np.testing.assert_allclose(
        group_drop(more, "rsp", part) - group_drop(found, "rsp", part), 0.5 / 5
    )


def test_what_was_not_measured_has_no_measure() -> None:
    found = responses({"rsp": 0.6, "avid": 0.1}, {"rsp": 0.2, "avid": 0.3})
    assert measures_of(found) == ("changes", "all", "exchange")
    real = replace(found, curves=tuple(c for c in found.curves if not CHANGES[c.change].exchange))
    assert measures_of(real) == ("changes",)
    with pytest.raises(ValueError, match="got 'looks'"):
        selectivity(real, "all")
    with pytest.raises(ValueError, match="measures are .* got 'mine'"):
        selectivity(real, "mine")


def test_table_and_json() -> None:
    found = responses({"rsp": 0.6, "avid": 0.1}, {"rsp": 0.2, "avid": 0.3})
    whole = replace(found, controls=(swapped(found),))
    every = selectivities(whole)
    assert [(one.measure.name, one.weights) for one in every] == [
        (name, weights) for name in MEASURES for weights in ("trained", "swapped")
    ]
    table = selectivity_table(every)
    assert "0.75 [0.75, 0.75]" in table
    assert "-0.50 [-0.50, -0.50]" in table
    assert "shuffle all" in table
    value = json.loads(json.dumps([one.to_json() for one in every]))
    assert value[0]["heads"][0]["motion_selectivity"]["value"] == pytest.approx(0.75)
    assert value[0]["heads"][0]["appearance_selectivity"]["value"] == pytest.approx(0.25)
