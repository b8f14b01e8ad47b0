"""Action or appearance? ``python -m analysis cue_conflict --out FILE.json``.

A synthetic video with the action of video A and the appearance of video B is put between the two:
which of them is nearer by each head? The conflict is made weaker step by step, by taking less of
the appearance from B. After Geirhos et al. 2019, "ImageNet-trained CNNs are biased towards
texture", with motion in the place of shape. What else differs from video to video (phase, tempo,
place, height) is that of a third video, so that neither A nor B has it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from analysis.core.clip import StoredFrames, View, load_view
from analysis.core.figure_spec import DotFigure, DotPanel, FigureSpec
from analysis.core.table import (
    Key,
    Row,
    StudyTable,
    Table,
    head_columns,
    head_dots,
    heads_of,
    interval,
    pivot,
)
from analysis.stimuli.perturbed_clips import embed_views
from analysis.studies.measures.controlled import (
    ControlledConfig,
    against_random,
    all_rows,
    beside_random,
    by_head,
    head_rows,
    key_number,
    with_untrained,
)
from analysis.studies.registry import KeyNumber, Study, StudyInputs, register_study
from rspnet.data.sampling import clip_span
from rspnet.data.synthetic.videos import Factors, draw_factors, render_video
from rspnet.models import Branch
from rspnet.names import HEADS

Floats = NDArray[np.float64]
# How much of the appearance is B's, from the weakest conflict to the strongest.
CONFLICTS: dict[str, tuple[str, ...]] = {
    "prop of B": ("prop",),
    "prop and actor of B": ("prop", "actor"),
    "prop, actor and set of B": ("prop", "actor", "set_id"),
}
FULL = list(CONFLICTS)[-1]
MEASURES = {
    "motion": "nearer to A, whose action it has",
    "action_first": "A is the nearest of all",
    "appearance_first": "B is the nearest of all",
}


@dataclass(frozen=True, kw_only=True)
class CueConflictConfig(ControlledConfig):
    """Synthetic videos with the action of one video and the appearance of another.

    Attributes:
        num_videos: Videos in the gallery, each of which is once A and once B; at least two.
    """


def choose_partners(factors: Sequence[Factors]) -> list[int]:
    """For each video A the next video B that shares neither action nor any of its appearance.

    Raises:
        ValueError: A video has no such partner.
    """
    found = []
    for number, a in enumerate(factors):
        order = [(number + step) % len(factors) for step in range(1, len(factors))]
        apart = [
            place
            for place in order
            if all(
                getattr(a, name) != getattr(factors[place], name)
                for name in ("action", *CONFLICTS[FULL])
            )
        ]
        if not apart:
            raise ValueError(
                f"no other video has another action and appearance than video {number}: take more "
                "videos, or another seed"
            )
        found.append(apart[0])
    return found


def decide(queries: Floats, gallery: Floats, a: Sequence[int], b: Sequence[int]) -> Floats:
    """The outcome of each conflict, (N, 3) of 0 and 1, by :data:`MEASURES`.

    Args:
        queries: Unit embeddings of the videos in conflict, (N, D).
        gallery: Of all videos, (V, D).
        a: Of each conflict, the video whose action it has.
        b: Of each, the video whose appearance it has.
    """
    near = queries @ gallery.T
    rows, first = np.arange(len(queries)), near.argmax(axis=1)
    motion = near[rows, list(a)] > near[rows, list(b)]
    return np.stack([motion, first == np.array(a), first == np.array(b)], axis=1).astype(float)


@register_study
class CueConflict(Study[CueConflictConfig]):
    """Measure whether a head goes by action or by appearance when the two disagree."""

    name = "cue_conflict"
    title = "Cue conflict"
    question = "Action or appearance, when the two disagree?"
    reading = (
        "Each video has the action of A and the appearance of B. The first number is the share of "
        "videos that are nearer to A than to B; 0.5 is no preference. Others stand between, so "
        "that neither need be the nearest of all."
    )
    needs = "synthetic"
    config = CueConflictConfig
    any_encoder = True
    place = 55

    def measure(self, inputs: StudyInputs, config: CueConflictConfig) -> StudyTable:
        """Measure a model and random weights.

        Raises:
            ValueError: A video has no partner that differs in action and appearance.
        """
        num, query = config.num_videos, inputs.query
        span = clip_span(query.num_frames, 1)
        factors = [draw_factors(config.seed, index) for index in range(num)]
        partners = choose_partners(factors)

        def view(index: int, **changes: Any) -> View:
            frames = render_video(config.seed, index, num_frames=span, **changes).frames
            return load_view(StoredFrames(frames), query.num_frames, query.size)

        clips = {"": [view(index) for index in range(num)]} | {name: [] for name in CONFLICTS}
        for number, (own, partner) in enumerate(zip(factors, partners, strict=True)):
            for name, taken in CONFLICTS.items():
                appearance = {
                    factor: getattr(factors[partner] if factor in taken else own, factor)
                    for factor in CONFLICTS[FULL]
                }
                # The third video: one that is not in the gallery.
                clips[name].append(view(num + number, action=own.action, **appearance))
        total = num * len(clips) * (1 + config.num_random)
        with tqdm(total=total, desc=self.title, unit="clip", disable=not inputs.progress) as bar:

            def embed(branch: Branch, own: Sequence[View]) -> Floats:
                found = embed_views(branch, own)
                bar.update(len(own))
                return np.stack([found[head] for head in branch.heads])

            def measure(branch: Branch, _key: Branch) -> Floats:
                known, *conflicts = (embed(branch, own) for own in clips.values())
                pairs = [list(zip(queries, known, strict=True)) for queries in conflicts]
                return np.array(
                    [[decide(q, g, range(num), partners) for q, g in heads] for heads in pairs]
                )

            found = with_untrained(query, inputs.key, config.num_random, measure)
        return StudyTable(
            study=self.name,
            rows=all_rows(found, summarise, query.heads),
            num_videos=num,
            videos=f"synthetic videos of seed {config.seed}",
            model_hash=query.hash,
            seed=config.seed,
            settings={"num_random": config.num_random},
        )

    def finding(self, table: StudyTable) -> str:
        """Of the full conflict, the share of motion decisions by either head."""
        if len(heads_of(table)) == 1:
            values = against_random(table, "motion", conflict=FULL)
            says = "has no preference that these videos can show"
            if values[0].low > 0.5:
                says = "goes by motion rather than appearance"
            elif values[0].high < 0.5:
                says = "goes by appearance rather than motion"
            return (
                f"With the action of one video and the appearance of another, it {says}. The share "
                "of videos that are nearer to the one with the same action is "
                f"{beside_random(values)}."
            )
        rsp, avid, apart = by_head(table, "motion", weights="trained", conflict=FULL).values()
        return (
            "With the action of one video and the appearance of another, RSP is nearer to the one "
            f"with the same action in {interval(rsp)} of the videos, A-VID in {interval(avid)} "
            f"(difference {interval(apart)})."
        )

    def tables(self, table: StudyTable) -> list[Table]:
        """Decisions by the strength of the conflict; random weights folded."""
        return [
            pivot(
                {name: {"weights": weights, "conflict": name} for name in CONFLICTS},
                head_columns(measure, heads=heads_of(table)),
                table,
                first="conflict",
                caption=(
                    f"{weights}: share of {table.num_videos} {table.videos} that are or have: "
                    f"{title}; 95% interval over videos"
                ),
                strong=lambda title: title == FULL,
                folded=weights != "trained" or measure != "motion",
            )
            for weights in table.keys("weights")
            for measure, title in MEASURES.items()
        ]

    def figures(self, table: StudyTable) -> list[FigureSpec]:
        """A column a measure, a row a strength of the conflict."""
        rows: list[dict[str, Key]] = [{"conflict": name} for name in CONFLICTS]
        panels = tuple(
            DotPanel(
                title, head_dots(table, rows, measure), ((0.5, False),) * (measure == "motion")
            )
            for measure, title in MEASURES.items()
        )
        axis = "Share of videos in conflict; line: no preference; pale: random weights"
        return [DotFigure(self.title, tuple(CONFLICTS), panels, axis)]

    def key_numbers(self, table: StudyTable) -> list[KeyNumber]:
        """The share of motion decisions in the full conflict."""
        name = "action of one video, appearance of another: decided by action"
        return [key_number(table, name, "motion", conflict=FULL)]


def summarise(
    found: Floats,
    weights: str,
    heads: Sequence[str] = HEADS,
    random: Floats | None = None,
) -> list[Row]:
    """Estimates over videos of :func:`decide`'s outcomes, (C conflicts, H heads, N, 3)."""

    def values(own: Floats) -> dict[str, tuple[Floats, ...]]:
        return {measure: tuple(own[:, :, n]) for n, measure in enumerate(MEASURES)}

    rows = []
    for place, name in enumerate(CONFLICTS):
        control = None if random is None else values(random[place])
        keys = {"weights": weights, "conflict": name}
        rows += head_rows(keys, values(found[place]), heads, control)
    return rows
