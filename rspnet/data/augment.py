"""Random views for pre-training: one draw for each clip, one mapping for all of its frames.

The colour operations are those of torchvision's ``ColorJitter``, done by OpenCV on uint8 because
torchvision's hue costs several times the training step of a small model. One difference is meant:
contrast pivots on the mean grey of the *clip*, where torchvision takes each frame's own, which
would make the mapping change from frame to frame.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from rspnet.data.transforms import Frames


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Augmentation of pre-training. The defaults are the paper's.

    Attributes:
        min_area: Smallest share of the frame that a random resized crop keeps.
        max_area: Largest share.
        max_ratio: Widest aspect ratio of a crop; the narrowest is its inverse.
        gray: Probability of grey scale.
        brightness: Largest relative change of brightness.
        contrast: Largest relative change of contrast.
        saturation: Largest relative change of saturation.
        hue: Largest shift of the hue, as a share of the colour circle, at most 0.5.
        flip: Probability of a horizontal flip.

    Raises:
        ValueError: A setting is out of range.

    Example:
        >>> AugmentConfig(hue=0.7)
        Traceback (most recent call last):
            ...
        ValueError: hue is between 0 and 0.5, got 0.7
    """

    min_area: float = 0.4
    max_area: float = 1.0
    max_ratio: float = 4 / 3
    gray: float = 0.2
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.4
    flip: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.min_area <= self.max_area <= 1:
            raise ValueError(
                "crop areas obey 0 < min_area <= max_area <= 1, "
                f"got {self.min_area} and {self.max_area}"
            )
        if self.max_ratio < 1:
            raise ValueError(f"max_ratio is at least 1, got {self.max_ratio}")
        for name in ("gray", "flip", "brightness", "contrast", "saturation"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is between 0 and 1, got {getattr(self, name)}")
        if not 0 <= self.hue <= 0.5:
            raise ValueError(f"hue is between 0 and 0.5, got {self.hue}")


# The largest square in the middle, and nothing else.
CENTRE = AugmentConfig(
    min_area=1, max_ratio=1, gray=0, brightness=0, contrast=0, saturation=0, hue=0, flip=0
)


def random_crop_box(
    height: int,
    width: int,
    config: AugmentConfig,
    rng: np.random.Generator,
    zoom_rng: np.random.Generator | None = None,
) -> tuple[int, int, int, int]:
    """Draw a crop (top, left, height, width) of random area and aspect ratio.

    Area and the logarithm of the ratio are uniform. After ten draws that do not fit, the largest
    centred crop within the ratios is taken, as torchvision does.

    Args:
        height: Of the frame, in pixels.
        width: Of the frame, in pixels.
        config: Areas and ratios.
        rng: All randomness comes from here.
        zoom_rng: That of height and width comes from here, if given.
    """
    log_ratio = math.log(config.max_ratio)
    zoom = zoom_rng or rng
    for _ in range(10):
        area = height * width * zoom.uniform(config.min_area, config.max_area)
        ratio = math.exp(zoom.uniform(-log_ratio, log_ratio))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            top = int(rng.integers(0, height - h + 1))
            left = int(rng.integers(0, width - w + 1))
            return top, left, h, w
    w = min(width, round(height * config.max_ratio))
    h = min(height, round(width * config.max_ratio))
    return (height - h) // 2, (width - w) // 2, h, w


@dataclass(frozen=True)
class View:
    """What a view of a clip is: everything that is drawn at random for it.

    Attributes:
        box: Crop (top, left, height, width) in pixels of the frame.
        size: Height and width of the view in pixels.
        flip: Turned left to right.
        colours: (operation, amount) in their order.
        grey: In grey scale, at last.
    """

    box: tuple[int, int, int, int]
    size: int
    flip: bool
    colours: tuple[tuple[str, float], ...]
    grey: bool


def shrinks(view: View) -> bool:
    """Whether its crop is larger than the view either way: areas are averaged then."""
    return min(view.box[2:]) > view.size


def resized_crop(frames: Frames, box: tuple[int, int, int, int], size: int) -> Frames:
    """Cut ``box`` (top, left, height, width) out of each frame and resize to a square."""
    top, left, height, width = box
    out = np.empty((len(frames), size, size, 3), np.uint8)
    method = cv2.INTER_AREA if min(height, width) > size else cv2.INTER_LINEAR
    for frame, target in zip(frames, out, strict=True):
        crop = frame[top : top + height, left : left + width]
        cv2.resize(crop, (size, size), dst=target, interpolation=method)
    return out


def _scale_about(image: Frames, factor: float, pivot: float) -> Frames:
    table = np.clip(np.arange(256) * factor + (1 - factor) * pivot, 0, 255)
    return np.asarray(cv2.LUT(image, table.round().astype(np.uint8)), np.uint8)


def _gray(image: Frames) -> Frames:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)


def adjust_brightness(image: Frames, factor: float) -> Frames:
    """Multiply by ``factor``; images are (H, W, 3) uint8 here and below."""
    return _scale_about(image, factor, 0.0)


