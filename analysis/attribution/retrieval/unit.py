"""What excites a unit of a head: the videos of a gallery with most of it, and where in them.

A unit is one of a head's 128 dimensions, d. A video's value of it is v_d, the entry d of its
vector (:mod:`analysis.attribution.retrieval`), so that ranking a gallery by it needs its vectors
alone. Since v_d = v . e_d, with e_d the unit vector along d, the value has an exact map as every
score of a video has: of a linear head it is W_d F, row d of its weights applied to the features in
each cell, over the lengths that the vector is divided by. The maps of all clips of a video sum to
v_d. With ``backbone`` a unit is a channel of the last features.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from analysis.attribution.retrieval.explain import check_gallery, check_unchanged, features_of_video
from analysis.attribution.retrieval.result import VideoMaps
from analysis.core.serialisation import save_arrays
from analysis.core.shown import Shown
from rspnet.models import Branch
from rspnet.retrieval.gallery import Gallery, Protocol, largest


@dataclass(frozen=True, kw_only=True)
class UnitVideo:
    """A video of a gallery that excites a unit.

    Attributes:
        rank: Counted from 1.
        index: Its place in the gallery.
        label: Its label.
        value: v_d.
        maps: What each place of its clips adds to v_d.
    """

    rank: int
    index: int
    label: str
    value: float
    maps: VideoMaps


@dataclass(frozen=True, kw_only=True, repr=False)
class UnitClips(Shown):
    """The videos of a gallery that excite a unit most, and where.

    Attributes:
        feature: ``rsp`` or ``avid``; of a channel ``backbone``.
        unit: d, counted from 0.
        protocol: How a video became a vector.
        model_hash: SHA-256 of the model file.
        num_videos: How many videos were ranked.
        videos: The most excited first.
    """

    feature: str
    unit: int
    protocol: Protocol
    model_hash: str
    num_videos: int
    videos: tuple[UnitVideo, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values, without the maps' values."""
        names = ("rank", "index", "label", "value")
        return {
            "format": "rspnet-unit",
            "version": 1,
            "feature": self.feature,
            "unit": self.unit,
            "protocol": asdict(self.protocol),
            "model_hash": self.model_hash,
            "num_videos": self.num_videos,
            "videos": [
                {name: getattr(own, name) for name in names} | own.maps.to_json()
                for own in self.videos
            ],
        }

    def save(self, path: str | Path) -> Path:
        """Write ``path`` (.npz): ``video1``, ... (num_clips, T', H', W') and a ``manifest``."""
        arrays: dict[str, Any] = {
            f"video{own.rank}": np.stack([m.values for m in own.maps.maps]) for own in self.videos
        }
        return save_arrays(path, self.to_json(), arrays)


def explain_unit(
    branch: Branch, gallery: Gallery, feature: str, unit: int, num: int = 5
) -> UnitClips:
    """The videos of a gallery that excite a unit most, with the exact maps of where.

    Args:
        branch: Query branch of the model that made the gallery.
        gallery: The videos.
        feature: ``rsp`` or ``avid``; or ``backbone``, of which a unit is a channel.
        unit: d, counted from 0.
        num: How many videos.

    Raises:
        ValueError: There is no such feature or unit, or not so many videos; another model made the
            gallery; or a video can't be read or has changed.

    Example:
        >>> import tempfile
        >>> from analysis import example_branch, explain_unit
        >>> from rspnet.data.synthetic.videos import generate
        >>> from rspnet.retrieval.gallery import Protocol, embed_videos
        >>> branch = example_branch()
        >>> folder = generate(tempfile.mkdtemp(), 2, num_workers=1, progress=False)
        >>> small = Protocol(num_clips=2, num_frames=8, size=32)
        >>> gallery = embed_videos(branch, sorted(folder.rglob("*.mp4")), small, progress=False)
        >>> found = explain_unit(branch, gallery, "rsp", 17, num=1)
        >>> own = found.videos[0]
        >>> bool(own.value == max(gallery.vectors["rsp"][:, 17]))
        True
        >>> own.maps.completeness_error < 1e-6
        True
    """
    check_gallery(branch, gallery)
    if feature not in gallery.vectors:
        raise ValueError(f"feature is one of {', '.join(gallery.vectors)}, got {feature!r}")
    vectors = gallery.vectors[feature]
    if not 0 <= unit < vectors.shape[1]:
        raise ValueError(
            f"units of {feature} are numbered from 0 to {vectors.shape[1] - 1}, got {unit}"
        )
    if not 1 <= num <= len(gallery):
        raise ValueError(f"num is between 1 and the gallery's {len(gallery)} videos, got {num}")
    along = torch.zeros(vectors.shape[1], dtype=torch.float64)
    along[unit] = 1
    found = []
    for rank, row in enumerate(largest(vectors[:, unit], num).tolist(), start=1):
        video = features_of_video(branch, gallery.paths[row], gallery.protocol, feature)
        check_unchanged(video, gallery, row)
        value = float(vectors[row, unit])
        maps = video.maps(along, value, [], f"unit {unit}")
        found.append(
            UnitVideo(rank=rank, index=row, label=gallery.labels[row], value=value, maps=maps)
        )
    return UnitClips(
        feature=feature,
        unit=unit,
        protocol=gallery.protocol,
        model_hash=branch.hash,
        num_videos=len(gallery),
        videos=tuple(found),
    )
