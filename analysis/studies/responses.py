"""How each head answers when one thing changes: ``python -m analysis responses --out FILE.json``.

A clip is compared with itself, one thing changed (:mod:`analysis.stimuli.perturbations`), by the
cosine of the two embeddings of a head. Both clips go through the *query* branch: the question is
how far one function moves, its answer to no change is exactly 1, and no change can bring the clip
nearer. Between the two branches, as in training and as maps are drawn, the similarity of the
unchanged clip is below 1; it is part of every curve, and drops are taken from it.

Each changed clip takes one forward pass, which answers for both heads. One video's curves, changed
clips and maps come from :mod:`analysis.stimuli.perturbed_clips`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import numpy as np
from tqdm import tqdm

from analysis.core.clip import View
from analysis.stimuli.kinds import with_random_weights
from analysis.stimuli.perturbations import Probe, find_change, window_of
from analysis.stimuli.perturbed_clips import (
    Curve,
    Floats,
    Levels,
    curves_of,
    embed_views,
    levels_of,
    synthetic_probe,
    video_probe,
    views_of,
)
from analysis.studies.response_result import Responses
from rspnet.data.sources import expand_roots
from rspnet.data.video.reader import VideoReader
from rspnet.models import Branch
from rspnet.names import HEADS

SEED = 9
MAX_SPEED = 4.0


class _Collector:
    """What one pair of branches says of video after video."""

    def __init__(self, query: Branch, key: Branch) -> None:
        self.query, self.key = query, key
        self.curves: list[dict[str, Curve]] = []
        self.reference: dict[str, list[Floats]] = {head: [] for head in HEADS}
        self.unchanged: dict[str, list[Floats]] = {head: [] for head in HEADS}

    def add(self, views: Sequence[View], levels: Levels) -> None:
        """One more video: its unchanged view, then the changed ones."""
        embedded = embed_views(self.key, views)
        own = embedded if self.key is self.query else embed_views(self.query, views[:1])
        reference = {head: own[head][0] for head in HEADS}
        self.curves.append(curves_of(levels, reference, embedded))
        for head in HEADS:
            self.reference[head].append(reference[head])
            self.unchanged[head].append(embedded[head][0])

    def columns(self) -> tuple[dict[str, Floats], dict[str, Floats], tuple[Curve, ...]]:
        """Similarity to itself and to other videos, (V,) each, and curves of all videos."""
        curves = []
        for name, first in self.curves[0].items():
            values = {
                head: np.concatenate([own[name].similarity[head] for own in self.curves])
                for head in HEADS
            }
            curves.append(Curve(change=name, levels=first.levels, similarity=values))
        unchanged, unrelated = {}, {}
        for head in HEADS:
            unchanged[head] = curves[0].at(head, find_change(curves[0].change).neutral)
            s = np.stack(self.reference[head]) @ np.stack(self.unchanged[head]).T
            unrelated[head] = (s.sum(axis=1) - np.diag(s)) / (len(s) - 1)
        return unchanged, unrelated, tuple(curves)


def respond(
    models: Mapping[str, tuple[Branch, Branch]],
    probes: Iterable[Probe],
    window: int,
    *,
    branch: str = "query",
    source: str = "videos",
    seed: int = SEED,
    skipped: dict[str, str] | None = None,
) -> dict[str, Responses]:
    """Measure models on the same changed clips, each made once.

    Args:
        models: By name, the branch of the unchanged clip and that of the changed clips.
        probes: Videos, one after the other; all with the same exchanges. One whose frames can't be
            read is left out.
        window: Frames of each video that changes of time may reach over.
        branch: What the branch of the changed clips is called.
        source: What videos these are.
        seed: Kept with the result.
        skipped: Videos left out so far; those left out here are added.

    Returns:
        By name, the responses.

    Raises:
        ValueError: Fewer than two videos are left, they differ in their changes, or a model does
            not fit.
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
                f"all videos have the same changes, the first has {list(first)}, {probe.name} has "
                f"{list(levels)}: measure generated videos and others apart"
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
            f"{len(skipped)} left out" + (f" ({reasons})" if reasons else "")
        )
    found = {}
    for name, collector in collectors.items():
        unchanged, unrelated, curves = collector.columns()
        found[name] = Responses(
            weights=name,
            model_hash=collector.query.hash,
            branch=branch,
            source=source,
            seed=seed,
            num_frames=collector.query.num_frames,
            window=window,
            videos=tuple(videos),
            unchanged=unchanged,
            unrelated=unrelated,
            curves=curves,
            skipped=dict(skipped),
        )
    return found


