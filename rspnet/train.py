"""Pre-training: ``python -m rspnet.train``.

With no arguments a small model is trained on generated videos. ``--data.root DIR`` trains on a
folder of videos, ``--config FILE.yaml`` reads settings (the paper's are in
``rspnet/configs/pretrain``), and every setting can be given on the command line (``--help`` lists
them). ``torchrun --nproc-per-node N -m rspnet.train ...`` trains with N processes.
"""

import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from rspnet.commands import parse_config, to_plain
from rspnet.data.manifest import known_files, manifests_in
from rspnet.data.pretrain import (
    Batch,
    PretrainDataset,
    cache_folder,
    collate,
    training_videos,
)
from rspnet.data.sources import FrameCache, Scan, scan_files
from rspnet.data.transforms import normalise
from rspnet.files import write_skipped
from rspnet.names import HEADS
from rspnet.pretext.network import Embeddings, TwoBranch
from rspnet.pretext.objective import pretext_losses
from rspnet.training.config import TrainConfig
from rspnet.training.engine import Engine, Scalars, check_unreadable, run_main
from rspnet.training.network import create_network
from rspnet.training.optim import create_optimiser, lr_factor
from rspnet.training.processes import BatchShuffle, Processes
from rspnet.weights.checkpoint import save_model

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
    "memory_gib",
)
COLLAPSED = 0.01  # spread of the embeddings below which they are all but one point


def find_videos(config: TrainConfig) -> Scan:
    """Look at every video of the configuration; generate videos where none are named.

    Raises:
        ValueError: Nothing to train on.
    """
    data = config.data
    paths = training_videos(data)
    if data.cache_short_side is None:
        roots = [data.root] if isinstance(data.root, str) else data.root or []
        manifests = [data.manifest] if data.manifest else manifests_in(roots)
        known = known_files(paths, manifests)
        return scan_files(paths, data.frames_needed, config.num_workers, known)
    cache = FrameCache(cache_folder(data) / "frames", data.cache_short_side)
    return cache.scan(paths, data.frames_needed, config.num_workers)


def shared_scan(config: TrainConfig, processes: Processes) -> Scan:
    """:func:`find_videos` in rank 0 for all ranks.

    Raises:
        ValueError: As there, in all ranks.
    """
    found: Scan | str | None = None
    if processes.first:
        try:
            found = find_videos(config)
        except ValueError as error:
            found = str(error)
    found = processes.from_first(found)
    if not isinstance(found, Scan):
        raise ValueError(found)
    return found


