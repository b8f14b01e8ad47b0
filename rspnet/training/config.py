"""The configuration of a training run.

Each part of it stands beside the code that it is for; here they are put together.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from rspnet.data.pretrain import DataConfig
from rspnet.models.registry import ENCODERS
from rspnet.pretext.method import METHODS, method_settings
from rspnet.pretext.rspnet import LossConfig
from rspnet.registry import documents
from rspnet.training.optim import OptimConfig


@documents(encoders=ENCODERS)
@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The network.

    Attributes:
        arch: Encoder, one of {encoders}.
        options: Options of the encoder, such as ``{width: 16}``.
        head: ``linear`` (paper) or ``mlp``.
        centre_heads: Set the bias of new heads from the first batch, so that embeddings start
            spread out and not all at one point.
        batch_norm: Statistics of each process's own batch (``local``, the paper's, with clips
            shuffled between processes in the key branch), of all processes (``sync``, on GPUs),
            or fixed as they are (``frozen``).
    """

    arch: str = "resnet18_fine"
    options: dict[str, Any] = field(default_factory=dict)
    head: Literal["linear", "mlp"] = "linear"
    centre_heads: bool = True
    batch_norm: Literal["local", "sync", "frozen"] = "local"

    def __post_init__(self) -> None:
        ENCODERS[self.arch]  # refuses an unknown name before anything is done


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Settings that every run has.

    Attributes:
        out: The run's folder.
        seed: Fixes weights, order of samples, frames and augmentation.
        batch_size: Samples in a step, of all processes and micro-batches together.
        accumulate: Micro-batches that a step's samples are split into, to save memory.
        resume: ``auto`` resumes from the newest checkpoint in ``out`` if there is one; ``never``
            starts anew and refuses a folder that holds a run; else the path of a checkpoint.
        accept_changes: Settings that may differ from those of the run that is resumed, such as
            ``optim.lr data.root``; ``videos`` where files came or went. Others are refused.
        checkpoint_every_steps: Steps between checkpoints; 0 for none but by time and at the end.
        checkpoint_every_minutes: Minutes between checkpoints; 0 for none.
        keep_checkpoints: How many of the newest checkpoints are kept.
        log_every_steps: Steps between rows of ``metrics.csv``.
        num_workers: Loader processes, for each process of the run.
        device: ``auto``, ``cpu``, ``cuda``, ...
        threads: Threads of the CPU's arithmetic; 0 for PyTorch's own choice.
        precision: ``fp32``, or on GPUs autocast to ``bf16`` or ``fp16`` (with scaled gradients).
        tune_gpu: On a GPU round factors in fp32 to TF32, and let cuDNN find the fastest algorithm
            for each shape; ``false`` for fp32 throughout.
        channels_last: Keep channels last in memory, which convolutions run fastest with.
        compile: Compile the network with ``torch.compile``.
        wandb: Also log to Weights & Biases, to this project. It has to be installed.
        callback: A class, as ``module:Class``, that is made from the run's folder and the
            configuration, and called after every step with the step, the network and whether it
            is the last; or several, separated by commas.
            ``analysis.report.map_tracker:MapTracker`` draws maps of fixed clips as they grow,
            ``analysis.report.evidence_tracker:EvidenceTracker`` measures what the heads look at.
    """

    out: str = "runs/run"
    seed: int = 0
    batch_size: int = 32
    accumulate: int = 1
    resume: str = "auto"
    accept_changes: list[str] = field(default_factory=list)
    checkpoint_every_steps: int = 0
    checkpoint_every_minutes: float = 10.0
    keep_checkpoints: int = 3
    log_every_steps: int = 10
    num_workers: int = 2
    device: str = "auto"
    threads: int = 0
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    tune_gpu: bool = True
    channels_last: bool = True
    compile: bool = False
    wandb: str | None = None
    callback: str | None = None

    def __post_init__(self) -> None:
        for name in ("batch_size", "accumulate", "log_every_steps", "keep_checkpoints"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1, got {getattr(self, name)}")
        if self.num_workers < 0:
            raise ValueError(f"num_workers is not negative, got {self.num_workers}")
        if self.batch_size % self.accumulate:
            raise ValueError(
                f"batch_size is a multiple of accumulate, got {self.batch_size} and "
                f"{self.accumulate}"
            )


@documents(methods=METHODS)
@dataclass(frozen=True, kw_only=True)
class TrainConfig(RunConfig):
    """Pre-training.

    Attributes:
        out: The run's folder.
        max_steps: Optimiser steps.
        epochs: Train until every video was seen so often, whatever ``max_steps`` says.
        init_from: Model file to start from (both branches), in place of random weights.
        recentre: Heads of that model, ``rsp`` or ``avid``, whose bias is set from the first batch
            as that of new heads is: those that it did not train.
        method: Pretext method, one of {methods}.
        method_options: Settings of a method other than RSPNet, such as ``{name: value}``.
        data: Videos and clips.
        model: The network.
        loss: Losses, queue and momentum of RSPNet.
        optim: Optimiser and schedule.
    """

    out: str = "runs/pretrain"
    max_steps: int = 2000
    epochs: float | None = None
    init_from: str | None = None
    recentre: list[Literal["rsp", "avid"]] = field(default_factory=list)
    method: str = "rspnet"
    method_options: dict[str, Any] = field(default_factory=dict)
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        method_settings(self.method, self.method_options, self.loss)  # refuses unknown names
        if self.max_steps < 1:
            raise ValueError(f"max_steps is at least 1, got {self.max_steps}")
        if self.epochs is not None and self.epochs <= 0:
            raise ValueError(f"epochs is positive, got {self.epochs}")
        if self.recentre and self.init_from is None:
            raise ValueError(
                f"recentre is for heads of the model that init_from names, got {self.recentre} "
                "without one: new heads are centred by model.centre_heads"
            )
