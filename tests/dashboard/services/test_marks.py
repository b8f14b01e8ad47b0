"""Marks with their notes: kept, handed out, taken back; what is bad is said and loses nothing."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from dashboard.services import marks
from dashboard.services.marks import Mark, change, merge, parse, read, table
from rspnet.text import read_text

ONE = Mark("walk/a.mp4", "rsp", "run/b.mp4", "same kick", 3, 0.25, "small", "Synthetic videos")


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    kept = [
        ONE,
        Mark("=a.mp4", "avid", "'b.mp4", "=1+1", model="-m"),
        Mark("a", "backbone", "b", '\'=x, "quoted"'),
    ]
    change(tmp_path / "runs", lambda held: merge(held, kept))
    found = list(read(tmp_path / "runs").values())
    assert [mark.key for mark in found] == [mark.key for mark in kept]
    assert [mark.note for mark in found] == [mark.note for mark in kept]
    assert found[0] == ONE
    assert math.isnan(found[1].similarity)
    data = (tmp_path / "runs" / marks.NAME).read_bytes()
    assert b"\n=" not in data
    assert b",=" not in data  # a spreadsheet takes nothing for a formula
    assert table(found) == data


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "expected the columns query, feature and video, got none"),
        ("path,label\na,b\n", "got path, label"),
        ("query,feature,video\na,speed,b\n", "line 2: feature is one of rsp, avid, backbone"),
        ("query,feature,video\na,rsp,b\na,rsp,\n", "line 3: query and video are names"),
        ("query,feature,video,rank\na,rsp,b,first\n", "line 2: rank is a whole number"),
        (f"query,feature,video,note\na,rsp,b,{'x' * 501}\n", "a note has 501 letters"),
    ],
)
def test_a_bad_table_is_said(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse(text)


def test_a_damaged_table_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / marks.NAME
    path.write_text("somebody,else\n1,2\n")
    with pytest.raises(ValueError, match="it stays as it is until then"):
        change(tmp_path, lambda held: held.update({ONE.key: ONE}))
    assert path.read_text() == "somebody,else\n1,2\n"


def test_where_nothing_can_be_written_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(ValueError, match="the mark can't be kept"):
        change(tmp_path / "runs", lambda held: held.update({ONE.key: ONE}))


def test_what_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    change(tmp_path, lambda held: held.update({ONE.key: ONE}))
    long = replace(ONE, video="c.mp4", note="x" * 501)
    with pytest.raises(ValueError, match="a note has 501 letters"):
        change(tmp_path, lambda held: held.update({long.key: long}))
    many = {(str(n),): ONE for n in range(marks.MOST_MARKS + 1)}
    with pytest.raises(ValueError, match="10,000 marks, the most that are kept: remove some"):
        change(tmp_path, lambda held: held.update(many))
    assert list(read(tmp_path).values()) == [ONE]


def test_both_notes_are_kept() -> None:
    held = {ONE.key: ONE}
    merge(held, parse(read_text_of([ONE])))
    assert held[ONE.key].note == "same kick"
    merge(held, [Mark(ONE.query, "rsp", ONE.video, "", 3, 0.25, "small", ONE.gallery)])
    assert held[ONE.key].note == "same kick"
    merge(held, [Mark(ONE.query, "rsp", ONE.video, "other", 3, 0.25, "small", ONE.gallery)])
    assert held[ONE.key].note == "same kick; other"
    assert len(held) == 1


def read_text_of(kept: list[Mark]) -> str:
    return table(kept).decode()


def test_latin_1_and_marks_of_order_are_read(tmp_path: Path) -> None:
    path = tmp_path / "sent.csv"
    path.write_bytes("query,feature,video,note\na,rsp,b,café\n".encode("utf-16"))
    assert parse(read_text(path))[0].note == "café"
