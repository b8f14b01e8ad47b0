"""Video retrieval: ``python -m rspnet.retrieve --gallery TRAIN --queries TEST``.

Both are galleries of ``python -m rspnet.extract``, made by one model and protocol. A query is
right at k if any of its k nearest videos (by the cosine) has its class (supplementary B). Of
equally near videos the one that comes first in the gallery is the nearer. A query's own file is
passed over, so that a gallery that queries itself is measured leaving one out. A query whose
class the gallery lacks is never right. With ``--index approximate`` neighbours are those that
:mod:`rspnet.retrieval.approximate` finds; how many of the true ones these are is printed.
"""

import json
import math
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rspnet.commands import one_of, run_cli
from rspnet.files import atomic_path, printable
from rspnet.recognition.result import bootstrap_interval
from rspnet.retrieval.approximate import ApproximateIndex
from rspnet.retrieval.gallery import Gallery
from rspnet.retrieval.store import FEATURES, Vectors, protocol_differences

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Index = Literal["exact", "approximate"]

KS = (1, 5, 10, 20, 50)
_CELLS = 2**24  # similarities in memory at once
_PAIRS = 2**21  # of which so many are looked at again at once, and numbers in their vectors

# Supplementary, Table 1; below the line later work. Top-1, 5, 10, 20, 50 in %.
PUBLISHED: tuple[tuple[str, tuple[float | None, ...]], ...] = (
    ("OPN", (19.9, 28.7, 34.0, 40.6, 51.6)),
    ("Büchler et al. CaffeNet", (25.7, 36.2, 42.2, 49.2, 59.5)),
    ("ClipOrder R3D", (14.1, 30.3, 40.0, 51.1, 66.5)),
    ("SpeedNet S3D-G", (13.0, 28.1, 37.5, 49.5, 65.0)),
    ("VCP R(2+1)D", (19.9, 33.7, 42.0, 50.5, 64.4)),
    ("Pace C3D", (31.9, 49.7, 59.2, 68.9, 80.2)),
    ("RSPNet C3D", (36.0, 56.7, 66.5, 76.3, 87.7)),
    ("RSPNet ResNet-18", (41.1, 59.4, 68.4, 77.8, 88.7)),
    ("IIC R3D", (42.4, 60.9, 69.2, 77.1, 86.5)),
    ("CoCLR RGB S3D", (53.3, None, None, None, None)),
    ("TCLR R3D-18", (56.2, None, None, None, None)),
    ("random weights R3D", (9.9, 18.9, 26.0, 35.5, 51.9)),
)


@dataclass(frozen=True)
class RetrievalResult:
    """What :func:`retrieve` measured.

    Attributes:
        feature: ``backbone``, ``rsp`` or ``avid``.
        top_k: Share of the queries that are right at k, in %.
        intervals: Their 95% intervals in %, by a bootstrap over queries.
        num_queries: Queries.
        num_gallery: Videos in the gallery.
        num_unmatchable: Queries whose class no other video of the gallery has.
        recall_at_10: Share of the ten nearest that an approximate index finds; None: exact.
    """

    feature: str
    top_k: dict[int, float]
    intervals: dict[int, tuple[float, float]]
    num_queries: int
    num_gallery: int
    num_unmatchable: int
    recall_at_10: float | None = None


def check_comparable(gallery: Gallery, queries: Gallery) -> None:
    """Refuse galleries whose vectors do not compare.

    Raises:
        ValueError: They were made by two models or two protocols.
    """
    found = protocol_differences(gallery.protocol, queries.protocol)
    if gallery.model_hash != queries.model_hash:
        models = [
            f"{g.model or 'a model'} ({g.model_hash[:12] or 'no hash'})" for g in (gallery, queries)
        ]
        found.insert(0, f"model {models[0]} and {models[1]}")
    if found:
        raise ValueError(
            "gallery and queries were not made by one model and protocol, so their vectors do not "
            f"compare: {'; '.join(found)}. Extract one of them again"
        )


def _own_places(gallery: Gallery, queries: Gallery) -> list[list[int]]:
    """For each query, where in the gallery its own file is."""
    places: dict[str, list[int]] = {}  # a path itself is slow to look up
    for i, path in enumerate(gallery.paths):
        places.setdefault(str(path), []).append(i)
    return [places.get(str(path), []) for path in queries.paths]


