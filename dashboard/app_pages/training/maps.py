"""Both heads' maps of one pair over the steps of a run, from its callback or its checkpoints."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from analysis.figures.viewer.panel import overlay_sheet
from dashboard.base.arguments import cache_folder
from dashboard.overlays.clip_ref import ClipRef
from dashboard.services import runs
from dashboard.services.galleries import Identity, identity
from rspnet.names import HEADS

if TYPE_CHECKING:
    from analysis import Grid, PairExplanation

PIXELS = 224


@dataclass(frozen=True)
class Grown:
    """Maps of one pair at one step.

    Attributes:
        sheets: Of each head all frames of c_i and of c_j with the map drawn in.
        similarity: Of each head s.
        limit: Of each head the end of the colour scale: one for all steps.
    """

    sheets: dict[str, tuple[str, str]]
    similarity: dict[str, float]
    limit: dict[str, float]


def video_of(tracked: runs.Tracked, pair: int) -> Path:
    """The file of a tracked pair; a synthetic video that is gone is made again."""
    video = Path(tracked.videos[pair])
    if video.is_file():
        return video
    from rspnet.data.synthetic.videos import generate_named

    return generate_named(cache_folder() / "synthetic" / "single", video.stem) or video


def tracked_at(root: Path, name: str, tracked: runs.Tracked, step: int, pair: int) -> Grown:
    """A tracked pair at a step.

    Raises:
        ValueError: Its video can't be read, or the run's configuration is missing.
    """
    video = video_of(tracked, pair)
    keys = tuple(
        ClipRef(identity(video), tuple(int(i) for i in frames), int(frames[1] - frames[0]), PIXELS)
        for frames in tracked.frames[pair]
    )
    spec = _spec(runs.settings(root, name))
    return _tracked_at(keys, spec, tracked, step, pair)


def _spec(settings: dict[str, Any]) -> dict[str, Any]:
    try:
        model, data = settings["model"], settings["data"]
        return {
            "arch": str(model["arch"]),
            "encoder_options": dict(model["options"]),
            "head": str(model["head"]),
            "num_frames": int(data["num_frames"]),
            "size": int(data["size"]),
        }
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            "the run's config.yaml is missing or damaged, so where the maps' cells lie is not known"
        ) from error


@st.cache_data(max_entries=8, show_spinner=False)
def _grid(spec: dict[str, Any], cells: tuple[int, ...]) -> "Grid":
    from analysis import Grid
    from rspnet.models import Branch

    clip = (spec["num_frames"], spec["size"], spec["size"])
    return Grid.of(Branch.from_spec(spec), cells, clip)


@st.cache_data(
    max_entries=64,
    show_spinner=False,
    hash_funcs={runs.Tracked: lambda t: (t.videos, t.steps, t.similarity.tobytes())},
)
def _tracked_at(
    keys: tuple[ClipRef, ...], spec: dict[str, Any], tracked: runs.Tracked, step: int, pair: int
) -> Grown:
    from analysis.figures.overlay import common_limit

    grid = _grid(spec, tracked.maps.shape[3:])
    at = tracked.steps.index(step)
    sheets, similarity, limits = {}, {}, {}
    for number, head in enumerate(tracked.heads):
        both = (tracked.maps[:, pair, number], tracked.maps_j[:, pair, number])
        limits[head] = common_limit(both)
        similarity[head] = float(tracked.similarity[at, pair, number])
        drawn = [_draw(key, m[at], grid, limits[head]) for key, m in zip(keys, both, strict=True)]
        sheets[head] = (drawn[0], drawn[1])
    return Grown(sheets, similarity, limits)


def _draw(clip: ClipRef, values: Any, grid: "Grid", limit: float) -> str:
    return overlay_sheet(clip.frames(PIXELS), values, grid, limit)


def checkpoint_at(paths: dict[int, Path], step: int, clip_i: ClipRef, clip_j: ClipRef) -> Grown:
    """A pair by the network of a checkpoint; the scale is shared by all checkpoints.

    Raises:
        ValueError: A checkpoint is damaged or no pre-training, or a clip can't be decoded.
    """
    from analysis.figures.overlay import common_limit

    found = {n: _explain(identity(path), clip_i, clip_j) for n, path in paths.items()}
    sheets, similarity, limits = {}, {}, {}
    for head in HEADS:
        all_maps = [m for p in found.values() for m in _both(p, head)]
        limits[head] = common_limit(all_maps)
        pair = found[step]
        first, second = (
            _draw(key, values, grid, limits[head])
            for key, values, grid in zip(
                (clip_i, clip_j), _both(pair, head), (pair.grid_i, pair.grid_j), strict=True
            )
        )
        sheets[head] = (first, second)
        similarity[head] = pair.heads[head].similarity
    return Grown(sheets, similarity, limits)


def _both(pair: "PairExplanation", head: str) -> tuple[Any, Any]:
    return pair.heads[head].contribution_i, pair.heads[head].contribution_j


@st.cache_data(max_entries=32, show_spinner=False)
def spec_of_checkpoint(checkpoint: Identity) -> dict[str, Any]:
    """How the network of a checkpoint is built: frames and size of its clips among other things.

    Raises:
        ValueError: It is damaged.
    """
    from rspnet.training.run_folder import load_checkpoint

    return _spec(load_checkpoint(checkpoint.path).get("config", {}))


@st.cache_data(max_entries=64, show_spinner=False)
def _explain(checkpoint: Identity, clip_i: ClipRef, clip_j: ClipRef) -> "PairExplanation":
    from analysis import explain_pair
    from rspnet.models import Branch
    from rspnet.training.run_folder import load_checkpoint

    path = checkpoint.path
    state = load_checkpoint(path)
    spec = _spec(state.get("config", {}))
    branches = []
    for name in ("query", "key"):
        branch = Branch.from_spec(spec).eval()
        weights = {
            key.removeprefix(f"{name}."): value
            for key, value in state.get("network", {}).items()
            if key.startswith(f"{name}.")
        }
        try:
            branch.load_state_dict(weights)
        except RuntimeError as error:
            raise ValueError(
                f"{path.name} holds no network of pre-training that fits its configuration"
            ) from error
        branches.append(branch)
    c_i, c_j = clip_i.view(), clip_j.view()
    return explain_pair(
        branches[0], branches[1], c_i.clip, c_j.clip, info_i=c_i.info, info_j=c_j.info
    )
