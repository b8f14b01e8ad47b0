"""What differs between a run and the command that resumes it, and what may differ."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

from rspnet.commands import to_plain
from rspnet.data.stores.pointers import file_size
from rspnet.registry import did_you_mean
from rspnet.training.config import RunConfig

Changes = dict[str, list[Any]]  # setting -> [before, now]
VIDEOS = "videos"
# How long a run is to be: more steps are how a run is continued. They are kept with the result, as
# the schedule of the learning rate depends on them.
LENGTH = frozenset(("max_steps", "epochs"))
# What a run learns does not depend on these.
FREE = frozenset(
    (
        # where it is, and what is done with this command
        "out", "resume", "accept_changes",
        # what is written, and when
        "checkpoint_every_steps", "checkpoint_every_minutes", "keep_checkpoints",
        "log_every_steps", "wandb", "callback",
        # who computes it: the same but for rounding, and samples depend on their place alone
        "device", "threads", "num_workers", "tune_gpu", "channels_last", "compile",
        "data.augment_on",
        # when to give up, and where to keep what can be made again
        "data.max_unreadable", "data.cache_folder",
    )
)  # fmt: skip
# They say which videos are read. So the videos decide: a folder may have moved.
SOURCES = frozenset(
    f"data.{name}"
    for name in (
        "root", "name", "annotations", "split", "test_split", "fold", "manifest",
        "num_generated", "generated_seed",
    )
)  # fmt: skip


def describe_videos(videos: Iterable[tuple[Path, object]]) -> str:
    """Number and digest of videos, wherever their common folder is.

    Args:
        videos: Paths, each with what else is known of it and matters, such as its label.
    """
    # Texts, as a path object for each of 240,000 names is slow.
    rows = [(os.path.abspath(path), more) for path, more in videos]  # noqa: PTH100
    folder = os.path.commonpath([os.path.dirname(path) for path, _ in rows]) if rows else ""  # noqa: PTH120
    start, digest = len(os.path.join(folder, "")), hashlib.sha256()  # noqa: PTH118
    for path, more in rows:
        try:
            size = file_size(path)
        except OSError:
            size = None
        digest.update(os.fsencode(f"{path[start:]}\t{size}\t{more}\n"))
    return f"{len(rows)} ({digest.hexdigest()[:16]})"


def _settings(config: Any, plain: Mapping[str, Any], group: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in plain.items():
        part = getattr(config, name, None)
        if is_dataclass(part) and isinstance(value, Mapping):
            yield from _settings(part, value, f"{group}{name}.")
        else:
            yield f"{group}{name}", value


def check_changes(
    config: RunConfig,
    where: str | Path,
    before: Mapping[str, Any],
    videos_before: str | None = None,
    videos: str | None = None,
) -> Changes:
    """Refuse to resume a run with settings or videos other than those that it has.

    Args:
        config: Settings of now.
        where: What is resumed, to name it.
        before: Its settings, as plain values. Those that it lacks are not compared.
        videos_before: Its videos, by :func:`describe_videos`, if it tells them.
        videos: Those of now; nothing if they are not known yet.

    Returns:
        What differs and was accepted, or is more or fewer steps; nothing yet without ``videos``.

    Raises:
        ValueError: There is a difference that ``accept_changes`` does not name.

    Example:
        >>> then, videos = {"seed": 1}, "2 (a0b1)"
        >>> config = RunConfig(seed=3, accept_changes=["seed"])
        >>> check_changes(config, "runs/run", then, videos, videos)
        {'seed': [1, 3]}
    """
    now, then = (dict(_settings(config, plain)) for plain in (to_plain(config), before))
    for name in config.accept_changes:
        if name != VIDEOS and name not in now:
            hint = did_you_mean(name, now)
            raise ValueError(f"accept_changes names a setting that there is not, {name!r}.{hint}")
    found = {
        name: [then[name], value]
        for name, value in now.items()
        if name not in FREE and then.get(name, value) != value
    }
    sources = SOURCES & found.keys()
    if videos is not None and videos_before is not None:
        if videos == videos_before:
            found = {name: pair for name, pair in found.items() if name not in sources}
        elif not sources:
            found[VIDEOS] = [videos_before, videos]
    allowed = LENGTH | set(config.accept_changes)
    refused = [name for name in found if name not in allowed]
    if videos is None and sources.issuperset(refused):
        return {}  # the videos will tell
    if refused:
        pairs = ", ".join(f"{name} {found[name][0]} -> {found[name][1]}" for name in refused)
        raise ValueError(
            f"{where} was made with other settings (then -> now): {pairs}. Give the same, or "
            f"another --out, or accept the changes: --accept_changes {' '.join(refused)}"
        )
    return found
