"""One thing about a clip changed: both heads' curves and maps, `analysis` asked once.

Torch comes in with the first call, not with the import. What is kept is keyed by the model's
hash, the video's identity and what is changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import streamlit as st

from dashboard.base.pictures import sheet
from dashboard.overlays.view_model import PANEL_PIXELS, FractionBox, ramp_of
from dashboard.services import galleries
from dashboard.services.galleries import Frames, Identity
from dashboard.services.models import Loaded
from rspnet.names import HEADS

if TYPE_CHECKING:
    from analysis.core.clip import View
    from analysis.core.clip_map import ClipMap
    from analysis.stimuli.perturbations import Change, Probe
    from analysis.stimuli.perturbed_clips import Curve, ProbedPair

# Every video has what these take.
PROBES = (
    "speed", "reverse", "shuffle", "freeze", "offset", "grey", "hue", "crop", "flip", "blur",
)  # fmt: skip
# Exchanges need another video that shows the rest unchanged: generated ones can be had anew.
EXCHANGES = ("action", "actor", "set", "prop", "looks")
# More speeds than a study over many videos takes: one clip is soon through the network.
SPEEDS = (0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 2.5, 3, 3.5, 4)
OPACITY = 0.75


@dataclass(frozen=True)
class Subject:
    """The clip that is changed, hashable.

    Attributes:
        video: Its video.
        title: The video's name.
        length: Frames of the video.
        start: First frame of the clip.
        num_frames: Frames of the clip.
        size: Height and width as the model sees them, pixels.
        generated: Seed and index of a generated video, None for others.
    """

    video: Identity
    title: str
    length: int
    start: int
    num_frames: int
    size: int
    generated: tuple[int, int] | None = None

    @property
    def probes(self) -> tuple[str, ...]:
        """Names of the changes that this clip has."""
        return (*PROBES, *EXCHANGES) if self.generated else PROBES

    @property
    def window(self) -> int:
        """Frames of the video from the clip's first on."""
        return self.length - self.start


@dataclass(frozen=True)
class Panel:
    """What the page shows of one map.

    Attributes:
        sheet: All frames with the map drawn in, as a data URI.
        box: Region of interest as parts of the picture's side, or None.
    """

    sheet: str
    box: FractionBox | None


@dataclass(frozen=True)
class LabView:
    """What the page shows of one change.

    Attributes:
        similarity: Of each head s of c_i and the changed clip.
        error: Of each head how far the sum of contributions is from s.
        panels: Of each head the map of c_i and that of c_j.
        limit: End of the colour scale, one for all changes of the clip.
        frames: The video's frames that c_j shows, from 0, in their order.
        ramp: Colours of the scale from its lower to its upper end.
    """

    similarity: dict[str, float]
    error: dict[str, float]
    panels: dict[str, tuple[Panel, Panel]]
    limit: float
    frames: tuple[int, ...]
    ramp: tuple[str, ...]


class _Reader:
    """A video as a source of frames that keeps what it has decoded."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject

    def __len__(self) -> int:
        return self.subject.length

    def get_frames(self, indices: Sequence[int]) -> Frames:
        """Frames under these indices, (N, H, W, 3) uint8."""
        return galleries.decode(self.subject.video, tuple(int(i) for i in indices))


def change_of(name: str) -> "Change":
    """A change with the levels that this page has.

    Raises:
        ValueError: There is none of this name.
    """
    from analysis.stimuli.perturbations import find_change

    change = find_change(name)
    return replace(change, levels=SPEEDS) if name == "speed" else change


def levels_that_fit(name: str, subject: Subject) -> tuple[float, ...]:
    """Levels of a change that a clip has inside its video."""
    from analysis.stimuli.perturbations import levels_within

    return levels_within(change_of(name), subject.num_frames, subject.window)


def frames_needed(name: str, level: float, num_frames: int) -> int:
    """Frames of the video that a level of ``speed`` or ``offset`` takes."""
    from analysis.stimuli.perturbations import window_of

    return window_of(num_frames, level) if name == "speed" else num_frames + int(level)


class _Late:
    """The frames of a video from one on."""

    def __init__(self, frames: Frames, start: int) -> None:
        self.frames, self.start = frames, start

    def __len__(self) -> int:
        return self.start + len(self.frames)

    def get_frames(self, indices: Sequence[int]) -> Frames:
        """Frames under these indices, (N, H, W, 3) uint8."""
        return self.frames[[int(i) - self.start for i in indices]]


# The frames of four clips are 9 MB.
@st.cache_resource(max_entries=8, show_spinner=False)
def _exchanged(subject: Subject, _loaded: Loaded) -> dict[str, _Late]:
    """By exchange, the clip of the video in this one's place."""
    from analysis.stimuli.perturbed_clips import synthetic_probe

    assert subject.generated is not None
    seed, index = subject.generated
    end = subject.start + subject.num_frames
    found = synthetic_probe(_loaded.query, seed, index, end).exchanged
    clip = range(subject.start, end)
    return {name: _Late(own.get_frames(clip), subject.start) for name, own in found.items()}


