"""Are the maps faithful to their scores? ``python -m analysis faithfulness --out FILE.json``.

For both heads and both target scores (:mod:`analysis.stimuli.triplets`), cells of c_i are taken
away and put back in the order of its contribution map
(:mod:`analysis.studies.measures.deletion`), against random orders and against an order from the
middle of the frame outwards. What stands in for a cell
is a blurred video, the mean colour, or the static middle frame: numbers are given for each, as they
measure different things. Captum's infidelity and sensitivity go with them.

With ``--methods`` the maps of Captum's methods (:mod:`analysis.attribution.captum_methods`) are
compared with the exact map by rank correlation, each two of them. The contribution map says what a
score is made of, integrated gradients what a way from a grey clip adds, occlusion and ablation what
taking a cell away does. So they need not agree; how much they do is a number.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from analysis.attribution.captum_methods import Method, attribute
from analysis.core.cells import FILLS, CellSwap, Fill
from analysis.core.clip import View
from analysis.core.clip_map import Map
from analysis.core.figure_spec import Dot, DotFigure, DotPanel, FigureSpec
from analysis.core.score import ClipFeatures, Kind, Score
from analysis.core.statistics import difference, mean, rank_correlation
from analysis.core.table import Key, Row, StudyTable, Table, Value
from analysis.stimuli.triplets import SCORES, encode_triplets, scores_of
from analysis.studies.measures.deletion import (
    MODES,
    KeptCells,
    Order,
    centre_prior,
    order_of,
    perturbation_curve,
    sensitivity,
    unexplained,
)
from analysis.studies.registry import (
    KeyNumber,
    Study,
    StudyInputs,
    VideoStudyConfig,
    register_study,
)
from rspnet.names import HEAD_TITLES, HEADS

Floats = NDArray[np.float64]
ORDERS = ("map", "random", "centre")


@dataclass(frozen=True, kw_only=True)
class FaithfulnessConfig(VideoStudyConfig):
    """Insertion, deletion, infidelity and sensitivity of both heads' maps.

    Attributes:
        seed: Of synthetic videos, clips, orders, boxes and noise.
        num_videos: How many are measured, at least two.
        num_steps: Steps of a curve.
        num_orders: Random orders, every second one the reverse of the one before it.
        num_boxes: Boxes of cells for the infidelity.
        num_noise_samples: Draws of noise for the sensitivity.
        methods: Captum's methods to compare the exact map with, such as ``["occlusion"]``.

    Raises:
        ValueError: A number is not positive.
    """

    num_videos: int = 40
    num_steps: int = 10
    num_orders: int = 4
    num_boxes: int = 30
    num_noise_samples: int = 5
    methods: list[Method] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("num_steps", "num_orders", "num_boxes", "num_noise_samples"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is positive, got {getattr(self, name)}")


CONFIG = FaithfulnessConfig()


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
    config: FaithfulnessConfig = CONFIG,
    seed: int = 0,
) -> Measured:
    """Measure the contribution maps of one clip.

    Args:
        scores: All of the branch that ``c_i`` went through.
        view: The clip.
        c_i: Its features.
        fills: What stands in for cells.
        config: How many steps, orders, boxes and draws of noise.
        seed: Fixes orders, boxes and noise.

    Raises:
        ValueError: A fill is not known.
    """
    grid, clip = c_i.grid, view.clip
    maps = [score.contributions(c_i).values for score in scores]
    rng = np.random.default_rng(seed)
    randoms: list[Order] = []
    for number in range(config.num_orders):
        # Every second one is the reverse of the one before it: what one deletes the other
        # inserts, so that they share their clips.
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
                        perturbation_curve(score, cells, order, mode, config.num_steps)
                        for order in group
                    ]
                    shares = found[0].shares
                    curves.append(np.mean([curve.scores for curve in found], axis=0))
            for shown in (values, other):
                explained.append(
                    unexplained(score, cells, shown, num_samples=config.num_boxes, seed=seed)
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
                sensitivity(score, clip, num_samples=config.num_noise_samples, seed=seed)
                for score in scores
            ]
        ),
    )


def method_maps(
    scores: Sequence[Score], view: View, c_i: ClipFeatures, methods: Sequence[Method]
) -> list[dict[str, Map]]:
    """The exact map of each score, and those of Captum's methods."""
    return [
        {"contribution": score.contributions(c_i).values}
        | {name: attribute(score, view, name).values for name in methods}
        for score in scores
    ]


