"""The one result shape of all studies, and the tables made of it."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.core.grid import Grid
from analysis.core.statistics import Estimate
from analysis.core.table import Row, StudyTable, Table, csv_of, interval, number, pivot

GRID = Grid((4, 7, 7), (16, 112, 112), (4.0, 16.0, 16.0), (0.0, 0.0, 0.0))


def estimate(value: float) -> Estimate:
    return Estimate(value, value - 0.5, value + 0.5, 4)


TABLE = StudyTable(
    study="toy",
    rows=(
        Row(
            keys={"head": "rsp", "level": 0.5}, values={"ratio": estimate(1.0), "num_undefined": 1}
        ),
        Row(keys={"head": "rsp", "level": 1}, values={"ratio": estimate(2.0)}),
        Row(keys={"head": "avid", "level": 1.0}, samples={"ratio": np.array([0.25, 1 / 3])}),
    ),
    num_videos=4,
    videos="toys",
    model_hash="ab",
    seed=9,
    grid=GRID,
    settings={"num_triplets": 2},
    skipped={"a.mp4": "too short"},
)


def test_rows_are_selected_by_their_keys() -> None:
    assert TABLE.keys("head") == ("rsp", "avid")
    assert TABLE.keys("level") == (0.5, 1)
    assert [row["ratio"].value for row in TABLE.select(head="rsp")] == [1, 2]
    assert TABLE.select(head="backbone") == ()
    assert TABLE.one(head="rsp", level=1.0)["ratio"] == estimate(2.0)
    with pytest.raises(ValueError, match=r"no rows of toy have .*'rsp', 'level': 2.*level: 0.5, 1"):
        TABLE.one(head="rsp", level=2)
    with pytest.raises(ValueError, match="2 rows of toy have .*, expected one"):
        TABLE.one(head="rsp")
    with pytest.raises(ValueError, match=r"has the estimates \['ratio'\], got 'num_undefined'"):
        _ = TABLE.rows[0]["num_undefined"]


def test_a_table_comes_back_from_its_file(tmp_path: Path) -> None:
    path = TABLE.save(tmp_path / "deep" / "t.json")
    again = StudyTable.load(path)
    assert again.to_json() == TABLE.to_json()
    assert again.grid == GRID
    assert again.rows[0]["ratio"] == estimate(1.0)
    np.testing.assert_array_equal(again.rows[2].samples["ratio"], [0.25, 1 / 3])
    assert replace(again, grid=None).to_json()["grid"] is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{}", "run the study again"),
        ('{"format": "rspnet-planted", "version": 1}', "got format 'rspnet-planted', version 1"),
        ("[1]", "holds no result of a study"),
        ("no json", "holds no result of a study"),
        ('{"format": "rspnet-study", "version": 2}', "holds no result of a study"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        StudyTable.load(path)


def test_a_pivot_puts_each_number_in_its_place() -> None:
    table = pivot(
        {"half": {"level": 0.5}, "one": {"level": 1}},
        {"RSP": ("ratio", {"head": "rsp"}), "A-VID": ("ratio", {"head": "avid"})},
        TABLE,
        first="level",
        caption="4 toys",
        strong=lambda title: title == "one",
    )
    assert list(table.header) == ["level", "RSP", "A-VID"]
    assert table.rows == [["half", estimate(1.0), ""], ["one", estimate(2.0), ""]]
    assert table.strong == {1}


SHOWN = Table(
    header=("map", "RSP", "note"),
    rows=[("<b>", Estimate(-2.5, -3.0, 1.0, 40), "=1+1"), ("-x", 0.5, "@a")],
    caption="+40 videos",
    strong=frozenset([0]),
)


def test_text_is_aligned() -> None:
    minus = "\N{MINUS SIGN}"
    assert SHOWN.text().splitlines() == [
        "+40 videos",
        "map                  RSP  note",
        f"<b>  {minus}2.50 [{minus}3.00, 1.00]  =1+1",
        "-x                  0.50    @a",
    ]


def test_html_is_escaped_and_names_the_videos() -> None:
    page = SHOWN.html()
    assert '<th scope="row">&lt;b&gt;</th>' in page
    assert 'title="40 videos">\N{MINUS SIGN}2.50 <small>\N{MINUS SIGN}3.00 to 1.00</small>' in page
    assert page.count('class="strong"') == 1
    assert "<caption>+40 videos</caption>" in page
    assert "<caption>" not in SHOWN.html(caption=False)


def test_csv_is_safe_in_a_spreadsheet_and_numbers_stay_numbers() -> None:
    rows = list(csv.DictReader(io.StringIO(csv_of([SHOWN]).decode())))
    assert [row["row"] for row in rows] == ["<b>", "<b>", "'-x", "'-x"]
    assert {row["table"] for row in rows} == {"'+40 videos"}
    assert [row["value"] for row in rows] == ["-2.5", "'=1+1", "0.5", "'@a"]
    assert (rows[0]["low"], rows[0]["high"], rows[0]["videos"]) == ("-3.0", "1.0", "40")


def test_numbers_have_a_real_minus_sign() -> None:
    assert number(-0.5, 1) == "\N{MINUS SIGN}0.5"
    assert number(-0.001) == "0.00"
    assert interval(estimate(1.0)) == "1.00, 0.50 to 1.50"
    with pytest.raises(ValueError, match=r"each of the 2 columns, got rows of \[1\]"):
        Table(header=("a", "b"), rows=[("x",)], caption="")
