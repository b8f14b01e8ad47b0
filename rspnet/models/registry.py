"""Encoders by name: a table that a reader can follow with go-to-definition."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from rspnet.models.c3d import C3D
from rspnet.models.r2plus1d import R2Plus1D
from rspnet.models.resnet3d import ResNet3D
from rspnet.models.s3dg import S3DG
from rspnet.models.torchvision_video import (
    TorchvisionMViT,
    TorchvisionResNet,
    TorchvisionS3D,
    TorchvisionSwin,
)


@dataclass(frozen=True)
class EncoderInfo:
    """What an encoder was designed for. Most encoders take clips of other sizes as well.

    Attributes:
        name: As in :func:`list_encoders`.
        num_frames: Frames of a clip.
        size: Height and width of a clip, in pixels.
        description: One line.
    """

    name: str
    num_frames: int
    size: int
    description: str


def resnet18(**options: Any) -> ResNet3D:
    """3D ResNet-18 of the paper: 16 x 112 x 112 -> 512 x 1 x 4 x 4, 33.20 M parameters."""
    return ResNet3D((2, 2, 2, 2), **options)


def resnet34(**options: Any) -> ResNet3D:
    """3D ResNet-34: 16 x 112 x 112 -> 512 x 1 x 4 x 4."""
    return ResNet3D((3, 4, 6, 3), **options)


def resnet50(**options: Any) -> ResNet3D:
    """3D ResNet-50: 16 x 112 x 112 -> 2048 x 1 x 4 x 4."""
    return ResNet3D((3, 4, 6, 3), block="bottleneck", **options)


def c3d(**options: Any) -> C3D:
    """C3D of the paper: 16 x 112 x 112 -> 512 x 2 x 7 x 7, 27.66 M parameters."""
    return C3D(**options)


def s3dg(**options: Any) -> S3DG:
    """S3D-G of the paper: 16 x 224 x 224 -> 1024 x 2 x 7 x 7, 8.68 M parameters."""
    return S3DG(**options)


def r2plus1d(**options: Any) -> R2Plus1D:
    """R(2+1)D of the paper: 16 x 112 x 112 -> 512 x 2 x 7 x 7, 14.37 M parameters."""
    return R2Plus1D(**options)


def resnet18_fine(width: int = 16, **options: Any) -> ResNet3D:
    """Small 3D ResNet-18 with fewer strides: 16 x 112 x 112 -> 8 * width x 4 x 7 x 7.

    Made for maps worth looking at and for training without a GPU. Any option of
    :class:`~rspnet.models.resnet3d.ResNet3D` can be given on top.
    """
    defaults: dict[str, Any] = {
        "stem_kernel": (3, 5, 5),
        "stem_stride": (2, 2, 2),
        "pool_stride": (1, 2, 2),
        "stage_strides": ((1, 1, 1), (1, 2, 2), (2, 2, 2), (1, 1, 1)),
    }
    return ResNet3D((2, 2, 2, 2), width=width, **(defaults | options))


def r3d_18(**options: Any) -> TorchvisionResNet:
    """torchvision's 3D ResNet-18: 16 x 112 x 112 -> 512 x 2 x 7 x 7."""
    return TorchvisionResNet("r3d_18", **options)


def mc3_18(**options: Any) -> TorchvisionResNet:
    """torchvision's ResNet-18 with 3D, then 2D convolutions: 16 x 112 x 112 -> 512 x 16 x 7 x 7."""
    return TorchvisionResNet("mc3_18", **options)


def r2plus1d_18(**options: Any) -> TorchvisionResNet:
    """torchvision's R(2+1)D-18: 16 x 112 x 112 -> 512 x 2 x 7 x 7."""
    return TorchvisionResNet("r2plus1d_18", **options)


def s3d(**options: Any) -> TorchvisionS3D:
    """torchvision's S3D: 16 x 224 x 224 -> 1024 x 2 x 7 x 7."""
    return TorchvisionS3D(**options)


def mvit_v2_s(**options: Any) -> TorchvisionMViT:
    """torchvision's MViTv2-S: 16 x 224 x 224 -> 768 x 8 x 7 x 7."""
    return TorchvisionMViT(**options)


def swin3d_t(**options: Any) -> TorchvisionSwin:
    """torchvision's Video Swin-T: 32 x 224 x 224 -> 768 x 16 x 7 x 7."""
    return TorchvisionSwin(**options)


_ENCODERS: dict[str, Callable[..., nn.Module]] = {
    "c3d": c3d,
    "mc3_18": mc3_18,
    "mvit_v2_s": mvit_v2_s,
    "r2plus1d": r2plus1d,
    "r2plus1d_18": r2plus1d_18,
    "r3d_18": r3d_18,
    "resnet18": resnet18,
    "resnet18_fine": resnet18_fine,
    "resnet34": resnet34,
    "resnet50": resnet50,
    "s3d": s3d,
    "s3dg": s3dg,
    "swin3d_t": swin3d_t,
}

_INFOS = (
    EncoderInfo("c3d", 16, 112, "C3D with BatchNorm, of the paper"),
    EncoderInfo("mc3_18", 16, 112, "torchvision's ResNet-18 of 3D, then 2D convolutions"),
    EncoderInfo("mvit_v2_s", 16, 224, "torchvision's MViTv2-S; takes one size, set by options"),
    EncoderInfo("r2plus1d", 16, 112, "R(2+1)D of the paper, one block a stage"),
    EncoderInfo("r2plus1d_18", 16, 112, "torchvision's R(2+1)D-18"),
    EncoderInfo("r3d_18", 16, 112, "torchvision's 3D ResNet-18"),
    EncoderInfo("resnet18", 16, 112, "3D ResNet-18 of the paper"),
    EncoderInfo("resnet18_fine", 16, 112, "small 3D ResNet-18 with a finer grid"),
    EncoderInfo("resnet34", 16, 112, "3D ResNet-34"),
    EncoderInfo("resnet50", 16, 112, "3D ResNet-50"),
    # torchvision says for its weights: at least 14 frames.
    EncoderInfo("s3d", 16, 224, "torchvision's S3D; accuracies of its weights are for 128 frames"),
    EncoderInfo("s3dg", 16, 224, "S3D-G of the paper, which fine-tunes it with 64 frames"),
    EncoderInfo("swin3d_t", 32, 224, "torchvision's Video Swin-T"),
)


def list_encoders() -> list[str]:
    """Names that :func:`create_encoder` knows."""
    return sorted(_ENCODERS)


def _check_name(name: str) -> None:
    if name not in _ENCODERS:
        near = difflib.get_close_matches(name, _ENCODERS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"unknown encoder {name!r}; known are {list_encoders()}.{hint}")


def encoder_info(name: str) -> EncoderInfo:
    """What an encoder was designed for: frames and size of its clips.

    Raises:
        ValueError: The name is unknown (the nearest is named).
    """
    _check_name(name)
    return next(info for info in _INFOS if info.name == name)


def create_encoder(name: str, **options: Any) -> nn.Module:
    """Make an encoder with random weights.

    Args:
        name: One of :func:`list_encoders`.
        **options: Options of that encoder (``width``, ``stem_stride``, ...).

    Returns:
        A module that maps clips (B, 3, T, H, W) to features (B, C, T', H', W'), with C as
        ``num_features``.

    Raises:
        ValueError: The name is unknown (the nearest is named) or an option is.
    """
    _check_name(name)
    try:
        return _ENCODERS[name](**options)
    except TypeError as error:
        raise ValueError(f"encoder {name!r} does not take these options: {error}") from error
