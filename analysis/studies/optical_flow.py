"""Do the heads look at what moves, on real videos? ``python -m analysis optical_flow``.

Real videos have no masks. Here every kind of map of c_i (:mod:`analysis.stimuli.kinds`) is compared
with its pixels (:mod:`analysis.regions.flow`): the optical flow's magnitude without the camera's,
and two measures of what is salient in its middle frame. Each is averaged in the cells of the map,
and Spearman's rho is taken over the cells of a clip. Its mean over videos has a bootstrap interval,
and so has the difference between the heads, paired video by video. The controls are those of
:mod:`analysis.stimuli.kinds`.

    python -m analysis optical_flow --videos DIR --out flow.json
    python -m analysis optical_flow --data.name hmdb51 --data.root R --data.annotations A \\
      --data.split test --num_videos 60 --out flow.json --figure flow.png
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from analysis.core.figure_spec import Dot, DotFigure, DotPanel, FigureSpec
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
from analysis.studies.localisation import HEADLINE_KIND, kind_rows, kind_title
from analysis.studies.registry import (
    KeyNumber,
    Study,
    StudyInputs,
    VideoStudyConfig,
    register_study,
    verdict,
)
from analysis.studies.table import (
    RSP_MINUS_AVID,
    Key,
    Row,
    StudyTable,
    Table,
    interval,
    number,
    pivot,
)
from rspnet.data.sampling import clip_span
from rspnet.data.sources import Scan, scan_files
from rspnet.data.video.reader import VideoReader
from rspnet.evaluate import eval_triplets
from rspnet.models import Branch
from rspnet.names import HEADS

Floats = NDArray[np.float64]

SPEEDS = (1, 2)
TARGETS = {
    "flow": "optical flow",
    "saliency": "spectral residual",
    "contrast": "local contrast",
}
ITSELF = "optical flow itself"  # in the place of a kind of map


@dataclass(frozen=True, kw_only=True)
class OpticalFlowConfig(VideoStudyConfig):
    """Both heads' maps against optical flow and saliency of real videos.

    Attributes:
        num_videos: At most so many, evenly spaced among those that are long enough.
        num_triplets: A video and speed of c_i.
        num_random: Draws of random weights.
        size: Height and width of clips in pixels; nothing for the model's own.
    """

    num_videos: int = 60
    num_triplets: int = 1
    num_random: int = 3
    size: int | None = None


@dataclass(frozen=True)
class Footage:
    """A video's triplets, those with a query of the first speed first, and their pixels' targets.

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
        constant = [name for name, values in found.items() if np.ptp(values) == 0]
        if constant:
            first = view.info.frame_indices[0]
            raise ValueError(
                f"{path}: {' and '.join(constant)} of the clip at frame {first} is constant"
            )
    return Footage(triplets, targets)


def correlations(model: EvaluatedModel, footage: Sequence[Footage]) -> Floats:
    """Spearman's rho of every map with every target, averaged over a video's triplets.

    A uniform map correlates with nothing: its rho is 0.

    Returns:
        (videos, speeds, heads, kinds, targets).
    """
    first = model.triplets[0][0]
    num_kinds = len(kinds_of(first.c_i.branch, first.c_j.branch))
    num_queries = len(footage[0].triplets)
    rho = np.zeros((len(footage), num_queries, len(HEADS), num_kinds, len(TARGETS)))
    for v, q in np.ndindex(rho.shape[:2]):
        for h, head in enumerate(HEADS):
            for k, values in enumerate(model.maps(v, q, head).values()):
                for t, target in enumerate(TARGETS):
                    found = rank_correlation(values, footage[v].targets[q][target])
                    rho[v, q, h, k, t] = np.nan_to_num(found)
    halves = rho.reshape(len(footage), len(SPEEDS), -1, *rho.shape[2:])
    return np.asarray(halves.mean(axis=2), float)


