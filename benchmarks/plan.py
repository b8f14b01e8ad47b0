"""A plan of trainings: what each run is for, what it begins with, and what it costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rspnet.commands import parse_config
from rspnet.training.config import TrainConfig

_VIDEOS = ("real", "generated", "both")


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training of a plan.

    Attributes:
        name: Of its folder and its row.
        purpose: What it is for, in a few words.
        videos: ``real``, ``generated`` or ``both``.
        after: The run whose model it begins with; nothing for random weights.
        settings: By dotted name, as on the command line of ``python -m rspnet.train``.
    """

    name: str
    purpose: str
    videos: str
    after: str | None
    settings: dict[str, Any]

    def words(self) -> list[str]:
        """The settings as words of a command line."""
        return [f"--{name}={_word(value)}" for name, value in self.settings.items()]

    def config(self, folder: Path, roots: Mapping[str, Sequence[Path]]) -> TrainConfig:
        """The training's configuration.

        Raises:
            ValueError: A setting does not exist or its value is refused.
        """
        words = [
            f"--out={folder / self.name}",
            f"--data.root={_word([str(path) for path in roots[self.videos]])}",
            *self.words(),
        ]
        if self.after is not None:
            words.append(f"--init_from={folder / self.after / 'model.safetensors'}")
        try:
            return parse_config(TrainConfig, words)
        except ValueError as error:
            raise ValueError(f"run {self.name!r} of the plan: {error}") from error


def _word(value: Any) -> str:
    """A YAML value in one line, as the command line reads it."""
    if isinstance(value, str):
        return value
    return yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("...\n").strip()


def read_plan(path: Path) -> list[Run]:
    """Runs of a plan, in its order.

    The file holds ``base``, settings of all runs, and ``runs``, a list with ``name``, ``purpose``,
    ``videos`` (``real``), ``after`` and ``set``.

    Raises:
        ValueError: The file is no plan, a name comes twice, or a run comes after one that does
            not stand before it.
    """
    try:
        tree = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ValueError(f"no plan can be read from {path}: {error}") from error
    if not isinstance(tree, Mapping) or not isinstance(tree.get("runs"), list):
        raise ValueError(f"{path} is no plan: expected 'base', settings, and 'runs', a list")
    runs: list[Run] = []
    for entry in tree["runs"]:
        known = {run.name for run in runs}
        unknown = set(entry) - {"name", "purpose", "videos", "after", "set"}
        if unknown or "name" not in entry:
            raise ValueError(
                f"{path}: a run has name, purpose, videos, after and set, got {sorted(entry)}"
            )
        run = Run(
            name=str(entry["name"]),
            purpose=str(entry.get("purpose", "")),
            videos=str(entry.get("videos", "real")),
            after=entry.get("after"),
            settings={**tree.get("base", {}), **entry.get("set", {})},
        )
        if run.name in known:
            raise ValueError(f"{path}: two runs are named {run.name!r}")
        if run.videos not in _VIDEOS:
            raise ValueError(f"{path}: videos is one of {list(_VIDEOS)}, got {run.videos!r}")
        if run.after is not None and run.after not in known:
            raise ValueError(
                f"{path}: {run.name!r} comes after {run.after!r}, which does not stand before it"
            )
        runs.append(run)
    return runs


def choose(runs: Sequence[Run], names: Sequence[str]) -> list[Run]:
    """The runs of these names and all that they come after, in the plan's order.

    Raises:
        ValueError: There is no such run.
    """
    by_name = {run.name: run for run in runs}
    wanted: set[str] = set()
    for name in names:
        if name not in by_name:
            raise ValueError(f"no run is named {name!r}: there are {list(by_name)}")
        step: str | None = name
        while step is not None:
            wanted.add(step)
            step = by_name[step].after
    return [run for run in runs if run.name in wanted]
