"""Loader processes: how they begin and end, and the batches or videos that they load."""

import signal
import traceback
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info
from torch.utils.data._utils import signal_handling

from rspnet.commands import RunFailedError, describe_os_error
from rspnet.data.stream import SampleKey, SampleStream
from rspnet.training.config import RunConfig
from rspnet.training.processes import Processes
from rspnet.training.transfer import on_device

T = TypeVar("T")
_END = object()


def prepare_workers(num_workers: int) -> None:
    """What the process that starts loader processes does before.

    OpenCV's threads do not live on in a forked process, which would crash or wait for them for
    ever. So there must be none.
    """
    import cv2

    if num_workers:
        cv2.setNumThreads(1)


def start_worker(_worker: int) -> None:
    """What a loader process does first."""
    import cv2

    # A signal to the whole process group is for the trainer, which still needs its workers to
    # finish the step. It kills them when it has no more need of them.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


@dataclass(frozen=True)
class _Failure:
    """What a loader process raised; ``mistake`` if a user can cause that."""

    sentence: str
    mistake: bool

    @classmethod
    def of(cls, error: Exception) -> "_Failure":
        if isinstance(error, ValueError | OSError):
            return cls(describe_os_error(error) if isinstance(error, OSError) else str(error), True)
        name, place = type(error).__name__, traceback.extract_tb(error.__traceback__)[-1]
        notes = " ".join(getattr(error, "__notes__", ()))
        return cls(
            f"a loader process failed with {name}: {error} ({Path(place.filename).name}, line "
            f"{place.lineno}, in {place.name}){notes}; the same command with --num_workers 0 shows "
            "the traceback",
            False,
        )


class _Loaded(Dataset[Any]):
    """What ``load`` gives for a key; in a loader process also what it raises, as a value."""

    def __init__(self, load: Callable[[Any], Any]) -> None:
        self.load = load

    def __getitem__(self, key: Any) -> Any:
        if get_worker_info() is None:
            return self.load(key)
        try:
            return self.load(key)
        except Exception as error:
            return _Failure.of(error)


def _as_it_is(item: Any) -> Any:
    return item


def _next(iterator: Any, workers: Sequence[BaseProcess]) -> Any:
    try:
        item = next(iterator, _END)
    except Exception:
        # By whatever name PyTorch calls it: a process that has gone took its memory with it.
        gone = wait([worker.sentinel for worker in workers], timeout=5)
        for worker in workers:
            if worker.sentinel in gone:
                worker.join(timeout=5)
        _refuse_dead(workers)
        raise
    _refuse_dead(workers)
    if isinstance(item, _Failure):
        raise ValueError(item.sentence) if item.mistake else RunFailedError(item.sentence)
    return item


def _refuse_dead(workers: Sequence[BaseProcess]) -> None:
    for code in (worker.exitcode for worker in workers if worker.exitcode):
        how = f"was killed ({signal.Signals(-code).name})" if code < 0 else f"ended ({code})"
        shared = ", or enlarge /dev/shm," if "SIGBUS" in how else ""
        raise RunFailedError(
            f"a loader process {how}, as the system does when the memory is full: lower "
            f"--num_workers or --batch_size{shared} and give the same command again"
        )


def _load(
    load: Callable[[Any], T], keys: Iterable[Any], num_workers: int, prefetch: int, seed: int
) -> Generator[T, None, None]:
    """What ``load`` gives for each key, in their order. Close it: its processes end with it."""
    prepare_workers(num_workers)
    loader: DataLoader[Any] = DataLoader(
        _Loaded(load),
        batch_size=None,
        sampler=keys,
        num_workers=num_workers,
        collate_fn=_as_it_is,
        worker_init_fn=start_worker,
        prefetch_factor=prefetch if num_workers else None,
        # Not the process's own generator: a resumed run makes one loader more.
        generator=torch.Generator().manual_seed(seed),
    )
    iterator: Any = iter(loader)
    workers: Sequence[BaseProcess] = getattr(iterator, "_workers", ())
    if workers:
        # PyTorch raises for processes that it watches wherever it is, such as amidst a step.
        signal_handling._remove_worker_pids(id(iterator))  # type: ignore[attr-defined]
        iterator._worker_pids_set = False
    try:
        while (item := _next(iterator, workers)) is not _END:
            yield item
    finally:
        # They ignore the signal by which Python would end them at its exit, and wait for ever.
        for worker in workers:
            worker.kill()
        for worker in workers:
            worker.join()
        # PyTorch's own end takes a lock, which one that was killed may hold.
        iterator._shutdown = True


def _load_batch(
    dataset: Dataset[Any], collate: Callable[[list[Any]], T], keys: Sequence[SampleKey]
) -> T:
    samples = []
    for key in keys:
        try:
            samples.append(dataset[key])
        except Exception as error:
            videos = getattr(dataset, "videos", None)
            error.add_note(f" at {videos[key.video].path}" if videos else "")
            raise
    return collate(samples)


def load_batches(
    dataset: Dataset[Any],
    collate: Callable[[list[Any]], T],
    config: RunConfig,
    processes: Processes,
    steps: range,
    num_speeds: int = 2,
    finish: Callable[[T], Any] = _as_it_is,
) -> Generator[Any, None, None]:
    """Micro-batches of this process, on its device.

    Args:
        dataset: Samples by :class:`~rspnet.data.stream.SampleKey`; has a length.
        collate: Makes a batch of samples.
        config: Of the run.
        processes: Of the run.
        steps: Steps that they are for.
        num_speeds: Playback speeds that a sample takes two of.
        finish: What is left to be done with a batch on the device.

    Raises:
        RunFailedError: A loader process was killed, or failed.
    """
    stream = SampleStream(
        len(dataset),  # type: ignore[arg-type]
        config.batch_size,
        config.seed,
        steps.start,
        steps.stop,
        accumulate=config.accumulate,
        rank=processes.rank,
        num_processes=processes.size,
        num_speeds=num_speeds,
    )
    load = partial(_load_batch, dataset, collate)
    loaded = _load(load, stream, config.num_workers, prefetch=4, seed=config.seed)
    return on_device(loaded, processes.device, finish)


def _load_video(
    known_invalid: Mapping[Path, str], load: Callable[[Path], T], path: Path
) -> T | str:
    try:
        return known_invalid[path] if path in known_invalid else load(path)
    except ValueError as error:
        return str(error)
    except Exception as error:
        error.add_note(f" at {path}")
        raise


def load_each(
    paths: Sequence[Path],
    known_invalid: Mapping[Path, str],
    load: Callable[[Path], T],
    num_workers: int,
) -> Generator[T | str, None, None]:
    """Each video as ``load`` gives it, or the reason why it can't be read; in their order.

    Args:
        paths: The videos.
        known_invalid: Those that are not opened, and why.
        load: Reads one in a loader process; its ValueError is the reason.
        num_workers: Loader processes; 0 reads in this one.

    Raises:
        RunFailedError: A loader process was killed, or failed.
    """
    read = partial(_load_video, known_invalid, load)
    return _load(read, paths, num_workers, prefetch=2, seed=0)
