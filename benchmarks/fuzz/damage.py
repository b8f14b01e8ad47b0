"""Damage of files, and structured nonsense, each from a seed."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

Rng = np.random.Generator
LARGEST = 400  # bytes of a field or block that is damaged; most faults are small


def _span(data: bytearray, rng: Rng, most: int = LARGEST) -> tuple[int, int]:
    """Begin and end of a random block."""
    size = int(rng.integers(1, min(most, len(data)) + 1))
    begin = int(rng.integers(0, len(data) - size + 1))
    return begin, begin + size


def flip_bits(data: bytearray, rng: Rng) -> None:
    """One to eight bits, anywhere."""
    for place in rng.integers(0, len(data), rng.integers(1, 9)):
        data[place] ^= 1 << int(rng.integers(0, 8))


def overwrite(data: bytearray, rng: Rng) -> None:
    """A block of noise."""
    begin, end = _span(data, rng, 64)
    data[begin:end] = rng.bytes(end - begin)


def zero(data: bytearray, rng: Rng) -> None:
    """A block that was never written."""
    begin, end = _span(data, rng, 4096)
    data[begin:end] = bytes(end - begin)


def cut(data: bytearray, rng: Rng) -> None:
    """The end is missing."""
    del data[int(rng.integers(0, len(data))) :]


def remove(data: bytearray, rng: Rng) -> None:
    """A block is missing."""
    begin, end = _span(data, rng)
    del data[begin:end]


def repeat(data: bytearray, rng: Rng) -> None:
    """A block is there twice."""
    begin, end = _span(data, rng)
    data[end:end] = data[begin:end]


def swap(data: bytearray, rng: Rng) -> None:
    """Two blocks have changed places."""
    begin, end = _span(data, rng)
    other, _ = _span(data, rng, 1)
    other = min(other, len(data) - (end - begin))
    data[begin:end], data[other : other + end - begin] = (
        data[other : other + end - begin],
        data[begin:end],
    )


def edit_header(data: bytearray, rng: Rng) -> None:
    """A field of 1 to 8 bytes near either end, where tables stand, made extreme or noise."""
    size = int(rng.choice([1, 2, 4, 8]))
    place = int(rng.integers(0, min(1024, max(1, len(data) - size))))
    place = place if rng.random() < 0.6 else max(0, len(data) - size - place)
    values = (bytes(size), b"\xff" * size, b"\x7f" + b"\xff" * (size - 1), rng.bytes(size))
    data[place : place + size] = values[int(rng.integers(0, 4))]


def rename(data: bytearray, rng: Rng) -> None:
    """Four letters, such as the name of a codec or of a box, become others."""
    letters = np.frombuffer(bytes(data), np.uint8)
    is_letter = ((letters | 32) >= 97) & ((letters | 32) <= 122)
    runs = np.flatnonzero(np.convolve(is_letter, np.ones(4), "valid") == 4)
    if len(runs):
        place = int(rng.choice(runs))
        data[place : place + 4] = bytes(rng.integers(97, 123, 4, np.uint8))


DAMAGE: tuple[Callable[[bytearray, Rng], None], ...] = (
    flip_bits, overwrite, zero, cut, remove, repeat, swap, edit_header, edit_header, rename,
)  # fmt: skip


def damage(data: bytes, rng: Rng) -> tuple[bytes, str]:
    """A file with one to three faults, never the same as before, and their names."""
    changed, names = bytearray(data), list[str]()
    while bytes(changed) == data or (len(names) < 3 and rng.random() < 0.3):
        kind = DAMAGE[int(rng.integers(0, len(DAMAGE)))]
        if changed:
            kind(changed, rng)
        names.append(kind.__name__)
        if len(names) > 100:  # nothing helps: an empty file
            changed.append(0)
    return bytes(changed), "+".join(names)


# Structured nonsense.

_NUMBERS = st.one_of(
    st.integers(-3, 40),
    st.sampled_from([0, -1, 10**12, 10**18, -(10**30), 2**31, 2**63, 1e308, 0.5, 1e-320]),
    st.floats(allow_nan=True, allow_infinity=True),
)
_TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["", "~", "null", "true", "#x", "[", "{a: 1", "=cmd|'/C calc'!A0", "@SUM(1)", "\x00", "é",
         "\udc80", "../../x", "resnet18", "default", "auto", "1e5", "0x10", "rsp", "local", "!!x"]
    ),
)  # fmt: skip
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), _NUMBERS, _TEXTS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=5,
)
_DEEP = "[" * 100_000 + "]" * 100_000


def settings_of(names: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Settings of a command with values that are odd, most of them of the wrong type."""
    name = st.sampled_from(names)
    known = st.dictionaries(name, _NUMBERS | _TEXTS | VALUES, min_size=1, max_size=2)
    return known | known | known | st.dictionaries(name | _TEXTS, VALUES, max_size=4)


def headers(good: dict[str, str]) -> st.SearchStrategy[dict[str, str]]:
    """Headers of a model file: entries missing, their JSON broken, deep or with odd values."""

    def change(text: str, key: str, value: Any) -> str:
        inner = json.loads(text)
        if not isinstance(inner, dict):
            return json.dumps(value)
        names = sorted(inner)
        inner[names[len(key) % len(names)] if names and len(key) % 4 else key] = value
        return json.dumps(inner)

    def header(name: str, how: str, key: str, value: Any) -> dict[str, str]:
        changed = dict(good)
        if how == "missing":
            del changed[name]
        elif how == "value":
            changed[name] = change(good[name], key, value) if good[name][0] in "{[" else str(value)
        elif how == "json":
            changed[name] = json.dumps(value)
        else:
            changed[name] = {"deep": _DEEP, "text": key, "cut": good[name][: len(key)]}[how]
        return {k: v.encode("utf-8", "replace").decode() for k, v in changed.items()}

    kinds = ["missing", "value", "value", "value", "value", "json", "deep", "text", "cut"]
    return st.builds(header, st.sampled_from(sorted(good)), st.sampled_from(kinds), _TEXTS, VALUES)


NAMES = ("walk/a.mp4", "jump/b c.mp4", "jump/ü.mp4", "walk/x,y.mp4", "walk/=1+1.mp4")
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-32", "latin-1", "cp1252")


def lists(header: str, row: str) -> st.SearchStrategy[tuple[bytes, list[str] | None]]:
    """A list of files in some encoding, and the names in it; None where the bytes are nonsense."""

    def good(names: list[str], encoding: str, end: str) -> tuple[bytes, list[str] | None]:
        quoted = [f'"{name}"' if header and "," in name else name for name in names]
        lines = [*([header] if header else []), *(row.format(name) for name in quoted)]
        return (end.join(lines) + end).encode(encoding), names

    whole = st.builds(
        good,
        st.lists(st.sampled_from(NAMES), min_size=1, unique=True),
        st.sampled_from(ENCODINGS),
        st.sampled_from(["\n", "\r\n", "\r"]),
    )
    broken = st.tuples(
        st.binary(max_size=80)
        | st.lists(_TEXTS, max_size=5).map(lambda t: ",\n".join(t).encode("utf-8", "replace")),
        st.none(),
    )
    return whole | broken


def examples(strategy: st.SearchStrategy[Any], number: int, start: int) -> list[Any]:
    """So many examples, the same for the same start."""
    found: list[Any] = []

    @seed(start)
    @settings(
        max_examples=number,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(value: Any) -> None:
        found.append(value)

    collect()
    while len(found) < number:  # all that there are were given
        found += found[: number - len(found)]
    return found
