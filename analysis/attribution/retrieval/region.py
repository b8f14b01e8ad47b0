"""Which videos of a gallery match a part of a clip, by one feature, and where in them the match is.

A query's cosine with a video j is v . v_j, and v is a mean over the places of its clips. So a
region R of one clip has a vector of its own, v_R, which sums over R what each place adds to v, and
its share of the cosine is v_R . v_j: the map of :mod:`analysis.attribution.retrieval` summed over
R. Ranking by it needs the gallery's vectors alone. Within a hit, the place q of its clips adds
v_R . (what q adds to v_j): the pairwise map (:mod:`analysis.attribution.pairwise`), summed over R.
Shares sum over the regions of a partition, and over the places of a hit, without a rest.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from analysis.attribution.retrieval.explain import VideoFeatures, check_unchanged, features_of_video
from analysis.attribution.retrieval.result import VideoMaps
from analysis.core.closed_form import local_embeddings
from rspnet.models import evaluation_mode
from rspnet.retrieval.gallery import Gallery


@dataclass(frozen=True)
class RegionHit:
    """A video of a gallery as a region of the query ranks it.

    Attributes:
        index: Its row.
        rank: Counted from 1.
        share: What the region contributes to the cosine of query and video.
    """

    index: int
    rank: int
    share: float


@torch.no_grad()
def region_vector(seen: VideoFeatures, clip: int, cells: NDArray[np.bool_]) -> Tensor:
    """v_R, what some cells of one clip add to the query's vector, (D,) in double precision.

    Args:
        seen: The query.
        clip: Which of its clips, from 0.
        cells: The region, (T', H', W').

    Raises:
        ValueError: No cell is chosen, the mask or the clip does not fit, or the feature is pooled
            by the maximum, of which a place has no fixed share.
    """
    if cells.shape != seen.grid.cells or not cells.any() or not 0 <= clip < len(seen.clips):
        raise ValueError(
            f"a region is one cell or more of {seen.grid.cells} in one of {len(seen.clips)} clips, "
            f"got a mask {cells.shape} of {int(cells.sum())} in the clip {clip}"
        )
    F = seen.features[clip : clip + 1].double()
    if seen.feature != "backbone":
        with evaluation_mode(seen.branch):
            local, z = local_embeddings(F, seen.branch.head(seen.feature))
        local = local / torch.linalg.vector_norm(z)
    elif seen.pooling == "avg":
        local = F.flatten(2)
    else:
        raise ValueError("a region needs features that are averaged: extract with --pooling avg")
    inside = torch.from_numpy(cells.ravel()).to(local.device)
    places = local.shape[2]
    return local[0][:, inside].sum(dim=1).cpu() / (places * len(seen.clips) * seen.length)


def rank_region(gallery: Gallery, feature: str, vector: Tensor, query: int) -> list[RegionHit]:
    """All other videos of a gallery, by what a region contributes to their cosine with the query.

    Args:
        gallery: The videos.
        feature: What v_R is of.
        vector: v_R, (D,).
        query: Row of the query.
    """
    share = gallery.vectors[feature].astype(np.float64) @ vector.numpy()
    order = [int(row) for row in np.argsort(-share, kind="stable") if row != query]
    return [RegionHit(row, rank, float(share[row])) for rank, row in enumerate(order, start=1)]


def match_region(seen: VideoFeatures, gallery: Gallery, vector: Tensor, row: int) -> VideoMaps:
    """Where in a video the match of a region is: maps that sum to the region's share.

    Args:
        seen: The query.
        gallery: The videos.
        vector: v_R.
        row: Of the video.

    Raises:
        ValueError: The video can't be read or has changed.
    """
    found = features_of_video(seen.branch, gallery.paths[row], gallery.protocol, seen.feature)
    check_unchanged(found, gallery, row)
    share = float(torch.from_numpy(gallery.vectors[seen.feature][row]).double() @ vector)
    return found.maps(vector, share, [str(seen.path)], "region")
