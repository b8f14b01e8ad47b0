"""Pre-training: ``python -m rspnet.train``.

With no arguments a small model is trained on generated videos. ``--data.root DIR`` trains on a
folder of videos, ``--config FILE.yaml`` reads settings, and every setting can be given on the
command line (``--help`` lists them).
"""

import math
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from rspnet.checkpoint import load_model, save_model
from rspnet.config import OptimConfig, TrainConfig, parse_config, save_config, to_plain
from rspnet.data.pretrain import Batch, PretrainDataset, SampleStream, collate
from rspnet.data.sources import FrameCache, Scan, default_cache_folder, expand_roots, scan_files
from rspnet.data.transforms import normalise
from rspnet.models import Branch
from rspnet.pretext.network import TwoBranch
from rspnet.pretext.objective import pretext_losses
from rspnet.run_folder import (
    Checkpoints,
    Due,
    MetricsLog,
    load_checkpoint,
    stop_on_signal,
    write_left_out,
)

COLUMNS = (
    "loss",
    "rsp_loss",
    "avid_loss",
    "rsp_accuracy",
    "avid_top1",
    "rsp_spread",
    "avid_spread",
    "avid_weight",
    "lr",
    "clips_per_second",
)
EXIT_STOPPED = 143  # 128 + SIGTERM: stopped by a signal with its state saved


class StoppedError(Exception):
    """The run was asked to stop and has saved its state."""


def find_videos(config: TrainConfig) -> Scan:
    """Look at every video of the configuration; generate videos where none are named.

    Raises:
        ValueError: Nothing to train on.
    """
    data = config.data
    folder = Path(data.cache_folder) if data.cache_folder else default_cache_folder()
    if data.root is None:
        from rspnet.data.stage import generate

        name = f"stage_{data.generated_seed}_{data.num_generated}"
        paths = expand_roots([generate(folder / name, data.num_generated, data.generated_seed)])
    else:
        paths = expand_roots([data.root] if isinstance(data.root, str) else data.root)
    if data.cache_short_side is None:
        return scan_files(paths, data.min_frames, config.num_workers)
    cache = FrameCache(folder / "frames", data.cache_short_side)
    return cache.scan(paths, data.min_frames, config.num_workers)


def check_videos(scan: Scan, folder: Path, max_unreadable: float, min_frames: int) -> None:
    """List what is left out in the run's folder, and refuse a data set that is too bad.

    Raises:
        ValueError: Too many videos are unreadable, or none is usable.
    """
    write_left_out(folder, "unreadable.csv", scan.unreadable)
    write_left_out(folder, "too_short.csv", scan.too_short)
    total = len(scan.usable) + len(scan.unreadable) + len(scan.too_short)
    if len(scan.unreadable) > max_unreadable * total:
        path, reason = scan.unreadable[0]
        raise ValueError(
            f"{len(scan.unreadable)} of {total} videos can't be read, more than the "
            f"{max_unreadable:.0%} that data.max_unreadable allows. The first: {path}: {reason}. "
            f"All are listed in {folder / 'unreadable.csv'}"
        )
    if not scan.usable:
        raise ValueError(
            f"none of {total} videos has the {min_frames} frames that a clip at the fastest speed "
            "needs; use shorter clips (data.num_frames) or longer videos"
        )
    for name, rows in (("unreadable", scan.unreadable), ("too short", scan.too_short)):
        if rows:
            tqdm.write(f"{len(rows)} of {total} videos are {name} and left out: see {folder}")


def create_optimiser(network: TwoBranch, config: OptimConfig) -> torch.optim.Optimizer:
    """SGD or AdamW over the query branch."""
    parameters = [p for p in network.query.parameters() if p.requires_grad]
    if config.name == "sgd":
        return torch.optim.SGD(
            parameters, config.lr, momentum=config.momentum, weight_decay=config.weight_decay
        )
    return torch.optim.AdamW(parameters, config.lr, weight_decay=config.weight_decay)


def lr_factor(step: int, max_steps: int, config: OptimConfig) -> float:
    """Share of the learning rate at a step: linear warm-up, then a cosine to ``final_lr``."""
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    progress = (step - config.warmup_steps) / max(1, max_steps - config.warmup_steps)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    return config.final_lr + (1 - config.final_lr) * cosine


