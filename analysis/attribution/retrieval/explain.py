"""Why is that video near to this one? Maps of what a retrieval ranks by::

    python -m analysis retrieval --gallery G --query V.mp4 --feature rsp --k 5 --out DIR

Retrieval ranks by the cosine of two videos' vectors (:mod:`rspnet.retrieval.gallery`). A vector is
the mean over the protocol's N clips of what each gives, u_n, at unit length::

    v = m / |m|,  m = (u_1 + ... + u_N) / N,  s = v_query . v_hit

with u_n the pooled features themselves (``backbone``) or the unit embedding of a head (``rsp``,
``avid``). So the clip n adds u_n . v_hit / (N |m|) to s, and that is resolved over its places as
exactly as a single clip's score is: :func:`~analysis.core.closed_form.directed_map` for a head,
:func:`~analysis.core.closed_form.pooled_map` for average and for max pooling, where a channel's
value belongs to the cells that won it. The maps of all clips of a video sum to s. With v_j - v_k in
place of v_hit they sum to the gap between two hits, in which all that both share cancels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from analysis.attribution.retrieval.layers import kept_outputs, layer_grid, layers_of
from analysis.attribution.retrieval.result import (
    ExplainedGap,
    ExplainedHit,
    RetrievalExplanation,
    VideoMaps,
)
from analysis.core.clip import ClipInfo, Frames
from analysis.core.clip_map import ClipMap
from analysis.core.closed_form import directed_map, pooled_map
from analysis.core.grid import Grid
from rspnet.data.sampling import clip_indices, pace_of
from rspnet.data.transforms import normalise
from rspnet.data.video.reader import VideoReader
from rspnet.files import label_of
from rspnet.models import Branch, evaluation_mode
from rspnet.retrieval.gallery import FEATURES, Gallery, Neighbour, Protocol, Vectors
from rspnet.retrieval.store import protocol_differences
from rspnet.retrieval.vectors import load_views

UNITS = "share of the cosine of two videos, per cell"
# A video's vector made anew differs by this much at most where other kernels round it.
_TOLERANCE = 1e-3
_BATCH = 2  # clips in a forward pass, as galleries are made on a CPU


@dataclass(frozen=True, kw_only=True)
class VideoFeatures:
    """A video after the forward passes of its clips, seen by one feature.

    Attributes:
        path: Its file.
        branch: What it went through.
        feature: ``backbone``, ``rsp``, ``avid`` or a layer of the encoder.
        pooling: Of the backbone's or the layer's features, ``max`` or ``avg``.
        features: F of all clips, (N, C, T', H', W') float32; of a layer what that gives.
        clips: What each clip gives, u, (N, D) in double precision.
        infos: Where each clip is from.
        starts: First frame of each.
        grid: Where the cells lie in a clip.
    """

    path: Path
    branch: Branch
    feature: str
    pooling: str
    features: Tensor
    clips: Tensor
    infos: tuple[ClipInfo, ...]
    starts: tuple[int, ...]
    grid: Grid

    @property
    def length(self) -> float:
        """|m|, of the mean over clips."""
        return float(torch.linalg.vector_norm(self.clips.mean(dim=0)))

    @property
    def vector(self) -> Tensor:
        """v, the video's vector, (D,) at unit length in double precision."""
        return self.clips.mean(dim=0) / self.length

    @torch.no_grad()
    def maps(
        self, target: Tensor, score: float, others: Sequence[str], kind: str = "retrieval"
    ) -> VideoMaps:
        """What each place of each clip contributes to v . t.

        Args:
            target: t, (D,), such as another video's vector.
            score: What the ranking says that v . t is.
            others: The videos that t is made of.
            kind: Name of the maps.

        Raises:
            ValueError: The target does not fit, or the head is of a kind that has no exact map.
        """
        t = target.to(self.clips)
        if t.shape != self.clips.shape[1:]:
            raise ValueError(
                f"the target is one vector {tuple(self.clips.shape[1:])}, got {tuple(t.shape)}"
            )
        own = t / (len(self.clips) * self.length)
        target_ND = own.expand(len(self.clips), -1)
        F = self.features.double()
        if self.feature not in self.branch.heads:
            # A clip's pooled features enter the mean at their own length, which the map divides by.
            length_N1 = torch.linalg.vector_norm(self.clips, dim=1, keepdim=True)
            values = pooled_map(F, target_ND * length_N1, self.pooling)
        else:
            values = directed_map(F, self.branch.head(self.feature), target_ND)
        scores_N = (self.clips * target_ND).sum(dim=1)
        maps = tuple(
            ClipMap(
                values=map_values.cpu().numpy(),
                score=float(own_score),
                head=self.feature,
                kind=kind,
                grid=self.grid,
                clip=info,
                others=tuple(ClipInfo(other) for other in others),
                model_hash=self.branch.hash,
                exact=True,
                units=UNITS,
            )
            for map_values, own_score, info in zip(values, scores_N, self.infos, strict=True)
        )
        return VideoMaps(path=str(self.path), score=score, maps=maps, target=own.cpu().numpy())


@torch.no_grad()
def _forward(branch: Branch, clips: Frames, layer: str | None) -> Tensor:
    device, found = branch.device, []
    layers = {} if layer is None else {layer: layers_of(branch)[layer]}
    with evaluation_mode(branch), kept_outputs(layers) as kept:
        for part in torch.split(torch.from_numpy(clips), _BATCH):
            last = branch.features(normalise(part.to(device)))
            if layers and not kept:
                raise ValueError(f"{layer} gives no features (B, C, T, H, W): name another layer")
            found.append(last if layer is None else kept[layer])
    F = torch.cat(found)
    if not torch.isfinite(F).all():
        raise ValueError("the model gives features that are not finite: its weights are invalid")
    return F


@torch.no_grad()
def features_of_video(
    branch: Branch, path: str | Path, protocol: Protocol, feature: str
) -> VideoFeatures:
    """Send the clips of a protocol through a branch, as a gallery does.

    Args:
        branch: Query branch.
        path: A video file.
        protocol: Of the gallery.
        feature: ``backbone``, ``rsp`` or ``avid``; or a layer of the encoder
            (:func:`analysis.attribution.retrieval.layers.layers_of`), whose features are averaged.

    Raises:
        ValueError: No such feature, the video can't be read, or the features are not finite.
    """
    layer = None if feature in FEATURES else feature
    if layer is not None and layer not in layers_of(branch):
        raise ValueError(f"feature is one of {[*FEATURES, *layers_of(branch)]}, got {feature!r}")
    views = load_views(path, protocol)
    with VideoReader(path) as reader:
        length, pace = len(reader), pace_of(reader.fps, protocol.fps)
    infos = tuple(
        ClipInfo(
            str(path),
            tuple(clip_indices(start, protocol.num_frames, protocol.speed, length, pace)),
            protocol.speed,
        )
        for start in views.starts
    )
    F = _forward(branch, views.frames[views.places], layer)
    pooling = protocol.pooling if layer is None else "avg"
    if feature in branch.heads:
        with evaluation_mode(branch):
            u = branch.project(F)[feature]
    else:
        u = F.amax(dim=(2, 3, 4)) if pooling == "max" else F.mean(dim=(2, 3, 4))
    clip = (protocol.num_frames, protocol.size, protocol.size)
    grid_of = Grid.of if layer is None else layer_grid
    found = VideoFeatures(
        path=Path(path),
        branch=branch,
        feature=feature,
        pooling=pooling,
        features=F,
        clips=u.double(),
        infos=infos,
        starts=views.starts,
        grid=grid_of(branch, tuple(F.shape[2:]), clip),
    )
    if not found.length > 0:
        raise ValueError(f"the {feature} vector of {path} has length 0: it has no cosine")
    return found


def check_gallery(branch: Branch, gallery: Gallery, protocol: Protocol | None = None) -> None:
    """Refuse a gallery whose vectors a model would not make.

    Args:
        branch: Query branch of the model.
        gallery: What is searched.
        protocol: How the vectors are to have been made; nothing: as the gallery says.

    Raises:
        ValueError: It was made by another model or protocol.
    """
    found = []
    if gallery.model_hash != branch.hash:
        found.append(
            f"model {gallery.model or 'unnamed'} ({gallery.model_hash[:12] or 'no hash'}) and "
            f"{branch.hash[:12] or 'no hash'}"
        )
    if protocol is not None:
        found += protocol_differences(gallery.protocol, protocol)
    if found:
        raise ValueError(
            "the gallery was made by another model or protocol than what is to explain it (the "
            f"gallery's and the one given): {'; '.join(found)}. Give the gallery's own, or extract "
            "it anew"
        )


def check_unchanged(video: VideoFeatures, gallery: Gallery, index: int) -> None:
    """Refuse a video whose vector is no longer the gallery's."""
    known = torch.from_numpy(gallery.vectors[video.feature][index])
    away = float(torch.linalg.vector_norm(video.vector.cpu() - known.double()))
    starts = gallery.clip_starts[index] if gallery.clip_starts else ()
    if away > _TOLERANCE or (starts and starts != video.starts):
        raise ValueError(
            f"{video.path} gives another {video.feature} vector than the gallery holds (they are "
            f"{away:.2g} apart): the file has changed, or the gallery was made by another model "
            "or protocol than it says. Extract it anew"
        )


def place_in(gallery: Gallery, video: str | Path) -> int | None:
    """Where a file stands in a gallery, under whatever name; nothing if it does not."""
    wanted = Path(video).resolve()
    places = (n for n, path in enumerate(gallery.paths) if path.resolve() == wanted)
    return next(places, None)


def explain_retrieval(
    branch: Branch,
    gallery: Gallery,
    query: str | Path,
    feature: str = "rsp",
    num: int = 5,
    *,
    protocol: Protocol | None = None,
) -> RetrievalExplanation:
    """The nearest videos to a query, and the exact maps of why they are.

    Args:
        branch: Query branch of the model that made the gallery.
        gallery: What is searched.
        query: A video file. One that the gallery holds is passed over in the search.
        feature: What to rank by: ``backbone``, ``rsp`` or ``avid``.
        num: How many neighbours.
        protocol: Refuse a gallery that was not made by this one.

    Raises:
        ValueError: Another model or protocol made the gallery, a video can't be read or has
            changed, there are fewer videos than ``num``, or the head has no exact map.

    Example:
        >>> import tempfile
        >>> from analysis import example_branch, explain_retrieval
        >>> from rspnet.data.synthetic.videos import generate
        >>> from rspnet.retrieval.gallery import embed_videos
        >>> branch = example_branch()
        >>> folder = generate(tempfile.mkdtemp(), 2, num_workers=1, progress=False)
        >>> videos = sorted(folder.rglob("*.mp4"))
        >>> gallery = embed_videos(branch, videos, progress=False)
        >>> found = explain_retrieval(branch, gallery, videos[0], "rsp", num=1)
        >>> [hit.rank for hit in found.hits], found.completeness_error < 1e-6
        ([1], True)
    """
    check_gallery(branch, gallery, protocol)
    seen = features_of_video(branch, query, gallery.protocol, feature)
    own = place_in(gallery, query)
    others = len(gallery)
    label = label_of(seen.path) if label_of(seen.path) in gallery.labels else ""
    vector: Vectors = seen.vector.float().cpu().numpy()
    exclude = None
    if own is not None:
        check_unchanged(seen, gallery, own)
        exclude, label = gallery.paths[own], gallery.labels[own]
        vector = gallery.vectors[feature][own]
        others -= gallery.paths.count(exclude)
    if not 1 <= num <= others:
        raise ValueError(
            f"num is between 1 and the {others} other videos of the gallery, got {num}"
        )
    near = gallery.nearest(vector, feature, num + 1, exclude=exclude)
    target = torch.from_numpy(vector).double()
    hits = [
        explain_hit(seen, gallery, rank, one, target)
        for rank, one in enumerate(near[:num], start=1)
    ]
    pairs = enumerate(pairwise(near), start=1)
    return RetrievalExplanation(
        feature=feature,
        query=str(query),
        label=label,
        protocol=gallery.protocol,
        model_hash=branch.hash,
        num_videos=others,
        hits=tuple(hits),
        gaps=tuple(explain_gap(seen, gallery, rank, j, k) for rank, (j, k) in pairs),
    )


def _vector(gallery: Gallery, feature: str, one: Neighbour) -> Tensor:
    return torch.from_numpy(gallery.vectors[feature][one.index]).double()


def explain_hit(
    seen: VideoFeatures, gallery: Gallery, rank: int, one: Neighbour, target: Tensor
) -> ExplainedHit:
    """Maps of why a video is near, in the query and in the video.

    Args:
        seen: The query.
        gallery: What was searched.
        rank: Of the video, counted from 1.
        one: The video.
        target: The query's vector, (D,).

    Raises:
        ValueError: The video can't be read or has changed.
    """
    found = features_of_video(seen.branch, one.path, gallery.protocol, seen.feature)
    check_unchanged(found, gallery, one.index)
    own = _vector(gallery, seen.feature, one)
    return ExplainedHit(
        rank=rank,
        index=one.index,
        path=str(one.path),
        label=one.label,
        similarity=one.similarity,
        query_maps=seen.maps(own, one.similarity, [str(one.path)]),
        hit_maps=found.maps(target, one.similarity, [str(seen.path)]),
    )


def explain_gap(
    seen: VideoFeatures, gallery: Gallery, rank: int, j: Neighbour, k: Neighbour
) -> ExplainedGap:
    """The map of how much nearer to the query one hit is than the next one, ``k``."""
    target = _vector(gallery, seen.feature, j) - _vector(gallery, seen.feature, k)
    gap = j.similarity - k.similarity
    return ExplainedGap(
        rank=rank,
        other_rank=rank + 1,
        other_path=str(k.path),
        gap=gap,
        query_maps=seen.maps(target, gap, [str(j.path), str(k.path)], "retrieval gap"),
    )
