"""How much of a map lies in regions of a clip; and the maps of a pretext task, which methods have.

The map of a pretext task (:mod:`analysis.attribution.task_map`) is that of a margin: of a task
about the speed of one clip, of the fastest over the slowest answer, on the clips and regions of the
heads' own maps. A task about several clips is given clips as its method draws them, in views
without crop, flip or jitter; its margin is of the right answer over the mean of the others, and
what its method does to clips (such as turning one) is done to their regions too.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from analysis.attribution.task_map import explain_answer, margin_of, task_features
from analysis.core.clip import ClipInfo, StoredFrames, View
from analysis.core.clip_map import ClipMap
from analysis.core.grid import Grid
from analysis.core.statistics import Estimate, mean, ratio
from analysis.core.table import Row
from analysis.regions.ground_truth import REGIONS, regions_of
from analysis.regions.motion import cell_coverage
from analysis.stimuli.kinds import with_random_weights
from analysis.studies.measures.controlled import SPEEDS, Measured, Scene, at_speeds, by_speed
from rspnet.data.augment import AugmentConfig
from rspnet.data.pretrain import DataConfig
from rspnet.data.sources import Source
from rspnet.data.synthetic.render import SyntheticVideo
from rspnet.data.synthetic.videos import FPS, render_video, video_name
from rspnet.data.transforms import Frames, eval_frames
from rspnet.pretext.method import METHODS
from rspnet.pretext.task import PretextTask, TaskMethod

Floats = NDArray[np.float64]
Truth = Mapping[str, NDArray[Any]]
TASK = "task"
# Methods whose views are placed by what moves: a region can't be cut out as its clip is.
_PLACED_BY_CONTENT = ("opn",)
# Views of a clip as it is.
AS_IT_IS = AugmentConfig(
    min_area=1, max_ratio=1, gray=0, brightness=0, contrast=0, saturation=0, hue=0, flip=0
)


def coverage_of(truth: Truth, grid: Grid) -> Floats:
    """Share of each cell's territory that a region covers, (R regions, P cells)."""
    return np.stack([cell_coverage(truth[name], grid).ravel() for name in REGIONS])


def located(values_P: Floats, coverage_RP: Floats) -> dict[str, Floats]:
    """Share of a map's positive energy, pointing and signed share in each region, (R,) each."""
    positive = np.clip(values_P, 0, None)
    total = positive.sum()
    return {
        "share": coverage_RP @ positive / total if total > 0 else np.zeros(len(coverage_RP)),
        "pointing": coverage_RP[:, values_P.argmax()],
        "signed_share": coverage_RP @ values_P,
    }


def bounds(truths: Sequence[Truth], coverage_RP: Floats) -> dict[str, Floats]:
    """Of clips of one size the area, uniform and ceiling of each region, (R,) each."""
    return {
        "area": np.array([np.mean([truth[name].mean() for truth in truths]) for name in REGIONS]),
        "uniform": coverage_RP.mean(axis=1),
        "ceiling": coverage_RP.max(axis=1),
    }


def estimates(values: Mapping[str, Floats]) -> dict[str, Estimate]:
    """The measures of one region with intervals over videos, from (V,) each."""
    share, area = values["share"], values["area"]
    return {
        "share": mean(share),
        "area": mean(area),
        "ratio": ratio(share, area),
        "uniform": ratio(values["uniform"], area),
        "ceiling": ratio(values["ceiling"], area),
        "pointing": mean(values["pointing"]),
        "signed_share": mean(values["signed_share"]),
    }


@dataclass(frozen=True)
class TaskSample:
    """Clips that a pretext task answers about, and what is where in them.

    Attributes:
        clips: In the order in which its head takes them.
        truth: Of each clip its regions.
        answer: The right one; nothing where the margin does not depend on it.
    """

    clips: tuple[View, ...]
    truth: tuple[Truth, ...]
    answer: str | None = None


@dataclass(frozen=True)
class _Rendered(StoredFrames):
    """A synthetic video as a method draws clips of it."""

    fps: float = FPS

    @property
    def num_frames(self) -> int:
        return len(self.frames)


def task_samples(
    task: PretextTask, scenes: Sequence[Scene], seed: int, size: int
) -> list[list[TaskSample]]:
    """What a task is measured on: for each video one sample a triplet.

    Args:
        task: Which task.
        scenes: The videos, with the triplets that the heads' maps are measured on.
        seed: Of the videos.
        size: Height and width of clips in pixels.
    """
    if task.head.num_clips == 1:
        return [
            [
                TaskSample((c_i,), (truth,))
                for (c_i, _, _), truth in zip(scene.triplets, scene.truth, strict=True)
            ]
            for scene in scenes
        ]
    return [
        _drawn(task, seed, index, len(scene.triplets), size) for index, scene in enumerate(scenes)
    ]


def _drawn(task: PretextTask, seed: int, index: int, num: int, size: int) -> list[TaskSample]:
    """Samples of a synthetic video, which is as long as the method needs it."""
    method = METHODS[task.method]
    assert issubclass(method, TaskMethod)
    data = DataConfig(num_frames=task.branch.num_frames, size=size, augment=AS_IT_IS)
    needed, video = method.frames_needed(data, FPS, task.settings), render_video(seed, index)
    if len(video.frames) < needed:
        video = render_video(seed, index, num_frames=needed)
    return [_sample(task, method, data, video, (seed, index, number)) for number in range(num)]


