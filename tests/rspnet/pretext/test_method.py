"""A pretext method of one's own, registered in a few lines and trained by the command."""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from rspnet.cost import CostConfig, cost_of
from rspnet.data.pretrain import Batch, PretrainDataset, collate
from rspnet.data.transforms import normalise
from rspnet.models import Branch
from rspnet.pretext.method import METHODS, Losses, PretextMethod, Step, register_method
from rspnet.train import main
from rspnet.training.config import TrainConfig
from rspnet.weights.checkpoint import load_model

TINY = [
    "--batch_size=2", "--num_workers=0", "--log_every_steps=1", "--device=cpu", "--max_steps=2",
    "--data.size=16", "--data.num_frames=8", "--model.options={width: 2, stem_kernel: [1, 3, 3]}",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ToySettings:
    """Settings of the toy."""

    smoothing: float = 0.0


@pytest.fixture(autouse=True)
def toy() -> Iterator[str]:
    """Tells clips at the two speeds apart with a linear classifier on the encoder."""

    @register_method("test_toy")
    class Toy(PretextMethod):
        settings_class = ToySettings
        clips_per_sample = 2
        columns = ("loss", "accuracy")

        def __init__(self, branch: Branch, settings: ToySettings) -> None:
            super().__init__(branch, settings)
            self.classifier = nn.Sequential(branch.encoder, nn.AdaptiveAvgPool3d(1), nn.Flatten())
            self.classifier.append(nn.Linear(branch.num_features, 2))
            self.num_steps = 0

        @classmethod
        def samples(
            cls, videos: Sequence[Any], data: Any, seed: int, settings: ToySettings | None = None
        ) -> PretrainDataset:
            return PretrainDataset(videos, data, seed)

        @classmethod
        def collate(cls, samples: list[Any]) -> Batch:
            return collate(samples)

        @property
        def trained(self) -> nn.Module:
            return self.classifier

        def losses(self, batch: Batch, step: Step) -> Losses:
            clips = normalise(torch.cat([batch.same_speed, batch.other_speed]).to(step.device))
            targets = torch.tensor([0, 1], device=step.device).repeat_interleave(len(clips) // 2)
            logits = step.trained(clips)
            loss = nn.functional.cross_entropy(
                logits, targets, label_smoothing=self.settings.smoothing
            )
            accuracy = (logits.argmax(1) == targets).float().mean()
            return Losses(loss, {"loss": loss.detach(), "accuracy": accuracy})

        def after_step(self) -> None:
            self.num_steps += 1

    yield "test_toy"
    METHODS.remove("test_toy")


def test_the_command_trains_a_registered_method(tmp_path: Path, video_folder: Path, toy: str):
    out = tmp_path / "run"
    options = "--method_options={smoothing: 0.1}"
    words = [*TINY, f"--out={out}", f"--data.root={video_folder}", f"--method={toy}", options]
    assert main(words) == 0
    with (out / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["1", "2"]
    assert float(rows[0]["loss"]) > 0.3
    assert set(rows[0]) >= {"accuracy", "lr", "clips_per_second"}
    assert "rsp_loss" not in rows[0]
    query, key = (load_model(out / "model.safetensors", branch) for branch in ("query", "key"))
    assert query.metadata["config"]["method"] == toy
    for mine, other in zip(query.state_dict().values(), key.state_dict().values(), strict=True):
        assert torch.equal(mine, other)
    # Another method does not go on from its checkpoint.
    assert main([word for word in words if "method" not in word]) == 2


def test_unknown_methods_and_settings_are_refused(toy: str):
    with pytest.raises(ValueError, match="unknown pretext method 'rspnte'.*Did you mean 'rspnet'"):
        TrainConfig(method="rspnte")
    with pytest.raises(ValueError, match="no setting 'smothing'.*Did you mean 'smoothing'"):
        TrainConfig(method=toy, method_options={"smothing": 1})
    with pytest.raises(ValueError, match=r"are given as --loss\.NAME"):
        TrainConfig(method_options={"momentum": 1})
    assert "test_toy" not in (TrainConfig.__doc__ or "")
    with pytest.raises(ValueError, match="'test_toy': smoothing is a number, got 'high'"):
        TrainConfig(method=toy, method_options={"smoothing": "high"})
    assert re.search(r"Pretext method, one of [\w, ]*\brspnet\b", TrainConfig.__doc__ or "")


def test_the_cost_of_a_method_is_counted_through_its_losses(toy: str):
    ours, toys = (cost_of(CostConfig(method=name)) for name in ("rspnet", toy))
    assert ours.forward == toys.forward
    # c_i forward and backward, c_j and c_k forward; the toy: two clips forward and backward.
    assert 4 < ours.sample / ours.forward <= 5
    assert 5 < toys.sample / toys.forward <= 6
