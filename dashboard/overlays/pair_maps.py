"""Maps of the selected pair, of every kind: computed once, then kept."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import streamlit as st

from dashboard.overlays import captum_job
from dashboard.overlays.maps import Asked, _features, against_of, explain, view_of
from dashboard.services import classifiers
from dashboard.services.galleries import Identity
from dashboard.services.models import Loaded
from rspnet.names import HEADS

if TYPE_CHECKING:
    from analysis import ClipMap, PairExplanation, Score

# What stands in place of the heads where the maps are a classifier's.
CLASSES = ("class1", "class2")
# A forward pass a shift and a clip, for both heads at once: 2 x 2 shifts are 8 passes.
FINE_STEPS = 2


@dataclass(frozen=True)
class PairMaps:
    """Maps of both heads in c_i and c_j, or of two classes.

    Attributes:
        heads: Of each head the map of c_i and that of c_j; of classes under ``class1``, ``class2``.
        similarity: Of each head s, the cosine; of classes nothing.
        against: Of each head how many clips c_j is set against; empty if it is not.
        delta: Of each head the error of the integral behind integrated gradients, the larger of
            its two maps; empty for all else.
        titles: Names of the classes; empty for heads.
        probability: Of each class its probability in c_i and in c_j; empty for heads.
    """

    heads: "dict[str, tuple[ClipMap, ClipMap]]"
    similarity: dict[str, float]
    against: dict[str, int] = field(default_factory=dict)
    delta: dict[str, float] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)
    probability: dict[str, tuple[float, float]] = field(default_factory=dict)


def maps_of(asked: Asked, loaded: Loaded) -> PairMaps:
    """Maps of a pair by both heads.

    Raises:
        ValueError: A clip can't be decoded or does not fit the model, or a head has no such map.
    """
    return _maps(loaded.query.hash, asked, loaded)


@st.cache_data(max_entries=128, show_spinner=False)
def _maps(model: str, asked: Asked, _loaded: Loaded) -> PairMaps:
    from analysis.regions.tracks import maps_of_pair
    from dashboard.overlays import captum_job  # which takes clips from here

    if asked.classifier is not None:
        return _of_classes(asked, asked.classifier)
    pair = explain(model, asked.clip_i, asked.clip_j, _loaded)
    similarity = {head: pair.heads[head].similarity for head in HEADS}
    if asked.kind == "eq2":
        return PairMaps({head: _eq2(pair, head) for head in HEADS}, similarity)
    if captum_job.is_witness(asked.kind):
        return _witnessed(asked, similarity, _loaded)
    if asked.kind == "contribution" and not asked.fine:
        return PairMaps({head: maps_of_pair(pair, head) for head in HEADS}, similarity)
    heads, against = _scored(model, asked, _loaded)
    return PairMaps(heads, similarity, against if asked.has_margin else {})


def _of_classes(asked: Asked, classifier: Identity) -> PairMaps:
    from analysis.attribution.class_map import classes_of_pair

    model, lock = classifiers.load(classifier)
    views = [view_of(key) for key in (asked.clip_i, asked.clip_j)]
    with lock:
        found = dict(zip(CLASSES, classes_of_pair(model, views[0], views[1]), strict=True))
    return PairMaps(
        {key: (of_i.clip_map, of_j.clip_map) for key, (of_i, of_j) in found.items()},
        {},
        titles={key: both[0].name for key, both in found.items()},
        probability={key: (i.probability, j.probability) for key, (i, j) in found.items()},
    )


def _witnessed(asked: Asked, similarity: dict[str, float], loaded: Loaded) -> PairMaps:

    found = captum_job.answer(asked, loaded)
    deltas = {
        head: [abs(one.convergence_delta) for one in both if one.convergence_delta is not None]
        for head, both in found.items()
    }
    return PairMaps(
        {head: (of_i.map, of_j.map) for head, (of_i, of_j) in found.items()},
        similarity,
        # Of c_i the others are c_j and what that is set against.
        {head: len(of_i.map.others) - 1 for head, (of_i, _) in found.items() if asked.has_margin},
        delta={head: max(errors) for head, errors in deltas.items() if errors},
    )


def _eq2(pair: "PairExplanation", head: str) -> "tuple[ClipMap, ClipMap]":
    from analysis import ClipMap

    maps = pair.heads[head]
    if maps.eq2_i is None or maps.eq2_j is None:
        raise ValueError(
            "Eq. 2 is of linear heads, and the heads of this model are none: choose another kind "
            "of map"
        )
    sides = ((maps.eq2_i, pair.grid_i, pair.clip_i), (maps.eq2_j, pair.grid_j, pair.clip_j))
    first, second = (
        # Eq. 2 gives s, without bias and norms, as the mean of its map.
        ClipMap(values, float(values.mean()), head, "eq2", grid, own, units="Eq. 2, per cell")
        for values, grid, own in sides
    )
    return first, second


def _scores(
    model: str, asked: Asked, head: str, loaded: Loaded
) -> "tuple[tuple[Score, Score], int]":
    """What is asked of c_i and of c_j, and the number of clips that c_j is set against."""
    from analysis import Score

    c_i = _features(model, "query", asked.clip_i, False, loaded)
    c_j = _features(model, "key", asked.clip_j, False, loaded)
    back = Score.similarity(loaded.key, head, c_i)
    if not asked.has_margin:
        return (Score.similarity(loaded.query, head, c_j), back), 0
    against = against_of(asked, loaded)[head]
    return (Score.margin(loaded.query, head, c_j, against), back), len(against)


def _scored(
    model: str, asked: Asked, loaded: Loaded
) -> "tuple[dict[str, tuple[ClipMap, ClipMap]], dict[str, int]]":
    """Maps that are of a score, and the number of clips that it is against."""
    from analysis.attribution.fine import fine_maps
    from analysis.attribution.margin import reference_map

    found = {head: _scores(model, asked, head, loaded) for head in HEADS}
    num = {head: against for head, (_, against) in found.items()}
    sides: list[list[ClipMap]] = []  # of c_i and of c_j by both heads
    for side, (branch, key) in enumerate((("query", asked.clip_i), ("key", asked.clip_j))):
        scores = [pair[side] for pair, _ in found.values()]
        clip = _features(model, branch, key, False, loaded)
        if asked.kind == "still":
            still = _features(model, branch, key, True, loaded)
            sides.append([reference_map(score, clip, still) for score in scores])
        elif asked.fine:
            view = view_of(key)
            with loaded.lock:
                sides.append(fine_maps(scores, view.clip, FINE_STEPS, clip.info))
        else:
            sides.append([score.contributions(clip) for score in scores])
    return dict(zip(HEADS, zip(*sides, strict=True), strict=True)), num
