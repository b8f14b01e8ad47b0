"""Where a run is resumed: its checkpoint, and whether there is anything left to do."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from rspnet.training.changes import LENGTH, Changes
from rspnet.training.processes import Processes
from rspnet.training.run_folder import Checkpoints, load_checkpoint


def find_checkpoint(
    resume: str, checkpoints: Checkpoints, result: Path, processes: Processes
) -> tuple[Path, dict[str, Any]] | None:
    """The checkpoint that a run is resumed from, and what is in it; None for a new run.

    Args:
        resume: As in :class:`~rspnet.training.config.RunConfig`.
        checkpoints: Of the run's folder.
        result: What the run writes at its end.
        processes: Of the run.

    Raises:
        ValueError: There is a run that is not to be resumed, or can't be.
    """
    if resume not in ("auto", "never"):
        return Path(resume), load_checkpoint(Path(resume))

    def find() -> tuple[Path, dict[str, Any]] | None:
        if resume == "never" and (checkpoints.paths() or result.exists()):
            raise ValueError(
                f"{result.parent} holds a run already: choose another --out, or --resume auto to "
                "resume it"
            )
        found = checkpoints.load_newest()
        if found is None and result.exists():
            raise ValueError(
                f"{result} is the result of a run that has no checkpoint any more: choose another "
                "--out, so that it is not replaced"
            )
        return found

    if processes.size == 1:
        return find()

    def find_path() -> Path | None:
        found = find()
        return found[0] if found else None

    path = processes.call_in_first(find_path)
    return (path, load_checkpoint(path)) if path else None


def check_steps_left(
    path: Path, step: int, max_steps: int, changed: Changes, test_settings: Iterable[str]
) -> None:
    """Refuse a run that is past its end, and changed settings where there is nothing left to train.

    Args:
        path: The checkpoint.
        step: Its step.
        max_steps: Steps that the run is to have.
        changed: Settings that were accepted.
        test_settings: Those of them that matter to what follows the last step.

    Raises:
        ValueError: That is so.
    """
    if step > max_steps:
        raise ValueError(
            f"{path} is of step {step}, but the run is to end after {max_steps}: give as many "
            "steps or more, or another --out"
        )
    without_effect = sorted(set(changed) - LENGTH - set(test_settings))
    if step == max_steps and without_effect:
        raise ValueError(
            f"{path} is of the run's last step: other settings of {', '.join(without_effect)} "
            "would change nothing that it learnt. Give more steps, or another --out"
        )


def steps_of(path: Path) -> int | None:
    """Steps of a model or classifier by its metadata; None if there is no such file."""
    try:
        with safe_open(path, framework="pt") as file:
            return int(json.loads(file.metadata()["metadata"])["steps"])
    except (SafetensorError, OSError, ValueError, LookupError, TypeError):
        return None
