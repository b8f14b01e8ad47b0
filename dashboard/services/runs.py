"""Folders of training runs: found below one root, read as they grow. Nothing outside is opened.

Files are judged by their real place: neither ``..`` in a link nor a symbolic link leads out.
"""

import csv
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from dashboard.base.arguments import CHECKPOINTS
from dashboard.services.galleries import Identity, identity
from rspnet.files import printable
from rspnet.text import escape_bytes, unescape_bytes

if TYPE_CHECKING:
    from analysis.figures.curves import Run
    from analysis.report.evidence_tracker import Evidence

DEEPEST = 4
MOST_RUNS = 500
LIVE_SECONDS = 120.0


@dataclass(frozen=True)
class Found:
    """Runs below a root.

    Attributes:
        root: The root, resolved.
        names: Their paths relative to it, the one that was written to last first, as menus show
            them: :func:`folder_of` leads back.
        skipped: Links that lead out of the root.
    """

    root: Path
    names: list[str]
    skipped: list[str]


@dataclass(frozen=True)
class Tracked:
    """Maps of fixed pairs at some steps of a run, as :mod:`analysis.report.map_tracker` wrote them.

    Attributes:
        steps: Ascending.
        maps: (steps, pairs, heads, T', H', W') of c_i.
        maps_j: The same of c_j.
        similarity: (steps, pairs, heads).
        heads: Their names.
        videos: Of each pair.
        frames: Of each pair the frames of c_i and of c_j, (pairs, 2, T).
        damaged: Files that could not be read.
    """

    steps: list[int]
    maps: Any
    maps_j: Any
    similarity: Any
    heads: list[str]
    videos: list[str]
    frames: Any
    damaged: list[str]


def inside(root: Path, path: Path) -> Path:
    """The real place of a path below the root.

    Raises:
        ValueError: It leads out of the root, or there is no such file.
    """
    try:
        real = path.resolve(strict=True)
    except OSError as error:
        raise ValueError(printable(f"there is no {path.name} in {path.parent}")) from error
    if not real.is_relative_to(root.resolve()):
        raise ValueError(
            printable(f"{path} leads out of the folder of runs, {root}: it is not opened")
        )
    return real


def find(root: Path) -> Found:
    """List the runs below a folder.

    Raises:
        ValueError: There is no such folder.
    """
    if not root.is_dir():
        raise ValueError(f"there is no folder {printable(root)}")
    real = root.resolve()
    runs: list[tuple[float, str]] = []
    skipped: list[str] = []
    for folder, below, files in os.walk(real):
        here = Path(folder)
        for name in list(below):
            link = here / name
            if link.is_symlink() and not link.resolve().is_relative_to(real):
                skipped.append(printable(link.relative_to(real)))
        if "metrics.csv" in files or "config.yaml" in files:
            below.clear()
            newest = max(p.lstat().st_mtime for p in (here / "metrics.csv", here) if p.exists())
            runs.append((newest, escape_bytes(here.relative_to(real).as_posix())))
        if len(here.relative_to(real).parts) >= DEEPEST or len(runs) >= MOST_RUNS:
            below.clear()
    return Found(real, [name for _, name in sorted(runs, reverse=True)], skipped)


def recorded() -> Found:
    """Logs of runs that ship beside the models: what the page shows where there are none."""
    folders = sorted(CHECKPOINTS.glob("*.run"))
    return Found(CHECKPOINTS, [path.name for path in folders if path.is_dir()], [])


def folder_of(root: Path, name: str) -> Path:
    """A run's folder; what of its name is not UTF-8 is escaped in menus and links."""
    return root / unescape_bytes(name)


def read_metrics(root: Path, name: str) -> "Run":
    """The metrics of a run, columns by name.

    Raises:
        ValueError: There is no table, it holds no rows yet, or something else than numbers.
    """
    return _metrics(identity(inside(root, folder_of(root, name) / "metrics.csv")))


