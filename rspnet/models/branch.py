"""One branch of RSPNet: an encoder and its two projection heads."""

import math
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from rspnet.models.geometry import CellGeometry
from rspnet.models.heads import create_head, global_average_pool
from rspnet.models.registry import create_encoder
from rspnet.names import HEADS, MAX_FRAMES, MAX_SIZE, check_whole

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
Normalisation = Sequence[Sequence[float]]


MAX_PIXELS = 2**28  # of a clip


@contextmanager
def evaluation_mode(*models: nn.Module) -> Iterator[None]:
    """Within the block models are in evaluation mode; then each module has its own mode again.

    So nothing that is measured depends on the mode that a model is in, and no statistic of
    BatchNorm moves.

    Example:
        >>> model = nn.Sequential(nn.BatchNorm3d(2), nn.Dropout()).train()
        >>> with evaluation_mode(model):
        ...     model[0].training
        False
        >>> model[0].training
        True
    """
    training = [part for model in models for part in model.modules() if part.training]
    for part in training:
        part.training = False
    try:
        yield
    finally:
        for part in training:
            part.training = True


def _check_normalisation(values: Normalisation) -> tuple[tuple[float, ...], tuple[float, ...]]:
    try:
        mean, std = (tuple(float(v) for v in part) for part in values)
        valid = len(mean) == len(std) == 3 and all(map(math.isfinite, mean + std)) and min(std) > 0
    except (TypeError, ValueError, OverflowError):
        valid = False
    if not valid:
        raise ValueError(
            "normalisation is mean and standard deviation of three channels, "
            f"((r, g, b), (r, g, b)), got {reprlib.repr(values)}"
        )
    return mean, std


