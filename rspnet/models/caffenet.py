"""CaffeNet (Jia et al., 2014), the AlexNet of its framework, as OPN has it: for single frames.

Its kernels are 1 x k x k, so that a clip is read frame by frame. It ends after conv5 and before
pool5, as :mod:`rspnet.models.c3d` does. BatchNorm stands after conv3, conv4 and conv5 (Lee et al.,
"Unsupervised representation learning by sorting sequences", ICCV 2017, train_opn.prototxt of their
code), local response normalisation after the two pools.
"""

from torch import Tensor, nn

from rspnet.models.geometry import CellGeometry
from rspnet.models.init import check_clips, initialise_convolutions
from rspnet.models.registry import register_encoder

# Channels in units of a sixth of the width, kernel, stride, padding, groups, and what follows: a
# pool with LRN, or BatchNorm before the ReLU.
_LAYERS = (
    ("1", 6, 11, 4, 0, 1, "pool"),
    ("2", 16, 5, 1, 2, 2, "pool"),
    ("3", 24, 3, 1, 1, 1, "bn"),
    ("4", 24, 3, 1, 1, 2, "bn"),
    ("5", 16, 3, 1, 1, 2, "bn"),
)
_POOL = ((1, 3, 3), (1, 2, 2), (0, 0, 0))


@register_encoder("caffenet", num_frames=1, size=80)
class CaffeNet(nn.Module):
    """CaffeNet of OPN, a 2D network that reads clips frame by frame.

    Args:
        width: Channels of the first layer, a multiple of 6; 96 is the paper's.

    Shape:
        (B, 3, T, H, W) -> (B, 8 / 3 * width, T, H', W'); 80 x 80 pixels give 4 x 4 cells.

    Raises:
        ValueError: ``width`` is no positive multiple of 6, or frames are smaller than 31 x 31.
    """

    def __init__(self, width: int = 96) -> None:
        super().__init__()
        if width < 1 or width % 6:
            raise ValueError(f"width is a positive multiple of 6, got {width}")
        channels, geometry = 3, CellGeometry()
        for name, factor, kernel, stride, padding, groups, follows in _LAYERS:
            out = factor * width // 6
            shape = (1, kernel, kernel), (1, stride, stride), (0, padding, padding)
            convolution = nn.Conv3d(channels, out, *shape, groups=groups, bias=follows != "bn")
            self.add_module(f"conv{name}", convolution)
            geometry = geometry.then(*shape)
            if follows == "pool":
                geometry = geometry.then(*_POOL)
                self.add_module(f"norm{name}", nn.LocalResponseNorm(5, 1e-4, 0.75))
            else:
                self.add_module(f"bn{name}", nn.BatchNorm3d(out))
            channels = out
        self.num_features = channels
        self.cell_geometry = geometry
        initialise_convolutions(self)

    def forward(self, clips_BCTHW: Tensor) -> Tensor:
        """Features after conv5, (B, C, T, H', W')."""
        check_clips("CaffeNet", clips_BCTHW, 1, 31)
        x = clips_BCTHW
        for name, *_, follows in _LAYERS:
            x = self.get_submodule(f"conv{name}")(x)
            if follows == "bn":
                x = self.get_submodule(f"bn{name}")(x)
            x = nn.functional.relu(x)
            if follows == "pool":
                x = nn.functional.max_pool3d(x, *_POOL, ceil_mode=True)
                x = self.get_submodule(f"norm{name}")(x)
        return x
