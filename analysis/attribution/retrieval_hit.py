"""One hit of a retrieval explained by itself, however far down the list it stands.

:func:`~analysis.attribution.retrieval.explain_retrieval` explains a list from its top. To explain
the hit of rank r alone, it is given a gallery of three videos: query, hit, and the hit that
follows. Neither a cosine nor its map depends on what else is searched. Products of larger matrices
may round the last digit of a cosine in another way, so scores are written as the whole gallery
ranks by them.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from analysis.attribution.retrieval import check_gallery, explain_retrieval, place_in
from analysis.attribution.retrieval_result import RetrievalExplanation
from rspnet.models import Branch
from rspnet.retrieval.gallery import Gallery


def explain_rank(
    branch: Branch, gallery: Gallery, query: str | Path, feature: str, rank: int
) -> RetrievalExplanation:
    """One neighbour of a query, and the exact maps of why it is near.

    Args:
        branch: Query branch of the model that made the gallery, in evaluation mode.
        gallery: What is searched.
        query: A video of the gallery.
        feature: What to rank by: ``backbone``, ``rsp`` or ``avid``.
        rank: Which neighbour, counted from 1.

    Returns:
        A list of the one hit, and its gap to the next unless it is the last.

    Raises:
        ValueError: The query is not of the gallery, there is no such rank or feature, or what
            :func:`~analysis.attribution.retrieval.explain_retrieval` refuses.
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
    near = gallery.nearest(gallery.vectors[feature][own], feature, rank + 1, exclude=path)
    wanted = near[rank - 1]
    found = _ask(branch, gallery, own, feature, [one.index for one in near[rank - 1 :]])
    if found.hits[0].path != str(wanted.path):
        # As near as the next but for rounding: there is no gap to explain.
        found = _ask(branch, gallery, own, feature, [wanted.index])
    (hit,) = found.hits
    score = wanted.similarity
    hit = replace(
        hit,
        rank=rank,
        index=wanted.index,
        similarity=score,
        query_maps=replace(hit.query_maps, score=score),
        hit_maps=replace(hit.hit_maps, score=score),
    )
    gaps = []
    for gap in found.gaps:
        by = score - near[rank].similarity
        maps = replace(gap.query_maps, score=by)
        gaps.append(replace(gap, rank=rank, other_rank=rank + 1, gap=by, query_maps=maps))
    return replace(found, num_videos=num_others, hits=(hit,), gaps=tuple(gaps))


def _ask(
    branch: Branch, gallery: Gallery, own: int, feature: str, others: Sequence[int]
) -> RetrievalExplanation:
    # In the gallery's order, which decides between hits that are equally near.
    picked = gallery.take(sorted([own, *others]))
    return explain_retrieval(branch, picked, gallery.paths[own], feature, 1)


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
