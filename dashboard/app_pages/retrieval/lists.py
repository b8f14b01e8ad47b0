"""Which videos a list shows: the nearest of those that are looked at, in some order."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from dashboard.services.embeddings import HASHES, Pool

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from analysis.gallery.query_ranks import QueryRanks

OTHER = {"rsp": "avid", "avid": "rsp", "backbone": "rsp"}
# How a list can be ordered. The first two are of the nearest, and so is the third.
SORTS = {
    "similarity": "Similarity",
    "name": "Name",
    "rank": "Rank by the other head",
    "difference": "Heads disagree",
}
SAID = {
    "rank": "Of the {k} nearest, those first that are farthest down the other head's list.",
    "difference": (
        "Of the videos that are nearer than the average, the {k} that are much nearer by this head "
        "than by the other: by the difference of both similarities to the query, each in standard "
        "deviations (sd) over the gallery."
    ),
}


@dataclass(frozen=True)
class Filter:
    """Which videos are looked at, how many are shown, in which order.

    Attributes:
        k: Most that a list shows.
        sort: One of :data:`SORTS`.
        label: Column and value that all have; empty for any.
        words: Part of the name of all, or empty.
    """

    k: int
    sort: str = "similarity"
    label: tuple[str, str] = ("", "")
    words: str = ""


@dataclass(frozen=True)
class Hit:
    """A video of a list.

    Attributes:
        index: Its row.
        rank: Which of the query's neighbours it is, counted from 1, of the whole gallery.
        similarity: Cosine with the query.
        other_rank: Its rank by the other head.
        difference: Standardised similarity minus that by the other head.
    """

    index: int
    rank: int
    similarity: float
    other_rank: int
    difference: float


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=HASHES)
def ranks_of(pool: Pool, feature: str, query: int) -> "QueryRanks":
    """The whole gallery as a query ranks it.

    Raises:
        ValueError: The query's vector has length 0: no direction to compare.
    """
    from analysis.gallery.query_ranks import rank_all

    return rank_all(pool.gallery, feature, query)


def hits_of(pool: Pool, feature: str, query: int, shown: Filter) -> list[Hit]:
    """What a list shows.

    Args:
        pool: The gallery.
        feature: What ranks it.
        query: Row of the query.
        shown: Which of it are wanted.

    Raises:
        ValueError: As :func:`ranks_of`.
    """
    from analysis.gallery.query_ranks import disputed, z_difference

    own, other = ranks_of(pool, feature, query), ranks_of(pool, OTHER[feature], query)
    difference = z_difference(own, other)
    order = own.order
    if shown.sort == "difference":
        order = disputed(own, other)
    if shown.label[0] or shown.words:
        order = order[_passes(pool, shown.label, shown.words.casefold())[order]]
    rows = order[: shown.k].tolist()
    if shown.sort == "rank":
        rows.sort(key=lambda row: -int(other.rank[row]))
    elif shown.sort == "name":
        rows.sort(key=lambda row: pool.videos[row].name)
    return [
        Hit(
            row,
            int(own.rank[row]),
            float(own.similarity[row]),
            int(other.rank[row]),
            float(difference[row]),
        )
        for row in rows
    ]


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs=HASHES)
def _passes(pool: Pool, label: tuple[str, str], words: str) -> "NDArray[np.bool_]":
    """Whether each video has a label and some words in its name, (N,)."""
    import numpy as np

    return np.array(
        [
            (not label[0] or label in video.labels)
            and words in f"{video.title} {video.name}".casefold()
            for video in pool.videos
        ]
    )
