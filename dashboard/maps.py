"""Maps of the selected pair, of every kind: `analysis` asked once, the answers kept.

Torch comes in with the first call, not with the import. What is kept is keyed by the model's
hash, the videos' identities (path, time of change, size) and the frames.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from dashboard import classes
from dashboard.controls import Clip, Selection
from dashboard.look import CAM, MARGINS
from dashboard.models import Loaded
from dashboard.sources import Frames, Identity, Source, decode, probe
from dashboard.state import last_start, speeds_that_fit
from rspnet.data.sampling import clip_indices

if TYPE_CHECKING:
    from analysis import ClipMap, PairExplanation, Score, View
    from analysis.score import ClipFeatures

HEADS = ("rsp", "avid")
# What stands in place of the heads where the maps are a classifier's.
CLASSES = ("class1", "class2")
# A forward pass a shift and a clip, for both heads at once: 2 x 2 shifts are 8 passes.
FINE_STEPS = 2
# A-VID's margin is against the nearest few of so many clips of other videos.
NUM_CANDIDATES, NUM_HARDEST = 8, 5

ClipKey = tuple[Identity, tuple[int, ...], int]
Place = tuple[int, int, int]


@dataclass(frozen=True)
class Asked:
    """What is asked of a pair, hashable.

    Attributes:
        clip_i: c_i.
        clip_j: c_j.
        kind: Of :data:`dashboard.controls.KINDS`.
        fine: Whether by shifted clips, on the finer grid.
        other_speed: For margins: c_j's video at another speed.
        others: For margins: clips of other videos, from which the hardest are taken.
        classifier: Whose class activation maps these are.
    """

    clip_i: ClipKey
    clip_j: ClipKey
    kind: str = "contribution"
    fine: bool = False
    other_speed: ClipKey | None = None
    others: tuple[ClipKey, ...] = ()
    classifier: Identity | None = None

    @property
    def has_margin(self) -> bool:
        """Whether the kind sets c_j against other clips."""
        return self.kind in MARGINS


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


def clip_key(clip: Clip, size: int) -> ClipKey:
    """What tells a clip from every other.

    Raises:
        ValueError: The video is gone.
    """
    return clip.video.identity(), clip.indices, size


def asked_of(selection: Selection) -> Asked:
    """What a selection asks, with the clips that a margin is against.

    Raises:
        ValueError: A video is gone, there is nothing to set c_j against, or the classifier takes
            other clips.
    """
    size, look = selection.model.size, selection.look
    classifier = None
    if look.kind == CAM:
        assert selection.classifier is not None
        classifier = classes.identity_of(selection.classifier, selection.model.num_frames)
        size = selection.classifier.size
    keys = [clip_key(clip, size) for clip in (selection.clip_i, selection.clip_j)]
    if look.kind not in MARGINS:
        fine = look.cells == "fine"
        return Asked(keys[0], keys[1], look.kind, fine, classifier=classifier)
    return Asked(
        keys[0],
        keys[1],
        look.kind,
        look.cells == "fine",
        _other_speed(selection.clip_j, size),
        _other_videos(selection, size),
    )


def _other_speed(clip: Clip, size: int) -> ClipKey:
    fitting = speeds_that_fit(clip.info.num_frames, clip.num_frames)
    speeds = [speed for speed in fitting if speed != clip.speed]
    if not speeds:
        raise ValueError(
            "the margin of RSP sets c_j against its own video at another speed, and "
            f"{clip.info.num_frames} frames are too few for that: choose a longer video for c_j, "
            "or another kind of map"
        )
    start = min(clip.start, last_start(clip.info.num_frames, clip.num_frames, speeds[0]))
    indices = tuple(clip_indices(start, clip.num_frames, speeds[0]))
    return clip.video.identity(), indices, size


def _other_videos(selection: Selection, size: int) -> tuple[ClipKey, ...]:
    own = {selection.clip_i.video.name, selection.clip_j.video.name}
    return _spread(selection.source, frozenset(own), selection.clip_j.num_frames, size)


def _spread(source: Source, own: frozenset[str], num_frames: int, size: int) -> tuple[ClipKey, ...]:
    """The middle clips of videos spread evenly over a gallery."""
    others = [video for video in source.videos if video.name not in own]
    step = max(1, len(others) // NUM_CANDIDATES)
    found: list[ClipKey] = []
    for video in others[::step]:
        try:
            length = probe(video).num_frames
            start = last_start(length, num_frames, 1) // 2
            if length >= num_frames and len(found) < NUM_CANDIDATES:
                indices = tuple(clip_indices(start, num_frames, 1))
                found.append((video.identity(), indices, size))
        except ValueError:  # unreadable: others take its place
            continue
    if not found:
        raise ValueError(
            "the margin of A-VID sets c_j against other videos, and this gallery has none that "
            "can be read: choose another gallery, or another kind of map"
        )
    return tuple(found)


def view_of(key: ClipKey) -> "View":
    """A clip's frames as the model sees them.

    Raises:
        ValueError: They can't be decoded.
    """
    from analysis import ClipInfo, View
    from rspnet.data.transforms import eval_frames

    path, indices, size = key
    speed = indices[1] - indices[0] if len(indices) > 1 else 1
    return View(eval_frames(decode(path, indices), size), ClipInfo(path[0], indices, speed))


def frames_of(key: ClipKey, pixels: int) -> Frames:
    """The same frames in the same view, at another size.

    Raises:
        ValueError: They can't be decoded.
    """
    from rspnet.data.transforms import eval_frames

    return eval_frames(decode(key[0], key[1]), pixels)


@st.cache_data(max_entries=256, show_spinner=False)
def explain(model: str, clip_i: ClipKey, clip_j: ClipKey, _loaded: Loaded) -> "PairExplanation":
    """Contributions and Eq. 2 of both heads.

    Raises:
        ValueError: A clip can't be decoded or does not fit the model.
    """
    from analysis import explain_pair

    c_i, c_j = view_of(clip_i), view_of(clip_j)
    with _loaded.lock:
        return explain_pair(
            _loaded.query, _loaded.key, c_i.clip, c_j.clip, info_i=c_i.info, info_j=c_j.info
        )


@st.cache_resource(max_entries=128, show_spinner=False)
def _features(
    model: str, branch: str, clip: ClipKey, still: bool, _loaded: Loaded
) -> "ClipFeatures":
    from analysis import look_at
    from analysis.margin import frozen

    view = view_of(clip)
    with _loaded.lock:
        return look_at(getattr(_loaded, branch), frozen(view) if still else view)


def maps_of(asked: Asked, loaded: Loaded) -> PairMaps:
    """Maps of a pair by both heads.

    Raises:
        ValueError: A clip can't be decoded or does not fit the model, or a head has no such map.
    """
    return _maps(loaded.query.hash, asked, loaded)


@st.cache_data(max_entries=128, show_spinner=False)
def _maps(model: str, asked: Asked, _loaded: Loaded) -> PairMaps:
    from analysis.tracks import maps_of_pair
    from dashboard import witnessed  # which takes clips from here

    if asked.classifier is not None:
        return _of_classes(asked, asked.classifier)
    pair = explain(model, asked.clip_i, asked.clip_j, _loaded)
    similarity = {head: pair.heads[head].similarity for head in HEADS}
    if asked.kind == "eq2":
        return PairMaps({head: _eq2(pair, head) for head in HEADS}, similarity)
    if witnessed.is_witness(asked.kind):
        return _witnessed(asked, similarity, _loaded)
    if asked.kind == "contribution" and not asked.fine:
        return PairMaps({head: maps_of_pair(pair, head) for head in HEADS}, similarity)
    heads, against = _scored(model, asked, _loaded)
    return PairMaps(heads, similarity, against if asked.has_margin else {})


def _of_classes(asked: Asked, classifier: Identity) -> PairMaps:
    from analysis.cam import classes_of_pair

    model, lock = classes.load(classifier)
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
    from dashboard import witnessed

    found = witnessed.answer(asked, loaded)
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


def against_of(asked: Asked, loaded: Loaded) -> "dict[str, list[ClipFeatures]]":
    """Of each head the clips that c_j is set against in a margin.

    Raises:
        ValueError: One can't be decoded or does not fit the model.
    """
    from analysis.score import hardest

    model = loaded.query.hash
    c_i = _features(model, "query", asked.clip_i, False, loaded)
    c_k = [asked.other_speed] if asked.other_speed is not None else []
    rsp, avid = (
        [_features(model, "key", key, False, loaded) for key in keys]
        for keys in (c_k, asked.others)
    )
    near = hardest(c_i, avid, "avid", min(NUM_HARDEST, len(avid)))
    return {"rsp": rsp, "avid": [avid[n] for n in near]}


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
    from analysis.fine import fine_maps
    from analysis.margin import reference_map

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


def partners(asked: Asked, head: str, place: Place, loaded: Loaded) -> "ClipMap":
    """What each cell of c_j contributes together with one cell of c_i.

    Args:
        asked: The pair.
        head: ``rsp`` or ``avid``.
        place: Cell of c_i, (time, row, column).
        loaded: The model.

    Raises:
        ValueError: There is no such cell, or a clip can't be decoded.
    """
    from analysis.pairwise import explain_pairwise

    model = loaded.query.hash
    c_i = _features(model, "query", asked.clip_i, False, loaded)
    c_j = _features(model, "key", asked.clip_j, False, loaded)
    return explain_pairwise(c_i, c_j, head).partners(place)


@st.cache_data(max_entries=256, show_spinner=False)
def embedding(model: str, clip: ClipKey, _loaded: Loaded) -> dict[str, np.ndarray]:
    """Embeddings of c_i by both heads of the query branch, each (128,) float32.

    Raises:
        ValueError: The clip can't be decoded.
    """
    found = _features(model, "query", clip, False, _loaded).embeddings
    return {head: vector.numpy() for head, vector in found.items()}
