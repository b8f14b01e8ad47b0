"""The table of methods: what each row holds, and seeds as one row."""

from dataclasses import replace
from pathlib import Path

import pytest

from analysis.core.statistics import Estimate
from benchmarks.methods import PLAN, TITLES, Row, draw, main, pooled, table
from benchmarks.plan import read_plan


def row(head: str, value: float, accuracy: float = 0.5) -> Row:
    one = Estimate(value=value, low=value - 1, high=value + 1, num=3)
    return Row(head, accuracy, 0.25, {"limbs": [one, one], "prop": [one, one]}, 10 * value)


def test_seeds_are_one_row_of_means_and_the_hull_of_their_intervals() -> None:
    found = pooled([row("pace", 2, 0.4), row("pace", 4, 0.6)])
    assert (found.head, found.accuracy, found.retrieved) == ("pace", 0.5, 30)
    trained, _ = found.located["limbs"]
    assert (trained.value, trained.low, trained.high) == (3, 1, 5)


def test_table_and_picture_have_a_row_for_each_head() -> None:
    rows = [row("rsp", 3), row("avid", 1), replace(row("vcp", 2), accuracy=0.61)]
    text = table(rows)
    assert len(text.splitlines()) == 2 + len(rows)
    assert "| VCP: what was done to the middle clip | 0.61 | 0.25 | 2.00 [1.00, 3.00] |" in text
    left, right = draw(rows).axes
    assert len(left.get_yticklabels()) == len(rows)
    assert "61% right, chance 25%" in left.get_yticklabels()[2].get_text()
    assert right.get_title(loc="left").startswith("on the prop")


def test_every_run_of_the_plan_has_a_title() -> None:
    assert {run.name for run in read_plan(PLAN)} - {"rspnet"} == set(TITLES) - {"rsp", "avid"}


def test_a_folder_without_runs_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([str(tmp_path), "--videos", str(tmp_path)])
    assert stopped.value.code == 2
    assert "no run of methods.yaml is done" in capsys.readouterr().err
