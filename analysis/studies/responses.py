"""How each head responds when one thing changes: ``python -m analysis responses --out FILE.json``.

A clip is compared with itself, one thing changed (:mod:`analysis.stimuli.perturbations`), by the
cosine of the two embeddings of a head. Both clips go through the *query* branch: what is measured
is how far one function moves, its response to no change is exactly 1, and no change can bring the
clip nearer. Between the two branches, as in training and as maps are drawn, the similarity of the
unchanged clip is below 1; it is part of every curve, and drops are taken from it.

The *drop* of a perturbation is the similarity of the unchanged clip minus that of the perturbed
one. Heads differ in how far they spread videos at all, so drops are compared in units of a head's
own spread: 0 is no movement, 1 is as far as the clip of another video. The unit is the mean drop to
clips of the other videos. What sums it up is the selectivity
(:mod:`analysis.studies.measures.selectivity`).

Each perturbed clip takes one forward pass, which gives both heads' responses. One video's curves,
perturbed clips and maps come from :mod:`analysis.stimuli.perturbed_clips`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NoReturn

import numpy as np
from tqdm import tqdm

from analysis.core.clip import View
from analysis.core.figure_spec import (
    DotFigure,
    DotPanel,
    FigureSpec,
    Line,
    LineFigure,
    LinePanel,
)
from analysis.core.statistics import Estimate
from analysis.core.table import (
    RSP_MINUS_AVID,
    Key,
    StudyTable,
    Table,
    head_columns,
    head_dots,
    heads_of,
    interval,
    pivot,
)
from analysis.stimuli.kinds import with_random_weights
from analysis.stimuli.perturbations import PERTURBATIONS, Probe, window_of
from analysis.stimuli.perturbed_clips import (
    Curve,
    Levels,
    curves_of,
    embed_views,
    levels_of,
    synthetic_probe,
    video_probe,
    views_of,
)
from analysis.studies.measures.controlled import (
    against_random,
    beside_random,
    one_head_number,
)
from analysis.studies.measures.selectivity import (
    MEASURES,
    OTHER_VIDEOS,
    UNCHANGED,
    Floats,
    Samples,
    rows_of,
    samples_of,
    selectivity_difference,
    words_of,
)
from analysis.studies.registry import (
    KeyNumber,
    Study,
    StudyInputs,
    VideoStudyConfig,
    register_study,
    verdict,
)
from rspnet.data.video.reader import VideoReader
from rspnet.models import Branch
from rspnet.names import HEADS

MAX_SPEED = 4.0
CURVES = ("speed", "shuffle", "offset", "hue", "crop", "blur")


@dataclass(frozen=True, kw_only=True)
class ResponsesConfig(VideoStudyConfig):
    """How far both heads move as one thing about a clip changes.

    Attributes:
        seed: Of the choice of videos, of shuffled frames, and of synthetic videos.
        num_videos: How many are measured, at least two, drawn from those given.
        max_speed: The highest speed. 16 frames at 4x take 61 frames of a video, at 2x 31.
        num_random: Draws of random weights, averaged video by video; 0 skips the control.
        branch: Which branch the perturbed clips go through, ``query`` or ``key``.
    """

    num_videos: int = 40
    max_speed: float = MAX_SPEED
    num_random: int = 3
    branch: Literal["query", "key"] = "query"

    def __post_init__(self) -> None:
        if self.num_videos < 2 or self.num_random < 0 or self.max_speed < 1:
            raise ValueError(
                "give at least 2 videos, a highest speed of at least 1 and no negative number of "
                f"draws, got num_videos={self.num_videos}, max_speed={self.max_speed:g}, "
                f"num_random={self.num_random}"
            )


class _Collector:
    """The responses of one pair of branches to video after video."""

    def __init__(self, query: Branch, key: Branch) -> None:
        self.query, self.key = query, key
        self.curves: list[dict[str, Curve]] = []
        self.reference: dict[str, list[Floats]] = {head: [] for head in query.heads}
        self.unchanged: dict[str, list[Floats]] = {head: [] for head in query.heads}

    def add(self, views: Sequence[View], levels: Levels) -> None:
        """One more video: its unchanged view, then the perturbed ones."""
        embedded = embed_views(self.key, views)
        own = embedded if self.key is self.query else embed_views(self.query, views[:1])
        reference = {head: vectors[0] for head, vectors in own.items()}
        self.curves.append(curves_of(levels, reference, embedded))
        for head in reference:
            self.reference[head].append(reference[head])
            self.unchanged[head].append(embedded[head][0])

    def samples(self) -> dict[tuple[str, float, str], Floats]:
        """Similarities to itself, to other videos, and to itself perturbed, (V,) each."""
        found: dict[tuple[str, float, str], Floats] = {}
        for head in self.reference:
            name, first = next(iter(self.curves[0].items()))
            neutral = PERTURBATIONS[name].neutral
            own = [curves[name].at(head, neutral) for curves in self.curves]
            s = np.stack(self.reference[head]) @ np.stack(self.unchanged[head]).T
            found[UNCHANGED, 0.0, head] = np.concatenate(own)
            found[OTHER_VIDEOS, 0.0, head] = (s.sum(axis=1) - np.diag(s)) / (len(s) - 1)
        for name, first in self.curves[0].items():
            for level in first.levels:
                for head in self.reference:
                    values = [curves[name].at(head, level) for curves in self.curves]
                    found[name, float(level), head] = np.concatenate(values)
        return found


@dataclass(frozen=True)
class Responses:
    """What models respond to the same perturbed clips.

    Attributes:
        samples: By model, the similarities.
        videos: Names of the videos, V.
        skipped: Videos that could not be used, and why.
    """

    samples: dict[str, Samples]
    videos: tuple[str, ...]
    skipped: dict[str, str] = field(default_factory=dict)


def respond(
    models: Mapping[str, tuple[Branch, Branch]],
    probes: Iterable[Probe],
    window: int,
    skipped: dict[str, str] | None = None,
) -> Responses:
    """Measure models on the same perturbed clips, each made once.

    Args:
        models: By name, the branch of the unchanged clip and that of the perturbed clips.
        probes: Videos, one after the other; all with the same factors to swap. One whose frames
            can't be read is skipped.
        window: Frames of each video that perturbations of time may reach over.
        skipped: Videos skipped so far; those skipped here are added.

    Raises:
        ValueError: Fewer than two videos are left, they differ in their perturbations, or a model
            does not fit.
    """
    skipped = {} if skipped is None else skipped
    collectors = {name: _Collector(*pair) for name, pair in models.items()}
    videos: list[str] = []
    first: Levels = {}
    for probe in probes:
        levels = levels_of(probe, window)
        first = first or levels
        if levels != first:
            raise ValueError(
                f"all videos have the same perturbations, the first has {list(first)}, "
                f"{probe.name} has {list(levels)}: measure synthetic videos and others apart"
            )
        try:
            views = views_of(probe, levels)
        except ValueError as error:
            skipped[probe.name] = str(error)
            continue
        for collector in collectors.values():
            collector.add(views, levels)
        videos.append(probe.name)
    if len(videos) < 2:
        reasons = "; ".join(f"{name}: {why}" for name, why in list(skipped.items())[:3])
        raise ValueError(
            f"at least two videos of {window} frames are needed, got {len(videos)}, "
            f"{len(skipped)} skipped" + (f" ({reasons})" if reasons else "")
        )
    samples: dict[str, Samples] = {name: own.samples() for name, own in collectors.items()}
    return Responses(samples, tuple(videos), dict(skipped))


def _file_probes(
    inputs: StudyInputs,
    config: ResponsesConfig,
    window: int,
    skipped: dict[str, str],
    bar: "tqdm[NoReturn]",
) -> Iterator[Probe]:
    order = np.random.default_rng(config.seed).permutation(len(inputs.paths))
    num_taken = 0
    for number in order:
        if num_taken == config.num_videos:
            return
        path = inputs.paths[number]
        name = f"{path.parent.name}/{path.name}"
        try:
            with VideoReader(path) as reader:
                own_seed = (config.seed, int(number))
                yield video_probe(inputs.query, reader, window=window, name=name, seed=own_seed)
            if name not in skipped:  # there, if its frames could not be read
                num_taken += 1
                bar.update()
        except ValueError as error:
            skipped[name] = str(error)


def _synthetic_probes(
    branch: Branch, config: ResponsesConfig, window: int, bar: "tqdm[NoReturn]"
) -> Iterator[Probe]:
    for index in range(config.num_videos):
        yield synthetic_probe(branch, config.seed, index, window)
        bar.update()


@register_study
class ResponsesStudy(Study[ResponsesConfig]):
    """Measure how each head responds to a perturbation of a clip."""

    name = "responses"
    title = "Sensitivity"
    question = "Sensitivity: is a head moved by motion or by appearance?"
    reading = (
        "One thing about a clip is changed at a time. A drop of 1.00 is as far as the clip of "
        "another video. Motion selectivity is the drop under perturbations of motion over the drop "
        "under perturbations of motion and of appearance: 1.00 for a head that only motion moves. "
        "Appearance selectivity is 1 minus it. How strong the perturbations are is a choice: "
        "compare heads and controls, not with 0.50."
    )
    needs = "each"
    config = ResponsesConfig
    any_encoder = True
    place = 40

    def measure(self, inputs: StudyInputs, config: ResponsesConfig) -> StudyTable:
        """Measure a model, with random weights as a control.

        Every video has all levels: one that is too short for the fastest speed is skipped and the
        next one taken in its place.

        Raises:
            ValueError: Fewer than two videos can be used.
        """
        query = inputs.query
        window = window_of(query.num_frames, config.max_speed)
        models = {"trained": (query, query if config.branch == "query" else inputs.key)}
        for draw in range(config.num_random):
            # Before training the momentum branch is a copy of the query branch.
            untrained = with_random_weights(query, draw)
            models[f"random {draw}"] = (untrained, untrained)
        skipped = {str(path): reason for path, reason in inputs.skipped.items()}
        bar: tqdm[NoReturn] = tqdm(
            total=config.num_videos, desc=self.title, unit="video", disable=not inputs.progress
        )
        with bar:
            if inputs.paths:
                probes = _file_probes(inputs, config, window, skipped, bar)
            else:
                probes = _synthetic_probes(query, config, window, bar)
            found = respond(models, probes, window, skipped)
        trained, *random = found.samples.values()
        average: Samples | None = None
        if random:
            average = {key: np.mean([one[key] for one in random], axis=0) for key in trained}
        rows = rows_of(trained, "trained", average)
        rows += rows_of(average, "random weights") if average else []
        return StudyTable(
            study=self.name,
            rows=tuple(rows),
            num_videos=len(found.videos),
            videos=inputs.videos if inputs.paths else f"synthetic videos of seed {config.seed}",
            model_hash=query.hash,
            seed=config.seed,
            settings={
                "names": list(found.videos),
                "branch": config.branch,
                "num_frames": query.num_frames,
                "window": window,
            },
            skipped=found.skipped,
        )

    def finding(self, table: StudyTable) -> str:
        """Which head is moved more by motion."""
        found = _selectivity(table)
        if not found:
            return "Too few perturbations were measured for a selectivity."
        if len(heads := heads_of(table)) == 1:
            apart = _one_head(table)
            told = beside_random(apart) if apart else interval(found[heads[0]])
            return f"Its motion selectivity is {told}."
        says = verdict(
            found[RSP_MINUS_AVID],
            "the RSP head is moved more by motion than the A-VID head",
            "the A-VID head is moved more by motion than the RSP head",
        )
        return f"{says[0].upper()}{says[1:]} ({interval(found[RSP_MINUS_AVID])})."

    def tables(self, table: StudyTable) -> list[Table]:
        """Motion selectivities, and folded every drop."""
        where = f"{table.num_videos} {table.videos} ({len(table.skipped)} skipped)"
        measures = table.keys("measure")
        parts = "; ".join(
            f"{MEASURES[m].title}: motion = {words_of(MEASURES[m].motion)}, "
            f"appearance = {words_of(MEASURES[m].appearance)}"
            for m in measures
        )
        rows: dict[str, dict[str, Key]] = {
            f"{MEASURES[measure].title}, {weights}": {"weights": weights, "measure": measure}
            for measure in measures
            for weights in table.keys("weights")
            if table.select(weights=weights, measure=measure)
        }
        selectivities = pivot(
            rows,
            head_columns("motion_selectivity", heads=heads_of(table)),
            table,
            first="perturbations and weights",
            caption=f"motion selectivity, {where}, 95% interval over videos. {parts}",
            strong=lambda title: title.endswith("trained"),
        )
        heads = heads_of(table)
        columns = head_columns("similarity", "similarity, ", heads)
        columns.popitem()  # a difference of similarities says nothing
        columns |= head_columns("drop", "drop, ", heads)
        if len(heads) == 1:
            columns.popitem()  # drops are scaled by a spread that is not that of random weights
        return [selectivities] + [
            pivot(
                _drop_rows(table, weights),
                columns,
                table,
                first="perturbation",
                caption=(
                    f"{weights}: similarity to the unchanged clip, and its drop in units of the "
                    f"drop to other videos, {where}, 95% interval over videos"
                ),
                folded=True,
            )
            for weights in table.keys("weights")
        ]

    def figures(self, table: StudyTable) -> list[FigureSpec]:
        """Curves of both heads, their selectivity, and perturbations that are on or off."""
        names = table.keys("perturbation")
        curves = LineFigure(
            "Similarity as one thing changes",
            tuple(_curve_panel(table, name) for name in CURVES if name in names),
            3,
            "Similarity on a scale of each head: 1 unchanged, 0 another video",
        )
        switches = [name for name in names if name in PERTURBATIONS]
        switches = [name for name in switches if PERTURBATIONS[name].is_switch]
        measures = table.keys("measure")
        selectivity = head_dots(table, [{"measure": m} for m in measures], "motion_selectivity")
        drops = head_dots(table, [{"perturbation": n, "level": 1.0} for n in switches], "drop")
        return [
            curves,
            DotFigure(
                "Motion selectivity",
                tuple(MEASURES[measure].title for measure in measures),
                (DotPanel("", selectivity),),
                "1: motion alone moves the head, 0: appearance alone",
            ),
            DotFigure(
                "Perturbations that are on or off, and swapped factors",
                tuple(PERTURBATIONS[name].title for name in switches),
                (DotPanel("", drops, ((0.0, False), (1.0, True))),),
                "Drop of the similarity: 0 none, 1 (dotted) another video",
            ),
        ]

    def key_numbers(self, table: StudyTable) -> list[KeyNumber]:
        """Motion selectivity of both heads."""
        found, control = _selectivity(table), _selectivity(table, "random weights")
        if not found:
            return []
        name = "motion selectivity"
        if len(heads := heads_of(table)) == 1:
            values = _one_head(table)
            return [one_head_number(name, values, heads[0])] if values else []
        return [
            KeyNumber(
                name=name,
                values={head: found[head] for head in HEADS},
                difference=found[RSP_MINUS_AVID],
                control=control.get(RSP_MINUS_AVID),
            )
        ]

    def paired(self, first: StudyTable, other: StudyTable) -> dict[str, Estimate]:
        """Motion selectivity of another model minus that of the first, paired by video.

        Raises:
            ValueError: The tables are not of the same videos.
        """
        if first.settings["names"] != other.settings["names"]:
            raise ValueError("a paired difference is over the same videos, these tables' differ")
        a, b = samples_of(other), samples_of(first)
        return {
            f"motion selectivity, {title}": selectivity_difference(a, (head, head), b)
            for title, head in (("RSP", "rsp"), ("A-VID", "avid"))
        }


def _selectivity(table: StudyTable, weights: str = "trained") -> dict[str, Estimate]:
    return {
        str(row.keys["head"]): row["motion_selectivity"]
        for row in table.select(weights=weights, measure="perturbations")
    }


def _one_head(table: StudyTable) -> tuple[Estimate, ...]:
    """The selectivity of an encoder with one head beside random weights; none without these."""
    try:
        return against_random(table, "motion_selectivity", measure="perturbations")
    except ValueError:  # no random weights, or nothing moves them
        return ()


def _drop_rows(table: StudyTable, weights: str) -> dict[str, dict[str, Key]]:
    rows: dict[str, dict[str, Key]] = {}
    for row in table.select(weights=weights, head=heads_of(table)[0]):
        if "perturbation" not in row.keys:
            continue
        name, level = str(row.keys["perturbation"]), row.keys["level"]
        found = PERTURBATIONS.get(name)
        if found is not None and level == found.neutral:
            continue
        named = found is None or found.is_switch
        title = name if found is None else found.title
        keys: dict[str, Key] = {"weights": weights, "perturbation": name, "level": level}
        rows[title if named else f"{title}: {level:g}"] = keys
    return rows


def _curve_panel(table: StudyTable, name: str) -> LinePanel:
    def values(weights: str, head: str) -> tuple[Estimate, ...]:
        rows = table.select(weights=weights, perturbation=name, head=head)
        return tuple(row["drop"].complement() for row in rows)

    heads = heads_of(table)
    rows = table.select(weights="trained", perturbation=name, head=heads[0])
    levels = tuple(float(row.keys["level"]) for row in rows)
    lines = [
        Line(head, values(weights, head), weights != "trained")
        for weights in reversed(table.keys("weights"))
        for head in heads
    ]
    return LinePanel(
        PERTURBATIONS[name].title,
        levels,
        # The first of them lie too close for words.
        tuple("" if name == "offset" and 0 < level < 4 else f"{level:g}" for level in levels),
        tuple(lines),
        logarithmic=name in ("speed", "shuffle"),
        backwards=name == "crop",
    )
