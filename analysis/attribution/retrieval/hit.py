"""One hit of a retrieval explained by itself, however far down the list it stands."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from analysis.attribution.retrieval.explain import (
    check_gallery,
    check_unchanged,
    explain_gap,
    explain_hit,
    features_of_video,
    place_in,
)
from analysis.attribution.retrieval.result import RetrievalExplanation, VideoMaps
from analysis.core.clip import View, static_clip
from analysis.core.clip_map import Map
from analysis.core.ledger import static_part
from analysis.core.score import Score, extract_features
from rspnet.models import Branch
from rspnet.retrieval.gallery import Gallery


def explain_rank(
    branch: Branch, gallery: Gallery, query: str | Path, feature: str, rank: int
) -> RetrievalExplanation:
    """One neighbour of a query, and the exact maps of why it is near.

    Args:
        branch: Query branch of the model that made the gallery.
        gallery: What is searched.
        query: A video of the gallery.
        feature: What to rank by: ``backbone``, ``rsp`` or ``avid``.
        rank: Which neighbour, counted from 1.

    Returns:
        A list of the one hit, and its gap to the next unless it is the last.

    Raises:
        ValueError: The query is not of the gallery, there is no such rank or feature, or what
            :func:`~analysis.attribution.retrieval.explain_retrieval` refuses.

    Example:
        >>> import tempfile
        >>> from analysis import example_branch, explain_rank
        >>> from rspnet.data.synthetic.videos import generate
        >>> from rspnet.retrieval.gallery import embed_videos
        >>> branch = example_branch()
        >>> folder = generate(tempfile.mkdtemp(), 2, num_workers=1, progress=False)
        >>> videos = sorted(folder.rglob("*.mp4"))
        >>> gallery = embed_videos(branch, videos, progress=False)
        >>> (hit,) = explain_rank(branch, gallery, videos[0], "rsp", rank=1).hits
        >>> hit.rank, hit.query_maps.completeness_error < 1e-6
        (1, True)
    """
    check_gallery(branch, gallery)
    own = place_in(gallery, query)
    if own is None:
        raise ValueError(
            f"the query is a video of the gallery, {query} is none: give one of its "
            f"{len(gallery)}, or extract the gallery anew with it"
        )
    if feature not in gallery.vectors:
        raise ValueError(f"feature is one of {list(gallery.vectors)}, got {feature!r}")
    path = gallery.paths[own]
    num_others = len(gallery) - gallery.paths.count(path)
    if not 1 <= rank <= num_others:
        raise ValueError(
            f"rank is between 1 and the {num_others} other videos of the gallery, got {rank}"
        )
    vector = gallery.vectors[feature][own]
    near = gallery.nearest(vector, feature, rank + 1, exclude=path)
    seen = features_of_video(branch, path, gallery.protocol, feature)
    check_unchanged(seen, gallery, own)
    hit = explain_hit(seen, gallery, rank, near[rank - 1], torch.from_numpy(vector).double())
    following = near[rank:]
    return RetrievalExplanation(
        feature=feature,
        query=str(path),
        label=gallery.labels[own],
        protocol=gallery.protocol,
        model_hash=branch.hash,
        num_videos=num_others,
        hits=(hit,),
        gaps=tuple(explain_gap(seen, gallery, rank, near[rank - 1], one) for one in following),
    )


def score_of_clips(branch: Branch, video: VideoMaps) -> Score:
    """What the map of each clip of a video is of, as a score that other clips can be put to.

    Args:
        branch: Query branch of the model that gave the maps.
        video: Maps of a head.

    Raises:
        ValueError: The maps are of the backbone, which has no head.

    Example:
        >>> import tempfile
        >>> from analysis import example_branch, explain_rank, load_view
        >>> from rspnet.data.synthetic.videos import generate
        >>> from rspnet.retrieval.gallery import Protocol, embed_videos
        >>> branch = example_branch()
        >>> folder = generate(tempfile.mkdtemp(), 2, num_workers=1, progress=False)
        >>> videos = sorted(folder.rglob("*.mp4"))
        >>> small = Protocol(num_clips=2, num_frames=8, size=32)
        >>> gallery = embed_videos(branch, videos, small, progress=False)
        >>> own = explain_rank(branch, gallery, videos[0], "rsp", rank=1).hits[0].query_maps
        >>> view = load_view(videos[0], 8, 32, start=own.maps[0].clip.frame_indices[0])
        >>> made = score_of_clips(branch, own).contributions(extract_features(branch, view))
        >>> bool(abs(made.values - own.maps[0].values).max() < 1e-6)
        True
    """
    head = video.maps[0].head
    if head not in branch.heads:
        raise ValueError(
            f"the score of a clip is by one of the heads {', '.join(branch.heads)}, and these maps "
            f"are of the {head}: explain the retrieval by a head"
        )
    target = torch.from_numpy(video.target).to(branch.device)
    return Score(branch, head, target, others=video.maps[0].others)


def still_part(branch: Branch, video: VideoMaps, view: View) -> Map:
    """What stands still in the map of one of a video's clips; two forward passes.

    It is of :func:`~analysis.core.ledger.static_part`: the map minus it is what movement adds.

    Args:
        branch: As for :func:`score_of_clips`.
        video: Its maps.
        view: The clip.

    Shape:
        -> (T', H', W').

    Raises:
        ValueError: As :func:`score_of_clips`.
    """
    own, held = (extract_features(branch, one) for one in (view, static_clip(view)))
    return static_part(score_of_clips(branch, video), own, held)


def join_ranks(found: Sequence[RetrievalExplanation]) -> RetrievalExplanation:
    """Explanations of single hits as that of a list, for a figure or a file.

    Args:
        found: Of one query by one feature, by rank.

    Raises:
        ValueError: There is none, or they are of several queries, features or models.
    """
    if len({(one.query, one.feature, one.model_hash, one.num_videos) for one in found}) != 1:
        raise ValueError(
            f"explanations of one query, feature and gallery make a list, got {len(found)} of "
            f"{[(one.query, one.feature) for one in found]}"
        )
    return replace(
        found[0],
        hits=tuple(hit for one in found for hit in one.hits),
        gaps=tuple(gap for one in found for gap in one.gaps),
    )
