"""From a selection to maps, numbers and pictures: `analysis` asked once, the answers kept.

Torch comes in with the first call, not with the import. What is kept is keyed by the model's
hash, the videos' identities (path, time of change, size), the frames and the way of drawing.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from dashboard.controls import Clip, Look, Selection
from dashboard.models import Loaded
from dashboard.pictures import sheet
from dashboard.sources import Frames, Identity, decode

if TYPE_CHECKING:
    from torch import Tensor

    from analysis import Grid, HeadMaps, PairExplanation
    from analysis.overlay import Row

HEADS = ("rsp", "avid")
TITLES = {"rsp": "RSP", "avid": "A-VID"}
PANEL_PIXELS = 336
LOOP_PIXELS = 280
LOOP_FPS = 8.0

ClipKey = tuple[Identity, tuple[int, ...], int]
FractionBox = tuple[float, float, float, float]


@dataclass(frozen=True)
class Share:
    """Share of the positive contribution on moving pixels, and the moving pixels' own share."""

    share: float
    area: float


@dataclass(frozen=True)
class HeadView:
    """What the page shows of one head. Pairs are for c_i and c_j.

    Attributes:
        similarity: s.
        total: Sum of the contributions in c_i.
        off: Largest difference between a clip's sum and s.
        limit: End of the colour scale, contribution per cell.
        profiles: Contribution of each frame's time cell.
        boxes: Region of interest as parts of the picture's side, or None.
        moving: Shares on moving pixels.
        sheets: All frames with the map drawn in, as data URIs.
        ramp: Colours from -limit to +limit, as they are drawn.
    """

    similarity: float
    total: float
    off: float
    limit: float
    profiles: tuple[list[float], list[float]]
    boxes: tuple[FractionBox | None, FractionBox | None]
    moving: tuple[Share, Share]
    sheets: tuple[str, str]
    ramp: list[str]


@dataclass(frozen=True)
class PairView:
    """What the page shows of a pair."""

    heads: dict[str, HeadView]
    grid: "Grid"


def clip_key(clip: Clip, size: int) -> ClipKey:
    """What tells a clip from every other.

    Raises:
        ValueError: The video is gone.
    """
    return clip.video.identity(), clip.indices, size


def view_pair(selection: Selection, loaded: Loaded) -> PairView:
    """Maps, numbers and pictures of the selected pair.

    Raises:
        ValueError: A clip can't be decoded or does not fit the model.
    """
    clip_i, clip_j = _keys(selection)
    return _view(loaded.query.hash, clip_i, clip_j, selection.look, loaded)


def loop_of(selection: Selection, loaded: Loaded) -> bytes:
    """The pair as one composed H.264 clip.

    Raises:
        ValueError: A clip can't be decoded or does not fit the model.
    """
    clip_i, clip_j = _keys(selection)
    titles = (selection.clip_i.title, selection.clip_j.title)
    return _loop(loaded.query.hash, clip_i, clip_j, selection.look, titles, loaded)


def embedding_of(selection: Selection, loaded: Loaded) -> dict[str, Any]:
    """Embeddings of c_i by both heads of the query branch, each (128,) float32."""
    return _embedding(loaded.query.hash, _keys(selection)[0], loaded)


def _keys(selection: Selection) -> tuple[ClipKey, ClipKey]:
    size = selection.model.size
    return clip_key(selection.clip_i, size), clip_key(selection.clip_j, size)


def _clip(key: ClipKey) -> tuple["Tensor", Frames]:
    from rspnet.data.transforms import eval_frames, normalise

    frames = eval_frames(decode(key[0], key[1]), key[2])
    return normalise(frames), frames


@st.cache_data(max_entries=256, show_spinner=False)
def _embedding(model: str, clip: ClipKey, _loaded: Loaded) -> dict[str, Any]:
    import torch

    x, _ = _clip(clip)
    with _loaded.lock, torch.inference_mode():
        z = _loaded.query.project(_loaded.query.features(x[None]))
    return {name: vector[0].numpy() for name, vector in z.items()}


@st.cache_data(max_entries=256, show_spinner=False)
def _explain(model: str, clip_i: ClipKey, clip_j: ClipKey, _loaded: Loaded) -> "PairExplanation":
    from analysis import ClipInfo, explain_pair

    infos = [
        ClipInfo(key[0][0], key[1], key[1][1] - key[1][0] if len(key[1]) > 1 else 1)
        for key in (clip_i, clip_j)
    ]
    tensors = [_clip(key)[0] for key in (clip_i, clip_j)]
    with _loaded.lock:
        return explain_pair(_loaded.query, _loaded.key, *tensors, info_i=infos[0], info_j=infos[1])


