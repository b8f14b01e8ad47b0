"""What is left without appearance, or before another background?

``python -m analysis appearance_free --out FILE.json``

Each clip is replaced by noise that moves as the clip does (:mod:`analysis.stimuli.noise`), the
three clips of a triplet by noise of their own; or what moves in it is shown before the background
of another video (:mod:`analysis.stimuli.background`), the query before another one than the other
two. A head that reads movement still tells speeds apart, and retrieves by how things move. Noise at
rest, a frame of it repeated, is the control: there nothing is left at all.

*Retrieval*: the queries are the clips c_i of all videos, the gallery their clips c_j; either the
queries or the gallery are altered.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from analysis.core.clip import View
from analysis.core.figure_spec import Dot, DotFigure, DotPanel, FigureSpec
from analysis.core.table import (
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
from analysis.stimuli.background import swap_background, swap_synthetic_background
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
from rspnet.data.synthetic.videos import draw_factors
from rspnet.models import Branch
from rspnet.names import HEADS

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]
AS_THEY_ARE, MOVEMENT = "clips as they are", "movement alone"
BACKGROUND, REST = "other background", "noise at rest"
STIMULI = (AS_THEY_ARE, MOVEMENT, BACKGROUND, REST)
ALTERED = ("queries", "gallery")
FEATURES = (*HEADS, "backbone")
MEASURES = {
    "order": "speed: c_j, of the same speed, nearer than c_k",
    "instance": "video: c_j nearest of all videos' c_j",
}
# By what a nearest clip is a hit; of the first and the last a query's own video counts as well.
TARGETS = {
    "video": "the same video",
    "action": "another video of the same action",
    "appearance": "another video with the same actor or set",
    "background": "the clip whose background it shows",
}
OWN_COUNTS = ("video", "background")


def with_donors(number: int) -> tuple[int, int]:
    """How many videos further on those lie whose backgrounds queries and gallery get.

    A third and two thirds of the way round, as neighbours in a data set are alike. The two differ
    (if there are three videos), so that no background tells which clips are of one video.
    """
    return max(1, number // 3), max(1, 2 * number // 3)


@dataclass(frozen=True, kw_only=True)
class AppearanceFreeConfig(VideoStudyConfig):
    """Both tasks, and retrieval, on altered videos.

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


def alter(videos: Sequence[Views], seed: int, *, synthetic: bool) -> dict[str, list[Views]]:
    """Triplets of videos under each of :data:`STIMULI`.

    Args:
        videos: c_i, c_j and c_k of each video.
        seed: Of the noise, and of the videos if they are synthetic.
        synthetic: Whether video v is number v of the synthetic ones.
    """
    donors = with_donors(len(videos))

    def change(stimulus: str, view: View, v: int, place: int) -> View:
        if stimulus == BACKGROUND:
            other = (v + donors[place > 0]) % len(videos)
            if synthetic:
                own, its = draw_factors(seed, v), draw_factors(seed, other)
                return swap_synthetic_background(view, own, its)
            return swap_background(view, videos[other][0])
        if stimulus == AS_THEY_ARE:
            return view
        frames = view.frames if stimulus == MOVEMENT else np.zeros_like(view.frames)
        return view.with_frames(carried_noise(frames, np.random.default_rng((seed, v, place))))

    found: dict[str, list[Views]] = {}
    for stimulus in STIMULI:
        for v, own in enumerate(videos):
            i, j, k = (change(stimulus, view, v, place) for place, view in enumerate(own))
            found.setdefault(stimulus, []).append((i, j, k))
    return found


def targets_of(inputs: StudyInputs, videos: Sequence[Views], seed: int) -> dict[str, Booleans]:
    """By target the clips (columns) that are hits of the queries (rows), (V, V); but backgrounds.

    Actions and appearances are those of the synthetic videos, actions of real ones their labels,
    where they have any.
    """
    num = len(videos)

    def same(values: Sequence[str | int]) -> Booleans:
        return np.array([[a == b for b in values] for a in values], dtype=bool)

    found = {"video": np.eye(num, dtype=bool)}
    if inputs.kind == "synthetic":
        factors = [draw_factors(seed, v) for v in range(num)]
        found["action"] = same([own.action for own in factors])
        found["appearance"] = same([own.actor for own in factors])
        found["appearance"] |= same([own.set_id for own in factors])
    elif inputs.labels:
        found["action"] = same([inputs.labels[Path(i.info.video)] for i, _, _ in videos])
    return found


