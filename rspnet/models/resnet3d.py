"""3D ResNet of Hara et al. (CVPR 2018), the ``resnet18`` of RSPNet's release.

Parameter names follow the release (``conv1 bn1 layer{1..4}.{i}.conv1 ... downsample.0/.1``), so its
checkpoints load as they are. Width, stem and strides are options: the paper's network turns a
16 x 112 x 112 clip into 1 x 4 x 4 cells, too few for a map worth looking at.
"""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from rspnet.models.convolution import Conv3d
from rspnet.models.geometry import CellGeometry
from rspnet.models.init import initialise_convolutions
from rspnet.models.registry import register_encoder

Triple = tuple[int, int, int]


def _triple(name: str, value: Sequence[int]) -> Triple:
    numbers = tuple(int(v) for v in value)
    if len(numbers) != 3 or min(numbers) < 1:
        raise ValueError(
            f"{name} holds three positive integers (time, height, width), got {value!r}"
        )
    return numbers[0], numbers[1], numbers[2]


def _shortcut(in_channels: int, channels: int, stride: Triple) -> nn.Sequential | None:
    """Type B: a 1x1x1 convolution where shapes differ."""
    if stride == (1, 1, 1) and in_channels == channels:
        return None
    return nn.Sequential(
        nn.Conv3d(in_channels, channels, 1, stride=stride, bias=False), nn.BatchNorm3d(channels)
    )