def summarise(rho: Floats, kinds: Sequence[str], weights: str) -> list[Row]:
    """Estimates over videos of what :func:`correlations` gave, of one set of weights."""
    rows = []
    speeds = {f"{speed}x": [s] for s, speed in enumerate(SPEEDS)}
    for speed, places in {"both": [0, 1], **speeds}.items():
        values = rho[:, places].mean(axis=1)
        for k, kind in enumerate(kinds):
            for t, target in enumerate(TARGETS):
                rsp, avid = values[:, 0, k, t], values[:, 1, k, t]
                found = {
                    "rsp": mean(rsp), "avid": mean(avid), RSP_MINUS_AVID: difference(rsp, avid),
                }  # fmt: skip
                for head, rho_of_head in found.items():
                    keys: dict[str, Key] = {
                        "weights": weights, "kind": kind, "head": head, "target": target,
                        "speed": speed,
                    }  # fmt: skip
                    rows.append(Row(keys=keys, values={"rho": rho_of_head}))
    return rows


@register_study
class OpticalFlow(Study[OpticalFlowConfig]):
    """Compare both heads' maps with the optical flow of real videos."""

    name = "optical_flow"
    title = "Optical flow"
    question = "Do the maps follow movement in real video?"
    reading = "Optical flow by DIS with the camera's motion removed by a homography."
    needs = "real"
    config = OpticalFlowConfig
    place = 50

    def measure(self, inputs: StudyInputs, config: OpticalFlowConfig) -> StudyTable:
        """Measure a model and its three controls on the same clips.

        Videos that can't be read, are too short or do not move are skipped and named.

        Raises:
            ValueError: A number is too small, or fewer than two videos can be measured.
        """
        query, num_random = inputs.query, config.num_random
        size = clip_size(
            query,
            config.size,
            num_videos=config.num_videos,
            num_triplets=config.num_triplets,
            num_random=num_random,
        )
        scan = scan_files(
            inputs.paths, clip_span(query.num_frames, max(SPEEDS)), config.num_workers
        )
        skipped = {str(path): reason for path, reason in inputs.skipped.items()}
        skipped |= dict(_named(path, why) for path, why in (*scan.unreadable, *scan.too_short))
        usable = _evenly_spaced(scan, config.num_videos)
        footage = []
        total = len(usable) * (3 + num_random)
        with tqdm(total=total, desc=self.title, unit="video", disable=not inputs.progress) as bar:
            for place, path in enumerate(usable):
                rng = np.random.default_rng([config.seed, place])
                try:
                    own = load_footage(
                        path, query, size=size, num_triplets=config.num_triplets, rng=rng
                    )
                    footage.append(own)
                except ValueError as error:
                    skipped |= dict([_named(path, str(error))])
                    bar.update(2 + num_random)  # it needs no more
                bar.update()
            if len(footage) < 2:
                reasons = "".join(f"\n  {p}: {why}" for p, why in list(skipped.items())[:5])
                raise ValueError(
                    f"{len(footage)} of {len(inputs.paths)} videos can be measured, at least two "
                    f"are needed. The first of those skipped:{reasons}"
                )
            clips = [video.triplets for video in footage]
            found: dict[str, list[Floats]] = {}
            for model in with_controls(
                query, inputs.key, clips, num_random=num_random, done=bar.update
            ):
                found.setdefault(model.weights, []).append(correlations(model, footage))
                grid = model.triplets[0][0].c_i.grid
        kinds = kinds_of(query, inputs.key)
        rows = [
            row
            for weights, draws in found.items()
            for row in summarise(np.mean(draws, axis=0), kinds, weights)
        ]
        for target in ("saliency", "contrast"):
            keys: dict[str, Key] = {"kind": ITSELF, "target": target}
            rows.append(Row(keys=keys, values={"rho": _among_pixels(footage, target)}))
        return StudyTable(
            study=self.name,
            rows=tuple(rows),
            num_videos=len(footage),
            videos=inputs.videos,
            model_hash=query.hash,
            seed=config.seed,
            grid=grid,
            settings={"num_triplets": config.num_triplets},
            skipped=skipped,
        )

    def finding(self, table: StudyTable) -> str:
        """Whether RSP's margin map follows optical flow more closely than A-VID's."""
        rho = _headline(table)
        says = verdict(
            rho[RSP_MINUS_AVID], "more closely than A-VID's", "less closely than A-VID's"
        )
        return (
            "RSP's margin map, signed towards the faster clip, follows optical flow with rho "
            f"{number(rho['rsp'].value)}, {says} ({interval(rho[RSP_MINUS_AVID])})."
        )

    def explain(self, table: StudyTable) -> str:
        """What the pixels alone have in common."""
        shared = [
            f"{TARGETS[str(row.keys['target'])]} at {number(row['rho'].value)}"
            for row in table.select(kind=ITSELF)
        ]
        return (
            f"{self.reading} The flow itself correlates with {' and '.join(shared)}: a map of "
            "salient places follows movement a little by that alone."
        )

    def tables(self, table: StudyTable) -> list[Table]:
        """Correlations by kind of map and target: the model, and folded its controls."""
        columns: dict[str, tuple[str, dict[str, Key]]] = {
            "RSP": ("rho", {"head": "rsp"}),
            "A-VID": ("rho", {"head": "avid"}),
            "RSP minus A-VID": ("rho", {"head": RSP_MINUS_AVID}),
        }
        kinds = [kind for kind in table.keys("kind") if kind != ITSELF]
        headline = f"{kind_title(HEADLINE_KIND)} with optical"
        return [
            pivot(
                {
                    f"{kind_title(kind)} with {TARGETS[target]}": {
                        "weights": weights, "kind": kind, "target": target, "speed": "both",
                    }
                    for target in TARGETS
                    for kind in kinds
                },
                columns,
                table,
                first="map with",
                caption=(
                    f"{weights}: Spearman's rho over the cells of a clip, mean over "
                    f"{table.num_videos} {table.videos} ({len(table.skipped)} skipped), 95% "
                    "interval over videos"
                ),
                strong=lambda title: title.startswith(headline),
                folded=weights != "trained",
            )
            for weights in table.keys("weights")
        ]  # fmt: skip

    def figures(self, table: StudyTable) -> list[FigureSpec]:
        """How maps correlate with pixels: a column a target, a row a kind of map."""
        rows = kind_rows(table)
        panels = []
        for target, title in TARGETS.items():
            dots = [
                Dot(
                    place,
                    head,
                    table.one(weights=weights, head=head, target=target, **keys)["rho"],
                    weights != "trained",
                )
                for weights in ("random weights", "trained")
                for place, keys in enumerate(rows.values())
                for head in HEADS
            ]
            panels.append(DotPanel(title, tuple(dots), ((0.0, False),)))
        return [
            DotFigure(
                "Maps and pixels",
                tuple(rows),
                tuple(panels),
                "Spearman's rho over the cells of a clip, mean over videos",
            )
        ]

    def key_numbers(self, table: StudyTable) -> list[KeyNumber]:
        """Correlation of the margin map with optical flow."""
        rho = _headline(table)
        return [
            KeyNumber(
                name="margin map to faster with optical flow, rho",
                values={head: rho[head] for head in HEADS},
                difference=rho[RSP_MINUS_AVID],
                control=_headline(table, "random weights")[RSP_MINUS_AVID],
            )
        ]


def _headline(table: StudyTable, weights: str = "trained") -> dict[str, Estimate]:
    return {
        head: table.one(
            weights=weights, kind=HEADLINE_KIND, head=head, target="flow", speed="both"
        )["rho"]
        for head in (*HEADS, RSP_MINUS_AVID)
    }


def _named(path: Path, reason: str) -> tuple[str, str]:
    return str(path), reason.removeprefix(f"{path}: ")


def _among_pixels(footage: Sequence[Footage], name: str) -> Estimate:
    rho = [[rank_correlation(own["flow"], own[name]) for own in v.targets] for v in footage]
    return mean(np.mean(rho, axis=1))


def _evenly_spaced(scan: Scan, num: int) -> list[Path]:
    every = np.linspace(0, len(scan.usable) - 1, min(num, len(scan.usable))).round().astype(int)
    return [scan.usable[place].path for place in every]