def _probe(subject: Subject, loaded: Loaded, name: str) -> "Probe":
    """The clip, with what a change takes."""
    from analysis.stimuli.perturbed_clips import video_probe

    exchanged = _exchanged(subject, loaded) if name in EXCHANGES else {}
    probe = video_probe(loaded.query, _Reader(subject), start=subject.start, name=subject.title)
    return replace(probe, exchanged=exchanged)


def curve_of(subject: Subject, name: str, loaded: Loaded) -> "Curve":
    """Both heads' similarity at every level that fits.

    Raises:
        ValueError: A frame can't be decoded, or the clip does not fit the model.
    """
    return _curve(loaded.query.hash, subject, name, levels_that_fit(name, subject), loaded)


def strongest_of(subject: Subject, loaded: Loaded) -> dict[str, "Curve"]:
    """By change, both heads' similarity at the largest level that fits.

    Raises:
        ValueError: A frame can't be decoded, or the clip does not fit the model.
    """
    return {
        name: _curve(loaded.query.hash, subject, name, levels_that_fit(name, subject)[-1:], loaded)
        for name in subject.probes
    }


@st.cache_data(max_entries=512, show_spinner=False)
def _curve(
    model: str, subject: Subject, name: str, levels: tuple[float, ...], _loaded: Loaded
) -> "Curve":
    from analysis.stimuli.perturbed_clips import responses_of_video

    probe = _probe(subject, _loaded, name)
    with _loaded.lock:
        found = responses_of_video(_loaded.query, _loaded.key, probe, {name: levels})
    return found[name]


def pair_of(subject: Subject, name: str, level: float, loaded: Loaded) -> "ProbedPair":
    """The clip and its changed self, with both heads' exact maps.

    Raises:
        ValueError: A frame can't be decoded, or the clip does not fit the model.
    """
    return _pair(loaded.query.hash, subject, name, level, loaded)


# Frames and maps of a pair are 1.3 MB.
@st.cache_resource(max_entries=64, show_spinner=False)
def _pair(model: str, subject: Subject, name: str, level: float, _loaded: Loaded) -> "ProbedPair":
    from analysis.stimuli.perturbed_clips import probe_pair

    probe = _probe(subject, _loaded, name)
    with _loaded.lock:
        return probe_pair(_loaded.query, _loaded.key, probe, name, level)


def maps_of(pair: "ProbedPair") -> "dict[str, tuple[ClipMap, ClipMap]]":
    """Of each head the map of c_i and that of the changed clip."""
    from analysis.regions.tracks import maps_of_pair

    return {head: maps_of_pair(pair.maps, head) for head in HEADS}


def limit_of(subject: Subject, loaded: Loaded) -> float:
    """End of the colour scale: the largest cell of both heads where nothing is changed.

    One scale for all changes of a clip, so that a map fades as its similarity falls.
    """
    from analysis.figures.overlay import common_limit

    same = pair_of(subject, "speed", float(change_of("speed").neutral), loaded)
    return common_limit([m.values for both in maps_of(same).values() for m in both])


def large_views(
    subject: Subject, name: str, level: float, pixels: int, loaded: Loaded
) -> "tuple[View, View]":
    """The clip and its changed self once more, at the size that they are shown at.

    Raises:
        ValueError: A frame can't be decoded.
    """
    from analysis.stimuli.perturbations import changed_view

    probe = replace(_probe(subject, loaded, name), size=pixels)
    view = probe.view
    # A blur is so many pixels of what the model sees.
    shown = level * pixels / subject.size if name == "blur" else level
    return view, changed_view(probe, name, shown, unchanged=view)


def view_of(subject: Subject, name: str, level: float, loaded: Loaded) -> LabView:
    """Maps, numbers and pictures of one change.

    Raises:
        ValueError: A frame can't be decoded, or the clip does not fit the model.
    """
    return _view(loaded.query.hash, subject, name, level, loaded)


@st.cache_data(max_entries=48, show_spinner=False)
def _view(model: str, subject: Subject, name: str, level: float, _loaded: Loaded) -> LabView:
    pair = pair_of(subject, name, level, _loaded)
    limit = limit_of(subject, _loaded)
    large = large_views(subject, name, level, PANEL_PIXELS, _loaded)
    panels: dict[str, tuple[Panel, Panel]] = {}
    for head, both in maps_of(pair).items():
        first, second = (
            _panel(clip_map, view.frames, limit) for clip_map, view in zip(both, large, strict=True)
        )
        panels[head] = (first, second)
    return LabView(
        similarity=pair.similarity,
        error={head: own.completeness_error for head, own in pair.maps.heads.items()},
        panels=panels,
        limit=limit,
        frames=pair.view_j.info.frame_indices,
        ramp=tuple(ramp_of(OPACITY)),
    )


def _panel(clip_map: "ClipMap", frames: Frames, limit: float) -> Panel:
    from analysis.figures.overlay import draw_overlay
    from analysis.regions.boxes import region_of_interest

    grid, box = clip_map.grid, region_of_interest(clip_map.values).box
    drawn = draw_overlay(frames, clip_map.values, grid, limit=limit, opacity=OPACITY)
    unit = grid.in_pixels(box, (1, 1)) if box is not None else None
    return Panel(sheet(drawn), (unit.left, unit.top, unit.right, unit.bottom) if unit else None)