def check_videos(scan: Scan, folder: Path, max_unreadable: float) -> None:
    """List what is left out in the run's folder, and refuse a data set that is too bad.

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
            tqdm.write(f"{len(rows)} of {total} videos are {name} and left out: see {folder}")


class Trainer(Engine[Batch]):
    """One run of pre-training.

    Args:
        config: All settings.

    Raises:
        ValueError: The run's folder, the videos or the settings do not serve.
    """

    network: TwoBranch
    clips_per_sample = 3
    fixed = (*Engine.fixed, "model")

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        super().__init__(config, COLUMNS, "Pre-training")

    def build(self) -> None:
        """Find the videos, make the two-branch network and its optimiser."""
        c = self.config
        self.scan = shared_scan(c, self.processes)
        scan = self.scan
        self.num_videos = len(scan.usable) + len(scan.unreadable) + len(scan.too_short)
        self.unreadable: dict[Path, str] = dict(self.scan.unreadable)
        if self.processes.first:
            check_videos(self.scan, self.folder, c.data.max_unreadable)
        elif not self.scan.usable:
            raise ValueError("no usable videos; see what rank 0 says")
        self.steps_per_epoch = len(self.scan.usable) / c.batch_size
        self.max_steps = c.max_steps
        if c.epochs is not None:
            self.max_steps = math.ceil(c.epochs * self.steps_per_epoch)
        self.network = create_network(c).to(self.device)
        if c.channels_last:
            self.network = self.network.to(memory_format=torch.channels_last_3d)
        set_batch_norm(self.network, c.model.batch_norm, self.device)
        self.optimiser = create_optimiser(self.network.query.parameters(), c.optim, c.batch_size)
        late = c.loss.avid_start > 0 or min(c.loss.avid_weight, c.loss.rsp_weight) == 0
        self.query = self.distribute(self.network.query, some_unused=late)
        if c.compile:
            self.network.key.compile()

    def batches(self) -> Iterator[Batch]:
        """Micro-batches of this process, from ``self.step`` on."""
        c = self.config
        videos = PretrainDataset(self.scan.usable, c.data, c.seed)
        return self.loader(videos, collate, num_speeds=len(c.data.speeds))

    def _embed(self, batch: Batch, number: int) -> Embeddings:
        query, same, other = (
            clips.to(self.device, non_blocking=True)
            for clips in (batch.query, batch.same_speed, batch.other_speed)
        )
        shuffle = BatchShuffle(self.processes, (self.config.seed, 3, self.step, number))
        keys = normalise(shuffle(torch.cat([same, other])))
        with self.autocast():
            query_embeddings = self.query(normalise(query))
            key_embeddings = self.network.embed_keys(keys)
        own = {name: shuffle.undo(z) for name, z in key_embeddings.items()}
        return Embeddings.of(query_embeddings, own)

    def train_step(self, micro_batches: Sequence[Batch]) -> Scalars:
        """One optimiser step. Returns what to log, the losses as tensors."""
        c, share = self.config, len(micro_batches)
        self.network.train()
        if c.model.batch_norm == "frozen":
            freeze_batch_norm(self.network)
        new_heads = HEADS if c.model.centre_heads and c.init_from is None else c.recentre
        if self.step == 0 and new_heads:
            clips = (clip for batch in micro_batches for clip in (batch.query, batch.other_speed))
            first = (normalise(clip.to(self.device)) for clip in clips)
            self.network.centre_heads(first, self.processes.mean, new_heads)
        keys: list[tuple[Tensor, Tensor]] = []
        rows: list[Scalars] = []
        for number, batch in enumerate(micro_batches):
            with self.synced(self.query, last=number == share - 1):
                embeddings = self._embed(batch, number)
                video = batch.video.to(self.device)
                losses = pretext_losses(self.network, embeddings, video, c.loss, self.step)
                self.scaler.scale(losses.total / share).backward()  # type: ignore[no-untyped-call]
            newest = embeddings.other_speed["avid"]
            keys.append((self.processes.gather(newest), self.processes.gather(video)))
            rows.append(losses.scalars)
        factor = lr_factor(self.step, self.max_steps, c.optim, self.steps_per_epoch)
        lr = c.optim.base_lr(c.batch_size) * factor
        self.optimise(c.optim.clip_norm, lr)
        self.network.update_key(c.loss.momentum)
        for embedding, video in keys:
            self.network.enqueue(embedding, video)
        self.step += 1
        means: Scalars = {name: sum(row[name] for row in rows) / share for name in rows[0]}
        return means | {"lr": lr}

    def failures(self, batch: Batch) -> Sequence[tuple[Path, str]]:
        """Videos of a batch that could not be read."""
        return [(self.scan.usable[index].path, reason) for index, reason in batch.failures]

    def note_failures(self, rows: Sequence[tuple[Path, str]]) -> None:
        """List them; too many stop the run."""
        if not rows:
            return
        self.unreadable.update(rows)
        most = self.config.data.max_unreadable
        check_unreadable(self.unreadable, self.num_videos, most, self.folder)

    def finish(self) -> Path:
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

    def summary(self, means: dict[str, float]) -> str:
        """Both losses, how often both tasks are solved, and speed."""
        collapsed = min(means["rsp_spread"], means["avid_spread"]) < COLLAPSED
        return (
            f"RSP {means['rsp_loss']:.3f} (order {means['rsp_accuracy']:.2f})  "
            f"A-VID {means['avid_loss']:.2f} (top-1 {means['avid_top1']:.2f})  "
            f"{means['clips_per_second']:.0f} clips/s"
            + ("  EMBEDDINGS COLLAPSED TO A POINT" if collapsed else "")
        )


def freeze_batch_norm(network: nn.Module) -> None:
    """Let all BatchNorms use and keep the statistics that they have."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()


def set_batch_norm(network: TwoBranch, kind: str, device: torch.device) -> None:
    """Share the statistics of BatchNorm between processes if ``kind`` is ``sync``.

    Raises:
        ValueError: PyTorch can't do so on this device.
    """
    if kind != "sync":
        return
    if device.type != "cuda":
        raise ValueError("model.batch_norm 'sync' needs GPUs: take 'local' or 'frozen'")
    convert = nn.SyncBatchNorm.convert_sync_batchnorm
    network.query, network.key = convert(network.query), convert(network.key)  # type: ignore[no-untyped-call]


def train(config: TrainConfig) -> Path:
    """Run pre-training and return the path of ``model.safetensors``.

    Raises:
        ValueError: Something about the configuration or the data does not serve.
        StoppedError: A signal asked the run to stop.
    """
    return Trainer(config).run()


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns the exit status."""

    def run() -> Path:
        config = parse_config(TrainConfig, arguments)
        return train(config)

    return run_main(run, "Model")


if __name__ == "__main__":
    sys.exit(main())
