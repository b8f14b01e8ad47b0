"""Encoders by name. Each registers itself beside its code with :func:`register_encoder`."""

import reprlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import nn

from rspnet.models.geometry import CellGeometry
from rspnet.registry import Registry, first_sentence

F = TypeVar("F", bound=Callable[..., nn.Module])
# No encoder of video comes near: what is beyond is a mistake or a damaged header.
MAX_OPTION = 4096
MAX_PARAMETERS = 2**31


@dataclass(frozen=True)
class EncoderInfo:
    """What an encoder was designed for. Most encoders take clips of other sizes as well.

    Attributes:
        name: As in :func:`list_encoders`.
        num_frames: Frames of a clip.
        size: Height and width of a clip, in pixels.
        description: One line.
        factory: Makes the encoder from its options.
    """

    name: str
    num_frames: int
    size: int
    description: str
    factory: Callable[..., nn.Module]


ENCODERS: Registry[EncoderInfo] = Registry("encoder", "rspnet.models")


def register_encoder(name: str, *, num_frames: int = 16, size: int = 112) -> Callable[[F], F]:
    """Register a class or function that makes an encoder.

    An encoder maps clips (B, 3, T, H, W) to features (B, C, T', H', W') and has two attributes:
    ``num_features``, the number C of channels, and ``cell_geometry``, the
    :class:`~rspnet.models.CellGeometry` that says where its cells lie in a clip. The first line
    of its docstring describes it in lists. A file in ``rspnet/models/`` is found by itself; for
    files elsewhere see :mod:`rspnet.registry`.

    Args:
        name: Its name in :func:`create_encoder` and ``--model.arch``.
        num_frames: Frames of the clips that it was designed for.
        size: Height and width of these clips, in pixels.

    Raises:
        ValueError: The name is taken.

    Example:
        >>> from torch import nn
        >>> from rspnet.models import CellGeometry, create_encoder, register_encoder
        >>> @register_encoder("one_layer")
        ... class OneLayer(nn.Conv3d):
        ...     '''A single convolution over patches of 4 x 16 x 16 pixels.'''
        ...
        ...     num_features = 8
        ...     cell_geometry = CellGeometry((4, 16, 16), (1.5, 7.5, 7.5))
        ...
        ...     def __init__(self):
        ...         super().__init__(3, 8, (4, 16, 16), stride=(4, 16, 16))
        >>> create_encoder("one_layer").num_features
        8
        >>> ENCODERS.remove("one_layer")
    """

    def register(factory: F) -> F:
        ENCODERS.add(name, EncoderInfo(name, num_frames, size, first_sentence(factory), factory))
        return factory

    return register


def list_encoders() -> list[str]:
    """Names that :func:`create_encoder` knows, sorted.

    Example:
        >>> import rspnet
        >>> "resnet18_fine" in rspnet.list_encoders()
        True
    """
    return list(ENCODERS)


def encoder_info(name: str) -> EncoderInfo:
    """What an encoder was designed for: frames and size of its clips.

    Raises:
        ValueError: The name is unknown (the nearest is named).

    Example:
        >>> from rspnet.models import encoder_info
        >>> encoder_info("s3dg").size
        224
    """
    return ENCODERS[name]


def _check_numbers(name: str, value: Any) -> None:
    """Refuse numbers beyond reason in an option, however deep they stand."""
    if isinstance(value, str | bytes | bool) or value is None:
        return
    if isinstance(value, Iterable):
        for part in value.values() if isinstance(value, Mapping) else value:
            _check_numbers(name, part)
    elif not abs(value) <= MAX_OPTION:
        raise ValueError(f"{name} is at most {MAX_OPTION:,}, got {reprlib.repr(value)}")


def _check_options(info: EncoderInfo, options: Mapping[str, Any]) -> None:
    """Make an encoder without memory, and refuse options of which there is none or a huge one."""
    try:
        for name, value in options.items():
            _check_numbers(name, value)
        with torch.device("meta"):
            trial = info.factory(**options)
        count = sum(parameter.numel() for parameter in trial.parameters())
    except Exception as error:  # whatever nonsense leads to
        raise ValueError(f"encoder {info.name!r} does not take these options: {error}") from error
    if count > MAX_PARAMETERS:
        raise ValueError(
            f"encoder {info.name!r} with {reprlib.repr(options)} has {count:,} parameters, at most "
            f"{MAX_PARAMETERS:,} are possible"
        )


def create_encoder(name: str, **options: Any) -> nn.Module:
    """Make an encoder with random weights.

    Args:
        name: One of :func:`list_encoders`.
        **options: Options of that encoder (``width``, ``stem_stride``, ...).

    Returns:
        A module that maps clips (B, 3, T, H, W), float32, normalised by
        :func:`rspnet.data.transforms.normalise`, to features (B, C, T', H', W'), with C as
        ``num_features`` and the places of the cells as ``cell_geometry``.

    Raises:
        ValueError: The name is unknown (the nearest is named), an option is or is out of range,
            the encoder would be beyond reason (nothing is allocated then), or a registered one
            lacks ``num_features`` or ``cell_geometry``.

    Example:
        >>> import torch, rspnet
        >>> encoder = rspnet.create_encoder("resnet18_fine", width=4)
        >>> encoder(torch.randn(1, 3, 16, 112, 112)).shape
        torch.Size([1, 32, 4, 7, 7])
    """
    if not isinstance(name, str):
        raise ValueError(f"an encoder is called by its name, got {reprlib.repr(name)}")
    info = ENCODERS[name]
    if options:
        _check_options(info, options)
    encoder = info.factory(**options)
    for attribute, kind in (("num_features", int), ("cell_geometry", CellGeometry)):
        if not isinstance(got := getattr(encoder, attribute, None), kind):
            raise ValueError(
                f"encoder {name!r} has {attribute} = {got!r}, expected a {kind.__name__}: "
                "see rspnet.models.register_encoder for what an encoder provides"
            )
    return encoder


def encoder_table() -> str:
    """All encoders as the rows of a Markdown table: clips, features and parameters.

    Shapes and numbers are computed without memory or arithmetic (PyTorch's ``meta`` device).
    """
    rows = [
        "| name | clip (T x H x W) | features (C x T' x H' x W') | parameters | |",
        "| --- | --- | --- | --- | --- |",
    ]
    for info in map(encoder_info, list_encoders()):
        with torch.device("meta"):
            encoder = create_encoder(info.name)
            features = encoder(torch.empty(1, 3, info.num_frames, info.size, info.size))
        millions = sum(p.numel() for p in encoder.parameters()) / 1e6
        rows.append(
            f"| `{info.name}` | {info.num_frames} x {info.size} x {info.size} "
            f"| {' x '.join(map(str, features.shape[1:]))} | {millions:.2f} M "
            f"| {info.description} |"
        )
    return "\n".join(rows)
