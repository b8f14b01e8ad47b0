"""Action or appearance? ``python -m analysis cue_conflict --out FILE.json``.

A synthetic video with the action of video A and the appearance of video B is put between the two:
which of them is nearer by each head? The conflict is made weaker step by step, by taking less of
the appearance from B. After Geirhos et al. 2019, "ImageNet-trained CNNs are biased towards
texture", with motion in the place of shape. What else differs from video to video (phase, tempo,
place, height) is that of a third video, so that neither A nor B has it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from analysis.core.clip import Frames, StoredFrames, load_view
from analysis.core.figure_spec import DotFigure, DotPanel, FigureSpec
from analysis.core.table import (
    Key,
    Row,
    StudyTable,
    Table,
    head_columns,
    head_dots,
    interval,
    pivot,
)
from analysis.stimuli.kinds import with_random_weights
from analysis.studies.measures.controlled import by_head, head_rows, key_number
from analysis.studies.registry import KeyNumber, Study, StudyConfig, StudyInputs, register_study
from rspnet.data.sampling import clip_span
from rspnet.data.synthetic.videos import Factors, draw_factors, render_video
from rspnet.models import Branch, evaluation_mode
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
class CueConflictConfig(StudyConfig):
    """Synthetic videos with the action of one video and the appearance of another.

    Attributes:
        num_videos: Videos in the gallery, each of which is once A and once B; at least two.
        num_random: Draws of random weights.
    """

    num_videos: int = 40
    num_random: int = 3

    def __post_init__(self) -> None:
        if self.num_videos < 2 or self.num_random < 1:
            raise ValueError(
                "a conflict is between two videos, and a control has some weights: give at least 2 "
                f"videos and 1 draw, got {self.num_videos} and {self.num_random}"
            )


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


def embed(branch: Branch, clips: Sequence[Frames]) -> dict[str, Floats]:
    """Unit embeddings of clips by both heads, (N, 128) each; clips are (T, H, W, 3) frames."""
    found: dict[str, list[Floats]] = {head: [] for head in HEADS}
    for frames in clips:
        view = load_view(StoredFrames(frames), branch.num_frames, branch.size)
        with evaluation_mode(branch):
            embeddings = branch(view.clip[None])
        for head, z in embeddings.items():
            if head in found:
                found[head].append(z[0].double().numpy())
    return {head: np.array(rows) for head, rows in found.items()}


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
    place = 55

    @torch.no_grad()
    def measure(self, inputs: StudyInputs, config: CueConflictConfig) -> StudyTable:
        """Measure a model and random weights.

        Raises:
            ValueError: A video has no partner that differs in action and appearance.
        """
        num, query = config.num_videos, inputs.query
        span = clip_span(query.num_frames, 1)
        factors = [draw_factors(config.seed, index) for index in range(num)]
        partners = choose_partners(factors)
        gallery = [render_video(config.seed, i, num_frames=span).frames for i in range(num)]
        conflicts: dict[str, list[Frames]] = {name: [] for name in CONFLICTS}
        bar = tqdm(range(num), desc=self.title, unit="video", disable=not inputs.progress)
        for number in bar:
            own, other = factors[number], factors[partners[number]]
            for name, taken in CONFLICTS.items():
                appearance = {
                    factor: getattr(other if factor in taken else own, factor)
                    for factor in CONFLICTS[FULL]
                }
                # The third video: one that is not in the gallery.
                video = render_video(
                    config.seed, num + number, action=own.action, num_frames=span, **appearance
                )
                conflicts[name].append(video.frames)
        rows: list[Row] = []
        for weights in ("trained", "random weights"):
            branches = [query]
            if weights != "trained":
                branches = [with_random_weights(query, draw) for draw in range(config.num_random)]
            found: dict[str, dict[str, list[Floats]]] = {
                n: {h: [] for h in HEADS} for n in CONFLICTS
            }
            for branch in branches:
                known = embed(branch, gallery)
                for name, clips in conflicts.items():
                    for head, queries in embed(branch, clips).items():
                        outcome = decide(queries, known[head], range(num), partners)
                        found[name][head].append(outcome)
            for name, of_head in found.items():
                rsp, avid = (np.mean(of_head[head], axis=0) for head in HEADS)
                values = {m: (rsp[:, n], avid[:, n]) for n, m in enumerate(MEASURES)}
                rows += head_rows({"weights": weights, "conflict": name}, values)
        return StudyTable(
            study=self.name,
            rows=tuple(rows),
            num_videos=num,
            videos=f"synthetic videos of seed {config.seed}",
            model_hash=query.hash,
            seed=config.seed,
            settings={"num_random": config.num_random},
        )

    def finding(self, table: StudyTable) -> str:
        """Of the full conflict, the share of motion decisions by either head."""
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
                head_columns(measure),
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
        name = "cue conflict, share of motion decisions"
        return [key_number(table, name, "motion", conflict=FULL)]
