"""S3D with feature gating (Xie et al., ECCV 2018), as in RSPNet's release.

Parameter names follow the release (``feature.sepConv1.sep_conv.0.conv3d ... excitation``).
BatchNorm has eps 1e-3 and momentum 0.001 there, and so here.
"""

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rspnet.models.geometry import CellGeometry
from rspnet.models.init import check_clips, initialise_convolutions
from rspnet.models.registry import register_encoder

Triple = tuple[int, int, int]


class BasicConv(nn.Module):
    """Convolution, BatchNorm, ReLU."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        kernel: Triple = (1, 1, 1),
        stride: int = 1,
        padding: Triple = (0, 0, 0),
    ) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(in_channels, channels, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm3d(channels, eps=1e-3, momentum=0.001)

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        """Map (B, C_in, T, H, W) to (B, C, T', H', W')."""
        return torch.relu_(self.bn(self.conv3d(x_BCTHW)))


class SeparableConv(nn.Module):
    """A spatial and a temporal convolution, then a gate for every channel.

    The stride, in time too, is that of the spatial convolution.
    """

    def __init__(self, in_channels: int, channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        pad = kernel // 2
        self.sep_conv = nn.Sequential(
            BasicConv(in_channels, channels, (1, kernel, kernel), stride, (0, pad, pad)),
            BasicConv(channels, channels, (kernel, 1, 1), 1, (pad, 0, 0)),
        )
        self.excitation = nn.Conv3d(channels, channels, 1)

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        """Map (B, C_in, T, H, W) to (B, C, T', H', W')."""
        x: Tensor = self.sep_conv(x_BCTHW)
        gate = torch.sigmoid(self.excitation(x.mean(dim=(2, 3, 4), keepdim=True)))
        return gate * x


class Inception(nn.Module):
    """Four branches side by side: 1x1x1, two separable 3x3x3, and a max pool with 1x1x1.

    Args:
        in_channels: Channels of the input.
        channels: Of branch 0; before and in branch 1; before and in branch 2; of branch 3.
    """

    def __init__(self, in_channels: int, channels: Sequence[int]) -> None:
        super().__init__()
        c0, c1_in, c1, c2_in, c2, c3 = channels
        self.branch0 = BasicConv(in_channels, c0)
        self.branch1 = nn.Sequential(BasicConv(in_channels, c1_in), SeparableConv(c1_in, c1, 3))
        self.branch2 = nn.Sequential(BasicConv(in_channels, c2_in), SeparableConv(c2_in, c2, 3))
        self.branch3 = nn.Sequential(nn.MaxPool3d(3, 1, 1), BasicConv(in_channels, c3))

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        """Map (B, C_in, T, H, W) to (B, C, T, H, W)."""
        branches = (self.branch0, self.branch1, self.branch2, self.branch3)
        return torch.cat([branch(x_BCTHW) for branch in branches], dim=1)


_INCEPTIONS: dict[str, tuple[int, ...]] = {
    "3b": (64, 96, 128, 16, 32, 32),
    "3c": (128, 128, 192, 32, 96, 64),
    "4b": (192, 96, 208, 16, 48, 64),
    "4c": (160, 112, 224, 24, 64, 64),
    "4d": (128, 128, 256, 24, 64, 64),
    "4e": (112, 144, 288, 32, 64, 64),
    "4f": (256, 160, 320, 32, 128, 128),
    "5b": (256, 160, 320, 32, 128, 128),
    "5c": (384, 192, 384, 48, 128, 128),
}


@register_encoder("s3dg", size=224)
class S3DG(nn.Module):
    """S3D-G of the paper, which fine-tunes it with 64 frames; up to its last Inception block.

    Shape:
        (B, 3, T, H, W) -> (B, 1024, T / 8, H / 32, W / 32).

    Raises:
        ValueError: A clip is smaller than 5 frames of 17 x 17 pixels.
    """

    def __init__(self) -> None:
        super().__init__()
        spatial_pool = ((1, 3, 3), (1, 2, 2), (0, 1, 1))
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["sepConv1"] = SeparableConv(3, 64, 7, stride=2)
        layers["maxPool1"] = nn.MaxPool3d(*spatial_pool)
        layers["basicConv3d"] = BasicConv(64, 64)
        layers["sep_conv2"] = SeparableConv(64, 192, 3)
        layers["maxPool2"] = nn.MaxPool3d(*spatial_pool)
        channels = 192
        for name, widths in _INCEPTIONS.items():
            if name == "4b":
                layers["maxPool3"] = nn.MaxPool3d(3, 2, 1)
            elif name == "5b":
                layers["maxpool4"] = nn.MaxPool3d(2, 2)
            layers[f"sepInc_{name}"] = Inception(channels, widths)
            channels = widths[0] + widths[2] + widths[4] + widths[5]
        self.feature = nn.Sequential(layers)
        self.num_features = channels
        self.cell_geometry = (
            CellGeometry()
            .then((7, 7, 7), (2, 2, 2), (3, 3, 3))
            .then(*spatial_pool)
            .then(*spatial_pool)
            .then((3, 3, 3), (2, 2, 2), (1, 1, 1))
            .then((2, 2, 2), (2, 2, 2), (0, 0, 0))
        )
        initialise_convolutions(self)

    def forward(self, clips_BCTHW: Tensor) -> Tensor:
        """Features of the last Inception block, (B, C, T', H', W')."""
        check_clips("S3D-G", clips_BCTHW, 5, 17)
        x: Tensor = self.feature(clips_BCTHW)
        return x
