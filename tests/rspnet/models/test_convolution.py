"""The convolution that trains faster: the numbers of PyTorch's, to the bit."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from rspnet.models import convolution
from rspnet.models.convolution import Conv3d
from tests.factories import assert_resumes_exactly

LAST = torch.channels_last_3d


def trained(layer: nn.Conv3d, x: Tensor) -> list[Tensor]:
    """Output and gradients, of weights and clip, from the same weights in channels last."""
    torch.manual_seed(0)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(layer.weight.shape) / 50)
    layer.to(memory_format=LAST).train()
    x = x.contiguous(memory_format=LAST).requires_grad_()
    out = layer(x)
    (out * torch.randn(out.shape)).sum().backward()
    assert x.grad is not None
    assert layer.weight.grad is not None
    assert layer.weight.grad.is_contiguous(memory_format=LAST)
    return [out.detach(), layer.weight.grad, x.grad]


@pytest.mark.parametrize(
    ("channels", "size", "stride"),
    [((200, 200), (2, 7, 7), 1), ((128, 310), (3, 4, 5), 2), ((340, 128), (1, 4, 4), (2, 2, 2))],
)
def test_output_and_gradients_are_those_of_pytorch(
    channels: tuple[int, int], size: tuple[int, int, int], stride: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    x = torch.randn(2, channels[0], *size, generator=torch.Generator().manual_seed(1))
    layers = [
        kind(*channels, 3, stride=stride, padding=1, bias=False) for kind in (nn.Conv3d, Conv3d)
    ]
    called = []
    apply = convolution._Convolution.apply
    monkeypatch.setattr(
        convolution._Convolution, "apply", lambda *given: called.append(1) or apply(*given)
    )
    expected, found = (trained(layer, x) for layer in layers)
    assert called == [1]
    for one, other in zip(expected, found, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    "layer",
    [
        Conv3d(2, 3, 3, bias=False).train(),  # small
        Conv3d(200, 200, 3, bias=False).to(memory_format=LAST).eval(),
        Conv3d(200, 200, 3, bias=False).train(),  # channels first
        Conv3d(200, 200, 3).to(memory_format=LAST).train(),  # a bias
        Conv3d(200, 200, 3, bias=False).to(memory_format=LAST, dtype=torch.bfloat16).train(),
    ],
)
def test_all_else_is_left_to_pytorch(layer: Conv3d, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*given: object) -> None:
        raise AssertionError("not here")

    monkeypatch.setattr(convolution._Convolution, "apply", never)
    x = torch.randn(1, layer.in_channels, 3, 3, 3, dtype=layer.weight.dtype)
    assert torch.equal(layer(x), nn.Conv3d.forward(layer, x))


def test_a_run_resumes_exactly(
    tmp_path: Path, video_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convolution, "LARGE", 1)
    words = ["--batch_size=2", "--num_workers=0", "--device=cpu", "--data.size=16",
             "--data.num_frames=8", "--model.options={width: 4, stem_kernel: [1, 3, 3]}",
             "--loss.queue_length=8", f"--data.root={video_folder}"]  # fmt: skip
    assert_resumes_exactly(words, tmp_path)