def _limits(pair: "PairExplanation", scale: str) -> dict[str, float]:
    from analysis.overlay import common_limit

    maps = {name: [h.contribution_i, h.contribution_j] for name, h in pair.heads.items()}
    if scale == "shared":
        limit = common_limit([m for both in maps.values() for m in both])
        return dict.fromkeys(maps, limit)
    return {name: common_limit(both) for name, both in maps.items()}


@st.cache_data(max_entries=48, show_spinner=False)
def _view(model: str, clip_i: ClipKey, clip_j: ClipKey, look: Look, _loaded: Loaded) -> PairView:
    from analysis.motion import moving_pixels
    from rspnet.data.transforms import eval_frames

    pair = _explain(model, clip_i, clip_j, _loaded)
    limits = _limits(pair, look.scale)
    keys = (clip_i, clip_j)
    moving = [moving_pixels(_clip(key)[1]) for key in keys]
    # The same frames in the same view, at the size they are shown at.
    large = [eval_frames(decode(key[0], key[1]), PANEL_PIXELS) for key in keys]
    return PairView(
        heads={
            name: _head_view(
                pair.heads[name], (pair.grid_i, pair.grid_j), limits[name], look, moving, large
            )
            for name in HEADS
        },
        grid=pair.grid_i,
    )


def _head_view(
    maps: "HeadMaps",
    grids: "tuple[Grid, Grid]",
    limit: float,
    look: Look,
    moving: list[Any],
    large: list[Frames],
) -> HeadView:
    from analysis.motion import share_inside
    from analysis.overlay import draw_overlay
    from analysis.regions import region_of_interest

    both = (maps.contribution_i, maps.contribution_j)
    boxes: list[FractionBox | None] = []
    shares, sheets, profiles = [], [], []
    for values, grid, mask, frames in zip(both, grids, moving, large, strict=True):
        box = region_of_interest(values).box
        unit = grid.in_pixels(box, (1, 1)) if box is not None else None
        boxes.append((unit.left, unit.top, unit.right, unit.bottom) if unit else None)
        inside = share_inside(values, mask, grid)
        shares.append(Share(inside.share, inside.area))
        drawn = draw_overlay(
            frames, values, grid, limit=limit, opacity=look.opacity, smooth=look.smooth
        )
        sheets.append(sheet(drawn))
        profiles.append([float(v) for v in values.sum(axis=(1, 2))[grid.cell_of(0)]])
    return HeadView(
        similarity=maps.similarity,
        total=float(maps.contribution_i.sum()),
        off=maps.completeness_error,
        limit=limit,
        profiles=(profiles[0], profiles[1]),
        boxes=(boxes[0], boxes[1]),
        moving=(shares[0], shares[1]),
        sheets=(sheets[0], sheets[1]),
        ramp=_ramp(look.opacity),
    )


def _ramp(opacity: float, num_colours: int = 33) -> list[str]:
    """Colours of the scale from its lower to its upper end, as drawn on a grey frame."""
    import numpy as np

    from analysis import Grid
    from analysis.overlay import draw_overlay

    grey = np.full((1, num_colours, 1, 3), 150, np.uint8)
    values = np.linspace(-1, 1, num_colours).reshape(1, num_colours, 1)
    grid = Grid.even(values.shape, values.shape)
    drawn = draw_overlay(grey, values, grid, limit=1.0, opacity=opacity, smooth=False)
    return [f"rgb({r} {g} {b})" for r, g, b in drawn[0, :, 0].tolist()]


@st.cache_data(max_entries=16, show_spinner=False)
def _loop(
    model: str,
    clip_i: ClipKey,
    clip_j: ClipKey,
    look: Look,
    titles: tuple[str, str],
    _loaded: Loaded,
) -> bytes:
    from analysis.overlay import pair_video
    from rspnet.data.transforms import eval_frames

    pair = _explain(model, clip_i, clip_j, _loaded)
    limits = _limits(pair, look.scale)
    frames = [eval_frames(decode(key[0], key[1]), LOOP_PIXELS) for key in (clip_i, clip_j)]
    return pair_video(
        frames[0],
        frames[1],
        [_row(name, pair) for name in HEADS],
        pair.grid_i,
        pair.grid_j,
        fps=LOOP_FPS,
        limit=[limits[name] for name in HEADS],
        opacity=look.opacity,
        smooth=look.smooth,
        scale=1,
        caption=f"c_i: {titles[0]}   c_j: {titles[1]}",
    )


def _row(name: str, pair: "PairExplanation") -> "Row":
    from analysis.overlay import Row
    from analysis.regions import region_of_interest

    maps, size = pair.heads[name], (LOOP_PIXELS, LOOP_PIXELS)
    boxes = []
    for values, grid in ((maps.contribution_i, pair.grid_i), (maps.contribution_j, pair.grid_j)):
        box = region_of_interest(values).box
        boxes.append(grid.in_pixels(box, size) if box is not None else None)
    return Row(
        TITLES[name], maps.similarity, maps.contribution_i, maps.contribution_j, boxes[0], boxes[1]
    )
