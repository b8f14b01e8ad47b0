"""The command ``python -m analysis optical_flow``."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from analysis.figures.style import check_out, save
from analysis.studies.optical_flow import FlowConfig, flow_study
from analysis.studies.optical_flow_result import FlowStudy
from rspnet.commands import parse_config
from rspnet.data.datasets.labelled import load_video_set
from rspnet.data.sources import list_videos
from rspnet.files import atomic_path
from rspnet.weights.checkpoint import load_model


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    try:
        config = parse_config(FlowConfig, arguments)
        study = run(config)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(study.table())
    for path, reason in study.skipped:
        print(f"left out: {path}: {reason}", file=sys.stderr)
    print(f"\n{config.out}")
    if config.figure is not None:
        print(config.figure)
    return 0


if __name__ == "__main__":
    sys.exit(main())


def run(config: FlowConfig) -> FlowStudy:
    """Find the videos that a configuration names, measure, and write the result.

    Raises:
        ValueError: A setting is wrong, or the videos are not there.
    """
    if not config.out:
        raise ValueError("give --out FILE.json: where the result is written")
    if config.figure is not None:
        check_out(config.figure)
    named = config.data.root is not None or config.data.annotations is not None
    if named == (config.videos is not None):
        raise ValueError(
            "give either --videos DIR, a folder of videos, or a data set such as --data.name csv "
            f"--data.annotations FILE.csv; got {'both' if named else 'neither'}"
        )
    known_invalid: Mapping[Path, str] = {}
    if config.videos is not None:
        paths, what = list_videos(config.videos), f"videos of {Path(config.videos).name}"
    else:
        videos = load_video_set(config.data)
        paths, known_invalid = [video.path for video in videos.videos], videos.known_invalid
        name = Path(config.data.annotations or config.data.root or "").stem
        what = f"videos of {videos.name} ({name}), split {videos.split}, fold {videos.fold}"
    study = flow_study(
        load_model(config.model, "query"),
        load_model(config.model, "key"),
        paths,
        what=what,
        known_invalid=known_invalid,
        num_videos=config.num_videos,
        num_triplets=config.num_triplets,
        num_random=config.num_random,
        size=config.size,
        seed=config.seed,
        num_workers=config.num_workers,
    )
    with atomic_path(config.out) as temporary:
        temporary.write_text(json.dumps(study.to_json(), indent=1))
    if config.figure is not None:
        from analysis.figures.flow_figure import draw_flow

        save(draw_flow(study), config.figure)
    return study
