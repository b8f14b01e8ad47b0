"""Static props with a distinctive texture, standing on the floor away from the actor."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Colour = tuple[float, float, float]
Image = NDArray[np.floating[Any]]

SHIFT = 4


def _points(points: list[tuple[float, float]]) -> NDArray[np.int32]:
    return np.round(np.array(points) * (1 << SHIFT)).astype(np.int32)


class _Brush:
    """Paints shapes on a square of side 1, y down, with colour and coverage."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.colour: Floats = np.zeros((size, size, 3), np.float32)
        self.alpha: Floats = np.zeros((size, size), np.float32)
        v, u = np.mgrid[:size, :size].astype(np.float32)
        self.u, self.v = u / size, v / size

    def _cover(self, mask: NDArray[np.uint8], colour: Colour | Floats) -> None:
        a = (mask.astype(np.float32) / 255)[..., None]
        self.colour = self.colour * (1 - a) + np.asarray(colour, np.float32) * a
        self.alpha = np.maximum(self.alpha, a[..., 0])

    def polygon(self, points: list[tuple[float, float]], colour: Colour | Floats) -> None:
        mask = np.zeros((self.size, self.size), np.uint8)
        scaled = [(x * self.size, y * self.size) for x, y in points]
        cv2.fillPoly(mask, [_points(scaled)], 255, cv2.LINE_AA, SHIFT)
        self._cover(mask, colour)

    def ellipse(
        self, x: float, y: float, rx: float, ry: float, colour: Colour | Floats, turn: float = 0
    ) -> None:
        mask = np.zeros((self.size, self.size), np.uint8)
        one = self.size * (1 << SHIFT)
        centre, axes = (round(x * one), round(y * one)), (round(rx * one), round(ry * one))
        cv2.ellipse(mask, centre, axes, turn, 0, 360, 255, -1, cv2.LINE_AA, SHIFT)
        self._cover(mask, colour)

    def where(self, condition: NDArray[np.bool_], a: Colour, b: Colour) -> Floats:
        return np.where(condition[..., None], np.array(a, np.float32), np.array(b, np.float32))


def _crate(b: _Brush) -> None:
    grain = np.sin(b.u * 90) * 0.03 + 1
    wood = b.where((b.v * 5) % 1 < 0.1, (112, 74, 42), (190, 138, 84)) * grain[..., None]
    b.polygon([(0.08, 0.2), (0.92, 0.2), (0.92, 1), (0.08, 1)], wood)
    for line in ([(0.08, 0.2), (0.2, 0.2), (0.92, 1), (0.8, 1)],
                 [(0.92, 0.2), (0.8, 0.2), (0.08, 1), (0.2, 1)],
                 [(0.08, 0.2), (0.2, 0.2), (0.2, 1), (0.08, 1)],
                 [(0.8, 0.2), (0.92, 0.2), (0.92, 1), (0.8, 1)]):  # fmt: skip
        b.polygon(line, (148, 100, 58))


def _ball(b: _Brush) -> None:
    angle = np.arctan2(b.v - 0.62, b.u - 0.5) + 3.0 * np.hypot(b.u - 0.5, b.v - 0.62)
    stripes = b.where((angle * 6 / (2 * np.pi)) % 2 < 1, (230, 70, 64), (250, 240, 220))
    b.ellipse(0.5, 0.62, 0.38, 0.38, stripes)
    b.ellipse(0.5, 0.62, 0.07, 0.07, (62, 104, 168))


def _vase(b: _Brush) -> None:
    bands = b.where((b.v * 9 + 0.35 * np.sin(b.u * 40)) % 1 < 0.45, (38, 92, 152), (242, 240, 232))
    b.ellipse(0.5, 0.68, 0.27, 0.32, bands)
    b.polygon([(0.4, 0.18), (0.6, 0.18), (0.57, 0.48), (0.43, 0.48)], bands)
    b.ellipse(0.5, 0.18, 0.14, 0.035, (38, 92, 152))


def _plant(b: _Brush) -> None:
    for turn, x, y in ((-60, 0.3, 0.3), (-25, 0.38, 0.2), (0, 0.5, 0.2), (28, 0.63, 0.22),
                       (62, 0.7, 0.34), (-80, 0.27, 0.46), (80, 0.74, 0.47)):  # fmt: skip
        vein = b.where((b.u * 30 + b.v * 17) % 1 < 0.3, (46, 108, 66), (86, 160, 86))
        b.ellipse(x, y, 0.085, 0.24, vein, turn)
    pot = b.where((b.u * 12) % 1 < 0.5, (202, 104, 66), (226, 138, 92))
    b.polygon([(0.28, 0.6), (0.72, 0.6), (0.65, 1), (0.35, 1)], pot)
    b.polygon([(0.25, 0.58), (0.75, 0.58), (0.75, 0.66), (0.25, 0.66)], (178, 86, 54))


def _cushion(b: _Brush) -> None:
    diamonds = np.abs((b.u * 5) % 1 - 0.5) + np.abs((b.v * 5) % 1 - 0.5) < 0.3
    fabric = b.where(diamonds, (246, 206, 92), (122, 62, 128))
    b.polygon([(0.08, 0.46), (0.5, 0.52), (0.92, 0.46), (0.88, 0.72), (0.94, 1), (0.5, 0.95),
               (0.06, 1), (0.12, 0.72)], fabric)  # fmt: skip


