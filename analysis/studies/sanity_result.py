"""What :mod:`analysis.studies.sanity` measured: rows, verdict, table, figure, JSON."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from analysis.core.serialisation import check_format, load_json
from analysis.core.statistics import Estimate
from rspnet.names import HEAD_TITLES

FORMAT = "rspnet-sanity"
LIMIT = 0.3
OTHER_VIDEO = "other video"
RULE = (
    f"passes if, with every layer randomised, the mean size of the rank correlation |rho| with the "
    f"trained model's map is below {LIMIT}, its 95% interval included, for signed and for "
    "absolute values"
)
TARGET_TITLES = {"similarity": "map of the similarity", "margin": "map of the margin"}


@dataclass(frozen=True, kw_only=True)
class SanityRow:
    """How alike a randomised model's maps are to the trained model's.

    Attributes:
        head: ``rsp`` or ``avid``.
        question: ``similarity`` or ``margin``.
        values: ``signed`` or ``absolute``, of the maps.
        stage: The layer down to which everything is random; or ``other video``: the trained
            model's own maps of two videos at one speed, which is how alike maps are that have
            only the model in common.
        rho: Spearman's rank correlation over cells, the mean over videos and draws.
        size: Mean of |rho|. By chance alone it is above 0.
        num_undefined: Videos left out, as a map was even.
    """

    head: str
    question: str
    values: str
    stage: str
    rho: Estimate
    size: Estimate
    num_undefined: int

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "SanityRow":
        """The inverse of :func:`dataclasses.asdict`."""
        return cls(**(value | {name: Estimate(**value[name]) for name in ("rho", "size")}))


@dataclass(frozen=True, kw_only=True)
class SanityResult:
    """All steps of the cascade.

    Attributes:
        videos: Which, in words.
        num_videos: How many.
        model_hash: SHA-256 of the model file.
        cells: (T', H', W') of the maps.
        num_draws: Draws of random weights.
        stages: Names of the steps, in the order of the cascade.
        rows: For each head, question, step (and ``other video``), signed and absolute.
    """

    videos: str
    num_videos: int
    model_hash: str
    cells: tuple[int, int, int]
    num_draws: int
    stages: tuple[str, ...]
    rows: tuple[SanityRow, ...]

    def row(self, head: str, question: str, stage: str, values: str = "signed") -> SanityRow:
        """One row.

        Raises:
            ValueError: There is no such row.
        """
        wanted = (head, question, values, stage)
        for row in self.rows:
            if (row.head, row.question, row.values, row.stage) == wanted:
                return row
        raise ValueError(
            f"no row {wanted}: stages are {[*self.stages, OTHER_VIDEO]}, values signed and absolute"
        )

    @property
    def questions(self) -> tuple[tuple[str, str], ...]:
        """Heads with their questions, in their order."""
        return tuple(dict.fromkeys((row.head, row.question) for row in self.rows))

    def passes(self, head: str, question: str) -> bool:
        """Whether a kind of map passes, by :data:`RULE`."""
        last = [
            self.row(head, question, self.stages[-1], values) for values in ("signed", "absolute")
        ]
        return all(row.size.high < LIMIT for row in last)

    def table(self) -> str:
        """A line a kind of map and step, then the verdict by the rule."""
        lines = [
            f"{self.num_videos} {self.videos}; maps of {' x '.join(map(str, self.cells))} cells, "
            f"{self.num_draws} draws of random weights; rank correlation with the trained model's "
            "map [95% interval over videos]",
            f"{'':22}{'random down to':<16}"
            + "".join(
                f"{t:>21}" for t in ("rho, signed", "|rho|, signed", "rho, |map|", "|rho|, |map|")
            ),
        ]
        for head, question in self.questions:
            for stage in (*self.stages, OTHER_VIDEO):
                signed, absolute = (
                    self.row(head, question, stage, values) for values in ("signed", "absolute")
                )
                shown = (signed.rho, signed.size, absolute.rho, absolute.size)
                name = f"{HEAD_TITLES[head]:<8}{question:<14}{stage:<16}"
                lines.append(name + "".join(f"{e!s:>21}" for e in shown))
            lines.append(f"{'':22}{'passes' if self.passes(head, question) else 'does not pass'}")
        lines.append(f"Rule: {RULE}.")
        alike = "the trained model's own maps of two videos at one speed, compared in the same way"
        lines.append(f"{OTHER_VIDEO!r}: {alike}.")
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        verdicts = [
            {"head": head, "question": question, "passes": self.passes(head, question)}
            for head, question in self.questions
        ]
        return {"format": FORMAT, "version": 1, "rule": RULE, "verdicts": verdicts} | asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "SanityResult":
        """The inverse of :meth:`to_json`.

        Raises:
            ValueError: The value is something else.
        """
        check_format(value, FORMAT, "python -m analysis sanity")
        t, h, w = value["cells"]
        return cls(
            videos=value["videos"],
            num_videos=value["num_videos"],
            model_hash=value["model_hash"],
            cells=(t, h, w),
            num_draws=value["num_draws"],
            stages=tuple(value["stages"]),
            rows=tuple(SanityRow.from_json(row) for row in value["rows"]),
        )

    @classmethod
    def load(cls, path: str | Path) -> "SanityResult":
        """Read the file of ``python -m analysis sanity``.

        Raises:
            ValueError: The file is something else.
        """
        return load_json(path, cls.from_json, "result of a sanity check")