def agreement(maps: Sequence[Mapping[str, Map]], keys: Mapping[str, Key]) -> list[Row]:
    """Spearman's rho of each two methods over the cells of a clip, the mean over clips.

    Args:
        maps: For each clip (one a video: they are what is resampled) its maps by method.
        keys: Of the rows.

    Raises:
        ValueError: Two methods have a constant map in every clip.
    """
    rows = []
    for a, b in combinations(maps[0], 2):
        found = np.array([rank_correlation(clip[a], clip[b]) for clip in maps])
        defined = found[np.isfinite(found)]
        if not len(defined):
            raise ValueError(f"{a} or {b} has a constant map in every clip: there are no ranks")
        own: dict[str, Key] = {"test": "agreement", **keys, "method": a, "other_method": b}
        num_undefined = len(found) - len(defined)
        values: dict[str, Value] = {"rho": mean(defined), "num_undefined": num_undefined}
        rows.append(Row(keys=own, values=values))
    return rows


def summarise(
    measured: Sequence[Measured], names: Sequence[tuple[str, Kind]], fills: Sequence[Fill]
) -> list[Row]:
    """Estimates over videos, with bootstrap intervals."""
    areas = np.stack([m.areas for m in measured])  # (V, S, F, M, O)
    curves = np.stack([m.curves for m in measured])  # (V, S, F, M, O, K)
    left = np.stack([m.unexplained for m in measured])  # (V, S, F, 2)
    changes = np.stack([m.sensitivity for m in measured])  # (V, S)
    curve_rows, infidelity_rows, sensitivity_rows = [], [], []
    for s, (head, score) in enumerate(names):
        keys: dict[str, Key] = {"head": head, "score": score}
        for f, fill in enumerate(fills):
            for m, mode in enumerate(MODES):
                own, random, centre = areas[:, s, f, m].T
                sign = -1 if mode == "deletion" else 1
                along = curves[:, s, f, m].mean(axis=0)  # (O, K)
                ends = curves[:, s, f, m, 0][:, [0, -1]][:, ::-sign]
                values: dict[str, Value] = {
                    "full": mean(ends[:, 0]),
                    "empty": mean(ends[:, 1]),
                    "map": mean(own),
                    "random": mean(random),
                    "centre": mean(centre),
                    "over_random": difference(sign * own, sign * random),
                    "over_centre": difference(sign * own, sign * centre),
                }
                curve_rows.append(
                    Row(
                        keys={"test": mode, **keys, "fill": fill},
                        values=values,
                        samples={f"curve_{o}": along[n] for n, o in enumerate(ORDERS)},
                    )
                )
            defined = np.isfinite(left[:, s, f]).all(axis=1)
            by_map, by_shuffled = left[defined, s, f].T
            values = {
                "map": mean(by_map),
                "shuffled": mean(by_shuffled),
                "better": difference(by_shuffled, by_map),
                "num_undefined": int((~defined).sum()),
            }
            own_keys = {"test": "infidelity", **keys, "fill": fill}
            infidelity_rows.append(Row(keys=own_keys, values=values))
        noise = {"change": mean(changes[:, s])}
        sensitivity_rows.append(Row(keys={"test": "sensitivity", **keys}, values=noise))
    return curve_rows + infidelity_rows + sensitivity_rows