@st.cache_data(max_entries=16, show_spinner=False)
def _metrics(table: Identity) -> "Run":
    from analysis.figures.curves import read_run

    path = table.path
    try:
        run = read_run(path.parent)
        steps = run.columns["step"]
    except (TypeError, KeyError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(_damaged(path)) from error
    except ValueError as error:
        if "holds no rows" in str(error) or "no run of" in str(error):
            raise
        raise ValueError(_damaged(path)) from error
    if not np.isfinite(steps).all():
        raise ValueError(_damaged(path))
    return run


def _damaged(path: Path) -> str:
    return (
        f"{path} is damaged: expected a table with a column `step` and numbers in every row, as "
        "`python -m rspnet.train` writes it"
    )


def seconds_since(root: Path, name: str) -> float:
    """Seconds since a row was last written.

    Raises:
        ValueError: There is no table.
    """
    return max(
        0.0, time.time() - inside(root, folder_of(root, name) / "metrics.csv").stat().st_mtime
    )


def is_live(root: Path, name: str) -> bool:
    """Whether a row was written a moment ago, or there is none yet."""
    try:
        return seconds_since(root, name) < LIVE_SECONDS
    except ValueError:
        return True


def max_steps(root: Path, name: str) -> int | None:
    """Optimiser steps of a run; None where its configuration counts epochs, or says nothing."""
    found = settings(root, name)
    steps = found.get("max_steps")
    return steps if isinstance(steps, int) and found.get("epochs") is None else None


def settings(root: Path, name: str) -> dict[str, Any]:
    """The run's configuration; empty where there is none that can be read."""
    import yaml

    try:
        text = inside(root, folder_of(root, name) / "config.yaml").read_text(encoding="utf-8")
        found = yaml.safe_load(text)
    except (ValueError, OSError, yaml.YAMLError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def checkpoints(root: Path, name: str) -> dict[int, Path]:
    """Checkpoints that a run has kept, by step."""
    return dict(sorted(_numbered(root, name, "checkpoints", ".pt")))


def _numbered(root: Path, name: str, folder: str, ending: str) -> Iterator[tuple[int, Path]]:
    for path in (folder_of(root, name) / folder).glob(f"step_*{ending}"):
        found = re.fullmatch(r"step_(\d{1,12})", path.stem)
        if found is None:
            continue
        try:
            yield int(found[1]), inside(root, path)
        except ValueError:  # a link that leads out, or just removed
            continue


def read_evidence(root: Path, name: str) -> "list[Evidence]":
    """What the heads looked at over the steps, if a callback measured it.

    Raises:
        ValueError: The table is damaged.
    """
    path = folder_of(root, name) / "evidence.csv"
    return _evidence(identity(inside(root, path))) if path.exists() else []


@st.cache_data(max_entries=16, show_spinner=False)
def _evidence(table: Identity) -> "list[Evidence]":
    from analysis.report.evidence_tracker import read_evidence

    return read_evidence(table.path)


def read_tracked(root: Path, name: str) -> Tracked | None:
    """Maps that the run's callback kept; None if it kept none that can be read."""
    files = sorted(_numbered(root, name, "maps", ".npz"))
    return _tracked(tuple(identity(path) for _, path in files)) if files else None


@st.cache_data(max_entries=8, show_spinner=False)
def _tracked(files: tuple[Identity, ...]) -> Tracked | None:
    from zipfile import BadZipFile

    names = ("step", "heads", "maps", "maps_j", "similarity", "paths", "frames_i", "frames_j")
    read: list[dict[str, Any]] = []
    damaged = []
    for path in (file.path for file in files):
        try:
            with np.load(path, allow_pickle=False) as stored:
                read.append({key: stored[key] for key in names})
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            damaged.append(path.name)
    # What an earlier run with other videos left in the folder is no part of this one.
    about = ("heads", "paths", "frames_i", "frames_j")
    read = [r for r in read if all(np.array_equal(r[key], read[-1][key]) for key in about)]
    read = [r for r in read if r["maps"].shape == read[-1]["maps"].shape]
    if not read:
        return None
    last = read[-1]
    return Tracked(
        steps=[int(r["step"]) for r in read],
        maps=np.stack([r["maps"] for r in read]),
        maps_j=np.stack([r["maps_j"] for r in read]),
        similarity=np.stack([r["similarity"] for r in read]),
        heads=[str(head) for head in last["heads"]],
        videos=[str(path) for path in last["paths"]],
        frames=np.stack([last["frames_i"], last["frames_j"]], axis=1),
        damaged=damaged,
    )
