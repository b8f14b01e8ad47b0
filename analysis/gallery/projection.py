"""A gallery as a map in two dimensions::

    python -m analysis projection --gallery G --method pca --label label --out map.png
    python -m analysis projection --gallery G --label_file labels.csv --label set --out map.png

The features are drawn side by side and coloured by one label: ``label`` and ``split`` are the
gallery's own, ``cluster`` is the k-means cluster (``--num_clusters K``), any other is a column of
``--label_file``, a CSV whose column ``path`` or ``clip`` names the files. The coordinates go to a
CSV of the picture's name.

``pca`` is linear, the same every time, and says which share of the variance it shows. ``tsne``
(van der Maaten and Hinton 2008) and ``umap`` (McInnes et al. 2018) keep neighbourhoods; distances
between their groups mean little. They need scikit-learn and umap-learn, which the project does not
install.
"""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from analysis.gallery.neighbours import Floats, Integers, Space
from rspnet.files import atomic_path
from rspnet.retrieval.gallery import Gallery
from rspnet.text import read_text, spreadsheet_cell

METHODS = ("pca", "tsne", "umap")
PERPLEXITY = 30.0
NUM_NEIGHBOURS = 15
_RESTARTS = 10  # of k-means; the best counts


@dataclass(frozen=True, kw_only=True)
class Embedding:
    """A gallery in two dimensions, as one feature sees it.

    Attributes:
        name: Of the feature.
        gallery: What the gallery is called, where there are several.
        method: ``pca``, ``tsne`` or ``umap``.
        points: (N, 2).
        paths: The videos' files.
        labels: What the videos are coloured by; empty where that is not known.
        explained: Share of the variance along each axis, for ``pca``.
        clusters: k-means cluster of each video in the feature's own space, (N,), the largest
            cluster first; none where none were asked for.
        settings: Of the method, in words.
    """

    name: str
    gallery: str = ""
    method: str
    points: Floats
    paths: tuple[str, ...]
    labels: tuple[str, ...]
    explained: tuple[float, float] | None
    clusters: Integers | None
    settings: str

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        names = ("name", "gallery", "method", "settings")
        return {name: getattr(self, name) for name in names} | {
            "explained": list(self.explained) if self.explained else None,
            "paths": list(self.paths),
            "labels": list(self.labels),
            "points": self.points.tolist(),
            "clusters": self.clusters.tolist() if self.clusters is not None else None,
        }


def pca(vectors_ND: NDArray[np.floating]) -> tuple[Floats, tuple[float, float]]:
    """The two principal components, each turned so that its largest loading is positive.

    Returns:
        Coordinates (N, 2) about their mean, and the share of the variance along each axis.

    Raises:
        ValueError: There are fewer than two dimensions, or all vectors are the same.
    """
    mean_D, axes_D2, explained = principal_axes(vectors_ND)
    return (np.asarray(vectors_ND, np.float64) - mean_D) @ axes_D2, explained


def principal_axes(
    vectors_ND: NDArray[np.floating],
) -> tuple[Floats, Floats, tuple[float, float]]:
    """What :func:`pca` projects onto.

    Returns:
        Mean (D,), the two axes (D, 2) at unit length, and the share of the variance along each.

    Raises:
        ValueError: There are fewer than two dimensions, or all vectors are the same.
    """
    X = np.asarray(vectors_ND, np.float64)
    if X.ndim != 2 or X.shape[1] < 2:
        raise ValueError(f"vectors are (N, D) with D of at least 2, got {X.shape}")
    mean_D = X.mean(axis=0)
    X = X - mean_D
    # (D, D), so that many videos cost little.
    variances, directions = np.linalg.eigh(X.T @ X)
    total = float(np.clip(variances, 0, None).sum())
    if not total > 1e-12:
        raise ValueError("all videos have the same vector: there is nothing to spread out")
    axes_D2 = directions[:, -1:-3:-1]
    largest = np.abs(axes_D2).argmax(axis=0)
    axes_D2 = axes_D2 * np.sign(axes_D2[largest, [0, 1]])
    first, second = (max(float(variances[-n]), 0.0) / total for n in (1, 2))
    return mean_D, axes_D2, (first, second)


