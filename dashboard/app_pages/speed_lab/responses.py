"""One thing about a clip changed: both heads' curves and maps, computed by `analysis` once.

Torch comes in with the first call, not with the import. What is kept is keyed by the model's
hash, the video's identity and what is changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import streamlit as st

from analysis.figures.viewer.panel import PANEL_PIXELS, Panel, colour_ramp, draw_panel
from dashboard.overlays.maps import BY_MODEL
from dashboard.overlays.options import DisplayOptions
from dashboard.services import galleries
from dashboard.services.galleries import Frames, Identity
from dashboard.services.models import Loaded

if TYPE_CHECKING:
    from analysis import KindMaps, PairClips, View
    from analysis.stimuli.perturbations import Perturbation, Probe
    from analysis.stimuli.perturbed_clips import Curve

# Every video has what these take.
PROBES = (
    "speed", "reverse", "shuffle", "static", "offset", "grey", "hue", "crop", "flip", "blur",
)  # fmt: skip
# Factor swaps need another video that shows the rest unchanged: synthetic ones can be rendered.
FACTOR_SWAPS = ("action", "actor", "set", "prop", "appearance")
# More speeds than a study over many videos takes: one clip is soon through the network.
SPEEDS = (0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 2.5, 3, 3.5, 4)
KIND = "contribution"
DISPLAY = DisplayOptions(kind=KIND)


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
        generated: Seed and index of a synthetic video, None for others.
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
        return (*PROBES, *FACTOR_SWAPS) if self.generated else PROBES

    @property
    def window(self) -> int:
        """Frames of the video from the clip's first on."""
        return self.length - self.start


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


def change_of(name: str) -> "Perturbation":
    """A change with the levels that this page has.

    Raises:
        ValueError: There is none of this name.
    """
    from analysis.stimuli.perturbations import find_perturbation

    change = find_perturbation(name)
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
@st.cache_resource(max_entries=8, show_spinner=False, hash_funcs=BY_MODEL)
def _swapped(subject: Subject, loaded: Loaded) -> dict[str, _Late]:
    """By factor swap, the clip of the video in this one's place."""
    from analysis.stimuli.perturbed_clips import synthetic_probe

    assert subject.generated is not None
    seed, index = subject.generated
    end = subject.start + subject.num_frames
    found = synthetic_probe(loaded.query, seed, index, end).swapped
    clip = range(subject.start, end)
    return {name: _Late(own.get_frames(clip), subject.start) for name, own in found.items()}


def _probe(subject: Subject, loaded: Loaded, name: str) -> "Probe":
    """The clip, with what a perturbation takes."""
    from analysis.stimuli.perturbed_clips import video_probe

    exchanged = _swapped(subject, loaded) if name in FACTOR_SWAPS else {}
    probe = video_probe(loaded.query, _Reader(subject), start=subject.start, name=subject.title)
    return replace(probe, swapped=exchanged)


def curve_of(subject: Subject, name: str, loaded: Loaded) -> "Curve":
    """Both heads' similarity at every level that fits.

    Raises:
        ValueError: A frame can't be decoded, or the clip does not fit the model.
    """
    return _curve(subject, name, levels_that_fit(name, subject), loaded)


def strongest_of(subject: Subject, loaded: Loaded) -> dict[str, "Curve"]:
    """By perturbation, both heads' similarity at the largest level that fits.

    Raises:
        ValueError: A frame can't be decoded, or the clip does not fit the model.
    """
    return {
        name: _curve(subject, name, levels_that_fit(name, subject)[-1:], loaded)
        for name in subject.probes
    }


@st.cache_data(max_entries=512, show_spinner=False, hash_funcs=BY_MODEL)
def _curve(subject: Subject, name: str, levels: tuple[float, ...], loaded: Loaded) -> "Curve":
    from analysis.stimuli.perturbed_clips import responses_of_video

    probe = _probe(subject, loaded, name)
    with loaded.lock:
        found = responses_of_video(loaded.query, loaded.key, probe, {name: levels})
    return found[name]


# Frames and maps of a pair are 1.3 MB.
@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=BY_MODEL)
def pair_of(subject: Subject, name: str, level: float, loaded: Loaded) -> "PairClips":
    """The clip and its perturbed self, after their forward passes.

    Raises:
        ValueError: A frame can't be decoded, or the clip does not fit the model.
    """
    from analysis.stimuli.perturbed_clips import probe_pair

    probe = _probe(subject, loaded, name)
    with loaded.lock:
        return probe_pair(loaded.query, loaded.key, probe, name, level)


@st.cache_data(max_entries=64, show_spinner=False, hash_funcs=BY_MODEL)
def maps_of(subject: Subject, name: str, level: float, loaded: Loaded) -> "KindMaps":
    """Both heads' exact maps of the similarity of the clip and its perturbed self.

    Raises:
        ValueError: As :func:`pair_of`.
    """
    from analysis import explain_kind

    return explain_kind(KIND, pair_of(subject, name, level, loaded))


def limit_of(subject: Subject, loaded: Loaded) -> float:
    """End of the colour scale: the largest cell of both heads where nothing is changed.

    One scale for all perturbations of a clip, so that a map fades as its similarity falls.
    """
    from analysis.figures.overlay import common_limit

    same = maps_of(subject, "speed", float(change_of("speed").neutral), loaded)
    return common_limit([m.values for both in same.rows.values() for m in both])


def large_views(
    subject: Subject, name: str, level: float, pixels: int, loaded: Loaded
) -> "tuple[View, View]":
    """The clip and its perturbed self once more, at the size that they are shown at.

    Raises:
        ValueError: A frame can't be decoded.
    """
    from analysis.stimuli.perturbations import perturbed_view

    probe = replace(_probe(subject, loaded, name), size=pixels)
    view = probe.view
    # A blur is so many pixels of what the model sees.
    shown = level * pixels / subject.size if name == "blur" else level
    return view, perturbed_view(probe, name, shown, unchanged=view)


@st.cache_data(max_entries=48, show_spinner=False, hash_funcs=BY_MODEL)
def view_of(subject: Subject, name: str, level: float, loaded: Loaded) -> LabView:
    """Maps, numbers and pictures of one perturbation.

    Raises:
        ValueError: A frame can't be decoded, or the clip does not fit the model.
    """
    pair, found = pair_of(subject, name, level, loaded), maps_of(subject, name, level, loaded)
    limit = limit_of(subject, loaded)
    small = (pair.view_i, pair.view_j)
    large = large_views(subject, name, level, PANEL_PIXELS, loaded)
    panels: dict[str, tuple[Panel, Panel]] = {}
    for head, both in found.rows.items():
        first, second = (
            draw_panel(clip_map, small[n].frames, large[n].frames, limit, **DISPLAY.drawn)
            for n, clip_map in enumerate(both)
        )
        panels[head] = (first, second)
    return LabView(
        similarity=found.similarity,
        error={head: max(p.error or 0.0 for p in both) for head, both in panels.items()},
        panels=panels,
        limit=limit,
        frames=pair.view_j.info.frame_indices,
        ramp=tuple(colour_ramp(DISPLAY.opacity)),
    )
