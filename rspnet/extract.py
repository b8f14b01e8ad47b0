"""Features of a labelled data set's videos, for retrieval: ``python -m rspnet.extract``.

The protocol is the paper's (supplementary B): 10 clips evenly spaced over each video, in a fixed
view, the features of the last convolutional layer max-pooled for each clip, their mean over the
clips. No valid video is skipped: one shorter than a clip is played in a loop. Files that a
``manifest.parquet`` in ``--data.root`` found invalid are listed and not opened again.
``--pooling avg`` pools as the release does. The embeddings of both heads are written beside.

The gallery is a folder, see :mod:`rspnet.retrieval.store`, written part by part. Stop it when you
like: the same command resumes where it stopped. ``torchrun --nproc-per-node N -m rspnet.extract
...`` shares the parts out to N processes. Neither that nor ``num_workers`` changes the result by
a bit, and on a CPU ``batch_size`` does not either.
"""

import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from rspnet.commands import run_cli
from rspnet.data.datasets.labelled import DatasetConfig, LabelledVideo, VideoSet, load_video_set
from rspnet.data.stores.pointers import root_path
from rspnet.files import LOCK, folder_lock
from rspnet.models import Branch
from rspnet.retrieval.openvino import Backend, compile_forward, time_gain
from rspnet.retrieval.store import (
    MANIFEST,
    UNREADABLE,
    Manifest,
    Part,
    Pooling,
    clean_up,
    part_path,
    read_manifest,
    read_part,
    read_shard_header,
    write_manifest,
    write_part,
    write_unreadable,
)
from rspnet.retrieval.vectors import (
    Forward,
    Views,
    embed_views,
    load_views,
    protocol_for,
    stack_vectors,
)
from rspnet.training.loading import load_each
from rspnet.training.processes import Processes, join_processes, leave_processes
from rspnet.training.run_folder import refuse_unreadable
from rspnet.weights.checkpoint import load_model