def hits(queries: Floats, gallery: Floats, target: Booleans, *, own: bool) -> Floats:
    """Whether the clip that is nearest to each query is one of its target, (V,) of 0 and 1.

    Args:
        queries: Unit embeddings, (V, D).
        gallery: Those of a clip of each video.
        target: Which clips are hits, (V, V).
        own: Whether the clip of the query's own video counts; else it is left out.

    Returns:
        NaN where nothing in the gallery is a hit.
    """
    near, left = queries @ gallery.T, own | ~np.eye(len(target), dtype=bool)
    nearest = np.where(left, near, -np.inf).argmax(axis=1)
    found = target[np.arange(len(target)), nearest].astype(float)
    return np.where((target & left).any(axis=1), found, np.nan)


def chance(target: Booleans, *, own: bool) -> float:
    """The share of :func:`hits` when the nearest clip is any of those that count."""
    left = target if own else target & ~np.eye(len(target), dtype=bool)
    counts = left.sum(axis=1)
    return float(counts[counts > 0].mean() / (len(target) - (not own))) if counts.any() else 0.0


@register_study
class AppearanceFree(Study[AppearanceFreeConfig]):
    """Measure both tasks and retrieval on clips without their appearance or background."""

    name = "appearance_free"
    title = "Altered videos"
    question = "What is left without appearance, or before another background?"
    reading = (
        "The first number is the share of triplets whose clip of the same speed is nearer than "
        "that of the other speed (chance is 0.50), the second that of videos whose other clip is "
        "the nearest of all. Then retrieval with altered queries, or an altered gallery: what is "
        "the nearest clip of? Noise at rest is the control in which nothing can be told. Before "
        "another background stand the actors of synthetic videos; of real ones the fifth of the "
        "picture that moves most stands before a frame of another video, with whatever that shows."
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
        shown = alter(triplets.views, config.seed, synthetic=inputs.kind == "synthetic")
        targets = targets_of(inputs, triplets.views, config.seed)
        first, second = with_donors(num)
        wants = [(AS_THEY_ARE, "nothing", targets)]
        for name in STIMULI[1:]:
            for altered in ALTERED:
                # Its own donor is what an altered query shows; of an altered gallery the clips
                # whose donor the query's video is show the query's.
                turn = first if altered == "queries" else -second
                donor = {"background": np.roll(targets["video"], turn, axis=1)}
                wants.append((name, altered, targets | (donor if name == BACKGROUND else {})))
        total = 3 * num * len(STIMULI) * (1 + config.num_random)
        with tqdm(total=total, desc=self.title, unit="clip", disable=not inputs.progress) as bar:

            def measure(query: Branch, key: Branch) -> Floats:
                z: dict[str, list[dict[str, Floats]]] = {}
                for name, views in shown.items():
                    for branch, clips in zip(
                        (query, key, key), zip(*views, strict=True), strict=True
                    ):
                        z.setdefault(name, []).append(embed_views(branch, clips, backbone=True))
                        bar.update(num)
                return np.array([_told(z, wants, feature) for feature in FEATURES])

            found = with_untrained(inputs.query, inputs.key, config.num_random, measure)
        return StudyTable(
            study=self.name,
            rows=tuple(row for weights, own in found.items() for row in _rows(own, wants, weights)),
            num_videos=num,
            videos=triplets.what,
            skipped=triplets.skipped,
            model_hash=inputs.query.hash,
            seed=config.seed,
            settings={
                "num_random": config.num_random,
                "chance": {
                    name: chance(target, own=name in OWN_COUNTS)
                    for _, _, own in wants
                    for name, target in own.items()
                },
            },
        )

    def finding(self, table: StudyTable) -> str:
        """The order that RSP keeps on movement alone, and what it is as the clips are."""
        kept, whole = (
            by_head(table, "order", weights="trained", stimulus=name)["rsp"]
            for name in (MOVEMENT, AS_THEY_ARE)
        )
        avid = by_head(table, "instance", weights="trained", stimulus=MOVEMENT)["avid"]
        says = (
            f"Of noise that moves as the clips do, RSP orders {interval(kept)} of the triplets "
            f"correctly (of the clips themselves {interval(whole)}), and A-VID finds "
            f"{interval(avid)} of the videos again."
        )
        if not table.keys("altered"):  # measured before there were backgrounds
            return says
        own, donor = (
            by_head(table, target, weights="trained", shown=BACKGROUND, altered="queries")
            for target in ("video", "background")
        )
        return (
            f"{says} Before the background of another video RSP finds {interval(own['rsp'])} of "
            f"them again and A-VID {interval(own['avid'])}; the video with that background is "
            f"nearest to {interval(donor['rsp'])} and {interval(donor['avid'])} of them."
        )

    def tables(self, table: StudyTable) -> list[Table]:
        """Both tasks by what is shown, then what is retrieved; random weights folded."""
        columns = head_columns("") | {"backbone": ("", {"head": "backbone"})}
        found = []
        for weights in table.keys("weights"):
            plain: dict[str, dict[str, Key]] = {
                name: {"weights": weights, "stimulus": name} for name in STIMULI
            }
            altered = {
                title: {"weights": weights, **keys} for title, keys in _altered(table).items()
            }
            shown = {name: (title, plain) for name, title in MEASURES.items()}
            for name, by_chance in table.settings.get("chance", {}).items():
                title = f"nearest clip is of: {TARGETS[name]} (chance {number(by_chance)})"
                shown[name] = (title, altered)
            found += [
                pivot(
                    rows,
                    {head: (measure, keys) for head, (_, keys) in columns.items()},
                    table,
                    first="shown",
                    caption=f"{weights}: share of {table.num_videos} {table.videos} whose "
                    f"{title}; 95% interval over videos",
                    strong=lambda name: name.startswith(MOVEMENT),
                    folded=weights != "trained" or measure in ("video", "appearance"),
                )
                for measure, (title, rows) in shown.items()
            ]
        return found

    def figures(self, table: StudyTable) -> list[FigureSpec]:
        """Both tasks, a row a stimulus; and retrieval, a column a target."""
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
        figures: list[FigureSpec] = [DotFigure(self.title, STIMULI, panels, axis)]
        if by_chance := table.settings.get("chance"):
            altered = _altered(table)
            panels = tuple(
                DotPanel(
                    name.capitalize(),
                    tuple(
                        Dot(place, head, row[name], weights != "trained")
                        for weights in ("random weights", "trained")
                        for place, keys in enumerate(altered.values())
                        for head in HEADS
                        for row in table.select(weights=weights, head=head, **keys)
                        if name in row.values
                    ),
                    ((share, False),),
                )
                for name, share in by_chance.items()
            )
            axis = "Share of videos whose nearest clip has it; line: chance; pale: random weights"
            figures.append(DotFigure("Retrieval of altered videos", tuple(altered), panels, axis))
        return figures

    def key_numbers(self, table: StudyTable) -> list[KeyNumber]:
        """The order of speeds on movement alone."""
        name = "movement alone, correct order of speeds"
        return [key_number(table, name, "order", stimulus=MOVEMENT)]


Wants = Sequence[tuple[str, str, Mapping[str, Booleans]]]


def _told(z: Mapping[str, Sequence[Mapping[str, Floats]]], wants: Wants, feature: str) -> Floats:
    """All outcomes of one feature, (M, V): both tasks by stimulus, then hits by wants and target.

    Args:
        z: By stimulus, the embeddings of c_i, c_j and c_k by feature.
        wants: What is retrieved: stimulus, what is altered, and targets.
        feature: A head or the backbone.
    """
    rows = [own for clips in z.values() for own in outcomes(*(clip[feature] for clip in clips))]
    for name, altered, targets in wants:
        queries = z[name if altered == "queries" else AS_THEY_ARE][0][feature]
        gallery = z[name if altered == "gallery" else AS_THEY_ARE][1][feature]
        rows += [
            hits(queries, gallery, target, own=target_name in OWN_COUNTS)
            for target_name, target in targets.items()
        ]
    return np.array(rows)


def _rows(found: Floats, wants: Wants, weights: str) -> list[Row]:
    """Estimates of :func:`_told`'s outcomes, (F, M, V); those who have no hit are not counted."""
    places = iter(np.moveaxis(found, 1, 0))
    groups: list[tuple[dict[str, Key], Mapping[str, Any]]]
    groups = [({"stimulus": name}, MEASURES) for name in STIMULI]
    groups += [({"shown": name, "altered": altered}, own) for name, altered, own in wants]
    rows = []
    for keys, measures in groups:
        values = {name: next(places) for name in measures}
        counted = {
            name: own[:, ~np.isnan(own[0])]
            for name, own in values.items()
            if not np.isnan(own).all()
        }
        for heads, part in ((HEADS, slice(0, 2)), (FEATURES[2:], slice(2, 3))):
            measured = {name: tuple(own[part]) for name, own in counted.items()}
            rows += head_rows({"weights": weights, **keys}, measured, heads)
    return rows


def _altered(table: StudyTable) -> dict[str, dict[str, Key]]:
    """By title, the keys of what was retrieved; nothing in results of earlier versions."""
    pairs = dict.fromkeys(
        (row.keys["shown"], row.keys["altered"]) for row in table.rows if "altered" in row.keys
    )
    return {
        str(name) + ("" if name == AS_THEY_ARE else f", {altered}"): {
            "shown": name, "altered": altered,
        }
        for name, altered in pairs
    }  # fmt: skip
