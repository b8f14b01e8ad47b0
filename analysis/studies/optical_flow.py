"""Do the heads look at what moves, on real videos? ``python -m analysis optical_flow``.

Real videos have no masks. Here every kind of map of c_i (:mod:`analysis.stimuli.kinds`) is held
against what its pixels say (:mod:`analysis.regions.flow`): the optical flow's magnitude without the
camera's, and two measures of what strikes the eye in its middle frame. Each is averaged in the
cells of the map, and Spearman's rho is taken over the cells of a clip. Its mean over videos has a
bootstrap interval, and so has the difference between the heads, paired video by video. The controls
are those of :mod:`analysis.stimuli.kinds`.

    python -m analysis optical_flow --videos DIR --out flow.json
    python -m analysis optical_flow --data.name hmdb51 --data.root R --data.annotations A \\
      --data.split test --num_videos 60 --out flow.json --figure flow.png
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from analysis.core.grid import Grid
from analysis.core.score import extract_features
from analysis.core.statistics import Estimate, difference, mean, rank_correlation
from analysis.regions.flow import cell_means, local_contrast, movement, spectral_residual
from analysis.stimuli.kinds import (
    EvaluatedModel,
    Views,
    clip_size,
    kinds_of,
    triplet_views,
    with_controls,
)
from analysis.studies.optical_flow_result import TARGETS, FlowResult, FlowRow, FlowStudy
from rspnet.data.datasets.labelled import DatasetConfig
from rspnet.data.sampling import clip_span
from rspnet.data.sources import Scan, scan_files
from rspnet.data.video.reader import VideoReader
from rspnet.evaluate import eval_triplets
from rspnet.models import Branch
from rspnet.names import HEADS

Floats = NDArray[np.float64]

SPEEDS = (1, 2)
SEED = 9


@dataclass(frozen=True, kw_only=True)
class FlowConfig:
    """Maps of both heads against optical flow and saliency, on videos of any kind.

    Attributes:
        out: JSON file for the result.
        model: Model file or name of a shipped model.
        videos: Any folder of videos.
        data: Or a data set, such as ``--data.name hmdb51``.
        num_videos: At most so many, evenly spaced among those that are long enough.
        num_triplets: A video and speed of c_i.
        num_random: Draws of random weights.
        size: Height and width of clips in pixels; nothing for the model's own.
        seed: Of the clips.
        num_workers: Processes that look at the files.
        figure: PNG, SVG or PDF file for a picture of the result.
    """

    out: str = ""
    model: str = "default"
    videos: str | None = None
    data: DatasetConfig = field(default_factory=DatasetConfig)
    num_videos: int = 60
    num_triplets: int = 1
    num_random: int = 3
    size: int | None = None
    seed: int = SEED
    num_workers: int = 2
    figure: str | None = None


@dataclass(frozen=True)
class Footage:
    """A video's triplets, those with a query of the first speed first, and what their pixels say.

    Attributes:
        triplets: Views of c_i, c_j and c_k.
        targets: For each, :data:`TARGETS` of c_i on the cells of its map.
    """

    triplets: tuple[Views, ...]
    targets: tuple[dict[str, Floats], ...]


def targets_of(frames: NDArray[np.uint8], grid: Grid) -> dict[str, Floats]:
    """:data:`TARGETS` of a clip on the cells of its map, (T', H', W') each.

    Args:
        frames: (T, H, W, 3) uint8.
        grid: Of the map.
    """
    middle = frames[len(frames) // 2]
    return {
        "flow": cell_means(movement(frames), grid),
        "saliency": cell_means(spectral_residual(middle)[None], grid),
        "contrast": cell_means(local_contrast(middle)[None], grid),
    }


def load_footage(
    path: Path, branch: Branch, *, size: int, num_triplets: int, rng: np.random.Generator
) -> Footage:
    """Draw a video's triplets as in training, and measure their pixels.

    Raises:
        ValueError: The video can't be read, is too short, or nothing moves in a clip of it.
    """
    with VideoReader(path) as reader:
        drawn = eval_triplets(len(reader), branch.num_frames, SPEEDS, num_triplets, rng)
        triplets = tuple(triplet_views(reader, t, size, str(path)) for t in drawn)
    grid = extract_features(branch, triplets[0][0]).grid
    targets = tuple(targets_of(i.frames, grid) for i, _, _ in triplets)
    for (view, _, _), found in zip(triplets, targets, strict=True):
        even = [name for name, values in found.items() if np.ptp(values) == 0]
        if even:
            first = view.info.frame_indices[0]
            raise ValueError(f"{path}: {' and '.join(even)} of the clip at frame {first} is even")
    return Footage(triplets, targets)


def correlations(asking: EvaluatedModel, footage: Sequence[Footage]) -> Floats:
    """Spearman's rho of every map with every target, averaged over a video's triplets.

    A map that is the same everywhere goes along with nothing: its rho is 0.

    Returns:
        (videos, speeds, heads, kinds, targets).
    """
    first = asking.questions[0][0]
    num_kinds = len(kinds_of(first.c_i.branch, first.c_j.branch))
    num_questions = len(footage[0].triplets)
    rho = np.zeros((len(footage), num_questions, len(HEADS), num_kinds, len(TARGETS)))
    for v, q in np.ndindex(rho.shape[:2]):
        for h, head in enumerate(HEADS):
            for k, values in enumerate(asking.maps(v, q, head).values()):
                for t, target in enumerate(TARGETS):
                    found = rank_correlation(values, footage[v].targets[q][target])
                    rho[v, q, h, k, t] = np.nan_to_num(found)
    halves = rho.reshape(len(footage), len(SPEEDS), -1, *rho.shape[2:])
    return np.asarray(halves.mean(axis=2), float)


def summarise(rho: Floats, kinds: Sequence[str], weights: str) -> FlowResult:
    """Estimates over videos of what :func:`correlations` gave."""
    rows = []
    speeds = {f"{speed}x": [s] for s, speed in enumerate(SPEEDS)}
    for speed, places in {"both": [0, 1], **speeds}.items():
        values = rho[:, places].mean(axis=1)
        for k, kind in enumerate(kinds):
            for t, target in enumerate(TARGETS):
                rsp, avid = values[:, 0, k, t], values[:, 1, k, t]
                row = FlowRow(
                    kind=kind,
                    target=target,
                    speed=speed,
                    rsp=mean(rsp),
                    avid=mean(avid),
                    difference=difference(rsp, avid),
                )
                rows.append(row)
    return FlowResult(weights=weights, rows=tuple(rows))


def flow_study(
    query: Branch,
    key: Branch,
    paths: Sequence[Path],
    *,
    what: str = "videos",
    known_invalid: Mapping[Path, str] | None = None,
    num_videos: int = 60,
    num_triplets: int = 1,
    num_random: int = 3,
    size: int | None = None,
    seed: int = SEED,
    num_workers: int = 1,
    progress: bool = True,
) -> FlowStudy:
    """Measure a model and its three controls on the same clips.

    Args:
        query: Query branch.
        key: Momentum branch.
        paths: Video files. Those that can't be read, are too short or do not move are left out and
            named.
        what: Which videos these are, in words.
        known_bad: Videos that are known to be bad, and why: they are not opened.
        num_videos: At most so many, evenly spaced among those that are long enough.
        num_triplets: A video and speed of c_i.
        num_random: Draws of random weights, averaged video by video.
        size: Height and width of clips in pixels; nothing for the model's own.
        seed: Of the clips.
        num_workers: Processes that look at the files.
        progress: Show a progress bar.

    Raises:
        ValueError: A number is too small, or fewer than two videos can be measured.
    """
    size = clip_size(
        query, size, num_videos=num_videos, num_triplets=num_triplets, num_random=num_random
    )
    known = {path: (0, 0.0, reason) for path, reason in (known_invalid or {}).items()}
    scan = scan_files(paths, clip_span(query.num_frames, max(SPEEDS)), num_workers, known)
    skipped = [_named(path, reason) for path, reason in (*scan.unreadable, *scan.too_short)]
    usable = _evenly_spaced(scan, num_videos)
    footage = []
    with tqdm(total=len(usable) * (3 + num_random), unit="video", disable=not progress) as bar:
        bar.set_description("Flow")
        for number, path in enumerate(usable):
            rng = np.random.default_rng([seed, number])
            try:
                footage.append(
                    load_footage(path, query, size=size, num_triplets=num_triplets, rng=rng)
                )
            except ValueError as error:
                skipped.append(_named(path, str(error)))
                bar.update(2 + num_random)  # it needs no more
            bar.update()
        if len(footage) < 2:
            reasons = "".join(f"\n  {path}: {reason}" for path, reason in skipped[:5])
            raise ValueError(
                f"{len(footage)} of {len(paths)} videos can be measured, at least two are needed. "
                f"The first of those left out:{reasons}"
            )
        clips = [video.triplets for video in footage]
        found: dict[str, list[Floats]] = {}
        for asking in with_controls(query, key, clips, num_random=num_random, done=bar.update):
            found.setdefault(asking.weights, []).append(correlations(asking, footage))
            grid = asking.questions[0][0].c_i.grid
    kinds = kinds_of(query, key)
    results = [
        summarise(np.mean(draws, axis=0), kinds, weights) for weights, draws in found.items()
    ]
    return FlowStudy(
        results=tuple(results),
        model_hash=query.hash,
        what=what,
        num_videos=len(footage),
        num_triplets=num_triplets,
        seed=seed,
        grid=grid,
        pixels={name: _among_pixels(footage, name) for name in TARGETS if name != "flow"},
        skipped=tuple(skipped),
    )


def _named(path: Path, reason: str) -> tuple[str, str]:
    return str(path), reason.removeprefix(f"{path}: ")


def _among_pixels(footage: Sequence[Footage], name: str) -> Estimate:
    rho = [[rank_correlation(own["flow"], own[name]) for own in v.targets] for v in footage]
    return mean(np.mean(rho, axis=1))


def _evenly_spaced(scan: Scan, num: int) -> list[Path]:
    every = np.linspace(0, len(scan.usable) - 1, min(num, len(scan.usable))).round().astype(int)
    return [scan.usable[place].path for place in every]
