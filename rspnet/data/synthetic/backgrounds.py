"""Sets: procedural backgrounds with a textured floor in perspective, depth and light."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Colour = tuple[float, float, float]

NUM_BACKGROUNDS = 24
HORIZON = 0.62  # height of the line where the floor begins, from the top

# Walls and floors for rooms: wall, its second colour, floor, its second colour.
_ROOMS: tuple[tuple[Colour, Colour, Colour, Colour], ...] = (
    ((214, 204, 186), (196, 184, 164), (158, 112, 74), (134, 92, 60)),
    ((168, 192, 196), (150, 176, 182), (206, 196, 178), (120, 124, 126)),
    ((226, 190, 166), (214, 170, 146), (128, 100, 84), (108, 82, 68)),
    ((190, 198, 168), (174, 184, 150), (176, 140, 98), (152, 118, 80)),
    ((198, 186, 208), (182, 168, 196), (120, 112, 132), (96, 90, 110)),
    ((232, 220, 196), (206, 120, 92), (172, 168, 160), (136, 132, 128)),
    ((132, 150, 168), (116, 134, 154), (182, 154, 120), (158, 130, 98)),
    ((206, 160, 132), (180, 128, 104), (112, 116, 120), (92, 96, 102)),
    ((236, 226, 208), (220, 206, 180), (92, 112, 128), (78, 96, 112)),
    ((176, 206, 190), (158, 190, 172), (204, 178, 140), (184, 156, 118)),
    ((222, 206, 150), (206, 186, 126), (140, 104, 92), (118, 86, 76)),
    ((160, 156, 164), (142, 138, 148), (196, 190, 182), (88, 86, 92)),
)
# Places outside: sky above, sky at the horizon, far hills, near hills, ground, its second colour.
_OUTSIDE: tuple[tuple[Colour, ...], ...] = (
    (
        (108, 168, 214), (214, 232, 238), (134, 164, 172),
        (104, 144, 116), (138, 168, 96), (122, 152, 82),
    ),
    (
        (236, 158, 108), (250, 218, 170), (170, 122, 122),
        (120, 92, 106), (164, 132, 96), (146, 114, 80),
    ),
    (
        (128, 142, 176), (220, 214, 222), (128, 132, 158),
        (98, 108, 128), (134, 136, 140), (118, 120, 126),
    ),
    (
        (92, 150, 178), (226, 226, 200), (206, 178, 130),
        (190, 156, 106), (226, 202, 152), (208, 182, 130),
    ),
    (
        (166, 190, 206), (236, 238, 240), (190, 204, 214),
        (212, 222, 230), (232, 238, 242), (210, 220, 230),
    ),
    (
        (84, 92, 140), (230, 164, 150), (92, 84, 122),
        (62, 64, 96), (92, 96, 104), (80, 84, 92),
    ),
)  # fmt: skip


def _smooth_noise(shape: tuple[int, int], cell: int, rng: np.random.Generator) -> Floats:
    """Noise in -1..1 whose bumps are about ``cell`` pixels wide."""
    grid = rng.uniform(-1, 1, (shape[0] // cell + 3, shape[1] // cell + 3)).astype(np.float32)
    size = (grid.shape[1] * cell, grid.shape[0] * cell)
    full = cv2.resize(grid, size, interpolation=cv2.INTER_CUBIC)
    return np.asarray(full[: shape[0], : shape[1]], np.float32)


def _floor_coordinates(height: int, width: int, horizon: int) -> tuple[Floats, Floats, Floats]:
    """Position (across, into depth) of every floor pixel, and its depth cue in 0..1."""
    rows = np.arange(horizon, height, dtype=np.float32)
    near = (rows - horizon + 6) / (height - horizon + 6)
    depth = 1.0 / near
    columns = (np.arange(width, dtype=np.float32) - width / 2) / width
    return columns[None, :] * depth[:, None] * 2.2, depth[:, None] * 1.6, near[:, None]


def _planks(u: Floats, v: Floats) -> Floats:
    board = np.floor(u * 5.0)
    seam = np.minimum((u * 5.0) % 1, 1 - (u * 5.0) % 1) < 0.05
    tone = (np.sin(board * 12.9898) * 43758.5453) % 1
    end = ((v * 0.8 + tone * 3) % 1) < 0.03
    return np.where(seam | end, 1.0, 0.25 + 0.35 * tone).astype(np.float32)


def _tiles(u: Floats, v: Floats) -> Floats:
    squares: Floats = (np.floor(u * 3.2) + np.floor(v * 3.2)) % 2
    return squares


def _slabs(u: Floats, v: Floats) -> Floats:
    a, b = (u * 2.4) % 1, (v * 2.4) % 1
    joint = (np.minimum(a, 1 - a) < 0.04) | (np.minimum(b, 1 - b) < 0.04)
    return np.where(joint, 1.0, 0.3).astype(np.float32)


def _rug(u: Floats, v: Floats) -> Floats:
    inside: NDArray[np.bool_] = np.abs((u * 2.0) % 1 - 0.5) + np.abs((v * 2.0) % 1 - 0.5) < 0.32
    return inside.astype(np.float32)


_FLOORS: tuple[Callable[[Floats, Floats], Floats], ...] = (_planks, _tiles, _slabs, _rug)


def _mix(a: Colour | Floats, b: Colour, share: Floats) -> Floats:
    one = np.asarray(a, np.float32)
    mixed: Floats = one + (np.asarray(b, np.float32) - one) * share[..., None]
    return mixed


def _wall_pattern(kind: int, shape: tuple[int, int]) -> Floats:
    v, u = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    pattern: Floats = np.zeros(shape, np.float32)
    if kind == 0:  # wallpaper stripes
        pattern = u % 28 < 14
    elif kind == 1:  # bricks
        row = np.floor(v / 10)
        joint = (v % 10 < 1.6) | ((u + 12 * (row % 2)) % 24 < 1.6)
        pattern = np.where(joint, 1.0, 0.12)
    elif kind == 2:  # panels below, plain above
        low = v > 0.58 * shape[0]
        groove = (u % 26 < 1.6) | (np.abs(v - 0.58 * shape[0]) < 2.2)
        pattern = np.where(low, np.where(groove, 1.0, 0.45), 0.0)
    elif kind == 3:  # small dots
        a, b = u % 22 - 11, (v + 11 * (np.floor(u / 22) % 2)) % 22 - 11
        pattern = a**2 + b**2 < 9
    return pattern.astype(np.float32)


def _window(image: Floats, x: int, y: int, w: int, h: int, sky: Colour) -> None:
    cv2.rectangle(image, (x - 5, y - 5), (x + w + 5, y + h + 5), (240, 236, 226), -1, cv2.LINE_AA)
    fade = np.linspace(0, 1, h, dtype=np.float32)[:, None, None]
    image[y : y + h, x : x + w] = np.array(sky, np.float32) * (1 - 0.25 * fade) + 66 * fade
    cv2.line(image, (x + w // 2, y), (x + w // 2, y + h), (240, 236, 226), 4, cv2.LINE_AA)
    cv2.line(image, (x, y + h // 2), (x + w, y + h // 2), (240, 236, 226), 4, cv2.LINE_AA)
    cv2.rectangle(image, (x - 9, y + h + 5), (x + w + 9, y + h + 11), (222, 216, 204), -1)


def _picture(image: Floats, x: int, y: int, w: int, h: int, rng: np.random.Generator) -> None:
    cv2.rectangle(image, (x - 5, y - 5), (x + w + 5, y + h + 5), (92, 68, 52), -1, cv2.LINE_AA)
    cv2.rectangle(image, (x, y), (x + w, y + h), (238, 232, 220), -1)
    for _ in range(3):
        colour = tuple(float(c) for c in rng.uniform(90, 215, 3))
        centre = (int(x + w * rng.uniform(0.3, 0.7)), int(y + h * rng.uniform(0.35, 0.7)))
        cv2.circle(image, centre, int(0.22 * min(w, h)), colour, -1, cv2.LINE_AA)


def _room(index: int, height: int, width: int, rng: np.random.Generator) -> Floats:
    wall, wall2, floor, floor2 = _ROOMS[index % len(_ROOMS)]
    horizon = int(HORIZON * height)
    image = np.empty((height, width, 3), np.float32)
    image[:horizon] = _mix(wall, wall2, _wall_pattern(index % 5, (horizon, width)))
    for slot in (0.14, 0.74):
        x = int(slot * width)
        if rng.random() < 0.55:
            sky = (196.0, 222.0, 236.0) if rng.random() < 0.7 else (244.0, 206.0, 160.0)
            _window(image, x, int(0.12 * height), int(0.14 * width), int(0.24 * height), sky)
        elif rng.random() < 0.7:
            _picture(image, x, int(0.16 * height), int(0.12 * width), int(0.15 * height), rng)
    cv2.rectangle(image, (0, horizon - 9), (width, horizon), (236, 230, 218), -1)
    cv2.line(image, (0, horizon - 9), (width, horizon - 9), (176, 168, 154), 1)
    u, v, near = _floor_coordinates(height, width, horizon)
    pattern = _FLOORS[(index // 2) % len(_FLOORS)](u, np.broadcast_to(v, u.shape))
    fade = np.clip(near * 1.5, 0, 1)  # far patterns fade before they alias
    image[horizon:] = _mix(floor, floor2, pattern * fade) * (0.80 + 0.24 * near)[..., None]
    return image


def _hills(image: Floats, base: int, rise: float, colour: Colour, rng: np.random.Generator) -> None:
    width = image.shape[1]
    x = np.linspace(0, 1, width)
    line = sum(
        rng.uniform(0.4, 1.0)
        / k
        * np.sin(2 * np.pi * (k * x * rng.uniform(0.7, 1.3) + rng.random()))
        for k in (1, 2, 3, 5)
    )
    top = base - rise * (0.6 + 0.4 * np.asarray(line) / 1.5)
    points = np.concatenate([np.stack([x * (width - 1), top], 1), [[width, base], [0, base]]])
    cv2.fillPoly(image, [np.round(points * 16).astype(np.int32)], colour, cv2.LINE_AA, 4)


def _outside(index: int, height: int, width: int, rng: np.random.Generator) -> Floats:
    sky, low, far, close, ground, ground2 = _OUTSIDE[index % len(_OUTSIDE)]
    horizon = int(HORIZON * height)
    image = np.empty((height, width, 3), np.float32)
    fade = np.linspace(0, 1, horizon, dtype=np.float32)[:, None] * np.ones(width, np.float32)
    image[:horizon] = _mix(sky, low, fade)
    centre = (int(rng.uniform(0.15, 0.85) * width), int(0.2 * height))
    cv2.circle(image, centre, int(0.07 * height), (255, 246, 222), -1, cv2.LINE_AA)
    if index % 2:
        for _ in range(12):  # a skyline
            x, w = int(rng.uniform(0, width)), int(rng.uniform(0.05, 0.1) * width)
            top = horizon - int(rng.uniform(0.12, 0.38) * height)
            shade = np.array(far) * rng.uniform(0.86, 1.08)
            cv2.rectangle(image, (x, top), (x + w, horizon), tuple(map(float, shade)), -1)
            lit = tuple(float(c) for c in np.clip(shade * 1.25, 0, 255))
            for wy in range(top + 6, horizon - 8, 12):
                for wx in range(x + 5, x + w - 6, 10):
                    if rng.random() < 0.6:
                        cv2.rectangle(image, (wx, wy), (wx + 4, wy + 5), lit, -1)
    else:
        _hills(image, horizon, 0.24 * height, far, rng)
        _hills(image, horizon, 0.12 * height, close, rng)
        for _ in range(7):
            root, size = rng.uniform(0, width), rng.uniform(0.05, 0.1) * height
            tone = tuple(float(c * rng.uniform(0.72, 0.9)) for c in close)
            half, tip = 0.55 * size, horizon - 2.4 * size
            points = np.array([[root - half, horizon], [root + half, horizon], [root, tip]])
            tree = np.round(points * 16).astype(np.int32)
            cv2.fillPoly(image, [tree], tone, cv2.LINE_AA, 4)
    u, v, near = _floor_coordinates(height, width, horizon)
    grain = _smooth_noise(u.shape, 10, rng) * 0.5 + 0.5
    stripes = _FLOORS[2 + index % 2](u, np.broadcast_to(v, u.shape)) if index % 2 else grain
    fade2 = np.clip(near * 1.6, 0, 1)
    image[horizon:] = _mix(ground, ground2, stripes * fade2) * (0.84 + 0.18 * near)[..., None]
    return image


def paint_set(index: int, height: int, width: int) -> NDArray[np.uint8]:
    """Paint set 0..NUM_SETS - 1 as (height, width, 3) uint8; always the same for a number."""
    rng = np.random.default_rng([7, 2, index])
    indoors = index % 2 == 0
    maker = _room if indoors else _outside
    image = maker(index // 2, height * 2, width * 2, rng)
    image += 2.2 * _smooth_noise(image.shape[:2], 3, rng)[..., None]
    image += 5.0 * _smooth_noise(image.shape[:2], 60, rng)[..., None]
    y, x = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float32)
    y, x = y / image.shape[0], x / image.shape[1]
    lamp_x, lamp_y = rng.uniform(0.15, 0.85), rng.uniform(0.1, 0.4)
    light = np.exp(-((x - lamp_x) ** 2 / 0.28 + (y - lamp_y) ** 2 / 0.36))
    vignette = 1 - 0.34 * ((x - 0.5) ** 2 + (y - 0.5) ** 2)
    image *= (0.86 + 0.20 * light)[..., None] * vignette[..., None]
    image *= np.array([1.02, 1.0, 0.975], np.float32) if indoors else np.float32(1.0)
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return np.clip(small.round(), 0, 255).astype(np.uint8)
