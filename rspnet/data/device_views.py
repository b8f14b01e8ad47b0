"""The views of :mod:`rspnet.data.augment` for many clips at once, on any device.

Loader processes decode and crop, and the device does the rest: resizing, flip and colours. The
arithmetic is OpenCV's, in integers where OpenCV has integers, so that a view has the pixels that it
has where OpenCV makes it; some builds of OpenCV may round a pixel to the next grey level.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rspnet.data.augment import View, shrinks
from rspnet.data.transforms import Frames

_PIECE_BYTES = 2**28  # of the largest intermediate result at once


@dataclass(frozen=True)
class Crop:
    """A clip with its view still to be made.

    Attributes:
        frames: What the view's box cuts out, (T, h, w, 3) uint8.
        view: The view.
        still: A frame that takes the place of all, in the end.
    """

    frames: Tensor
    view: View
    still: int | None = None

    @classmethod
    def cut(cls, frames: Frames, view: View) -> "Crop":
        """From a clip's whole frames, (T, H, W, 3)."""
        top, left, height, width = view.box
        inside = frames[:, top : top + height, left : left + width]
        return cls(torch.from_numpy(np.ascontiguousarray(inside)), view)


@dataclass(frozen=True)
class CropBatch:
    """Samples whose clips are crops, their pixels in one tensor.

    A tensor takes a file handle on its way from a loader process, and a copy on its way to a GPU.

    Attributes:
        pixels: Those of all crops, one after the other.
        shapes: (T, h, w, 3) of each crop.
        views: The view of each.
        stills: See :class:`Crop`, of each.
        samples: Without their clips, which are as many for each.
        failures: (video, reason) of videos that could not be read for it.
    """

    pixels: Tensor
    shapes: list[tuple[int, ...]]
    views: list[View]
    stills: list[int | None]
    samples: list[Any]
    failures: tuple[tuple[int, str], ...] = ()

    def finished(self, collate: Callable[[list[Any]], Any]) -> Any:
        """The batch that ``collate`` makes of the samples with their views."""
        parts = torch.split(self.pixels, [math.prod(shape) for shape in self.shapes])
        crops = zip(parts, self.shapes, self.views, self.stills, strict=True)
        clips = make_views([Crop(p.view(shape), view, still) for p, shape, view, still in crops])
        of_samples = clips.view(len(self.samples), -1, *clips.shape[1:])
        return collate(
            [replace(s, clips=tuple(own)) for s, own in zip(self.samples, of_samples, strict=True)]
        )


def collate_crops(samples: list[Any]) -> CropBatch:
    """Put samples together whose clips are crops."""
    crops = [crop for sample in samples for crop in sample.clips]
    return CropBatch(
        pixels=torch.cat([crop.frames.flatten() for crop in crops]),
        shapes=[tuple(crop.frames.shape) for crop in crops],
        views=[crop.view for crop in crops],
        stills=[crop.still for crop in crops],
        samples=[replace(sample, clips=()) for sample in samples],
        failures=tuple(f for s in samples for f in s.failures),
    )


