"""What :mod:`analysis.studies.optical_flow` measured: rows, tables, JSON."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.core.grid import Grid
from analysis.core.serialisation import check_format, load_json
from analysis.core.statistics import Estimate
from analysis.studies.localisation_result import KIND_NAMES

FORMAT = "rspnet-flow"
TARGETS = ("flow", "saliency", "contrast")
TARGET_NAMES = {
    "flow": "optical flow",
    "saliency": "spectral residual",
    "contrast": "local contrast",
}
_NUMBERS = ("rsp", "avid", "difference")


@dataclass(frozen=True, kw_only=True)
class FlowRow:
    """One kind of map of both heads against one property of the pixels.

    Attributes:
        kind: One of :data:`analysis.stimuli.kinds.KINDS`.
        target: One of :data:`TARGETS`.
        speed: Of the query, ``1x`` or ``2x``, or ``both``.
        rsp: Spearman's rho over the cells of a clip, mean over videos, of the RSP head's map.
        avid: The same of the A-VID head's map.
        difference: RSP less A-VID, paired video by video.
    """

    kind: str
    target: str
    speed: str
    rsp: Estimate
    avid: Estimate
    difference: Estimate

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        names = {name: getattr(self, name) for name in ("kind", "target", "speed")}
        return names | {name: getattr(self, name).to_json() for name in _NUMBERS}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "FlowRow":
        """The inverse of :meth:`to_json`."""
        return cls(**(value | {name: Estimate(**value[name]) for name in _NUMBERS}))


@dataclass(frozen=True, kw_only=True)
class FlowResult:
    """All rows of one set of weights.

    Attributes:
        weights: One of :data:`analysis.stimuli.kinds.WEIGHTS`.
        rows: For each kind, target and speed.
    """

    weights: str
    rows: tuple[FlowRow, ...]

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of maps, in their order."""
        return tuple(dict.fromkeys(row.kind for row in self.rows))

    def row(self, kind: str, target: str, speed: str = "both") -> FlowRow:
        """One row.

        Raises:
            ValueError: There is no such row.
        """
        for row in self.rows:
            if (row.kind, row.target, row.speed) == (kind, target, speed):
                return row
        raise ValueError(
            f"no row {(kind, target, speed)}: kinds are {self.kinds}, targets {TARGETS}, speeds "
            "1x, 2x and both"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"weights": self.weights, "rows": [row.to_json() for row in self.rows]}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "FlowResult":
        """The inverse of :meth:`to_json`."""
        rows = tuple(FlowRow.from_json(row) for row in value["rows"])
        return cls(weights=value["weights"], rows=rows)


@dataclass(frozen=True, kw_only=True)
class FlowStudy:
    """A model and its controls on the same clips of real videos.

    Attributes:
        results: ``trained`` first.
        model_hash: SHA-256 of the model file.
        what: Which videos, in words.
        num_videos: Videos measured.
        num_triplets: A video and speed of the query.
        seed: Of the clips.
        grid: Of the maps.
        pixels: Spearman's rho of the movement with ``saliency`` and ``contrast``: what the pixels
            alone have in common.
        skipped: Videos that could not be measured, and why.
    """

    results: tuple[FlowResult, ...]
    model_hash: str
    what: str
    num_videos: int
    num_triplets: int
    seed: int
    grid: Grid
    pixels: dict[str, Estimate]
    skipped: tuple[tuple[str, str], ...] = ()

    def of(self, weights: str = "trained") -> FlowResult:
        """The result of one set of weights.

        Raises:
            ValueError: There is none.
        """
        for result in self.results:
            if result.weights == weights:
                return result
        raise ValueError(f"weights are {[r.weights for r in self.results]}, got {weights!r}")

    def table(self) -> str:
        """All correlations with their intervals, the model's by speed as well."""
        blocks = [
            f"{self.num_videos} {self.what}, {self.num_triplets} triplets a video and speed, "
            f"seed {self.seed}, maps of {self.grid}; {len(self.skipped)} videos left out\n"
            "Spearman's rho over the cells of a clip, mean over videos [95% interval]\n"
            "movement itself with "
            + ", ".join(f"{TARGET_NAMES[name]} {rho}" for name, rho in self.pixels.items())
        ]
        for result in self.results:
            for speed in ("both", "1x", "2x") if result is self.results[0] else ("both",):
                lines = [
                    f"{result.weights}, queries at {speed}",
                    f"{'':<38}{'RSP':>22}{'A-VID':>22}{'RSP less A-VID':>22}",
                ]
                for target in TARGETS:
                    for kind in result.kinds:
                        row = result.row(kind, target, speed)
                        cells = (str(row.rsp), str(row.avid), str(row.difference))
                        start = f"{TARGET_NAMES[target]:<18}{KIND_NAMES[kind]:<20}"
                        lines.append(start + "".join(f"{cell:>22}" for cell in cells))
                blocks.append("\n".join(lines))
        return "\n\n".join(blocks)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "format": FORMAT,
            "version": 1,
            "model_hash": self.model_hash,
            "what": self.what,
            "num_videos": self.num_videos,
            "num_triplets": self.num_triplets,
            "seed": self.seed,
            "grid": self.grid.to_json(),
            "pixels": {name: rho.to_json() for name, rho in self.pixels.items()},
            "left_out": [list(pair) for pair in self.skipped],
            "results": [result.to_json() for result in self.results],
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "FlowStudy":
        """The inverse of :meth:`to_json`.

        Raises:
            ValueError: The value is something else.
        """
        check_format(value, FORMAT, "python -m analysis optical_flow")
        return cls(
            results=tuple(FlowResult.from_json(result) for result in value["results"]),
            model_hash=value["model_hash"],
            what=value["what"],
            num_videos=value["num_videos"],
            num_triplets=value["num_triplets"],
            seed=value["seed"],
            grid=Grid.from_json(value["grid"]),
            pixels={name: Estimate(**rho) for name, rho in value["pixels"].items()},
            skipped=tuple((path, reason) for path, reason in value["left_out"]),
        )

    @classmethod
    def load(cls, path: str | Path) -> "FlowStudy":
        """Read the file of ``python -m analysis optical_flow``.

        Raises:
            ValueError: The file is something else.
        """
        return load_json(path, cls.from_json, "study of optical flow")
