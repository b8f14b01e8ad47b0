"""What a run says of itself: ``metrics.csv`` and other logs, the progress bar, the callback."""

import csv
import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from tqdm import tqdm

from rspnet.files import atomic_path
from rspnet.training.config import RunConfig
from rspnet.training.processes import Processes

Scalars = dict[str, float | Tensor]

# What a row of metrics.csv says of the run's speed: clips a second of all processes, the share of
# the time in which it waited for data, and the most memory of a GPU that was in use.
SPEED_COLUMNS = ("clips_per_second", "data_wait", "memory_gib")


class Callback(Protocol):
    """Called during a run, in rank 0."""

    def __call__(self, step: int, network: nn.Module, *, last: bool) -> None:
        """Called after every step."""


class MetricsLog:
    """``metrics.csv`` and TensorBoard. Rows of steps that will be run again are dropped.

    Args:
        folder: The run's folder.
        columns: Names of the values in a row, after ``step``.
        first_step: Rows after this step are removed from an earlier file.
        wandb: Also log to this project of Weights & Biases.

    Raises:
        ValueError: Weights & Biases is configured but not installed.
    """

    def __init__(
        self, folder: Path, columns: Sequence[str], first_step: int, wandb: str | None = None
    ) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.columns = ["step", *columns]
        path = folder / "metrics.csv"
        kept: list[dict[str, str]] = []
        if first_step and path.is_file():
            with path.open(newline="") as file:
                kept = [row for row in csv.DictReader(file) if int(row["step"]) <= first_step]
        # Written beside and renamed: a run killed here keeps the rows it had.
        with atomic_path(path) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, self.columns, restval="", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(kept)
        self._file = path.open("a", newline="")
        self._csv = csv.DictWriter(self._file, self.columns, restval="", extrasaction="ignore")
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=first_step or None)
        self._wandb = _start_wandb(wandb, folder) if wandb else None

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Write one row."""
        self._csv.writerow({"step": step, **{k: f"{v:.6g}" for k, v in values.items()}})
        self._file.flush()
        for name, value in values.items():
            self._board.add_scalar(name, value, step)
        if self._wandb is not None:
            self._wandb.log(dict(values), step=step)

    def close(self) -> None:
        """Close all of them."""
        self._file.close()
        self._board.close()
        if self._wandb is not None:
            self._wandb.finish()


def _start_wandb(project: str, folder: Path) -> Any:
    try:
        wandb = import_module("wandb")
    except ImportError as error:
        raise ValueError(
            "wandb is given, but Weights & Biases is not installed: pip install wandb"
        ) from error
    name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:12]
    return wandb.init(project=project, dir=str(folder), id=name, resume="allow", name=folder.name)


def load_callback(name: str, folder: Path, config: RunConfig) -> Callback:
    """Make the callback that is named ``module:Class``; of several names, separated by commas, all.

    Raises:
        ValueError: There is no such class.
    """
    if "," in name:
        all_of_them = [load_callback(one.strip(), folder, config) for one in name.split(",")]

        def call_all(step: int, network: nn.Module, *, last: bool) -> None:
            for callback in all_of_them:
                callback(step, network, last=last)

        return call_all
    module, _, attribute = name.partition(":")
    try:
        factory: Callable[[Path, RunConfig], Callback] = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"callback is named module:Class, got {name!r}: {error}") from error
    return factory(folder, config)


class Progress:
    """The logs, the bar and the callback of a run.

    Args:
        config: Of the run.
        processes: Of the run; rank 0 writes and shows.
        columns: Names of the values in a row of ``metrics.csv``.
        steps: Those that are left.
        title: What the bar says.
        clips_per_sample: Clips that the network takes for each sample.

    Raises:
        ValueError: There is no such callback, or Weights & Biases is not installed.
    """

    def __init__(
        self,
        config: RunConfig,
        processes: Processes,
        columns: Sequence[str],
        steps: range,
        title: str,
        clips_per_sample: int,
    ) -> None:
        self.processes = processes
        self.clips_per_step = clips_per_sample * config.batch_size
        self._log: MetricsLog | None = None
        self._callback: Callback | None = None
        folder, first = Path(config.out), processes.first
        if first:
            self._log = MetricsLog(folder, columns, steps.start, config.wandb)
            if config.callback is not None:
                self._callback = load_callback(config.callback, folder, config)
        self._bar = tqdm(
            total=steps.stop, initial=steps.start, desc=title, unit="step", disable=not first
        )
        self._window: list[Scalars] = []
        self._waited = 0.0
        self._started = time.monotonic()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Within it the run waits for data."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self._waited += time.monotonic() - begun

    def add(self, scalars: Scalars) -> None:
        """Count a step that gave these values."""
        self._window.append(scalars)
        self._bar.update()

    def log(self, step: int, summary: Callable[[dict[str, float]], str]) -> dict[str, float]:
        """Write the means of the steps since the last row, over all processes, and give them."""
        window, self._window = self._window, []
        names = window[0].keys()
        values = [sum(float(row[name]) for row in window) / len(window) for name in names]
        elapsed = time.monotonic() - self._started
        values.append(self._waited / elapsed)
        shared = self.processes.mean(torch.tensor(values, dtype=torch.float64))
        means = dict(zip((*names, "data_wait"), shared.tolist(), strict=True))
        means["clips_per_second"] = self.clips_per_step * len(window) / elapsed
        if self.processes.device.type == "cuda":
            means["memory_gib"] = torch.cuda.max_memory_allocated(self.processes.device) / 2**30
        if self._log is not None:
            self._log.write(step, means)
        self._bar.set_postfix_str(summary(means))
        self._started, self._waited = time.monotonic(), 0.0
        return means

    def call(self, step: int, network: nn.Module, *, last: bool) -> None:
        """Call the callback, whose time is no part of the run's speed."""
        if self._callback is not None:
            paused = time.monotonic()
            self._callback(step, network, last=last)
            self._started += time.monotonic() - paused

    def close(self) -> None:
        """Close all of them."""
        self._bar.close()
        if self._log is not None:
            self._log.close()
