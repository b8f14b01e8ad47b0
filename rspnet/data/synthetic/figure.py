"""The articulated figure: forward kinematics and drawing.

Each body part is a sprite, painted once a video, that every frame turns and moves into place: a
paper puppet. All drawing is at twice the video's resolution and averaged down.
"""

from dataclasses import dataclass
from math import cos, pi, sin
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rspnet.data.synthetic.actions import Pose
from rspnet.data.synthetic.appearance import ActorAppearance, cloth

SUPER = 2  # supersampling
PAD = 6  # transparent margin of a sprite, in supersampled pixels

Floats = NDArray[np.floating[Any]]

# Back to front.
SIDE_ORDER = (
    "upper_arm_l", "forearm_l", "foot_l", "shin_l", "thigh_l",
    "foot_r", "shin_r", "thigh_r", "neck", "torso", "head", "upper_arm_r", "forearm_r",
)  # fmt: skip
FRONT_ORDER = (
    "foot_l", "foot_r", "shin_l", "shin_r", "thigh_l", "thigh_r", "neck", "torso", "head",
    "upper_arm_l", "upper_arm_r", "forearm_l", "forearm_r",
)  # fmt: skip


@dataclass(frozen=True)
class Placement:
    """Where a part is: its joint (x, y) in body heights and its angle (0 hangs down)."""

    x: float
    y: float
    angle: float


def solve(pose: Pose, look: ActorAppearance, view: str, planted: bool) -> dict[str, Placement]:
    """Forward kinematics: the place of every part, with the floor at y = 0 and up negative.

    The lower foot stands on the floor, or ``pose.lift`` above it.
    """
    front = view == "front"
    hip_gap, shoulder_gap = (0.045, 0.095) if front else (0.0, 0.012)
    hip_gap, shoulder_gap = hip_gap * look.girth, shoulder_gap * look.girth
    places: dict[str, Placement] = {}
    ankles = []
    for side, s in (("l", -1.0), ("r", 1.0)):
        direction = s if front else 1.0
        leg, knee = getattr(pose, f"leg_{side}"), getattr(pose, f"knee_{side}")
        x, y = s * hip_gap, 0.0
        thigh = direction * leg
        places[f"thigh_{side}"] = Placement(x, y, thigh)
        x, y = x + look.thigh * sin(thigh), y + look.thigh * cos(thigh)
        shin = thigh - direction * knee
        places[f"shin_{side}"] = Placement(x, y, shin)
        x, y = x + look.shin * sin(shin), y + look.shin * cos(shin)
        foot = direction * 0.75 if front else pi / 2 + 0.55 * shin
        places[f"foot_{side}"] = Placement(x, y, foot)
        ankles.append((x, y))
    lean = pose.lean
    top_x, top_y = look.torso * sin(lean), -look.torso * cos(lean)
    places["torso"] = Placement(0.0, 0.0, pi - lean)
    places["neck"] = Placement(top_x, top_y, pi - lean)
    head = lean + pose.nod
    neck_x, neck_y = top_x + look.neck * sin(lean), top_y - look.neck * cos(lean)
    places["head"] = Placement(neck_x, neck_y, pi - head)
    for side, s in (("l", -1.0), ("r", 1.0)):
        direction = s if front else 1.0
        drop = 0.03
        x = top_x + s * shoulder_gap * cos(lean) - drop * sin(lean)
        y = top_y + drop * cos(lean) + s * shoulder_gap * sin(lean)
        arm = direction * getattr(pose, f"arm_{side}")
        places[f"upper_arm_{side}"] = Placement(x, y, arm)
        x, y = x + look.upper_arm * sin(arm), y + look.upper_arm * cos(arm)
        forearm = arm + direction * getattr(pose, f"elbow_{side}")
        places[f"forearm_{side}"] = Placement(x, y, forearm)
    dy = -max(y for _, y in ankles) - look.foot_height - pose.lift
    dx = pose.shift - (sum(x for x, _ in ankles) / 2 if planted else 0.0)
    if planted and front:
        dx = pose.shift
    return {name: Placement(p.x + dx, p.y + dy, p.angle) for name, p in places.items()}


def part_length(name: str, look: ActorAppearance) -> float:
    """Length of a part in body heights."""
    base = name.removesuffix("_l").removesuffix("_r")
    return {
        "thigh": look.thigh,
        "shin": look.shin,
        "foot": look.foot,
        "torso": look.torso,
        "neck": look.neck + 0.03,
        "head": look.head,
        "upper_arm": look.upper_arm,
        "forearm": look.forearm,
    }[base]


def end_points(
    places: dict[str, Placement], look: ActorAppearance
) -> dict[str, tuple[float, float]]:
    """Far end of every part, in body heights."""
    return {
        name: (
            p.x + part_length(name, look) * sin(p.angle),
            p.y + part_length(name, look) * cos(p.angle),
        )
        for name, p in places.items()
    }


