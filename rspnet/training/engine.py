"""What every training run shares: folder, checkpoints, exact resume, processes, stopping, logs.

A run is an :class:`Engine` with a step of its own. Whatever a step draws at random follows from
(seed, position) or from PyTorch's generators, whose state is kept for every process. So a run that
was killed and resumed ends with the same weights, to the bit on a CPU, as one never stopped.
"""

import math
import os
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn
from tqdm import tqdm

from rspnet.commands import save_config, to_plain
from rspnet.training.config import RunConfig
from rspnet.training.optim import OptimConfig, lr_factor
from rspnet.training.processes import join_processes, leave_processes, rng_state, set_rng_state
from rspnet.training.run_folder import (
    Checkpoints,
    Due,
    MetricsLog,
    check_unreadable,
    load_checkpoint,
    stop_on_signal,
)


class HasFailures(Protocol):
    """A batch: ``failures`` are (number, reason) of videos that could not be read for it."""

    @property
    def failures(self) -> Sequence[tuple[int, str]]:
        """Numbers and reasons."""


B = TypeVar("B", bound=HasFailures)
Scalars = dict[str, float | Tensor]
EXIT_STOPPED = 143  # 128 + SIGTERM: stopped by a signal with its state saved; start it again

DIVERGED = (
    "lower optim.lr, set optim.clip_norm, or take another precision; the last checkpoint is good"
)


def check_precision(precision: str, device: torch.device) -> None:
    """Refuse what a device is no good at.

    Raises:
        ValueError: Half precision on a CPU.
    """
    why = {
        "bf16": "in bf16 on CPUs give wrong gradients, some of them NaN",
        "fp16": "in fp16 on CPUs take about eight times as long as in fp32",
    }
    if device.type == "cpu" and precision in why:
        raise ValueError(
            f"precision is {precision!r}, but PyTorch's 3D convolutions {why[precision]}: "
            "take 'fp32', or a GPU"
        )


class StoppedError(Exception):
    """A signal stopped the run, which has saved its state."""


class Callback(Protocol):
    """Called during a run, in rank 0."""

    def __call__(self, step: int, network: nn.Module, *, last: bool) -> None:
        """Called after every step."""