Unreadable = list[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class ExtractConfig:
    """A gallery of a labelled data set.

    Attributes:
        out: Folder of the gallery.
        model: Model file or name of a shipped model.
        data: The data set.
        num_clips: Clips of each video, evenly spaced over its length.
        pooling: ``max`` takes the largest value of each channel over (T', H', W') (paper), ``avg``
            the mean (release).
        fps: Frames per second of a clip. Nothing: each file's own.
        batch_size: Clips in a forward pass on a GPU. A CPU takes them in pairs.
        num_workers: Processes that decode, for each process of the run.
        shard_size: Videos in a part: what is done anew after a stop, at most.
        max_unreadable: Largest share of unreadable videos; more are an error.
        random_weights: Ignore the weights and take random ones of the same architecture.
        seed: Fixes the random weights.
        device: ``auto``, ``cpu``, ``cuda``, ...
        backend: What runs the network: ``torch``, or ``openvino``, faster on many processors
            (it needs ``pip install openvino``; its gain is measured and printed).
    """

    out: str = "runs/gallery"
    model: str = "default"
    data: DatasetConfig = field(default_factory=DatasetConfig)
    num_clips: int = 10
    pooling: Pooling = "max"
    fps: float | None = None
    batch_size: int = 32
    num_workers: int = 2
    shard_size: int = 256
    max_unreadable: float = 0.05
    random_weights: bool = False
    seed: int = 0
    device: str = "auto"
    backend: Backend = "torch"

    def __post_init__(self) -> None:
        for name in ("batch_size", "shard_size", "num_clips"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1, got {getattr(self, name)}")
        if self.num_workers < 0:
            raise ValueError(f"num_workers is not negative, got {self.num_workers}")
        if not 0 <= self.max_unreadable <= 1:
            raise ValueError(f"max_unreadable is between 0 and 1, got {self.max_unreadable}")


@dataclass(frozen=True)
class _Plan:
    """What rank 0 found there is to do.

    Attributes:
        videos: Of the data set, with absolute paths.
        manifest: Of the gallery, when it is begun.
        left: Numbers of the parts that are not there.
        unreadable: (path, reason) of videos, from the parts that are there.
        known_invalid: Videos that the data set's manifest found invalid, and why.
    """

    videos: tuple[LabelledVideo, ...]
    manifest: Manifest
    left: tuple[int, ...]
    unreadable: tuple[tuple[str, str], ...]
    known_invalid: Mapping[Path, str]


def load_branch(config: ExtractConfig, device: torch.device) -> tuple[Branch, str]:
    """The query branch and what it is called.

    Raises:
        ValueError: No such model, or one that can't be read.
    """
    branch = load_model(config.model)
    if not config.random_weights:
        return branch.to(device), config.model
    torch.manual_seed(config.seed)
    branch = Branch.from_spec(branch.spec()).eval()
    digest = hashlib.sha256()
    for name, tensor in sorted(branch.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    branch.hash = digest.hexdigest()
    return branch.to(device), f"{config.model} with random weights of seed {config.seed}"


def _describe(config: ExtractConfig, branch: Branch, model: str, found: VideoSet) -> Manifest:
    digest = hashlib.sha256()
    for video in found.videos:
        digest.update(os.fsencode(f"{video.path}\t{video.label}\n"))
    root = config.data.root
    return Manifest(
        model=model,
        model_hash=branch.hash,
        protocol=protocol_for(
            branch, num_clips=config.num_clips, pooling=config.pooling, fps=config.fps
        ),
        dataset={
            "name": found.name,
            "root": str(root_path(root).absolute()) if root is not None else None,
            "split": found.split,
            "fold": found.fold,
        },
        classes=found.classes,
        missing=found.missing,
        num_videos=len(found.videos),
        videos_hash=digest.hexdigest(),
        shard_size=config.shard_size,
        backend=config.backend,
    )


def _make_plan(config: ExtractConfig, branch: Branch, model: str, stack: ExitStack) -> _Plan:
    """Find out what there is to do. The folder is locked until the stack is closed."""
    found = load_video_set(config.data)
    # Absolute, so that a file is the same one from whatever folder it was named.
    videos = tuple(replace(video, path=video.path.absolute()) for video in found.videos)
    manifest = _describe(config, branch, model, replace(found, videos=videos))
    folder = Path(config.out)
    stack.enter_context(folder_lock(folder))
    if (folder / MANIFEST).exists():
        old = read_manifest(folder)
        manifest = replace(manifest, sealed=old.sealed)
        differences = old.differences(manifest)
        if differences:
            raise ValueError(
                f"{folder} holds a gallery of something else (there and requested): "
                f"{'; '.join(differences)}. Choose another --out"
            )
    elif any(path.name != LOCK for path in folder.iterdir()):
        raise ValueError(f"{folder} is there and is no gallery: choose another --out")
    clean_up(folder)
    left: list[int] = []
    unreadable: Unreadable = []
    for number in range(manifest.num_shards):
        path, size = part_path(folder, number), manifest.shard_size
        own = [video.path for video in videos[number * size : (number + 1) * size]]
        try:
            mark = manifest.mark_of(number) if manifest.sealed else ""
            unreadable += read_part(path, mark, own).unreadable
        except ValueError as error:
            if path.exists():
                tqdm.write(f"Made anew: {error}")
            left.append(number)
    if left:
        write_manifest(folder, manifest)
    for number in left:  # other processes wait for the file
        part_path(folder, number).unlink(missing_ok=True)
    bad = {path.absolute(): reason for path, reason in found.known_invalid.items()}
    return _Plan(videos, manifest, tuple(left), tuple(unreadable), bad)


def _check_unreadable(rows: Unreadable, num_videos: int, config: ExtractConfig) -> None:
    """Refuse too many.

    Raises:
        ValueError: A larger share than ``max_unreadable`` can't be read.
    """
    if len(rows) > config.max_unreadable * num_videos:
        listed = write_unreadable(config.out, rows)
        hint = (
            f"Those found so far are listed in {listed}; to continue without them give the same "
            "command a larger --max_unreadable"
        )
        refuse_unreadable(rows, num_videos, config.max_unreadable, hint, "max_unreadable")


def _embed_part(
    branch: Branch,
    videos: Sequence[LabelledVideo],
    items: Iterator[Views | str],
    config: ExtractConfig,
    on_unreadable: Callable[[tuple[str, str]], None],
    bar: "tqdm[Any]",
    forward: Forward | None,
) -> Part:
    kept: list[tuple[LabelledVideo, tuple[int, ...]]] = []
    unreadable: Unreadable = []

    def readable() -> Iterator[Views]:
        for video, item in zip(videos, items, strict=False):
            bar.update()
            if isinstance(item, str):
                unreadable.append((str(video.path), item))
                on_unreadable(unreadable[-1])
            else:
                kept.append((video, item.starts))
                yield item

    # Forward passes end with the part, so that what is in one never depends on where a run was
    # stopped or on the number of processes.
    rows = list(embed_views(branch, readable(), config.pooling, config.batch_size, forward))
    return Part(
        paths=tuple(str(video.path) for video, _ in kept),
        labels=tuple(video.label for video, _ in kept),
        splits=tuple(video.split for video, _ in kept),
        clip_starts=tuple(starts for _, starts in kept),
        vectors=stack_vectors(rows, branch.num_features),
        unreadable=tuple(unreadable),
    )


def _forward(config: ExtractConfig, branch: Branch, processes: Processes) -> Forward | None:
    if config.backend == "torch":
        return None
    forward = compile_forward(branch, config.pooling)
    if processes.first:
        gain = time_gain(branch, config.pooling, forward)
        tqdm.write(f"OpenVINO runs this network {gain:.1f} times as fast as PyTorch here.")
    return forward


def _make_parts(config: ExtractConfig, branch: Branch, plan: _Plan, processes: Processes) -> None:
    """This process's share of the parts that are left."""
    mine = plan.left[processes.rank :: processes.size]
    size, total = plan.manifest.shard_size, len(plan.videos)
    ranges = [range(n * size, min((n + 1) * size, total)) for n in mine]
    paths = [plan.videos[i].path for numbers in ranges for i in numbers]
    unreadable = list(plan.unreadable)
    forward = _forward(config, branch, processes) if mine else None

    def note(row: tuple[str, str]) -> None:
        unreadable.append(row)
        _check_unreadable(unreadable, total, config)

    title = "Extracting" if processes.size == 1 else f"Extracting, 1 of {processes.size} processes"
    bar = tqdm(total=len(paths), desc=title, unit="video", disable=not processes.first)
    # TF32 would round each product to 10 bits, and benchmarks pick kernels by the clock.
    exact = torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    )
    load = partial(load_views, protocol=plan.manifest.protocol)
    decoding = load_each(paths, plan.known_invalid, load, config.num_workers)
    with exact, bar, closing(decoding) as items:
        for number, numbers in zip(mine, ranges, strict=True):
            videos = [plan.videos[i] for i in numbers]
            part = _embed_part(branch, videos, items, config, note, bar, forward)
            write_part(part_path(config.out, number), part, plan.manifest.mark_of(number))


def _finish(config: ExtractConfig, plan: _Plan) -> Manifest:
    """Wait for the parts of all processes, and say that the gallery is complete.

    Processes that are done go home: nothing is sent that could time out while one works on. If
    one fails, ``torchrun`` ends them all.

    Raises:
        ValueError: Too many videos, or all of them, can't be read.
    """
    unreadable: Unreadable = []
    num_vectors = 0
    for number in range(plan.manifest.num_shards):
        path = part_path(config.out, number)
        while not path.exists():
            time.sleep(0.2)
        rows, missing = read_shard_header(path)
        num_vectors += rows
        unreadable += missing
    write_unreadable(config.out, unreadable)
    _check_unreadable(unreadable, len(plan.videos), config)
    if not num_vectors:
        path_text, reason = unreadable[0]
        raise ValueError(
            f"none of {len(plan.videos)} videos can be read. The first: {path_text}: {reason}"
        )
    done = replace(plan.manifest, num_unreadable=len(unreadable), complete=True)
    write_manifest(config.out, done)
    return done


def extract(config: ExtractConfig) -> Manifest | None:
    """Make a gallery, or resume one that was begun.

    Returns:
        The manifest of the complete gallery, in rank 0.

    Raises:
        ValueError: No such model or data set, ``out`` holds something else, another process writes
            into it, or too many videos can't be read.
    """
    processes = join_processes(config.device)
    branch, model = load_branch(config, processes.device)
    with ExitStack() as stack:
        plan = processes.call_in_first(lambda: _make_plan(config, branch, model, stack))
        _make_parts(config, branch, plan, processes)
        return _finish(config, plan) if processes.first else None


def _run(config: ExtractConfig) -> None:
    try:
        done = extract(config)
    finally:
        leave_processes()
    if done is not None:
        print(
            f"Gallery: {config.out}: {done.num_videos - (done.num_unreadable or 0)} videos"
            + (f", {done.num_unreadable} unreadable ({UNREADABLE})" if done.num_unreadable else "")
            + (f", {len(done.missing)} listed but not on the disk" if done.missing else "")
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    return run_cli(
        ExtractConfig,
        _run,
        arguments,
        prog="python -m rspnet.extract",
        description=(
            "Extract features of a labelled data set's videos into a gallery, which "
            "python -m rspnet.retrieve searches."
        ),
        examples=(
            "python -m rspnet.extract --data.root VIDEOS --out runs/gallery",
            "python -m rspnet.extract --data.name ucf101 --data.root UCF-101 "
            "--data.annotations ucfTrainTestlist --data.split test --out runs/test",
        ),
        out="folder",
        resumes=True,
    )


if __name__ == "__main__":
    sys.exit(main())
