"""Texts from outside: lists in any encoding, names that are not UTF-8, cells of spreadsheets."""

import codecs
import re
from collections.abc import Mapping, Sized
from dataclasses import fields
from pathlib import Path

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins as the next does
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_MOST = 48  # letters of a value in a line of several
_ESCAPED = re.compile(r"\\x(5c|[89a-f][0-9a-f])")


def read_text(path: str | Path) -> str:
    r"""A text file: UTF-8, UTF-16 or UTF-32 with a byte order mark, else Latin-1.

    Ends of lines are given as ``\n``, whichever they are.

    Raises:
        ValueError: There is no such file, or it holds something other than text.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "list.txt"
        >>> _ = path.write_bytes("café\r\n".encode("utf-16"))
        >>> read_text(path)
        'café\n'
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ValueError(f"no file {path}") from None
    except OSError as error:
        raise ValueError(f"{path} can't be read: {error.strerror or error}") from error
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            raise ValueError(f"{path} is damaged: its mark says {encoding}: {error}") from error
        text = data.decode("latin-1")
    if "\0" in text:
        raise ValueError(
            f"{path} is no text: expected UTF-8, UTF-16 with a byte order mark, or Latin-1"
        )
    return text.replace("\r\n", "\n").replace("\r", "\n")


def escape_bytes(name: str) -> str:
    r"""A path as a text of valid UTF-8, from which :func:`unescape_bytes` gives it back exactly.

    Names that are UTF-8, nearly all, stay as they are.

    Example:
        >>> import os
        >>> print(escape_bytes(os.fsdecode(b"caf\xe9.mp4")))
        caf\xe9.mp4
    """
    return _show_bytes(_ESCAPED.sub(lambda found: rf"\x5c{found[0][1:]}", name))


def _show_bytes(name: str) -> str:
    return re.sub("[\udc80-\udcff]", lambda found: f"\\x{ord(found[0]) & 0xFF:02x}", name)


def unescape_bytes(text: str) -> str:
    """The path that :func:`escape_bytes` was given."""

    def byte(found: re.Match[str]) -> str:
        return "\\" if found[1] == "5c" else chr(0xDC00 + int(found[1], 16))

    return _ESCAPED.sub(byte, text)


def spreadsheet_cell(text: str) -> str:
    """A text for a CSV that people open, which a spreadsheet does not take for a formula.

    Formulas get a leading apostrophe; what of a name is not UTF-8 is escaped. What the programs
    read back is written by :func:`escape_bytes`, or as it is.

    Example:
        >>> spreadsheet_cell("=1+1"), spreadsheet_cell("walk")
        ("'=1+1", 'walk')
    """
    return _show_bytes(f"'{text}" if text.startswith(FORMULA) else text)


class Brief:
    """A dataclass that says in one line what it holds; arrays, models and lists are not printed.

    Example:
        >>> from dataclasses import dataclass
        >>> import numpy as np
        >>> @dataclass(repr=False)
        ... class Film(Brief):
        ...     frames: np.ndarray
        ...     name: str
        ...     labels: dict[str, int]
        >>> Film(np.zeros((16, 112, 112, 3)), "walk", {"a": 1, "b": 2})
        Film(frames=array (16, 112, 112, 3), name='walk', labels={a, b})
    """

    def __repr__(self) -> str:
        named = {own.name: _brief(getattr(self, own.name)) for own in fields(self) if own.repr}  # type: ignore[arg-type]
        parts = ", ".join(f"{name}={text}" for name, text in named.items() if text)
        return f"{type(self).__name__}({parts})"


def _brief(value: object) -> str:
    """A value in a few letters; nothing for an empty one."""
    if hasattr(value, "shape"):
        return f"array {tuple(value.shape)}"
    if value is None or (isinstance(value, Sized) and not len(value)):
        return ""
    if isinstance(value, Mapping):
        text = f"{{{', '.join(map(str, value))}}}"
        return text if len(text) <= _MOST else f"{len(value)} entries"
    if isinstance(value, float):
        return f"{value:.4g}"
    has_words = type(value).__str__ is not object.__str__ and not isinstance(value, str)
    text = str(value) if has_words else repr(value)
    if len(text) <= _MOST or isinstance(value, str):
        return text
    if not isinstance(value, tuple | list):
        return type(value).__name__
    return f"{len(value)} {'item' if len(value) == 1 else 'items'}"