class Branch(nn.Module):
    """Encoder f with the heads g_m (``rsp``, motion) and g_a (``avid``, appearance).

    Args:
        arch: Encoder name, see :func:`rspnet.models.create_encoder`.
        encoder_options: Options of that encoder.
        head: ``linear`` (paper) or ``mlp``.
        num_frames: Frames of the clips that the model was made for.
        size: Height and width of these clips, in pixels.
        normalisation: Mean and standard deviation of the channels, ``((r, g, b), (r, g, b))``,
            that the encoder's weights were made for, where these are not ImageNet's. Clips are
            given with ImageNet's all the same, and changed over before the encoder.

    Raises:
        ValueError: An argument is unknown, or a number is not whole, not positive or beyond reason.

    Attributes:
        arch: The encoder's name.
        heads: Names of its heads, ``("rsp", "avid")``.
        cell_geometry: Where the cells of its features lie in a clip.
        hash: SHA-256 of the file that the weights came from, empty for new weights.
        metadata: What the file says about itself.

    Example:
        >>> import torch
        >>> from rspnet import Branch
        >>> branch = Branch("resnet18_fine", {"width": 4}).eval()
        >>> embeddings = branch(torch.randn(2, 3, 16, 112, 112))
        >>> {name: tuple(z.shape) for name, z in embeddings.items()}
        {'rsp': (2, 128), 'avid': (2, 128)}
    """

    heads: tuple[str, ...] = HEADS
    _scale: Tensor
    _shift: Tensor

    def __init__(
        self,
        arch: str,
        encoder_options: Mapping[str, Any] | None = None,
        *,
        head: str = "linear",
        num_frames: int = 16,
        size: int = 112,
        normalisation: Normalisation | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(encoder_options, Mapping | None):
            raise ValueError(f"encoder_options is a mapping from names, got {encoder_options!r}")
        self.arch = arch
        self.encoder_options = dict(encoder_options or {})
        self.head_kind = head
        self._set_clips(num_frames, size, normalisation)
        self.encoder = create_encoder(arch, **self.encoder_options)
        self.cell_geometry = cast(CellGeometry, self.encoder.cell_geometry)
        self.num_features = cast(int, self.encoder.num_features)
        self.projections = nn.ModuleDict(
            {name: create_head(head, self.num_features) for name in HEADS}
        )

    def _set_clips(self, num_frames: int, size: int, normalisation: Normalisation | None) -> None:
        """Check and keep what the clips are like; there is no file and no metadata yet."""
        self.num_frames = check_whole("num_frames", num_frames, MAX_FRAMES)
        self.size = check_whole("size", size, MAX_SIZE)
        if num_frames * size**2 > MAX_PIXELS:
            raise ValueError(
                f"num_frames x size x size is at most {MAX_PIXELS:,} pixels, got {num_frames} "
                f"frames of {size} x {size}"
            )
        self.normalisation: Normalisation | None = None
        if normalisation is not None:
            self.normalisation = mean, std = _check_normalisation(normalisation)
            change = torch.tensor([IMAGENET_STD, IMAGENET_MEAN, std, mean]).view(4, 3, 1, 1, 1)
            scale, shift = change[0] / change[2], (change[1] - change[3]) / change[2]
            self.register_buffer("_scale", scale, persistent=False)
            self.register_buffer("_shift", shift, persistent=False)
        self.hash = ""
        self.metadata: dict[str, Any] = {}

    @property
    def device(self) -> torch.device:
        """Where its weights are; the processor for a module without any."""
        return next((tensor.device for tensor in self.parameters()), torch.device("cpu"))

    def untrained(self) -> "Branch":
        """The same architecture with new random weights, drawn by torch's generator."""
        return Branch.from_spec(self.spec())

    def spec(self) -> dict[str, Any]:
        """What is needed to build this branch again, as plain JSON values."""
        spec: dict[str, Any] = {
            "arch": self.arch,
            "encoder_options": self.encoder_options,
            "head": self.head_kind,
            "num_frames": self.num_frames,
            "size": self.size,
        }
        if self.normalisation is not None:
            spec["normalisation"] = [list(part) for part in self.normalisation]
        return spec

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> "Branch":
        """A branch with random weights, from what :meth:`spec` gave.

        Raises:
            ValueError: It lacks an entry, has one that is unknown, or one is out of range.
        """
        needed = {"arch", "encoder_options", "head", "num_frames", "size"}
        if not isinstance(spec, Mapping) or not needed <= set(spec) <= needed | {"normalisation"}:
            found = sorted(map(str, spec)) if isinstance(spec, Mapping) else spec
            raise ValueError(
                f"a model is described by {', '.join(sorted(needed))} and, if need be, "
                f"normalisation, got {reprlib.repr(found)}"
            )
        return cls(
            spec["arch"],
            spec["encoder_options"],
            head=spec["head"],
            num_frames=spec["num_frames"],
            size=spec["size"],
            normalisation=spec.get("normalisation"),
        )

    def features(self, clips: Tensor) -> Tensor:
        """Features of the last convolutional layer.

        Shape:
            (B, 3, T, H, W) normalised float32 -> (B, C, T', H', W').

        Raises:
            ValueError: The clips have another shape.
        """
        if clips.ndim != 5 or clips.shape[1] != 3 or 0 in clips.shape:
            raise ValueError(
                "clips have the shape (B, 3, T, H, W), normalised float32 "
                f"(see rspnet.data.transforms.normalise), got {tuple(clips.shape)}"
            )
        if self.normalisation is not None:
            clips = clips * self._scale + self._shift
        return torch.as_tensor(self.encoder(clips))

    def head(self, name: str) -> nn.Module:
        """The projection module of one of its heads.

        Raises:
            ValueError: There is no such head.
        """
        if name not in self.projections:
            raise ValueError(f"heads are {list(self.heads)}, got {name!r}")
        return self.projections[name]

    def project(self, features: Tensor) -> dict[str, Tensor]:
        """L2-normalised embeddings of all heads.

        Shape:
            (B, C, T', H', W') -> {"rsp": (B, 128), "avid": (B, 128)}.
        """
        x = global_average_pool(features)
        projections = ((name, self.projections[name]) for name in self.heads)
        return {name: functional.normalize(head(x), dim=1) for name, head in projections}

    def forward(self, clips: Tensor) -> dict[str, Tensor]:
        """Embeddings of clips: :meth:`project` of :meth:`features`."""
        return self.project(self.features(clips))
