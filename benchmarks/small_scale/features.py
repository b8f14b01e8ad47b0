"""Features of videos, kept part by part so that a stopped benchmark goes on."""

import hashlib
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import adaptive_avg_pool3d, adaptive_max_pool3d, normalize
from tqdm import tqdm

from rspnet.data.transforms import normalise
from rspnet.files import atomic_path
from rspnet.models import Branch
from rspnet.retrieval.store import Protocol
from rspnet.retrieval.vectors import load_views

Vectors = NDArray[np.float32]
Embed = Callable[[Path], Mapping[str, Vectors]]
PART = 32  # videos: what is done anew after a stop, at most


def moments(x: torch.Tensor) -> torch.Tensor:
    """Mean, variance and skewness over time, each of the three at length 1.

    What the mean over time leaves out: how much a feature changes, and whether it is rarely high or
    rarely low. At length 1 the three weigh alike in a cosine.

    Args:
        x: A feature a time, (B, C, T). The skewness of what does not change is 0.

    Returns:
        (B, 3 C).
    """
    mean = x.mean(dim=2)
    centred = x - mean[..., None]
    variance = centred.square().mean(dim=2)
    # Of equal values rounding leaves differences, whose skewness would be noise.
    flat = variance <= (1e-5 * x.abs().amax(dim=2)).square()
    skewness = centred.pow(3).mean(dim=2) / variance.clamp_min(1e-30).pow(1.5)
    parts = (mean, variance, skewness.masked_fill(flat, 0))
    return torch.cat([normalize(part, dim=1) for part in parts], dim=1)


def grid_features(F: torch.Tensor, grids: Sequence[int]) -> dict[str, torch.Tensor]:
    """Both poolings in each field of a grid over the frame, so that places are kept.

    Args:
        F: Features of the last stage, (B, C, T, H, W).
        grids: Rows and columns of each grid.

    Returns:
        ``max, 4 x 4`` and its like, (B, C * 4 * 4).

    Raises:
        ValueError: A grid is finer than the features.
    """
    found = {}
    for grid in grids:
        if not 1 <= grid <= min(F.shape[3:]):
            raise ValueError(
                f"features of {F.shape[3]} x {F.shape[4]} places are pooled on grids of 1 to "
                f"{min(F.shape[3:])}, got {grid}"
            )
        shape = (1, grid, grid)
        for name, pool in (("max", adaptive_max_pool3d), ("avg", adaptive_avg_pool3d)):
            found[f"{name}, {grid} x {grid}"] = pool(F, shape).flatten(1)
    return found


@torch.inference_mode()
def clip_features(
    branch: Branch,
    path: Path,
    protocol: Protocol,
    grids: Sequence[int] = (),
    with_moments: bool = False,
) -> dict[str, Vectors]:
    """What a branch gives for each of the evenly spaced clips of a video (supplementary B).

    One pass gives both poolings. On a CPU clips go in pairs, as in :mod:`rspnet.retrieval.vectors`,
    and a clip that comes twice, as in a video that is little longer than one, goes once.

    Returns:
        ``max`` and ``avg``, the pooled features (clips, C), the unit embeddings ``rsp`` and
        ``avid`` (clips, 128), those of the grids, and ``max, moments`` and ``avg, moments``,
        :func:`moments` of the features pooled over the frame.

    Raises:
        ValueError: The video can't be read, or a feature is not finite.
    """
    views = load_views(path, protocol)
    device = branch.device
    _, first, which = np.unique(views.starts, return_index=True, return_inverse=True)
    clips = views.frames[views.places[first]]
    step = 2 if device.type == "cpu" else len(clips)
    found: dict[str, list[Vectors]] = {}
    for begin in range(0, len(clips), step):
        own = clips[begin : begin + step]
        # Kernels are chosen by the size of a batch: a last clip alone would be rounded otherwise.
        batch = own if len(own) == step else np.concatenate([own, own])
        F = branch.features(normalise(torch.from_numpy(batch).to(device)))
        pooled = {"max": F.amax(dim=(2, 3, 4)), "avg": F.mean(dim=(2, 3, 4)), **branch.project(F)}
        pooled |= grid_features(F, grids)
        if with_moments:
            pooled["max, moments"] = moments(F.amax(dim=(3, 4)))
            pooled["avg, moments"] = moments(F.mean(dim=(3, 4)))
        for name, rows in pooled.items():
            found.setdefault(name, []).append(rows[: len(own)].float().cpu().numpy())
    features = {name: np.concatenate(rows)[which] for name, rows in found.items()}
    if not all(np.isfinite(rows).all() for rows in features.values()):
        raise ValueError("the model gives features that are not finite: its weights are invalid")
    return features


def _read(path: Path, num: int) -> dict[str, Vectors] | None:
    try:
        with np.load(path, allow_pickle=False) as stored:
            found = dict(stored)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None  # not there, or damaged: made anew
    return found if found and all(len(rows) == num for rows in found.values()) else None


def embed_all(
    folder: Path, about: Mapping[str, Any], paths: Sequence[Path], embed: Embed, title: str
) -> dict[str, Vectors]:
    """Embed videos, or read what was embedded before.

    Args:
        folder: Of all features that are kept.
        about: All that they depend on but the videos, as plain JSON values; other values lie
            apart. Parts of the same videos are shared by all lists that have them in one place.
        paths: Videos.
        embed: Gives the features of a video, each (clips, D).
        title: For the progress bar.

    Returns:
        Each (N, clips, D).

    Raises:
        ValueError: A video can't be read.
    """
    text = json.dumps(about, sort_keys=True, indent=1)
    own = folder / hashlib.sha256(text.encode()).hexdigest()[:16]
    own.mkdir(parents=True, exist_ok=True)
    with atomic_path(own / "about.json") as temporary:
        temporary.write_text(text)
    parts = []
    with tqdm(total=len(paths), desc=title, unit="video", leave=False, disable=None) as bar:
        for begin in range(0, len(paths), PART):
            some = paths[begin : begin + PART]
            names = "".join(f"{p.parent.name}/{p.name} {p.stat().st_size}\n" for p in some)
            path = own / f"part-{hashlib.sha256(names.encode()).hexdigest()[:16]}.npz"
            part = _read(path, len(some))
            if part is None:
                rows = []
                for video in some:
                    rows.append(embed(video))
                    bar.update()
                part = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
                with atomic_path(path) as temporary, temporary.open("wb") as file:
                    np.savez(file, **part)  # type: ignore[arg-type]
            else:
                bar.update(len(some))
            parts.append(part)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