def _taper(length: float, near: float, far: float, shape: tuple[int, int], x: float) -> Floats:
    """Alpha of a rounded, tapered limb hanging down from (x, PAD + near)."""
    alpha = np.zeros(shape, np.uint8)
    shift = 4
    top, bottom = PAD + near, PAD + near + length
    angles = np.linspace(0, pi, 24)
    upper = np.stack([x + near * np.cos(angles + pi), top + near * np.sin(angles + pi)], axis=1)
    lower = np.stack([x + far * np.cos(angles), bottom + far * np.sin(angles)], axis=1)
    points = np.concatenate([upper, lower])
    cv2.fillPoly(alpha, [np.round(points * (1 << shift)).astype(np.int32)], 255, cv2.LINE_AA, shift)
    return alpha.astype(np.float32) / 255


def _shade(colour_HW3: Floats, alpha: Floats, x: float, half_width: float, dim: float) -> Floats:
    """Round shading across the limb, a dark outline, premultiplied alpha."""
    across = (np.arange(alpha.shape[1], dtype=np.float32) - x) / max(1.0, half_width)
    light = 1.06 - 0.22 * np.clip(across, -1, 1) - 0.10 * np.clip(across, -1, 1) ** 2
    inner = cv2.erode(alpha, np.ones((3, 3), np.uint8))
    inner = cv2.GaussianBlur(inner, (0, 0), 0.8)
    rim = 0.52 + 0.48 * np.clip(inner, 0, 1)
    colour = colour_HW3 * light[None, :, None] * rim[..., None] * dim
    return np.dstack([np.clip(colour, 0, 255) * alpha[..., None], alpha * 255]).astype(np.float32)


@dataclass(frozen=True)
class Sprite:
    """A painted part: premultiplied RGBA, and where its joint sits in it."""

    rgba: Floats
    joint: tuple[float, float]


def paint_parts(look: ActorAppearance, height: float, view: str) -> dict[str, Sprite]:
    """Paint all parts of an actor ``height`` supersampled pixels tall."""
    sprites = {}
    for name in SIDE_ORDER:
        far_side = view == "side" and name.endswith("_l")
        base = name.removesuffix("_l").removesuffix("_r")
        painter = _paint_head if base == "head" else _paint_limb
        sprite = painter(base, look, height, view, 0.74 if far_side else 1.0)
        if base in ("torso", "neck", "head"):
            # These point up, turned by half a circle, which mirrors them: mirror them first.
            mirrored = np.ascontiguousarray(sprite.rgba[:, ::-1])
            sprite = Sprite(mirrored, (mirrored.shape[1] - sprite.joint[0], sprite.joint[1]))
        sprites[name] = sprite
    return sprites


def _paint_limb(base: str, look: ActorAppearance, height: float, view: str, dim: float) -> Sprite:
    near, far = look.widths(base, view)
    near, far = near * height, far * height
    length = part_length(base, look) * height
    half = max(near, far)
    shape = (int(length + near + far + 2 * PAD) + 2, int(2 * half + 2 * PAD) + 2)
    x = shape[1] / 2
    alpha = _taper(length, near, far, shape, x)
    colour = cloth(look, base, shape, PAD + near, length)
    return Sprite(_shade(colour, alpha, x, half, dim), (x, PAD + near))


