"""Action recognition: ``python -m rspnet.finetune``.

Trains the whole network with one linear classifier on its pooled features and tests it on evenly
spaced clips of each video, their logits averaged. ``--linear`` fits a linear classifier to frozen
features instead, ``--knn`` classifies by the nearest training videos. Recipes of the paper's tables
are in ``rspnet/configs/finetune``. With several models, as in ``--model "[random, default]"``, each
is run in turn and a table printed: the comparison of supplementary A.

A model is ``random`` (see ``--arch``), the name of a shipped model, or a file: a model of ours,
the authors' ``.pth.tar``, torchvision's video weights.
"""

import json
import math
import sys
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from rspnet.commands import run_cli, to_plain
from rspnet.data.datasets.labelled import VideoSet
from rspnet.data.labelled_clips import (
    ActionClips,
    ActionsConfig,
    ClipPlan,
    LabelledBatch,
    collate_labelled,
)
from rspnet.data.transforms import normalise
from rspnet.files import file_hash
from rspnet.models import Branch, encoder_info
from rspnet.recognition.classifier import Classifier, save_classifier
from rspnet.recognition.evaluation import PooledFeatures, each_video, load_splits
from rspnet.recognition.probes import knn_votes, linear_probe
from rspnet.recognition.result import ActionResult, Floats, score
from rspnet.training.changes import check_changes, describe_videos
from rspnet.training.config import RunConfig
from rspnet.training.engine import Engine
from rspnet.training.loading import load_batches
from rspnet.training.optim import OptimConfig, create_optimiser
from rspnet.training.processes import distribute, join_processes, synced
from rspnet.training.progress import SPEED_COLUMNS, Scalars
from rspnet.training.stopping import run_main
from rspnet.weights.checkpoint import load_model

COLUMNS = ("loss", "accuracy", "lr", *SPEED_COLUMNS)
RANDOM = "random"


def _optim() -> OptimConfig:
    return OptimConfig(
        name="sgd", lr=0.005, weight_decay=1e-4, warmup_steps=0, per="epoch", clip_norm=0.0
    )


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig(RunConfig):
    """Action recognition.

    Attributes:
        out: The run's folder; with several models, a folder for each in it.
        model: ``random``, the name of a shipped model, or a file; or a list of these.
        arch: Encoder of ``random``; nothing takes that of the shipped model.
        options: Options of that encoder.
        linear: Fit a linear classifier to frozen features, in place of training the network.
        knn: Let the nearest training videos vote, in place of training anything.
        epochs: Train until every video was seen so often.
        dropout: Share of the pooled features that training leaves out.
        probe_decay: Weight decay of ``linear``.
        neighbours: Training videos that vote with ``knn``.
        data: Videos and clips.
        optim: Optimiser and schedule.
    """

    out: str = "runs/finetune"
    batch_size: int = 20
    model: str | list[str] = "default"
    arch: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    linear: bool = False
    knn: bool = False
    epochs: float = 30.0
    dropout: float = 0.0
    probe_decay: float = 1e-2
    neighbours: int = 20
    data: ActionsConfig = field(default_factory=ActionsConfig)
    optim: OptimConfig = field(default_factory=_optim)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.linear and self.knn:
            raise ValueError("linear and knn are two ways to do it: give one of them")
        if self.epochs <= 0:
            raise ValueError(f"epochs is positive, got {self.epochs}")


def create_branch(config: FinetuneConfig) -> Branch:
    """The encoder to begin with.

    Raises:
        ValueError: No such model, or ``arch`` is given for a model that has its own.
    """
    name = str(config.model)
    if name != RANDOM:
        branch = load_model(name)
        if config.arch not in (None, branch.arch):
            raise ValueError(
                f"model {name!r} is a {branch.arch}, arch says {config.arch!r}: leave arch out, "
                "or take the model 'random'"
            )
        return branch
    if config.arch is None:
        shipped = load_model()
        return Branch.from_spec(shipped.spec())
    info = encoder_info(config.arch)
    return Branch(config.arch, config.options, num_frames=info.num_frames, size=info.size)


