"""The benchmark's picture: which dots stand where."""

from pathlib import Path

import pytest

from benchmarks.small_scale.measures import Row
from benchmarks.small_scale.picture import SELECTIVITY, dots_of, localisation_estimate, picture

HITS = {"place": [1, 3], "k-NN": [1, 1], "linear": [0, 0]}


def measured(*values: float) -> list[dict[str, dict[str, dict[str, float]]]]:
    def around(value: float) -> dict[str, float]:
        return {"value": value, "low": value - 0.1, "high": value + 0.1, "num": 4}

    return [{"selectivity": {"rsp": around(v), "avid": around(v / 2)}} for v in values]


def rows() -> dict[str, list[Row]]:
    names = [("model", "backbone, max"), ("model", "backbone, avg"), ("model", "RSP")]
    names += [("colour histogram", way) for way in ("Hellinger", "cosine")]
    return {"JHMDB": [Row.of(*name, [HITS]) for name in names]}


def test_dots_are_the_tables_numbers() -> None:
    dots = dots_of(rows(), {"model": measured(0.6)})
    assert list(dots) == [
        "JHMDB, top-1 (%)", "JHMDB, k-NN (%)", "JHMDB, linear probe (%)", SELECTIVITY,
    ]  # fmt: skip
    top = dots["JHMDB, top-1 (%)"]
    assert set(top) == {"model", "colour histogram"}
    assert set(top["model"]) == {"backbone, max", "RSP"}  # the protocol's pooling alone
    assert set(top["colour histogram"]) == {"Hellinger"}
    assert top["model"]["RSP"].value == 50
    assert dots["JHMDB, k-NN (%)"]["model"]["RSP"].value == 100
    assert dots[SELECTIVITY]["model"]["A-VID"].value == 0.3


def test_seeds_have_their_range() -> None:
    one, two = (
        localisation_estimate(measured(0.6), "rsp"),
        localisation_estimate(measured(0.6, 0.2, 0.7), "rsp"),
    )
    assert (one.low, one.high) == pytest.approx((0.5, 0.7))
    assert (two.value, two.low, two.high) == pytest.approx((0.5, 0.2, 0.7))


def test_it_is_drawn_or_refused(tmp_path: Path) -> None:
    chance = {"JHMDB": {"top-1": 5.0}}
    assert picture(rows(), {}, chance, tmp_path / "a.png").stat().st_size > 1000
    with pytest.raises(ValueError, match="nothing to draw"):
        picture({}, {}, {}, tmp_path / "b.png")
    with pytest.raises(ValueError, match=r"\.xyz"):
        picture(rows(), {}, chance, tmp_path / "b.xyz")
