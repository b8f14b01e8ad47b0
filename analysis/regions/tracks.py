"""Regions of interest followed through a clip, for drawing, for counting, and as JSON.

The rule: of all cells with a positive contribution take the smallest set that holds ``share`` of
the positive total (:func:`analysis.regions.boxes.smallest_set`). At each time step this set falls
into edge-connected components. Components of two steps that follow one another are linked, the pair
with the largest intersection over union (of cells) first, each to one other at most, while that
is at least ``min_iou``; ties go to the earlier component in reading order. A chain of links is a
track. Between the centres of two steps its box moves in a straight line.

One step of a map covers several frames and one cell many pixels: a box says which cells carry the
score, not where an object's edge is.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from analysis.attribution.pair import PairExplanation
from analysis.core.clip import ClipInfo
from analysis.core.clip_map import ClipMap
from analysis.core.grid import TIME, Box, Grid
from analysis.regions.boxes import smallest_set
from rspnet.files import atomic_path

Map = NDArray[np.floating]
Mask = NDArray[np.bool_]

SHARE = 0.5
MIN_IOU = 0.1


@dataclass(frozen=True)
class Step:
    """A region at one time step of a map.

    Attributes:
        step: Of the map, from 0.
        mask: Its cells, (H', W').
        box: Their bounding box in cells.
        contribution: Sum of their values.
    """

    step: int
    mask: Mask
    box: Box
    contribution: float


@dataclass(frozen=True)
class Track:
    """One region through time.

    Attributes:
        steps: One a time step, without gaps.
        boxes: One a frame of the clip, in pixels of the clip; None before and after the track.
        share: Of the map's positive contribution, what lies inside.
    """

    steps: tuple[Step, ...]
    boxes: tuple[Box | None, ...]
    share: float

    @property
    def contribution(self) -> float:
        """Sum of its cells' values."""
        return sum(step.contribution for step in self.steps)

    @property
    def peak(self) -> Step:
        """The step that contributes most, the earliest of equals."""
        return max(self.steps, key=lambda step: step.contribution)

    def nearest_box(self, time: float) -> tuple[int, Box]:
        """The frame nearest to a time, counted in frames, that has a box, and the box."""
        shown = [(n, box) for n, box in enumerate(self.boxes) if box is not None]
        return min(shown, key=lambda pair: abs(pair[0] - time))


@dataclass(frozen=True)
class ClipTracks:
    """The tracks of a clip's map.

    Attributes:
        tracks: The one with the largest contribution first.
        share: Share of the positive contribution that the set of cells was to hold.
        min_iou: Least intersection over union of a link.
        grid: Of the map.
        clip: Where the clip is from.
        head: ``rsp`` or ``avid``.
        kind: Of the map.
        score: What the map is of.
        model_hash: SHA-256 of the model file.
    """

    tracks: tuple[Track, ...]
    share: float
    min_iou: float
    grid: Grid
    clip: ClipInfo
    head: str
    kind: str
    score: float
    model_hash: str

    @property
    def main(self) -> Track | None:
        """The track with the largest contribution; nothing if no cell is positive."""
        return self.tracks[0] if self.tracks else None

    def boxes(self, frame: int) -> list[Box]:
        """Boxes of all tracks at a frame of the clip, in pixels, the main track's first."""
        return [box for track in self.tracks if (box := track.boxes[frame]) is not None]

    def to_json(self) -> dict[str, Any]:
        """Plain values: the rule, its numbers, where the map is from, and the tracks."""
        return {
            "rule": (
                "components at each time step of the smallest set of cells that holds `share` of "
                "the positive contribution, linked through time by intersection over union of "
                "their cells, at least `min_iou`"
            ),
            "share": self.share,
            "min_iou": self.min_iou,
            "head": self.head,
            "kind": self.kind,
            "score": self.score,
            "grid": self.grid.to_json(),
            "clip": asdict(self.clip),
            "model_hash": self.model_hash,
            "units": {"box": "pixels of the clip: left, top, right, bottom", "cells": "of the map"},
            "tracks": [self._track(track) for track in self.tracks],
        }

    def _track(self, track: Track) -> dict[str, Any]:
        indices = self.clip.frame_indices
        return {
            "share": track.share,
            "contribution": track.contribution,
            "steps": [
                {
                    "step": s.step,
                    "cells": _edges(s.box),
                    "num_cells": int(s.mask.sum()),
                    "contribution": s.contribution,
                }
                for s in track.steps
            ],
            "frames": [
                {
                    "frame": n,
                    "video_frame": indices[n] if n < len(indices) else None,
                    "box": _edges(box),
                }
                for n, box in enumerate(track.boxes)
                if box is not None
            ],
        }


@dataclass(frozen=True)
class Link:
    """What an arrow from c_i to c_j joins: the main track of each, where it contributes most.

    Attributes:
        frame_i: Frame of c_i, from 0.
        box_i: The box there, in pixels.
        frame_j: The same in c_j.
        box_j: The same in c_j.
    """

    frame_i: int
    box_i: Box
    frame_j: int
    box_j: Box