def _paint_head(_base: str, look: ActorAppearance, height: float, view: str, dim: float) -> Sprite:
    """The head, drawn as it is seen upside down: parts hang from their joint."""
    radius = look.head * height / 2
    side = int(2.9 * radius + 2 * PAD)
    x, y = side / 2, PAD + radius * 1.02
    shift = 4

    def at(value: float) -> int:
        return round(value * (1 << shift))

    def ellipse(mask: NDArray[np.uint8], cx: float, cy: float, rx: float, ry: float) -> None:
        centre, axes = (at(cx), at(cy)), (at(rx), at(ry))
        cv2.ellipse(mask, centre, axes, 0, 0, 360, 255, -1, cv2.LINE_AA, shift)

    face = np.zeros((side, side), np.uint8)
    ellipse(face, x, y, 0.86 * radius, radius)
    hair = np.zeros((side, side), np.uint8)
    # "Up" is +y here.
    if look.hair != "bald":
        ellipse(hair, x - (0.1 * radius if view == "side" else 0), y + 0.22 * radius,
                0.93 * radius, 0.95 * radius)  # fmt: skip
        cut = np.zeros_like(hair)
        if view == "side":
            ellipse(cut, x + 0.62 * radius, y - 0.25 * radius, 0.85 * radius, 0.85 * radius)
        else:
            ellipse(cut, x, y - 0.42 * radius, 0.74 * radius, 0.92 * radius)
        hair[cut > 127] = 0
    if look.hair == "long":
        back = x - 0.62 * radius if view == "side" else x
        ellipse(hair, back, y - 0.25 * radius, (0.42 if view == "side" else 0.98) * radius,
                0.95 * radius)  # fmt: skip
        if view == "front":
            cut = np.zeros_like(hair)
            ellipse(cut, x, y - 0.3 * radius, 0.7 * radius, 0.85 * radius)
            hair[cut > 127] = 0
    if look.hair == "bun":
        bun_x = x - 0.75 * radius if view == "side" else x
        ellipse(hair, bun_x, y + 0.95 * radius, 0.4 * radius, 0.38 * radius)
    if look.hair in ("cap", "beanie"):
        brim = np.zeros_like(hair)
        ellipse(hair, x, y + 0.32 * radius, 0.97 * radius, 0.84 * radius)
        hair[: int(y + 0.30 * radius)] = 0
        if look.hair == "cap":
            bx = x + (0.75 if view == "side" else 0.0) * radius
            ellipse(brim, bx, y + 0.36 * radius, 0.75 * radius, 0.14 * radius)
        hair = np.maximum(hair, brim)
    alpha = np.maximum(face, hair).astype(np.float32) / 255
    colour: Floats = np.empty((side, side, 3), np.float32)
    colour[:] = look.skin
    h = (hair.astype(np.float32) / 255)[..., None]
    colour = colour * (1 - h) + np.array(look.hair_colour, np.float32) * h
    dark = np.array([38, 30, 34], np.float32)
    eyes = np.zeros((side, side), np.uint8)
    for offset in (0.5,) if view == "side" else (-0.32, 0.32):
        ellipse(eyes, x + offset * radius, y - 0.02 * radius, 0.085 * radius, 0.13 * radius)
    mouth_x = x + (0.5 if view == "side" else 0.0) * radius
    ellipse(eyes, mouth_x, y - 0.45 * radius, 0.2 * radius, 0.05 * radius)
    e = (eyes.astype(np.float32) / 255)[..., None] * 0.9
    colour = colour * (1 - e) + dark * e
    return Sprite(_shade(colour, alpha, x, radius, dim), (x, PAD))


def draw(
    sprites: dict[str, Sprite],
    places: dict[str, Placement],
    view: str,
    height: float,
    origin: tuple[float, float],
    shape: tuple[int, int],
) -> tuple[Floats, NDArray[np.int8], tuple[str, ...], tuple[slice, slice]]:
    """Draw the figure.

    Args:
        sprites: Painted parts.
        places: Where they are, in body heights.
        view: ``side`` or ``front``.
        height: Of the body, in supersampled pixels.
        origin: Where the feet stand (x, y), in supersampled pixels.
        shape: Of the canvas (H, W), supersampled.

    Returns:
        Premultiplied RGBA (H, W, 4) float32 in 0..255, the index of the visible part at every
        pixel (-1 where there is none), the names that these indices point to, and the rows and
        columns outside of which nothing is drawn.
    """
    canvas = np.zeros((*shape, 4), np.float32)
    part = np.full(shape, -1, np.int8)
    order = SIDE_ORDER if view == "side" else FRONT_ORDER
    left, top, right, bottom = shape[1], shape[0], 0, 0
    for number, name in enumerate(order):
        sprite, place = sprites[name], places[name]
        c, s = cos(place.angle), sin(place.angle)
        jx, jy = sprite.joint
        px, py = origin[0] + place.x * height, origin[1] + place.y * height
        # Sprite (u, v), v down the limb -> canvas: down becomes (sin, cos).
        matrix = np.array([[c, s, px - c * jx - s * jy], [-s, c, py + s * jx - c * jy]])
        h, w = sprite.rgba.shape[:2]
        corners = matrix @ np.array([[0, w, 0, w], [0, 0, h, h], [1, 1, 1, 1]], np.float64)
        x0, y0 = np.floor(corners.min(axis=1)).astype(int) - 1
        x1, y1 = np.ceil(corners.max(axis=1)).astype(int) + 2
        x0, y0, x1, y1 = max(0, x0), max(0, y0), min(shape[1], x1), min(shape[0], y1)
        if x1 <= x0 or y1 <= y0:
            continue
        left, top, right, bottom = min(left, x0), min(top, y0), max(right, x1), max(bottom, y1)
        matrix[:, 2] -= (x0, y0)
        warped = cv2.warpAffine(sprite.rgba, matrix, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR)
        region = canvas[y0:y1, x0:x1]
        behind = 1 - warped[..., 3] / 255
        region *= cv2.merge([behind] * 4)  # NumPy is slow to spread one number over four channels
        region += warped
        part[y0:y1, x0:x1][warped[..., 3] > 127] = number
    return canvas, part, order, (slice(top, bottom), slice(left, right))
