"""Is a head moved by motion or by appearance?"""

import numpy as np
import pytest

from analysis.core.table import RSP_MINUS_AVID, StudyTable
from analysis.stimuli.perturbations import PERTURBATIONS
from analysis.studies.measures.selectivity import (
    MEASURES,
    OTHER_VIDEOS,
    UNCHANGED,
    Samples,
    drop_difference,
    group_drop,
    measures_of,
    motion_selectivity,
    rows_of,
    samples_of,
    scaled_drop,
    selectivity_difference,
    words_of,
)
from rspnet.names import HEADS

MOTION = ("speed", "shuffle", "reverse", "static", "action")
FACTORS = ("action", "actor", "set", "prop", "appearance")
V = 12


def samples(motion: dict, appearance: dict, spread: dict | None = None) -> dict:
    """Heads whose drop is one number under every perturbation of motion, another under the rest.

    Videos differ by a factor that both heads share, of mean 1.
    """
    factor = np.random.default_rng(0).uniform(0.5, 1.5, V)
    factor /= factor.mean()
    spread = spread or dict.fromkeys(HEADS, 1.0)
    found = {}
    for head in HEADS:
        found[UNCHANGED, 0.0, head] = np.ones(V)
        found[OTHER_VIDEOS, 0.0, head] = 1 - spread[head] * factor
    for name, change in PERTURBATIONS.items():
        drop = motion if name in MOTION else appearance
        for level in change.levels:
            for head in HEADS:
                size = (level != change.neutral) * drop[head] * spread[head]
                found[name, float(level), head] = 1 - size * factor
    return found


def by_table(found: Samples, weights: str = "trained") -> StudyTable:
    return StudyTable(
        study="responses", rows=tuple(rows_of(found, weights)), num_videos=V, videos="by hand"
    )


def swapped(found: Samples) -> dict:
    other = dict(zip(HEADS, HEADS[::-1], strict=True))
    return {(name, level, other[head]): values for (name, level, head), values in found.items()}


@pytest.mark.parametrize("measure", list(MEASURES))
def test_by_hand(measure: str) -> None:
    found = samples({"rsp": 0.6, "avid": 0.1}, {"rsp": 0.2, "avid": 0.3})
    rsp, avid = (motion_selectivity(found, head, measure) for head in HEADS)
    difference = selectivity_difference(found, HEADS, measure=measure)
    assert rsp["motion_selectivity"].value == pytest.approx(0.75)
    assert avid["motion_selectivity"].value == pytest.approx(0.25)
    assert difference.value == pytest.approx(0.5)
    assert rsp["motion_drop"].value == pytest.approx(0.6)
    assert rsp["appearance_drop"].value == pytest.approx(0.2)
    # Every video has the same share, whatever its strength.
    assert (difference.low, difference.high) == pytest.approx((0.5, 0.5))
    for own in (rsp, avid):
        other = own["appearance_selectivity"]
        assert other.value == pytest.approx(1 - own["motion_selectivity"].value)
        assert other.low <= other.value <= other.high
    # The table holds the same numbers.
    table = by_table(found)
    assert dict(table.one(measure=measure, head="rsp").values) == rsp
    assert table.one(measure=measure, head=RSP_MINUS_AVID)["motion_selectivity"] == difference


def test_drops_by_hand() -> None:
    found = {
        (UNCHANGED, 0.0, "rsp"): np.ones(2), (UNCHANGED, 0.0, "avid"): np.ones(2),
        (OTHER_VIDEOS, 0.0, "rsp"): np.array([0.6, 0.6]),
        (OTHER_VIDEOS, 0.0, "avid"): np.array([0.0, -0.5]),
        ("grey", 0.0, "rsp"): np.ones(2), ("grey", 0.0, "avid"): np.ones(2),
        ("grey", 1.0, "rsp"): np.array([0.9, 0.7]), ("grey", 1.0, "avid"): np.array([0.5, 0.5]),
    }  # fmt: skip
    assert scaled_drop(found, "rsp", "grey", 1).value == pytest.approx(0.2 / 0.4)
    assert scaled_drop(found, "avid", "grey", 1).value == pytest.approx(0.5 / 1.25)
    assert drop_difference(found, "grey", 1).value == pytest.approx(0.5 - 0.4)
    table = by_table(found)
    row = table.one(perturbation="grey", level=1, head="rsp")
    assert (row["similarity"].value, row["drop"].value) == pytest.approx((0.8, 0.5))
    assert (row["drop"].low, row["drop"].high) == pytest.approx((0.25, 0.75))
    assert table.one(perturbation="grey", level=1, head=RSP_MINUS_AVID)["drop"].value == (
        pytest.approx(0.1)
    )
    assert not table.keys("measure")
    with pytest.raises(ValueError, match="hue at 30 was not measured for rsp"):
        scaled_drop(found, "rsp", "hue", 30)