class FinetuneTrainer(Engine[LabelledBatch]):
    """One run of fine-tuning.

    Args:
        config: All settings, with one model.
        train: The training split.

    Raises:
        ValueError: The run's folder, the videos or the settings are invalid.
    """

    network: Classifier
    result = "classifier.safetensors"
    test_settings = ("data.num_clips", "data.test_split")

    def __init__(self, config: FinetuneConfig, train: VideoSet) -> None:
        self.config = config
        self.train = train
        super().__init__(config, COLUMNS, "Fine-tuning")

    def find_videos(self) -> str:
        """They were given."""
        return self.processes.call_in_first(lambda: _describe(self.train))

    def build(self) -> None:
        """Make the classifier and its optimiser."""
        c = self.config
        branch = create_branch(c)
        self.plan = clip_plan(c, branch)
        self.network = self.place(Classifier(branch, self.train.classes, c.dropout))
        self.paths = [video.path for video in self.train.videos]
        self.num_videos = len(self.paths)
        self.max_unreadable = c.data.max_unreadable
        self.steps_per_epoch = self.num_videos / c.batch_size
        self.max_steps = max(1, math.ceil(c.epochs * self.steps_per_epoch))
        self.optimiser = create_optimiser(self.network.parameters(), c.optim, c.batch_size)
        if c.compile:
            self.network.compile()
        self.classify = distribute(self.network, self.processes)

    def batches(self) -> Generator[LabelledBatch, None, None]:
        """Micro-batches of this process, from ``self.step`` on."""
        c = self.config
        clips = ActionClips(self.train, self.plan, c.data.augment, c.seed)
        steps = range(self.step, self.max_steps)
        return load_batches(clips, collate_labelled, c, self.processes, steps)

    def train_step(self, micro_batches: Sequence[LabelledBatch]) -> Scalars:
        """One optimiser step."""
        c, share = self.config, len(micro_batches)
        self.network.train()
        losses, right = torch.zeros((), device=self.device), torch.zeros((), device=self.device)
        for number, batch in enumerate(micro_batches):
            labels = batch.labels.to(self.device)
            with synced(self.classify, last=number == share - 1):
                with self.autocast():
                    logits = self.classify(normalise(batch.clips.to(self.device)))
                loss = functional.cross_entropy(logits.float(), labels)
                self.scaler.scale(loss / share).backward()  # type: ignore[no-untyped-call]
            losses += loss.detach() / share
            right += (logits.argmax(dim=1) == labels).float().mean() / share
        lr = self.optimise(c.optim)
        self.step += 1
        return {"loss": losses, "accuracy": right, "lr": lr}

    def finish(self) -> Path:
        """Write ``classifier.safetensors``."""
        return save_classifier(self.folder / self.result, self.network, self.metadata())

    def summary(self, means: dict[str, float]) -> str:
        """Loss, training accuracy and speed."""
        return (
            f"loss {means['loss']:.3f}  training clips right {means['accuracy']:.2f}  "
            f"{means['clips_per_second']:.0f} clips/s"
        )


def clip_plan(config: FinetuneConfig, branch: Branch) -> ClipPlan:
    """Clips as the configuration says, else as the model was made for."""
    data = config.data
    return ClipPlan(
        num_frames=data.num_frames or branch.num_frames,
        size=data.size or branch.size,
        fps=data.fps,
        sampling=data.sampling,
    )


def _describe(*parts: VideoSet) -> str:
    return describe_videos((video.path, video.label) for part in parts for video in part.videos)


def _protocol(
    config: FinetuneConfig, branch: Branch, plan: ClipPlan, train: VideoSet, test: VideoSet
) -> dict[str, Any]:
    kind = "linear probe" if config.linear else "k-NN" if config.knn else "fine-tuning"
    return {
        "kind": kind,
        "model_sha256": branch.hash or None,
        "arch": branch.arch,
        "clip": to_plain(plan),
        "test_clips": config.data.num_clips,
        "test_view": "short side to size, centre crop",
        "video_level": "mean of the clips' votes" if config.knn else "mean of the clips' logits",
        "train_videos": len(train.videos),
        "train_missing": len(train.missing),
        "test_videos": len(test.videos),
        "test_missing": len(test.missing),
        "videos": _describe(train, test),
        "config": to_plain(replace(config, accept_changes=[])),
    }


def _probe(config: FinetuneConfig, train: VideoSet, test: VideoSet) -> ActionResult:
    processes = join_processes(config.device)
    torch.manual_seed(config.seed)
    if config.threads:
        torch.set_num_threads(config.threads)
    branch = create_branch(config).to(processes.device).eval()
    plan = clip_plan(config, branch)
    index = {name: i for i, name in enumerate(train.classes)}
    features, labels, bad = [], [], []
    for part in (train, test):
        network, workers = PooledFeatures(branch), config.num_workers
        rows, videos, failed = each_video(
            network, part, config.data, plan, processes, workers, f"Features, {part.split}"
        )
        features.append(rows)
        labels.append(np.array([index[v.label] for v in videos]))
        bad.append(failed)
    num = len(train.classes)
    if config.linear:
        per_clip = np.repeat(labels[0], [len(rows) for rows in features[0]])
        stacked = [np.concatenate(rows) for rows in features]
        logits = linear_probe(stacked[0], per_clip, stacked[1], num, config.probe_decay)
        ends = np.cumsum([len(rows) for rows in features[1]])[:-1]
        parts = np.split(logits, ends)
    else:
        train_x, test_x = ([_unit(rows.mean(axis=0)) for rows in part] for part in features)
        votes = knn_votes(np.stack(train_x), labels[0], np.stack(test_x), num, config.neighbours)
        parts = list(votes[:, None, :])
    protocol = _protocol(config, branch, plan, train, test) | {"train_unreadable": len(bad[0])}
    return score(parts, labels[1].tolist(), train.classes, protocol, bad[1])


