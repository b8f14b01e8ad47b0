"""Encoders by name: a table that a reader can follow with go-to-definition."""

import difflib
from collections.abc import Callable
from typing import Any

from torch import nn

from rspnet.models.c3d import C3D
from rspnet.models.r2plus1d import R2Plus1D
from rspnet.models.resnet3d import ResNet3D
from rspnet.models.s3dg import S3DG


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


_ENCODERS: dict[str, Callable[..., nn.Module]] = {
    "c3d": c3d,
    "r2plus1d": r2plus1d,
    "resnet18": resnet18,
    "resnet18_fine": resnet18_fine,
    "resnet34": resnet34,
    "resnet50": resnet50,
    "s3dg": s3dg,
}


def list_encoders() -> list[str]:
    """Names that :func:`create_encoder` knows."""
    return sorted(_ENCODERS)


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
    if name not in _ENCODERS:
        near = difflib.get_close_matches(name, _ENCODERS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"unknown encoder {name!r}; known are {list_encoders()}.{hint}")
    try:
        return _ENCODERS[name](**options)
    except TypeError as error:
        raise ValueError(f"encoder {name!r} does not take these options: {error}") from error