class BasicBlock(nn.Module):
    """Two 3x3x3 convolutions with BatchNorm and a shortcut."""

    expansion = 1

    def __init__(self, in_channels: int, channels: int, stride: Triple) -> None:
        super().__init__()
        self.conv1 = Conv3d(in_channels, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm3d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = Conv3d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm3d(channels)
        self.downsample = _shortcut(in_channels, channels, stride)

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        """Map (B, C_in, T, H, W) to (B, C, T', H', W')."""
        shortcut = x_BCTHW if self.downsample is None else self.downsample(x_BCTHW)
        out = self.relu(self.bn1(self.conv1(x_BCTHW)))
        out = self.bn2(self.conv2(out))
        return torch.relu_(out + shortcut)


class Bottleneck(nn.Module):
    """1x1x1, 3x3x3 and 1x1x1 convolutions with BatchNorm and a shortcut."""

    expansion = 4

    def __init__(self, in_channels: int, channels: int, stride: Triple) -> None:
        super().__init__()
        out = channels * self.expansion
        self.conv1 = nn.Conv3d(in_channels, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm3d(channels)
        self.conv2 = Conv3d(channels, channels, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm3d(channels)
        self.conv3 = nn.Conv3d(channels, out, 1, bias=False)
        self.bn3 = nn.BatchNorm3d(out)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(in_channels, out, stride)

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        """Map (B, C_in, T, H, W) to (B, 4 C, T', H', W')."""
        shortcut = x_BCTHW if self.downsample is None else self.downsample(x_BCTHW)
        out = self.relu(self.bn1(self.conv1(x_BCTHW)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return torch.relu_(out + shortcut)


class ResNet3D(nn.Module):
    """3D ResNet, up to and without the global average pool.

    Args:
        layers: Blocks in each of the four stages; (2, 2, 2, 2) is ResNet-18.
        block: ``basic`` (ResNet-18, 34) or ``bottleneck`` (50), which has 4 times the channels.
        width: Channels of the first stage; 64 is the paper's. Stages have 1, 2, 4, 8 times this.
        stem_kernel: Kernel of the first convolution (time, height, width).
        stem_stride: Its stride.
        pool_stride: Stride of the 3x3x3 max pool after it, or None for no pool.
        stage_strides: Stride of the first block of each stage.

    Shape:
        (B, 3, T, H, W) -> (B, 8 * width, T', H', W'), with bottlenecks (B, 32 * width, ...).

    Raises:
        ValueError: An option is out of range.
    """

    def __init__(
        self,
        layers: Sequence[int] = (2, 2, 2, 2),
        *,
        block: Literal["basic", "bottleneck"] = "basic",
        width: int = 64,
        stem_kernel: Sequence[int] = (7, 7, 7),
        stem_stride: Sequence[int] = (1, 2, 2),
        pool_stride: Sequence[int] | None = (2, 2, 2),
        stage_strides: Sequence[Sequence[int]] = ((1, 1, 1), (2, 2, 2), (2, 2, 2), (2, 2, 2)),
    ) -> None:
        super().__init__()
        if len(layers) != 4 or min(layers) < 1:
            raise ValueError(f"layers holds four positive block counts, got {layers!r}")
        if len(stage_strides) != 4:
            raise ValueError(f"stage_strides holds one stride a stage (4), got {stage_strides!r}")
        if block not in ("basic", "bottleneck"):
            raise ValueError(f"block is 'basic' or 'bottleneck', got {block!r}")
        if width < 1:
            raise ValueError(f"width is a positive number of channels, got {width}")
        kernel = _triple("stem_kernel", stem_kernel)
        if any(k % 2 == 0 for k in kernel):
            raise ValueError(f"stem_kernel is odd in each direction, got {stem_kernel!r}")
        self.conv1 = nn.Conv3d(
            3,
            width,
            kernel,
            stride=_triple("stem_stride", stem_stride),
            padding=(kernel[0] // 2, kernel[1] // 2, kernel[2] // 2),
            bias=False,
        )
        self.bn1 = nn.BatchNorm3d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool: nn.Module = (
            nn.Identity()
            if pool_stride is None
            else nn.MaxPool3d(3, stride=_triple("pool_stride", pool_stride), padding=1)
        )
        channels = width
        kind = BasicBlock if block == "basic" else Bottleneck
        # All kernels are odd and padded alike on both sides: the first cell stands at 0.
        geometry = CellGeometry().then((1, 1, 1), _triple("stem_stride", stem_stride), (0, 0, 0))
        if pool_stride is not None:
            geometry = geometry.then((3, 3, 3), _triple("pool_stride", pool_stride), (1, 1, 1))
        for index in range(4):
            stride = _triple(f"stage_strides[{index}]", stage_strides[index])
            geometry = geometry.then((3, 3, 3), stride, (1, 1, 1))
            stage, channels = self._stage(kind, channels, width * 2**index, layers[index], stride)
            self.add_module(f"layer{index + 1}", stage)
        self.num_features = channels
        self.cell_geometry = geometry
        initialise_convolutions(self)

    @staticmethod
    def _stage(
        kind: type[BasicBlock] | type[Bottleneck],
        in_channels: int,
        channels: int,
        num_blocks: int,
        stride: Triple,
    ) -> tuple[nn.Sequential, int]:
        out = channels * kind.expansion
        blocks = [kind(in_channels, channels, stride)]
        blocks += [kind(out, channels, (1, 1, 1)) for _ in range(num_blocks - 1)]
        return nn.Sequential(*blocks), out

    def forward(self, clips_BCTHW: Tensor) -> Tensor:
        """Features of the last convolutional layer, (B, C, T', H', W')."""
        x: Tensor = self.maxpool(self.relu(self.bn1(self.conv1(clips_BCTHW))))
        for index in range(4):
            x = self.get_submodule(f"layer{index + 1}")(x)
        return x


@register_encoder("resnet18")
def resnet18(**options: Any) -> ResNet3D:
    """3D ResNet-18 of the paper."""
    return ResNet3D((2, 2, 2, 2), **options)


@register_encoder("resnet34")
def resnet34(**options: Any) -> ResNet3D:
    """3D ResNet-34."""
    return ResNet3D((3, 4, 6, 3), **options)


@register_encoder("resnet50")
def resnet50(**options: Any) -> ResNet3D:
    """3D ResNet-50."""
    return ResNet3D((3, 4, 6, 3), block="bottleneck", **options)


@register_encoder("resnet18_fine")
def resnet18_fine(width: int = 16, **options: Any) -> ResNet3D:
    """Small 3D ResNet-18 with fewer strides, so that its maps have a finer grid.

    It trains without a GPU. Any option of :class:`ResNet3D` can be given on top.
    """
    defaults: dict[str, Any] = {
        "stem_kernel": (3, 5, 5),
        "stem_stride": (2, 2, 2),
        "pool_stride": (1, 2, 2),
        "stage_strides": ((1, 1, 1), (1, 2, 2), (2, 2, 2), (1, 1, 1)),
    }
    return ResNet3D((2, 2, 2, 2), width=width, **(defaults | options))
