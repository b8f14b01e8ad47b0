"""What is given after the double dash: ``streamlit run dashboard/app.py -- --videos DIR``."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rspnet.commands import parse_config
from rspnet.commands.settings import help_text
from rspnet.files import default_cache_folder, repository, user_path

ROOT = Path(__file__).resolve().parents[2]
CHECKPOINTS = ROOT / "checkpoints"


@dataclass(frozen=True)
class Arguments:
    """The app's own arguments.

    Attributes:
        videos: Folder of videos. Nothing: synthetic videos alone.
        model: Model file. Nothing: the models that ship.
        runs: Folder of training runs. Nothing: ``runs``, in the repository or, where the package
            is installed, in the folder that the app is started from.
        num_videos: Number of synthetic videos in the first gallery, at least 2.
        report: Numbers of a report, ``*.json``. Nothing: those that ship.
    """

    videos: Path | None = None
    model: Path | None = None
    runs: Path | None = None
    num_videos: int = 24
    report: Path | None = None

    def __post_init__(self) -> None:
        if self.num_videos < 2:
            raise ValueError(
                "num_videos is the number of synthetic videos to generate, at least 2, "
                f"got {self.num_videos}"
            )


# What `python -m dashboard --help` and the page of `streamlit run ... -- --help` show.
COMMAND: dict[str, Any] = {
    "prog": "python -m dashboard",
    "description": "Open the dashboard in a browser.",
    "examples": (
        "python -m dashboard --videos VIDEOS --model runs/mine/model.safetensors",
        "python -m dashboard --server.port 8502 --server.address localhost",
        "streamlit run dashboard/app.py -- --videos VIDEOS",
    ),
}


def parse_arguments(argv: Sequence[str]) -> Arguments:
    """Read the arguments that follow the double dash; ``~`` is the home folder.

    Raises:
        ValueError: An argument is unknown, empty, or lacks its value.

    Example:
        >>> parse_arguments(["--num-videos", "4"]).num_videos
        4
    """
    try:
        given = parse_config(Arguments, argv)
        places = {name: path for name, path in vars(given).items() if isinstance(path, Path)}
        return replace(given, **{name: user_path(path) for name, path in places.items()})  # type: ignore[arg-type]
    except ValueError as error:
        raise ValueError(
            f"The app's arguments are invalid: {str(error).rstrip('.')}. "
            "`python -m dashboard --help` lists them."
        ) from error


def requested_help(argv: Sequence[str]) -> str | None:
    """The help of the app, if the arguments ask for it."""
    return help_text(Arguments, **COMMAND) if {"-h", "--help"} & set(argv) else None


def cache_folder() -> Path:
    """Where synthetic videos and the features of galleries are kept."""
    return default_cache_folder()


def runs_folder(arguments: Arguments) -> Path:
    """The folder of training runs."""
    return arguments.runs or (repository() or Path.cwd()) / "runs"


def shown_path(path: Path) -> str:
    """A path for a command line: relative to the repository where it lies in it."""
    real = path.resolve()
    return str(real.relative_to(ROOT)) if real.is_relative_to(ROOT) else str(real)