def make_views(crops: Sequence[Crop]) -> Tensor:
    """The views of crops of one length and one size of view, on the device that they are on.

    Shape:
        -> (N, T, size, size, 3) uint8.

    Example:
        >>> from rspnet.data.augment import AugmentConfig, augment_clip, draw_view
        >>> frames = np.random.default_rng(0).integers(0, 256, (2, 40, 50, 3), np.uint8)
        >>> view = draw_view((40, 50), 32, AugmentConfig(), np.random.default_rng(1))
        >>> on_cpu = augment_clip(frames, 32, AugmentConfig(), np.random.default_rng(1))
        >>> views = make_views([Crop.cut(frames, view)])
        >>> int((views[0].int() - torch.from_numpy(on_cpu).int()).abs().max())
        0
    """
    num, size = len(crops[0].frames), crops[0].view.size
    views = crops[0].frames.new_empty((len(crops), num, size, size, 3))
    for shrinking in (True, False):
        places = [i for i, crop in enumerate(crops) if shrinks(crop.view) == shrinking]
        height = max((crops[i].frames.shape[1] for i in places), default=0)
        piece = max(1, _PIECE_BYTES // max(1, num * max(height, size) * size * 3 * 8))
        for begin in range(0, len(places), piece):
            some = places[begin : begin + piece]
            chosen = [crops[i] for i in some]
            resized = (_shrunk if shrinking else _enlarged)(chosen)
            views[some] = _coloured(resized, [crop.view for crop in chosen])
    for clip, crop in zip(views, crops, strict=True):
        if crop.still is not None:
            clip[:] = clip[crop.still].clone()
    return views


# Resizing. A pixel is a weighted sum of a few: of which ones, and by which weights, is told for
# rows and columns apart.


def _padded(crops: Sequence[Crop]) -> Tensor:
    """(N, T, H, W, 3) with zeros below and to the right of smaller crops."""
    shapes = np.array([crop.frames.shape for crop in crops])
    out = crops[0].frames.new_zeros((len(crops), *shapes.max(axis=0)))
    for target, crop in zip(out, crops, strict=True):
        target[:, : crop.frames.shape[1], : crop.frames.shape[2]] = crop.frames
    return out


def _stacked(arrays: Sequence[NDArray[Any]], device: torch.device) -> Tensor:
    """(size, K) each -> (K, N, size), with zeros where one has fewer."""
    longest = max(array.shape[1] for array in arrays)
    wide = [np.pad(array, ((0, 0), (0, longest - array.shape[1]))) for array in arrays]
    return torch.from_numpy(np.stack(wide)).permute(2, 0, 1).to(device)


Taps = tuple[NDArray[np.int64], NDArray[Any]]  # indices and weights, (size, K) each


def _taps(
    crops: Sequence[Crop], axis: int, find: Callable[[Crop, int], Taps]
) -> tuple[Tensor, Tensor]:
    """Those of all crops along rows (axis 1) or columns (axis 2)."""
    found = [find(crop, axis) for crop in crops]
    if axis == 2:
        found = [
            (indices[::-1], weights[::-1]) if crop.view.flip else (indices, weights)
            for crop, (indices, weights) in zip(crops, found, strict=True)
        ]
    device = crops[0].frames.device
    return _stacked([i for i, _ in found], device), _stacked([w for _, w in found], device)


def _levels(values: Tensor) -> Tensor:
    return values.round().clamp(0, 255).to(torch.uint8)


def _take_columns(images: Tensor, indices: Tensor) -> Tensor:
    num, frames, height, _, channels = images.shape
    where = indices[:, None, None, :, None].expand(num, frames, height, -1, channels)
    return images.gather(3, where)


def _take_rows(images: Tensor, indices: Tensor) -> Tensor:
    num, frames, _, width, channels = images.shape
    where = indices[:, None, :, None, None].expand(num, frames, -1, width, channels)
    return images.gather(2, where)


def _whole_scales(crop: Crop) -> bool:
    return not any(length % crop.view.size for length in crop.frames.shape[1:3])


def _area(crop: Crop, axis: int) -> Taps:
    return _area_taps(crop.frames.shape[axis], crop.view.size, _whole_scales(crop))


@lru_cache(maxsize=4096)
def _area_taps(length: int, size: int, whole: bool) -> Taps:
    """Which pixels lie in each of ``size`` equal parts of a line, and their shares of it.

    Of ``whole`` pixels OpenCV makes the sum, and divides it in the end.
    """
    scale = length / size
    begin = np.arange(size) * scale
    width = np.minimum(scale, length - begin)
    end = begin + scale
    last = np.minimum(np.floor(end), length - 1)
    first = np.minimum(np.ceil(begin), last)
    count = int((last - first).max()) + 2
    indices, weights = np.zeros((size, count), np.int64), np.zeros((size, count), np.float32)
    for row in range(size):
        parts = [(first[row] - 1, (first[row] - begin[row]) / width[row])]
        parts += [(i, 1 / width[row]) for i in np.arange(first[row], last[row])]
        parts += [(last[row], min(end[row] - last[row], 1.0, width[row]) / width[row])]
        if whole:
            parts = [(i, 1.0) for i in range(int(row * scale), int((row + 1) * scale))]
        parts = [(i, share) for i, share in parts if share * width[row] > 1e-3]
        indices[row, : len(parts)] = [i for i, _ in parts]
        weights[row, : len(parts)] = [share for _, share in parts]
    return indices, weights


def _shrunk(crops: Sequence[Crop]) -> Tensor:
    """OpenCV's INTER_AREA: (N, T, size, size, 3) uint8."""
    images = _padded(crops)
    for take, (indices, weights), axis in (
        (_take_columns, _taps(crops, 2, _area), 3),
        (_take_rows, _taps(crops, 1, _area), 2),
    ):
        total: Tensor | None = None
        for index, weight in zip(indices, weights, strict=True):
            shape = [len(crops), 1, 1, 1, 1]
            shape[axis] = weight.shape[1]
            part = take(images, index).float() * weight.view(shape)
            total = part if total is None else total + part
        assert total is not None
        images = total
    areas = [
        math.prod(crop.frames.shape[1:3]) // crop.view.size**2 if _whole_scales(crop) else 1
        for crop in crops
    ]
    # Halves go to the even number, but up for the mean of four pixels.
    shares = np.array([[1 / area, 1e-3 * (area == 4)] for area in areas], np.float32)
    share, up = torch.from_numpy(shares).to(images.device).T.reshape(2, -1, 1, 1, 1, 1)
    return _levels(images * share + up)


def _linear(crop: Crop, axis: int) -> Taps:
    return _linear_taps(crop.frames.shape[axis], crop.view.size, axis == 1)


@lru_cache(maxsize=4096)
def _linear_taps(length: int, size: int, rows: bool) -> Taps:
    place = ((np.arange(size) + 0.5) * (length / size) - 0.5).astype(np.float32)
    first = np.floor(place).astype(np.int64)
    rest = (place - first).astype(np.float32)
    if not rows:  # in a column at the border that pixel has all of the weight
        rest[(first < 0) | (first >= length - 1)] = 0
        first = np.clip(first, 0, length - 1)
    indices = np.clip(np.stack([first, first + 1], axis=1), 0, length - 1)
    weights = np.stack([np.float32(1) - rest, rest], axis=1) * np.float32(2048)
    return indices, np.rint(weights).astype(np.int32)


def _enlarged(crops: Sequence[Crop]) -> Tensor:
    """OpenCV's INTER_LINEAR, with weights of 11 bits: (N, T, size, size, 3) uint8."""
    images = _padded(crops)
    (x0, x1), (a0, a1) = _taps(crops, 2, _linear)
    (y0, y1), (b0, b1) = _taps(crops, 1, _linear)
    wide = _take_columns(images, x0).int() * a0[:, None, None, :, None]
    wide += _take_columns(images, x1).int() * a1[:, None, None, :, None]
    wide >>= 4
    high = (_take_rows(wide, y0) * b0[:, None, :, None, None]) >> 16
    high += (_take_rows(wide, y1) * b1[:, None, :, None, None]) >> 16
    return _levels((high + 2) >> 2)


# Colours. Images are (N, P, 3) uint8, the pixels of a clip in one row; amounts are (N,) float64.


def _coloured(clips: Tensor, views: Sequence[View]) -> Tensor:
    shape, images = clips.shape, clips.flatten(1, 3)
    for number in range(max((len(view.colours) for view in views), default=0)):
        for name, operation in _OPERATIONS.items():
            chosen = [
                (i, view.colours[number][1])
                for i, view in enumerate(views)
                if number < len(view.colours) and view.colours[number][0] == name
            ]
            if chosen:
                places = [i for i, _ in chosen]
                amounts = torch.tensor([amount for _, amount in chosen], dtype=torch.float64)
                images[places] = operation(images[places], amounts.to(images.device))
    grey = [i for i, view in enumerate(views) if view.grey]
    if grey:
        images[grey] = _grey(images[grey])[..., None].expand(-1, -1, 3)
    return images.view(shape)


def _grey(images: Tensor) -> Tensor:
    red, green, blue = images.int().unbind(-1)
    return ((red * 9798 + green * 19235 + blue * 3735 + 2**14) >> 15).to(torch.uint8)


def _scaled_about(images: Tensor, factors: Tensor, pivots: Tensor) -> Tensor:
    levels = torch.arange(256, dtype=torch.float64, device=images.device)
    tables = levels * factors[:, None] + ((1 - factors) * pivots)[:, None]
    return _levels(tables).gather(1, images.flatten(1).long()).view(images.shape)


def _brightness(images: Tensor, factors: Tensor) -> Tensor:
    return _scaled_about(images, factors, torch.zeros_like(factors))


def _contrast(images: Tensor, factors: Tensor) -> Tensor:
    sums = _grey(images).sum(dim=1, dtype=torch.int64)
    return _scaled_about(images, factors, sums.double() / images.shape[1])


def _saturation(images: Tensor, factors: Tensor) -> Tensor:
    # As a fused multiply-add in fp32, which is what OpenCV computes with.
    own, greys = (part.float().double()[:, None] for part in (factors, 1 - factors))
    rest = (_grey(images).double() * greys).float().double()
    mixed = (images.double() * own[..., None] + rest[..., None]).float()
    return _levels(mixed)


def _hue(images: Tensor, shifts: Tensor) -> Tensor:
    red, green, blue = (part.int() for part in images.unbind(-1))
    value = torch.maximum(torch.maximum(red, green), blue)
    chroma = value - torch.minimum(torch.minimum(red, green), blue)
    saturation, hue = _inverses(images.device)
    s = (chroma * saturation[value] + 2**11) >> 12
    h = torch.where(value == green, blue - red + 2 * chroma, red - green + 4 * chroma)
    h = torch.where(value == red, green - blue, h)
    h = (h * hue[chroma] + 2**11) >> 12
    h = torch.where(h < 0, h + 256, h).clamp(0, 255)
    h = (h + (shifts * 256).round().int()[:, None] % 256) % 256
    # Back, in fp32. OpenCV has 256 hues on the way there, and 255 here.
    s, v = (part.float() * (1 / 255) for part in (s, value))
    turn = h.float() * (6 / 255)
    sector = turn.floor()
    part = turn - sector
    levels = torch.stack([v, v * (1 - s), v * (1 - s * part), v * (1 - s + s * part)], dim=-1)
    which = torch.tensor(_SECTORS, device=images.device)[(sector.long() % 6)]
    return _levels(levels.gather(-1, which) * 255)


# Red, green and blue in each sixth of the circle: which of value, lowest, falling and rising.
_SECTORS = ((0, 3, 1), (2, 0, 1), (1, 0, 3), (1, 2, 0), (3, 1, 0), (0, 1, 2))
_OPERATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "brightness": _brightness,
    "contrast": _contrast,
    "saturation": _saturation,
    "hue": _hue,
}


def _inverses(device: torch.device) -> tuple[Tensor, Tensor]:
    """Tables of 255 / i and 256 / 6 i with 12 bits behind the point, 0 for 0."""
    levels = torch.arange(256, dtype=torch.float64, device=device)
    tables = [(2.0**12 * top / levels).round().int() for top in (255, 256 / 6)]
    for table in tables:
        table[0] = 0
    return tables[0], tables[1]
