"""Do the heads look at what moves, on real videos? ``python -m analysis optical_flow``.

Real videos have no masks. Here every kind of map of c_i (:mod:`analysis.stimuli.kinds`) is compared
with its pixels (:mod:`analysis.regions.flow`): the optical flow's magnitude without the camera's,
and two measures of what is salient in its middle frame. Each is averaged in the cells of the map,
and Spearman's rho is taken over the cells of a clip. Its mean over videos has a bootstrap interval,
and so has the difference between the heads, paired video by video. The controls are those of
:mod:`analysis.stimuli.kinds`.

What a map says of movement is checked by the network itself: the fifth of the picture that moves
most is frozen, and then all the rest instead, and either head's margin is computed anew.

    python -m analysis optical_flow --videos DIR --out flow.json
    python -m analysis optical_flow --data.name hmdb51 --data.root R --data.annotations A \\
      --data.split test --num_videos 60 --out flow.json --figure flow.png
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from analysis.core.clip import View
from analysis.core.figure_spec import DotFigure, DotPanel, FigureSpec
from analysis.core.grid import Grid
from analysis.core.score import extract_features
from analysis.core.statistics import Estimate, difference, mean, rank_correlation
from analysis.core.table import (
    RSP_MINUS_AVID,
    Key,
    Row,
    StudyTable,
    Table,
    head_columns,
    head_dots,
    interval,
    number,
    pivot,
)
from analysis.regions.flow import cell_means, local_contrast, movement, spectral_residual
from analysis.stimuli.edit import edit_region
from analysis.stimuli.kinds import (
    EvaluatedModel,
    clip_size,
    kinds_of,
    triplet_views,
)
from analysis.stimuli.triplets import scores_of
from analysis.studies.measures.controlled import (
    HEADLINE_KIND,
    SPEEDS,
    Measured,
    Scene,
    at_speeds,
    by_head,
    by_speed,
    head_rows,
    kind_rows,
    kind_title,
    measure_controls,
)
from analysis.studies.region_edits import drops
from analysis.studies.registry import (
    KeyNumber,
    Study,
    StudyInputs,
    VideoStudyConfig,
    register_study,
    verdict,
)
from rspnet.data.sampling import clip_span, evenly_spaced
from rspnet.data.sources import scan_files
from rspnet.data.video.reader import VideoReader
from rspnet.evaluate import eval_triplets
from rspnet.models import Branch, evaluation_mode
from rspnet.names import HEADS

Floats = NDArray[np.float64]

TARGETS = {
    "flow": "optical flow",
    "saliency": "spectral residual",
    "contrast": "local contrast",
}
ITSELF = "optical flow itself"  # in the place of a kind of map
FROZEN = {"moving": "the fifth that moves most", "rest": "the other four fifths"}
MOVES = 0.5  # pixels a frame, of a cell that counts as moving


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


def load_scene(
    path: Path, branch: Branch, *, size: int, num_triplets: int, rng: np.random.Generator
) -> Scene:
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
    return Scene(triplets, targets)


def correlations(model: EvaluatedModel, scenes: Sequence[Scene]) -> Measured:
    """Spearman's rho of every map with every target, averaged over a video's triplets.

    A uniform map correlates with nothing: its rho is 0.

    Returns:
        ``rho``, (videos, speeds, heads, kinds, targets).
    """
    first = model.triplets[0][0]
    kinds = kinds_of(first.c_i.branch, first.c_j.branch)
    shape = (len(scenes), len(scenes[0].triplets), len(HEADS), len(kinds), len(TARGETS))
    rho = np.zeros(shape)
    for v, q, h in np.ndindex(shape[:3]):
        for k, values in enumerate(model.maps(v, q, HEADS[h]).values()):
            found = [rank_correlation(values, scenes[v].truth[q][name]) for name in TARGETS]
            rho[v, q, h, k] = np.nan_to_num(found)
    return {"rho": by_speed(rho)}


def frozen_views(view: View, flow: Floats, grid: Grid) -> list[View]:
    """The clip, and the clip with each region of :data:`FROZEN` stopped at its middle frame.

    Args:
        view: The clip.
        flow: Of its cells, (T', H', W').
        grid: Where the cells lie.
    """
    total = flow.sum(axis=0)
    most = np.zeros(total.size, np.bool_)
    most[np.argsort(-total.ravel(), kind="stable")[: max(1, total.size // 5)]] = True
    mask = most.reshape(total.shape)[np.ix_(grid.cell_of(1), grid.cell_of(2))]
    return [view, *(edit_region(view, region, "freeze") for region in (mask, ~mask))]


@torch.no_grad()
def frozen_drops(model: EvaluatedModel, scenes: Sequence[Scene]) -> Floats:
    """By how much each head's margin falls with a region frozen, RSP's towards the faster clip.

    Returns:
        (videos, triplets, heads, regions of :data:`FROZEN`).
    """
    shape = (len(scenes), len(scenes[0].triplets), len(HEADS), len(FROZEN))
    found = np.zeros(shape)
    for q in range(shape[1]):
        encoded = [own[q] for own in model.triplets]
        for v, own in enumerate(encoded):
            branch, scores = own.c_i.branch, scores_of(encoded, v)
            views = frozen_views(own.view, scenes[v].truth[q]["flow"], own.c_i.grid)
            batch = torch.stack([view.clip for view in views])
            with evaluation_mode(branch):  # one pass for both heads
                embeddings = branch(batch.to(branch.device))
            for h, head in enumerate(HEADS):
                score = scores[head, "margin"]
                if head == "rsp" and own.c_j.info.speed < own.c_k.info.speed:
                    score = -score
                found[v, q, h] = drops(score, embeddings)
    return found


def measure_model(model: EvaluatedModel, scenes: Sequence[Scene]) -> Measured:
    """:func:`correlations`, and :func:`frozen_drops` of the model and random weights."""
    found = correlations(model, scenes)
    if model.weights in ("trained", "random weights"):
        found["drop"] = by_speed(frozen_drops(model, scenes))
    return found


def summarise(measured: Measured, kinds: Sequence[str], weights: str) -> list[Row]:
    """Estimates over videos of what :func:`correlations` gave, of one set of weights."""
    rows = []
    for (speed, values), (k, kind), (t, target) in product(
        at_speeds(measured), enumerate(kinds), enumerate(TARGETS)
    ):
        rsp, avid = values["rho"][:, :, k, t].T
        keys: dict[str, Key] = {"weights": weights, "kind": kind, "target": target, "speed": speed}
        found = {"rsp": mean(rsp), "avid": mean(avid), RSP_MINUS_AVID: difference(rsp, avid)}
        rows += [
            Row(keys=keys | {"head": head}, values={"rho": own}) for head, own in found.items()
        ]
    if "drop" in measured:
        drops_HRV = measured["drop"].mean(axis=1).transpose(1, 2, 0)
        for r, region in enumerate(FROZEN):
            keys = {"weights": weights, "region": region}
            rows += head_rows(keys, {"drop": tuple(drops_HRV[:, r])})
    return rows


@register_study
class OpticalFlow(Study[OpticalFlowConfig]):
    """Compare both heads' maps with the optical flow of real videos."""

    name = "optical_flow"
    title = "Optical flow"
    question = "Do the maps follow movement in real video?"
    reading = (
        "Optical flow by DIS where the picture visibly changes, with the camera's motion removed "
        "by a homography."
    )
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
        skipped |= {str(path): why for path, why in (*scan.unreadable, *scan.too_short)}
        usable = [source.path for source in evenly_spaced(scan.usable, config.num_videos)]
        scenes = []
        bar = tqdm(usable, desc="Videos", unit="video", disable=not inputs.progress)
        for place, path in enumerate(bar):
            rng = np.random.default_rng([config.seed, place])
            try:
                scenes.append(
                    load_scene(path, query, size=size, num_triplets=config.num_triplets, rng=rng)
                )
            except ValueError as error:
                skipped[str(path)] = str(error)
        skipped = {path: why.removeprefix(f"{path}: ") for path, why in skipped.items()}
        if len(scenes) < 2:
            reasons = "".join(f"\n  {p}: {why}" for p, why in list(skipped.items())[:5])
            raise ValueError(
                f"{len(scenes)} of {len(inputs.paths)} videos can be measured, at least two "
                f"are needed. The first of those skipped:{reasons}"
            )
        found, grid = measure_controls(
            inputs, scenes, measure_model, num_random=num_random, title=self.title
        )
        kinds = kinds_of(query, inputs.key)
        rows = [row for weights, own in found.items() for row in summarise(own, kinds, weights)]
        moving = [float(np.mean([own["flow"] > MOVES for own in scene.truth])) for scene in scenes]
        rows.append(Row(keys={"kind": ITSELF, "target": "flow"}, values={"share": mean(moving)}))
        for target in ("saliency", "contrast"):
            keys: dict[str, Key] = {"kind": ITSELF, "target": target}
            shared = [
                float(np.mean([rank_correlation(own["flow"], own[target]) for own in scene.truth]))
                for scene in scenes
            ]
            rows.append(Row(keys=keys, values={"rho": mean(shared)}))
        return StudyTable(
            study=self.name,
            rows=tuple(rows),
            num_videos=len(scenes),
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
        found = (
            "RSP's margin map, signed towards the faster clip, follows optical flow with rho "
            f"{number(rho['rsp'].value)}, {says} ({interval(rho[RSP_MINUS_AVID])})."
        )
        if table.select(region="moving"):  # a table of an earlier version has none
            most, rest = (
                by_head(table, "drop", weights="trained", region=own)["rsp"] for own in FROZEN
            )
            found += (
                f" Frozen where most moves, RSP's margin drops by {interval(most)}; frozen in the "
                f"other four fifths, by {interval(rest)}."
            )
        return found

    def explain(self, table: StudyTable) -> str:
        """What the pixels alone have in common."""
        shared = [
            f"{TARGETS[str(row.keys['target'])]} at {number(row['rho'].value)}"
            for row in table.select(kind=ITSELF)
            if "rho" in row.values
        ]
        moving = "".join(
            f" In the mean {100 * row['share'].value:.0f}% of a clip's cells move by more than "
            f"{MOVES} pixels a frame."
            for row in table.select(kind=ITSELF)
            if "share" in row.values
        )
        return (
            f"{self.reading}{moving} The flow itself correlates with {' and '.join(shared)}: a map "
            "of salient places follows movement a little by that alone."
        )

    def tables(self, table: StudyTable) -> list[Table]:
        """Correlations by kind of map and target: the model, and folded its controls."""
        kinds = [kind for kind in table.keys("kind") if kind != ITSELF]
        headline = f"{kind_title(HEADLINE_KIND)} with optical"
        frozen = [
            pivot(
                {title: {"weights": weights, "region": region} for region, title in FROZEN.items()},
                head_columns("drop"),
                table,
                first="frozen",
                caption=f"{weights}: drop of the margin when a region stands still",
                folded=weights != "trained",
            )
            for weights in table.keys("weights")
            if table.select(weights=weights, region="moving")
        ]
        correlations = [
            pivot(
                {
                    f"{kind_title(kind)} with {TARGETS[target]}": {
                        "weights": weights, "kind": kind, "target": target, "speed": "both",
                    }
                    for target in TARGETS
                    for kind in kinds
                },
                head_columns("rho"),
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
        return [*correlations, *frozen]

    def figures(self, table: StudyTable) -> list[FigureSpec]:
        """How maps correlate with pixels: a column a target, a row a kind of map."""
        rows = kind_rows(table)
        panels = []
        for target, title in TARGETS.items():
            dots = head_dots(table, [{**keys, "target": target} for keys in rows.values()], "rho")
            panels.append(DotPanel(title, dots, ((0.0, False),)))
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
