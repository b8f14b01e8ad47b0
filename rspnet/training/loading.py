"""Loader processes: how they begin, and the batches or videos that they load."""

import signal
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

from rspnet.data.stream import SampleStream
from rspnet.training.config import RunConfig
from rspnet.training.processes import Processes

T = TypeVar("T")


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
    # finish the step. They end with it.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def load_batches(
    dataset: Dataset[Any],
    collate: Callable[[list[Any]], T],
    config: RunConfig,
    processes: Processes,
    steps: range,
    num_speeds: int = 2,
) -> Iterator[T]:
    """Micro-batches of this process.

    Args:
        dataset: Samples by :class:`~rspnet.data.stream.SampleKey`; has a length.
        collate: Makes a batch of samples.
        config: Of the run.
        processes: Of the run.
        steps: Steps that they are for.
        num_speeds: Playback speeds that a sample takes two of.
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
    prepare_workers(config.num_workers)
    loader: DataLoader[T] = DataLoader(
        dataset,
        batch_sampler=stream,
        num_workers=config.num_workers,
        collate_fn=collate,
        worker_init_fn=start_worker,
        prefetch_factor=4 if config.num_workers else None,
        pin_memory=processes.device.type == "cuda",
        # Not the process's own generator: a resumed run makes one loader more.
        generator=torch.Generator().manual_seed(config.seed),
    )
    return iter(loader)


class _Videos(Dataset[T | str], Generic[T]):
    def __init__(
        self, paths: Sequence[Path], known_invalid: Mapping[Path, str], load: Callable[[Path], T]
    ) -> None:
        self.paths, self.known_invalid, self.load = paths, known_invalid, load

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> T | str:
        path = self.paths[index]
        try:
            return self.known_invalid[path] if path in self.known_invalid else self.load(path)
        except ValueError as error:
            return str(error)


def _as_it_is(item: Any) -> Any:
    return item


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
    """
    prepare_workers(num_workers)
    loader: DataLoader[Any] = DataLoader(
        _Videos(paths, known_invalid, load),
        batch_size=None,
        num_workers=num_workers,
        collate_fn=_as_it_is,
        worker_init_fn=start_worker,
        generator=torch.Generator(),  # not the process's own, whose draws are the network's
    )
    yield from loader
