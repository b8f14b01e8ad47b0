"""Is a head moved by motion or by appearance? One number from its responses, with its interval.

Let m be the mean drop of a head's similarity (:mod:`analysis.studies.responses`) under
perturbations of motion alone, a that under perturbations of appearance alone, each the mean over
videos of the mean over perturbations. Then::

    motion selectivity = m / (m + a),    appearance selectivity = a / (m + a)

The first is 1 for a head that only motion moves and 0 for one that only appearance moves. A mean
drop below 0 (possible between two branches) counts as 0.

How strong the perturbations are, such as a blur of 2 pixels, is a choice, so 0.5 is no boundary
between two kinds of heads. Both heads respond to the same clips, though: what means something is
the difference of two heads, or of a head and random weights. Several perturbations are
augmentations of training (grey, hue, crop, flip), which teaches *both* heads to pass over them;
swaps of factors are none, and the measure ``swap`` holds nothing but these.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.core.statistics import Estimate, estimate, mean, ratio
from analysis.core.table import MINUS_RANDOM, RSP_MINUS_AVID, Key, Row, StudyTable
from analysis.stimuli.perturbations import PERTURBATIONS
from rspnet.names import HEADS

Floats = NDArray[np.float64]
# By perturbation, level and head: the similarity of every video's clip to itself perturbed, (V,).
Samples = Mapping[tuple[str, float, str], Floats]
Chosen = tuple[tuple[str, float], ...]
UNCHANGED, OTHER_VIDEOS = "unchanged", "other videos"
LAST = -1.0  # stands for the largest level measured


@dataclass(frozen=True, kw_only=True)
class Measure:
    """Which perturbations a selectivity is made of.

    Attributes:
        title: For tables.
        motion: Perturbations of motion and their levels, all of one weight.
        appearance: Perturbations of appearance, the same.
    """

    title: str
    motion: Chosen
    appearance: Chosen


_MOTION: Chosen = (("speed", 0.5), ("speed", 2), ("shuffle", LAST), ("reverse", 1), ("static", 1))
_APPEARANCE: Chosen = (("grey", 1), ("hue", 180), ("crop", 0.7), ("flip", 1), ("blur", 2))
MEASURES = {
    "perturbations": Measure(
        title="perturbations of any video", motion=_MOTION, appearance=_APPEARANCE
    ),
    "all": Measure(
        title="these and appearance swapped",
        motion=_MOTION,
        appearance=(*_APPEARANCE, ("appearance", 1)),
    ),
    "swap": Measure(
        title="action swapped against appearance swapped",
        motion=(("action", 1),),
        appearance=(("appearance", 1),),
    ),
}


def levels_of(samples: Samples) -> dict[str, tuple[float, ...]]:
    """The perturbations that were measured, and their levels."""
    found: dict[str, dict[float, None]] = {}
    for name, level, _head in samples:
        if name not in (UNCHANGED, OTHER_VIDEOS):
            found.setdefault(name, {})[level] = None
    return {name: tuple(levels) for name, levels in found.items()}


def drop(samples: Samples, head: str, perturbation: str, level: float) -> Floats:
    """Similarity of the unchanged clip minus that of the perturbed one, (V,).

    Raises:
        ValueError: That was not measured.
    """
    if (perturbation, level, head) not in samples:
        raise ValueError(
            f"{perturbation} at {level:g} was not measured for {head}; there are "
            f"{levels_of(samples)}"
        )
    return samples[UNCHANGED, 0.0, head] - samples[perturbation, level, head]


def spread(samples: Samples, head: str) -> Floats:
    """The unit of drops: the mean drop to clips of other videos, (V,)."""
    return samples[UNCHANGED, 0.0, head] - samples[OTHER_VIDEOS, 0.0, head]


def scaled_drop(samples: Samples, head: str, perturbation: str, level: float) -> Estimate:
    """The mean drop over the mean drop to other videos."""
    return ratio(drop(samples, head, perturbation, level), spread(samples, head))


def drop_difference(samples: Samples, perturbation: str, level: float) -> Estimate:
    """RSP's scaled drop minus A-VID's, paired by video."""
    columns = [
        values
        for head in HEADS
        for values in (drop(samples, head, perturbation, level), spread(samples, head))
    ]

    def statistic(a: Floats, b: Floats, c: Floats, d: Floats) -> Floats:
        found: Floats = a.mean(axis=1) / b.mean(axis=1) - c.mean(axis=1) / d.mean(axis=1)
        return found

    return estimate(columns, statistic)


def find_measure(name: str) -> Measure:
    """A measure by its name.

    Raises:
        ValueError: There is none.
    """
    if name not in MEASURES:
        raise ValueError(f"measures are {', '.join(MEASURES)}, got {name!r}")
    return MEASURES[name]


def measures_of(samples: Samples) -> tuple[str, ...]:
    """The measures whose perturbations were all measured."""
    levels = levels_of(samples)

    def known(name: str, level: float) -> bool:
        return name in levels and level in (LAST, *levels[name])

    return tuple(
        name
        for name, measure in MEASURES.items()
        if all(known(*part) for part in measure.motion + measure.appearance)
    )


def group_drop(samples: Samples, head: str, chosen: Chosen) -> Floats:
    """The mean drop over perturbations, video by video, (V,).

    Raises:
        ValueError: One of them was not measured.
    """
    levels = levels_of(samples)
    drops = [
        drop(samples, head, name, levels[name][-1] if level == LAST and name in levels else level)
        for name, level in chosen
    ]
    return np.asarray(np.mean(drops, axis=0), np.float64)


def _share(m: Floats, a: Floats) -> Floats:
    motion, appearance = (np.clip(v.mean(axis=1), 0, None) for v in (m, a))
    with np.errstate(invalid="ignore"):  # 0 / 0 in a draw of videos that nothing moves
        return np.asarray(motion / (motion + appearance), np.float64)


def _share_difference(m: Floats, a: Floats, other_m: Floats, other_a: Floats) -> Floats:
    return _share(m, a) - _share(other_m, other_a)


def drops_of(samples: Samples, head: str, measure: str) -> tuple[Floats, Floats]:
    """Drops under perturbations of motion and of appearance, (V,) each.

    Raises:
        ValueError: There is no such measure, or one of its perturbations was not measured.
    """
    chosen = find_measure(measure)
    return group_drop(samples, head, chosen.motion), group_drop(samples, head, chosen.appearance)


def is_moved(samples: Samples, head: str, measure: str) -> bool:
    """Whether anything moves a head.

    Nothing may do so between two branches that have nothing in common: there no clip is nearest to
    itself.
    """
    return any(group.mean() > 0 for group in drops_of(samples, head, measure))


def motion_selectivity(
    samples: Samples, head: str, measure: str = "perturbations"
) -> dict[str, Estimate]:
    """m / (m + a): 1 if only motion moves the head, 0 if only appearance does.

    Args:
        samples: What was measured.
        head: ``rsp`` or ``avid``.
        measure: One of :data:`MEASURES`.

    Returns:
        ``motion_selectivity``, ``appearance_selectivity`` (which is 1 minus it), and the drops that
        they are made of, ``motion_drop`` and ``appearance_drop``, in units of the drop to other
        videos.

    Raises:
        ValueError: No such measure, its perturbations were not measured, or none moves the head.
    """
    m, a = drops_of(samples, head, measure)
    if not is_moved(samples, head, measure):
        raise ValueError(f"no perturbation moves the {head} head: it has no selectivity")
    found = estimate([m, a], _share)
    unit = spread(samples, head)
    return {
        "motion_selectivity": found,
        "appearance_selectivity": found.complement(),
        "motion_drop": ratio(m, unit),
        "appearance_drop": ratio(a, unit),
    }


def selectivity_difference(
    first: Samples, heads: Sequence[str], second: Samples | None = None,
    measure: str = "perturbations",
) -> Estimate:  # fmt: skip
    """The motion selectivity of one head minus that of another, paired by video.

    Args:
        first: What was measured.
        heads: The two heads; the same one twice compares two models.
        second: Of the second model, where there are two.
        measure: One of :data:`MEASURES`.

    Raises:
        ValueError: As for :func:`motion_selectivity`.
    """
    other = first if second is None else second
    columns = [*drops_of(first, heads[0], measure), *drops_of(other, heads[1], measure)]
    return estimate(columns, _share_difference)


def words_of(chosen: Chosen) -> str:
    """Perturbations in words, for a table's caption."""
    return ", ".join(
        PERTURBATIONS[name].title
        if level == 1
        else f"{name} {'all' if level == LAST else f'{level:g}'}"
        for name, level in chosen
    )


