"""What a training takes: operations against a count by hand, steps, and every recipe."""

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from rspnet.commands import parse_config
from rspnet.cost import CostConfig, bytes_sent, cost_of, describe_plan, main, seconds_to_load
from rspnet.data.pretrain import DataConfig
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


def test_what_is_sent_in_a_step_by_hand() -> None:
    config = parse_config(CostConfig, [*SMALL, "--batch_size=10", "--num_devices=5"])  # 2 on each
    cost = cost_of(config)
    assert bytes_sent(config, cost, 4) == {
        "gradients": 2 * 3 / 4 * 4 * cost.num_parameters,
        "batch shuffle": 3 / 4 * 4 * 8 * 32 * 32 * 3,
        "embeddings": 3 / 4 * 4 * 2 * 128 * 4,
        "queue": 3 * 2 * (128 * 4 + 8),
    }
    assert set(bytes_sent(config, cost, 1).values()) == {0}


def test_a_plan_says_how_many_cores_feed_a_device_and_what_limits_many() -> None:
    words = [*SMALL, "--batch_size=40", "--plan=true", "--samples_per_second=100"]
    config = parse_config(CostConfig, [*words, "--networks=[1.0]"])
    cost = cost_of(config)
    text = describe_plan(config, cost, {"cpu": 0.035, "device": 0.0051})
    assert "data.augment_on cpu        35.0 ms a sample: 4 cores a device" in text
    assert "data.augment_on device      5.1 ms a sample: 1 cores a device" in text
    *_, last = text.splitlines()
    sent = sum(bytes_sent(config, cost, 512).values())
    assert last.split()[0] == "512"
    assert f"{0.4 / (0.4 + sent * 1e-9):.0%}" in last
    assert last.endswith("queue")  # of clips as small as these


def test_the_time_to_load_is_measured_on_the_videos_named(video_folder: Path) -> None:
    data = DataConfig(root=str(video_folder), num_frames=8, size=16)
    found = seconds_to_load(data, num=3)
    assert set(found) == {"cpu", "device"}
    assert 0 < min(found.values()) <= max(found.values()) < 5
    with pytest.raises(ValueError, match=r"none of \d+ videos can be read and is long enough"):
        seconds_to_load(DataConfig(root=str(video_folder), num_frames=10_000))


@pytest.mark.parametrize("word", ["--networks=[]", "--networks=[0]", "--samples_per_second=0"])
def test_a_plan_without_a_rate_is_refused(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "--plan=true", word]) == 2
    assert "networks and samples_per_second are positive" in capsys.readouterr().err
