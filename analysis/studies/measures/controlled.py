"""What studies of maps share: a model and its three controls measured on the same clips.

A study gives the clips of each video with what their maps are compared with, and says how one model
is measured. The controls are those of :mod:`analysis.stimuli.kinds`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from analysis.attribution.registry import map_kind
from analysis.core.grid import Grid
from analysis.core.statistics import Estimate, difference, mean
from analysis.core.table import (
    MINUS_RANDOM,
    RSP_MINUS_AVID,
    Key,
    Row,
    StudyTable,
    heads_of,
    interval,
)
from analysis.stimuli.kinds import EvaluatedModel, Views, with_controls, with_random_weights
from analysis.studies.registry import KeyNumber, StudyConfig, StudyInputs
from rspnet.models import Branch
from rspnet.names import HEADS

Floats = NDArray[np.float64]
# By measure, values of videos (V) and speeds of the query (S), with any further axes.
Measured = dict[str, Floats]

SPEEDS = (1, 2)
# The margin map signed towards the faster clip: that of a slow query shows what stands still.
HEADLINE_KIND = "margin_faster"
# By kind and speed of c_i: margins of slow and fast queries are different things.
_KIND_ROWS = (
    ("eq2", "both"), ("contribution", "both"), ("margin", "1x"), ("margin", "2x"),
    ("margin_faster", "both"), ("margin_deviation", "both"),
    ("margin_static", "1x"), ("margin_static", "2x"),
)  # fmt: skip
_KIND_TITLES = {
    "eq2": "Eq. 2",
    "contribution": "contribution",
    "margin": "margin",
    "margin_faster": "margin to faster",
    "margin_deviation": "|margin \N{MINUS SIGN} median|",
    "margin_static": "margin \N{MINUS SIGN} static clip",
}


@dataclass(frozen=True)
class Scene:
    """A video's triplets, those with a query of the first speed first, and their ground truth.

    Attributes:
        triplets: Views of c_i, c_j and c_k.
        truth: For each, what the maps of c_i are compared with, by name.
    """

    triplets: tuple[Views, ...]
    truth: tuple[dict[str, NDArray[Any]], ...]


def measure_controls(
    inputs: StudyInputs,
    scenes: Sequence[Scene],
    measure: Callable[[EvaluatedModel, Sequence[Scene]], Measured],
    *,
    num_random: int,
    title: str,
) -> tuple[dict[str, Measured], Grid]:
    """Measure a model and its controls.

    Args:
        inputs: The model.
        scenes: At least two videos.
        measure: Gives the numbers of one model.
        num_random: Draws of random weights, averaged video by video.
        title: Of the progress bar.

    Returns:
        The numbers by weights, in the order of :data:`analysis.stimuli.kinds.WEIGHTS`, and the grid
        of the maps.
    """
    found: dict[str, list[Measured]] = {}
    total = len(scenes) * (2 + num_random)
    with tqdm(total=total, desc=title, unit="video", disable=not inputs.progress) as bar:
        clips = [scene.triplets for scene in scenes]
        for model in with_controls(
            inputs.query, inputs.key, clips, num_random=num_random, done=bar.update
        ):
            found.setdefault(model.weights, []).append(measure(model, scenes))
            grid = model.triplets[0][0].c_i.grid
    averages = {
        weights: {name: np.mean([draw[name] for draw in draws], axis=0) for name in draws[0]}
        for weights, draws in found.items()
    }
    return averages, grid


def by_speed(values: Floats) -> Floats:
    """Average the triplets of each speed, (V, triplets, ...) -> (V, S, ...)."""
    halves = values.reshape(len(values), len(SPEEDS), -1, *values.shape[2:])
    return np.asarray(halves.mean(axis=2), float)


def at_speeds(measured: Measured) -> Iterator[tuple[str, Measured]]:
    """The numbers at both speeds together, then at each: (V, S, ...) -> (V, ...)."""
    yield "both", {name: values.mean(axis=1) for name, values in measured.items()}
    for place, speed in enumerate(SPEEDS):
        yield f"{speed}x", {name: values[:, place] for name, values in measured.items()}


def kind_title(kind: str) -> str:
    """The name of a kind of map in tables and figures."""
    return _KIND_TITLES.get(kind) or map_kind(kind).title


def kind_rows(table: StudyTable) -> Mapping[str, dict[str, Key]]:
    """Rows of a figure of all kinds of maps that were measured, by their titles."""
    rows = [row for head in HEADS for row in table.select(weights="trained", head=head)]
    kinds = dict.fromkeys(str(row.keys["kind"]) for row in rows if "kind" in row.keys)
    known = {kind for kind, _ in _KIND_ROWS}
    return {
        kind_title(kind) + ("" if speed == "both" else f", {speed}"): {
            "kind": kind, "speed": speed,
        }
        for kind, speed in (*_KIND_ROWS, *((kind, "both") for kind in kinds if kind not in known))
        if kind in kinds
    }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ControlledConfig(StudyConfig):
    """What a study is told that measures a model and random weights on videos.

    Attributes:
        num_videos: How many are measured, at least two.
        num_random: Draws of random weights.
    """

    num_videos: int = 40
    num_random: int = 3

    def __post_init__(self) -> None:
        if self.num_videos < 2 or self.num_random < 1:
            raise ValueError(
                "each video is compared with another one, and a control has some weights: give at "
                f"least 2 videos and 1 draw, got {self.num_videos} and {self.num_random}"
            )


def with_untrained(
    query: Branch, key: Branch, num_random: int, measure: Callable[[Branch, Branch], Floats]
) -> dict[str, Floats]:
    """The numbers of a model, and those of random weights, averaged over draws.

    Args:
        query: Query branch.
        key: Momentum branch.
        num_random: Draws of random weights.
        measure: Gives the numbers of both branches of a model, always in one shape.
    """
    random = (with_random_weights(query, draw) for draw in range(num_random))
    draws = [measure(branch, branch) for branch in random]
    return {"trained": measure(query, key), "random weights": np.mean(draws, axis=0)}


Values = Mapping[str, tuple[Sequence[float] | Floats, ...]]


def head_rows(
    keys: Mapping[str, Key],
    measured: Values,
    heads: Sequence[str] = HEADS,
    control: Values | None = None,
) -> list[Row]:
    """A row of each head and one of a difference, as means over videos.

    Args:
        keys: Of the rows, but for the head.
        measured: By measure the values of the videos by each head, (V,) each.
        heads: Which heads: RSP and A-VID, whose difference is taken, or one alone.
        control: Of one head the same by random weights, which its difference is to; nothing takes
            none.
    """
    found: dict[str, dict[str, Estimate]] = {head: {} for head in heads}
    for name, values in measured.items():
        for head, own in zip(heads, values, strict=True):
            found[head][name] = mean(own)
        if len(heads) == len(HEADS):
            found.setdefault(RSP_MINUS_AVID, {})[name] = difference(*values)
        elif control is not None:
            found.setdefault(MINUS_RANDOM, {})[name] = difference(values[0], control[name][0])
    return [Row(keys={**keys, "head": head}, values=dict(own)) for head, own in found.items()]


def all_rows(
    found: Mapping[str, Floats], summarise: Callable[..., list[Row]], heads: Sequence[str]
) -> tuple[Row, ...]:
    """The rows of what :func:`with_untrained` gives.

    Args:
        found: By weights.
        summarise: Gives the rows of one set of weights: of its values, the weights, the heads, and
            the values of random weights where the difference to these is wanted.
        heads: Which heads were measured.
    """
    random = found["random weights"] if len(heads) == 1 else None
    return tuple(
        row
        for weights, own in found.items()
        for row in summarise(own, weights, heads, random if weights == "trained" else None)
    )


def by_head(table: StudyTable, measure: str, **keys: Key) -> dict[str, Estimate]:
    """A measure of either head and of their difference.

    Raises:
        ValueError: There is no such row.
    """
    return {head: table.one(**keys, head=head)[measure] for head in (*HEADS, RSP_MINUS_AVID)}


def against_random(table: StudyTable, measure: str, /, **keys: Key) -> tuple[Estimate, ...]:
    """Of an encoder with one head: a measure, that of random weights, and their difference.

    Raises:
        ValueError: There is no such row.
    """
    (head,) = heads_of(table)
    wanted = (("trained", head), ("random weights", head), ("trained", MINUS_RANDOM))
    return tuple(table.one(**keys, weights=w, head=h)[measure] for w, h in wanted)


def beside_random(values: Sequence[Estimate]) -> str:
    """What :func:`against_random` gives, in words."""
    own, random, apart = map(interval, values)
    return f"{own}; with random weights it is {random} (difference {apart})"


def one_head_number(name: str, values: Sequence[Estimate], head: str) -> KeyNumber:
    """What :func:`against_random` gives, as a key number."""
    own, random, apart = values
    return KeyNumber(name=name, values={head: own, "random weights": random}, difference=apart)


def key_number(table: StudyTable, name: str, measure: str, **keys: Key) -> KeyNumber:
    """A measure of the model beside its difference with random weights.

    Raises:
        ValueError: There is no such row.
    """
    if len(heads := heads_of(table)) == 1:
        return one_head_number(name, against_random(table, measure, **keys), heads[0])
    found = by_head(table, measure, weights="trained", **keys)
    control = by_head(table, measure, weights="random weights", **keys)
    return KeyNumber(
        name=name,
        values={head: found[head] for head in HEADS},
        difference=found[RSP_MINUS_AVID],
        control=control[RSP_MINUS_AVID],
    )