def rows_of(samples: Samples, weights: str, control: Samples | None = None) -> list[Row]:
    """Similarities, scaled drops and selectivities of one set of weights, with intervals.

    Args:
        samples: What was measured.
        weights: Of which weights.
        control: The same of random weights, from which an encoder with one head is told apart;
            two heads are told from each other.
    """
    rows = []
    heads = list(dict.fromkeys(head for _, _, head in samples))
    for (name, level, head), values in samples.items():
        keys: dict[str, Key] = {
            "weights": weights, "perturbation": name, "level": level, "head": head,
        }  # fmt: skip
        found = {"similarity": mean(values)}
        perturbed = name not in (UNCHANGED, OTHER_VIDEOS)
        if perturbed:
            found["drop"] = scaled_drop(samples, head, name, level)
        rows.append(Row(keys=keys, values=found, samples={"similarity": values}))
        if perturbed and len(heads) > 1 and head == heads[-1]:
            own = {"drop": drop_difference(samples, name, level)}
            rows.append(Row(keys=keys | {"head": RSP_MINUS_AVID}, values=own))
    for measure in measures_of(samples):
        if not all(is_moved(samples, head, measure) for head in heads):
            continue
        keys = {"weights": weights, "measure": measure}
        rows += [
            Row(keys=keys | {"head": head}, values=motion_selectivity(samples, head, measure))
            for head in heads
        ]
        if len(heads) > 1:
            apart = selectivity_difference(samples, heads, measure=measure)
        elif control is not None and is_moved(control, heads[0], measure):
            apart = selectivity_difference(samples, heads * 2, control, measure)
        else:
            continue
        head = RSP_MINUS_AVID if len(heads) > 1 else MINUS_RANDOM
        rows.append(Row(keys=keys | {"head": head}, values={"motion_selectivity": apart}))
    return rows


def samples_of(table: StudyTable, weights: str = "trained") -> Samples:
    """The similarities of every video, of one set of weights."""
    return {
        (str(k["perturbation"]), float(k["level"]), str(k["head"])): row.samples["similarity"]
        for row in table.select(weights=weights)
        if "similarity" in row.samples
        for k in (row.keys,)
    }
