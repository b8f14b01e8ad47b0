"""What :mod:`analysis.studies.localisation` measured: rows, tables, JSON."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.core.grid import Grid
from analysis.core.serialisation import check_format, load_json
from analysis.core.statistics import Estimate

FORMAT = "rspnet-planted"
REGIONS = ("limbs", "body", "prop", "set_cues", "cues", "static", "whole")
REGION_NAMES = {
    "limbs": "moving limbs",
    "body": "rest of the actor",
    "prop": "prop",
    "set_cues": "set cues",
    "cues": "prop + set cues",
    "static": "prop + whole set",
    "whole": "all of it",
}
_COLUMNS = REGIONS[:-1]  # all of it has ratio 1
KIND_NAMES = {
    "eq2": "Eq. 2",
    "contribution": "contribution",
    "margin": "margin",
    "margin_faster": "margin to faster",
    "margin_deviation": "|margin \N{MINUS SIGN} median|",
    "margin_static": "margin \N{MINUS SIGN} static clip",
}
_HEAD_NAMES = {"rsp": "RSP", "avid": "A-VID"}
_NUMBERS = ("share", "area", "ratio", "even", "ceiling", "pointing", "part")


@dataclass(frozen=True, kw_only=True)
class LocalisationRow:
    """One kind of map of one head against one region.

    Attributes:
        kind: One of :data:`analysis.stimuli.kinds.KINDS`.
        head: ``rsp`` or ``avid``.
        region: One of :data:`REGIONS`.
        speed: Of the query, ``1x`` or ``2x``, or ``both``.
        share: Of the positive energy, what lies inside.
        area: Share of the clip's pixels inside.
        ratio: share / area.
        even: Ratio of a map that says the same everywhere.
        ceiling: The largest ratio that a map on this grid can have.
        pointing: Share of the largest cell that the region covers.
        part: What lies inside with its sign, in units of the score.
    """

    kind: str
    head: str
    region: str
    speed: str
    share: Estimate
    area: Estimate
    ratio: Estimate
    even: Estimate
    ceiling: Estimate
    pointing: Estimate
    part: Estimate

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        names = {name: getattr(self, name) for name in ("kind", "head", "region", "speed")}
        return names | {name: getattr(self, name).to_json() for name in _NUMBERS}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "LocalisationRow":
        """The inverse of :meth:`to_json`."""
        return cls(**(value | {name: Estimate(**value[name]) for name in _NUMBERS}))


@dataclass(frozen=True, kw_only=True)
class HeadDifference:
    """How much larger one head's ratio is than the other's, paired video by video.

    Attributes:
        kind: Of map.
        region: Where.
        speed: Of the query.
        of: The head that is expected to look there.
        less: The other head.
        ratio: Ratio of ``of`` less that of ``less``.
    """

    kind: str
    region: str
    speed: str
    of: str
    less: str
    ratio: Estimate

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        names = ("kind", "region", "speed", "of", "less")
        return {name: getattr(self, name) for name in names} | {"ratio": self.ratio.to_json()}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "HeadDifference":
        """The inverse of :meth:`to_json`."""
        return cls(**(value | {"ratio": Estimate(**value["ratio"])}))


@dataclass(frozen=True, kw_only=True)
class LocalisationResult:
    """All rows of one set of weights.

    Attributes:
        weights: ``trained``, ``swapped heads``, ``swapped objectives`` or ``random weights``.
        model_hash: SHA-256 of the model file that they are from or take their architecture from.
        seed: Of the videos.
        num_videos: How many.
        rows: For each kind, head, region and speed.
        differences: Between the heads, for each kind, region and speed.
    """

    weights: str
    model_hash: str
    seed: int
    num_videos: int
    rows: tuple[LocalisationRow, ...]
    differences: tuple[HeadDifference, ...]

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of maps, in their order."""
        return tuple(dict.fromkeys(row.kind for row in self.rows))

    def row(self, kind: str, head: str, region: str, speed: str = "both") -> LocalisationRow:
        """One row.

        Raises:
            ValueError: There is no such row.
        """
        wanted = (kind, head, region, speed)
        for row in self.rows:
            if (row.kind, row.head, row.region, row.speed) == wanted:
                return row
        raise ValueError(
            f"no row {wanted}: kinds are {self.kinds}, heads rsp and avid, regions {REGIONS}, "
            "speeds 1x, 2x and both"
        )

    def difference(self, kind: str, region: str, speed: str = "both") -> Estimate:
        """The expected head's ratio less the other's.

        Raises:
            ValueError: There is no such difference.
        """
        for found in self.differences:
            if (found.kind, found.region, found.speed) == (kind, region, speed):
                return found.ratio
        raise ValueError(f"no difference between heads for {(kind, region, speed)}")

    def table(self, speed: str = "both") -> str:
        """Ratios with intervals: a line a kind and head, a column a region."""
        lines = [
            f"{self.weights}: {self.num_videos} videos of seed {self.seed}, queries at {speed}; "
            "share of positive energy / share of pixels [95% interval]",
            f"{'':<28}" + "".join(f"{REGION_NAMES[name]:>20}" for name in _COLUMNS),
        ]
        titles = {
            "area": "share of pixels", "even": "even map", "ceiling": "largest ratio possible",
        }  # fmt: skip
        for name, title in titles.items():
            rows = [getattr(self.row(self.kinds[0], "rsp", r, speed), name) for r in _COLUMNS]
            lines.append(f"{title:<28}" + "".join(f"{value.value:>20.3f}" for value in rows))
        for kind in self.kinds:
            for head, title in _HEAD_NAMES.items():
                cells = [str(self.row(kind, head, region, speed).ratio) for region in _COLUMNS]
                lines.append(
                    f"{KIND_NAMES[kind]:<20}{title:<8}" + "".join(f"{c:>20}" for c in cells)
                )
            cells = [
                str(self.difference(kind, region, speed)) if region != "body" else ""
                for region in _COLUMNS
            ]
            lines.append(f"{'':<20}{'differ':<8}" + "".join(f"{c:>20}" for c in cells))
        return "\n".join(lines)

    def parts_table(self) -> str:
        """Where the margin comes from, by the query's speed: limbs, body and static add up."""
        regions = ("limbs", "body", "static", "whole")
        lines = [
            f"{self.weights}: part of the margin that lies inside, with its sign",
            f"{'':<32}" + "".join(f"{REGION_NAMES[name]:>20}" for name in regions),
        ]
        for kind in ("margin", "margin_static"):
            for head, title in _HEAD_NAMES.items():
                for speed in ("1x", "2x"):
                    cells = [str(self.row(kind, head, name, speed).part) for name in regions]
                    start = f"{KIND_NAMES[kind]:<20}{title:<8}{speed:<4}"
                    lines.append(start + "".join(f"{c:>20}" for c in cells))
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "weights": self.weights,
            "model_hash": self.model_hash,
            "seed": self.seed,
            "num_videos": self.num_videos,
            "rows": [row.to_json() for row in self.rows],
            "differences": [found.to_json() for found in self.differences],
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "LocalisationResult":
        """The inverse of :meth:`to_json`."""
        return cls(
            weights=value["weights"],
            model_hash=value["model_hash"],
            seed=value["seed"],
            num_videos=value["num_videos"],
            rows=tuple(LocalisationRow.from_json(row) for row in value["rows"]),
            differences=tuple(HeadDifference.from_json(row) for row in value["differences"]),
        )


