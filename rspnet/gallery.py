"""A gallery: one feature vector a video, and the nearest of them.

A video is represented by clips at 1x, evenly spaced over its length. ``backbone`` is the mean
over clips of the globally pooled features, ``rsp`` and ``avid`` the mean of the L2-normalised
embeddings of either head; each is L2-normalised in the end, so that a dot product is the cosine.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from rspnet.checkpoint import atomic_path
from rspnet.data.sampling import clip_indices, clip_span
from rspnet.data.transforms import eval_frames, normalise
from rspnet.data.video import VideoReader
from rspnet.models import Branch
from rspnet.models.heads import global_average_pool

Vectors = NDArray[np.float32]
FEATURES = ("backbone", "rsp", "avid")
FORMAT = "rspnet-gallery"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Neighbour:
    """A video of a gallery that is near to a vector.

    Attributes:
        index: Its place in the gallery.
        path: Its file.
        label: Its label.
        similarity: Cosine of the two vectors.
    """

    index: int
    path: Path
    label: str
    similarity: float


@dataclass(frozen=True)
class Gallery:
    """Feature vectors of videos.

    Attributes:
        paths: Files, in the order of the vectors.
        labels: One a video: the name of its folder.
        vectors: ``backbone`` (N, C), ``rsp`` (N, 128) and ``avid`` (N, 128), L2-normalised.
        model_hash: SHA-256 of the model file.
        num_clips: Clips a video.
        skipped: (path, reason) of videos that could not be read or are too short.
    """

    paths: tuple[Path, ...]
    labels: tuple[str, ...]
    vectors: dict[str, Vectors]
    model_hash: str
    num_clips: int
    skipped: tuple[tuple[Path, str], ...] = ()

    def nearest(
        self,
        vector: Vectors,
        feature: str,
        num: int = 5,
        exclude: Path | None = None,
    ) -> list[Neighbour]:
        """The videos with the largest cosine to a vector, the nearest first.

        Args:
            vector: (D,), of any length above 0.
            feature: ``backbone``, ``rsp`` or ``avid``.
            num: How many; fewer if the gallery has fewer.
            exclude: A file that is passed over, such as the query's own.

        Raises:
            ValueError: No such feature, or a vector that does not fit or has length 0.
        """
        if feature not in self.vectors:
            raise ValueError(f"feature is one of {list(self.vectors)}, got {feature!r}")
        known = self.vectors[feature]
        length = float(np.linalg.norm(vector))
        if vector.shape != known.shape[1:] or not length > 0:
            raise ValueError(
                f"a vector of {feature!r} has the shape {known.shape[1:]} and a length above 0, "
                f"got {vector.shape} of length {length:g}"
            )
        similarity = known @ (vector / length).astype(np.float32)
        order = np.argsort(-similarity, kind="stable")
        found = [int(i) for i in order if self.paths[i] != exclude][:num]
        return [Neighbour(i, self.paths[i], self.labels[i], float(similarity[i])) for i in found]

    def save(self, path: str | Path) -> Path:
        """Write ``path`` (.npz: vectors and a JSON manifest), atomically."""
        manifest = {
            "format": FORMAT,
            "version": FORMAT_VERSION,
            "paths": [str(p) for p in self.paths],
            "labels": list(self.labels),
            "model_hash": self.model_hash,
            "num_clips": self.num_clips,
            "skipped": [[str(p), reason] for p, reason in self.skipped],
        }
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez(file, manifest=np.array(json.dumps(manifest)), **self.vectors)  # type: ignore[arg-type]
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> "Gallery":
        """Read what :meth:`save` wrote.

        Raises:
            ValueError: The file is missing, damaged or something else.
        """
        try:
            with np.load(path, allow_pickle=False) as stored:
                arrays = dict(stored)
            manifest = json.loads(str(arrays.pop("manifest")))
            if manifest["format"] != FORMAT or manifest["version"] > FORMAT_VERSION:
                raise ValueError(f"it is of the format {manifest['format']!r}")
            return cls(
                paths=tuple(Path(p) for p in manifest["paths"]),
                labels=tuple(manifest["labels"]),
                vectors={name: arrays[name] for name in FEATURES},
                model_hash=manifest["model_hash"],
                num_clips=manifest["num_clips"],
                skipped=tuple((Path(p), reason) for p, reason in manifest["skipped"]),
            )
        # An archive that was cut off raises whatever its first broken part makes of it.
        except Exception as error:
            raise ValueError(f"{path} holds no gallery of videos: {error}") from error


def even_starts(video_length: int, num_frames: int, num_clips: int) -> list[int]:
    """Starts of clips at 1x, evenly spaced from the first possible to the last."""
    last = max(0, video_length - clip_span(num_frames, 1))
    if num_clips == 1:
        return [last // 2]
    return [round(i * last / (num_clips - 1)) for i in range(num_clips)]


def _normalised(vector: NDArray[np.float64]) -> Vectors:
    return (vector / max(float(np.linalg.norm(vector)), 1e-12)).astype(np.float32)


@torch.inference_mode()
def embed_video(branch: Branch, path: str | Path, num_clips: int = 4) -> dict[str, Vectors]:
    """The vectors of one video; see this module.

    Args:
        branch: Query branch.
        path: A video file.
        num_clips: Clips, evenly spaced.

    Returns:
        ``backbone`` (C,), ``rsp`` (128,) and ``avid`` (128,), L2-normalised.

    Raises:
        ValueError: The video can't be read or is shorter than a clip.
    """
    with VideoReader(path) as reader:
        if len(reader) < branch.num_frames:
            raise ValueError(
                f"{path}: {len(reader)} frames, a clip of this model takes {branch.num_frames}"
            )
        starts = even_starts(len(reader), branch.num_frames, num_clips)
        indices = [clip_indices(start, branch.num_frames, 1) for start in starts]
        wanted = sorted({i for clip in indices for i in clip})
        frames = eval_frames(reader.get_frames(wanted), branch.size)
    place = {frame: i for i, frame in enumerate(wanted)}
    clips = np.stack([frames[[place[i] for i in clip]] for clip in indices])
    device = next(branch.parameters()).device
    F = branch.features(normalise(torch.from_numpy(clips).to(device)))
    parts = {"backbone": global_average_pool(F), **branch.project(F)}
    return {
        name: _normalised(part.double().mean(dim=0).cpu().numpy()) for name, part in parts.items()
    }


def embed_videos(
    branch: Branch,
    paths: Sequence[str | Path],
    *,
    num_clips: int = 4,
    progress: bool = True,
    on_video: Callable[[int], None] | None = None,
    lock: AbstractContextManager[object] | None = None,
) -> Gallery:
    """Embed videos into a gallery. Those that can't be used are listed in ``skipped``.

    Args:
        branch: Query branch.
        paths: Video files.
        num_clips: Clips a video.
        progress: Show a progress bar.
        on_video: Called after every video with how many are done.
        lock: Held while one video is embedded, for a branch that others use as well.

    Raises:
        ValueError: None of the videos can be used.
    """
    kept: list[Path] = []
    rows: list[dict[str, Vectors]] = []
    skipped: list[tuple[Path, str]] = []
    bar = tqdm(paths, desc="Embedding", unit="video", leave=False, disable=not progress)
    for number, path in enumerate(map(Path, bar), start=1):
        try:
            with lock or nullcontext():
                rows.append(embed_video(branch, path, num_clips))
            kept.append(path)
        except ValueError as error:
            skipped.append((path, str(error)))
        if on_video is not None:
            on_video(number)
    if not rows:
        reason = f"; the first: {skipped[0][1]}" if skipped else ""
        raise ValueError(f"none of {len(paths)} videos can be embedded{reason}")
    return Gallery(
        paths=tuple(kept),
        labels=tuple(path.parent.name for path in kept),
        vectors={name: np.stack([row[name] for row in rows]) for name in FEATURES},
        model_hash=branch.hash,
        num_clips=num_clips,
        skipped=tuple(skipped),
    )
