"""The offline page of a pair: both heads' maps on both clips, in step, with their numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from analysis.attribution.pair_maps import KindMaps
from analysis.attribution.registry import OTHER_ROWS, map_kind, map_kinds
from analysis.core.clip import ClipInfo, Frames, View
from analysis.core.clip_map import ClipMap
from analysis.core.grid import Grid
from analysis.core.table import Table, Value
from analysis.figures.overlay import map_limits
from analysis.figures.viewer import pictures
from analysis.figures.viewer.page import (
    MOST_BYTES,
    PIXELS,
    Checked,
    Page,
    Part,
    command_part,
    sizes,
    verdict_part,
)
from analysis.figures.viewer.panel import Panel, colour_ramp, draw_panel, strongest_frame
from analysis.figures.viewer.pictures import SHEET_COLUMNS, resize
from analysis.figures.viewer.rows import PLAY_FPS, bar_of, row_of, signed, small, symbols
from rspnet.data.transforms import eval_frames
from rspnet.data.video.reader import VideoReader
from rspnet.names import HEAD_TITLES

_READING = (
    "Orange raises the score, blue lowers it, and the frame shows through where a cell adds "
    "nothing. Box: the largest connected part of the cells that hold half of what is positive."
)


def view_of(info: ClipInfo, grid: Grid) -> View:
    """A clip's frames from its video, for a result that was stored without them.

    Raises:
        ValueError: The video is gone or can't be read, or has no such frames.
    """
    if not info.video or not info.frame_indices:
        raise ValueError(
            "the frames of the clip are not known: give views instead of tensors, or info_i and "
            "info_j, when the maps are computed"
        )
    if not Path(info.video).exists():
        raise ValueError(
            f"the pictures need the video {info.video}, which is gone: put it back, or compute "
            "the maps again"
        )
    with VideoReader(info.video) as reader:
        frames = reader.get_frames(info.frame_indices)
    return View(eval_frames(frames, grid.clip[1]), info)


def in_grey(found: KindMaps) -> KindMaps:
    """The maps with frames without colours, for a figure."""
    if found.views is None:
        return found
    i, j = (view.with_frames(pictures.grey(view.frames)) for view in found.views)
    return replace(found, views=(i, j))


def frames_at(view: View, pixels: int) -> Frames:
    """A clip's frames at the size of the screen, (T, pixels, pixels, 3).

    Sharp ones from the file, where that still holds the very frames that the maps were computed
    from; else those enlarged.
    """
    size = view.frames.shape[1]
    if view.info.frame_indices and Path(view.info.video).is_file():
        try:
            with VideoReader(view.info.video) as reader:
                frames = reader.get_frames(view.info.frame_indices)
        except ValueError:  # it has changed since
            frames = view.frames
        if np.array_equal(eval_frames(frames, size), view.frames):
            return eval_frames(frames, pixels)
    return resize(view.frames, pixels, pixels)


def pair_page(
    found: KindMaps,
    *,
    scale: str = "head",
    opacity: float = 0.75,
    smooth: bool = True,
    grey: bool = False,
    verdicts: Mapping[str, Checked] | None = None,
    notes: Sequence[str] = (),
    command: str = "",
    pixels: int = PIXELS,
) -> Page:
    """The page of one kind of map of a pair.

    Args:
        found: The maps, with the clips that they are of.
        scale: One colour scale for each ``head`` (or class), ``shared``, or one for each ``map``.
        opacity: Of the strongest colour, 0 to 1.
        smooth: Interpolate between cells.
        grey: Show the frames without their colours.
        verdicts: By head, what the checks of its map came to.
        notes: Sentences above the numbers.
        command: What made it.
        pixels: Side of a picture; smaller where the page would be too large.

    Raises:
        ValueError: A choice is out of range, or the maps have no frames.
    """
    if not found.rows:
        raise ValueError("there is no map to show")
    views = found.views or tuple(view_of(m.clip, m.grid) for m in next(iter(found.rows.values())))
    limits = map_limits(found, scale)
    if not 0 <= opacity <= 1:
        raise ValueError(f"opacity is between 0 and 1, got {opacity}")
    for side in sizes(pixels):
        large = [frames_at(view, side) for view in views]
        large = [pictures.grey(frames) for frames in large] if grey else large
        panels = {
            row: tuple(
                draw_panel(
                    clip_map, views[n].frames, large[n], limits[row][n],
                    opacity=opacity, smooth=smooth,
                )
                for n, clip_map in enumerate(both)
            )
            for row, both in found.rows.items()
        }  # fmt: skip
        if sum(len(panel.sheet) for both in panels.values() for panel in both) < 0.9 * MOST_BYTES:
            break
    kind = map_kind(found.kind)
    titles = {row: found.titles.get(row) or HEAD_TITLES[row] for row in found.rows}
    infos = [view.info for view in views]
    model = next(iter(found.rows.values()))[0].model_hash
    named = [
        f"{symbols(f'`c_{side}`')} {escape(_clip(i))}"
        for side, i in zip(found.sides, infos, strict=True)
    ]
    first = next(iter(found.rows.values()))[0]
    num, height, width = first.grid.clip
    grid = f"{first.grid} over {num} frames of {height} x {width} pixels"
    return Page(
        title=kind.title,
        lines=[
            symbols(kind.text),
            f"{'; '.join(named)}. {grid[0].upper()}{grid[1:]}. "
            f"Model {model[:12] or 'without a name'}.",
        ],
        panels=_panels(found, panels, titles, infos, scale, colour_ramp(opacity)),
        parts=[
            Part(paragraphs=[_READING, *map(escape, notes)]),
            *verdict_part(verdicts or {}, titles),
            Part(
                title="Numbers", tables=[_table(found, panels, titles)], paragraphs=_skipped(found)
            ),
            *command_part(command),
        ],
        values={
            "format": "rspnet-view",
            "version": 1,
            "command": command,
            "similarity": found.similarity,
            "verdicts": {head: own.sentence for head, own in (verdicts or {}).items()},
            "maps": {
                f"{row}.{side}": own.manifest() | {"values": own.values.tolist()}
                for row, both in found.rows.items()
                for side, own in zip(found.sides, both, strict=True)
            },
        },
    )


def _clip(info: ClipInfo) -> str:
    own = info.frame_indices
    frames = f"frames {own[0]} to {own[-1]}, " if own else ""
    return f"{str(info).partition(' frames')[0].partition(' at ')[0]}, {frames}{info.speed:g}x"


def _skipped(found: KindMaps) -> list[str]:
    return [f"No row for {HEAD_TITLES[h]}: {escape(why)}." for h, why in found.skipped.items()]


def map_title(kind: str, own: ClipMap) -> str:
    """Title of a clip's map, which beside a margin is of another kind."""
    known = map_kinds()
    return (known.get(own.kind.partition(", ")[0]) or known[kind]).title


