"""R(2+1)D of the VCOP authors (Xu et al., CVPR 2019), as in RSPNet's release.

One block a stage and no pooling; not torchvision's ``r2plus1d_18``. Parameter names follow the
release (``conv1.spatial_conv conv1.bn conv1.temporal_conv bn1 conv{2..5}.block1...``).
"""

import torch
from torch import Tensor, nn

from rspnet.models.geometry import CellGeometry
from rspnet.models.init import initialise_convolutions
from rspnet.models.registry import register_encoder

Triple = tuple[int, int, int]


class SpatioTemporalConv(nn.Module):
    """A spatial convolution, BatchNorm, ReLU, and a temporal convolution.

    The channels between them are as many as give the factored pair the parameters of the full
    3D convolution (Tran et al., CVPR 2018, section 3.5).
    """

    def __init__(self, in_channels: int, channels: int, kernel: Triple, stride: Triple) -> None:
        super().__init__()
        t, h, w = kernel
        between = (t * h * w * in_channels * channels) // (h * w * in_channels + t * channels)
        self.spatial_conv = nn.Conv3d(
            in_channels, between, (1, h, w), (1, *stride[1:]), (0, h // 2, w // 2), bias=False
        )
        self.bn = nn.BatchNorm3d(between)
        self.temporal_conv = nn.Conv3d(
            between, channels, (t, 1, 1), (stride[0], 1, 1), (t // 2, 0, 0), bias=False
        )

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        """Map (B, C_in, T, H, W) to (B, C, T', H', W')."""
        out: Tensor = self.temporal_conv(torch.relu_(self.bn(self.spatial_conv(x_BCTHW))))
        return out


class SpatioTemporalBlock(nn.Module):
    """Residual block of two factored convolutions."""

    def __init__(self, in_channels: int, channels: int, *, downsample: bool) -> None:
        super().__init__()
        stride = (2, 2, 2) if downsample else (1, 1, 1)
        self.downsample = downsample
        if downsample:
            self.downsampleconv = SpatioTemporalConv(in_channels, channels, (1, 1, 1), stride)
            self.downsamplebn = nn.BatchNorm3d(channels)
        self.conv1 = SpatioTemporalConv(in_channels, channels, (3, 3, 3), stride)
        self.bn1 = nn.BatchNorm3d(channels)
        self.conv2 = SpatioTemporalConv(channels, channels, (3, 3, 3), (1, 1, 1))
        self.bn2 = nn.BatchNorm3d(channels)

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        """Map (B, C_in, T, H, W) to (B, C, T', H', W')."""
        out = self.bn2(self.conv2(torch.relu_(self.bn1(self.conv1(x_BCTHW)))))
        shortcut = self.downsamplebn(self.downsampleconv(x_BCTHW)) if self.downsample else x_BCTHW
        return torch.relu_(out + shortcut)


class _Stage(nn.Module):
    """A stage: ``block1``, and as the release names them, ``blocks`` for any more."""

    def __init__(
        self, in_channels: int, channels: int, num_blocks: int, *, downsample: bool
    ) -> None:
        super().__init__()
        self.block1 = SpatioTemporalBlock(in_channels, channels, downsample=downsample)
        self.blocks = nn.ModuleList(
            SpatioTemporalBlock(channels, channels, downsample=False) for _ in range(num_blocks - 1)
        )

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        x: Tensor = self.block1(x_BCTHW)
        for block in self.blocks:
            x = block(x)
        return x


@register_encoder("r2plus1d")
class R2Plus1D(nn.Module):
    """R(2+1)D of the paper, one block a stage.

    A stem of 3x7x7 and four stages.

    Args:
        layers: Blocks in each of the four stages.
        width: Channels of the stem and the first stage; 64 is the paper's.

    Shape:
        (B, 3, T, H, W) -> (B, 8 * width, T / 8, H / 16, W / 16), rounded up.

    Raises:
        ValueError: An option is out of range.
    """

    def __init__(
        self, layers: tuple[int, int, int, int] = (1, 1, 1, 1), *, width: int = 64
    ) -> None:
        super().__init__()
        if len(layers) != 4 or min(layers) < 1 or width < 1:
            raise ValueError(
                "layers holds four positive block counts and width is positive, "
                f"got layers={layers!r}, width={width}"
            )
        self.conv1 = SpatioTemporalConv(3, width, (3, 7, 7), (1, 2, 2))
        self.bn1 = nn.BatchNorm3d(width)
        geometry = CellGeometry().then((3, 7, 7), (1, 2, 2), (1, 3, 3))
        channels = width
        for index, num_blocks in enumerate(layers):
            out = width * 2**index
            stage = _Stage(channels, out, num_blocks, downsample=index > 0)
            self.add_module(f"conv{index + 2}", stage)
            channels = out
            if index > 0:
                geometry = geometry.then((3, 3, 3), (2, 2, 2), (1, 1, 1))
        self.num_features = channels
        self.cell_geometry = geometry
        initialise_convolutions(self)

    def forward(self, clips_BCTHW: Tensor) -> Tensor:
        """Features of the last stage, (B, C, T', H', W')."""
        x = torch.relu_(self.bn1(self.conv1(clips_BCTHW)))
        for index in range(4):
            x = self.get_submodule(f"conv{index + 2}")(x)
        return x
