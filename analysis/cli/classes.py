"""The command ``python -m analysis classes``."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from analysis.attribution.class_map import explain_classes
from analysis.core.clip import load_view
from analysis.figures.strips import StripRow, draw_strip
from analysis.figures.style import check_out, save
from rspnet.commands import run_cli
from rspnet.data.sampling import clip_span, even_starts
from rspnet.data.video.reader import VideoReader
from rspnet.recognition.classifier import load_classifier


@dataclass(frozen=True, kw_only=True)
class ClassesConfig:
    """Class activation maps.

    Attributes:
        classifier: File of ``python -m rspnet.finetune``.
        video: The video.
        out: The figure, ``*.png``, ``*.svg`` or ``*.pdf``.
        start: First frame of the clip. Nothing: the clip in the middle of the video.
        speed: Playback speed of the clip.
        size: Height and width of the clip in pixels. Nothing: the model's.
        classes: Names of classes. Nothing: the most probable ones.
        num_classes: How many of the most probable classes are drawn.
        maps_folder: Folder for the maps, an ``.npz`` file each. Nothing: the figure alone.
    """

    classifier: str
    video: str
    out: str
    start: int | None = None
    speed: float = 1.0
    size: int | None = None
    classes: list[str] = field(default_factory=list)
    num_classes: int = 3
    maps_folder: str | None = None


def run(config: ClassesConfig) -> None:
    """Compute the maps, draw and print.

    Raises:
        ValueError: Classifier or video can't be read, or a class is unknown.
    """
    check_out(config.out)
    model = load_classifier(config.classifier)
    size, num_frames = config.size or model.branch.size, model.branch.num_frames
    with VideoReader(config.video) as reader:
        start = config.start
        if start is None:
            # The middle: a faster clip reaches over more frames.
            span = clip_span(num_frames, 1, config.speed)
            start = even_starts(len(reader), 1, span)[0]
        view = load_view(
            reader, num_frames, size, start=start, speed=config.speed, name=config.video
        )
    found = explain_classes(model, view, config.classes, config.num_classes)
    rows = [StripRow(name=one.name, view=view, clip_map=one.clip_map) for one in found]
    save(draw_strip(rows), config.out)
    if config.maps_folder:
        for one in found:
            one.clip_map.save(Path(config.maps_folder) / f"{one.name}.npz")
    for one in found:
        print(
            f"{one.name:24} logit {one.clip_map.score:+.3f}  probability {one.probability:.3f}  "
            f"|sum - logit| {one.clip_map.completeness_error:.1e}"
        )
    print(config.out)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    return run_cli(
        ClassesConfig,
        run,
        arguments,
        prog="python -m analysis classes",
        description="Draw class activation maps of a classifier (Eq. 1).",
        examples=(
            "python -m analysis classes --classifier runs/finetune/classifier.safetensors "
            "--video walk.mp4 --out classes.png",
        ),
        out="file",
    )


if __name__ == "__main__":
    sys.exit(main())