def _panels(
    found: KindMaps,
    panels: Mapping[str, tuple[Panel, ...]],
    titles: Mapping[str, str],
    infos: list[ClipInfo],
    scale: str,
    ramp: list[str],
) -> dict[str, Any]:
    kind, rows = map_kind(found.kind), []
    first = next(iter(found.rows.values()))[0]
    num = first.grid.clip[0]
    for name, both in panels.items():
        shown: list[dict[str, Any]] = [
            {
                "column": side,
                "image": panel.sheet,
                "alt": f"{map_title(found.kind, own)}, {titles[name]}, on c_{side}: {_clip(info)}",
                "boxes": [panel.box] * num,
            }
            for side, panel, own, info in zip(
                found.sides, both, found.rows[name], infos, strict=True
            )
        ]
        limits = [f"\N{PLUS-MINUS SIGN}{panel.limit:.2g}" for panel in both]
        if not found.has_one_target:
            shown[1]["limit"] = limits[1] = f"map of s, {limits[1]}"
        if scale == "map":
            shown[0]["limit"], shown[1]["limit"] = limits
        row = row_of(name, titles[name], signed(found.score(name), 2), shown, kind.symbol)
        rows.append(row | {"bar": bar_of(titles[name], both[0].limit, ramp, scale)})
    return {
        "token": "page",
        "frame": strongest_frame(found),
        "fps": PLAY_FPS,
        "num_frames": num,
        "columns": [
            {"index": s, "detail": _clip(i)} for s, i in zip(found.sides, infos, strict=True)
        ],
        "rows": rows,
        "sheet": {"columns": SHEET_COLUMNS, "rows": -(-num // SHEET_COLUMNS)},
        "unit": kind.units,
    }


def _table(
    found: KindMaps, panels: Mapping[str, tuple[Panel, ...]], titles: Mapping[str, str]
) -> Table:
    """A line a map: its score, what its cells come to, and how much of it is on what moves."""
    kind, rows = map_kind(found.kind), []
    for name, both in panels.items():
        for n, (side, panel) in enumerate(zip(found.sides, both, strict=True)):
            own = found.rows[name][n]
            of = kind.symbol if own.kind.partition(", ")[0] == kind.key else "s"
            error = panel.error if panel.error is not None else found.convergence_error(name)
            line: list[str | Value] = [
                f"{titles[name]}, c_{side}",
                f"{of} = {signed(found.score(name, n), 4)}",
                signed(panel.total, 4),
                "not promised" if error is None else small(error),
                f"{panel.on_moving:.0%} ({panel.moving:.0%})",
            ]
            if kind.needs in OTHER_ROWS:
                line.append(f"{found.probability[name][n]:.1%}")
            rows.append(line)
    more = ("probability",) if kind.needs in OTHER_ROWS else ()
    total = "mean of the map" if kind.reduction == "mean" else "sum of the map"
    return Table(
        header=("map", "score", total, "sum error", "on moving pixels", *more),
        rows=rows,
        caption="On moving pixels: how much of what is positive in the map lies on pixels that "
        "move, and in brackets their share of all pixels, which is what a uniform map would give.",
    )
