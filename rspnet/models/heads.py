"""Projection heads g_m (RSP) and g_a (A-VID): global average pooling, then linear or MLP."""

from typing import Literal

from torch import Tensor, nn

HeadKind = Literal["linear", "mlp"]

EMBEDDING_DIM = 128


def global_average_pool(features: Tensor) -> Tensor:
    """Pool features (B, C, T', H', W') to x (B, C); pooled x passes through.

    Raises:
        ValueError: The tensor has neither two nor five dimensions.

    Example:
        >>> import torch
        >>> global_average_pool(torch.ones(2, 512, 2, 7, 7)).shape
        torch.Size([2, 512])
    """
    if features.ndim == 2:
        return features
    if features.ndim == 5:
        return features.mean(dim=(2, 3, 4))
    raise ValueError(
        "a head takes features (B, C, T', H', W') or pooled features (B, C), "
        f"got shape {tuple(features.shape)}"
    )


class LinearHead(nn.Linear):
    """z = W x + b with x the pooled features: the paper's head. The embedding is not normalised.

    Shape:
        (B, C, T', H', W') or (B, C) -> (B, 128).
    """

    def forward(self, input: Tensor) -> Tensor:
        """Project pooled features, or features that are pooled first."""
        return super().forward(global_average_pool(input))


class MLPHead(nn.Sequential):
    """z = W2 relu(W1 x + b1) + b2, one hidden layer as wide as the features.

    Shape:
        (B, C, T', H', W') or (B, C) -> (B, 128).
    """

    def __init__(self, num_features: int, dim: int = EMBEDDING_DIM) -> None:
        super().__init__(
            nn.Linear(num_features, num_features),
            nn.ReLU(),
            nn.Linear(num_features, dim),
        )

    def forward(self, input: Tensor) -> Tensor:
        """Project pooled features, or features that are pooled first."""
        x = global_average_pool(input)
        for module in self:
            x = module(x)
        return x


def create_head(kind: str, num_features: int, dim: int = EMBEDDING_DIM) -> nn.Module:
    """Make a projection head.

    Raises:
        ValueError: ``kind`` is neither ``linear`` nor ``mlp``.
    """
    if kind == "linear":
        return LinearHead(num_features, dim)
    if kind == "mlp":
        return MLPHead(num_features, dim)
    raise ValueError(f"head kind is 'linear' or 'mlp', got {kind!r}")
