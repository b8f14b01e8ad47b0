"""Generated videos with labels and ground truth: ``python -m rspnet.data.synthetic``.

Each video is an actor on a set. What moves is one of 14 actions of an articulated figure, with
its own phase and a small jitter of tempo; its appearance is an actor, a set and a static prop,
drawn independently of the action and of each other. Nothing else changes over time: no camera
motion, no flicker, no noise, and the encoding leaves no rhythm of its own (one key frame, no
B-frames). So playback speed can be told from the motion and from nothing else.

A folder holds ``<action>/<name>.mp4`` (256 x 192 pixels, 25 frames per second, 3 to 5 seconds),
beside each a ``.npz`` with its masks (:func:`load_masks`), ``labels.csv`` and ``synthetic.json``.
"""

import csv
import io
import json
import re
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from rspnet.data.synthetic.actions import ACTIONS as _ACTIONS
from rspnet.data.synthetic.appearance import NUM_ACTORS
from rspnet.data.synthetic.backgrounds import NUM_BACKGROUNDS
from rspnet.data.synthetic.props import PROPS
from rspnet.data.synthetic.render import (
    FPS,
    HEIGHT,
    MASKS,
    WIDTH,
    Factors,
    SyntheticVideo,
    draw_factors,
    draw_siblings,
    labels_of,
    pack_masks,
    render,
    render_backdrop,
    unpack_masks,
)
from rspnet.data.video.encode import write_video
from rspnet.files import atomic_path
from rspnet.text import read_text

__all__ = [
    "ACTIONS",
    "FPS",
    "HEIGHT",
    "MASKS",
    "NUM_ACTORS",
    "NUM_BACKGROUNDS",
    "PROPS",
    "VERSION",
    "WIDTH",
    "Factors",
    "SyntheticVideo",
    "contact_sheet",
    "draw_factors",
    "generate",
    "generate_named",
    "load_masks",
    "parse_video_name",
    "read_labels",
    "render_backdrop",
    "render_video",
    "video_name",
]

ACTIONS: tuple[str, ...] = tuple(_ACTIONS)
VERSION = 1  # of the pictures: raised whenever a seed gives other pixels
COLUMNS = (
    "path", "action", "actor", "set", "prop", "fps", "num_frames", "seed", "index", "phase",
    "tempo", "amplitude", "height", "mirrored", "position",
)  # fmt: skip


def render_video(
    seed: int,
    index: int,
    *,
    action: str | None = None,
    actor: int | None = None,
    set_id: int | None = None,
    prop: str | None = None,
    num_frames: int | None = None,
) -> SyntheticVideo:
    """Render video ``index`` of a seed, with single factors exchanged if given.

    All other factors (phase, tempo, place, ...) stay what they are without the exchange.

    Args:
        seed: Seed of the data set.
        index: Number of the video, from 0.
        action: One of ``ACTIONS``.
        actor: 0 to ``NUM_ACTORS`` - 1.
        set_id: 0 to ``NUM_BACKGROUNDS`` - 1.
        prop: One of ``PROPS``.
        num_frames: Length in frames.

    Raises:
        ValueError: A factor is out of range.
    """
    given = {
        "action": action,
        "actor": actor,
        "set_id": set_id,
        "prop": prop,
        "num_frames": num_frames,
    }
    known: dict[str, Sequence[Any]] = {
        "action": ACTIONS,
        "actor": range(NUM_ACTORS),
        "set_id": range(NUM_BACKGROUNDS),
        "prop": PROPS,
        "num_frames": range(1, 10_000),
    }
    changes = {name: value for name, value in given.items() if value is not None}
    for name, value in changes.items():
        if value not in known[name]:
            raise ValueError(f"{name} is one of {known[name]}, got {value!r}")
    return render(replace(draw_factors(seed, index), **changes))  # type: ignore[arg-type]


def video_name(seed: int, index: int) -> str:
    """Name of a generated video, without a suffix.

    Example:
        >>> video_name(0, 12)
        'synthetic_0_000012'
    """
    return f"synthetic_{seed}_{index:06d}"


def parse_video_name(name: str) -> tuple[int, int] | None:
    """Seed and index from :func:`video_name`, None for other names.

    Example:
        >>> parse_video_name("synthetic_0_000012")
        (0, 12)
    """
    found = re.fullmatch(r"synthetic_(\d+)_(\d+)", name)
    return (int(found[1]), int(found[2])) if found else None


@dataclass(frozen=True)
class _Job:
    folder: Path
    seed: int
    index: int
    siblings: int

    @property
    def factors(self) -> Factors:
        return draw_siblings(self.seed, self.index, self.siblings)

    @property
    def video(self) -> Path:
        name = video_name(self.seed, self.index)
        if self.siblings > 1:
            name = f"siblings_{self.siblings}_{name.removeprefix('synthetic_')}"
        return self.folder / self.factors.action / f"{name}.mp4"


def _is_done(job: _Job) -> bool:
    # Both files are renamed into place when whole; the video comes last.
    return job.video.is_file() and job.video.with_suffix(".npz").is_file()


def _make(job: _Job) -> None:
    import cv2

    cv2.setNumThreads(1)
    video = render(job.factors)
    with atomic_path(job.video.with_suffix(".npz")) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **pack_masks(video.masks))  # type: ignore[arg-type]
    write_video(job.video, video.frames, video.fps, crf=14, preset="fast", num_b_frames=0)