@dataclass(frozen=True, kw_only=True)
class LocalisationStudy:
    """A model and its controls on the same clips.

    Attributes:
        results: ``trained`` first.
        grid: Of the maps.
        num_triplets: A video and speed of the query.
    """

    results: tuple[LocalisationResult, ...]
    grid: Grid
    num_triplets: int

    def of(self, weights: str = "trained") -> LocalisationResult:
        """The result of one set of weights.

        Raises:
            ValueError: There is none.
        """
        for result in self.results:
            if result.weights == weights:
                return result
        raise ValueError(f"weights are {[r.weights for r in self.results]}, got {weights!r}")

    def table(self) -> str:
        """Tables of the model, also by speed, and of the controls.

        ``differ`` is the ratio of the head that should look there less that of the other: RSP less
        A-VID in the limbs, A-VID less RSP in the rest.
        """
        trained = [self.of().table(speed) for speed in ("both", "1x", "2x")]
        trained.append(self.of().parts_table())
        return "\n\n".join([*trained, *(r.table() for r in self.results if r is not self.of())])

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "format": FORMAT,
            "version": 1,
            "grid": self.grid.to_json(),
            "num_triplets": self.num_triplets,
            "results": [result.to_json() for result in self.results],
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "LocalisationStudy":
        """The inverse of :meth:`to_json`.

        Raises:
            ValueError: The value is something else.
        """
        check_format(value, FORMAT, "python -m analysis localisation")
        return cls(
            results=tuple(LocalisationResult.from_json(result) for result in value["results"]),
            grid=Grid.from_json(value["grid"]),
            num_triplets=value["num_triplets"],
        )

    @classmethod
    def load(cls, path: str | Path) -> "LocalisationStudy":
        """Read the file of ``python -m analysis localisation``.

        Raises:
            ValueError: The file is something else.
        """
        return load_json(path, cls.from_json, "study of planted regions")
