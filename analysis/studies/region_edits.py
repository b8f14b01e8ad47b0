"""What does a head lose with a region? ``python -m analysis region_edits --out FILE.json``.

The other way round than a map: a region of c_i is edited (:func:`analysis.edit_region`), and the
margin that the head is trained on is computed anew, by the network itself. The regions are where
limbs move, by the ground truth of synthetic videos, and the same shape elsewhere in the picture.
The margin of RSP is signed towards the faster clip, as the map is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from analysis.core.clip import Masks, View
from analysis.core.figure_spec import DotFigure, DotPanel, FigureSpec
from analysis.core.score import Score
from analysis.core.table import (
    RSP_MINUS_AVID,
    Key,
    Row,
    StudyTable,
    Table,
    head_columns,
    head_dots,
    interval,
    pivot,
)
from analysis.stimuli.edit import How, edit_region
from analysis.stimuli.kinds import encode_triplet
from analysis.stimuli.triplets import scores_of
from analysis.studies.localisation import make_scene
from analysis.studies.measures.controlled import (
    SPEEDS,
    ControlledConfig,
    Scene,
    by_head,
    head_rows,
    key_number,
    with_untrained,
)
from analysis.studies.registry import KeyNumber, Study, StudyInputs, register_study, verdict
from rspnet.models import Branch, evaluation_mode
from rspnet.names import HEADS

Floats = NDArray[np.float64]
REGIONS = {"limbs": "moving limbs", "elsewhere": "the same shape elsewhere"}
LIMBS_MINUS_ELSEWHERE = "limbs_minus_elsewhere"
HOWS: dict[How, str] = {"freeze": "frozen", "blur": "blurred", "mean": "in its mean colour"}


@dataclass(frozen=True, kw_only=True)
class RegionEditsConfig(ControlledConfig):
    """The margin of both heads when moving limbs, or as much elsewhere, are edited."""


def elsewhere(limbs: Masks) -> Masks:
    """A region of the same shape and size that overlaps as little as can be, (H, W) booleans.

    The picture is taken for a torus: the region is moved by an eighth of the side, or a multiple.
    """
    side = limbs.shape[0]
    steps = [round(n * side / 8) for n in range(8)]
    moved = [np.roll(limbs, shift, axis=(0, 1)) for shift in product(steps, steps)]
    return moved[int(np.argmin([(limbs & other).sum() for other in moved]))]


def edited(view: View, limbs: Masks) -> list[View]:
    """The clip, and its edits region by region in the order of :data:`REGIONS` and :data:`HOWS`."""
    path = np.asarray(limbs.any(axis=0))  # where a limb is at any time: it goes as a whole
    masks = (path, elsewhere(path))
    return [view, *(edit_region(view, mask, how) for mask in masks for how in HOWS)]


def drops(score: Score, embeddings: dict[str, Tensor]) -> Floats:
    """By how much the score of the first clip is above that of each other one.

    Args:
        score: The target score.
        embeddings: Of the clips, (N, 128) by either head, as the network gives them.
    """
    z = embeddings[score.head]
    values = (z @ score.target.to(z)).double().cpu().numpy()
    return np.asarray(values[0] - values[1:], float)


def measure_model(
    query: Branch,
    key: Branch,
    scenes: Sequence[Scene],
    clips: Sequence[Sequence[Sequence[View]]],
    done: "tqdm[Any]",
) -> Floats:
    """Drops of the margin, (V videos, S speeds, H heads, R regions, E edits).

    Args:
        query: Query branch.
        key: Momentum branch.
        scenes: The videos.
        clips: :func:`edited` of each video's c_i at each speed.
        done: Updated after each clip.
    """
    found = np.zeros((len(scenes), len(SPEEDS), len(HEADS), len(REGIONS), len(HOWS)))
    for q in range(len(SPEEDS)):
        encoded = [encode_triplet(query, key, scene.triplets[q]) for scene in scenes]
        for v, own in enumerate(encoded):
            scores = scores_of(encoded, v)
            batch = torch.stack([clip.clip for clip in clips[v][q]])
            with evaluation_mode(query):  # one pass for both heads
                embeddings = query(batch.to(query.device))
            for h, head in enumerate(HEADS):
                score = scores[head, "margin"]
                if head == "rsp" and own.c_j.info.speed < own.c_k.info.speed:
                    score = -score
                found[v, q, h] = drops(score, embeddings).reshape(found.shape[3:])
            done.update()
    return found


@register_study
class RegionEdits(Study[RegionEditsConfig]):
    """Measure what both heads' margins lose without the moving limbs."""

    name = "region_edits"
    title = "Region edits"
    question = "What does a head lose without the moving limbs?"
    reading = (
        "The drop of the margin, RSP's signed towards the faster clip, when a region of c_i shows "
        "something else. The regions have one shape and size. In these videos nothing but limbs "
        "moves, so that freezing what is elsewhere changes no pixel."
    )
    needs = "synthetic"
    config = RegionEditsConfig
    place = 50

    @torch.no_grad()
    def measure(self, inputs: StudyInputs, config: RegionEditsConfig) -> StudyTable:
        """Measure a model and random weights.

        Raises:
            ValueError: A video shows no moving limb.
        """
        query, num = inputs.query, config.num_videos
        options = {"num_frames": query.num_frames, "size": query.size, "num_triplets": 1}
        scenes = [make_scene(config.seed, index, **options) for index in range(num)]
        clips = [
            [
                edited(i, truth["limbs"])
                for (i, _, _), truth in zip(s.triplets, s.truth, strict=True)
            ]
            for s in scenes
        ]
        total = num * len(SPEEDS) * (1 + config.num_random)
        with tqdm(total=total, desc=self.title, unit="clip", disable=not inputs.progress) as bar:

            def measure(query: Branch, key: Branch) -> Floats:
                return measure_model(query, key, scenes, clips, bar)

            found = with_untrained(query, inputs.key, config.num_random, measure)
        return StudyTable(
            study=self.name,
            rows=tuple(row for weights, own in found.items() for row in summarise(own, weights)),
            num_videos=num,
            videos=f"synthetic videos of seed {config.seed}",
            model_hash=query.hash,
            seed=config.seed,
            settings={"num_random": config.num_random},
        )

    def finding(self, table: StudyTable) -> str:
        """What freezing the limbs costs either head."""
        found = by_head(table, "drop", weights="trained", region="limbs", edit="freeze")
        says = verdict(found[RSP_MINUS_AVID], "more than A-VID's", "less than A-VID's")
        return (
            f"With its moving limbs frozen, RSP's margin drops by {interval(found['rsp'])}, {says} "
            f"{interval(found['avid'])} (difference {interval(found[RSP_MINUS_AVID])})."
        )

    def tables(self, table: StudyTable) -> list[Table]:
        """Drops by region and edit; random weights folded."""
        titles = REGIONS | {LIMBS_MINUS_ELSEWHERE: "limbs minus elsewhere"}
        return [
            pivot(
                {
                    f"{title}, {words}": {"weights": weights, "region": region, "edit": how}
                    for region, title in titles.items()
                    for how, words in HOWS.items()
                },
                head_columns("drop"),
                table,
                first="region",
                caption=(
                    f"{weights}: drop of the margin, mean over {table.num_videos} {table.videos}, "
                    "95% interval over videos"
                ),
                strong=lambda title: title == f"{REGIONS['limbs']}, {HOWS['freeze']}",
                folded=weights != "trained",
            )
            for weights in table.keys("weights")
        ]

    def figures(self, table: StudyTable) -> list[FigureSpec]:
        """A column a region, a row an edit."""
        panels = [
            DotPanel(
                title,
                head_dots(table, [{"region": region, "edit": how} for how in HOWS], "drop"),
                ((0.0, False),),
            )
            for region, title in REGIONS.items()
        ]
        axis = "Drop of the margin, in units of the cosine; pale: random weights"
        return [DotFigure(self.title, tuple(HOWS.values()), tuple(panels), axis)]

    def key_numbers(self, table: StudyTable) -> list[KeyNumber]:
        """The drop with frozen limbs."""
        name = "drop of the margin with moving limbs frozen"
        return [key_number(table, name, "drop", region="limbs", edit="freeze")]


def summarise(found: Floats, weights: str) -> list[Row]:
    """Estimates over videos of :func:`measure_model`'s drops, both speeds together."""
    rows = []
    by_region = dict(zip(REGIONS, np.moveaxis(found.mean(axis=1), 2, 0), strict=True))
    by_region[LIMBS_MINUS_ELSEWHERE] = by_region["limbs"] - by_region["elsewhere"]
    for (region, values), (e, how) in product(by_region.items(), enumerate(HOWS)):
        keys: dict[str, Key] = {"weights": weights, "region": region, "edit": how}
        rows += head_rows(keys, {"drop": tuple(values[:, :, e].T)})
    return rows
