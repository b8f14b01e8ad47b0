"""Rows and tables of the study of optical flow, and its file."""

import json
from pathlib import Path

import pytest

from analysis.core.grid import Grid
from analysis.core.statistics import Estimate
from analysis.studies.optical_flow_result import TARGETS, FlowResult, FlowRow, FlowStudy

KINDS = ("contribution", "margin_faster")


def number(value: float) -> Estimate:
    return Estimate(value, value - 0.25, value + 0.25, 5)


def result(weights: str, sign: int) -> FlowResult:
    rows = [
        FlowRow(
            kind=kind, target=target, speed=speed, rsp=number(s + k / 10),
            avid=number(t / 10), difference=number(sign * (s + k / 10 - t / 10)),
        )
        for s, speed in enumerate(("both", "1x", "2x"))
        for k, kind in enumerate(KINDS)
        for t, target in enumerate(TARGETS)
    ]  # fmt: skip
    return FlowResult(weights=weights, rows=tuple(rows))


STUDY = FlowStudy(
    results=(result("trained", 1), result("swapped heads", -1)),
    model_hash="ab",
    what="videos of D",
    num_videos=5,
    num_triplets=2,
    seed=9,
    grid=Grid((4, 7, 7), (16, 112, 112), (4.0, 16.0, 16.0), (0.0, 0.0, 0.0)),
    pixels={"saliency": number(0.5), "contrast": number(0.75)},
    skipped=(("a.mp4", "is broken"),),
)


def test_json_is_read_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "flow.json"
    path.write_text(json.dumps(STUDY.to_json()))
    assert FlowStudy.load(path) == STUDY


def test_rows_are_found_by_name() -> None:
    row = STUDY.of().row("margin_faster", "saliency", "2x")
    assert (row.rsp, row.avid) == (number(2.1), number(0.1))
    assert STUDY.of().kinds == KINDS
    assert STUDY.of("swapped heads").row("contribution", "flow", "1x").difference == number(-1)
    with pytest.raises(ValueError, match=r"no row \('margin', 'flow', 'both'\)"):
        STUDY.of().row("margin", "flow")
    with pytest.raises(ValueError, match="got 'untrained'"):
        STUDY.of("untrained")


def test_table_has_the_model_by_speed_and_the_controls() -> None:
    blocks = STUDY.table().split("\n\n")
    assert "5 videos of D, 2 triplets" in blocks[0]
    assert "4 x 7 x 7 cells; 1 videos left out" in blocks[0]
    assert f"local contrast {number(0.75)}" in blocks[0]
    names = [block.splitlines()[0] for block in blocks[1:]]
    assert names == [
        "trained, queries at both", "trained, queries at 1x", "trained, queries at 2x",
        "swapped heads, queries at both",
    ]  # fmt: skip
    line = blocks[3].splitlines()[2 + 1]
    assert line.startswith("optical flow      margin to faster")
    assert line.endswith(f"{number(2.1)!s:>22}{number(0)!s:>22}{number(2.1)!s:>22}")


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    for text in ("{}", '{"format": "rspnet-flow", "version": 2}'):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"python -m analysis optical_flow"):
            FlowStudy.load(path)
    for text in ("no json", "[]", '{"format": "rspnet-flow", "version": 1}'):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"other\.json holds no study of optical flow"):
            FlowStudy.load(path)
