"""Examples with their frames: what the numbers of a report are made of.

Videos with the largest and the smallest margins of a head, and synthetic videos with the outlines
of their regions and both heads' margin maps of a slow and of a fast c_i.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import Stroke, withStroke

from analysis.core.clip import ClipInfo, Frames, Masks
from analysis.core.clip_map import ClipMap, Map
from analysis.core.grid import Grid
from analysis.figures.overlay import common_limit
from analysis.figures.style import (
    CATEGORIES,
    COLOURS,
    INK,
    PAGE_INCHES,
    TITLES,
    colour_bar,
    new_figure,
    number,
    show_map,
    style,
    values_at,
)
from analysis.regions.ground_truth import REGIONS
from analysis.stimuli.kinds import EvaluatedModel, TripletFeatures, with_controls
from analysis.stimuli.triplets import Triplets, nearest_videos, scores_of
from analysis.studies.localisation import make_scene
from analysis.studies.measures.controlled import SPEEDS, Scene
from rspnet.models import Branch
from rspnet.names import HEADS

Frame = np.typing.NDArray[np.uint8]
OUTLINES = {"limbs": CATEGORIES[5], "prop": CATEGORIES[4], "background_cues": "#ffffff"}
_NUM_FRAMES = 3
_SIDE, _EDGE, _GAP, _LABEL, _FOOT = 1.25, 0.05, 0.05, 0.18, 0.5  # inches
_MIDDLE = 0.14  # between c_i and the clips that it is compared with


@dataclass(frozen=True, kw_only=True)
class Example:
    """One video's margin by one head.

    Attributes:
        frames: c_i, (T, size, size, 3).
        margin_map: Map of the margin in c_i.
        c_j: Middle frame of the clip that is to be nearer.
        away: Middle frame of the clip that is to be farther: c_k, or the nearest of another video.
        away_info: Where that one is from.
    """

    frames: Frame
    margin_map: ClipMap
    c_j: Frame
    away: Frame
    away_info: ClipInfo

    @property
    def margin(self) -> float:
        """s_ij - s_ik; the head is correct where it is positive."""
        return self.margin_map.score


def margins_of(features: Sequence[TripletFeatures], head: str) -> list[ClipMap]:
    """The margin map of each video's c_i by a head.

    Raises:
        ValueError: No such head, or there are fewer than two videos.
    """
    return [
        scores_of(features, place)[head, "margin"].contributions(own.c_i)
        for place, own in enumerate(features)
    ]


def make_example(
    features: Sequence[TripletFeatures],
    triplets: Triplets,
    place: int,
    margin_map: ClipMap,
) -> Example:
    """The example of one video, given its margin map."""
    own = triplets.views[place]
    if margin_map.head == "rsp":
        away = own[2]
    else:
        away = triplets.views[nearest_videos(features, place, 1)[0]][1]
    return Example(
        frames=own[0].frames,
        margin_map=margin_map,
        c_j=own[1].frames[len(own[1].frames) // 2],
        away=away.frames[len(away.frames) // 2],
        away_info=away.info,
    )


def best_and_worst(margins: Sequence[float], num: int = 3) -> list[int]:
    """Places of the largest margins, the largest first, then of the smallest, the smallest last.

    No place comes twice, so there are fewer if there are fewer videos than 2 ``num``.
    """
    order = [int(n) for n in np.argsort(-np.asarray(margins), kind="stable")]
    if len(order) <= 2 * num:
        return order
    return order[:num] + order[-num:]


def _name(info: ClipInfo) -> str:
    name = Path(info.video).stem if info.video else "clip"
    return name if len(name) <= 19 else name[:9] + "\N{HORIZONTAL ELLIPSIS}" + name[-9:]


def draw_examples(examples: Sequence[Example]) -> Figure:
    """Rows of examples by one head: c_i with its margin map, c_j, and the clip contrasted with.

    Args:
        examples: From top to bottom, all by one head.

    Raises:
        ValueError: There are none, or they are by several heads.
    """
    heads = {example.margin_map.head for example in examples}
    if len(heads) != 1:
        raise ValueError(f"examples are by one head, got {sorted(heads) or 'none'}")
    head = heads.pop()
    num = _NUM_FRAMES + 2
    size = (PAGE_INCHES - _SIDE - 2 * _EDGE - _MIDDLE - (num - 2) * _GAP) / num
    height = 0.24 + len(examples) * (size + _LABEL) + _FOOT
    limit = common_limit([example.margin_map.values for example in examples])
    with style():
        figure = Figure((PAGE_INCHES, height))

        def axes(column: int, top: float) -> Any:
            left = _SIDE + column * (size + _GAP) + (_MIDDLE if column >= _NUM_FRAMES else 0)
            return figure.add_axes(
                (left / PAGE_INCHES, 1 - (top + size) / height, size / PAGE_INCHES, size / height)
            )

        def text(left: float, top: float, words: str, **options: Any) -> None:
            settings: dict[str, Any] = {"va": "top", "fontsize": 7} | options
            figure.text(left / PAGE_INCHES, 1 - top / height, words, **settings)

        away_name = "$c_k$: other speed" if head == "rsp" else "nearest other video"
        middles = [
            _SIDE + c * (size + _GAP) + (_MIDDLE if c >= _NUM_FRAMES else 0) + size / 2
            for c in range(num)
        ]
        text(middles[1], 0.06, "$c_i$ with its margin map", ha="center")
        text(middles[3], 0.06, "$c_j$", ha="center")
        text(middles[4], 0.06, away_name, ha="center")
        for row, example in enumerate(examples):
            top = 0.24 + row * (size + _LABEL)
            found = example.margin_map
            shown = np.linspace(0, len(example.frames) - 1, _NUM_FRAMES + 2).round().astype(int)
            for column, frame in enumerate(shown[1:-1]):
                axis = axes(column, top)
                values = values_at(found.values, found.grid, int(frame))
                show_map(axis, example.frames[frame], values, found.grid, limit)
                index = found.clip.frame_indices[frame] if found.clip.frame_indices else frame
                text(middles[column], top + size + 0.03, f"frame {index}", ha="center", fontsize=6)
            for column, picture in ((_NUM_FRAMES, example.c_j), (_NUM_FRAMES + 1, example.away)):
                axis = axes(column, top)
                show_map(axis, picture, None, found.grid, limit)
            under = (found.others[0] if found.others else found.clip, example.away_info)
            for column, info in zip((_NUM_FRAMES, _NUM_FRAMES + 1), under, strict=True):
                words = f"{info.speed:g}x" if head == "rsp" else _name(info)
                text(middles[column], top + size + 0.03, words, ha="center", fontsize=6)
            correct = found.score > 0
            text(0.05, top + 0.02, _name(found.clip), fontsize=6.5)
            text(0.05, top + 0.18, f"at {found.clip.speed:g}x", fontsize=6.5)
            text(
                0.05,
                top + 0.36,
                f"margin {number(found.score)}",
                color=COLOURS[head] if correct else INK,
                fontweight="bold",
            )
            text(0.05, top + 0.53, "correct" if correct else "incorrect", fontsize=6.5)
        place = figure.add_axes(
            (_SIDE / PAGE_INCHES, 0.3 / height, 2.0 / PAGE_INCHES, 0.09 / height)
        )
        bar = colour_bar(figure, [], limit, "", place=place, orientation="horizontal")
        bar.ax.tick_params(length=2, pad=1.5, labelsize=6.5)
        text(_SIDE + 2.4, height - 0.4, "contribution to the margin, per cell", fontsize=6.5)
    return figure


@dataclass(frozen=True, kw_only=True)
class RegionExample:
    """A video's slow and fast c_i with the margin maps of both heads.

    Attributes:
        frames: The middle frame of each c_i, by speed.
        regions: Its masks, by region, of the first speed.
        maps: (H', W') at that frame, by head and speed.
        grid: Of the maps.
    """

    frames: Mapping[int, Frames]
    regions: Mapping[str, Masks]
    maps: Mapping[tuple[str, int], Map]
    grid: Grid


def make_region_examples(
    query: Branch, key: Branch, seed: int, *, num: int = 2, num_videos: int = 8
) -> list[RegionExample]:
    """Of the first synthetic videos of a seed those whose moving limbs are largest.

    Args:
        query: Query branch.
        key: Momentum branch.
        seed: Of the videos.
        num: Examples.
        num_videos: Of at most so many; the others are there for A-VID's margin.
    """
    scenes = [
        make_scene(seed, index, num_frames=query.num_frames, size=query.size, num_triplets=1)
        for index in range(num_videos)
    ]
    model = next(with_controls(query, key, [scene.triplets for scene in scenes]))
    areas = [scene.truth[0]["limbs"].mean() for scene in scenes]
    chosen = sorted(np.argsort(areas)[::-1][:num].tolist())
    return [_region_example(scenes[n], model, n) for n in chosen]


def _region_example(scene: Scene, model: EvaluatedModel, video: int) -> RegionExample:
    grid = model.triplets[video][0].c_i.grid
    middle = grid.clip[0] // 2
    frames, maps = {}, {}
    for place, speed in enumerate(SPEEDS):
        frames[speed] = scene.triplets[place][0].frames[middle]
        for head in HEADS:
            values = model.maps(video, place, head)["margin"]
            maps[head, speed] = values_at(values, grid, middle)
    regions = {name: scene.truth[0][name][middle] for name in OUTLINES}
    return RegionExample(frames=frames, regions=regions, maps=maps, grid=grid)


def draw_region_examples(examples: Sequence[RegionExample]) -> Figure:
    """Rows of synthetic videos: a frame with its regions, then both heads' margin maps.

    Raises:
        ValueError: There are none.
    """
    if not examples:
        raise ValueError("there are no examples to draw: give at least one")
    with style():
        figure = new_figure(PAGE_INCHES, 1.32 * len(examples) + 0.45)
        _draw_region_examples(figure, examples)
    return figure


def _draw_region_examples(figure: Figure, examples: Sequence[RegionExample]) -> None:
    axes = figure.subplots(len(examples), 5, squeeze=False)
    limits = {
        head: common_limit([e.maps[head, speed] for e in examples for speed in SPEEDS])
        for head in HEADS
    }
    panels = [(head, speed) for head in HEADS for speed in SPEEDS]
    for row, example in zip(axes, examples, strict=True):
        show_map(row[0], example.frames[SPEEDS[0]], None, example.grid, 1.0)
        for name, colour in OUTLINES.items():
            _outline(row[0], example.regions[name], colour)
        for axis, (head, speed) in zip(row[1:], panels, strict=True):
            values = example.maps[head, speed]
            show_map(axis, example.frames[speed], values, example.grid, limits[head])
    for axis, (head, speed) in zip(axes[0, 1:], panels, strict=True):
        axis.set_title(f"{TITLES[head]}, query at {speed}x", color=COLOURS[head])
    axes[0, 0].set_title("frame and regions")
    keys = [Line2D([], [], color=c, label=REGIONS[n]) for n, c in OUTLINES.items()]
    for line in keys:
        line.set_path_effects([Stroke(linewidth=2.4, foreground="#141418"), withStroke()])
    legend = axes[-1, 0].legend(
        handles=keys, loc="upper center", bbox_to_anchor=(0.5, -0.03), handlelength=1.2, ncols=1,
        borderaxespad=0, labelspacing=0.25,
    )  # fmt: skip
    legend.set_in_layout(False)  # it stands beside the colour bars
    for first, head in zip((1, 3), HEADS, strict=True):
        colour_bar(
            figure, list(axes[:, first : first + 2].ravel()), limits[head],
            f"contribution to the margin of {TITLES[head]}, per cell",
            location="bottom", aspect=30, pad=0.03, shrink=0.8,
        )  # fmt: skip


def _outline(axis: Axes, mask: Masks, colour: str) -> None:
    if not mask.any():
        return
    drawn = axis.contour(
        np.pad(mask.astype(float), 1), levels=[0.5], colors=[colour], linewidths=0.9,
        extent=(-1, mask.shape[1] + 1, -1, mask.shape[0] + 1),
    )  # fmt: skip
    drawn.set_path_effects([Stroke(linewidth=1.8, foreground="#141418"), withStroke()])