def _optional(module: str, package: str, method: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise ValueError(
            f"method {method!r} needs {package}, which can't be imported ({error}): run "
            f"`pip install {package}`, or take the method 'pca'"
        ) from error


def _tsne(space: Space, seed: int, perplexity: float, num_neighbours: int) -> Floats:
    if not 1 <= perplexity < len(space):
        raise ValueError(
            f"perplexity is at least 1 and below the number of videos, {len(space)}, got "
            f"{perplexity:g}"
        )
    tsne = _optional("sklearn.manifold", "scikit-learn", "tsne").TSNE(
        perplexity=perplexity, init="pca", learning_rate="auto", random_state=seed
    )
    return np.asarray(tsne.fit_transform(space.vectors), np.float64)


def _umap(space: Space, seed: int, perplexity: float, num_neighbours: int) -> Floats:
    if not 2 <= num_neighbours < len(space):
        raise ValueError(
            f"num_neighbours is at least 2 and below the number of videos, {len(space)}, got "
            f"{num_neighbours}"
        )
    umap = _optional("umap", "umap-learn", "umap").UMAP(
        n_neighbors=num_neighbours, random_state=seed, n_jobs=1
    )
    return np.asarray(umap.fit_transform(space.vectors), np.float64)


_NEIGHBOURHOODS: dict[str, Callable[[Space, int, float, int], Floats]] = {
    "tsne": _tsne,
    "umap": _umap,
}


def kmeans(vectors_ND: NDArray[np.float32], num: int, seed: int = 0) -> Integers:
    """Clusters of vectors at unit length, by k-means with k-means++ starts.

    Args:
        vectors_ND: (N, D).
        num: Number of clusters.
        seed: Fixes the starts.

    Returns:
        A cluster each, (N,); cluster 0 is the largest. Of equal ones the one whose first video
        comes first in the gallery.

    Raises:
        ValueError: ``num`` is not between 1 and the number of vectors.
    """
    if not 1 <= num <= len(vectors_ND):
        raise ValueError(
            f"the number of clusters is between 1 and the {len(vectors_ND)} videos, got {num}"
        )
    cv2.setRNGSeed(seed)
    until = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 100, 1e-6)
    vectors = np.ascontiguousarray(vectors_ND, np.float32)
    # OpenCV's own stub wants labels to start from, its function takes none.
    start: Any = None
    _, found, _ = cv2.kmeans(vectors, num, start, until, _RESTARTS, cv2.KMEANS_PP_CENTERS)
    which = np.asarray(found, np.int64).ravel()
    _, first, sizes = np.unique(which, return_index=True, return_counts=True)
    order = np.lexsort((first, -sizes))
    names = np.unique(which)[order]
    return np.asarray((which[:, None] == names).argmax(axis=1), np.int64)


def embed_space(
    space: Space,
    method: str = "pca",
    *,
    seed: int = 0,
    perplexity: float = PERPLEXITY,
    num_neighbours: int = NUM_NEIGHBOURS,
    num_clusters: int = 0,
) -> Embedding:
    """A gallery in two dimensions.

    Args:
        space: The videos by one feature.
        method: ``pca``, ``tsne`` or ``umap``.
        seed: Fixes t-SNE, UMAP and k-means.
        perplexity: Of t-SNE.
        num_neighbours: Of UMAP.
        num_clusters: k-means clusters; 0 for none.

    Raises:
        ValueError: No such method, its package is not installed, or a number is out of range.
    """
    if method not in METHODS:
        raise ValueError(f"method is one of {list(METHODS)}, got {method!r}")
    explained = None
    if method == "pca":
        points, explained = pca(space.vectors)
        settings = "PCA"
    else:
        points = _NEIGHBOURHOODS[method](space, seed, perplexity, num_neighbours)
        settings = (
            f"t-SNE of perplexity {perplexity:g}, seed {seed}"
            if method == "tsne"
            else f"UMAP of {num_neighbours} neighbours, seed {seed}"
        )
    return Embedding(
        name=space.name,
        method=method,
        points=points,
        paths=tuple(map(str, space.paths)),
        labels=space.labels,
        explained=explained,
        clusters=kmeans(space.vectors, num_clusters, seed) if num_clusters else None,
        settings=settings,
    )


