"""What excites a unit of a head or a layer: the videos with most of it, and where in them.

A unit is one of a head's 128 dimensions, d. A video's value of it is v_d, the entry d of its
vector (:mod:`analysis.attribution.retrieval`), so that ranking a gallery by it needs its vectors
alone. Since v_d = v . e_d, with e_d the unit vector along d, the value has an exact map as every
score of a video has: of a linear head it is W_d F, row d of its weights applied to the features in
each cell, over the lengths that the vector is divided by. The maps of all clips of a video sum to
v_d. With ``backbone`` a unit is a channel of the last features, with the name of a layer one of
what that layer gives. Galleries hold no vectors of layers, so these are made anew, of the videos of
at most :data:`MOST_CLIPS` clips, by a forward pass a clip.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from analysis.attribution.retrieval.explain import check_gallery, check_unchanged, features_of_video
from analysis.attribution.retrieval.layers import layers_of
from analysis.attribution.retrieval.result import VideoMaps
from analysis.core.serialisation import save_arrays
from analysis.core.shown import Shown
from rspnet.data.sampling import evenly_spaced
from rspnet.models import Branch
from rspnet.retrieval.gallery import Gallery, Protocol, largest

MOST_CLIPS = 400  # that are sent through the encoder for a unit of a layer


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
        feature: ``rsp`` or ``avid``; of a channel ``backbone`` or the layer.
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
        feature: ``rsp`` or ``avid``; or ``backbone`` or a layer of the encoder, such as ``layer2``,
            of which a unit is a channel. Of a layer videos are taken evenly spaced in the gallery,
            as many as have 400 clips, each of which goes through the encoder.
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
    known = feature in gallery.vectors
    if not known and feature not in layers_of(branch):
        layers, features = ", ".join(layers_of(branch)), ", ".join(gallery.vectors)
        raise ValueError(
            f"a unit is one of a layer ({layers}) or of a feature ({features}), got {feature!r}"
        )
    if known:
        check_unit(feature, unit, gallery.vectors[feature].shape[1])
    if not 1 <= num <= len(gallery):
        raise ValueError(f"num is between 1 and the gallery's {len(gallery)} videos, got {num}")
    if known:
        rows = largest(gallery.vectors[feature][:, unit], num).tolist()
    else:
        rows = rows_of_layer(gallery, num)
    found: list[tuple[float, int, VideoMaps]] = []
    for row in rows:
        video = features_of_video(branch, gallery.paths[row], gallery.protocol, feature)
        check_unit(feature, unit, video.clips.shape[1])
        if known:
            check_unchanged(video, gallery, row)
            value = float(gallery.vectors[feature][row, unit])
        else:
            value = float(video.vector[unit])
        if len(found) < num or value > found[-1][0]:
            along = torch.zeros(video.clips.shape[1], dtype=torch.float64)
            along[unit] = 1
            found.append((value, row, video.maps(along, value, [], f"unit {unit}")))
            found = sorted(found, key=lambda own: (-own[0], own[1]))[:num]
    return UnitClips(
        feature=feature,
        unit=unit,
        protocol=gallery.protocol,
        model_hash=branch.hash,
        num_videos=len(gallery) if known else len(rows),
        videos=tuple(
            UnitVideo(rank=rank, index=row, label=gallery.labels[row], value=value, maps=maps)
            for rank, (value, row, maps) in enumerate(found, start=1)
        ),
    )


def rows_of_layer(gallery: Gallery, num: int) -> list[int]:
    """The videos that a unit of a layer is looked for in, at least ``num``, evenly spaced."""
    most = max(num, MOST_CLIPS // gallery.protocol.num_clips)
    return list(evenly_spaced(range(len(gallery)), most))


def check_unit(feature: str, unit: int, num: int) -> None:
    """Refuse a unit that is not there.

    Raises:
        ValueError: It is not.
    """
    if not 0 <= unit < num:
        raise ValueError(f"units of {feature} are numbered from 0 to {num - 1}, got {unit}")
