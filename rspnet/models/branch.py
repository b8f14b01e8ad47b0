"""One branch of RSPNet: an encoder and its two projection heads."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from rspnet.models.geometry import CellGeometry
from rspnet.models.heads import create_head, global_average_pool
from rspnet.models.registry import create_encoder

HEADS = ("rsp", "avid")


class Branch(nn.Module):
    """Encoder f with the heads g_m (``rsp``, motion) and g_a (``avid``, appearance).

    Args:
        arch: Encoder name, see :func:`rspnet.models.create_encoder`.
        encoder_options: Options of that encoder.
        head: ``linear`` (paper) or ``mlp``.
        num_frames: Frames of the clips that the model was made for.
        size: Height and width of these clips, in pixels.

    Attributes:
        arch: The encoder's name.
        heads: ``("rsp", "avid")``.
        cell_geometry: Where the cells of its features lie in a clip.
        hash: SHA-256 of the file that the weights came from, empty for new weights.
        metadata: What the file says about itself.
    """

    heads: tuple[str, str] = HEADS

    def __init__(
        self,
        arch: str,
        encoder_options: Mapping[str, Any] | None = None,
        *,
        head: str = "linear",
        num_frames: int = 16,
        size: int = 112,
    ) -> None:
        super().__init__()
        self.arch = arch
        self.encoder_options = dict(encoder_options or {})
        self.head_kind = head
        self.num_frames = num_frames
        self.size = size
        self.hash = ""
        self.metadata: dict[str, Any] = {}
        self.encoder = create_encoder(arch, **self.encoder_options)
        num_features, geometry = self.encoder.num_features, self.encoder.cell_geometry
        assert isinstance(num_features, int)
        assert isinstance(geometry, CellGeometry)
        self.cell_geometry = geometry
        self.num_features = num_features
        self.projections = nn.ModuleDict({name: create_head(head, num_features) for name in HEADS})

    def spec(self) -> dict[str, Any]:
        """What is needed to build this branch again, as plain JSON values."""
        return {
            "arch": self.arch,
            "encoder_options": self.encoder_options,
            "head": self.head_kind,
            "num_frames": self.num_frames,
            "size": self.size,
        }

    def features(self, clips: Tensor) -> Tensor:
        """Features of the last convolutional layer.

        Shape:
            (B, 3, T, H, W) normalised float32 -> (B, C, T', H', W').

        Raises:
            ValueError: The clips have another shape.
        """
        if clips.ndim != 5 or clips.shape[1] != 3:
            raise ValueError(
                "clips have the shape (B, 3, T, H, W), normalised float32 "
                f"(see rspnet.data.transforms.normalise), got {tuple(clips.shape)}"
            )
        return torch.as_tensor(self.encoder(clips))

    def head(self, name: str) -> nn.Module:
        """The projection module ``rsp`` or ``avid``.

        Raises:
            ValueError: There is no such head.
        """
        if name not in self.projections:
            raise ValueError(f"heads are {list(HEADS)}, got {name!r}")
        return self.projections[name]

    def project(self, features: Tensor) -> dict[str, Tensor]:
        """L2-normalised embeddings of both heads.

        Shape:
            (B, C, T', H', W') -> {"rsp": (B, 128), "avid": (B, 128)}.
        """
        x = global_average_pool(features)
        return {name: functional.normalize(self.projections[name](x), dim=1) for name in HEADS}

    def forward(self, clips: Tensor) -> dict[str, Tensor]:
        """Embeddings of clips: :meth:`project` of :meth:`features`."""
        return self.project(self.features(clips))
