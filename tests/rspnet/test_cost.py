"""What a training takes: operations against a count by hand, steps, and every recipe."""

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from rspnet.commands import parse_config
from rspnet.cost import CostConfig, cost_of, main
from rspnet.models import Branch
from tests.factories import tiny_branch

CONFIGS = Path(__file__).resolve().parents[2] / "rspnet" / "configs" / "pretrain"
SMALL = ["--model.options.width=4", "--data.num_frames=8", "--data.size=32"]


def operations(branch: Branch, clip: torch.Tensor) -> int:
    """2 x outputs x (products in each), over all convolutions and linear layers."""
    found = 0

    def count(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal found
        assert isinstance(module, nn.Conv3d | nn.Linear)
        found += 2 * output.numel() * math.prod(module.weight.shape[1:])

    for module in branch.modules():
        if isinstance(module, nn.Conv3d | nn.Linear):
            module.register_forward_hook(count)
    branch(clip)
    return found


def test_operations_are_those_of_every_layer() -> None:
    config = parse_config(CostConfig, SMALL)
    branch = tiny_branch(width=4)
    cost = cost_of(config)
    assert cost.forward == operations(branch, torch.zeros(1, 3, 8, 32, 32))
    assert cost.num_parameters == sum(p.numel() for p in branch.parameters())
    # The backward pass is two forward passes, less the gradient of the clip itself; the rest of
    # the losses is small. So a sample is a little less than 3 + 2 forward passes.
    assert 4.5 < cost.sample / cost.forward < 5.1


def test_steps_samples_and_time() -> None:
    words = [*SMALL, "--num_videos=1000", "--batch_size=64", "--epochs=3", "--tflops=2"]
    cost = cost_of(parse_config(CostConfig, [*words, "--num_devices=5"]))
    assert (cost.steps_per_epoch, cost.num_steps, cost.num_samples) == (15.625, 47, 3008)
    assert cost.total == cost.sample * 3008
    assert cost.seconds == pytest.approx(cost.total / 1e13)
    assert cost_of(parse_config(CostConfig, [*SMALL, "--max_steps=9"])).num_samples == 9 * 32


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_step_of_every_recipe_fits_together_in_its_full_size(path: Path) -> None:
    config = parse_config(CostConfig, ["--config", str(path), "--num_videos=240000"])
    cost = cost_of(config)
    steps = config.max_steps
    if config.epochs is not None:
        steps = config.epochs * 240_000 / config.batch_size
    assert cost.num_steps == steps
    assert cost.num_samples == steps * config.batch_size
    # A clip that is learned from takes a little less than three forward passes.
    assert cost.sample > (4.5 if config.method == "rspnet" else 2.5) * cost.forward > 0


def test_what_can_not_be_trained_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "--num_videos=100"]) == 0
    assert "3.1 steps, 100 videos" in capsys.readouterr().out
    assert main(["--model.arch=mvit_v2_s", "--data.size=112"]) == 2
    assert "mvit_v2_s can't be trained on clips of 16 x 112 x 112" in capsys.readouterr().err
    assert main(["--tflops=0"]) == 2
    assert "are positive" in capsys.readouterr().err
    assert main(["--init_from=x.safetensors"]) == 2
    assert "does not change the cost" in capsys.readouterr().err