def _sample(
    task: PretextTask,
    method: type[TaskMethod],
    data: DataConfig,
    video: SyntheticVideo,
    numbers: tuple[int, int, int],
) -> TaskSample:
    """Clips with their regions as a method draws and changes them; all follows from ``numbers``."""
    source, rng = _Rendered(video.frames), np.random.default_rng(numbers)
    drawn = method.draw(cast(Source, source), data, task.settings, rng)
    plain = [
        View(
            eval_frames(source.get_frames(indices), data.size),
            ClipInfo(video_name(*numbers[:2]), tuple(indices), 1),
        )
        for indices in drawn.clips
    ]
    truths = [regions_of(video.masks, view) for view in plain]

    def changed(clips: Sequence[Frames]) -> tuple[list[Frames], int]:
        # With one generator all are changed alike.
        own = np.random.default_rng([*numbers, 1])
        return method.views(clips, drawn.answer, data, task.settings, own)

    frames, answer = changed([view.frames for view in plain])
    masks = {
        name: changed(
            [np.repeat(255 * own[name][..., None].astype(np.uint8), 3, axis=3) for own in truths]
        )[0]
        for name in REGIONS
    }
    return TaskSample(
        tuple(View(own, view.info) for own, view in zip(frames, plain, strict=True)),
        tuple({name: masks[name][n][..., 0] > 127 for name in REGIONS} for n in range(len(plain))),
        task.head.classes[answer],
    )


def untrained(task: PretextTask, seed: int) -> PretextTask:
    """The same encoder and head untrained, by a seed; torch's generator is left as it was."""
    branch, head = with_random_weights(task.branch, seed), copy.deepcopy(task.head)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for part in head.modules():
            reset = getattr(part, "reset_parameters", None)
            if callable(reset):
                reset()
    return replace(task, branch=branch, head=head)


def task_maps(task: PretextTask, sample: TaskSample) -> tuple[ClipMap, ...]:
    """The maps of a task's margin, of each clip of a sample.

    Raises:
        ValueError: A clip does not fit.
    """
    seen = task_features(task, sample.clips)
    classes = task.head.classes
    return explain_answer(task, seen, *margin_of(classes, sample.answer or classes[-1])).maps


def measure_task(task: PretextTask, samples: Sequence[Sequence[TaskSample]]) -> Measured:
    """Compare the maps of a task's margin with the regions of its clips.

    Several clips count as one.

    Args:
        task: The model, or one with random weights.
        samples: From :func:`task_samples`; for each video those of the first speed first.

    Returns:
        ``share``, ``pointing`` and ``signed_share`` of the maps and of the regions ``area``,
        ``uniform`` and ``ceiling``, (V, S, R regions) each.
    """
    rows = []
    for own in samples:
        for sample in own:
            maps = task_maps(task, sample)
            coverage = np.concatenate(
                [coverage_of(t, m.grid) for t, m in zip(sample.truth, maps, strict=True)], axis=1
            )
            values = np.concatenate([m.values.ravel() for m in maps])
            rows.append(located(values, coverage) | bounds(sample.truth, coverage))
    shape = (len(samples), len(samples[0]), len(REGIONS))
    return {name: by_speed(np.reshape([r[name] for r in rows], shape)) for name in rows[0]}


def task_rows(
    task: PretextTask, scenes: Sequence[Scene], seed: int, size: int, num_random: int
) -> list[Row]:
    """Where a pretext task's margin is, and that of random weights: a row a region and speed.

    A task about several clips has rows of both speeds together alone: its clips play at 1x.

    Args:
        task: The model.
        scenes: At least two videos, from :func:`analysis.studies.localisation.make_scene`.
        seed: Of the videos.
        size: Height and width of clips in pixels.
        num_random: Draws of random weights, averaged video by video; 0 for none.

    Returns:
        Rows with the keys of the study, of the head ``task`` and the kind of map ``task``; none of
        a method that places its views by what moves.
    """
    if task.method in _PLACED_BY_CONTENT:
        return []
    samples = task_samples(task, scenes, seed, size)
    found = {"trained": measure_task(task, samples)}
    if num_random:
        draws = [measure_task(untrained(task, draw), samples) for draw in range(num_random)]
        found["random weights"] = {
            name: np.mean([own[name] for own in draws], axis=0) for name in draws[0]
        }
    speeds = len(SPEEDS) + 1 if task.head.num_clips == 1 else 1
    with np.errstate(invalid="ignore"):  # a resample in which a region is out of the picture
        return [
            Row(
                keys={
                    "weights": weights, "kind": TASK, "region": region, "speed": speed,
                    "head": TASK,
                },
                values=estimates({name: own[:, r] for name, own in values.items()}),
            )
            for weights, measured in found.items()
            for speed, values in list(at_speeds(measured))[:speeds]
            for r, region in enumerate(REGIONS)
        ]  # fmt: skip
