"""The folder of a run: its checkpoints and when they are due, and what could not be read.

::

    RUN/config.yaml          the resolved configuration
    RUN/metrics.csv          one row every few steps
    RUN/tensorboard/         the same for TensorBoard
    RUN/checkpoints/         step_00001000.pt: all that is needed to go on
    RUN/unreadable.csv       videos skipped, with the reason
    RUN/model.safetensors    the result
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from rspnet.files import write_skipped
from rspnet.weights.storage import read_torch, save_torch


class Checkpoints:
    """Numbered checkpoints of a run, written atomically; the newest few are kept.

    Args:
        folder: ``RUN/checkpoints``.
        keep: How many are kept.
    """

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder = folder
        self.keep = keep

    def paths(self) -> list[Path]:
        """Checkpoints, the newest first."""
        return sorted(self.folder.glob("step_*.pt"), reverse=True)

    def path(self, step: int) -> Path:
        """The file of the state after ``step`` steps."""
        return self.folder / f"step_{step:08d}.pt"

    def clean(self) -> None:
        """Remove what a run that was killed while it wrote left half-written."""
        for half in self.folder.glob(".step_*.pt"):
            half.unlink(missing_ok=True)

    def save(self, step: int, state: Mapping[str, Any]) -> Path:
        """Write the state after ``step`` steps and remove what is older than the newest few.

        Those of later steps are damaged, or of a run that took another course from here: they are
        renamed to ``*.old``, so that they count no more.
        """
        path = self.path(step)
        save_torch(path, state)
        paths = self.paths()
        newest = paths.index(path)
        for later in paths[:newest]:
            later.rename(later.with_suffix(".old"))
        for old in paths[newest + self.keep :]:
            old.unlink()
        return path

    def load_newest(self) -> tuple[Path, dict[str, Any]] | None:
        """The newest checkpoint that can be read, None if there is none. A damaged one is named.

        Raises:
            ValueError: All that there are are damaged.
        """
        reasons: list[str] = []
        for path in self.paths():
            try:
                return path, load_checkpoint(path)
            except ValueError as error:
                tqdm.write(f"Passed over: {error}")
                reasons.append(str(error))
        if reasons:
            raise ValueError(
                f"no checkpoint in {self.folder} can be read, so there is nothing to resume from: "
                f"{reasons[0]}. To begin anew choose another --out, or remove them"
            )
        return None


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a training checkpoint without unpickling anything but tensors and plain values.

    Raises:
        ValueError: It is missing or damaged.
    """
    try:
        state = read_torch(path)
    except ValueError as error:
        why = str(error).removeprefix(f"{path} ")
        raise ValueError(f"{path} is not a readable training checkpoint: it {why}") from error
    if not isinstance(state, dict) or "step" not in state:
        raise ValueError(f"{path} is not a training checkpoint of `python -m rspnet.train`")
    return state


def refuse_unreadable(
    rows: Sequence[tuple[str | Path, str]],
    num_videos: int,
    most: float,
    hint: str = "",
    setting: str = "data.max_unreadable",
) -> None:
    """Refuse a set of which too much can't be read.

    Args:
        rows: (path, reason) of its unreadable videos.
        num_videos: Videos of the set.
        most: Largest share that may be unreadable.
        hint: What to do, or where to look.
        setting: What the user sets ``most`` by.

    Raises:
        ValueError: More are unreadable.
    """
    if len(rows) > most * num_videos:
        path, reason = rows[0]
        raise ValueError(
            f"{len(rows)} of {num_videos} videos can't be read, more than the {most:.0%} that "
            f"{setting} allows. The first: {path}: {reason}. {hint}".rstrip()
        )


def check_unreadable(
    unreadable: Mapping[Path, str], num_videos: int, most: float, folder: Path
) -> None:
    """List videos that can't be read in the run's folder; refuse too many.

    Raises:
        ValueError: A larger share than ``most`` can't be read.
    """
    listed = write_skipped(folder, "unreadable.csv", unreadable.items())
    refuse_unreadable(list(unreadable.items()), num_videos, most, f"All are listed in {listed}")


class Due:
    """Says when the next checkpoint is due.

    Args:
        steps: Steps between checkpoints, 0 for none by steps.
        minutes: Minutes between checkpoints, 0 for none by time.
    """

    def __init__(self, steps: int, minutes: float) -> None:
        self.steps = steps
        self.seconds = minutes * 60
        self._last = time.monotonic()

    def __call__(self, step: int) -> bool:
        """Whether a checkpoint is due after ``step`` steps."""
        by_steps = self.steps > 0 and step % self.steps == 0
        by_time = self.seconds > 0 and time.monotonic() - self._last >= self.seconds
        if by_steps or by_time:
            self._last = time.monotonic()
        return by_steps or by_time
