"""From the factors of a video to its frames and ground truth."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from math import pi

import cv2
import numpy as np
from numpy.typing import NDArray

from rspnet.data.synthetic.actions import ACTIONS, Pose, phase_at
from rspnet.data.synthetic.appearance import NUM_ACTORS, ActorAppearance, actor_appearance
from rspnet.data.synthetic.backgrounds import HORIZON, NUM_BACKGROUNDS, paint_set
from rspnet.data.synthetic.figure import SUPER, draw, end_points, paint_parts, solve
from rspnet.data.synthetic.props import PROPS, paint_prop

HEIGHT, WIDTH, FPS = 192, 256, 25.0
MASKS = ("limbs", "actor", "prop", "background")
MOVING = 0.04  # a part moves if its far end travels over so much of the body's height
_ACTION_NAMES = tuple(ACTIONS)

Frames = NDArray[np.uint8]


@dataclass(frozen=True)
class Factors:
    """All that a video follows from. Action, actor, set and prop are drawn independently.

    Attributes:
        action: Motion factor, the name of the action.
        actor: Appearance factor, 0..23.
        set_id: Appearance factor, 0..23.
        prop: Appearance factor, the name of the static object.
        num_frames: Length at 25 frames per second.
        phase: Phase of the action in the first frame, radians.
        tempo: Multiplies the speed of the action, 0.9 to 1.1.
        amplitude: Multiplies the extent of the movement.
        height: Of the actor, as a share of the frame's height.
        mirrored: Whether the whole picture is mirrored.
        position: Where the actor stands in the room that is free, 0..1.
    """

    action: str
    actor: int
    set_id: int
    prop: str
    num_frames: int
    phase: float
    tempo: float
    amplitude: float
    height: float
    mirrored: bool
    position: float


def draw_siblings(seed: int, index: int, siblings: int) -> Factors:
    """Draw the factors of a video of which ``siblings`` in a row differ in the prop alone.

    So nothing but the prop tells one of them from another.

    Raises:
        ValueError: There are not so many props.

    Example:
        >>> a, b = draw_siblings(0, 8, 4), draw_siblings(0, 9, 4)
        >>> a.prop == b.prop, replace(a, prop=b.prop) == b
        (False, True)
    """
    if not 1 <= siblings <= len(PROPS):
        raise ValueError(f"siblings is between 1 and {len(PROPS)}, got {siblings}")
    number = index % siblings
    factors = draw_factors(seed, index - number)
    return replace(factors, prop=PROPS[(PROPS.index(factors.prop) + number) % len(PROPS)])


def draw_factors(seed: int, index: int) -> Factors:
    """Draw the factors of video ``index`` of a seed; nothing is rendered."""
    rng = np.random.default_rng([seed, index])
    # One draw a factor, in a fixed order: overriding one leaves the rest as they are.
    return Factors(
        action=_ACTION_NAMES[int(rng.integers(len(_ACTION_NAMES)))],
        actor=int(rng.integers(NUM_ACTORS)),
        set_id=int(rng.integers(NUM_BACKGROUNDS)),
        prop=PROPS[int(rng.integers(len(PROPS)))],
        num_frames=int(rng.integers(75, 126)),
        phase=float(rng.uniform(0, 2 * pi)),
        tempo=float(rng.uniform(0.9, 1.1)),
        amplitude=float(rng.uniform(0.92, 1.05)),
        height=float(rng.uniform(0.56, 0.72)),
        mirrored=bool(rng.random() < 0.5),
        position=float(rng.random()),
    )


@dataclass(frozen=True)
class SyntheticVideo:
    """A generated video with its ground truth.

    Attributes:
        frames: (N, 192, 256, 3) uint8 RGB.
        masks: For each of ``limbs`` (the body parts that this action moves), ``actor``, ``prop``
            and ``background``: (N, 192, 256) booleans. Limbs are part of the actor; actor, prop
            and background cover each frame without overlap. The contact shadow does not move and
            belongs to the background.
        labels: ``action``, ``actor``, ``set``, ``prop`` and the other factors.
        fps: Frames per second.
    """

    frames: Frames
    masks: dict[str, NDArray[np.bool_]]
    labels: dict[str, str | int | float | bool]
    fps: float


def labels_of(factors: Factors) -> dict[str, str | int | float | bool]:
    """Factors as the labels that are written beside a video."""
    labels = asdict(factors)
    labels["set"] = labels.pop("set_id")
    return labels


def moving_parts(factors: Factors, look: ActorAppearance) -> frozenset[str]:
    """Body parts whose far end travels over more than 4% of the body's height in a cycle."""
    action = ACTIONS[factors.action]
    tracks: dict[str, list[tuple[float, float]]] = {}
    for phase in np.linspace(0, 2 * pi, 24, endpoint=False):
        pose = action.pose(float(phase), factors.amplitude)
        places = solve(pose, look, action.view, action.planted)
        for name, point in end_points(places, look).items():
            tracks.setdefault(name, []).append(point)
    return frozenset(
        name for name, points in tracks.items() if np.ptp(np.array(points), axis=0).max() > MOVING
    )


