"""Activation maps of a class score and of a similarity, exact and signed.

Notation follows the paper's supplementary C: F are features of the last convolutional layer, x
their global average, W and b a projection head, z = W x + b the embedding, s a similarity of two
clips. P = T' * H' * W' is the number of positions p.

Shapes: B batch, C channels, D embedding, K classes; i and j are the two clips of a pair.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


def _check_features(**features: Tensor) -> None:
    for name, tensor in features.items():
        if tensor.ndim != 5:
            raise ValueError(
                f"{name} are features (B, C, T', H', W') of the last convolutional layer, "
                f"got shape {tuple(tensor.shape)}"
            )


def class_activation_map(features: Tensor, weight: Tensor) -> Tensor:
    """Eq. 1: M_v = w F, whose mean over all positions is the class score v = w x.

    Args:
        features: F, (B, C, T', H', W').
        weight: w of one class, (C,) or (1, C), or of K classes, (K, C).

    Shape:
        -> (B, T', H', W') for one class, (B, K, T', H', W') for K > 1 classes.

    Raises:
        ValueError: The shapes do not fit.
    """
    _check_features(features=features)
    weights = weight[None] if weight.ndim == 1 else weight
    if weights.ndim != 2 or weights.shape[1] != features.shape[1]:
        raise ValueError(
            f"weight is (C,) or (K, C) with C = {features.shape[1]} as in the features, "
            f"got shape {tuple(weight.shape)}"
        )
    maps = torch.einsum("kc,bcthw->bkthw", weights, features)
    return maps[:, 0] if len(weights) == 1 else maps


def similarity_map(F_i: Tensor, F_j: Tensor, W_i: Tensor, W_j: Tensor) -> Tensor:
    """Eq. 2, verbatim: M_s = ((W_j x_j)^T W_i) F_i of clip c_i.

    Its mean over all positions is s = (W_j x_j)^T (W_i x_i), the similarity without the heads'
    bias and without the norms. Swap i and j for the map of c_j. :func:`contribution_map` is the
    exact version for the cosine that the model is trained on.

    Args:
        F_i: Features of c_i, (B, C, T', H', W').
        F_j: Features of c_j, (B, C, T'', H'', W'').
        W_i: The head's weight in c_i's branch, (D, C).
        W_j: The head's weight in c_j's branch, (D, C).

    Shape:
        -> (B, T', H', W').

    Raises:
        ValueError: The shapes do not fit.
    """
    _check_features(F_i=F_i, F_j=F_j)
    for name, W, F in (("W_i", W_i, F_i), ("W_j", W_j, F_j)):
        if W.ndim != 2 or W.shape[1] != F.shape[1]:
            raise ValueError(f"{name} is (D, C) with C = {F.shape[1]}, got shape {tuple(W.shape)}")
    if W_i.shape[0] != W_j.shape[0] or F_i.shape[0] != F_j.shape[0]:
        raise ValueError(
            "both heads have one D and both features one B, got "
            f"W_i {tuple(W_i.shape)}, W_j {tuple(W_j.shape)}, "
            f"F_i {tuple(F_i.shape)}, F_j {tuple(F_j.shape)}"
        )
    x_j = F_j.mean(dim=(2, 3, 4))
    direction_BC = (x_j @ W_j.T) @ W_i
    return torch.einsum("bc,bcthw->bthw", direction_BC, F_i)


@dataclass(frozen=True)
class AffineHead:
    """A head as the affine map z = W x + b that it is at these clips.

    Attributes:
        weight: (B, D, C).
        bias: (B, D).
    """

    weight: Tensor
    bias: Tensor


def affine_head(head: nn.Module, x: Tensor) -> AffineHead:
    """A projection head as an affine map, exact at the pooled features x.

    A linear head is affine as it is. A ReLU layer is so once its gate is fixed: the gate is taken
    at x. Pooling and flattening in front (as in the released heads) are passed over, because x is
    pooled already.

    Args:
        head: ``nn.Linear``, or an ``nn.Sequential`` of ``nn.Linear``, ``nn.ReLU``,
            ``nn.Identity``, and leading ``nn.AdaptiveAvgPool3d`` and ``nn.Flatten``.
        x: Pooled features, (B, C).

    Raises:
        ValueError: The head holds something else, for which no exact map is known.
    """
    layers: list[nn.Module] = list(head) if isinstance(head, nn.Sequential) else [head]
    num, channels = x.shape
    weight = torch.eye(channels, dtype=x.dtype, device=x.device).expand(num, -1, -1)
    bias = torch.zeros_like(x)
    for number, layer in enumerate(layers):
        if isinstance(layer, nn.Linear):
            W = layer.weight.to(x.dtype)
            weight, bias = W @ weight, bias @ W.T
            if layer.bias is not None:
                bias = bias + layer.bias.to(x.dtype)
        elif isinstance(layer, nn.ReLU):
            gate = ((weight @ x[..., None])[..., 0] + bias > 0).to(x.dtype)
            weight, bias = gate[..., None] * weight, gate * bias
        elif not isinstance(layer, nn.Identity | nn.AdaptiveAvgPool3d | nn.Flatten):
            raise ValueError(
                f"layer {number} of the head is {type(layer).__name__}; exact maps are known for "
                "heads of Linear and ReLU layers"
            )
    return AffineHead(weight, bias)


def _local_embeddings(features: Tensor, head: nn.Module) -> tuple[Tensor, Tensor]:
    """What each position would embed to, (B, D, P), and the embedding z, (B, D)."""
    x = features.mean(dim=(2, 3, 4))
    affine = affine_head(head, x)
    local = affine.weight @ features.flatten(2) + affine.bias[..., None]
    return local, (affine.weight @ x[..., None])[..., 0] + affine.bias


def _norms(z_i: Tensor, z_j: Tensor) -> Tensor:
    norms: Tensor = torch.linalg.vector_norm(z_i, dim=1) * torch.linalg.vector_norm(z_j, dim=1)
    if (norms == 0).any():
        where = (norms == 0).nonzero().flatten().tolist()
        raise ValueError(f"the embedding of pair {where} has length 0: it has no cosine")
    return norms


def contribution_map(F_i: Tensor, F_j: Tensor, head_i: nn.Module, head_j: nn.Module) -> Tensor:
    """What each place of c_i contributes to the cosine of the two embeddings, exactly.

    c[p] = (W F_i[p] + b) . z_j / (P |z_i| |z_j|) with z = W x + b. The contributions are signed
    and sum over (T', H', W') to cos(z_i, z_j), bias and norms included. For a ReLU MLP head the
    gate at the pooled feature makes the head affine, and the sum is exact as well.

    Computed in double precision.

    Args:
        F_i: Features of c_i, (B, C, T', H', W').
        F_j: Features of c_j, (B, C, T'', H'', W''); the grids may differ.
        head_i: Projection head of c_i's branch.
        head_j: Projection head of c_j's branch.

    Shape:
        -> (B, T', H', W') in the features' dtype, in units of the cosine.

    Raises:
        ValueError: Shapes do not fit, a head is of a kind that is not known, or an embedding has
            length 0.
    """
    _check_features(F_i=F_i, F_j=F_j)
    local_BDP, z_i = _local_embeddings(F_i.double(), head_i)
    _, z_j = _local_embeddings(F_j.double(), head_j)
    weight_B = 1 / (local_BDP.shape[2] * _norms(z_i, z_j))
    contributions = torch.einsum("bdp,bd,b->bp", local_BDP, z_j, weight_B)
    return contributions.reshape(F_i.shape[0], *F_i.shape[2:]).to(F_i.dtype)


def pairwise_map(F_i: Tensor, F_j: Tensor, head_i: nn.Module, head_j: nn.Module) -> Tensor:
    """What each pair of places contributes: place p of c_i together with place q of c_j.

    c[p, q] = (W_i F_i[p] + b_i) . (W_j F_j[q] + b_j) / (P Q |z_i| |z_j|). Summed over q it is
    :func:`contribution_map` of c_i, over p that of c_j, over both the cosine.

    Shape:
        (B, C, T', H', W'), (B, C, T'', H'', W'') -> (B, T', H', W', T'', H'', W'').

    Raises:
        ValueError: As :func:`contribution_map`.
    """
    _check_features(F_i=F_i, F_j=F_j)
    local_i, z_i = _local_embeddings(F_i.double(), head_i)
    local_j, z_j = _local_embeddings(F_j.double(), head_j)
    weight_B = 1 / (local_i.shape[2] * local_j.shape[2] * _norms(z_i, z_j))
    pairs = torch.einsum("bdp,bdq,b->bpq", local_i, local_j, weight_B)
    return pairs.reshape(len(pairs), *F_i.shape[2:], *F_j.shape[2:]).to(F_i.dtype)