def adjust_contrast(image: Frames, factor: float) -> Frames:
    """Scale by ``factor`` about the mean grey of the whole image."""
    return _scale_about(image, factor, float(_gray(image).mean()))


def adjust_saturation(image: Frames, factor: float) -> Frames:
    """Scale by ``factor`` about each pixel's own grey."""
    gray = cv2.cvtColor(_gray(image), cv2.COLOR_GRAY2RGB)
    return np.asarray(cv2.addWeighted(image, factor, gray, 1 - factor, 0), np.uint8)


def adjust_hue(image: Frames, shift: float) -> Frames:
    """Turn the hue by ``shift`` of the colour circle."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)
    hsv[..., 0] += np.uint8(round(shift * 256) % 256)
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL), np.uint8)


_OPERATIONS = {
    "brightness": adjust_brightness,
    "contrast": adjust_contrast,
    "saturation": adjust_saturation,
    "hue": adjust_hue,
}


def _draw_colours(
    config: AugmentConfig, rng: np.random.Generator
) -> tuple[tuple[tuple[str, float], ...], bool]:
    factors = {
        name: rng.uniform(1 - strength, 1 + strength)
        for name in ("brightness", "contrast", "saturation")
        if (strength := getattr(config, name)) > 0
    }
    if config.hue > 0:
        factors["hue"] = rng.uniform(-config.hue, config.hue)
    order = [str(name) for name in rng.permutation(list(factors))]
    return tuple((name, factors[name]) for name in order), bool(rng.random() < config.gray)


def _apply_colours(frames: Frames, colours: Sequence[tuple[str, float]], grey: bool) -> Frames:
    # All frames as one tall image: one mapping for the clip, and one call an operation.
    image = frames.reshape(-1, frames.shape[2], 3)
    for name, amount in colours:
        image = _OPERATIONS[name](image, amount)
    if grey:
        image = np.asarray(cv2.cvtColor(_gray(image), cv2.COLOR_GRAY2RGB), np.uint8)
    return image.reshape(frames.shape)


def jitter_colours(frames: Frames, config: AugmentConfig, rng: np.random.Generator) -> Frames:
    """Jitter brightness, contrast, saturation and hue in a random order, then maybe grey scale.

    Shape:
        (T, H, W, 3) uint8 -> the same.
    """
    return _apply_colours(frames, *_draw_colours(config, rng))


def draw_view(
    shape: tuple[int, int],
    size: int,
    config: AugmentConfig,
    rng: np.random.Generator,
    colour_rng: np.random.Generator | None = None,
    zoom_rng: np.random.Generator | None = None,
) -> View:
    """Draw the view that :func:`augment_clip` makes, from the same generators in the same way.

    Args:
        shape: Height and width of the frames, in pixels.
        size: See :func:`augment_clip`, as of all below.
        config: Strengths and probabilities.
        rng: For the crop and the flip.
        colour_rng: For the colours.
        zoom_rng: For the crop's height and width.

    Example:
        >>> import numpy as np
        >>> draw_view((120, 160), 112, CENTRE, np.random.default_rng(0))
        View(box=(0, 20, 120, 120), size=112, flip=False, colours=(), grey=False)
    """
    box = random_crop_box(*shape, config, rng, zoom_rng)
    flip = bool(rng.random() < config.flip)
    return View(box, size, flip, *_draw_colours(config, colour_rng or rng))


def augment_clip(
    frames: Frames,
    size: int,
    config: AugmentConfig,
    rng: np.random.Generator,
    colour_rng: np.random.Generator | None = None,
    zoom_rng: np.random.Generator | None = None,
) -> Frames:
    """A random view of a clip: resized crop, flip, colour jitter, grey scale.

    Args:
        frames: The clip's frames, (T, H, W, 3) uint8.
        size: Height and width of the view in pixels.
        config: Strengths and probabilities.
        rng: All randomness comes from here.
        colour_rng: That of the colours comes from here, if given.
        zoom_rng: That of the crop's height and width comes from here, if given.

    Shape:
        (T, H, W, 3) uint8 -> (T, size, size, 3) uint8.

    Example:
        >>> import numpy as np
        >>> frames = np.zeros((16, 120, 160, 3), np.uint8)
        >>> augment_clip(frames, 112, AugmentConfig(), np.random.default_rng(0)).shape
        (16, 112, 112, 3)
    """
    shape = frames.shape[1], frames.shape[2]
    return apply_view(frames, draw_view(shape, size, config, rng, colour_rng, zoom_rng))


def apply_view(frames: Frames, view: View) -> Frames:
    """Make a view of a clip, with OpenCV: (T, H, W, 3) uint8 -> (T, size, size, 3) uint8."""
    clip = resized_crop(frames, view.box, view.size)
    if view.flip:
        clip = clip[:, :, ::-1]
    return _apply_colours(np.ascontiguousarray(clip), view.colours, view.grey)