@dataclass(frozen=True)
class PairTracks:
    """The tracks of both clips of a pair by one head.

    Attributes:
        similarity: s.
        tracks_i: Of c_i.
        tracks_j: Of c_j.
    """

    similarity: float
    tracks_i: ClipTracks
    tracks_j: ClipTracks

    @property
    def link(self) -> Link | None:
        """The boxes that an arrow joins; nothing if a clip has no region."""
        ends = []
        for clip in (self.tracks_i, self.tracks_j):
            if clip.main is None:
                return None
            ends.append(clip.main.nearest_box(clip.grid.centres(TIME)[clip.main.peak.step]))
        (frame_i, box_i), (frame_j, box_j) = ends
        return Link(frame_i, box_i, frame_j, box_j)

    def to_json(self) -> dict[str, Any]:
        """Plain values: s, the link, and the tracks of both clips."""
        link = self.link
        return {
            "similarity": self.similarity,
            "link": None
            if link is None
            else {
                "c_i": {"frame": link.frame_i, "box": _edges(link.box_i)},
                "c_j": {"frame": link.frame_j, "box": _edges(link.box_j)},
            },
            "c_i": self.tracks_i.to_json(),
            "c_j": self.tracks_j.to_json(),
        }


def _edges(box: Box) -> list[float]:
    return [box.left, box.top, box.right, box.bottom]


def components(mask_HW: Mask) -> list[Mask]:
    """Edge-connected components, in reading order of their first cells.

    Raises:
        ValueError: The mask is not (H, W) booleans.
    """
    if mask_HW.ndim != 2 or mask_HW.dtype != np.bool_:
        raise ValueError(f"a mask is booleans (H, W), got {mask_HW.dtype} {mask_HW.shape}")
    num, labels = cv2.connectedComponents(mask_HW.astype(np.uint8), connectivity=4)
    found = [np.asarray(labels == n) for n in range(1, num)]
    return sorted(found, key=lambda part: int(np.flatnonzero(part)[0]))


def _box_of(mask_HW: Mask) -> Box:
    rows, columns = np.flatnonzero(mask_HW.any(axis=1)), np.flatnonzero(mask_HW.any(axis=0))
    return Box(float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))


def link_masks(before: list[Mask], after: list[Mask], min_iou: float) -> dict[int, int]:
    """Which mask of a step goes on as which mask of the next, by the rule of this module.

    Returns:
        Places in ``after`` by places in ``before``.
    """
    pairs = []
    for a, first in enumerate(before):
        for b, second in enumerate(after):
            shared = int((first & second).sum())
            if shared and shared / int((first | second).sum()) >= min_iou:
                pairs.append((-shared / int((first | second).sum()), a, b))
    links: dict[int, int] = {}
    for _, a, b in sorted(pairs):
        if a not in links and b not in links.values():
            links[a] = b
    return links


def _frame_boxes(steps: list[Step], grid: Grid) -> tuple[Box | None, ...]:
    first, last = steps[0].step, steps[-1].step
    corners = np.array([_edges(grid.in_pixels(step.box)) for step in steps])  # (steps, 4)
    # Where each frame lies, counted in steps; outside of the track's centres its end stays.
    place = grid.weights(TIME) @ np.arange(grid.cells[TIME])
    times = [step.step for step in steps]
    moved = np.stack([np.interp(place, times, corners[:, side]) for side in range(4)], axis=1)
    own = grid.cell_of(TIME)
    shown = (own >= first) & (own <= last)
    if not shown.any():  # more steps than frames
        shown[np.abs(place - (first + last) / 2).argmin()] = True
    return tuple(
        Box(*(float(v) for v in row)) if here else None
        for row, here in zip(moved, shown, strict=True)
    )


def track_regions(
    map_THW: Map, grid: Grid, *, share: float = SHARE, min_iou: float = MIN_IOU
) -> tuple[Track, ...]:
    """Regions of interest of a map through time; see this module for the rule.

    Args:
        map_THW: Signed contributions, (T', H', W').
        grid: Where its cells lie.
        share: Share of the positive contribution that the cells hold, all tracks together.
        min_iou: Least intersection over union of two steps' cells that links them.

    Returns:
        The track with the largest contribution first, the earlier one of equals.

    Raises:
        ValueError: The map is not on the grid, or a number is out of range.
    """
    grid.check(map_THW)
    if not 0 < min_iou <= 1:
        raise ValueError(f"min_iou is above 0 and at most 1, got {min_iou}")
    chosen = smallest_set(map_THW, share)
    chains: list[list[Step]] = []
    open_chains: list[list[Step]] = []
    for number, mask in enumerate(chosen):
        parts = components(mask)
        links = link_masks([chain[-1].mask for chain in open_chains], parts, min_iou)
        owner = {part: open_chains[chain] for chain, part in links.items()}
        going_on = []
        for place, part in enumerate(parts):
            step = Step(number, part, _box_of(part), float(map_THW[number][part].sum()))
            chain = owner.get(place)
            if chain is None:
                chain = []
                chains.append(chain)
            chain.append(step)
            going_on.append(chain)
        open_chains = going_on
    total = float(np.clip(map_THW, 0, None).sum())
    tracks = [
        Track(tuple(chain), _frame_boxes(chain, grid), sum(s.contribution for s in chain) / total)
        for chain in chains
    ]
    return tuple(sorted(tracks, key=lambda track: -track.contribution))


