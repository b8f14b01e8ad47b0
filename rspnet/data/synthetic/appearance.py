"""What actors look like: proportions, skin, hair and the cloth of their clothes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Colour = tuple[float, float, float]
Floats = NDArray[np.floating[Any]]

NUM_ACTORS = 24

_SKIN: tuple[Colour, ...] = (
    (244, 206, 177), (229, 180, 143), (205, 150, 112), (168, 114, 80), (126, 82, 57), (94, 60, 44),
)  # fmt: skip
_HAIR: tuple[Colour, ...] = (
    (46, 36, 34), (92, 58, 36), (158, 106, 56), (206, 168, 96), (132, 54, 40), (182, 180, 184),
)  # fmt: skip
_HAIR_STYLES = ("short", "long", "bun", "cap", "beanie", "short", "bald", "bun")
_PATTERNS = ("stripes", "checks", "dots", "plain", "diagonal", "block", "pinstripes", "argyle")
# Shirt, second colour of the pattern, trousers, shoes.
_OUTFITS: tuple[tuple[Colour, Colour, Colour, Colour], ...] = (
    ((222, 84, 72), (250, 236, 214), (52, 64, 96), (240, 236, 228)),
    ((46, 134, 171), (246, 245, 238), (74, 60, 52), (34, 38, 46)),
    ((244, 180, 62), (120, 62, 28), (58, 88, 86), (240, 240, 236)),
    ((98, 160, 110), (242, 240, 214), (60, 54, 70), (206, 92, 60)),
    ((150, 98, 168), (246, 216, 112), (42, 46, 60), (232, 230, 232)),
    ((240, 236, 226), (200, 62, 66), (70, 96, 140), (52, 46, 50)),
    ((66, 72, 92), (122, 204, 196), (176, 142, 100), (244, 240, 230)),
    ((236, 132, 148), (252, 240, 236), (92, 84, 98), (56, 60, 84)),
    ((30, 120, 110), (246, 206, 88), (40, 44, 56), (222, 220, 214)),
    ((212, 114, 50), (60, 40, 46), (126, 118, 100), (52, 42, 40)),
    ((112, 150, 208), (30, 48, 92), (228, 220, 204), (150, 72, 50)),
    ((190, 202, 84), (56, 84, 62), (82, 62, 92), (240, 238, 230)),
)


@dataclass(frozen=True)
class ActorAppearance:
    """One actor. Lengths are in body heights, colours RGB in 0..255."""

    head: float
    neck: float
    torso: float
    upper_arm: float
    forearm: float
    thigh: float
    shin: float
    foot: float
    foot_height: float
    girth: float
    skin: Colour
    hair: str
    hair_colour: Colour
    shirt: Colour
    accent: Colour
    trousers: Colour
    shoes: Colour
    pattern: str
    long_sleeves: bool
    shorts: bool
    trouser_stripe: bool

    def widths(self, base: str, view: str) -> tuple[float, float]:
        """Half widths of a part at its near and far end, in body heights."""
        g = self.girth
        if base == "torso":
            return (0.062 * g, 0.098 * g) if view == "front" else (0.056 * g, 0.074 * g)
        return {
            "neck": (0.030 * g, 0.028 * g),
            "thigh": (0.054 * g, 0.040 * g),
            "shin": (0.040 * g, 0.028 * g),
            "foot": (0.029, 0.024),
            "upper_arm": (0.037 * g, 0.031 * g),
            "forearm": (0.031 * g, 0.025 * g),
        }[base]


def actor_appearance(actor: int) -> ActorAppearance:
    """The appearance of actor 0..NUM_ACTORS - 1; the same number is always the same person."""
    rng = np.random.default_rng([7, 1, actor])
    legs = rng.uniform(0.93, 1.05)
    outfit = _OUTFITS[actor % len(_OUTFITS)]
    if actor >= len(_OUTFITS):  # the second dozen wears the colours the other way round
        outfit = (outfit[1], outfit[0], outfit[3], outfit[2])
    return ActorAppearance(
        head=float(rng.uniform(0.165, 0.19)),
        neck=0.022,
        torso=0.285 / legs**0.5,
        upper_arm=float(0.155 * rng.uniform(0.94, 1.06)),
        forearm=float(0.165 * rng.uniform(0.94, 1.06)),
        thigh=0.235 * legs,
        shin=0.228 * legs,
        foot=0.068,
        foot_height=0.028,
        girth=float(rng.uniform(0.85, 1.22)),
        skin=_SKIN[(actor * 5 + actor // 6) % len(_SKIN)],
        hair=_HAIR_STYLES[actor % len(_HAIR_STYLES)],
        hair_colour=(
            outfit[1]
            if _HAIR_STYLES[actor % len(_HAIR_STYLES)] in ("cap", "beanie")
            else _HAIR[(actor * 7 + 1) % len(_HAIR)]
        ),
        shirt=outfit[0],
        accent=outfit[1],
        trousers=outfit[2],
        shoes=outfit[3],
        pattern=_PATTERNS[(actor * 3 + actor // 8) % len(_PATTERNS)],
        long_sleeves=bool(rng.random() < 0.55),
        shorts=bool(rng.random() < 0.3),
        trouser_stripe=bool(rng.random() < 0.35),
    )


def _pattern(name: str, shape: tuple[int, int], scale: float) -> NDArray[np.bool_]:
    """Where a cloth shows its second colour. ``scale`` is the size of a repeat in pixels."""
    v, u = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    u = (u - shape[1] / 2) / scale
    v = v / scale
    mask: NDArray[np.bool_] = np.zeros(shape, np.bool_)
    if name == "stripes":
        mask = v % 1 < 0.5
    elif name == "checks":
        mask = ((u + 0.25) % 1 < 0.5) ^ (v % 1 < 0.5)
    elif name == "dots":
        mask = ((u % 1 - 0.5) ** 2 + (v % 1 - 0.5) ** 2) < 0.09
    elif name == "diagonal":
        mask = (u + v) % 1 < 0.5
    elif name == "block":
        mask = v > 0.55 * shape[0] / scale
    elif name == "pinstripes":
        mask = (1.6 * u) % 1 < 0.28
    elif name == "argyle":
        mask = np.abs(u % 1 - 0.5) + np.abs(v % 1 - 0.5) < 0.36
    return mask


def cloth(
    look: ActorAppearance, base: str, shape: tuple[int, int], top: float, length: float
) -> Floats:
    """Colours (H, W, 3) of a part's sprite, whose limb begins at row ``top``."""
    colour = np.empty((*shape, 3), np.float32)
    rows = np.arange(shape[0])
    if base == "torso":
        colour[:] = look.shirt
        colour[_pattern(look.pattern, shape, 0.30 * length)] = look.accent
        colour[rows < top + 0.1 * length] = look.trousers  # the waistband; the torso points up
    elif base == "upper_arm":
        colour[:] = look.shirt
        colour[_pattern(look.pattern, shape, 0.55 * length)] = look.accent
    elif base == "forearm":
        colour[:] = look.skin
        if look.long_sleeves:
            sleeve = rows < top + 0.72 * length
            colour[sleeve] = look.shirt
            mask = _pattern(look.pattern, shape, 0.52 * length)
            mask[~sleeve] = False
            colour[mask] = look.accent
    elif base in ("thigh", "shin"):
        colour[:] = look.trousers
        if look.trouser_stripe:
            middle = shape[1] // 2
            colour[:, middle - 2 : middle + 2] = look.accent
        if base == "shin" and look.shorts:
            colour[:] = look.skin
    elif base == "foot":
        colour[:] = look.shoes
    else:
        colour[:] = look.skin
    return colour