def _reach(factors: Factors, look: ActorAppearance) -> tuple[float, float]:
    """Furthest left and right that the actor reaches in a cycle, in body heights."""
    action = ACTIONS[factors.action]
    xs = [
        x
        for phase in np.linspace(0, 2 * pi, 24, endpoint=False)
        for x, _ in end_points(
            solve(action.pose(float(phase), factors.amplitude), look, action.view, action.planted),
            look,
        ).values()
    ]
    margin = 0.09 * look.girth
    return min(xs) - margin, max(xs) + margin


@dataclass(frozen=True)
class _Layout:
    """Where things stand, in pixels of the video before mirroring."""

    body: float
    foot_x: float
    floor_y: float
    prop_x: int
    prop_y: int
    prop_size: int


def _lay_out(factors: Factors, look: ActorAppearance) -> _Layout:
    """Put the prop on one side and the actor, with all its reach, on the other."""
    left, right = _reach(factors, look)
    prop_size = 46
    body = factors.height * HEIGHT
    room = WIDTH - prop_size - 3 * 6
    body = min(body, room / (right - left))
    free = room - body * (right - left)
    foot_x = 6 + free * factors.position - body * left
    floor_y = HEIGHT * (HORIZON + 0.24 + 0.05 * factors.position)
    prop_y = int(HEIGHT * (HORIZON + 0.10 + 0.10 * (1 - factors.position)))
    return _Layout(body, foot_x, floor_y, WIDTH - 6 - prop_size, prop_y - prop_size, prop_size)


def _shadow(
    image: NDArray[np.float32], x: float, y: float, rx: float, ry: float, depth: float
) -> None:
    v, u = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float32)
    distance = ((u - x) / rx) ** 2 + ((v - y) / ry) ** 2
    image *= (1 - depth * np.exp(-(distance**1.3)))[..., None]


def _backdrop(factors: Factors, layout: _Layout) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The set with shadows and the prop: all that stands still. Also the prop's mask."""
    image = paint_set(factors.set_id, HEIGHT, WIDTH).astype(np.float32)
    size, left, top = layout.prop_size, layout.prop_x, layout.prop_y
    _shadow(image, left + size / 2, top + size - 1, size * 0.5, size * 0.1, 0.45)
    _shadow(image, layout.foot_x, layout.floor_y, layout.body * 0.26, layout.body * 0.05, 0.42)
    rgba = paint_prop(factors.prop, size)
    region = image[top : top + size, left : left + size]
    region *= 1 - rgba[..., 3:] / 255
    region += rgba[..., :3]
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[top : top + size, left : left + size] = rgba[..., 3] > 127
    return image, mask


