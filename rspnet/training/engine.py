"""What every training run shares: folder, checkpoints, exact resume, processes, stopping, logs.

A run is an :class:`Engine` with a step of its own. Whatever a step draws at random follows from
(seed, position) or from PyTorch's generators, whose state is kept for every process. So a run that
was killed and resumed ends with the same weights, to the bit on a CPU, as one never stopped.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Generic, NoReturn, Protocol, TypeVar

import torch
from torch import nn
from tqdm import tqdm

from rspnet.commands import RunFailedError, save_config, to_plain
from rspnet.training.changes import Changes, check_changes
from rspnet.training.config import RunConfig
from rspnet.training.optim import OptimConfig, load_optimiser, lr_factor, step_optimiser
from rspnet.training.processes import (
    check_precision,
    join_processes,
    rng_state,
    set_rng_state,
)
from rspnet.training.progress import Progress, Scalars
from rspnet.training.resume import check_steps_left, find_checkpoint, steps_of
from rspnet.training.run_folder import Checkpoints, Due, check_unreadable
from rspnet.training.stopping import StoppedError, stop_on_signal
from rspnet.training.transfer import tune_gpu


class HasFailures(Protocol):
    """A batch: ``failures`` are (number, reason) of videos that could not be read for it."""

    @property
    def failures(self) -> Sequence[tuple[int, str]]:
        """Numbers and reasons."""


B = TypeVar("B", bound=HasFailures)


class Engine(ABC, Generic[B]):
    """A training run.

    Subclasses find videos, make ``network`` and ``optimiser`` in :meth:`build`, give batches and do
    a step.

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

    result: str  # name of the file that `finish` writes
    clips_per_sample = 1
    test_settings: Sequence[str] = ()  # settings that matter to no step, but to what follows it

    def __init__(self, config: RunConfig, columns: Sequence[str], title: str) -> None:
        self.run_config = config
        self.columns = columns
        self.title = title
        self.processes = join_processes(config.device)
        self.device = self.processes.device
        check_precision(config.precision, self.device)
        tune_gpu(self.device, config.tune_gpu)
        if config.threads:
            torch.set_num_threads(config.threads)
        self.folder = Path(config.out)
        self.checkpoints = Checkpoints(self.folder / "checkpoints", config.keep_checkpoints)
        if self.processes.first:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.checkpoints.clean()
        resumed = find_checkpoint(
            config.resume, self.checkpoints, self.folder / self.result, self.processes
        )
        self.processes.share_of(config.batch_size // config.accumulate, "batch_size / accumulate")
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=config.precision == "fp16")
        self.step = 0
        self.unreadable: dict[Path, str] = {}
        # What is kept of the settings, with the result too: at which step which ones changed.
        self.record = to_plain(replace(config, accept_changes=[]))
        self.changes: list[dict[str, Any]] = []
        self._rng: dict[str, Any] | None = None
        if resumed:  # before anything is looked for, or written
            check_changes(config, resumed[0], resumed[1].get("config", {}))
        self.videos = self.find_videos()
        changed: Changes = {}
        if resumed:
            path, state = resumed
            settings = state.get("config", {})
            changed = check_changes(config, path, settings, state.get("videos"), self.videos)
        torch.manual_seed(config.seed)
        self.build()
        # Ranks have one network but draws of their own.
        torch.manual_seed(config.seed + 1_000_003 * self.processes.rank)
        if resumed:
            self._restore(*resumed, changed)
        file = self.folder / "config.yaml"
        if self.processes.first and (self.step < self.max_steps or not file.exists()):
            save_config(replace(config, accept_changes=[]), file)

    # What a kind of run provides.

    @abstractmethod
    def find_videos(self) -> str:
        """Find what is trained on; nothing is written. Returns what ``describe_videos`` says."""

    @abstractmethod
    def build(self) -> None:
        """Make all that is declared above. The seed is set."""

    @abstractmethod
    def batches(self) -> Generator[B, None, None]:
        """This process's micro-batches from ``self.step`` on, on its device."""

    @abstractmethod
    def train_step(self, micro_batches: Sequence[B]) -> Scalars:
        """One optimiser step. Returns what to log. Counts ``self.step`` up."""

    @abstractmethod
    def finish(self) -> Path:
        """Write the result after the last step, in rank 0."""

    def metadata(self) -> dict[str, Any]:
        """What is written with the result: its steps and settings, and how these changed."""
        changes = {"changes": self.changes} if self.changes else {}
        return {"steps": self.step, "config": self.record, **changes}

    def summary(self, means: dict[str, float]) -> str:
        """What the progress bar shows."""
        return f"loss {means['loss']:.3f}"

    # Checkpoints.

    def _restore(self, path: Path, state: dict[str, Any], changed: Changes) -> None:
        try:
            self.network.load_state_dict(state["network"])
            load_optimiser(self.optimiser, state["optimiser"])
        except (RuntimeError, LookupError, ValueError) as error:
            raise ValueError(f"{path} does not fit this configuration: {error}") from error
        self.step = int(state["step"])
        self.changes = list(state.get("changes", []))
        check_steps_left(path, self.step, self.max_steps, changed, self.test_settings)
        if self.step == self.max_steps:
            self.record = state.get("config", self.record)
        elif changed:
            self.changes.append({"step": self.step, **changed})
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
            more = "" if self.step < self.max_steps else ", its last: there is nothing to train"
            tqdm.write(f"Resuming from {path} at step {self.step}{more}")

    def save_checkpoint(self) -> Path:
        """Write all that is needed to resume from here. All processes take part.

        Raises:
            ValueError: A weight is not finite, or the file can't be written: earlier checkpoints
                stay as they are.
        """
        tensors = self.network.state_dict().values()
        broken = not all(bool(t.isfinite().all()) for t in tensors if t.is_floating_point())
        if self.processes.any(broken)[0]:
            raise ValueError(f"weights are not finite after step {self.step}: {self._diverged()}")
        generators = self.processes.gather_values(rng_state(self.device))

        def save() -> Path:
            state = {
                "step": self.step,
                "config": self.record,
                "videos": self.videos,
                "changes": self.changes,
                "network": self.network.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "scaler": self.scaler.state_dict(),
                "rng": generators,
            }
            return self.checkpoints.save(self.step, state)

        return self.processes.call_in_first(save)

    def _diverged(self) -> str:
        paths = self.checkpoints.paths()
        kept = f"the newest checkpoint is {paths[0]}" if paths else "no checkpoint was written yet"
        return f"lower optim.lr, set optim.clip_norm, or take another precision; {kept}"

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
        step_optimiser(self.optimiser, self.scaler, lr, optim.clip_norm)
        return lr

    # The run.

    def _steps(self) -> Generator[list[B], None, None]:
        found: list[B] = []
        with closing(self.batches()) as batches:  # it ends its loader processes
            for batch in batches:
                found.append(batch)
                if len(found) == self.run_config.accumulate:
                    yield found
                    found = []

    def run(self) -> Path:
        """Train to ``max_steps`` and write the result.

        Raises:
            StoppedError: A signal stopped it; the state is saved.
            RunFailedError: A loader process failed, and the state is saved; or another process of
                the run has gone.
            ValueError: Too many videos turned out unreadable, or the loss is not finite.
        """
        with self.processes.others_may_go():
            if self.step < self.max_steps:
                self._train()
                self.save_checkpoint()
            path = self.folder / self.result
            # Else it is there, and others may know it by its hash. One process looks: to another it
            # may be there already because the first has just written it.
            missing = self.processes.first and steps_of(path) != self.step
            if self.processes.any(missing)[0]:
                self.processes.call_in_first(self.finish)
            return path

    def _train(self) -> None:
        c, columns, begun = self.run_config, self.columns, self.step
        due = Due(c.checkpoint_every_steps, c.checkpoint_every_minutes)
        left = range(begun, self.max_steps)
        progress = Progress(c, self.processes, columns, left, self.title, self.clips_per_sample)
        failures: list[tuple[Path, str]] = []
        with closing(progress), stop_on_signal() as stop, closing(self._steps()) as steps:
            while self.step < self.max_steps:
                micro_batches, failure = list[B](), None
                try:
                    if stop.signal is None:
                        with progress.waiting():
                            micro_batches = next(steps)
                except Exception as error:
                    failure = error
                if self.step == begun and self._rng is not None:
                    set_rng_state(self._rng, self.device)
                # All processes learn here, between two steps, what happened to one of them.
                saving, stopping, failing = self.processes.any(
                    self.processes.first and self.step > begun and due(self.step),
                    stop.signal is not None,
                    failure is not None,
                )
                if saving or stopping or failing:
                    path = self.save_checkpoint()
                if failing:
                    self._fail(failure, path)
                if stopping:
                    raise StoppedError(
                        f"stopped at step {self.step}; the same command resumes it ({path})"
                    )
                for batch in micro_batches:
                    failures += [(self.paths[n], why) for n, why in batch.failures]
                progress.add(self.train_step(micro_batches))
                last = self.step == self.max_steps
                if self.step % c.log_every_steps == 0 or last:
                    self._check_unreadable(failures)
                    failures = []
                    loss = progress.log(self.step, self.summary)["loss"]
                    if not math.isfinite(loss):
                        raise ValueError(
                            f"the loss is {loss} at step {self.step}: {self._diverged()}"
                        )
                progress.call(self.step, self.network, last=last)

    def _fail(self, failure: Exception | None, path: Path) -> NoReturn:
        """Raise what one of the processes met between two steps, when the state is saved."""
        reasons = self.processes.gather_values(str(failure) if failure else "")
        if failure is not None and not isinstance(failure, RunFailedError):
            raise failure
        reason = next(reason for reason in reasons if reason)
        raise RunFailedError(f"{reason}. The state after step {self.step} is saved: {path}")

    def _check_unreadable(self, failures: list[tuple[Path, str]]) -> None:
        everyone = self.processes.gather_values(failures)
        new = dict(row for rows in everyone for row in rows)
        if new:
            self.unreadable |= new
            check_unreadable(self.unreadable, self.num_videos, self.max_unreadable, self.folder)
