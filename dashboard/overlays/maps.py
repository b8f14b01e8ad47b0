"""Maps of the selected pair, of every kind: `analysis` asked once, the answers kept.

Torch comes in with the first call, not with the import. What is kept is keyed by the model's
hash, the videos' identities (path, time of change, size) and the frames.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from dashboard.base.state import last_start, speeds_that_fit
from dashboard.overlays.options import CAM, MARGINS
from dashboard.overlays.selection import Clip, Selection
from dashboard.services import classifiers
from dashboard.services.galleries import Frames, Identity, Source, decode, probe
from dashboard.services.models import Loaded
from rspnet.data.sampling import clip_indices

if TYPE_CHECKING:
    from analysis import ClipMap, PairExplanation, View
    from analysis.core.score import ClipFeatures

# A-VID's margin is against the nearest few of so many clips of other videos.
NUM_CANDIDATES, NUM_HARD_NEGATIVES = 8, 5

ClipKey = tuple[Identity, tuple[int, ...], int]
Place = tuple[int, int, int]


@dataclass(frozen=True)
class Asked:
    """What is asked of a pair, hashable.

    Attributes:
        clip_i: c_i.
        clip_j: c_j.
        kind: Of :data:`dashboard.widgets.controls.KINDS`.
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
        classifier = classifiers.identity_of(selection.classifier, selection.model.num_frames)
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
    from analysis import extract_features
    from analysis.attribution.margin import static_clip

    view = view_of(clip)
    with _loaded.lock:
        return extract_features(getattr(_loaded, branch), static_clip(view) if still else view)


def against_of(asked: Asked, loaded: Loaded) -> "dict[str, list[ClipFeatures]]":
    """Of each head the clips that c_j is set against in a margin.

    Raises:
        ValueError: One can't be decoded or does not fit the model.
    """
    from analysis.core.score import hard_negatives

    model = loaded.query.hash
    c_i = _features(model, "query", asked.clip_i, False, loaded)
    c_k = [asked.other_speed] if asked.other_speed is not None else []
    rsp, avid = (
        [_features(model, "key", key, False, loaded) for key in keys]
        for keys in (c_k, asked.others)
    )
    near = hard_negatives(c_i, avid, "avid", min(NUM_HARD_NEGATIVES, len(avid)))
    return {"rsp": rsp, "avid": [avid[n] for n in near]}


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
    from analysis.attribution.pairwise import explain_pairwise

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
