"""Results of :mod:`analysis.attribution.retrieval`: neighbours, their maps, gaps between them."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.core.clip_map import ClipMap
from analysis.core.serialisation import save_arrays
from analysis.core.shown import Shown
from rspnet.retrieval.gallery import Protocol
from rspnet.text import Brief

FORMAT = "rspnet-retrieval"


@dataclass(frozen=True, kw_only=True, repr=False)
class VideoMaps(Brief):
    """Maps of all clips of a video, which together sum to one score.

    Attributes:
        path: The video.
        score: What the ranking computed, or a difference of two such scores.
        maps: One a clip of the protocol, in units of the score.
        target: What they are of: clip n's is of u_n . target, with u_n what the clip gives (of a
            head its unit embedding), (D,).
    """

    path: str
    score: float
    maps: tuple[ClipMap, ...]
    target: NDArray[np.float64]

    @property
    def total(self) -> float:
        """Sum of all values of all maps."""
        return float(sum(m.values.sum() for m in self.maps))

    @property
    def completeness_error(self) -> float:
        """|sum of all maps - score|."""
        return abs(self.total - self.score)

    def to_json(self) -> dict[str, Any]:
        """Plain values; the maps' own values go to :meth:`RetrievalExplanation.save`."""
        return {
            "path": self.path,
            "score": self.score,
            "completeness_error": self.completeness_error,
            "shares": [float(m.values.sum()) for m in self.maps],
            "maps": [m.manifest() for m in self.maps],
        }


@dataclass(frozen=True, kw_only=True)
class ExplainedHit:
    """A neighbour of the query, and why it is near.

    Attributes:
        rank: Counted from 1.
        index: Its place in the gallery.
        path: Its file.
        label: Its label.
        similarity: The cosine that it was ranked by.
        query_maps: What each place of the query contributes to that cosine.
        hit_maps: What each place of the hit contributes to it.
    """

    rank: int
    index: int
    path: str
    label: str
    similarity: float
    query_maps: VideoMaps
    hit_maps: VideoMaps

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        names = ("rank", "index", "path", "label", "similarity")
        maps = {"query": self.query_maps.to_json(), "hit": self.hit_maps.to_json()}
        return {name: getattr(self, name) for name in names} | maps


@dataclass(frozen=True, kw_only=True)
class ExplainedGap:
    """Why one neighbour is nearer than another.

    Attributes:
        rank: Rank of the nearer one, j.
        other_rank: Rank of the other, k.
        other_path: Its file.
        gap: Cosine to j minus cosine to k.
        query_maps: What each place of the query contributes to the gap.
    """

    rank: int
    other_rank: int
    other_path: str
    gap: float
    query_maps: VideoMaps

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        names = ("rank", "other_rank", "other_path", "gap")
        return {name: getattr(self, name) for name in names} | {"query": self.query_maps.to_json()}


@dataclass(frozen=True, kw_only=True, repr=False)
class RetrievalExplanation(Shown):
    """The nearest videos to a query by one feature, and the maps of what made them so.

    Attributes:
        feature: ``backbone``, ``rsp`` or ``avid``.
        query: Its file.
        label: Its label, empty if not known.
        protocol: How a video became a vector.
        model_hash: SHA-256 of the model file.
        num_videos: How many videos were searched.
        hits: The nearest first.
        gaps: Each hit against the one that follows it; the last hit's too, unless the gallery ends
            with it.
    """

    feature: str
    query: str
    label: str
    protocol: Protocol
    model_hash: str
    num_videos: int
    hits: tuple[ExplainedHit, ...]
    gaps: tuple[ExplainedGap, ...]

    @property
    def completeness_error(self) -> float:
        """The largest |sum of maps - score| of all scores and gaps."""
        of_hits = [m for hit in self.hits for m in (hit.query_maps, hit.hit_maps)]
        return max(m.completeness_error for m in (*of_hits, *(gap.query_maps for gap in self.gaps)))

    def to_json(self) -> dict[str, Any]:
        """Plain values, without the maps' values."""
        return {
            "format": FORMAT,
            "version": 1,
            "feature": self.feature,
            "query": self.query,
            "label": self.label,
            "protocol": asdict(self.protocol),
            "model_hash": self.model_hash,
            "num_videos": self.num_videos,
            "completeness_error": self.completeness_error,
            "hits": [hit.to_json() for hit in self.hits],
            "gaps": [gap.to_json() for gap in self.gaps],
        }

    def save(self, path: str | Path) -> Path:
        """Write ``path`` (.npz), atomically.

        It holds ``query1``, ``hit1``, ``gap1``, ``query2``, ... by rank, each the maps of all
        clips (num_clips, T', H', W'), and a JSON ``manifest``, which is :meth:`to_json`.
        """
        named = {f"query{hit.rank}": hit.query_maps for hit in self.hits}
        named |= {f"hit{hit.rank}": hit.hit_maps for hit in self.hits}
        named |= {f"gap{gap.rank}": gap.query_maps for gap in self.gaps}
        arrays: dict[str, Any] = {
            name: np.stack([m.values for m in video.maps]) for name, video in named.items()
        }
        return save_arrays(path, self.to_json(), arrays)