def create_network(config: TrainConfig) -> TwoBranch:
    """The two-branch network, with random weights or those of ``init_from``.

    Raises:
        ValueError: ``init_from`` is of another architecture.
    """
    branch = Branch(
        config.model.arch,
        config.model.options,
        head=config.model.head,
        num_frames=config.data.num_frames,
        size=config.data.size,
    )
    network = TwoBranch(branch, config.loss.queue_length)
    if config.init_from is not None:
        for name, target in (("query", network.query), ("key", network.key)):
            source = load_model(config.init_from, "key" if name == "key" else "query")
            for entry in ("arch", "encoder_options", "head_kind"):
                got, expected = getattr(source, entry), getattr(target, entry)
                if got != expected:
                    raise ValueError(
                        f"init_from: {config.init_from} has {entry} {got!r}, "
                        f"the configuration says {expected!r}"
                    )
            target.load_state_dict(source.state_dict())
    return network


class Trainer:
    """One run of pre-training.

    Args:
        config: All settings.

    Raises:
        ValueError: The run's folder, the videos or the settings do not serve.
    """

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.folder = Path(config.out)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.checkpoints = Checkpoints(self.folder / "checkpoints", config.keep_checkpoints)
        resumed = self._find_checkpoint()
        cuda = torch.cuda.is_available()
        self.device = torch.device(
            ("cuda" if cuda else "cpu") if config.device == "auto" else config.device
        )
        if config.threads:
            torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        scan = find_videos(config)
        check_videos(scan, self.folder, config.data.max_unreadable, config.data.min_frames)
        self.scan = scan
        self.num_videos = len(scan.usable) + len(scan.unreadable) + len(scan.too_short)
        save_config(config, self.folder / "config.yaml")
        self.network = create_network(config).to(self.device)
        self.network = self.network.to(memory_format=torch.channels_last_3d)
        self.optimiser = create_optimiser(self.network, config.optim)
        self.step = 0
        self.unreadable: dict[Path, str] = dict(scan.unreadable)
        if resumed:
            self._restore(*resumed)

    def _find_checkpoint(self) -> tuple[Path, dict[str, Any]] | None:
        resume = self.config.resume
        if resume not in ("auto", "never"):
            return Path(resume), load_checkpoint(Path(resume))
        if resume == "never":
            if self.checkpoints.paths():
                raise ValueError(
                    f"{self.folder} holds a run already: choose another --out, "
                    "or --resume auto to go on with it"
                )
            return None
        return self.checkpoints.load_newest()

    def _restore(self, path: Path, state: dict[str, Any]) -> None:
        now = to_plain(self.config)
        for part in ("model", "batch_size", "seed"):
            if state["config"][part] != now[part]:
                raise ValueError(
                    f"{path} was written with {part} = {state['config'][part]}, now it is "
                    f"{now[part]}: give the same, or another --out"
                )
        try:
            self.network.load_state_dict(state["network"])
        except RuntimeError as error:
            raise ValueError(f"{path} does not fit this configuration: {error}") from error
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = int(state["step"])
        tqdm.write(f"Going on from {path} at step {self.step}")

    def save_checkpoint(self) -> Path:
        """Write all that is needed to go on from here."""
        state = {
            "step": self.step,
            "config": to_plain(self.config),
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        return self.checkpoints.save(self.step, state)

    def _batches(self) -> Iterator[Batch]:
        c = self.config
        dataset = PretrainDataset(self.scan.usable, c.data, c.seed)
        stream = SampleStream(len(dataset), c.batch_size, c.seed, self.step, c.max_steps)
        loader: DataLoader[Batch] = DataLoader(
            dataset,  # type: ignore[arg-type]
            batch_sampler=stream,
            num_workers=c.num_workers,
            collate_fn=collate,
            worker_init_fn=_start_worker,
            prefetch_factor=4 if c.num_workers else None,
        )
        return iter(loader)

    def train_step(self, batch: Batch) -> dict[str, float | Tensor]:
        """One optimiser step. Returns what to log, the losses as tensors."""
        c = self.config
        factor = lr_factor(self.step, c.max_steps, c.optim)
        for group in self.optimiser.param_groups:
            group["lr"] = c.optim.lr * factor
        clips = (batch.query, batch.same_speed, batch.other_speed)
        query, same, other = (normalise(clip.to(self.device)) for clip in clips)
        video = batch.video.to(self.device)
        self.network.train()
        if self.step == 0 and c.model.centre_heads and c.init_from is None:
            self.network.centre_heads(torch.cat([query, other]))
        embeddings = self.network(query, same, other)
        losses = pretext_losses(self.network, embeddings, video, c.loss, self.step)
        self.optimiser.zero_grad(set_to_none=True)
        losses.total.backward()  # type: ignore[no-untyped-call]
        if c.optim.clip_norm > 0:
            nn.utils.clip_grad_norm_(self.network.query.parameters(), c.optim.clip_norm)
        self.optimiser.step()
        self.network.update_key(c.loss.momentum)
        self.network.enqueue(embeddings.other_speed["avid"], video)
        self.step += 1
        return losses.scalars | {"lr": c.optim.lr * factor}

    def _note_failures(self, batch: Batch) -> None:
        for index, reason in batch.failures:
            self.unreadable[self.scan.usable[index].path] = reason
        if batch.failures:
            write_left_out(self.folder, "unreadable.csv", self.unreadable.items())
        if len(self.unreadable) > self.config.data.max_unreadable * self.num_videos:
            raise ValueError(
                f"{len(self.unreadable)} of {self.num_videos} videos can't be read, more than "
                f"data.max_unreadable allows; see {self.folder / 'unreadable.csv'}"
            )

    def run(self) -> Path:
        """Train to ``max_steps`` and write ``model.safetensors``.

        Raises:
            StoppedError: A signal asked for it; the state is saved.
            ValueError: Too many videos turned out unreadable, or the loss is not finite.
        """
        c = self.config
        log = MetricsLog(self.folder, COLUMNS, self.step)
        due = Due(c.checkpoint_every_steps, c.checkpoint_every_minutes)
        bar = tqdm(total=c.max_steps, initial=self.step, desc="Pre-training", unit="step")
        window: list[dict[str, float | Tensor]] = []
        started = time.monotonic()
        with stop_on_signal() as stop, bar:
            for batch in self._batches():
                self._note_failures(batch)
                window.append(self.train_step(batch))
                bar.update()
                if self.step % c.log_every_steps == 0 or self.step == c.max_steps:
                    means = _means(window)
                    elapsed = time.monotonic() - started
                    means["clips_per_second"] = 3 * c.batch_size * len(window) / elapsed
                    log.write(self.step, means)
                    bar.set_postfix_str(_summary(means))
                    if not math.isfinite(means["loss"]):
                        raise ValueError(
                            f"the loss is {means['loss']} at step {self.step}: lower optim.lr or "
                            "set optim.clip_norm; the last checkpoint is good"
                        )
                    window, started = [], time.monotonic()
                if due(self.step) and self.step < c.max_steps:
                    self.save_checkpoint()
                if stop.signal is not None and self.step < c.max_steps:
                    path = self.save_checkpoint()
                    log.close()
                    raise StoppedError(
                        f"stopped at step {self.step}; the same command goes on ({path})"
                    )
        log.close()
        self.save_checkpoint()
        return self.save_result()

    def save_result(self) -> Path:
        """Write both branches as ``model.safetensors``."""
        metadata = {
            "steps": self.step,
            "videos": len(self.scan.usable),
            "config": to_plain(self.config),
        }
        return save_model(
            self.folder / "model.safetensors",
            self.network.query,
            self.network.key,
            metadata=metadata,
        )


def _start_worker(_worker: int) -> None:
    import cv2

    # A signal to the whole process group is for the trainer, which still needs its workers to
    # finish the step. They end with it.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def _means(window: list[dict[str, float | Tensor]]) -> dict[str, float]:
    names = window[0].keys()
    return {name: sum(float(row[name]) for row in window) / len(window) for name in names}


def _summary(means: dict[str, float]) -> str:
    return (
        f"RSP {means['rsp_loss']:.3f} (order {means['rsp_accuracy']:.2f})  "
        f"A-VID {means['avid_loss']:.2f} (top-1 {means['avid_top1']:.2f})  "
        f"{means['clips_per_second']:.0f} clips/s"
    )


def train(config: TrainConfig) -> Path:
    """Run pre-training and return the path of ``model.safetensors``.

    Raises:
        ValueError: Something about the configuration or the data does not serve.
        StoppedError: A signal asked the run to stop.
    """
    return Trainer(config).run()


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    try:
        config = parse_config(
            TrainConfig,
            arguments,
            prog="python -m rspnet.train",
            description="Pre-train RSPNet. With no arguments: a small model on generated videos.",
        )
        print(f"Model: {train(config)}")
    except StoppedError as note:
        print(note, file=sys.stderr)
        return EXIT_STOPPED
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
