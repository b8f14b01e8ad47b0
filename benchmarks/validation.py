"""What a search may look at: training videos that look for each other, never the test videos."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.small_scale.features import Vectors
from benchmarks.small_scale.measures import video_vectors
from rspnet.data.sampling import clip_span, evenly_spaced
from rspnet.data.sources import scan_files
from rspnet.evaluate import evaluate_pretext
from rspnet.weights.checkpoint import load_model

KS = (1, 5, 20)
SPEEDS = (1, 2)  # of the order that is evaluated, whatever a model was trained with


def read_sources(splits: Path, paths: Sequence[Path]) -> list[str]:
    """From which film or web video each clip was cut, by a CSV with the columns clip and source.

    Raises:
        ValueError: The CSV has no such columns, or a clip is not in it.
    """
    with splits.open(newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"clip", "source"} <= set(rows[0]):
        raise ValueError(f"{splits}: expected a CSV with the columns clip and source")
    sources = {row["clip"]: row["source"] for row in rows}
    names = [f"{path.parent.name}/{path.name}" for path in paths]
    missing = [name for name in names if name not in sources]
    if missing:
        raise ValueError(f"{splits} names no source of {missing[0]} and {len(missing) - 1} others")
    return [sources[name] for name in names]


def read_groups(paths: Sequence[Path]) -> list[str]:
    """From which group each clip of UCF101 is, by its name; a class numbers its own groups.

    Raises:
        ValueError: A name has no group.

    Example:
        >>> read_groups([Path("Surfing/v_Surfing_g08_c01.avi")])
        ['Surfing g08']
    """
    found = [re.search(r"_(g\d+)_c\d+$", path.stem) for path in paths]
    groups = [f"{path.parent.name} {m[1]}" for path, m in zip(paths, found, strict=True) if m]
    if len(groups) < len(paths):
        wrong = next(path for path, m in zip(paths, found, strict=True) if m is None)
        raise ValueError(f"clips of UCF101 are named v_Class_g01_c01, got {wrong}")
    return groups


def without_own_source(
    clips: Vectors, labels: Sequence[str], sources: Sequence[str]
) -> dict[str, float]:
    """Retrieval among training videos: each is a query among those of other sources.

    Features are (N, clips, D). Clips cut from one source look alike whatever they show, and split
    1 never parts them.

    Returns:
        ``top-k`` in %.
    """
    vectors = video_vectors(clips)
    cosines = vectors @ vectors.T
    own = np.asarray(sources)
    cosines[own[:, None] == own[None, :]] = -np.inf
    label = np.asarray(labels)
    order = np.argsort(-cosines, axis=1, kind="stable")
    ranked = np.take_along_axis(cosines, order, axis=1)
    right = (label[order] == label[:, None]) & np.isfinite(ranked)
    return {f"top-{k}": float(100 * right[:, :k].any(axis=1).mean()) for k in KS}


def held_out_tasks(model: Path, paths: Sequence[Path], num_videos: int) -> dict[str, float]:
    """Both tasks in single views, by :mod:`rspnet.evaluate`, at 1x and 2x.

    What training says of itself depends on its settings: speeds further apart are told apart
    more easily, and a short queue is searched more easily.

    Returns:
        In %: ``order``, triplets in the right order, and ``avid``, clips retrieved among all.
    """
    query, key = load_model(model, "query"), load_model(model, "key")
    usable = scan_files(sorted(paths), clip_span(query.num_frames, max(SPEEDS))).usable
    usable = evenly_spaced(usable, num_videos)
    found = evaluate_pretext(query, key, usable, speeds=SPEEDS)
    return {"order": 100 * found.rsp_accuracy, "avid": 100 * found.avid_top1}
