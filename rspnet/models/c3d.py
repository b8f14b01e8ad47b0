"""C3D with BatchNorm (Tran et al., ICCV 2015), as in RSPNet's release: it ends after conv5b.

Parameter names follow the release (``conv1 bn1 conv2 bn2 conv3a bn3a ... conv5b bn5b``).
"""

import torch
from torch import Tensor, nn

from rspnet.models.geometry import CellGeometry
from rspnet.models.init import check_clips, initialise_convolutions
from rspnet.models.registry import register_encoder

# (name, channels in the paper's width, in units of the width) and, behind it, the pool's kernel.
_LAYERS: tuple[tuple[str, int, tuple[int, int, int] | None], ...] = (
    ("1", 1, (1, 2, 2)),
    ("2", 2, (2, 2, 2)),
    ("3a", 4, None),
    ("3b", 4, (2, 2, 2)),
    ("4a", 8, None),
    ("4b", 8, (2, 2, 2)),
    ("5a", 8, None),
    ("5b", 8, None),
)


@register_encoder("c3d")
class C3D(nn.Module):
    """C3D with BatchNorm, of the paper.

    Eight 3x3x3 convolutions with BatchNorm and ReLU, and four max pools between them.

    Args:
        width: Channels of the first layer; 64 is the paper's.

    Shape:
        (B, 3, T, H, W) -> (B, 8 * width, T // 8, H // 16, W // 16).

    Raises:
        ValueError: ``width`` is not positive, or a clip is smaller than 8 frames of 16 x 16.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        if width < 1:
            raise ValueError(f"width is a positive number of channels, got {width}")
        channels, geometry = 3, CellGeometry()
        for name, factor, pool in _LAYERS:
            self.add_module(f"conv{name}", nn.Conv3d(channels, factor * width, 3, padding=1))
            self.add_module(f"bn{name}", nn.BatchNorm3d(factor * width))
            channels = factor * width
            if pool is not None:
                geometry = geometry.then(pool, pool, (0, 0, 0))
        self.num_features = channels
        self.cell_geometry = geometry
        initialise_convolutions(self)

    def forward(self, clips_BCTHW: Tensor) -> Tensor:
        """Features after conv5b, (B, C, T', H', W')."""
        check_clips("C3D", clips_BCTHW, 8, 16)
        x = clips_BCTHW
        for name, _, pool in _LAYERS:
            x = self.get_submodule(f"conv{name}")(x)
            x = torch.relu_(self.get_submodule(f"bn{name}")(x))
            if pool is not None:
                x = nn.functional.max_pool3d(x, pool)
        return x