def generate_named(out: str | Path, name: str) -> Path | None:
    """The generated video of a name, made in a folder if it is not there; None for other names.

    Example:
        >>> import tempfile
        >>> generate_named(tempfile.mkdtemp(), "synthetic_3_000001").name
        'synthetic_3_000001.mp4'
        >>> generate_named(tempfile.mkdtemp(), "holiday") is None
        True
    """
    numbers = parse_video_name(name)
    if numbers is None:
        return None
    job = _Job(Path(out), *numbers, siblings=1)
    if not _is_done(job):
        job.video.parent.mkdir(parents=True, exist_ok=True)
        _make(job)
    return job.video


def generate(
    out: str | Path,
    num_videos: int,
    seed: int = 0,
    *,
    siblings: int = 1,
    num_workers: int | None = None,
    progress: bool = True,
) -> Path:
    """Generate a data set, or what is missing of it.

    Video ``index`` of a seed is the same whatever the number of videos or workers.

    Args:
        out: Folder of the data set.
        num_videos: How many videos.
        seed: Fixes all of them.
        siblings: So many in a row differ in the prop alone: who tells them apart has to look at it.
            They have names of their own, and :func:`parse_video_name` knows none of them.
        num_workers: Processes; nothing takes one for each core.
        progress: Show a progress bar.

    Returns:
        The folder.

    Raises:
        ValueError: ``num_videos`` is not positive, or the folder holds other generated videos.

    Example:
        >>> import tempfile
        >>> folder = generate(tempfile.mkdtemp(), 2, seed=3, num_workers=1, progress=False)
        >>> sorted(path.name for path in folder.rglob("*.mp4"))
        ['synthetic_3_000000.mp4', 'synthetic_3_000001.mp4']
    """
    from rspnet.files import default_threads

    if num_videos < 1:
        raise ValueError(f"num_videos is positive, got {num_videos}")
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    card = folder / "synthetic.json"
    mine = {"version": VERSION, "seed": seed, "num_videos": num_videos}
    if siblings > 1:
        mine["siblings"] = siblings
    if card.is_file():
        theirs = json.loads(card.read_text())
        kinds = ("version", "seed", "siblings")
        if any(theirs.get(key) != mine.get(key) for key in kinds):
            texts = (
                ", ".join(f"{key} {card[key]}" for key in kinds if key in card)
                for card in (theirs, mine)
            )
            raise ValueError(
                "{} holds generated videos of {}, requested are those of {}: choose another folder "
                "or remove this one".format(folder, *texts)
            )
    jobs = [_Job(folder, seed, index, siblings) for index in range(num_videos)]
    missing = [job for job in jobs if not _is_done(job)]
    workers = min(num_workers or default_threads(), len(missing))
    bar = tqdm(
        total=num_videos,
        initial=num_videos - len(missing),
        desc="Generating",
        unit="video",
        disable=not progress,
    )
    with bar:
        if workers < 2:
            for job in missing:
                _make(job)
                bar.update()
        else:
            with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
                for _ in pool.map(_make, missing, chunksize=2):
                    bar.update()
    _write_labels(jobs)
    with atomic_path(card) as temporary:
        temporary.write_text(json.dumps(mine, indent=2))
    return folder


def _write_labels(jobs: Sequence[_Job]) -> None:
    with (
        atomic_path(jobs[0].folder / "labels.csv") as temporary,
        temporary.open("w", newline="") as file,
    ):
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for job in jobs:
            labels = labels_of(job.factors)
            path = job.video.relative_to(job.folder).as_posix()
            writer.writerow(
                labels | {"path": path, "fps": FPS, "seed": job.seed, "index": job.index}
            )


def read_labels(folder: str | Path) -> list[dict[str, str]]:
    """Rows of ``labels.csv``, each with ``path`` relative to the folder.

    Raises:
        ValueError: The folder holds no generated videos.
    """
    path = Path(folder) / "labels.csv"
    if not path.is_file():
        raise ValueError(f"{folder} holds no generated videos: there is no labels.csv")
    return list(csv.DictReader(io.StringIO(read_text(path))))


def load_masks(video: str | Path) -> dict[str, NDArray[np.bool_]]:
    """Ground truth of a generated video: ``limbs``, ``actor``, ``prop`` and ``background``.

    Shape:
        Each (N, 192, 256) booleans.

    Raises:
        ValueError: There are no masks beside the video.
    """
    path = Path(video).with_suffix(".npz")
    if not path.is_file():
        raise ValueError(f"no masks beside {video}: expected {path}")
    with np.load(path, allow_pickle=False) as stored:
        return unpack_masks(dict(stored))


def contact_sheet(
    seed: int, indices: Sequence[int], num_columns: int = 6, step: int = 4, masks: bool = False
) -> NDArray[np.uint8]:
    """A picture of several videos: a row for each, every ``step``-th frame from the first.

    Args:
        seed: Seed of the videos.
        indices: Their numbers.
        num_columns: Frames in a row.
        step: Frames of the video from one column to the next.
        masks: Tint limbs, the rest of the actor, and the prop.
    """
    rows = []
    for index in indices:
        video = render_video(seed, index, num_frames=num_columns * step)
        frames = video.frames[::step].copy()
        if masks:
            for name, tint in (("actor", (60, 120, 255)), ("limbs", (255, 140, 0)),
                               ("prop", (0, 170, 110))):  # fmt: skip
                mask = video.masks[name][::step]
                frames[mask] = (frames[mask] * 0.4 + np.array(tint) * 0.6).astype(np.uint8)
        rows.append(np.concatenate(list(frames), axis=1))
    return np.concatenate(rows)
