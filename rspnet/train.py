"""Pre-training: ``python -m rspnet.train``.

With no arguments a small model is trained on generated videos. ``--data.root DIR`` trains on a
folder of videos, ``--config FILE.yaml`` reads settings (the paper's are in
``rspnet/configs/pretrain``), and every setting can be given on the command line (``--help`` lists
them). ``torchrun --nproc-per-node N -m rspnet.train ...`` trains with N processes.
"""

import math
import sys
from collections.abc import Callable, Generator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from rspnet.commands import run_cli
from rspnet.data.device_views import CropBatch, collate_crops
from rspnet.data.manifest import known_files, manifests_in
from rspnet.data.pretrain import PretrainDataset, cache_folder, roots_of, training_videos
from rspnet.data.sources import FrameCache, Scan, scan_files
from rspnet.files import write_skipped
from rspnet.names import HEADS
from rspnet.pretext.method import METHODS, PretextMethod, Step, method_settings
from rspnet.training.changes import describe_videos
from rspnet.training.config import TrainConfig
from rspnet.training.engine import Engine, HasFailures
from rspnet.training.loading import load_batches
from rspnet.training.network import create_network
from rspnet.training.optim import create_optimiser
from rspnet.training.processes import BatchShuffle, distribute, join_processes, synced
from rspnet.training.progress import SPEED_COLUMNS, Scalars
from rspnet.training.run_folder import check_unreadable
from rspnet.training.stopping import run_main
from rspnet.weights.checkpoint import save_model


def find_videos(config: TrainConfig) -> Scan:
    """Scan every video of the configuration; generate videos where none are named.

    Raises:
        ValueError: Nothing to train on.
    """
    data, method = config.data, METHODS[config.method]
    settings = method_settings(config.method, config.method_options, config.loss)

    def frames_needed(video_fps: float) -> int:
        return method.frames_needed(data, video_fps, settings)

    paths = training_videos(data)
    if data.cache_short_side is None:
        manifests = [data.manifest] if data.manifest else manifests_in(roots_of(data))
        known = known_files(paths, manifests)
        return scan_files(paths, frames_needed, config.num_workers, known)
    cache = FrameCache(cache_folder(data) / "frames", data.cache_short_side)
    return cache.scan(paths, frames_needed, config.num_workers)


def check_videos(scan: Scan, folder: Path, max_unreadable: float) -> None:
    """List skipped videos in the run's folder, and refuse a data set with too many of them.

    Raises:
        ValueError: Too many videos are unreadable, or none is usable.
    """
    write_skipped(folder, "too_short.csv", scan.too_short)
    total = len(scan.usable) + len(scan.unreadable) + len(scan.too_short)
    check_unreadable(dict(scan.unreadable), total, max_unreadable, folder)
    if not scan.usable:
        reason = f": {scan.too_short[0][1]}" if scan.too_short else ""
        raise ValueError(
            f"none of {total} videos is long enough for a clip at the fastest speed{reason}; use "
            "shorter clips (data.num_frames) or longer videos"
        )
    for name, rows in (("unreadable", scan.unreadable), ("too short", scan.too_short)):
        if rows:
            tqdm.write(f"{len(rows)} of {total} videos are {name} and skipped: see {folder}")