def write_points(path: str | Path, embeddings: Sequence[Embedding]) -> Path:
    """Write coordinates as CSV, atomically: a row a video and feature."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["gallery", "feature", "method", "path", "label", "cluster", "x", "y"])
        for e in embeddings:
            clusters = [""] * len(e.paths) if e.clusters is None else e.clusters.tolist()
            for row, label, cluster, point in zip(
                e.paths, e.labels, clusters, e.points.tolist(), strict=True
            ):
                x, y = (f"{value:.6g}" for value in point)
                words = map(spreadsheet_cell, (e.gallery, e.name, e.method, row, label))
                writer.writerow([*words, cluster, x, y])
    return Path(path)


def read_labels(table: str | Path, column: str, paths: Sequence[Path]) -> tuple[str, ...]:
    """A column of a CSV for videos whose files end with what its column path or clip says.

    Args:
        table: CSV with a column ``path`` or ``clip``.
        column: The labels.
        paths: The videos.

    Returns:
        A label each, empty for a video that is not listed.

    Raises:
        ValueError: The file can't be read, has no such column, or lists none of the videos.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(read_text(table))))
    except (ValueError, csv.Error) as error:
        raise ValueError(f"{table} can't be read as a CSV: {error}") from error
    names = list(rows[0]) if rows else []
    key = next((name for name in ("path", "clip") if name in names), "")
    if not key or column not in names:
        raise ValueError(
            f"{table} is to have a column 'path' or 'clip' and a column {column!r}, it has {names}"
        )
    known = {Path(row[key]).as_posix(): row[column] or "" for row in rows}

    def label_of(path: Path) -> str:
        # The whole path first, then ever shorter ends of it.
        ends = (Path(*path.parts[n:]).as_posix() for n in range(len(path.parts)))
        return next((known[end] for end in ends if end in known), "")

    found = tuple(map(label_of, paths))
    if not any(found):
        raise ValueError(
            f"{table} lists none of the gallery's {len(paths)} videos: its first is "
            f"{rows[0][key]!r}, the gallery's {str(paths[0])!r}"
        )
    return found


def labels_for(gallery: Gallery, label: str, table: str | Path | None) -> tuple[str, ...]:
    """What the videos of a gallery are coloured by; see this module.

    Raises:
        ValueError: The gallery does not know it, and no CSV does.
    """
    if table is not None:
        return read_labels(table, label, gallery.paths)
    if label == "label":
        return gallery.labels
    if label == "split" and gallery.splits:
        return gallery.splits
    raise ValueError(
        f"the gallery does not know {label!r}: take 'label', 'split' or 'cluster', or give a CSV "
        "that has such a column (--label_file)"
    )


def embed_galleries(
    folders: Sequence[str | Path],
    features: Sequence[str] = ("rsp", "avid"),
    *,
    method: str = "pca",
    label: str = "label",
    table: str | Path | None = None,
    seed: int = 0,
    perplexity: float = PERPLEXITY,
    num_neighbours: int = NUM_NEIGHBOURS,
    num_clusters: int = 0,
) -> list[Embedding]:
    """Each feature of each gallery in two dimensions.

    Args:
        folders: Galleries.
        features: Of ``backbone``, ``rsp`` and ``avid``.
        method: See :func:`embed_space`, as for the numbers below.
        label: What to colour by; see this module.
        table: CSV of labels.
        seed: See :func:`embed_space`.
        perplexity: The same.
        num_neighbours: The same.
        num_clusters: The same; ``cluster`` as label needs some.

    Raises:
        ValueError: A gallery or a label can't be read, or a number is out of range.
    """
    if label == "cluster" and not num_clusters:
        raise ValueError("to colour by cluster, say into how many (--num_clusters K)")
    found = []
    for folder in folders:
        gallery = Gallery.load(folder)
        for feature in features:
            made = embed_space(
                Space.of(gallery, feature),
                method,
                seed=seed,
                perplexity=perplexity,
                num_neighbours=num_neighbours,
                num_clusters=num_clusters,
            )
            if label == "cluster" and made.clusters is not None:
                labels = tuple(f"cluster {n}" for n in made.clusters)
            else:
                labels = labels_for(gallery, label, table)
            name = Path(folder).resolve().name if len(folders) > 1 else ""
            found.append(replace(made, labels=labels, gallery=name))
    return found
