"""Rows and tables of the planted study, and their file."""

import json
from pathlib import Path

import pytest

from analysis.core.grid import Grid
from analysis.core.statistics import Estimate
from analysis.studies.localisation_result import (
    REGIONS,
    HeadDifference,
    LocalisationResult,
    LocalisationRow,
    LocalisationStudy,
)

SPEEDS = ("both", "1x", "2x")
KINDS = ("contribution", "margin", "margin_static")


def number(value: float) -> Estimate:
    return Estimate(value, value - 0.5, value + 0.5, 4)


def result(weights: str, sign: int = 1) -> LocalisationResult:
    rows, differences = [], []
    for s, speed in enumerate(SPEEDS):
        for k, kind in enumerate(KINDS):
            for r, region in enumerate(REGIONS):
                for h, head in enumerate(("rsp", "avid")):
                    value = number(1000 * s + 100 * k + 10 * r + h)
                    row = LocalisationRow(
                        kind=kind, head=head, region=region, speed=speed, share=value,
                        area=number(0.125), ratio=value, even=number(0.75), ceiling=number(9),
                        pointing=value, part=number(-value.value),
                    )  # fmt: skip
                    rows.append(row)
                if region == "limbs":
                    found = HeadDifference(
                        kind=kind, region=region, speed=speed, of="rsp", less="avid",
                        ratio=number(sign * (k + 0.25)),
                    )  # fmt: skip
                    differences.append(found)
                elif region not in ("body", "whole"):
                    found = HeadDifference(
                        kind=kind, region=region, speed=speed, of="avid", less="rsp",
                        ratio=number(sign),
                    )  # fmt: skip
                    differences.append(found)
    return LocalisationResult(
        weights=weights, model_hash="ab", seed=9, num_videos=4,
        rows=tuple(rows), differences=tuple(differences),
    )  # fmt: skip


STUDY = LocalisationStudy(
    results=(result("trained"), result("swapped heads", -1)),
    grid=Grid((4, 7, 7), (16, 112, 112), (4.0, 16.0, 16.0), (0.0, 0.0, 0.0)),
    num_triplets=2,
)


def test_json_is_read_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "planted.json"
    path.write_text(json.dumps(STUDY.to_json()))
    assert LocalisationStudy.load(path) == STUDY


def test_rows_and_differences_are_found_by_name() -> None:
    trained = STUDY.of()
    assert trained.kinds == KINDS
    assert trained.row("margin", "avid", "prop").ratio == number(121)
    assert trained.row("margin", "rsp", "limbs", "2x").ratio == number(2100)
    assert trained.difference("margin", "limbs") == number(1.25)
    assert STUDY.of("swapped heads").difference("margin", "limbs") == number(-1.25)
    with pytest.raises(ValueError, match=r"no row \('margin', 'both', 'prop', 'both'\)"):
        trained.row("margin", "both", "prop")
    with pytest.raises(ValueError, match="no difference between heads for"):
        trained.difference("margin", "body")
    with pytest.raises(ValueError, match=r"weights are \['trained', 'swapped heads'\], got 'new'"):
        STUDY.of("new")


def test_tables_hold_each_number_in_its_place() -> None:
    lines = STUDY.of().table("1x").splitlines()
    assert "4 videos of seed 9, queries at 1x" in lines[0]
    assert lines[1].split("  ")[-1].strip() == "prop + whole set"
    assert lines[2].split() == ["share", "of", "pixels", *["0.125"] * 6]
    assert lines[3].split() == ["even", "map", *["0.750"] * 6]
    assert lines[4].split() == ["largest", "ratio", "possible", *["9.000"] * 6]
    (rsp,) = [line for line in lines if line.startswith("contribution        RSP")]
    expected = [str(number(1000 + 10 * r)) for r in range(6)]
    assert rsp.replace("]", "] ").split() == ["contribution", "RSP", *" ".join(expected).split()]
    parts = STUDY.of().parts_table().splitlines()
    assert len(parts) == 2 + 2 * 2 * 2
    assert str(number(-1160)) in next(p for p in parts if p.startswith("margin              RSP"))
    whole = STUDY.table()
    assert whole.count("queries at") == 4
    assert whole.index("trained: part of the margin") < whole.index("swapped heads: 4 videos")


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    for text in ("{}", '{"format": "rspnet-planted", "version": 2}'):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"python -m analysis localisation"):
            LocalisationStudy.load(path)
    for text in ("no json", "[]", '{"format": "rspnet-planted", "version": 1}'):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"other\.json holds no study of planted regions"):
            LocalisationStudy.load(path)
    with pytest.raises(ValueError, match="holds no study"):
        LocalisationStudy.load(tmp_path / "none.json")