class Trainer(Engine[Any]):
    """One run of pre-training, with any registered method.

    Args:
        config: All settings.

    Raises:
        ValueError: The run's folder, the videos or the settings are invalid.
    """

    network: PretextMethod
    result = "model.safetensors"

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        method = METHODS[config.method]
        columns = (*method.columns, "lr", *SPEED_COLUMNS)
        super().__init__(config, columns, "Pre-training")

    def find_videos(self) -> str:
        """Scan them in rank 0."""

        def find() -> tuple[Scan, str]:
            scan = find_videos(self.config)
            return scan, describe_videos((v.path, v.num_frames) for v in scan.usable)

        self.scan, described = self.processes.call_in_first(find)
        return described

    def build(self) -> None:
        """Check the videos, make the method's network and its optimiser."""
        c, scan = self.config, self.scan
        self.paths = [video.path for video in scan.usable]
        self.num_videos = len(scan.usable) + len(scan.unreadable) + len(scan.too_short)
        self.unreadable = dict(scan.unreadable)
        self.max_unreadable = c.data.max_unreadable
        if self.processes.first:
            check_videos(scan, self.folder, c.data.max_unreadable)
        elif not scan.usable:
            raise ValueError("no usable videos; see what rank 0 says")
        self.steps_per_epoch = len(scan.usable) / c.batch_size
        self.max_steps = c.max_steps
        if c.epochs is not None:
            self.max_steps = math.ceil(c.epochs * self.steps_per_epoch)
        self.network = self.place(create_network(c))
        self.clips_per_sample = self.network.clips_per_sample
        self.samples = self.network.samples(scan.usable, c.data, c.seed, self.network.settings)
        if c.data.augment_on == "device" and not isinstance(self.samples, PretrainDataset):
            raise ValueError(
                f"method {c.method!r} makes its views on the CPU: data.augment_on is 'cpu' for it, "
                "got 'device'"
            )
        set_batch_norm(self.network, c.model.batch_norm, self.device)
        trained = self.network.trained
        self.optimiser = create_optimiser(trained.parameters(), c.optim, c.batch_size)
        if c.compile:
            for part in dict.fromkeys((trained, *self.network.children())):
                part.compile()
        self.trained = distribute(trained, self.processes, some_unused=self.network.may_have_unused)

    def batches(self) -> Generator[HasFailures, None, None]:
        """Micro-batches of this process, from ``self.step`` on."""
        c = self.config
        steps, num_speeds = range(self.step, self.max_steps), len(c.data.speeds)
        collate: Callable[[list[Any]], Any] = self.network.collate
        finish: Callable[[Any], Any] = lambda batch: batch  # noqa: E731
        if c.data.augment_on == "device":
            finish, collate = partial(CropBatch.finished, collate=collate), collate_crops
        return load_batches(self.samples, collate, c, self.processes, steps, num_speeds, finish)

    def train_step(self, micro_batches: Sequence[HasFailures]) -> Scalars:
        """One optimiser step. Returns what to log, the losses as tensors."""
        c, share = self.config, len(micro_batches)
        self.network.train()
        if c.model.batch_norm == "frozen":
            freeze_batch_norm(self.network)
        if self.step == 0:
            new_heads = HEADS if c.model.centre_heads and c.init_from is None else c.recentre
            self.network.prepare(micro_batches, new_heads, self.processes.mean)
        rows: list[Scalars] = []
        for number, batch in enumerate(micro_batches):
            shuffle = BatchShuffle(self.processes, (c.seed, 3, self.step, number))
            step = Step(
                number=self.step,
                trained=self.trained,
                device=self.device,
                autocast=self.autocast,
                shuffle=shuffle,
                unshuffle=shuffle.undo,
                gather=self.processes.gather,
            )
            with synced(self.trained, last=number == share - 1):
                losses = self.network.losses(batch, step)
                self.scaler.scale(losses.total / share).backward()  # type: ignore[no-untyped-call]
            rows.append(losses.scalars)
        lr = self.optimise(c.optim)
        self.network.after_step()
        self.step += 1
        means: Scalars = {name: sum(row[name] for row in rows) / share for name in rows[0]}
        return means | {"lr": lr}

    def finish(self) -> Path:
        """Write both branches, and the head of a task, as ``model.safetensors``."""
        metadata = self.metadata() | {"videos": len(self.scan.usable)}
        path, kept = self.folder / self.result, self.network.kept_head()
        return save_model(path, *self.network.branches(), metadata=metadata, task=kept)

    def summary(self, means: dict[str, float]) -> str:
        """What the method says of the logged means."""
        return self.network.summary(means)


def freeze_batch_norm(network: nn.Module) -> None:
    """Let all BatchNorms use and keep the statistics that they have."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()


def set_batch_norm(network: nn.Module, kind: str, device: torch.device) -> None:
    """Share the statistics of BatchNorm between processes if ``kind`` is ``sync``.

    Raises:
        ValueError: PyTorch can't do so on this device.
    """
    if kind != "sync":
        return
    if device.type != "cuda":
        raise ValueError("model.batch_norm 'sync' needs GPUs: take 'local' or 'frozen'")
    nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]


def train(config: TrainConfig) -> Path:
    """Run pre-training and return the path of ``model.safetensors``.

    Raises:
        ValueError: The configuration or the data is invalid, or another run writes into the folder.
        StoppedError: A signal stopped the run.
        RunFailedError: A loader process failed.
    """
    with join_processes(config.device).only_writer(config.out):
        return Trainer(config).run()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    return run_cli(
        TrainConfig,
        lambda config: run_main(lambda: train(config), "Model"),
        arguments,
        prog="python -m rspnet.train",
        description="Pre-train RSPNet. Without settings: a small model on synthetic videos.",
        examples=(
            "python -m rspnet.train --data.root VIDEOS --out runs/mine --max_steps 2000",
            "python -m rspnet.train --config rspnet/configs/pretrain/resnet18_k400.yaml "
            "--data.root VIDEOS",
            "torchrun --nproc-per-node 4 -m rspnet.train --data.root VIDEOS --batch_size 128",
        ),
        out="folder",
        resumes=True,
    )


if __name__ == "__main__":
    sys.exit(main())
