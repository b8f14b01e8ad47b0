"""Which maps a page wants: resolved once from what was chosen, hashable, the key of all caches."""

from dataclasses import dataclass

from analysis.attribution.registry import OTHER_ROWS, MapKind, map_kind
from dashboard.base.state import last_start, speeds_that_fit
from dashboard.overlays.clip_ref import ClipRef
from dashboard.overlays.selection import Clip, Selection
from dashboard.services import classifiers
from dashboard.services.galleries import Identity, Source, probe
from rspnet.data.sampling import clip_indices

# A-VID's margin is over the nearest few of so many clips of other videos.
NUM_CANDIDATES = 8


@dataclass(frozen=True)
class MapRequest:
    """The maps of one kind of a pair.

    Attributes:
        clip_i: c_i.
        clip_j: c_j.
        kind: Key of a registered kind.
        fine: Whether by shifted clips, on the finer grid.
        other_speed: For margins: c_j's video at another speed; None where there is none.
        others: For margins and verdicts: clips of other videos, candidates for the hard negatives.
        missing: For margins: of each head without negatives, why.
        classifier: Whose class activation maps these are.
    """

    clip_i: ClipRef
    clip_j: ClipRef
    kind: str = "contribution"
    fine: bool = False
    other_speed: ClipRef | None = None
    others: tuple[ClipRef, ...] = ()
    missing: tuple[tuple[str, str], ...] = ()
    classifier: Identity | None = None

    def clip(self, side: str) -> ClipRef:
        """c_i or c_j."""
        return self.clip_i if side == "i" else self.clip_j

    @property
    def map(self) -> MapKind:
        """The kind of map."""
        return map_kind(self.kind)


def resolve(selection: Selection) -> MapRequest:
    """The request that a selection stands for, with the negatives that a margin needs.

    Raises:
        ValueError: A video is gone, or the classifier takes other clips.
    """
    size, display = selection.model.size, selection.display
    needs, fine = display.map.needs, display.cells == "fine"
    classifier = None
    if needs == "classifier":
        assert selection.classifier is not None
        classifier = classifiers.identity_of(selection.classifier, selection.model.num_frames)
        size = selection.classifier.size
    c_i, c_j = (clip.ref(size) for clip in (selection.clip_i, selection.clip_j))
    if needs in OTHER_ROWS:
        return MapRequest(c_i, c_j, display.kind, fine, classifier=classifier)
    own = frozenset(clip.video.name for clip in (selection.clip_i, selection.clip_j))
    others = _spread(selection.source, own, selection.clip_j.num_frames, size)
    if needs != "triplet":
        return MapRequest(c_i, c_j, display.kind, fine, others=others)
    other_speed = _other_speed(selection.clip_j, size)
    missing = {}
    if other_speed is None:
        missing["rsp"] = (
            f"{selection.clip_j.info.num_frames} frames of c_j's video are too few for a clip at "
            "another speed: choose a longer video for c_j, or another kind of map"
        )
    if not others:
        missing["avid"] = (
            "this gallery has no other video that can be read: choose another gallery, or another "
            "kind of map"
        )
    return MapRequest(c_i, c_j, display.kind, fine, other_speed, others, tuple(missing.items()))


def _other_speed(clip: Clip, size: int) -> ClipRef | None:
    fitting = speeds_that_fit(clip.info.num_frames, clip.num_frames)
    speeds = [speed for speed in fitting if speed != clip.speed]
    return at_speed(clip, speeds[0], size) if speeds else None


def at_speed(clip: Clip, speed: int, size: int) -> ClipRef:
    """A clip of the same video at another speed, from the same frame on where that fits."""
    start = min(clip.start, last_start(clip.info.num_frames, clip.num_frames, speed))
    indices = tuple(clip_indices(start, clip.num_frames, speed))
    return ClipRef(clip.video.identity(), indices, speed, size)


def _spread(source: Source, own: frozenset[str], num_frames: int, size: int) -> tuple[ClipRef, ...]:
    """The middle clips of videos spread evenly over a gallery."""
    others = [video for video in source.videos if video.name not in own]
    step = max(1, len(others) // NUM_CANDIDATES)
    found: list[ClipRef] = []
    for video in others[::step]:
        if len(found) == NUM_CANDIDATES:
            break
        try:
            length = probe(video).num_frames
            if length >= num_frames:
                start = last_start(length, num_frames, 1) // 2
                indices = tuple(clip_indices(start, num_frames, 1))
                found.append(ClipRef(video.identity(), indices, 1, size))
        except ValueError:  # unreadable: others take its place
            continue
    return tuple(found)
