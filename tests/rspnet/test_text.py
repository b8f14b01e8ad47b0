"""Texts from outside: encodings, names that are not UTF-8, formulas."""

import codecs
import os

import pytest

from rspnet.text import escape_bytes, read_text, spreadsheet_cell, unescape_bytes


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b""),
        ("utf-8", codecs.BOM_UTF8),
        ("latin-1", b""),
        ("utf-16-le", codecs.BOM_UTF16_LE),
        ("utf-16-be", codecs.BOM_UTF16_BE),
        ("utf-32-le", codecs.BOM_UTF32_LE),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_list_is_read_in_any_encoding(encoding, mark, end, tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes(mark + f"café 1{end}b 2{end}".encode(encoding))
    assert read_text(path) == "café 1\nb 2\n"


def test_what_is_no_text_is_refused(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes(b"\0\0\0\x18ftypmp42\xff")
    with pytest.raises(ValueError, match=r"list.txt is no text: expected UTF-8, UTF-16"):
        read_text(path)
    path.write_bytes(codecs.BOM_UTF16_LE + b"a")
    with pytest.raises(ValueError, match=r"list.txt is damaged: its mark says utf-16"):
        read_text(path)
    with pytest.raises(ValueError, match="no file"):
        read_text(tmp_path / "none.txt")
    with pytest.raises(ValueError, match="can't be read: Is a directory"):
        read_text(tmp_path)


@pytest.mark.parametrize(
    "name", [b"caf\xe9.mp4", b"caf\\xe9.mp4", b"\\x5c\\x5cx\xff\\", b"caf\xc3\xa9 =1.mp4", b"a\\b"]
)
def test_any_name_is_written_and_read_back(name):
    path = os.fsdecode(name)
    assert unescape_bytes(escape_bytes(path)) == path
    escape_bytes(path).encode()


def test_formulas_are_escaped():
    for text in ("=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\n=1"):
        assert spreadsheet_cell(text) == f"'{text}"
    for text in ("walk", "a=b", "", "1-2", "'=1"):
        assert spreadsheet_cell(text) == text
    assert spreadsheet_cell(os.fsdecode(b"=\xe9")) == r"'=\xe9"
