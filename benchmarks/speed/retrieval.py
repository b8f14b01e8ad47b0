"""Retrieval: exact against a flat index of faiss, and PyTorch's product and topk; approximate."""

import time
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.harness import Work
from benchmarks.speed.records import Row, against
from rspnet.retrieval.approximate import ApproximateIndex
from rspnet.retrieval.gallery import Gallery, Protocol
from rspnet.retrieval.store import Vectors
from rspnet.retrieve import first_right

PACKAGES = ("numpy", "torch", "faiss-cpu")
_CLASSES = 101


class Names:
    """Names of as many files as there are, made when they are looked at."""

    def __init__(self, prefix: str, num: int) -> None:
        self.prefix, self.num = prefix, num

    def __len__(self) -> int:
        return self.num

    def __getitem__(self, index: int) -> Path:
        return Path(f"{self.prefix}{index}")


def _vectors(labels: NDArray[np.int64], size: int, rng: np.random.Generator) -> Vectors:
    centres = np.random.default_rng(0).normal(size=(_CLASSES, size))
    found = 1 + 0.2 * centres[labels] + rng.normal(size=(len(labels), size))
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32)


def _gallery(prefix: str, num: int, size: int, rng: np.random.Generator) -> Gallery:
    labels = rng.integers(0, _CLASSES, num)
    vectors = {"backbone": _vectors(labels, size, rng)}
    paths = tuple(Path(f"{prefix}{i}") for i in range(num))
    return Gallery(paths, tuple(map(str, labels)), vectors, "", Protocol())


def _faiss() -> Any:
    try:
        return import_module("faiss")
    except ImportError:
        return None


def _peers(known: Vectors, queries: Vectors, num: int) -> dict[str, Work]:
    on_torch, asked = torch.from_numpy(known), torch.from_numpy(queries)

    def topk() -> None:
        step = max(1, 2**23 // len(known))
        for begin in range(0, len(asked), step):
            torch.topk(asked[begin : begin + step] @ on_torch.T, num)

    found: dict[str, Work] = {"torch matmul and topk": topk}
    faiss = _faiss()
    if faiss is not None:
        faiss.omp_set_num_threads(torch.get_num_threads())
        index = faiss.IndexFlatIP(known.shape[1])
        index.add(known)
        found["faiss IndexFlatIP"] = lambda: index.search(queries, num)
    return found


def grouped_vectors(num: int, rng: np.random.Generator) -> Vectors:
    """Vectors of 128 numbers in 1,000 groups of 16 dimensions, with noise in all."""
    centres, axes = (rng.standard_normal((n, 128), np.float32) for n in (1000, 16))
    known = centres[rng.integers(0, 1000, num)]
    known += np.float32(0.35) * (rng.standard_normal((num, 16), np.float32) @ axes)
    known += np.float32(0.4) * rng.standard_normal((num, 128), np.float32)
    return np.asarray(known / np.linalg.norm(known, axis=1, keepdims=True), np.float32)


def _approximate(known: Vectors, queries: Vectors, rounds: int) -> list[Row]:
    """One query and all of them, each beside the same search of all vectors."""
    begun = time.process_time()
    index = ApproximateIndex(known)
    note = (
        f"recall@10 {index.recall(queries):.3f}, {index.num_searched:,} of {index.num_lists:,} "
        f"lists, built in {time.process_time() - begun:.0f} s"
    )
    found = []
    for some, title in ((queries[:1], "one"), (queries, f"{len(queries)}")):
        name = f"approximate: 10 nearest to {title} of {len(known):,} x 128"
        own = partial(index.nearest, some, 10)
        found += against(name, own, _peers(known, some, 10), rounds, note)
    return found


def rows(rounds: int, scale: float = 1.0) -> list[Row]:
    """Ranks of all queries of UCF101, split 1, and the nearest to one among a million.

    With faiss the nearest among a million by an approximate index as well, of vectors in groups: of
    random ones it has to look through nearly all.

    Args:
        rounds: Of each.
        scale: Of the numbers of videos.
    """
    rng = np.random.default_rng(0)
    gallery = _gallery("g", int(9537 * scale), 512, rng)
    queries = _gallery("q", int(3783 * scale), 512, rng)
    peers = _peers(gallery.vectors["backbone"], queries.vectors["backbone"], 50)
    name = f"rank of the first of its class, {len(queries):,} in {len(gallery):,} x 512"
    found = against(name, lambda: first_right(gallery, queries, "backbone"), peers, rounds)
    num = int(1_000_000 * scale)
    known = rng.normal(size=(num, 128)).astype(np.float32)
    known /= np.linalg.norm(known, axis=1, keepdims=True)
    names: Any = Names("g", num)
    many = Gallery(names, names, {"avid": known}, "", Protocol())
    query = known[17].copy()
    name = f"10 nearest to one of {num:,} x 128"
    own = lambda: many.nearest(query, "avid", 10, exclude=Path("g17"))  # noqa: E731
    found += against(name, own, _peers(known, query[None], 10), 2 * rounds)
    if _faiss() is None:
        return found
    grouped = grouped_vectors(num + 64, rng)
    return found + _approximate(grouped[:num], grouped[num:], rounds)
