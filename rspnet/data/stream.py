"""The order of training samples, which a seed fixes, and data sets of samples.

Everything about a sample follows from (seed, position): which video, which speed, which frames,
which augmentation. So the stream does not depend on the number of loader workers, and a run that
is resumed at step n sees just what it would have seen.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any, Generic, TypeVar

import numpy as np
from torch.utils.data import Dataset, Sampler

S = TypeVar("S", bound=Any)


@dataclass(frozen=True)
class SampleKey:
    """Names one sample.

    Attributes:
        position: Its place in the endless stream of samples, counted from 0.
        video: Index of its video.
        speed: Which of the configured speeds c_i and c_j have.
        other: Which one c_k has.
    """

    position: int
    video: int
    speed: int
    other: int


class SampleStream(Sampler[list[SampleKey]]):
    """Batches of sample keys. Epochs follow one another without dropping or padding.

    Half of every batch's queries have either speed; where a batch is odd, the half that gets one
    more alternates. Of more than two speeds every ordered pair comes equally often.

    Args:
        num_videos: Videos in the data set.
        batch_size: Samples in a step, of all processes together.
        seed: Fixes the order.
        first_step: Step to begin at.
        num_steps: Step to end before.
        accumulate: Micro-batches that a step is given in.
        rank: Number of this process. Each takes its own part of every micro-batch, and the parts
            in the order of the ranks are what a process alone would have.
        num_processes: Processes of the run.
        num_speeds: Playback speeds to take two of.

    Raises:
        ValueError: A number is not positive, there are not two speeds, or ``batch_size`` can't be
            split evenly.
    """

    def __init__(
        self,
        num_videos: int,
        batch_size: int,
        seed: int,
        first_step: int,
        num_steps: int,
        *,
        accumulate: int = 1,
        rank: int = 0,
        num_processes: int = 1,
        num_speeds: int = 2,
    ) -> None:
        if num_speeds < 2:
            raise ValueError(f"a sample has two speeds, got num_speeds={num_speeds}")
        if num_videos < 1 or batch_size < 1:
            raise ValueError(
                f"num_videos and batch_size are positive, got {num_videos} and {batch_size}"
            )
        if batch_size % (accumulate * num_processes):
            raise ValueError(
                f"batch_size is a multiple of accumulate x processes, got {batch_size} for "
                f"{accumulate} x {num_processes}"
            )
        self.num_videos = num_videos
        self.batch_size = batch_size
        self.seed = seed
        self.first_step = first_step
        self.num_steps = num_steps
        self.accumulate = accumulate
        self.rank = rank
        self.num_processes = num_processes
        self.speeds = list(permutations(range(num_speeds), 2))

    def __len__(self) -> int:
        return self.accumulate * max(0, self.num_steps - self.first_step)

    def _order(self, epoch: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        rng = np.random.default_rng([self.seed, 1, epoch])
        return rng.permutation(self.num_videos)

    def __iter__(self) -> Iterator[list[SampleKey]]:
        epoch, order = -1, np.empty(0, np.int64)
        part = self.batch_size // self.accumulate
        mine = part // self.num_processes
        for step in range(self.first_step, self.num_steps):
            keys = []
            for i in range(self.batch_size):
                position = step * self.batch_size + i
                if position // self.num_videos != epoch:
                    epoch = position // self.num_videos
                    order = self._order(epoch)
                video = int(order[position % self.num_videos])
                keys.append(SampleKey(position, video, *self.speeds[position % len(self.speeds)]))
            for first in range(self.rank * mine, self.batch_size, part):
                yield keys[first : first + mine]


class SampleDataset(Dataset[S], Generic[S]):
    """Samples by :class:`SampleKey`.

    A video that can't be read gives its place to the next one in the list and is reported with
    the sample.
    """

    videos: Sequence[Any]

    def load(self, video: int, key: SampleKey) -> S:
        """A sample of a video of the list; a ValueError says why there is none."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, key: SampleKey) -> S:
        failures: list[tuple[int, str]] = []
        for offset in range(len(self.videos)):
            video = (key.video + offset) % len(self.videos)
            try:
                return replace(self.load(video, key), failures=tuple(failures))
            except ValueError as error:
                failures.append((video, str(error)))
        raise ValueError(f"none of {len(self.videos)} videos can be read: {failures[0][1]}")