def render_backdrop(factors: Factors) -> Frames:
    """A video without its actor: set, prop and shadows, (192, 256, 3) uint8. Nothing moves in it.

    Example:
        >>> render_backdrop(draw_factors(0, 0)).shape
        (192, 256, 3)
    """
    image, _ = _backdrop(factors, _lay_out(factors, actor_appearance(factors.actor)))
    still = np.clip(image.round(), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(still[:, ::-1]) if factors.mirrored else still


def pose_at(factors: Factors, frame: int) -> Pose:
    """Pose of the actor in a frame."""
    action = ACTIONS[factors.action]
    phase = phase_at(frame, FPS, action.period / factors.tempo, factors.phase)
    return action.pose(phase, factors.amplitude)


def _shrink(canvas: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means of SUPER x SUPER pixels."""
    height, width = canvas.shape[:2]
    size = (width // SUPER, height // SUPER)
    return np.asarray(cv2.resize(canvas, size, interpolation=cv2.INTER_AREA), np.float32)


def render(factors: Factors) -> SyntheticVideo:
    """Render a video and its masks."""
    action, look = ACTIONS[factors.action], actor_appearance(factors.actor)
    layout = _lay_out(factors, look)
    backdrop, prop = _backdrop(factors, layout)
    still = np.clip(backdrop.round(), 0, 255).astype(np.uint8)
    moving = moving_parts(factors, look)
    body = layout.body * SUPER
    sprites = paint_parts(look, body, action.view)
    origin = (layout.foot_x * SUPER, layout.floor_y * SUPER)
    canvas_shape = (HEIGHT * SUPER, WIDTH * SUPER)
    n = factors.num_frames
    frames = np.broadcast_to(still, (n, *still.shape)).copy()
    actor = np.zeros((n, HEIGHT, WIDTH), np.bool_)
    limbs = np.zeros((n, HEIGHT, WIDTH), np.bool_)
    for t in range(n):
        places = solve(pose_at(factors, t), look, action.view, action.planted)
        rgba, part, order, drawn = draw(sprites, places, action.view, body, origin, canvas_shape)
        # Whole pixels of the video around the figure: the rest of the frame stands still.
        rows, columns = (slice(s.start // SUPER, -(-s.stop // SUPER)) for s in drawn)
        fine = tuple(slice(s.start * SUPER, s.stop * SUPER) for s in (rows, columns))
        small = _shrink(rgba[fine])
        alpha = small[..., 3:] / 255
        opaque = alpha[..., 0] > 0
        mixed = backdrop[rows, columns][opaque] * (1 - alpha[opaque]) + small[opaque][:, :3]
        frames[t, rows, columns][opaque] = np.clip(mixed.round(), 0, 255)
        actor[t, rows, columns] = (alpha[..., 0] > 0.5) & ~prop[rows, columns]
        is_moving = np.array([*(name in moving for name in order), False])
        share = _shrink(is_moving[part[fine]].astype(np.float32))
        limbs[t, rows, columns] = actor[t, rows, columns] & (share > 0.5)
    prop_N = np.broadcast_to(prop, actor.shape).copy()
    masks = {"limbs": limbs, "actor": actor, "prop": prop_N, "background": ~(actor | prop_N)}
    if factors.mirrored:
        frames = np.ascontiguousarray(frames[:, :, ::-1])
        masks = {name: np.ascontiguousarray(mask[:, :, ::-1]) for name, mask in masks.items()}
    return SyntheticVideo(frames, masks, labels_of(factors), FPS)


def pack_masks(masks: Mapping[str, NDArray[np.bool_]]) -> dict[str, NDArray[np.generic]]:
    """Masks as arrays for ``np.savez_compressed``: one code a pixel, stored as changes in time.

    0 background, 1 prop, 2 still part of the actor, 3 moving limb.
    """
    codes = masks["prop"].astype(np.uint8) + 2 * masks["actor"] + masks["limbs"]
    codes = codes.astype(np.uint8)
    changes = codes.copy()
    changes[1:] = codes[1:] ^ codes[:-1]
    # Four pixels a byte.
    flat = changes.reshape(len(codes), -1, 4)
    packed = flat[..., 0] | flat[..., 1] << 2 | flat[..., 2] << 4 | flat[..., 3] << 6
    return {"changes": packed, "shape": np.array(codes.shape)}


def unpack_masks(stored: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.bool_]]:
    """The inverse of :func:`pack_masks`."""
    shape = tuple(int(s) for s in stored["shape"])
    packed = np.asarray(stored["changes"], np.uint8)
    changes = np.stack([(packed >> shift) & 3 for shift in (0, 2, 4, 6)], axis=-1).reshape(shape)
    codes = np.bitwise_xor.accumulate(changes, axis=0)
    return {
        "limbs": codes == 3,
        "actor": codes >= 2,
        "prop": codes == 1,
        "background": codes == 0,
    }
