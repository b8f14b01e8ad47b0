"""Is a head moved by motion or by appearance? One number from its responses, with its interval.

Let m be the mean drop of a head's similarity (:class:`analysis.studies.response_result.Responses`)
under changes of motion alone, a that under changes of appearance alone, both in units of the drop
to other videos and each the mean over videos of the mean over changes. Then::

    motion selectivity = m / (m + a),    appearance selectivity = a / (m + a)

The first is 1 for a head that only motion moves and 0 for one that only appearance moves. A mean
drop below 0 (possible between two branches) counts as 0.

What it can say and what not. The unit cancels in the share, so a head that spreads videos widely
has no advantage; it is left in the drops, which are shown beside. How strong the changes are, such
as a blur of 2 pixels, is a choice, so 0.5 is no boundary between two kinds of heads. The same
clips ask both heads, though: what means something is the difference of two heads, or of a head
and random weights. Several changes are augmentations of training (grey, hue, crop, flip), which
teaches *both* heads to pass over them; exchanges are none, and
``exchange`` holds nothing but these.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.core.statistics import Estimate, estimate, ratio
from analysis.stimuli.perturbations import CHANGES
from analysis.studies.response_result import Responses
from rspnet.names import HEAD_TITLES, HEADS

Floats = NDArray[np.float64]
LAST = -1.0  # stands for the largest level measured
Chosen = tuple[tuple[str, float], ...]


@dataclass(frozen=True, kw_only=True)
class Measure:
    """Which changes a selectivity is made of.

    Attributes:
        name: Key in :data:`MEASURES`.
        title: For tables.
        motion: Changes of motion and their levels, all of one weight.
        appearance: Changes of appearance, the same.
    """

    name: str
    title: str
    motion: Chosen
    appearance: Chosen


_MOTION: Chosen = (("speed", 0.5), ("speed", 2), ("shuffle", LAST), ("reverse", 1), ("freeze", 1))
_LOOKS: Chosen = (("grey", 1), ("hue", 180), ("crop", 0.7), ("flip", 1), ("blur", 2))
MEASURES = {
    measure.name: measure
    for measure in (
        Measure(
            name="changes",
            title="changes of any video",
            motion=_MOTION,
            appearance=_LOOKS,
        ),
        Measure(
            name="all",
            title="these and looks exchanged",
            motion=_MOTION,
            appearance=(*_LOOKS, ("looks", 1)),
        ),
        Measure(
            name="exchange",
            title="action against looks exchanged",
            motion=(("action", 1),),
            appearance=(("looks", 1),),
        ),
    )
}


@dataclass(frozen=True, kw_only=True)
class HeadSelectivity:
    """What moves one head.

    Attributes:
        head: ``rsp`` or ``avid``.
        motion_drop: m: 0 is no movement, 1 as far as another video.
        appearance_drop: a.
        motion: m / (m + a).
    """

    head: str
    motion_drop: Estimate
    appearance_drop: Estimate
    motion: Estimate

    @property
    def appearance(self) -> Estimate:
        """a / (m + a)."""
        m = self.motion
        return Estimate(1 - m.value, 1 - m.high, 1 - m.low, m.num)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "head": self.head,
            "motion_drop": self.motion_drop.to_json(),
            "appearance_drop": self.appearance_drop.to_json(),
            "motion_selectivity": self.motion.to_json(),
            "appearance_selectivity": self.appearance.to_json(),
        }


@dataclass(frozen=True, kw_only=True)
class Selectivity:
    """What moves both heads, on the same clips.

    Attributes:
        measure: Which changes it is made of.
        weights: ``trained``, or which control.
        heads: RSP's, then A-VID's.
        difference: RSP's motion selectivity less A-VID's, paired by video.
    """

    measure: Measure
    weights: str
    heads: tuple[HeadSelectivity, ...]
    difference: Estimate

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "measure": self.measure.name,
            "weights": self.weights,
            "motion": [list(part) for part in self.measure.motion],
            "appearance": [list(part) for part in self.measure.appearance],
            "heads": [found.to_json() for found in self.heads],
            "difference": self.difference.to_json(),
        }


def find_measure(name: str) -> Measure:
    """A measure by its name.

    Raises:
        ValueError: There is none.
    """
    if name not in MEASURES:
        raise ValueError(f"measures are {list(MEASURES)}, got {name!r}")
    return MEASURES[name]


def measures_of(responses: Responses) -> tuple[str, ...]:
    """The measures whose changes were all measured."""
    levels = {curve.change: curve.levels for curve in responses.curves}

    def known(change: str, level: float) -> bool:
        return change in levels and level in (LAST, *levels[change])

    return tuple(
        name
        for name, measure in MEASURES.items()
        if all(known(*part) for part in measure.motion + measure.appearance)
    )


def group_drop(responses: Responses, head: str, changes: Chosen) -> Floats:
    """The mean drop over changes, video by video, (V,).

    Raises:
        ValueError: A change or level was not measured.
    """
    drops = []
    for change, level in changes:
        own = responses.curve(change).levels[-1] if level == LAST else level
        drops.append(responses.drop(head, change, own))
    return np.asarray(np.mean(drops, axis=0), np.float64)


def _share(m: Floats, a: Floats) -> Floats:
    motion, appearance = (np.clip(v.mean(axis=1), 0, None) for v in (m, a))
    with np.errstate(invalid="ignore"):  # 0 / 0 in a draw of videos that nothing moves
        return np.asarray(motion / (motion + appearance), np.float64)


def _difference(m: Floats, a: Floats, other_m: Floats, other_a: Floats) -> Floats:
    return _share(m, a) - _share(other_m, other_a)


def _groups(responses: Responses, head: str, measure: Measure) -> tuple[Floats, Floats]:
    motion, appearance = measure.motion, measure.appearance
    return group_drop(responses, head, motion), group_drop(responses, head, appearance)


def _is_moved(responses: Responses, head: str, measure: Measure) -> bool:
    return any(group.mean() > 0 for group in _groups(responses, head, measure))


def _drops(responses: Responses, head: str, measure: Measure) -> tuple[Floats, Floats]:
    m, a = _groups(responses, head, measure)
    if not _is_moved(responses, head, measure):
        raise ValueError(f"no change moves the {head} head: it has no selectivity")
    return m, a


def motion_selectivity(responses: Responses, head: str, measure: str = "changes") -> Estimate:
    """m / (m + a): 1 if only motion moves the head, 0 if only appearance does.

    Args:
        responses: What was measured.
        head: ``rsp`` or ``avid``.
        measure: One of :data:`MEASURES`.

    Raises:
        ValueError: No such measure, its changes were not measured, or none moves the head.
    """
    return estimate(_drops(responses, head, find_measure(measure)), _share)


def appearance_selectivity(responses: Responses, head: str, measure: str = "changes") -> Estimate:
    """a / (m + a), which is 1 less :func:`motion_selectivity`.

    Raises:
        ValueError: As there.
    """
    found = motion_selectivity(responses, head, measure)
    return Estimate(1 - found.value, 1 - found.high, 1 - found.low, found.num)


def selectivity(responses: Responses, measure: str = "changes") -> Selectivity:
    """Both heads and their difference.

    Raises:
        ValueError: As :func:`motion_selectivity`.
    """
    chosen = find_measure(measure)
    columns: list[Floats] = []
    heads = []
    for head in HEADS:
        m, a = _drops(responses, head, chosen)
        columns += [m, a]
        spread = responses.spread(head)
        heads.append(
            HeadSelectivity(
                head=head,
                motion_drop=ratio(m, spread),
                appearance_drop=ratio(a, spread),
                motion=motion_selectivity(responses, head, measure),
            )
        )
    return Selectivity(
        measure=chosen,
        weights=responses.weights,
        heads=tuple(heads),
        difference=estimate(columns, _difference),
    )


def selectivities(responses: Responses) -> tuple[Selectivity, ...]:
    """Every measure there is, of the model and of its controls.

    Weights of which nothing moves a head have none. That happens between two branches which have
    nothing in common: there no clip is nearest to itself.
    """
    return tuple(
        selectivity(part, measure)
        for measure in measures_of(responses)
        for part in (responses, *responses.controls)
        if all(_is_moved(part, head, MEASURES[measure]) for head in HEADS)
    )


def selectivity_table(found: Sequence[Selectivity]) -> str:
    """Drops and motion selectivities, a line a measure, weights and head."""
    lines = [
        f"{'':<33}{'':<17}{'':<7}{'drop, motion':>20}{'drop, appearance':>20}"
        f"{'motion selectivity':>22}{'RSP less A-VID':>22}"
    ]
    for one in found:
        for own in one.heads:
            first = own is one.heads[0]
            titles = (one.measure.title, one.weights) if first else ("", "")
            lines.append(
                f"{titles[0]:<33}{titles[1]:<17}{HEAD_TITLES[own.head]:<7}{own.motion_drop!s:>20}"
                f"{own.appearance_drop!s:>20}{own.motion!s:>22}"
                + (f"{one.difference!s:>22}" if first else "")
            )
    for measure in dict.fromkeys(one.measure.name for one in found):
        parts = MEASURES[measure]
        lines.append(
            f"{parts.title}: motion = {_words(parts.motion)}; "
            f"appearance = {_words(parts.appearance)}"
        )
    return "\n".join(lines)


def _words(changes: Chosen) -> str:
    def word(change: str, level: float) -> str:
        about = CHANGES[change]
        if about.is_switch:
            return about.title
        return f"{change} {'all' if level == LAST else f'{level:g}'}"

    return ", ".join(word(*part) for part in changes)
