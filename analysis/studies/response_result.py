"""Results of :mod:`analysis.studies.responses`: similarities of changed clips by video."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.core.serialisation import check_format, load_json
from analysis.core.statistics import Estimate, estimate, mean, ratio
from analysis.stimuli.perturbations import find_change
from analysis.stimuli.perturbed_clips import Curve
from rspnet.names import HEAD_TITLES, HEADS

Floats = NDArray[np.float64]
FORMAT = "rspnet-responses"


@dataclass(frozen=True, kw_only=True, eq=False)
class Responses:
    """How far each head moves as one thing about a clip changes.

    Similarities are of two clips of one video. The *drop* of a change is the similarity of the
    unchanged clip less that of the changed one. Heads differ in how far they spread videos at
    all, so drops are compared in units of a head's own spread: 0 is no movement, 1 is as far as
    the clip of another video. The unit is the mean drop to clips of the other videos.

    Attributes:
        weights: ``trained``, or which control.
        model_hash: SHA-256 of the model file.
        branch: Which branch took the changed clips; the reference went through the query branch.
        source: What videos these are.
        seed: Of the choice of videos, of shuffled frames, and of generated videos.
        num_frames: Frames of a clip.
        window: Frames that each video had to have.
        videos: Names, V.
        unchanged: By head, the similarity of the clip to itself, (V,): 1 if both went through
            one branch.
        unrelated: By head, the mean similarity to the clips of all other videos, (V,).
        curves: One a change.
        skipped: Videos that could not be used, and why.
        controls: Other weights on the same clips.
    """

    weights: str
    model_hash: str
    branch: str
    source: str
    seed: int
    num_frames: int
    window: int
    videos: tuple[str, ...]
    unchanged: dict[str, Floats]
    unrelated: dict[str, Floats]
    curves: tuple[Curve, ...]
    skipped: dict[str, str] = field(default_factory=dict)
    controls: tuple["Responses", ...] = ()

    def curve(self, change: str) -> Curve:
        """The curve of one change.

        Raises:
            ValueError: It was not measured.
        """
        for found in self.curves:
            if found.change == change:
                return found
        raise ValueError(f"measured were {[c.change for c in self.curves]}, got {change!r}")

    def drop(self, head: str, change: str, level: float) -> Floats:
        """Similarity of the unchanged clip less that of the changed one, (V,)."""
        return self.unchanged[head] - self.curve(change).at(head, level)

    def spread(self, head: str) -> Floats:
        """The unit of drops: the mean drop to clips of other videos, (V,)."""
        return self.unchanged[head] - self.unrelated[head]

    def scaled_drop(self, head: str, change: str, level: float) -> Estimate:
        """The mean drop over the mean drop to other videos."""
        return ratio(self.drop(head, change, level), self.spread(head))

    def difference(self, change: str, level: float) -> Estimate:
        """RSP's scaled drop less A-VID's, paired by video."""
        columns = [
            values
            for head in HEADS
            for values in (self.drop(head, change, level), self.spread(head))
        ]
        return estimate(columns, ratio_difference)

    def table(self) -> str:
        """Similarities and scaled drops of both heads, a line a change and level."""
        heads = [HEAD_TITLES[head] for head in HEADS]
        lines = [
            f"{self.weights}: {len(self.videos)} {self.source}, clips of {self.num_frames} frames, "
            f"changed clips by the {self.branch} branch",
            f"{'':<42}" + "".join(f"{'s, ' + title:>20}" for title in heads)
            + "".join(f"{'drop, ' + title:>21}" for title in heads) + f"{'RSP less A-VID':>22}",
        ]  # fmt: skip
        ends = {"unchanged": self.unchanged, "other videos": self.unrelated}
        for name, values in ends.items():
            cells = "".join(f"{mean(values[head])!s:>20}" for head in HEADS)
            lines.append(f"{name:<42}{cells}" + f"{float(name != 'unchanged'):>21.2f}" * 2)
        for curve in self.curves:
            change = find_change(curve.change)
            for level in curve.levels:
                if level == change.neutral:
                    continue
                name = change.title if change.is_switch else f"{change.title} {level:g}"
                cells = "".join(f"{mean(curve.at(head, level))!s:>20}" for head in HEADS)
                drops = [self.scaled_drop(head, curve.change, level) for head in HEADS]
                cells += "".join(f"{drop!s:>21}" for drop in drops)
                lines.append(f"{name:<42}{cells}{self.difference(curve.change, level)!s:>22}")
        if self.skipped:
            lines.append(f"left out: {len(self.skipped)}")
            lines += [f"  {name}: {why}" for name, why in self.skipped.items()]
        return "\n".join(lines)

    @classmethod
    def average(cls, parts: Sequence["Responses"], weights: str) -> "Responses":
        """The mean of several, video by video, such as of draws of random weights.

        Raises:
            ValueError: There are none, or they are not of the same videos and levels.
        """
        same = {(part.videos, tuple((c.change, c.levels) for c in part.curves)) for part in parts}
        if len(same) != 1:
            raise ValueError("an average is over responses of the same videos and levels")

        def middle(values: Sequence[dict[str, Floats]]) -> dict[str, Floats]:
            return {head: np.mean([v[head] for v in values], axis=0) for head in values[0]}

        first = parts[0]
        curves = tuple(
            Curve(
                change=curve.change,
                levels=curve.levels,
                similarity=middle([part.curves[n].similarity for part in parts]),
            )
            for n, curve in enumerate(first.curves)
        )
        return cls(
            weights=weights,
            model_hash=first.model_hash,
            branch=first.branch,
            source=first.source,
            seed=first.seed,
            num_frames=first.num_frames,
            window=first.window,
            videos=first.videos,
            unchanged=middle([part.unchanged for part in parts]),
            unrelated=middle([part.unrelated for part in parts]),
            curves=curves,
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "format": FORMAT,
            "version": 1,
            "weights": self.weights,
            "model_hash": self.model_hash,
            "branch": self.branch,
            "source": self.source,
            "seed": self.seed,
            "num_frames": self.num_frames,
            "window": self.window,
            "videos": list(self.videos),
            "left_out": self.skipped,
            "unchanged": {head: values.tolist() for head, values in self.unchanged.items()},
            "unrelated": {head: values.tolist() for head, values in self.unrelated.items()},
            "curves": [curve.to_json() for curve in self.curves],
            "controls": [control.to_json() for control in self.controls],
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Responses":
        """The inverse of :meth:`to_json`.

        Raises:
            ValueError: The value is something else.
        """
        check_format(value, FORMAT, "python -m analysis responses")
        plain = ("weights", "model_hash", "branch", "source", "seed", "num_frames", "window")
        return cls(
            **{name: value[name] for name in plain},
            videos=tuple(value["videos"]),
            skipped=dict(value["left_out"]),
            unchanged={h: np.array(v, np.float64) for h, v in value["unchanged"].items()},
            unrelated={h: np.array(v, np.float64) for h, v in value["unrelated"].items()},
            curves=tuple(Curve.from_json(curve) for curve in value["curves"]),
            controls=tuple(cls.from_json(control) for control in value["controls"]),
        )

    @classmethod
    def load(cls, path: str | Path) -> "Responses":
        """Read the file of ``python -m analysis responses``.

        Raises:
            ValueError: The file is something else.
        """
        return load_json(path, cls.from_json, "responses")


def ratio_difference(a: Floats, b: Floats, c: Floats, d: Floats) -> Floats:
    """mean a / mean b less mean c / mean d, over the last axis."""
    found: Floats = a.mean(axis=1) / b.mean(axis=1) - c.mean(axis=1) / d.mean(axis=1)
    return found