def tracks_of(clip_map: ClipMap, *, share: float = SHARE, min_iou: float = MIN_IOU) -> ClipTracks:
    """The tracks of a clip's map, with all that says where they are from.

    Args:
        clip_map: A signed map.
        share: Share of the positive contribution that the cells hold, all tracks together.
        min_iou: Least intersection over union of two steps' cells that links them.

    Raises:
        ValueError: A number is out of range.

    Example:
        >>> import numpy as np
        >>> from analysis import ClipMap, Grid, tracks_of
        >>> grid = Grid.even(cells=(2, 2, 2), clip=(8, 32, 32))
        >>> values = np.zeros((2, 2, 2))
        >>> values[:, 1, 0] = 0.5  # the same cell in both time steps
        >>> found = tracks_of(ClipMap(values, 1.0, "rsp", "contribution", grid))
        >>> len(found.tracks), found.main.boxes[0]
        (1, Box(left=0.0, top=16.0, right=16.0, bottom=32.0))
    """
    return ClipTracks(
        tracks=track_regions(clip_map.values, clip_map.grid, share=share, min_iou=min_iou),
        share=share,
        min_iou=min_iou,
        grid=clip_map.grid,
        clip=clip_map.clip,
        head=clip_map.head,
        kind=clip_map.kind,
        score=clip_map.score,
        model_hash=clip_map.model_hash,
    )


def maps_of_pair(pair: PairExplanation, head: str) -> tuple[ClipMap, ClipMap]:
    """The exact contributions of one head in c_i and in c_j, each as a map of its clip.

    Raises:
        ValueError: No such head.
    """
    if head not in pair.heads:
        raise ValueError(f"head is one of {list(pair.heads)}, got {head!r}")
    maps = pair.heads[head]

    def of(values: Map, grid: Grid, own: ClipInfo, other: ClipInfo) -> ClipMap:
        return ClipMap(
            values=np.asarray(values, np.float64),
            score=maps.similarity,
            head=head,
            kind="contribution",
            grid=grid,
            clip=own,
            others=(other,),
            model_hash=pair.model_hash,
            exact=True,
        )

    return (
        of(maps.contribution_i, pair.grid_i, pair.clip_i, pair.clip_j),
        of(maps.contribution_j, pair.grid_j, pair.clip_j, pair.clip_i),
    )


def tracks_of_pair(
    pair: PairExplanation, head: str, *, share: float = SHARE, min_iou: float = MIN_IOU
) -> PairTracks:
    """The tracks of both clips of a pair by one head, from its exact contributions.

    Args:
        pair: Maps of the pair.
        head: ``rsp`` or ``avid``.
        share: See :func:`tracks_of`.
        min_iou: The same.

    Raises:
        ValueError: No such head, or a number is out of range.

    Example:
        >>> import torch
        >>> from analysis import example_branch, explain_pair, tracks_of_pair
        >>> branch = example_branch()
        >>> pair = explain_pair(branch, branch, *torch.randn(2, 3, 8, 32, 32))
        >>> found = tracks_of_pair(pair, "rsp", share=0.25)
        >>> found.tracks_i.grid == pair.grid_i, found.similarity == pair.heads["rsp"].similarity
        (True, True)
    """
    c_i, c_j = (
        tracks_of(clip_map, share=share, min_iou=min_iou) for clip_map in maps_of_pair(pair, head)
    )
    return PairTracks(c_i.score, c_i, c_j)


def save_tracks(
    path: str | Path, tracks: ClipTracks | PairTracks | Mapping[str, PairTracks]
) -> Path:
    """Write tracks as JSON, atomically.

    Args:
        path: The file.
        tracks: Of a clip, of a pair, or of a pair by several heads.

    Example:
        >>> import tempfile
        >>> import torch
        >>> from analysis import example_branch, explain_pair, save_tracks, tracks_of_pair
        >>> branch = example_branch()
        >>> pair = explain_pair(branch, branch, *torch.randn(2, 3, 8, 32, 32))
        >>> tracks = {head: tracks_of_pair(pair, head) for head in pair.heads}
        >>> path = save_tracks(f"{tempfile.mkdtemp()}/tracks.json", tracks)
        >>> list(json.loads(path.read_text())["heads"])
        ['rsp', 'avid']
    """
    if isinstance(tracks, ClipTracks):
        plain = {"format": "rspnet-tracks", "version": 1, **tracks.to_json()}
    elif isinstance(tracks, PairTracks):
        plain = {"format": "rspnet-pair-tracks", "version": 1, **tracks.to_json()}
    else:
        heads = {head: found.to_json() for head, found in tracks.items()}
        plain = {"format": "rspnet-heads-tracks", "version": 1, "heads": heads}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(plain, indent=1) + "\n")
    return Path(path)
