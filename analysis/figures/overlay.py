"""Drawing a map on the very frames that it was computed from.

Colours are signed and centred on zero: blue pushes the two clips apart, orange pulls them
together, and zero leaves the frame as it is. The two hues differ in lightness for every common
kind of colour blindness.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from analysis.attribution.pair_maps import KindMaps
from analysis.core.grid import Box, Grid, upsample

Map = NDArray[np.floating]
Frames = NDArray[np.uint8]

# Anchors from -1 to 1: deep blue, sky blue, white, orange, deep orange (after Okabe and Ito).
_ANCHORS = np.array(
    [(0, 52, 120), (62, 146, 214), (246, 246, 246), (245, 158, 40), (176, 58, 0)], np.float64
)
# Values between 0 and 1 that are told apart; a pixel is off by one grey level at most.
_STEPS = 4096
BOX_COLOUR = (255, 255, 255)


def colours(values: Map) -> NDArray[np.uint8]:
    """Colours of values in -1..1 (clipped), with zero white.

    Shape:
        (...) -> (..., 3) uint8.
    """
    at = np.linspace(-1, 1, len(_ANCHORS))
    clipped = np.clip(values, -1, 1)
    rgb = np.stack([np.interp(clipped, at, _ANCHORS[:, c]) for c in range(3)], axis=-1)
    return rgb.round().astype(np.uint8)


@lru_cache(maxsize=8)
def _tables(opacity: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What each value from -1 to 1 lays over a pixel, and how much of the pixel it leaves."""
    value = np.linspace(-1, 1, 2 * _STEPS + 1)
    strength = np.abs(value)
    # The hue alone tells the sign; strength tells how much. White would hide the frame.
    colour = colours(np.sign(value) * (0.5 + 0.5 * strength))
    alpha = opacity * strength**0.8
    return (colour * alpha[:, None]).astype(np.float32), (1 - alpha).astype(np.float32)


def common_limit(maps: Sequence[Map]) -> float:
    """One limit for several maps, so that they can be compared: the largest absolute value."""
    limit = max(float(np.abs(m).max()) for m in maps)
    return limit if limit > 0 else 1.0


def map_limits(found: KindMaps, scale: str = "shared") -> dict[str, tuple[float, float]]:
    """Ends of the colour scale of each row's two maps; maps of two scores never share one.

    Args:
        found: The maps of a pair.
        scale: ``shared`` by all rows, one for each ``head`` (or class), or one for each ``map``.

    Raises:
        ValueError: ``scale`` is something else.
    """
    if scale not in ("shared", "head", "map"):
        raise ValueError(f"scale is 'shared', 'head' or 'map', got {scale!r}")

    def end(row: str, side: int) -> float:
        rows = list(found.rows) if scale == "shared" else [row]
        sides = (0, 1) if scale != "map" and found.has_one_target else (side,)
        return common_limit([found.rows[name][n].values for name in rows for n in sides])

    return {row: (end(row, 0), end(row, 1)) for row in found.rows}