class Engine(ABC, Generic[B]):
    """A training run.

    Subclasses make ``network`` and ``optimiser`` in :meth:`build`, give batches and do a step.

    Args:
        config: Settings of the run.
        columns: Names of the values in a row of ``metrics.csv``.
        title: What the progress bar says.

    Raises:
        ValueError: The run's folder, the data or the settings are invalid.
    """

    network: nn.Module
    optimiser: torch.optim.Optimizer
    max_steps: int
    steps_per_epoch: float
    paths: Sequence[Path]  # files by the number that a batch's failures have
    num_videos: int  # of which no more than max_unreadable may turn out unreadable
    max_unreadable: float

    # Parts of the configuration that a checkpoint and the run that reads it have in common.
    fixed: Sequence[str] = ("batch_size", "accumulate", "seed", "precision")

    def __init__(self, config: RunConfig, columns: Sequence[str], title: str) -> None:
        self.run_config = config
        self.columns = columns
        self.title = title
        self.processes = join_processes(config.device)
        self.device = self.processes.device
        check_precision(config.precision, self.device)
        if config.threads:
            torch.set_num_threads(config.threads)
        self.folder = Path(config.out)
        self.checkpoints = Checkpoints(self.folder / "checkpoints", config.keep_checkpoints)
        if self.processes.first:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.checkpoints.clean()
        resumed = self._find_checkpoint()
        self.processes.share_of(config.batch_size // config.accumulate, "batch_size / accumulate")
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=config.precision == "fp16")
        self.step = 0
        self.unreadable: dict[Path, str] = {}
        torch.manual_seed(config.seed)
        self.build()
        # Ranks have one network but draws of their own.
        torch.manual_seed(config.seed + 1_000_003 * self.processes.rank)
        if self.processes.first:
            save_config(config, self.folder / "config.yaml")
        self._rng: dict[str, Any] | None = None
        if resumed:
            self._restore(*resumed)

    # What a kind of run provides.

    @abstractmethod
    def build(self) -> None:
        """Make all that is declared above. The seed is set."""

    @abstractmethod
    def batches(self) -> Iterator[B]:
        """This process's micro-batches from ``self.step`` on."""

    @abstractmethod
    def train_step(self, micro_batches: Sequence[B]) -> Scalars:
        """One optimiser step. Returns what to log. Counts ``self.step`` up."""

    @abstractmethod
    def finish(self) -> Path:
        """Write the result after the last step, in rank 0."""

    def summary(self, means: dict[str, float]) -> str:
        """What the progress bar shows."""
        return f"loss {means['loss']:.3f}"

    # Checkpoints.

    def _find_checkpoint(self) -> tuple[Path, dict[str, Any]] | None:
        resume = self.run_config.resume
        if resume not in ("auto", "never"):
            return Path(resume), load_checkpoint(Path(resume))
        if resume == "never":
            if self.processes.from_first(bool(self.checkpoints.paths())):
                raise ValueError(
                    f"{self.folder} holds a run already: choose another --out, "
                    "or --resume auto to resume it"
                )
            return None
        found = self.checkpoints.load_newest() if self.processes.first else None
        if self.processes.size == 1:
            return found
        path = self.processes.from_first(found[0] if found else None)
        return (path, load_checkpoint(path)) if path else None

    def _restore(self, path: Path, state: dict[str, Any]) -> None:
        now, then = to_plain(self.run_config), state["config"]
        for part in self.fixed:
            if then.get(part, now[part]) != now[part]:
                raise ValueError(
                    f"{path} was written with {part} = {then[part]}, now it is {now[part]}: "
                    "give the same, or another --out"
                )
        try:
            self.network.load_state_dict(state["network"])
        except RuntimeError as error:
            raise ValueError(f"{path} does not fit this configuration: {error}") from error
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = int(state["step"])
        if state.get("scaler"):
            self.scaler.load_state_dict(state["scaler"])
        generators = state.get("rng", [])
        if len(generators) == self.processes.size:
            self._rng = generators[self.processes.rank]
        elif self.processes.first:
            tqdm.write(
                f"{path} was written by {len(generators)} processes, now there are "
                f"{self.processes.size}: the run resumes, but not with the same bits"
            )
        if self.processes.first:
            tqdm.write(f"Resuming from {path} at step {self.step}")

    def save_checkpoint(self) -> Path:
        """Write all that is needed to resume from here. All processes take part.

        Raises:
            ValueError: A weight is not finite: nothing is written over the last good checkpoint.
        """
        tensors = self.network.state_dict().values()
        broken = not all(bool(t.isfinite().all()) for t in tensors if t.is_floating_point())
        if self.processes.any(broken)[0]:
            raise ValueError(f"weights are not finite after step {self.step}: {DIVERGED}")
        generators = self.processes.gather_values(rng_state(self.device))
        path = self.checkpoints.path(self.step)
        if self.processes.first:
            state = {
                "step": self.step,
                "config": to_plain(self.run_config),
                "network": self.network.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "scaler": self.scaler.state_dict(),
                "rng": generators,
            }
            self.checkpoints.save(self.step, state)
        self.processes.wait()
        return path

    # A step's arithmetic.

    def autocast(self) -> AbstractContextManager[Any]:
        """Within it the network computes in the run's precision."""
        precision = self.run_config.precision
        if precision == "fp32":
            return nullcontext()
        dtype = torch.bfloat16 if precision == "bf16" else torch.float16
        return torch.autocast(self.device.type, dtype)

    def place(self, network: nn.Module) -> Any:
        """The network on the run's device, in the memory layout of the configuration."""
        network = network.to(self.device)
        if self.run_config.channels_last:
            network = network.to(memory_format=torch.channels_last_3d)
        return network

    def optimise(self, optim: OptimConfig) -> float:
        """Step the optimiser with the gradients that are there. Returns the learning rate."""
        lr = optim.base_lr(self.run_config.batch_size)
        lr *= lr_factor(self.step, self.max_steps, optim, self.steps_per_epoch)
        for group in self.optimiser.param_groups:
            group["lr"] = lr
        if optim.clip_norm > 0:
            self.scaler.unscale_(self.optimiser)
            trained = [p for group in self.optimiser.param_groups for p in group["params"]]
            nn.utils.clip_grad_norm_(trained, optim.clip_norm)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.optimiser.zero_grad(set_to_none=True)
        return lr

    # The run.

    def _steps(self) -> Generator[list[B], None, None]:
        # Closed in the end, also by an error: loader processes would outlive their iterator's frame
        # and be waited for, as they don't listen to signals.
        found: list[B] = []
        for batch in self.batches():
            found.append(batch)
            if len(found) == self.run_config.accumulate:
                yield found
                found = []

    def run(self) -> Path:
        """Train to ``max_steps`` and write the result.

        Raises:
            StoppedError: A signal stopped it; the state is saved.
            ValueError: Too many videos turned out unreadable, or the loss is not finite.
        """
        c, first = self.run_config, self.processes.first
        log = MetricsLog(self.folder, self.columns, self.step, c.wandb) if first else None
        due = Due(c.checkpoint_every_steps, c.checkpoint_every_minutes)
        callback = None
        if c.callback is not None and first:
            callback = load_callback(c.callback, self.folder, c)
        bar = tqdm(
            total=self.max_steps,
            initial=self.step,
            desc=self.title,
            unit="step",
            disable=not first,
        )
        window: list[Scalars] = []
        failures: list[tuple[Path, str]] = []
        self._started = time.monotonic()
        with stop_on_signal() as stop, bar, closing(self._steps()) as steps:
            for number, micro_batches in enumerate(steps):
                if number == 0 and self._rng is not None:
                    set_rng_state(self._rng, self.device)
                for batch in micro_batches:
                    failures += [(self.paths[n], why) for n, why in batch.failures]
                window.append(self.train_step(micro_batches))
                bar.update()
                last = self.step == self.max_steps
                if self.step % c.log_every_steps == 0 or last:
                    everyone = self.processes.gather_values(failures)
                    new = dict(row for rows in everyone for row in rows)
                    if new:
                        self.unreadable |= new
                        most = self.max_unreadable
                        check_unreadable(self.unreadable, self.num_videos, most, self.folder)
                    self._log(window, log, bar)
                    window, failures = [], []
                if callback is not None:
                    begun = time.monotonic()
                    callback(self.step, self.network, last=last)
                    # The callback's time is no part of the run's speed.
                    self._started += time.monotonic() - begun
                stopping, saving = self.processes.any(
                    stop.signal is not None, due(self.step) and first
                )
                if last:
                    break
                if saving or stopping:
                    path = self.save_checkpoint()
                if stopping:
                    if log is not None:
                        log.close()
                    raise StoppedError(
                        f"stopped at step {self.step}; the same command resumes it ({path})"
                    )
        if log is not None:
            log.close()
        self.save_checkpoint()
        result = self.processes.from_first(self.finish() if first else None)
        assert result is not None
        return result

    def _log(self, window: list[Scalars], log: MetricsLog | None, bar: "tqdm[Any]") -> None:
        names = window[0].keys()
        values = [sum(float(row[name]) for row in window) / len(window) for name in names]
        shared = self.processes.mean(torch.tensor(values, dtype=torch.float64))
        means = dict(zip(names, shared.tolist(), strict=True))
        elapsed = time.monotonic() - self._started
        samples = self.run_config.batch_size * len(window)
        means["clips_per_second"] = self.clips_per_sample * samples / elapsed
        if self.device.type == "cuda":
            means["memory_gib"] = torch.cuda.max_memory_allocated(self.device) / 2**30
        if log is not None:
            log.write(self.step, means)
        bar.set_postfix_str(self.summary(means))
        if not math.isfinite(means["loss"]):
            raise ValueError(f"the loss is {means['loss']} at step {self.step}: {DIVERGED}")
        self._started = time.monotonic()

    clips_per_sample = 1


def load_callback(name: str, folder: Path, config: RunConfig) -> Callback:
    """Make the callback that is named ``module:Class``.

    Raises:
        ValueError: There is no such class.
    """
    module, _, attribute = name.partition(":")
    try:
        factory: Callable[[Path, RunConfig], Callback] = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"callback is named module:Class, got {name!r}: {error}") from error
    return factory(folder, config)


def run_main(what: Callable[[], Path], result: str) -> int:
    """Run a training, end its processes, and give its exit status: 0 or :data:`EXIT_STOPPED`."""
    try:
        path = what()
        if os.environ.get("RANK", "0") == "0":
            print(f"{result}: {path}")
    except StoppedError as note:
        print(note, file=sys.stderr)
        return EXIT_STOPPED
    finally:
        leave_processes()
    return 0
