"""Features of videos, kept part by part so that a stopped benchmark goes on."""

import hashlib
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import adaptive_avg_pool3d, adaptive_max_pool3d
from tqdm import tqdm

from rspnet.data.datasets.labelled import DatasetConfig, load_video_set
from rspnet.data.synthetic.videos import generate, read_labels
from rspnet.data.transforms import normalise
from rspnet.files import atomic_path
from rspnet.models import Branch
from rspnet.retrieval.store import Protocol
from rspnet.retrieval.vectors import load_views

Vectors = NDArray[np.float32]
Embed = Callable[[Path], Mapping[str, Vectors]]
PART = 32  # videos: what is done anew after a stop, at most


@dataclass(frozen=True, kw_only=True)
class Videos:
    """A labelled set: test videos look for training videos.

    Attributes:
        name: ``jhmdb`` or ``generated``.
        paths: Training videos, then test videos.
        labels: For each kind of label one a video.
        num_train: How many are training videos.
    """

    name: str
    paths: tuple[Path, ...]
    labels: dict[str, tuple[str, ...]]
    num_train: int

    @property
    def test_paths(self) -> tuple[Path, ...]:
        """The test videos."""
        return self.paths[self.num_train :]

    def identity(self) -> str:
        """SHA-256 of names, labels and sizes of the files, wherever they lie."""
        digest = hashlib.sha256(f"{self.num_train}\n".encode())
        for path, *labels in zip(self.paths, *self.labels.values(), strict=True):
            name = f"{path.parent.name}/{path.name}"
            digest.update(f"{name} {path.stat().st_size} {labels}\n".encode())
        return digest.hexdigest()


def find_splits(folder: Path) -> Path:
    """``jhmdb_splits.csv`` in JHMDB's folder or beside it.

    Raises:
        ValueError: There is none.
    """
    places = (folder / "jhmdb_splits.csv", folder.parent / "jhmdb_splits.csv")
    for place in places:
        if place.is_file():
            return place
    raise ValueError(
        f"no {places[0]} and no {places[1]}: a CSV with the columns clip, class and hmdb_split1 is "
        "expected there, or named by --jhmdb_splits"
    )


def jhmdb_videos(folder: Path, splits: Path) -> Videos:
    """JHMDB under HMDB51's split 1, by a CSV with the columns clip, class and hmdb_split1.

    Raises:
        ValueError: The folder or the CSV is not there, or a listed video is missing.
    """
    sets = [
        load_video_set(
            DatasetConfig(name="csv", root=str(folder), annotations=str(splits), split=split)
        )
        for split in ("train", "test")
    ]
    missing = [name for part in sets for name in part.missing]
    if missing:
        raise ValueError(
            f"{len(missing)} videos that {splits} lists are not in {folder}, such as {missing[0]}: "
            "numbers compare on all of them only"
        )
    videos = [video for part in sets for video in part.videos]
    return Videos(
        name="jhmdb",
        paths=tuple(video.path for video in videos),
        labels={"action": tuple(video.label for video in videos)},
        num_train=len(sets[0].videos),
    )


def generated_videos(folder: Path, num_videos: int, seed: int) -> Videos:
    """Generated videos: the first half is retrieved for the second by action, actor and set.

    Raises:
        ValueError: The folder holds others, or there are less than two.
    """
    if num_videos < 2:
        raise ValueError(f"at least 2 videos are generated, got {num_videos}")
    generate(folder, num_videos, seed, progress=True)
    rows = read_labels(folder)[:num_videos]
    half = num_videos // 2
    rows = rows[half:] + rows[:half]
    return Videos(
        name="generated",
        paths=tuple(folder / row["path"] for row in rows),
        labels={kind: tuple(row[kind] for row in rows) for kind in ("action", "actor", "set")},
        num_train=num_videos - half,
    )


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
    branch: Branch, path: Path, protocol: Protocol, grids: Sequence[int] = ()
) -> dict[str, Vectors]:
    """What a branch gives for each of the evenly spaced clips of a video (supplementary B).

    One pass gives both poolings. On a CPU clips go in pairs, as in :mod:`rspnet.retrieval.vectors`,
    and a clip that comes twice, as in a video that is little longer than one, goes once.

    Returns:
        ``max`` and ``avg``, the pooled features (clips, C), the unit embeddings ``rsp`` and
        ``avid`` (clips, 128), and those of the grids.

    Raises:
        ValueError: The video can't be read, or a feature is not finite.
    """
    views = load_views(path, protocol)
    device = next(branch.parameters()).device
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
        for name, rows in (pooled | grid_features(F, grids)).items():
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
        about: All that they depend on, as plain JSON values; other values lie apart.
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
        for number, begin in enumerate(range(0, len(paths), PART)):
            some = paths[begin : begin + PART]
            path = own / f"part-{number:04d}.npz"
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