def _file_probes(
    branch: Branch,
    videos: Sequence[Path],
    num_videos: int,
    window: int,
    seed: int,
    skipped: dict[str, str],
    bar: "tqdm[NoReturn]",
) -> Iterator[Probe]:
    order = np.random.default_rng(seed).permutation(len(videos))
    num_taken = 0
    for number in order:
        if num_taken == num_videos:
            return
        path = videos[number]
        name = f"{path.parent.name}/{path.name}"
        try:
            with VideoReader(path) as reader:
                own_seed = (seed, int(number))
                yield video_probe(branch, reader, window=window, name=name, seed=own_seed)
            if name not in skipped:  # there, if its frames could not be read
                num_taken += 1
                bar.update()
        except ValueError as error:
            skipped[name] = str(error)


def _generated_probes(
    branch: Branch, num_videos: int, window: int, seed: int, bar: "tqdm[NoReturn]"
) -> Iterator[Probe]:
    for index in range(num_videos):
        yield synthetic_probe(branch, seed, index, window)
        bar.update()


def response_study(
    query: Branch,
    key: Branch,
    videos: Sequence[str | Path] = (),
    *,
    branch: str = "query",
    num_videos: int = 40,
    seed: int = SEED,
    max_speed: float = MAX_SPEED,
    num_random: int = 3,
    progress: bool = True,
) -> Responses:
    """Measure a model, with random weights as a control, on generated or given videos.

    Every video has all levels: one that is too short for the fastest speed is left out and the
    next one taken in its place.

    Args:
        query: Branch of the unchanged clips.
        key: Branch of the changed clips: the query branch again, or the momentum branch.
        videos: Folders, files or ``.txt`` lists; none for generated videos.
        branch: What ``key`` is called.
        num_videos: How many are measured, drawn from those given.
        seed: Of the choice, of shuffled frames, and of generated videos: one that the model was
            not trained on.
        max_speed: The highest speed. 16 frames at 4x take 61 frames of a video, at 2x 31.
        num_random: Draws of random weights, averaged video by video; 0 leaves the control out.
        progress: Show a progress bar.

    Raises:
        ValueError: A number is too small, or fewer than two videos can be used.
    """
    if num_videos < 2 or num_random < 0 or max_speed < 1:
        raise ValueError(
            "give at least 2 videos, a highest speed of at least 1 and no negative number of "
            f"draws, got num_videos={num_videos}, max_speed={max_speed:g}, num_random={num_random}"
        )
    window = window_of(query.num_frames, max_speed)
    models = {"trained": (query, key)}
    for draw in range(num_random):
        # Before training the momentum branch is a copy of the query branch.
        untrained = with_random_weights(query, draw)
        models[f"random {draw}"] = (untrained, untrained)
    skipped: dict[str, str] = {}
    source = "videos" if videos else "generated videos"
    bar: tqdm[NoReturn] = tqdm(total=num_videos, desc="Probing", unit="video", disable=not progress)
    with bar:
        if videos:
            paths = expand_roots(videos)
            probes = _file_probes(query, paths, num_videos, window, seed, skipped, bar)
        else:
            probes = _generated_probes(query, num_videos, window, seed, bar)
        found = respond(
            models, probes, window, branch=branch, source=source, seed=seed, skipped=skipped
        )
    trained, *random = found.values()
    if not random:
        return trained
    return replace(trained, controls=(Responses.average(random, "random weights"),))