def _sign(b: _Brush) -> None:
    b.polygon([(0.46, 0.5), (0.54, 0.5), (0.54, 1), (0.46, 1)], (96, 82, 74))
    b.polygon([(0.1, 0.1), (0.9, 0.1), (0.9, 0.6), (0.1, 0.6)], (240, 236, 224))
    rings = b.where((np.hypot(b.u - 0.5, b.v - 0.35) * 18) % 2 < 1, (30, 128, 124), (240, 236, 224))
    b.polygon([(0.15, 0.15), (0.85, 0.15), (0.85, 0.55), (0.15, 0.55)], rings)


def _barrel(b: _Brush) -> None:
    staves = b.where((b.u * 11) % 1 < 0.12, (98, 58, 36), (166, 104, 60))
    b.polygon([(0.22, 0.2), (0.78, 0.2), (0.88, 0.6), (0.78, 1), (0.22, 1), (0.12, 0.6)], staves)
    for y in (0.32, 0.84):
        b.polygon([(0.17, y), (0.83, y), (0.83, y + 0.07), (0.17, y + 0.07)], (84, 88, 96))
    b.ellipse(0.5, 0.2, 0.28, 0.05, (120, 76, 46))


def _gift(b: _Brush) -> None:
    dots = ((b.u * 7) % 1 - 0.5) ** 2 + ((b.v * 7) % 1 - 0.5) ** 2 < 0.07
    b.polygon([(0.1, 0.36), (0.9, 0.36), (0.9, 1), (0.1, 1)],
              b.where(dots, (252, 236, 210), (60, 140, 190)))  # fmt: skip
    b.polygon([(0.43, 0.36), (0.57, 0.36), (0.57, 1), (0.43, 1)], (232, 92, 84))
    b.ellipse(0.38, 0.28, 0.14, 0.08, (232, 92, 84), 25)
    b.ellipse(0.62, 0.28, 0.14, 0.08, (232, 92, 84), -25)


def _cone(b: _Brush) -> None:
    bands = b.where((b.v * 4.2) % 1 < 0.5, (244, 116, 44), (250, 246, 238))
    b.polygon([(0.44, 0.12), (0.56, 0.12), (0.76, 0.92), (0.24, 0.92)], bands)
    b.polygon([(0.12, 0.9), (0.88, 0.9), (0.92, 1), (0.08, 1)], (214, 92, 34))


def _stool(b: _Brush) -> None:
    for x in (0.2, 0.72):
        b.polygon([(x, 0.5), (x + 0.08, 0.5), (x + 0.06, 1), (x - 0.02, 1)], (70, 62, 66))
    weave = ((np.floor(b.u * 16) + np.floor(b.v * 16)) % 2) > 0
    seat = b.where(weave, (198, 168, 106), (120, 92, 54))
    b.polygon([(0.1, 0.38), (0.9, 0.38), (0.86, 0.56), (0.14, 0.56)], seat)


def _lamp(b: _Brush) -> None:
    b.polygon([(0.47, 0.4), (0.53, 0.4), (0.53, 0.95), (0.47, 0.95)], (70, 66, 72))
    b.ellipse(0.5, 0.96, 0.2, 0.04, (70, 66, 72))
    pleats = b.where((b.u * 22) % 1 < 0.4, (252, 222, 150), (236, 186, 104))
    b.polygon([(0.34, 0.06), (0.66, 0.06), (0.82, 0.46), (0.18, 0.46)], pleats)


def _globe(b: _Brush) -> None:
    land = np.sin(b.u * 21 + 2 * np.sin(b.v * 13)) + np.sin(b.v * 17 + b.u * 5) > 0.25
    b.polygon([(0.44, 0.75), (0.56, 0.75), (0.66, 1), (0.34, 1)], (112, 76, 50))
    b.ellipse(0.5, 0.44, 0.36, 0.36, b.where(land, (116, 172, 98), (62, 128, 190)))


_PROPS: dict[str, Callable[[_Brush], None]] = {
    "crate": _crate, "ball": _ball, "vase": _vase, "plant": _plant, "cushion": _cushion,
    "sign": _sign, "barrel": _barrel, "gift": _gift, "cone": _cone, "stool": _stool,
    "lamp": _lamp, "globe": _globe,
}  # fmt: skip

PROPS: tuple[str, ...] = tuple(_PROPS)


def paint_prop(name: str, size: int) -> Image:
    """Paint a prop into a square of ``size`` pixels, standing on its lower edge.

    Returns:
        Premultiplied RGBA (size, size, 4) float32 in 0..255.
    """
    brush = _Brush(size * 4)
    _PROPS[name](brush)
    across = np.clip((brush.u - 0.5) / 0.45, -1, 1)
    shade = (1.05 - 0.2 * across - 0.1 * across**2)[..., None]
    inner = cv2.erode(brush.alpha, np.ones((7, 7), np.uint8))
    rim = 0.55 + 0.45 * cv2.GaussianBlur(inner, (0, 0), 2.0)[..., None]
    colour = np.clip(brush.colour * shade * rim, 0, 255) * brush.alpha[..., None]
    rgba = np.dstack([colour, brush.alpha * 255]).astype(np.float32)
    return np.asarray(cv2.resize(rgba, (size, size), interpolation=cv2.INTER_AREA), np.float32)