def _unit(vector: Floats) -> Floats:
    return vector / max(float(np.linalg.norm(vector)), 1e-12)


def _finetune(config: FinetuneConfig, train: VideoSet, test: VideoSet) -> ActionResult:
    trainer = FinetuneTrainer(config, train)
    start = trainer.network.branch.hash
    trainer.run()
    network = trainer.network.eval()
    index = {name: i for i, name in enumerate(train.classes)}
    data, plan, workers = config.data, trainer.plan, config.num_workers
    logits, videos, bad = each_video(
        network, test, data, plan, trainer.processes, workers, "Testing"
    )
    labels = [index[v.label] for v in videos]
    protocol = _protocol(config, network.branch, plan, train, test)
    protocol |= {"model_sha256": start or None, "train_unreadable": len(trainer.unreadable)}
    return score(logits, labels, train.classes, protocol, bad)


def finetune(
    config: FinetuneConfig, splits: tuple[VideoSet, VideoSet] | None = None
) -> ActionResult:
    """Run one model and write ``result.json`` into its folder.

    Args:
        config: All settings, with one model.
        splits: What :func:`load_splits` gave, if it was called already.

    Raises:
        ValueError: The configuration or the data is invalid, or ``out`` holds the result of other
            settings or videos, or another run writes into it.
        StoppedError: A signal stopped the run.
        RunFailedError: A loader process failed.
    """
    if not isinstance(config.model, str):
        raise ValueError(f"finetune takes one model, got {config.model}")
    train, test = splits or load_splits(config.data)
    run = _probe if config.linear or config.knn else _finetune
    path, processes = Path(config.out) / "result.json", join_processes(config.device)
    with processes.only_writer(config.out):
        if path.is_file():
            protocol = json.loads(path.read_text())["protocol"]
            videos = processes.call_in_first(lambda: _describe(train, test))
            check_changes(config, path, protocol["config"], protocol.get("videos"), videos)
        result = run(config, train, test)
        if processes.first:
            result.save(path)
    return result


def compare(config: FinetuneConfig) -> dict[str, ActionResult]:
    """Run several models, each in a folder of its own.

    Raises:
        ValueError: As :func:`finetune`, or two models have one name.
    """
    models = [config.model] if isinstance(config.model, str) else list(config.model)
    if not models or len(set(models)) != len(models):
        raise ValueError(f"models are different ones, got {models}")
    if len(models) == 1:
        return {models[0]: finetune(replace(config, model=models[0]))}
    names = {model: _folder_name(model) for model in models}
    if len(set(names.values())) != len(models):
        raise ValueError(f"models are told apart by their files' names, got {models}")
    results = {}
    splits = load_splits(config.data)
    for model in models:
        folder = Path(config.out) / names[model]
        arch = config.arch if model == RANDOM else None
        results[model] = finetune(replace(config, model=model, out=str(folder), arch=arch), splits)
    return results


def _folder_name(model: str) -> str:
    path = Path(model)
    if not path.is_file():
        return model
    named = path.stem not in ("model", "classifier")
    return path.name.split(".")[0] if named else f"{path.parent.name}-{file_hash(path)[:6]}"


def table(results: dict[str, ActionResult]) -> str:
    """The results of several models, for people (Markdown)."""
    rows = ["| model | video top-1 | 95% interval | top-5 | clip top-1 |", "| --- " * 5 + "|"]
    for model, r in results.items():
        low, high = r.video_top1_interval
        rows.append(
            f"| {model} | {r.video_top1:.1%} | {low:.1%} to {high:.1%} | {r.video_top5:.1%} "
            f"| {r.clip_top1:.1%} |"
        )
    return "\n".join(rows)


def _run(config: FinetuneConfig) -> Path:
    results = compare(config)
    if join_processes(config.device).first:
        for model, result in results.items():
            print(f"{model}: {result.line()}")
        if len(results) > 1:
            print(table(results))
    return Path(config.out)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    return run_cli(
        FinetuneConfig,
        lambda config: run_main(lambda: _run(config), "Results in"),
        arguments,
        prog="python -m rspnet.finetune",
        description=(
            "Recognise actions: train the whole network, or with --linear a linear classifier on "
            "frozen features, or with --knn let the nearest training videos vote."
        ),
        examples=(
            "python -m rspnet.finetune --data.name ucf101 --data.root UCF-101 "
            "--data.annotations ucfTrainTestlist",
            "python -m rspnet.finetune --model random default --linear --data.root VIDEOS",
        ),
        out="folder",
        resumes=True,
    )


if __name__ == "__main__":
    sys.exit(main())
