"""torchvision's video networks as encoders: their features before pooling and classifier.

Parameter names are those of torchvision's state dicts, without a prefix; its classifier (``fc``,
``classifier``, ``head``) is dropped. torchvision takes seconds to import, so it is imported when
one of these encoders is made, not with this module.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from rspnet.models.geometry import CellGeometry
from rspnet.models.init import check_clips
from rspnet.models.registry import register_encoder

Triple = tuple[int, int, int]

# What stands behind the features in torchvision's networks.
_AFTER_FEATURES = ("avgpool", "fc", "classifier", "head")


def _torchvision_parts(name: str, **options: Any) -> dict[str, nn.Module]:
    """The parts of a new torchvision network that lead to its features, in order."""
    from torchvision.models import video

    network: nn.Module = getattr(video, name)(weights=None, **options)
    return {n: part for n, part in network.named_children() if n not in _AFTER_FEATURES}


def _triple(value: int | Iterable[int]) -> Triple:
    t, h, w = (value, value, value) if isinstance(value, int) else value
    return t, h, w


def _cells_after(layers: Iterable[nn.Module]) -> CellGeometry:
    """Where the cells lie after these layers, one behind the other; others than these are skipped.

    A convolution or pool of stride 1 with padding alike on both sides moves no cell, so what
    stands beside the layers (shortcuts, branches of an Inception block) can be skipped.
    """
    geometry = CellGeometry()
    for layer in layers:
        if isinstance(layer, nn.Conv3d | nn.MaxPool3d):
            assert not isinstance(layer.padding, str)
            geometry = geometry.then(
                _triple(layer.kernel_size), _triple(layer.stride), _triple(layer.padding)
            )
    return geometry


class TorchvisionResNet(nn.Module):
    """``r3d_18``, ``mc3_18`` and ``r2plus1d_18`` (Tran et al., CVPR 2018) after ``layer4``.

    All kernels are odd and padded alike on both sides: the first cell stands at 0. ``mc3_18``
    has no stride in time.

    Args:
        name: The network's name in torchvision.

    Shape:
        (B, 3, T, H, W) -> (B, 512, T / 8, H / 16, W / 16), rounded up; ``mc3_18`` keeps T.

    Raises:
        ValueError: A clip is empty.
    """

    num_features = 512

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        for part, module in _torchvision_parts(name).items():
            self.add_module(part, module)
        self.cell_geometry = _cells_after(
            layer for path, layer in self.named_modules() if "downsample" not in path
        )

    def forward(self, clips_BCTHW: Tensor) -> Tensor:
        """Features of the last stage, (B, 512, T', H', W')."""
        check_clips(self.name, clips_BCTHW, 1, 1)
        x = clips_BCTHW
        for part in self.children():
            x = part(x)
        return x


@register_encoder("r3d_18")
def r3d_18() -> TorchvisionResNet:
    """torchvision's 3D ResNet-18."""
    return TorchvisionResNet("r3d_18")


@register_encoder("mc3_18")
def mc3_18() -> TorchvisionResNet:
    """torchvision's ResNet-18 of 3D, then 2D convolutions."""
    return TorchvisionResNet("mc3_18")


@register_encoder("r2plus1d_18")
def r2plus1d_18() -> TorchvisionResNet:
    """torchvision's R(2+1)D-18."""
    return TorchvisionResNet("r2plus1d_18")


@register_encoder("s3d", size=224)
class TorchvisionS3D(nn.Module):
    """torchvision's S3D (Xie et al., ECCV 2018; without gates).

    Its features are those after the last Inception block. The accuracies of its weights are for
    clips of 128 frames.

    torchvision averages logits over windows of 2 x 7 x 7 cells, which is the mean over all cells
    if there are just as many: for 13 to 20 frames of 209 to 240 pixels.

    Shape:
        (B, 3, T, H, W) -> (B, 1024, T / 8, H / 32, W / 32).

    Raises:
        ValueError: A clip is smaller than 5 frames of 17 x 17 pixels.
    """

    num_features = 1024

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models.video.s3d import SepInceptionBlock3D

        self.features = _torchvision_parts("s3d")["features"]
        self.cell_geometry = _cells_after(
            layer
            for block in self.features.children()
            if not isinstance(block, SepInceptionBlock3D)
            for layer in block.modules()
        )

    def forward(self, clips_BCTHW: Tensor) -> Tensor:
        """Features of the last Inception block, (B, 1024, T', H', W')."""
        # Smaller, and the last pool (2 x 2 x 2, no padding) has nothing to pool.
        check_clips("s3d", clips_BCTHW, 5, 17)
        x: Tensor = self.features(clips_BCTHW)
        return x


@register_encoder("swin3d_t", num_frames=32, size=224)
class TorchvisionSwin(nn.Module):
    """torchvision's Video Swin-T (Liu et al., CVPR 2022), after its last norm.

    A cell is what its patches were: the embedding takes patches of 2 x 4 x 4 without overlap, and
    each of three mergings joins 2 x 2 tokens, also without overlap. A cell so stands for
    2 x 32 x 32 pixels, and its centre lies in their middle, at (0.5, 15.5, 15.5) for the first.
    Attention mixes tokens but moves none. Clips that do not divide evenly are padded at their end,
    in torchvision, so cells at the border may stand for fewer pixels.

    Shape:
        (B, 3, T, H, W) -> (B, 768, T / 2, H / 32, W / 32), rounded up.

    Raises:
        ValueError: A clip is empty.
    """

    num_features = 768

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models.swin_transformer import PatchMerging

        parts = _torchvision_parts("swin3d_t")
        for part, module in parts.items():
            self.add_module(part, module)
        self.cell_geometry = _cells_after(parts["patch_embed"].modules())
        for block in parts["features"].children():
            if isinstance(block, PatchMerging):
                self.cell_geometry = self.cell_geometry.then((1, 2, 2), (1, 2, 2), (0, 0, 0))

    def forward(self, clips_BCTHW: Tensor) -> Tensor:
        """Normalised tokens of the last block, (B, 768, T', H', W')."""
        check_clips("swin3d_t", clips_BCTHW, 1, 1)
        x = clips_BCTHW
        for part in self.children():
            x = part(x)
        return x.movedim(-1, 1)


@register_encoder("mvit_v2_s", size=224)
class TorchvisionMViT(nn.Module):
    """torchvision's MViTv2-S (Li et al., CVPR 2022); takes one size of clip, set by options.

    Its features are the grid of tokens after the last norm.

    torchvision classifies from the class token, which has no place and is excluded from the
    features; the mean over the cells is therefore not what its classifier takes. The class token
    stays in the network, because the other tokens attend to it.

    The patch embedding has a kernel of 3 x 7 x 7, a stride of 2 x 4 x 4 and padding alike on both
    sides; the queries of three blocks are pooled with a kernel of 3 x 3 x 3, a stride of 1 x 2 x 2
    and a padding of 1. All are odd and centred: the first cell stands at 0.

    Args:
        num_frames: Frames of the clips. Tables of relative positions are as long as this needs.
        size: Height and width of the clips, in pixels; 29 or more.

    Shape:
        (B, 3, num_frames, size, size) -> (B, 768, T / 2, H / 32, W / 32), rounded up.

    Raises:
        ValueError: An option is out of range, or a clip has another size than these options say.
    """

    num_features = 768

    def __init__(self, num_frames: int = 16, size: int = 224) -> None:
        super().__init__()
        if num_frames < 1 or size < 29:
            raise ValueError(
                "mvit_v2_s takes num_frames of 1 or more and a size of 29 pixels or more, "
                f"got num_frames={num_frames}, size={size}"
            )
        from torchvision.models.video.mvit import MultiscaleBlock

        self.num_frames, self.size = num_frames, size
        # The patch embedding rounds up.
        grid = (-(-num_frames // 2), -(-size // 4), -(-size // 4))

        def block(input_size: list[int], **settings: Any) -> nn.Module:
            # torchvision's own function only builds for 8 x 56 x 56 tokens. Scale each block's
            # share of these to our grid.
            pairs = zip(input_size, grid, (8, 56, 56), strict=True)
            scaled: nn.Module = MultiscaleBlock([n * g // full for n, g, full in pairs], **settings)
            return scaled

        parts = _torchvision_parts("mvit_v2_s", block=block)
        self.conv_proj = parts["conv_proj"]
        self.pos_encoding = parts["pos_encoding"]
        self.blocks = parts["blocks"]
        self.norm = parts["norm"]
        queries = [block.get_submodule("attn.pool_q.pool") for block in self.blocks.children()]
        self.cell_geometry = _cells_after([self.conv_proj, *queries])

    def forward(self, clips_BCTHW: Tensor) -> Tensor:
        """Normalised tokens of the last block, (B, 768, T', H', W')."""
        frames, height, width = clips_BCTHW.shape[2:]
        if (frames, height, width) != (self.num_frames, self.size, self.size):
            hint = (
                f"encoder options num_frames={frames}, size={height}"
                if height == width
                else "square clips, or encoder options num_frames and size for others"
            )
            raise ValueError(
                f"this mvit_v2_s takes clips of {self.num_frames} frames of {self.size} x "
                f"{self.size} pixels, got {frames} frames of {height} x {width}: its tables of "
                f"relative positions fit one size. Use {hint}"
            )
        x = self.conv_proj(clips_BCTHW)
        grid = _triple(x.shape[2:])
        x = self.pos_encoding(x.flatten(2).transpose(1, 2))
        for block in self.blocks.children():
            x, grid = block(x, grid)
        tokens: Tensor = self.norm(x)[:, 1:]
        return torch.unflatten(tokens.transpose(1, 2), 2, grid)