@register_study
class Faithfulness(Study[FaithfulnessConfig]):
    """Measure whether scores change where the maps say."""

    name = "faithfulness"
    title = "Faithfulness"
    question = "Does the score change where the maps say?"
    reading = (
        "Cells of the clip are replaced in the order of the map: deletion is good when the score "
        "falls early (a small area), insertion when it rises early (a large one)."
    )
    needs = "each"
    config = FaithfulnessConfig
    place = 60

    def measure(self, inputs: StudyInputs, config: FaithfulnessConfig) -> StudyTable:
        """Measure a model on a triplet a video.

        Raises:
            ValueError: There are fewer than two videos.
        """
        query = inputs.query
        clips = inputs.triplets(config.num_videos, config.seed)
        triplets = encode_triplets(query, inputs.key, clips)
        names: list[tuple[str, Kind]] = [(head, kind) for head in HEADS for kind in SCORES]
        measured: list[Measured] = []
        maps: list[list[dict[str, Map]]] = []
        bar = tqdm(triplets, desc=self.title, unit="video", disable=not inputs.progress)
        for place, own in enumerate(bar):
            found = scores_of(triplets, place)
            scores = [found[name] for name in names]
            seed = config.seed + place
            measured.append(measure_video(scores, own.view, own.c_i, config=config, seed=seed))
            if config.methods:
                maps.append(method_maps(scores, own.view, own.c_i, config.methods))
        rows = summarise(measured, names, FILLS)
        if maps:
            for (head, score), of_score in zip(names, zip(*maps, strict=True), strict=True):
                rows += agreement(of_score, {"head": head, "score": score})
        return StudyTable(
            study=self.name,
            rows=tuple(rows),
            num_videos=len(measured),
            videos=clips.what,
            skipped=clips.skipped,
            model_hash=query.hash,
            seed=config.seed,
            grid=triplets[0].c_i.grid,
            settings={
                "num_orders": config.num_orders,
                "shares": measured[0].shares.tolist(),
            },
        )

    def finding(self, table: StudyTable) -> str:
        """In how many tests the map's order is better than random ones."""
        rows = [row for mode in MODES for row in table.select(test=mode)]
        num_better = sum(row["over_random"].low > 0 for row in rows)
        return (
            f"In {num_better} of {len(rows)} tests the order of the map is better than random "
            "orders, beyond its interval."
        )

    def tables(self, table: StudyTable) -> list[Table]:
        """Areas under the curves, and what the other tests gave."""
        where = f"{table.num_videos} {table.videos}, 95% interval over videos"
        curves = {
            "map": "map", "random": "random", "centre": "centre",
            "over_random": "better than random", "over_centre": "better than centre",
            "full": "clip", "empty": "filled",
        }  # fmt: skip
        parts = {
            ("deletion", "insertion"): (curves, f"area under the curve of the score, {where}"),
            ("infidelity",): (
                {"map": "map", "shuffled": "map shuffled", "better": "better by"},
                "share of the drops left unexplained (normalised infidelity), 0 is perfect; "
                f"{where}",
            ),
            ("sensitivity",): (
                {"change": "change"},
                "largest relative change of the map under noise of about a grey level on every "
                f"pixel; {where}",
            ),
            ("agreement",): ({"rho": "rank correlation"}, f"agreement of two methods; {where}"),
        }  # fmt: skip
        found = []
        for tests, (columns, caption) in parts.items():
            rows: list[list[str | Value]] = [
                [_title(row), *(row.values[name] for name in columns)]
                for test in tests
                for row in table.select(test=test)
            ]
            if rows:
                header = ("test", *columns.values())
                found.append(Table(header=header, rows=rows, caption=caption))
        return found

    def figures(self, table: StudyTable) -> list[FigureSpec]:
        """Insertion, deletion and infidelity."""
        curves = [row for test in ("deletion", "insertion") for row in table.select(test=test)]
        tests = tuple(dict.fromkeys(_title(row, head=False) for row in curves))
        panels = []
        for title, name in (
            ("than random orders", "over_random"),
            ("than the centre", "over_centre"),
        ):
            dots = [
                Dot(tests.index(_title(row, head=False)), str(row.keys["head"]), row[name])
                for row in curves
            ]
            panels.append(DotPanel(title, tuple(dots), ((0.0, False),)))
        infidelity = table.select(test="infidelity")
        names = tuple(dict.fromkeys(_title(row, head=False) for row in infidelity))
        better = tuple(
            Dot(names.index(_title(row, head=False)), str(row.keys["head"]), row["better"])
            for row in infidelity
        )
        return [
            DotFigure(
                "How much better the order of the map is",
                tests,
                tuple(panels),
                "Difference of areas under the curve of the score; above 0 the map is informative",
            ),
            DotFigure(
                "How much better the map explains drops than its shuffled self",
                names,
                (DotPanel("", better, ((0.0, False),)),),
                "Difference of the shares left unexplained",
            ),
        ]  # fmt: skip

    def key_numbers(self, table: StudyTable) -> list[KeyNumber]:
        """How much better than random orders the map of the margin deletes."""
        values = {
            head: table.one(test="deletion", head=head, score="margin", fill="blur")["over_random"]
            for head in HEADS
        }
        return [KeyNumber(name="deletion of the margin, better than random", values=values)]


def _title(row: Row, *, head: bool = True) -> str:
    keys = {**row.keys, "head": HEAD_TITLES[str(row.keys["head"])]}
    names = ("test", "head", "score", "fill", "method", "other_method")
    return ", ".join(str(keys[name]) for name in names if name in keys and (head or name != "head"))