def test_ends_of_the_scale() -> None:
    found = samples({"rsp": 0.5, "avid": 0.0}, {"rsp": 0.0, "avid": 0.5})
    shares = [motion_selectivity(found, head)["motion_selectivity"].value for head in HEADS]
    assert shares == [1, 0]
    assert selectivity_difference(found, HEADS).value == 1
    nothing = samples({"rsp": 0.5, "avid": 0.0}, {"rsp": 0.5, "avid": 0.0})
    with pytest.raises(ValueError, match="no perturbation moves the avid head"):
        motion_selectivity(nothing, "avid")
    assert not by_table(nothing).keys("measure")
    # Nearer than the unchanged clip counts as not moved.
    nearer = samples({"rsp": -0.1, "avid": 0.2}, {"rsp": 0.3, "avid": 0.2})
    assert motion_selectivity(nearer, "rsp")["motion_selectivity"].value == 0


def test_the_spread_of_a_head_is_no_advantage() -> None:
    drops = ({"rsp": 0.4, "avid": 0.4}, {"rsp": 0.1, "avid": 0.1})
    found = samples(*drops, spread={"rsp": 0.05, "avid": 1.2})
    assert selectivity_difference(found, HEADS).value == pytest.approx(0, abs=1e-12)
    rsp, avid = (motion_selectivity(found, head)["motion_drop"].value for head in HEADS)
    assert rsp == pytest.approx(avid)


@pytest.mark.parametrize("measure", list(MEASURES))
def test_swapped_heads_are_exactly_reversed(measure: str) -> None:
    found = samples({"rsp": 0.6, "avid": 0.1}, {"rsp": 0.2, "avid": 0.3})
    rng = np.random.default_rng(1)
    noisy = {
        key: values + (0 if key[0] in (UNCHANGED, OTHER_VIDEOS) else rng.normal(0, 0.05, V))
        for key, values in found.items()
    }
    other = swapped(noisy)
    assert motion_selectivity(noisy, "rsp", measure) == motion_selectivity(other, "avid", measure)
    a = selectivity_difference(noisy, HEADS, measure=measure)
    b = selectivity_difference(other, HEADS, measure=measure)
    assert (a.value, a.low, a.high) == pytest.approx((-b.value, -b.high, -b.low))
    assert a.low < a.value < a.high
    # Two models' difference is that of their heads.
    paired = selectivity_difference(noisy, ("rsp", "rsp"), other, measure)
    assert (paired.value, paired.low) == (a.value, a.low)


def test_perturbations_of_a_group_have_one_weight() -> None:
    found = samples({"rsp": 0.6, "avid": 0.1}, {"rsp": 0.2, "avid": 0.3})
    more = {key: values - 0.5 * (key == ("shuffle", 16.0, "rsp")) for key, values in found.items()}
    chosen = MEASURES["perturbations"].motion
    # Shuffling is one of five perturbations of motion, and its largest level counts.
    gain = group_drop(more, "rsp", chosen) - group_drop(found, "rsp", chosen)
    np.testing.assert_allclose(gain, 0.5 / 5)


def test_what_was_not_measured_has_no_measure() -> None:
    found = samples({"rsp": 0.6, "avid": 0.1}, {"rsp": 0.2, "avid": 0.3})
    assert measures_of(found) == ("perturbations", "all", "swap")
    real = {key: values for key, values in found.items() if key[0] not in FACTORS}
    assert measures_of(real) == ("perturbations",)
    with pytest.raises(ValueError, match="appearance at 1 was not measured"):
        motion_selectivity(real, "rsp", "all")
    with pytest.raises(ValueError, match="measures are .* got 'mine'"):
        motion_selectivity(real, "rsp", "mine")


def test_samples_come_back_from_a_table() -> None:
    found = samples({"rsp": 0.6, "avid": 0.1}, {"rsp": 0.2, "avid": 0.3})
    again = samples_of(StudyTable.from_json(by_table(found).to_json()))
    assert list(again) == list(found)
    for key, values in found.items():
        np.testing.assert_array_equal(again[key], values)
    assert words_of(MEASURES["swap"].motion) == "other action"
    assert "shuffle all" in words_of(MEASURES["all"].motion)
