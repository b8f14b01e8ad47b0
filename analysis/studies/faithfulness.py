"""Are the maps faithful to their scores? ``python -m analysis faithfulness --out FILE.json``.

For both heads and both questions (:mod:`analysis.stimuli.triplets`), cells of c_i are taken away
and put back in the order of its contribution map (:mod:`analysis.studies.deletion`), against random
orders and against an order from the middle of the frame outwards. What stands in for a cell is a
blurred video, the mean colour, or the frozen middle frame: numbers are given for each, as they
answer different things. Captum's infidelity and sensitivity go with them.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from analysis.core.cells import FILLS, CellSwap, Fill
from analysis.core.clip import View
from analysis.core.score import ClipFeatures, Kind, Score
from analysis.core.statistics import difference, mean
from analysis.stimuli.triplets import (
    SCORES,
    SEED,
    Triplets,
    encode_triplets,
    file_triplets,
    generated_triplets,
    scores_of,
)
from analysis.studies.deletion import (
    MODES,
    KeptCells,
    Order,
    centre_prior,
    order_of,
    perturbation_curve,
    sensitivity,
    unexplained,
)
from analysis.studies.faithfulness_result import (
    CurveRow,
    FaithfulnessResult,
    InfidelityRow,
    SensitivityRow,
)
from rspnet.models import Branch
from rspnet.names import HEADS

Floats = NDArray[np.float64]
ORDERS = ("map", "random", "centre")


@dataclass(frozen=True, kw_only=True)
class PerturbationConfig:
    """How closely a clip is looked at.

    Attributes:
        num_steps: Steps of a curve.
        num_random: Random orders, every second one the one before it backwards.
        num_boxes: Boxes of cells for the infidelity.
        num_shakes: Draws of noise for the sensitivity.

    Raises:
        ValueError: A number is not positive.
    """

    num_steps: int = 10
    num_random: int = 4
    num_boxes: int = 30
    num_noise_samples: int = 5

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 1:
                raise ValueError(f"{name} is positive, got {value}")


EFFORT = PerturbationConfig()


@dataclass(frozen=True)
class Measured:
    """What one video gave. S scores, F fills, M modes, O orders, K shares of the cells.

    Attributes:
        shares: (K,).
        curves: (S, F, M, O, K); random orders are averaged.
        areas: (S, F, M, O).
        unexplained: By the map and by the map shuffled, (S, F, 2).
        sensitivity: (S,).
    """

    shares: Floats
    curves: Floats
    areas: Floats
    unexplained: Floats
    sensitivity: Floats


def measure_video(
    scores: Sequence[Score],
    view: View,
    c_i: ClipFeatures,
    *,
    fills: Sequence[Fill] = FILLS,
    effort: PerturbationConfig = EFFORT,
    seed: int = 0,
) -> Measured:
    """Measure the contribution maps of one clip.

    Args:
        scores: All of the branch that ``c_i`` went through.
        view: The clip.
        c_i: Its features.
        fills: What stands in for cells.
        effort: How closely to look.
        seed: Fixes orders, boxes and noise.

    Raises:
        ValueError: A fill is not known.
    """
    grid, clip = c_i.grid, view.clip
    maps = [score.contributions(c_i).values for score in scores]
    rng = np.random.default_rng(seed)
    randoms: list[Order] = []
    for number in range(effort.num_random):
        # Every second one is the one before it backwards: what one deletes the other inserts, so
        # that they share their clips.
        randoms.append(randoms[-1][::-1] if number % 2 else rng.permutation(maps[0].size))
    shuffled = [rng.permutation(values.ravel()).reshape(values.shape) for values in maps]
    curves, explained = [], []
    shares: Floats = np.empty(0)
    for fill in fills:
        cells = KeptCells(c_i.branch, CellSwap.of(clip[None], fill, grid))
        for score, values, other in zip(scores, maps, shuffled, strict=True):
            orders: list[list[Order]] = [
                [order_of(values)], randoms, [order_of(centre_prior(grid))]
            ]  # fmt: skip
            for mode in MODES:
                for group in orders:
                    found = [
                        perturbation_curve(score, cells, order, mode, effort.num_steps)
                        for order in group
                    ]
                    shares = found[0].shares
                    curves.append(np.mean([curve.scores for curve in found], axis=0))
            for shown in (values, other):
                explained.append(
                    unexplained(score, cells, shown, num_samples=effort.num_boxes, seed=seed)
                )
    shape = (len(fills), len(scores), len(MODES), len(ORDERS))
    curves_SFMOK = np.reshape(curves, (*shape, len(shares))).swapaxes(0, 1)
    return Measured(
        shares=shares,
        curves=curves_SFMOK,
        areas=np.trapezoid(curves_SFMOK, shares, axis=-1),
        unexplained=np.reshape(explained, (len(fills), len(scores), 2)).swapaxes(0, 1),
        sensitivity=np.array(
            [
                sensitivity(score, clip, num_samples=effort.num_noise_samples, seed=seed)
                for score in scores
            ]
        ),
    )


def faithfulness_study(
    query: Branch,
    key: Branch,
    triplets: Triplets,
    *,
    fills: Sequence[Fill] = FILLS,
    effort: PerturbationConfig = EFFORT,
    seed: int = SEED,
    progress: bool = True,
) -> FaithfulnessResult:
    """Measure a model on a triplet a video.

    Args:
        query: Query branch.
        key: Momentum branch.
        triplets: Of at least two videos.
        fills: What stands in for cells.
        effort: How closely to look.
        seed: Fixes orders, boxes and noise.
        progress: Show a progress bar.

    Raises:
        ValueError: A fill is not known, or there is only one video.
    """
    questions = encode_triplets(query, key, triplets)
    names: list[tuple[str, Kind]] = [(head, kind) for head in HEADS for kind in SCORES]
    measured = []
    for number in tqdm(range(len(questions)), unit="video", disable=not progress):
        scores = scores_of(questions, number)
        question = questions[number]
        measured.append(
            measure_video(
                [scores[name] for name in names],
                question.view,
                question.c_i,
                fills=fills,
                effort=effort,
                seed=seed + number,
            )
        )
    return summarise(
        measured,
        names,
        fills,
        videos=triplets.what,
        model_hash=query.hash,
        cells=questions[0].c_i.grid.cells,
        seed=seed,
        num_random=effort.num_random,
    )


def summarise(
    measured: Sequence[Measured],
    names: Sequence[tuple[str, Kind]],
    fills: Sequence[Fill],
    *,
    videos: str,
    model_hash: str,
    cells: tuple[int, int, int],
    seed: int,
    num_random: int,
) -> FaithfulnessResult:
    """Estimates over videos, with bootstrap intervals."""
    areas = np.stack([m.areas for m in measured])  # (V, S, F, M, O)
    curves = np.stack([m.curves for m in measured])  # (V, S, F, M, O, K)
    left = np.stack([m.unexplained for m in measured])  # (V, S, F, 2)
    changes = np.stack([m.sensitivity for m in measured])  # (V, S)
    curve_rows, infidelity_rows = [], []
    for s, (head, question) in enumerate(names):
        for f, fill in enumerate(fills):
            for m, mode in enumerate(MODES):
                own, random, centre = areas[:, s, f, m].T
                sign = -1 if mode == "deletion" else 1
                along = curves[:, s, f, m].mean(axis=0)  # (O, K)
                ends = curves[:, s, f, m, 0][:, [0, -1]][:, ::-sign]
                curve_rows.append(
                    CurveRow(
                        head=head,
                        question=question,
                        fill=fill,
                        mode=mode,
                        full=mean(ends[:, 0]),
                        empty=mean(ends[:, 1]),
                        map=mean(own),
                        random=mean(random),
                        centre=mean(centre),
                        over_random=difference(sign * own, sign * random),
                        over_centre=difference(sign * own, sign * centre),
                        curve_map=tuple(along[0].tolist()),
                        curve_random=tuple(along[1].tolist()),
                        curve_centre=tuple(along[2].tolist()),
                    )
                )
            defined = np.isfinite(left[:, s, f]).all(axis=1)
            by_map, by_shuffled = left[defined, s, f].T
            infidelity_rows.append(
                InfidelityRow(
                    head=head,
                    question=question,
                    fill=fill,
                    map=mean(by_map),
                    shuffled=mean(by_shuffled),
                    better=difference(by_shuffled, by_map),
                    num_undefined=int((~defined).sum()),
                )
            )
    sensitivity_rows = [
        SensitivityRow(head=head, question=question, change=mean(changes[:, s]))
        for s, (head, question) in enumerate(names)
    ]
    return FaithfulnessResult(
        videos=videos,
        num_videos=len(measured),
        model_hash=model_hash,
        cells=cells,
        seed=seed,
        num_random=num_random,
        shares=tuple(measured[0].shares.tolist()),
        curves=tuple(curve_rows),
        infidelity=tuple(infidelity_rows),
        sensitivity=tuple(sensitivity_rows),
    )


def add_video_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of a study on a model and videos."""
    parser.add_argument("--model", default="default", help="model file or name of a shipped model")
    parser.add_argument(
        "--data", nargs="+", help="folders of videos, videos or .txt lists; nothing: generated ones"
    )
    parser.add_argument("--num_videos", "--num-videos", type=int, default=40)
    parser.add_argument("--seed", type=int, default=SEED, help="of generated videos and of clips")


def named_triplets(options: argparse.Namespace, branch: Branch) -> Triplets:
    """The triplets that :func:`add_video_arguments` names.

    Raises:
        ValueError: There are too few videos.
    """
    if options.data:
        return file_triplets(branch, options.data, options.num_videos, options.seed)
    return generated_triplets(branch, options.num_videos, options.seed)
