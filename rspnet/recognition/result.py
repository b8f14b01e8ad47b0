"""How well actions are recognised: clip-level and video-level accuracy, by class, with intervals.

*Clip-level* counts every clip by itself; *video-level* averages the logits of a video's clips
first. They differ by several points and are named apart wherever they stand.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rspnet.files import atomic_path

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ActionResult:
    """Accuracies on a test split, as shares of 1.

    Attributes:
        protocol: All that a number depends on: model, data, clips, training.
        classes: Names of the classes.
        video_top1: Share of videos whose averaged logits are largest for their class.
        video_top1_interval: Its 95% interval, by a bootstrap over videos.
        video_top5: Share of videos with their class among the five largest.
        clip_top1: Share of clips whose own logits are largest for their class.
        class_accuracy: Video-level top-1 for each class; None where the split has no video of it.
        confusion: Videos of class i taken for class j, ``confusion[i][j]``.
        num_videos: Test videos.
        unreadable: (path, reason) of test videos that could not be read and are not counted.
    """

    protocol: dict[str, Any]
    classes: tuple[str, ...]
    video_top1: float
    video_top1_interval: tuple[float, float]
    video_top5: float
    clip_top1: float
    class_accuracy: dict[str, float | None]
    confusion: list[list[int]]
    num_videos: int
    unreadable: tuple[tuple[str, str], ...] = ()

    def save(self, path: str | Path) -> Path:
        """Write it as JSON, atomically."""
        plain = {**self.__dict__}
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(plain, indent=1) + "\n")
        return Path(path)

    def line(self) -> str:
        """One line for people."""
        low, high = self.video_top1_interval
        return (
            f"video top-1 {self.video_top1:.1%} [{low:.1%}, {high:.1%}]  "
            f"top-5 {self.video_top5:.1%}  clip top-1 {self.clip_top1:.1%}  "
            f"({self.num_videos} videos, {len(self.classes)} classes)"
        )


def score(
    logits: Sequence[Floats],
    labels: Sequence[int],
    classes: Sequence[str],
    protocol: Mapping[str, Any],
    unreadable: Sequence[tuple[str, str]] = (),
) -> ActionResult:
    """Score the logits of a test split.

    Where two classes have one value the earlier counts as the answer.

    Args:
        logits: Of every video, (clips, classes).
        labels: Class of every video.
        classes: Names.
        protocol: Kept with the result.
        unreadable: Skipped test videos.

    Raises:
        ValueError: There is no video, or logits do not fit the classes.
    """
    if not logits or len(logits) != len(labels):
        raise ValueError(f"expected logits for each label, got {len(logits)} and {len(labels)}")
    num = len(classes)
    shapes = {row.shape[1:] for row in logits}
    if shapes != {(num,)}:
        raise ValueError(f"logits are (clips, {num}), got rows of {sorted(shapes)}")
    truth = np.asarray(labels)
    means = np.stack([row.mean(axis=0) for row in logits])
    order = np.argsort(-means, axis=1, kind="stable")
    right = (order[:, 0] == truth).astype(np.float64)
    top5 = (order[:, :5] == truth[:, None]).any(axis=1)
    clips = np.concatenate([row.argmax(axis=1) == y for row, y in zip(logits, truth, strict=True)])
    confusion = np.zeros((num, num), np.int64)
    np.add.at(confusion, (truth, order[:, 0]), 1)
    counts = confusion.sum(axis=1)
    per_class = {
        name: float(confusion[i, i] / counts[i]) if counts[i] else None
        for i, name in enumerate(classes)
    }
    return ActionResult(
        protocol=dict(protocol),
        classes=tuple(classes),
        video_top1=float(right.mean()),
        video_top1_interval=bootstrap_interval(right),
        video_top5=float(top5.mean()),
        clip_top1=float(clips.mean()),
        class_accuracy=per_class,
        confusion=confusion.tolist(),
        num_videos=len(labels),
        unreadable=tuple(unreadable),
    )


def bootstrap_interval(
    values: Floats, num_samples: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """95% interval of the mean of ``values`` (N,), by resampling them."""
    rng = np.random.default_rng(seed)
    # Resamples are drawn one after the other: large test sets must not fill the memory.
    means = [
        values[rng.integers(0, len(values), size=len(values))].mean() for _ in range(num_samples)
    ]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
