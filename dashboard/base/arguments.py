"""What is given after the double dash: ``streamlit run dashboard/app.py -- --videos DIR``."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Arguments:
    """The app's own arguments.

    Attributes:
        videos: A folder of videos to look at, or None for the generated ones alone.
        model: A model file to look at, or None for the models that ship.
        runs: A folder of training runs to look at, or None for ``runs`` beside the packages.
        report: Numbers of a report to look at, or None for those that ship.
        num_videos: Videos to generate for the first gallery.
    """

    videos: Path | None = None
    model: Path | None = None
    runs: Path | None = None
    num_videos: int = 24
    report: Path | None = None


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(
            f"The app's arguments can't be read: {message}. Expected "
            "`streamlit run dashboard/app.py -- [--videos DIR] [--model FILE] [--runs DIR] "
            "[--report FILE] [--num_videos N]`."
        )


def parse_arguments(argv: Sequence[str]) -> Arguments:
    """Read the arguments that follow the double dash.

    Raises:
        ValueError: An argument is unknown or lacks its value.
    """
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("--videos", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--runs", type=Path)
    parser.add_argument("--report", type=Path)
    parser.add_argument("--num_videos", "--num-videos", type=int, default=Arguments.num_videos)
    given = parser.parse_args(list(argv))
    if given.num_videos < 2:
        raise ValueError(
            f"--num_videos is the number of videos to generate, at least 2, got {given.num_videos}."
        )
    return Arguments(given.videos, given.model, given.runs, given.num_videos, given.report)


def cache_folder() -> Path:
    """Where generated videos and galleries' features are kept: ``$RSPNET_CACHE`` or ``.cache``."""
    return Path(os.environ.get("RSPNET_CACHE") or ROOT / ".cache")


def shown_path(path: Path) -> str:
    """A path for a command line: relative to the repository where it lies in it."""
    real = path.resolve()
    return str(real.relative_to(ROOT)) if real.is_relative_to(ROOT) else str(real)