def draw_overlay(
    frames: Frames,
    map_THW: Map,
    grid: Grid,
    *,
    limit: float,
    opacity: float = 0.75,
    smooth: bool = True,
    scale: int = 1,
    boxes: Sequence[Box | None] | None = None,
) -> Frames:
    """Draw a signed map over frames.

    A value of zero leaves the pixel unchanged; at ``limit`` and beyond the colour covers it by
    ``opacity``.

    Args:
        frames: The frames that the map was computed from, (T, H, W, 3) uint8.
        map_THW: Contributions on their own grid, (T', H', W').
        grid: Where its cells lie.
        limit: Value at the end of the colour scale, in units of the map.
        opacity: Of the colour at the end of the scale, 0 to 1.
        smooth: Interpolate between cells; otherwise show each cell as it is.
        scale: Enlarge the picture so many times.
        boxes: One box a frame, in pixels of ``frames``, or None.

    Shape:
        -> (T, scale * H, scale * W, 3) uint8.

    Raises:
        ValueError: A shape does not fit or a number is out of range.
    """
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8:
        raise ValueError(f"frames are (T, H, W, 3) uint8, got {frames.shape} {frames.dtype}")
    if not limit > 0 or not 0 <= opacity <= 1 or scale < 1:
        raise ValueError(
            "limit is positive, opacity in 0..1, scale at least 1, "
            f"got limit={limit}, opacity={opacity}, scale={scale}"
        )
    num, height, width = frames.shape[:3]
    if num != grid.clip[0]:
        raise ValueError(
            f"the map is of a clip of {grid.clip[0]} frames, got {num}: "
            "these are not the frames that it was computed from"
        )
    if boxes is not None and len(boxes) != num:
        raise ValueError(f"there is one box a frame, got {len(boxes)} for {num} frames")
    height, width = height * scale, width * scale
    value = upsample(map_THW / limit, grid, num, height, width, smooth=smooth)
    place = np.rint(value.astype(np.float32) * _STEPS)
    place = np.clip(place, -_STEPS, _STEPS, out=place).astype(np.int32) + _STEPS
    laid, left = _tables(opacity)
    big = frames
    if scale > 1:
        size = (width, height)
        big = np.stack([cv2.resize(f, size, interpolation=cv2.INTER_CUBIC) for f in frames])
    mixed = big * left[place][..., None]
    mixed += laid[place]
    drawn: Frames = np.rint(mixed, out=mixed).astype(np.uint8)
    for frame, box in zip(drawn, boxes or [None] * num, strict=True):
        if box is not None:
            draw_box(frame, box, scale)
    return drawn


def draw_box(frame: Frames, box: Box, scale: int = 1) -> None:
    """Draw a white outline between dark rims just inside a box, in place.

    Args:
        frame: (H, W, 3) uint8.
        box: In pixels before the frame was enlarged.
        scale: How many times it was enlarged; the line is as many pixels wide.
    """
    height, width = frame.shape[:2]
    left, top = max(round(box.left * scale), 0), max(round(box.top * scale), 0)
    right, bottom = min(round(box.right * scale), width), min(round(box.bottom * scale), height)
    for inset, line, colour in ((0, scale + 2, (20, 20, 24)), (1, scale, BOX_COLOUR)):
        inside = frame[top + inset : bottom - inset, left + inset : right - inset]
        for edge in (inside[:line], inside[-line:], inside[:, :line], inside[:, -line:]):
            edge[:] = colour


