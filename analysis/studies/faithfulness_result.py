"""What :mod:`analysis.studies.faithfulness` measured: rows, tables, JSON."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from analysis.core.serialisation import check_format, load_json
from analysis.core.statistics import Estimate

FORMAT = "rspnet-faithfulness"
HEAD_NAMES = {"rsp": "RSP", "avid": "A-VID"}
_NUMBERS = ("full", "empty", "map", "random", "centre", "over_random", "over_centre")


@dataclass(frozen=True, kw_only=True)
class CurveRow:
    """Insertion or deletion of one score with one fill.

    Attributes:
        head: ``rsp`` or ``avid``.
        question: ``similarity`` or ``margin``.
        fill: What stands in for cells.
        mode: ``deletion`` or ``insertion``.
        full: The clip's score.
        empty: The score when every cell is filled.
        map: Area under the curve in the order of the map.
        random: In random orders.
        centre: From the middle of the frame outwards.
        over_random: How much better the map is than random orders: random less map for deletion,
            map less random for insertion. Above 0 the map knows something.
        over_centre: The same against the centre.
        curve_map: Mean score at each share of the cells.
        curve_random: The same in random orders.
        curve_centre: The same from the middle.
    """

    head: str
    question: str
    fill: str
    mode: str
    full: Estimate
    empty: Estimate
    map: Estimate
    random: Estimate
    centre: Estimate
    over_random: Estimate
    over_centre: Estimate
    curve_map: tuple[float, ...]
    curve_random: tuple[float, ...]
    curve_centre: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "CurveRow":
        """The inverse of :meth:`to_json`."""
        numbers = {name: Estimate(**value[name]) for name in _NUMBERS}
        curves = {name: tuple(value[name]) for name in value if name.startswith("curve_")}
        return cls(**(value | numbers | curves))


@dataclass(frozen=True, kw_only=True)
class InfidelityRow:
    """How much of the drops of a score, boxes of cells taken away, a map leaves unexplained.

    Attributes:
        head: ``rsp`` or ``avid``.
        question: ``similarity`` or ``margin``.
        fill: What stands in for cells.
        map: Share unexplained by the map (:func:`analysis.studies.deletion.unexplained`).
        shuffled: By the map's values in other places.
        better: shuffled less map.
        num_undefined: Videos left out, as nothing changed their score.
    """

    head: str
    question: str
    fill: str
    map: Estimate
    shuffled: Estimate
    better: Estimate
    num_undefined: int

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "InfidelityRow":
        """The inverse of :meth:`to_json`."""
        numbers = {name: Estimate(**value[name]) for name in ("map", "shuffled", "better")}
        return cls(**(value | numbers))


@dataclass(frozen=True, kw_only=True)
class SensitivityRow:
    """How much a map changes when pixels are shaken by about a grey level.

    Attributes:
        head: ``rsp`` or ``avid``.
        question: ``similarity`` or ``margin``.
        change: Largest change of the map over its length.
    """

    head: str
    question: str
    change: Estimate

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "SensitivityRow":
        """The inverse of :meth:`to_json`."""
        return cls(**(value | {"change": Estimate(**value["change"])}))


@dataclass(frozen=True, kw_only=True)
class FaithfulnessResult:
    """All that was measured.

    Attributes:
        videos: Which, in words.
        num_videos: How many.
        model_hash: SHA-256 of the model file.
        cells: (T', H', W') of the maps.
        seed: Of clips, random orders and boxes of cells.
        num_random: Random orders a video.
        shares: Of the cells, where curves were measured.
        curves: For each head, question, fill and mode.
        infidelity: For each head, question and fill.
        sensitivity: For each head and question.
    """

    videos: str
    num_videos: int
    model_hash: str
    cells: tuple[int, int, int]
    seed: int
    num_random: int
    shares: tuple[float, ...]
    curves: tuple[CurveRow, ...]
    infidelity: tuple[InfidelityRow, ...]
    sensitivity: tuple[SensitivityRow, ...]

    def curve(self, head: str, question: str, fill: str, mode: str) -> CurveRow:
        """One row.

        Raises:
            ValueError: There is no such row.
        """
        wanted = (head, question, fill, mode)
        for row in self.curves:
            if (row.head, row.question, row.fill, row.mode) == wanted:
                return row
        raise ValueError(f"no row {wanted} among {len(self.curves)} rows of insertion and deletion")

    def table(self) -> str:
        """Deletion, insertion, infidelity and sensitivity, with 95% intervals."""
        lines = [
            f"{self.num_videos} {self.videos}; maps of "
            f"{' x '.join(map(str, self.cells))} cells, {self.num_random} random orders; "
            "[95% interval over videos]"
        ]
        for mode in dict.fromkeys(row.mode for row in self.curves):
            rows = [row for row in self.curves if row.mode == mode]
            better = "lower" if mode == "deletion" else "higher"
            lines += ["", f"{mode}: area under the curve of the score, the {better} the better"]
            lines += _curve_lines(rows)
        left = "share of the drops' mean square that is left unexplained"
        lines += ["", f"{left} (Captum's normalised infidelity); 0 is perfect"]
        lines.append(f"{'':34}{'map':>22}{'map shuffled':>22}{'better by':>22}{'left out':>10}")
        lines += [
            f"{_name(row.head, row.question, row.fill)}{row.map!s:>22}{row.shuffled!s:>22}"
            f"{row.better!s:>22}{row.num_undefined:>10}"
            for row in self.infidelity
        ]
        lines += ["", "largest relative change of the map, pixels shaken by about a grey level"]
        lines += [
            f"{_name(row.head, row.question, '')}{row.change!s:>22}" for row in self.sensitivity
        ]
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"format": FORMAT, "version": 1} | asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "FaithfulnessResult":
        """The inverse of :meth:`to_json`.

        Raises:
            ValueError: The value is something else.
        """
        check_format(value, FORMAT, "python -m analysis faithfulness")
        fields = {name: v for name, v in value.items() if name not in ("format", "version")}
        t, h, w = value["cells"]
        rows = {
            "cells": (t, h, w),
            "shares": tuple(value["shares"]),
            "curves": tuple(CurveRow.from_json(row) for row in value["curves"]),
            "infidelity": tuple(InfidelityRow.from_json(row) for row in value["infidelity"]),
            "sensitivity": tuple(SensitivityRow.from_json(row) for row in value["sensitivity"]),
        }
        return cls(**(fields | rows))

    @classmethod
    def load(cls, path: str | Path) -> "FaithfulnessResult":
        """Read the file of ``python -m analysis faithfulness``.

        Raises:
            ValueError: The file is something else.
        """
        return load_json(path, cls.from_json, "result of faithfulness")


def _name(head: str, question: str, fill: str) -> str:
    return f"{HEAD_NAMES[head]:<8}{question:<14}{fill:<12}"


def _curve_lines(rows: Sequence[CurveRow]) -> list[str]:
    columns = ("full", "empty", "map", "random", "centre")
    titles = ("clip", "filled", "map", "random", "centre")
    head = "".join(f"{title:>10}" for title in titles)
    lines = [f"{'':34}{head}{'better than random':>25}{'better than centre':>25}"]
    for row in rows:
        numbers = "".join(f"{getattr(row, name).value:>10.3f}" for name in columns)
        gains = "".join(f"{_interval(e):>25}" for e in (row.over_random, row.over_centre))
        lines.append(f"{_name(row.head, row.question, row.fill)}{numbers}{gains}")
    return lines


def _interval(e: Estimate) -> str:
    return f"{e.value:+.3f} [{e.low:+.3f}, {e.high:+.3f}]"
