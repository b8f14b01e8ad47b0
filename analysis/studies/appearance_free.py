"""What is left without appearance? ``python -m analysis appearance_free --out FILE.json``.

Each clip is replaced by noise that moves as the clip does (:mod:`analysis.stimuli.noise`), the
three clips of a triplet by noise of their own. A head that reads movement still tells speeds apart;
nothing is left to recognise a video by but how it moves. Noise at rest, a frame of it repeated, is
the control: there nothing is left at all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from analysis.core.clip import View
from analysis.core.figure_spec import DotFigure, DotPanel, FigureSpec
from analysis.core.table import Key, StudyTable, Table, head_columns, head_dots, interval, pivot
from analysis.stimuli.noise import carried_noise
from analysis.stimuli.perturbed_clips import embed_views
from analysis.stimuli.triplets import Views
from analysis.studies.measures.controlled import by_head, head_rows, key_number, with_untrained
from analysis.studies.registry import (
    KeyNumber,
    Study,
    StudyInputs,
    VideoStudyConfig,
    register_study,
)
from rspnet.models import Branch
from rspnet.names import HEADS

Floats = NDArray[np.float64]
MOVEMENT = "movement alone"
MEASURES = {
    "order": "speed: c_j, of the same speed, nearer than c_k",
    "instance": "video: c_j nearest of all videos' c_j",
}


def _moving(view: View, seed: Sequence[int]) -> View:
    return view.with_frames(carried_noise(view.frames, np.random.default_rng(seed)))


def _resting(view: View, seed: Sequence[int]) -> View:
    return view.with_frames(carried_noise(np.zeros_like(view.frames), np.random.default_rng(seed)))


# How a clip is shown, from its view and a seed of its own.
STIMULI: Mapping[str, Callable[[View, Sequence[int]], View]] = {
    "clips as they are": lambda view, _seed: view,
    MOVEMENT: _moving,
    "noise at rest": _resting,
}


@dataclass(frozen=True, kw_only=True)
class AppearanceFreeConfig(VideoStudyConfig):
    """Both tasks on noise that moves as the clips of videos do.

    Attributes:
        num_videos: Videos, at least two, with a triplet each.
        num_random: Draws of random weights.
    """

    num_videos: int = 80
    num_random: int = 3

    def __post_init__(self) -> None:
        if self.num_random < 1:
            raise ValueError(f"a control has some weights: got num_random={self.num_random}")


def outcomes(z_i: Floats, z_j: Floats, z_k: Floats) -> Floats:
    """Whether each triplet is right, (2, V) of 0 and 1, by :data:`MEASURES`; a tie is not.

    Args:
        z_i: Unit embeddings of the queries, (V, D).
        z_j: Of the clips of the same speed.
        z_k: Of those of the other speed.
    """
    near = z_i @ z_j.T
    own = np.diag(near)
    others = np.where(np.eye(len(near), dtype=bool), -np.inf, near).max(axis=1)
    order = own - (z_i * z_k).sum(axis=1)
    return np.stack([order > 1e-6, own - others > 1e-6]).astype(float)


@register_study
class AppearanceFree(Study[AppearanceFreeConfig]):
    """Measure both tasks where clips show their movement alone."""

    name = "appearance_free"
    title = "Movement alone"
    question = "What is left without appearance?"
    reading = (
        "The first number is the share of triplets whose clip of the same speed is nearer than "
        "that of the other speed (chance is 0.50), the second that of videos whose other clip is "
        "the nearest of all. Noise at rest is the control in which neither can be told."
    )
    needs = "each"
    config = AppearanceFreeConfig
    place = 57

    def measure(self, inputs: StudyInputs, config: AppearanceFreeConfig) -> StudyTable:
        """Measure a model and random weights; three forward passes a video, stimulus and model.

        Raises:
            ValueError: Fewer than two videos can be used.
        """
        triplets = inputs.triplets(config.num_videos, config.seed)
        num = len(triplets.views)
        shown: dict[str, list[Views]] = {name: [] for name in STIMULI}
        for v, views in enumerate(triplets.views):
            for name, change in STIMULI.items():
                c_i, c_j, c_k = (
                    change(view, (config.seed, v, place)) for place, view in enumerate(views)
                )
                shown[name].append((c_i, c_j, c_k))
        total = 3 * num * len(STIMULI) * (1 + config.num_random)
        with tqdm(total=total, desc=self.title, unit="clip", disable=not inputs.progress) as bar:

            def measure(query: Branch, key: Branch) -> Floats:
                found = []
                for views in shown.values():
                    z = []
                    for branch, clips in zip(
                        (query, key, key), zip(*views, strict=True), strict=True
                    ):
                        z.append(embed_views(branch, clips))
                        bar.update(num)
                    found.append([outcomes(*(own[head] for own in z)) for head in HEADS])
                return np.array(found)

            found = with_untrained(inputs.query, inputs.key, config.num_random, measure)
        rows = [
            row
            for weights, stimuli in found.items()
            for name, heads in zip(STIMULI, stimuli, strict=True)
            for row in head_rows(
                {"weights": weights, "stimulus": name},
                {measure: tuple(heads[:, n]) for n, measure in enumerate(MEASURES)},
            )
        ]
        return StudyTable(
            study=self.name,
            rows=tuple(rows),
            num_videos=num,
            videos=triplets.what,
            skipped=triplets.skipped,
            model_hash=inputs.query.hash,
            seed=config.seed,
            settings={"num_random": config.num_random},
        )

    def finding(self, table: StudyTable) -> str:
        """The order that RSP keeps on movement alone, and what it is as the clips are."""
        kept, whole = (
            by_head(table, "order", weights="trained", stimulus=name)["rsp"]
            for name in (MOVEMENT, next(iter(STIMULI)))
        )
        avid = by_head(table, "instance", weights="trained", stimulus=MOVEMENT)["avid"]
        return (
            f"Of noise that moves as the clips do, RSP orders {interval(kept)} of the triplets "
            f"correctly (of the clips themselves {interval(whole)}), and A-VID finds "
            f"{interval(avid)} of the videos again."
        )

    def tables(self, table: StudyTable) -> list[Table]:
        """Both tasks by what is shown; random weights folded."""
        rows: dict[str, dict[str, Key]]
        found = []
        for weights in table.keys("weights"):
            for measure, title in MEASURES.items():
                rows = {name: {"weights": weights, "stimulus": name} for name in STIMULI}
                found.append(
                    pivot(
                        rows,
                        head_columns(measure),
                        table,
                        first="shown",
                        caption=f"{weights}: share of {table.num_videos} {table.videos} whose "
                        f"{title}; 95% interval over videos",
                        strong=lambda name: name == MOVEMENT,
                        folded=weights != "trained",
                    )
                )
        return found

    def figures(self, table: StudyTable) -> list[FigureSpec]:
        """A column a task, a row a stimulus."""
        rows: list[dict[str, Key]] = [{"stimulus": name} for name in STIMULI]
        panels = tuple(
            DotPanel(
                title.partition(":")[0].capitalize(),
                head_dots(table, rows, measure),
                ((0.5 if measure == "order" else 1 / table.num_videos, False),),
            )
            for measure, title in MEASURES.items()
        )
        axis = "Share of videos told correctly; line: chance; pale: random weights"
        return [DotFigure(self.title, tuple(STIMULI), panels, axis)]

    def key_numbers(self, table: StudyTable) -> list[KeyNumber]:
        """The order of speeds on movement alone."""
        name = "movement alone, correct order of speeds"
        return [key_number(table, name, "order", stimulus=MOVEMENT)]
