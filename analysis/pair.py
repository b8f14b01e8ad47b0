"""Both heads' maps of a pair of clips, with all that is needed to judge and to redraw them."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from analysis.grid import Grid
from analysis.maps import contribution_map, similarity_map
from rspnet.checkpoint import atomic_path
from rspnet.models import Branch

Map = NDArray[np.float64]
UNITS = "contribution to the cosine similarity s, per cell"


@dataclass(frozen=True)
class ClipInfo:
    """Which frames a clip was made of.

    Attributes:
        video: Its file or name.
        frame_indices: Frames of the video, one a frame of the clip.
        speed: Playback speed.
    """

    video: str = ""
    frame_indices: tuple[int, ...] = ()
    speed: int = 1


@dataclass(frozen=True)
class HeadMaps:
    """One head's view of a pair.

    Attributes:
        similarity: s, the cosine of the two embeddings.
        contribution_i: Signed contributions in c_i, (T', H', W'); they sum to s.
        contribution_j: The same in c_j.
        eq2_i: Eq. 2 verbatim in c_i; nothing for a head that is not linear.
        eq2_j: The same in c_j.
    """

    similarity: float
    contribution_i: Map
    contribution_j: Map
    eq2_i: Map | None
    eq2_j: Map | None

    @property
    def completeness_error(self) -> float:
        """Largest |sum of contributions - s| of the two clips."""
        sums = (self.contribution_i.sum(), self.contribution_j.sum())
        return float(max(abs(total - self.similarity) for total in sums))


@dataclass(frozen=True)
class PairExplanation:
    """Maps of a pair of clips for both heads.

    Attributes:
        heads: ``rsp`` and ``avid``.
        grid_i: Cells of c_i's maps and where they lie in the clip.
        grid_j: The same for c_j.
        clip_i: Where c_i is from.
        clip_j: Where c_j is from.
        model_hash: SHA-256 of the model file.
        units: What the contributions are measured in.
    """

    heads: dict[str, HeadMaps]
    grid_i: Grid
    grid_j: Grid
    clip_i: ClipInfo = field(default_factory=ClipInfo)
    clip_j: ClipInfo = field(default_factory=ClipInfo)
    model_hash: str = ""
    units: str = UNITS

    def save(self, path: str | Path) -> Path:
        """Write ``path`` (.npz with the maps and a JSON manifest), atomically."""
        manifest = {
            "format": "rspnet-pair",
            "version": 1,
            "similarity": {name: maps.similarity for name, maps in self.heads.items()},
            "completeness_error": {
                name: maps.completeness_error for name, maps in self.heads.items()
            },
            "grid_i": self.grid_i.to_json(),
            "grid_j": self.grid_j.to_json(),
            "clip_i": asdict(self.clip_i),
            "clip_j": asdict(self.clip_j),
            "model_hash": self.model_hash,
            "units": self.units,
        }
        arrays: dict[str, Any] = {"manifest": np.array(json.dumps(manifest))}
        for name, maps in self.heads.items():
            for part in ("contribution_i", "contribution_j", "eq2_i", "eq2_j"):
                if getattr(maps, part) is not None:
                    arrays[f"{name}.{part}"] = getattr(maps, part)
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> "PairExplanation":
        """Read what :meth:`save` wrote.

        Raises:
            ValueError: The file is something else.
        """
        try:
            with np.load(path, allow_pickle=False) as stored:
                arrays = dict(stored)
            manifest = json.loads(str(arrays["manifest"]))
        except (OSError, KeyError, ValueError) as error:
            raise ValueError(f"{path} holds no maps of a pair: {error}") from error

        def info(value: dict[str, Any]) -> ClipInfo:
            return ClipInfo(value["video"], tuple(value["frame_indices"]), value["speed"])

        heads = {
            name: HeadMaps(
                similarity=similarity,
                contribution_i=arrays[f"{name}.contribution_i"],
                contribution_j=arrays[f"{name}.contribution_j"],
                eq2_i=arrays.get(f"{name}.eq2_i"),
                eq2_j=arrays.get(f"{name}.eq2_j"),
            )
            for name, similarity in manifest["similarity"].items()
        }
        return cls(
            heads=heads,
            grid_i=Grid.from_json(manifest["grid_i"]),
            grid_j=Grid.from_json(manifest["grid_j"]),
            clip_i=info(manifest["clip_i"]),
            clip_j=info(manifest["clip_j"]),
            model_hash=manifest["model_hash"],
            units=manifest["units"],
        )


def _one_clip(name: str, clip: Tensor) -> Tensor:
    if clip.ndim == 4:
        clip = clip[None]
    if clip.ndim != 5 or clip.shape[:2] != (1, 3):
        raise ValueError(
            f"{name} is one normalised clip (3, T, H, W) or (1, 3, T, H, W), "
            f"got shape {tuple(clip.shape)}"
        )
    return clip


def _array(map_BTHW: Tensor) -> Map:
    return map_BTHW[0].double().cpu().numpy()


@torch.no_grad()
def explain_pair(
    query: Branch,
    key: Branch,
    clip_i: Tensor,
    clip_j: Tensor,
    *,
    info_i: ClipInfo | None = None,
    info_j: ClipInfo | None = None,
    heads: Sequence[str] = ("rsp", "avid"),
) -> PairExplanation:
    """Maps of both heads in both clips, from one forward pass a clip.

    c_i goes through the query branch and its heads, c_j through the key branch and its heads, as
    in training.

    Args:
        query: Query branch.
        key: Momentum branch; the query branch again for a model that has only one.
        clip_i: c_i, normalised, (3, T, H, W).
        clip_j: c_j, the same.
        info_i: Where c_i is from.
        info_j: Where c_j is from.
        heads: Which heads.

    Raises:
        ValueError: A clip or a head does not fit.
    """
    clip_i, clip_j = _one_clip("clip_i", clip_i), _one_clip("clip_j", clip_j)
    # Double from here: a contribution is a small share of s.
    F_i, F_j = query.features(clip_i).double(), key.features(clip_j).double()
    maps = {}
    for name in heads:
        head_i, head_j = query.head(name), key.head(name)
        eq2_i = eq2_j = None
        if isinstance(head_i, torch.nn.Linear) and isinstance(head_j, torch.nn.Linear):
            W_i, W_j = head_i.weight.double(), head_j.weight.double()
            eq2_i = _array(similarity_map(F_i, F_j, W_i, W_j))
            eq2_j = _array(similarity_map(F_j, F_i, W_j, W_i))
        s = (query.project(F_i.float())[name] * key.project(F_j.float())[name]).sum()
        maps[name] = HeadMaps(
            similarity=float(s),
            contribution_i=_array(contribution_map(F_i, F_j, head_i, head_j)),
            contribution_j=_array(contribution_map(F_j, F_i, head_j, head_i)),
            eq2_i=eq2_i,
            eq2_j=eq2_j,
        )
    return PairExplanation(
        heads=maps,
        grid_i=Grid.of(query, F_i.shape[2:], clip_i.shape[2:]),
        grid_j=Grid.of(key, F_j.shape[2:], clip_j.shape[2:]),
        clip_i=info_i or ClipInfo(),
        clip_j=info_j or ClipInfo(),
        model_hash=query.hash,
    )