@lru_cache(maxsize=16)
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans as matplotlib ships it, so that figures look the same everywhere."""
    import matplotlib

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(str(folder / name), size)


def colour_bar(
    limit: float, width: int = 320, height: int = 46, *, label: str = "contribution to s"
) -> Frames:
    """A horizontal colour bar from -limit to +limit, with zero in the middle.

    Shape:
        -> (height, width, 3) uint8 on white.
    """
    image = Image.new("RGB", (width, height), "white")
    margin = 34
    value = np.linspace(-1, 1, width - 2 * margin)
    # As on the frames: strength fades to nothing at zero.
    tone = colours(np.sign(value) * (0.5 + 0.5 * np.abs(value))).astype(np.float32)
    alpha = (np.abs(value) ** 0.8)[:, None]
    row = (tone * alpha + 255 * (1 - alpha)).round().astype(np.uint8)
    bar = np.repeat(row[None], 12, axis=0)
    image.paste(Image.fromarray(bar), (margin, 4))
    brush = ImageDraw.Draw(image)
    brush.rectangle((margin - 1, 3, width - margin, 16), outline=(120, 120, 126))
    for x, text in (
        (margin, f"-{limit:.2g}"),
        (width // 2, "0"),
        (width - margin, f"+{limit:.2g}"),
    ):
        brush.text((x, 18), text, fill=(40, 40, 46), font=font(11), anchor="ma")
    brush.text((width // 2, 32), label, fill=(90, 90, 98), font=font(11), anchor="ma")
    return np.asarray(image)


@dataclass(frozen=True)
class Row:
    """One row of a composed picture: a head with its two maps.

    Attributes:
        title: Such as ``RSP``.
        similarity: s, or what else its map is of.
        map_i: Contributions in c_i, (T', H', W').
        map_j: The same in c_j.
        box_i: Box of the clip's region of interest in c_i, in pixels, or None.
        box_j: The same in c_j.
        letter: Of the score that stands below the title.
        limits: Ends of the colour scale of the two maps. Nothing: the largest absolute value of
            all rows, of each clip alone where the two clips have different scores.
    """

    title: str
    similarity: float
    map_i: Map
    map_j: Map
    box_i: Box | None = None
    box_j: Box | None = None
    letter: str = "s"
    limits: tuple[float, float] | None = None


def _arrow(image: Image.Image, start: tuple[float, float], end: tuple[float, float]) -> None:
    brush = ImageDraw.Draw(image)
    direction = np.array(end) - np.array(start)
    length = float(np.hypot(*direction))
    if length < 12:
        return
    along = direction / length
    across = np.array([-along[1], along[0]])
    tip = np.array(end)
    neck = tip - 11 * along
    for colour, width, grow in (((20, 20, 24), 5, 2.0), ((255, 255, 255), 2, 0.0)):
        brush.line([tuple(start), tuple(neck)], fill=colour, width=width)
        head = [tip + grow * along, neck + (5.5 + grow) * across, neck - (5.5 + grow) * across]
        brush.polygon([tuple(point) for point in head], fill=colour)


def _bars(
    titles: Sequence[str], limits: Sequence[tuple[float, float]], units: tuple[str, str]
) -> list[tuple[str, float]]:
    """Labels and ends of the fewest colour bars that say the scale of every map."""
    if units[0] == units[1]:
        if len({end for both in limits for end in both}) == 1:
            return [(units[0], limits[0][0])]
        if all(i == j for i, j in limits):
            named = zip(titles, limits, strict=True)
            return [(f"{title}: per cell", ends[0]) for title, ends in named]
    if len(set(limits)) == 1:
        named_clips = zip("ij", units, limits[0], strict=True)
        return [(f"c_{side}: {unit}", end) for side, unit, end in named_clips]
    return [
        (f"{title}, c_{side}", end)
        for title, both in zip(titles, limits, strict=True)
        for side, end in zip("ij", both, strict=True)
    ]


def compose_pair(
    frames_i: Frames,
    frames_j: Frames,
    rows: Sequence[Row],
    grid_i: Grid,
    grid_j: Grid,
    *,
    units: str | tuple[str, str] = "contribution to s, per cell",
    opacity: float = 0.75,
    smooth: bool = True,
    scale: int = 2,
    caption: str = "",
) -> Frames:
    """A figure for every frame: a row a head, c_i and c_j side by side, boxes and an arrow.

    After Figure 1 (b) of the supplementary, with the score, the grid and one colour bar a scale.

    Args:
        frames_i: Frames of c_i, (T, H, W, 3).
        frames_j: Frames of c_j, of the same shape.
        rows: Heads.
        grid_i: Where the cells of the maps of c_i lie.
        grid_j: The same for c_j.
        units: Of the maps; two where those of c_j are of another score than those of c_i, so that
            the two have scales of their own.
        opacity: See :func:`draw_overlay`.
        smooth: See :func:`draw_overlay`.
        scale: Enlarge the frames so many times.
        caption: A line below.

    Shape:
        -> (T, height, width, 3) uint8, with even height and width.

    Raises:
        ValueError: The clips differ in shape.
    """
    if frames_i.shape != frames_j.shape:
        raise ValueError(f"the clips have one shape, got {frames_i.shape} and {frames_j.shape}")
    units_i, units_j = (units, units) if isinstance(units, str) else units
    most = [common_limit([row.map_i for row in rows]), common_limit([row.map_j for row in rows])]
    if units_i == units_j:
        most = [max(most)] * 2
    limits = [row.limits or (most[0], most[1]) for row in rows]
    num, height, width = frames_i.shape[0], frames_i.shape[1] * scale, frames_i.shape[2] * scale
    side, gap, head, foot = 86, 22, 26, 54 + (16 if caption else 0)
    size = (side + 2 * width + gap + 10, head + len(rows) * (height + 10) + foot)
    size = (size[0] + size[0] % 2, size[1] + size[1] % 2)
    page = Image.new("RGB", size, "white")
    brush = ImageDraw.Draw(page)
    left_i, left_j = side, side + width + gap
    for x, name in ((left_i, "c_i"), (left_j, "c_j")):
        brush.text((x + width // 2, 5), name, fill=(40, 40, 46), font=font(14), anchor="ma")
    overlays = []
    for number, row in enumerate(rows):
        top = head + number * (height + 10)
        brush.text((8, top + 4), row.title, fill=(20, 20, 24), font=font(17, bold=True))
        text = f"{row.letter} = {row.similarity:+.2f}"
        brush.text((8, top + 28), text, fill=(40, 40, 46), font=font(13))
        clips = [
            draw_overlay(
                frames,
                values,
                grid,
                limit=limit,
                opacity=opacity,
                smooth=smooth,
                scale=scale,
                boxes=[box] * num,
            )
            for frames, values, grid, box, limit in (
                (frames_i, row.map_i, grid_i, row.box_i, limits[number][0]),
                (frames_j, row.map_j, grid_j, row.box_j, limits[number][1]),
            )
        ]
        overlays.append((top, *clips))
    bottom = head + len(rows) * (height + 10)
    words = f"{grid_i}, drawn over {num} frames"
    bars = _bars([row.title for row in rows], limits, (units_i, units_j))
    room = max(120, min(250, (size[0] - side) // len(bars)))
    for n, (label, value) in enumerate(bars):
        picture = colour_bar(value, room - 10, label=label)
        page.paste(Image.fromarray(picture), (side + n * room, bottom))
    if len(bars) == 1:
        brush.text((left_j, bottom + 8), words, fill=(90, 90, 98), font=font(11))
    if caption:
        brush.text((side, bottom + 48), caption, fill=(90, 90, 98), font=font(11))
    pages = []
    for t in range(num):
        sheet = page.copy()
        for top, clip_i, clip_j in overlays:
            sheet.paste(Image.fromarray(clip_i[t]), (left_i, top))
            sheet.paste(Image.fromarray(clip_j[t]), (left_j, top))
        for (top, *_), row in zip(overlays, rows, strict=True):
            if row.box_i is not None and row.box_j is not None:
                start = (left_i + row.box_i.right * scale, top + row.box_i.centre[1] * scale)
                end = (left_j + row.box_j.left * scale, top + row.box_j.centre[1] * scale)
                _arrow(sheet, start, end)
        pages.append(np.asarray(sheet))
    return np.stack(pages)


def pair_video(
    frames_i: Frames,
    frames_j: Frames,
    rows: Sequence[Row],
    grid_i: Grid,
    grid_j: Grid,
    *,
    fps: float = 8.0,
    units: str | tuple[str, str] = "contribution to s, per cell",
    opacity: float = 0.75,
    smooth: bool = True,
    scale: int = 2,
    caption: str = "",
) -> bytes:
    """The figure of :func:`compose_pair` as an H.264 clip that browsers play.

    Args:
        fps: Frames per second of the clip.

    The rest as in :func:`compose_pair`.
    """
    from rspnet.data.video.encode import encode_video

    pages = compose_pair(
        frames_i,
        frames_j,
        rows,
        grid_i,
        grid_j,
        units=units,
        opacity=opacity,
        smooth=smooth,
        scale=scale,
        caption=caption,
    )
    return encode_video(pages, fps)