class _Exact:
    """Similarities in fp64 of some pairs of a query and a video of the gallery.

    Equal vectors are equally near.
    """

    def __init__(self, gallery: Vectors) -> None:
        self.gallery = gallery

    @cached_property
    def _distinct(self) -> tuple[Floats, Integers]:
        """Distinct rows, and which of them each is: a product may round two columns of the same
        numbers differently."""
        seen: dict[bytes, int] = {}
        rows = [seen.setdefault(row.tobytes(), len(seen)) for row in self.gallery]
        which = np.array(rows, np.int64)
        first = np.unique(which, return_index=True)[1]
        return self.gallery[first].astype(np.float64), which

    def of(self, queries: Vectors, rows: Integers, columns: Integers) -> Floats:
        """Of the queries ``rows`` and the videos ``columns``, pair by pair."""
        if len(columns) > 32 * len(queries):
            known, which = self._distinct
            return np.asarray((queries.astype(np.float64) @ known.T)[rows, which[columns]])
        found = np.empty(len(columns))
        piece = max(1, _PAIRS // queries.shape[1])
        for begin in range(0, len(columns), piece):
            some = slice(begin, begin + piece)
            products = queries[rows[some]].astype(np.float64)
            products *= self.gallery[columns[some]]
            found[some] = products.sum(axis=1)
        return found


def _check_searchable(gallery: Gallery, queries: Gallery, feature: str) -> int:
    """Videos in the gallery."""
    if feature not in FEATURES:
        raise ValueError(f"feature is one of {list(FEATURES)}, got {feature!r}")
    if not len(gallery) or not len(queries):
        raise ValueError(
            f"there are {len(queries)} queries and {len(gallery)} videos in the gallery"
        )
    return len(gallery)


def first_right(gallery: Gallery, queries: Gallery, feature: str) -> Integers:
    """Which of its neighbours, counted from 1, is the first of a query's own class.

    All similarities are computed in fp32. What differs from that of a query's nearest video of its
    class by more than fp32 may be off is nearer or farther for certain; the others, a few for a
    query, are computed in fp64. Beside a copy of the gallery's vectors that takes about 150 MB,
    however many queries and videos there are.

    Returns:
        One for each query, (Q,); 0 where no other video of the gallery has its class.

    Raises:
        ValueError: No such feature, or one of the galleries is empty.
    """
    num = _check_searchable(gallery, queries, feature)
    names = {label: i for i, label in enumerate(dict.fromkeys(gallery.labels))}
    labels = np.array([names[label] for label in gallery.labels])
    wanted = np.array([names.get(label, -1) for label in queries.labels])
    order = np.argsort(labels, kind="stable")  # a class's videos stand side by side
    labels, place, own = labels[order], np.argsort(order), _own_places(gallery, queries)
    known = np.ascontiguousarray(gallery.vectors[feature][order], np.float32)
    vectors = np.asarray(queries.vectors[feature], np.float32)
    exact, ranks = _Exact(known), np.zeros(len(vectors), np.int64)
    margin = _margin(known, vectors)
    by_class, step = np.argsort(wanted, kind="stable"), max(1, _CELLS // num)
    for begin in range(0, len(vectors), step):
        some = by_class[begin : begin + step]
        similarity = vectors[some] @ known.T
        for row, i in enumerate(some):
            if own[i]:
                similarity[row, place[own[i]]] = -np.inf
        best = np.full(len(some), -np.inf, np.float32)
        for label in np.unique(wanted[some]):
            own_rows, own_columns = (
                slice(*np.searchsorted(rising, [label, label + 1]))
                for rising in (wanted[some], labels)
            )
            if label >= 0:
                best[own_rows] = similarity[own_rows, own_columns].max(axis=1)
        matched = np.isfinite(best)
        low, high = (best + side * np.float32(margin) for side in (-1, 1))
        nearer = np.count_nonzero(similarity > high[:, None], axis=1)
        as_near = np.count_nonzero(similarity >= low[:, None], axis=1) - nearer
        ranks[some[matched]] = 1 + nearer[matched]
        unsure = np.flatnonzero(matched & (as_near > 1))
        pieces = np.diff(np.cumsum(as_near[unsure]) // _PAIRS)
        for open_ in np.split(unsure, np.flatnonzero(pieces) + 1) if len(unsure) else ():
            near = similarity[open_]
            rows, columns = np.nonzero((near >= low[open_, None]) & (near <= high[open_, None]))
            values = exact.of(vectors[some[open_]], rows, columns)
            right = labels[columns] == wanted[some[open_]][rows]
            ranks[some[open_]] += _nearer(rows, values, order[columns], right)
    return ranks


def _margin(known: Vectors, vectors: Vectors) -> float:
    """Twice what a product in fp32 may be off, in whatever order it is summed, and a bit more."""
    terms = (known.shape[1] + 8) * 2.0**-24
    squares = [float(np.einsum("nd,nd->n", v, v).max()) for v in (known, vectors)]
    return float(2.1 * terms / (1 - terms) * math.sqrt(squares[0] * squares[1]))


def _nearer(rows: Integers, values: Floats, places: Integers, right: NDArray[np.bool_]) -> Integers:
    """Of each row, how many videos are nearer than the nearest that is right.

    Args:
        rows: The row of each video, rising.
        values: Its similarity.
        places: Its place in the gallery; of equally near videos the first is the nearer.
        right: Whether its class is the query's; of each row at least one is.
    """
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    counts = np.diff(starts, append=len(rows))
    best = np.repeat(np.maximum.reduceat(np.where(right, values, -np.inf), starts), counts)
    as_near = values == best
    at_best = np.where(right & as_near, places, np.iinfo(np.int64).max)
    first = np.repeat(np.minimum.reduceat(at_best, starts), counts)
    before = (values > best) | (as_near & (places < first))
    return np.add.reduceat(before, starts, dtype=np.int64)


def _first_found(
    gallery: Gallery, queries: Gallery, feature: str, num: int
) -> tuple[Integers, float]:
    """:func:`first_right` among ``num`` neighbours of an approximate index, and its recall@10.

    Where none of them is right, the place is past the end of the gallery.
    """
    _check_searchable(gallery, queries, feature)
    own = _own_places(gallery, queries)
    own_files = max(map(len, own))
    index = ApproximateIndex(gallery.vectors[feature])
    vectors = queries.vectors[feature]
    counts, labels = Counter(gallery.labels), gallery.labels
    ranks = np.zeros(len(queries), np.int64)
    for i, row in enumerate(index.nearest(vectors, num + own_files)):
        label = queries.labels[i]
        if counts[label] > sum(labels[j] == label for j in own[i]):
            found = [labels[j] == label for j in row if j >= 0 and j not in own[i]]
            ranks[i] = 1 + (found.index(True) if True in found else len(gallery))
    return ranks, index.recall(vectors, skip=own_files)


def retrieve(
    gallery: Gallery,
    queries: Gallery,
    feature: str,
    ks: Sequence[int] = KS,
    index: Index = "exact",
) -> RetrievalResult:
    """Measure retrieval; see this module.

    Args:
        gallery: Videos that are searched.
        queries: Videos that are searched for; may be the gallery itself.
        feature: ``backbone`` (paper), ``rsp`` or ``avid``.
        ks: Numbers of neighbours.
        index: ``exact``, or ``approximate`` for galleries of hundreds of thousands of videos.

    Raises:
        ValueError: The galleries do not compare, one is empty or of a single class, there is no
            such feature, a k is not positive or larger than the number of videos that a query
            can find, or an approximate index is requested without faiss.
    """
    check_comparable(gallery, queries)
    if len(set(gallery.labels)) == 1:
        raise ValueError(
            f"all videos of the gallery are of the class {printable(gallery.labels[0])!r}: "
            "whatever the model, 100% of such queries would count as correct. Two or more classes "
            "are needed"
        )
    least = len(gallery) - max(map(len, _own_places(gallery, queries)), default=0)
    ks = list(dict.fromkeys(ks))
    if not ks or min(ks) < 1 or max(ks) > least:
        skipped = "" if least == len(gallery) else ", without a query's own file"
        raise ValueError(
            f"every k is between 1 and the {least} videos of the gallery{skipped}, got {ks}"
        )
    recall = None
    if index == "exact":
        places = first_right(gallery, queries, feature)
    else:
        places, recall = _first_found(gallery, queries, feature, max(ks))
    right = {k: ((places > 0) & (places <= k)).astype(np.float64) for k in ks}
    return RetrievalResult(
        feature=feature,
        top_k={k: 100 * float(values.mean()) for k, values in right.items()},
        intervals={
            k: (100 * low, 100 * high)
            for k, (low, high) in ((k, bootstrap_interval(v)) for k, v in right.items())
        },
        num_queries=len(queries),
        num_gallery=len(gallery),
        num_unmatchable=int((places == 0).sum()),
        recall_at_10=recall,
    )


def report(gallery: Gallery, queries: Gallery, results: Sequence[RetrievalResult]) -> Any:
    """Results with their protocol, as plain values for JSON.

    The first result's numbers stand at the top (``top_k``, ...), all of them in ``features``.
    """

    def source(g: Gallery) -> dict[str, Any]:
        return {"dataset": g.dataset, "num_videos": len(g), "num_unreadable": len(g.skipped)}

    def numbers(r: RetrievalResult) -> dict[str, Any]:
        return {
            "feature": r.feature,
            "top_k": {str(k): value for k, value in r.top_k.items()},
            "interval": {str(k): list(pair) for k, pair in r.intervals.items()},
            "num_queries": r.num_queries,
            "num_gallery": r.num_gallery,
            "num_unmatchable": r.num_unmatchable,
            **({} if r.recall_at_10 is None else {"recall_at_10": r.recall_at_10}),
        }

    return {
        "protocol": {
            **asdict(gallery.protocol),
            "model": gallery.model,
            "model_hash": gallery.model_hash,
            "similarity": "cosine",
            "right_at_k": "any of the k nearest is of the query's class",
        },
        "gallery": source(gallery),
        "queries": source(queries),
        **numbers(results[0]),
        "features": {r.feature: numbers(r) for r in results},
    }


def _source(gallery: Gallery) -> str:
    d = gallery.dataset
    if not d:
        return f"{len(gallery)} videos"
    return f"{len(gallery)} videos of {d['name']} {d['split']}, split {d['fold']}"


def _table(gallery: Gallery, queries: Gallery, results: Sequence[RetrievalResult]) -> str:
    p, ks = gallery.protocol, list(results[0].top_k)
    rate = "each file's own fps" if p.fps is None else f"{p.fps:g} fps"
    header = f"{'top-k, %':26}" + "".join(f"{f'k = {k}':>10}" for k in ks)
    lines = [
        f"{_source(queries)}, looked for in {_source(gallery)}",
        f"{gallery.model} ({gallery.model_hash[:12]}): {p.num_clips} clips of {p.num_frames} x "
        f"{p.size} x {p.size} at {rate}, {p.pooling} pooling, cosine",
        "",
        header,
    ]
    for r in results:
        lines.append(f"{r.feature:26}" + "".join(f"{r.top_k[k]:10.1f}" for k in ks))
        pairs = (f"{r.intervals[k][0]:.0f} - {r.intervals[k][1]:.0f}" for k in ks)
        lines.append(f"{'  95% interval':26}" + "".join(f"{pair:>10}" for pair in pairs))
        if r.recall_at_10 is not None:
            lines.append(f"  approximate index: {r.recall_at_10:.1%} of the 10 nearest found")
    if results[0].num_unmatchable:
        lines.append(f"{results[0].num_unmatchable} queries are of a class that the gallery lacks")
    lines += [
        "",
        "Published, UCF101 split 1 (RSPNet pre-trained on Kinetics-400). They compare with UCF101",
        "split 1 only:",
    ]
    for name, values in PUBLISHED:
        by_k = dict(zip(KS, values, strict=True))
        cells = [by_k.get(k) for k in ks]
        lines.append(f"{name:26}" + "".join(f"{'-' if v is None else v:>10}" for v in cells))
    return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class RetrieveConfig:
    """Video retrieval.

    Attributes:
        gallery: Folder of ``python -m rspnet.extract``: the videos that are searched.
        queries: Folder of ``python -m rspnet.extract``: the videos that are searched for. May be
            the gallery itself, of which each query then skips its own file.
        k: Numbers of neighbours.
        feature: The feature that is compared. Nothing: all, one after the other.
        index: exact compares each query with every video. approximate (with faiss-cpu, for
            hundreds of thousands of videos) looks where near ones are likely, and prints how many
            of the 10 nearest it finds.
        out: JSON file for the result. Nothing: print only.
    """

    gallery: str
    queries: str
    k: list[int] = field(default_factory=lambda: list(KS))
    feature: str | None = one_of(FEATURES, None)
    index: Index = "exact"
    out: str | None = None


def _run(config: RetrieveConfig) -> None:
    gallery, queries = Gallery.load(config.gallery), Gallery.load(config.queries)
    features = [config.feature] if config.feature else FEATURES
    results = [retrieve(gallery, queries, f, config.k, config.index) for f in features]
    print(_table(gallery, queries, results))
    if config.out:
        with atomic_path(config.out) as temporary:
            temporary.write_text(json.dumps(report(gallery, queries, results), indent=2) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    return run_cli(
        RetrieveConfig,
        _run,
        arguments,
        prog="python -m rspnet.retrieve",
        description="Measure top-k of video retrieval with galleries of python -m rspnet.extract.",
        examples=(
            "python -m rspnet.retrieve --gallery runs/train --queries runs/test",
            "python -m rspnet.retrieve --gallery runs/gallery --queries runs/gallery --k 1 5",
        ),
        out="file",
    )


if __name__ == "__main__":
    sys.exit(main())
