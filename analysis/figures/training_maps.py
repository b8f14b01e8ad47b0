"""Pictures of maps as they grow, see :mod:`analysis.report.map_tracker`."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from analysis.attribution.pair import PairExplanation
from analysis.core.clip import ClipInfo
from analysis.core.clip_map import Map
from analysis.figures.overlay import colour_bar, common_limit, draw_overlay, font
from rspnet.data.transforms import Frames
from rspnet.files import atomic_path
from rspnet.names import HEAD_TITLES, HEADS

INK, GREY = (40, 40, 46), (90, 90, 98)


@dataclass(frozen=True)
class TrackedPair:
    """Two clips of one video at one speed, early and late in it.

    Attributes:
        info: Where c_i and c_j are from.
        frames: Their frames, each (T, size, size, 3) uint8.
    """

    info: tuple[ClipInfo, ClipInfo]
    frames: tuple[Frames, Frames]


def save_page(page: Image.Image, path: Path) -> None:
    """Write a PNG, atomically."""
    with atomic_path(path) as temporary:
        page.save(temporary, format="png")


def _tile(
    frames: Frames, values: Map, pair: PairExplanation, part: str, limit: float, size: int
) -> Image.Image:
    grid = pair.grid_i if part == "i" else pair.grid_j
    scale = math.ceil(size / frames.shape[1])
    middle = draw_overlay(frames, values, grid, limit=limit, scale=scale)[len(frames) // 2]
    return Image.fromarray(middle).resize((size, size), Image.Resampling.LANCZOS)


def _shortened(text: str, width: float, measure: Callable[[str], float]) -> str:
    while len(text) > 4 and measure(text) > width:
        text = text[: len(text) // 2 - 1] + "…" + text[len(text) // 2 + 2 :]
    return text


def _foot(
    page: Image.Image, limits: Sequence[float], left: int, top: int, words: Sequence[str]
) -> None:
    brush = ImageDraw.Draw(page)
    for n, (name, limit) in enumerate(zip(HEADS, limits, strict=True)):
        bar = colour_bar(limit, 240, label=f"{HEAD_TITLES[name]}: contribution to s, per cell")
        page.paste(Image.fromarray(bar), (left + n * 250 - 34, top))
    for n, line in enumerate(words):
        brush.text((left + 480, top + 2 + 16 * n), line, fill=GREY, font=font(11))


def draw_step(
    step: int, pairs: Sequence[TrackedPair], maps: Sequence[PairExplanation]
) -> Image.Image:
    """Both clips of every pair in columns, a head a row, each head on one scale of its own."""
    size, side, head, gap = 168, 84, 46, 18
    block = 2 * size + 4
    row_height = size + 24
    width = max(side + len(pairs) * (block + gap), side + 760)
    page = Image.new("RGB", (width, head + 2 * row_height + 58), "white")
    brush = ImageDraw.Draw(page)
    limits = []
    for number, name in enumerate(HEADS):
        top = head + number * row_height
        brush.text((10, top + 2), HEAD_TITLES[name], fill=INK, font=font(17, bold=True))
        found = [pair.heads[name] for pair in maps]
        limits.append(
            common_limit([m for h in found for m in (h.contribution_i, h.contribution_j)])
        )
        for column, (pair, explained, h) in enumerate(zip(pairs, maps, found, strict=True)):
            left = side + column * (block + gap)
            for part, values in (("i", h.contribution_i), ("j", h.contribution_j)):
                n = int(part == "j")
                tile = _tile(pair.frames[n], values, explained, part, limits[-1], size)
                page.paste(tile, (left + n * (size + 4), top))
            brush.text(
                (left + block // 2, top + size + 3),
                f"s = {h.similarity:+.3f}", fill=INK, font=font(12), anchor="ma",
            )  # fmt: skip
    for column, pair in enumerate(pairs):
        left = side + column * (block + gap)
        title = _shortened(Path(pair.info[0].video).name, block, font(12, bold=True).getlength)
        brush.text((left, 6), title, fill=INK, font=font(12, bold=True))
        for n, info in enumerate(pair.info):
            text = f"c_{'ij'[n]}: frame {info.frame_indices[len(info.frame_indices) // 2]}"
            brush.text((left + n * (size + 4), 25), text, fill=GREY, font=font(11))
    brush.text((10, 6), f"step {step}", fill=INK, font=font(12))
    words = (
        f"{maps[0].grid_i} a clip of {len(pairs[0].frames[0])} frames",
        "shown: the middle frame of each clip",
        "one scale a head, for this step",
    )
    _foot(page, limits, side, page.height - 54, words)
    return page


def draw_history(
    pair: TrackedPair,
    explained: PairExplanation,
    shown: dict[int, tuple[Map, NDArray[np.float64]]],
    correlations: Sequence[tuple[int, int, float]],
) -> Image.Image:
    """c_i of one pair over the steps, a head a row, each on one scale; the correlation below.

    Args:
        pair: Its frames.
        explained: For the grid.
        shown: Maps (heads, T', H', W') and similarities (heads,), by step.
        correlations: Rows (step, pair, rho).
    """
    size, side, head = 132, 84, 28
    row_height = size + 22
    width = side + max(len(shown) * (size + 6), 760) + 10
    page = Image.new("RGB", (width, head + 2 * row_height + 62 + 190), "white")
    brush = ImageDraw.Draw(page)
    limits = [common_limit([maps[h] for maps, _ in shown.values()]) for h in range(len(HEADS))]
    for number, name in enumerate(HEADS):
        top = head + number * row_height
        brush.text((10, top + 2), HEAD_TITLES[name], fill=INK, font=font(17, bold=True))
        for column, (step, (maps, similarity)) in enumerate(shown.items()):
            left = side + column * (size + 6)
            tile = _tile(pair.frames[0], maps[number], explained, "i", limits[number], size)
            page.paste(tile, (left, top))
            text = f"s = {similarity[number]:+.3f}"
            middle = left + size // 2
            brush.text((middle, top + size + 2), text, fill=INK, font=font(11), anchor="ma")
            if number == 0:
                brush.text((middle, 8), f"step {step}", fill=INK, font=font(12), anchor="ma")
    video, index = Path(pair.info[0].video).name, pair.info[0].frame_indices
    words = (
        f"c_i of {_shortened(video, 200, font(11).getlength)}",
        f"frame {index[len(index) // 2]}; {explained.grid_i} a clip",
        "one scale a head for all steps",
    )
    top = head + 2 * row_height + 6
    _foot(page, limits, side, top, words)
    page.paste(_plot(correlations, width - 10, 180), (0, top + 62))
    return page


def _plot(rows: Sequence[tuple[int, int, float]], width: int, height: int) -> Image.Image:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure((width / 100, height / 100), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axis = figure.add_subplot()
    steps = sorted({step for step, _, _ in rows})
    numbers = sorted({pair for _, pair, _ in rows})
    values = {(step, pair): rho for step, pair, rho in rows}
    lines = np.array([[values.get((s, p), math.nan) for s in steps] for p in numbers])
    for n, line in enumerate(lines):
        label = "single pairs" if n == 0 else None
        axis.plot(steps, line, color="0.72", linewidth=1, marker=".", markersize=3, label=label)
    known = np.isfinite(lines)
    total, count = np.where(known, lines, 0).sum(axis=0), known.sum(axis=0)
    mean = np.divide(total, count, out=np.full(len(steps), math.nan), where=count > 0)
    axis.plot(steps, mean, color="0.1", linewidth=2, marker=".", label="mean")
    axis.axhline(0, color="0.6", linewidth=0.8)
    axis.set(xlabel="step", ylim=(-1.05, 1.05))
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_ylabel("rank correlation\nof both maps", fontsize=9)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, fontsize=8, loc="lower left", ncols=2)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    return Image.fromarray(pixels).convert("RGB")
