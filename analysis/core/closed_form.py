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

    Source: supplementary C, after Zhou et al. 2016, "Learning Deep Features for Discriminative
    Localization".

    Args:
        features: F, (B, C, T', H', W').
        weight: w of one class, (C,) or (1, C), or of K classes, (K, C).

    Shape:
        -> (B, T', H', W') for one class, (B, K, T', H', W') for K > 1 classes.

    Raises:
        ValueError: The shapes do not fit.

    Example:
        >>> import torch
        >>> from analysis import class_activation_map
        >>> F, w = torch.randn(1, 16, 2, 7, 7).double(), torch.randn(16).double()
        >>> found = class_activation_map(F, w)
        >>> found.shape
        torch.Size([1, 2, 7, 7])
        >>> torch.allclose(found.mean(), F.mean((2, 3, 4)) @ w)
        True
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
    exact version for the cosine that the model is trained on. Source: Eq. 2, supplementary C.

    Args:
        F_i: Features of c_i, (B, C, T', H', W').
        F_j: Features of c_j, (B, C, T'', H'', W'').
        W_i: The head's weight in c_i's branch, (D, C).
        W_j: The head's weight in c_j's branch, (D, C).

    Shape:
        -> (B, T', H', W').

    Raises:
        ValueError: The shapes do not fit.

    Example:
        >>> import torch
        >>> from analysis import similarity_map
        >>> F_i, F_j = torch.randn(2, 1, 16, 2, 7, 7).double()
        >>> W = torch.randn(128, 16).double()
        >>> s = (F_j.mean((2, 3, 4)) @ W.T) @ (F_i.mean((2, 3, 4)) @ W.T).T
        >>> torch.allclose(similarity_map(F_i, F_j, W, W).mean(), s)
        True
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


def local_embeddings(features: Tensor, head: nn.Module) -> tuple[Tensor, Tensor]:
    """What each position would embed to, (B, D, P), and their mean, the embedding z, (B, D)."""
    x = features.mean(dim=(2, 3, 4))
    affine = affine_head(head, x)
    local = affine.weight @ features.flatten(2) + affine.bias[..., None]
    return local, (affine.weight @ x[..., None])[..., 0] + affine.bias


def _unit(z_BD: Tensor) -> Tensor:
    """Embeddings at unit length."""
    length_B = torch.linalg.vector_norm(z_BD, dim=1)
    if (length_B == 0).any():
        where = (length_B == 0).nonzero().flatten().tolist()
        raise ValueError(f"the embedding of clip {where} has length 0: it has no cosine")
    unit_BD: Tensor = z_BD / length_B[:, None]
    return unit_BD


def unit_embedding(F: Tensor, head: nn.Module) -> Tensor:
    """The embedding z = W x + b of a clip's pooled features, at unit length, in double precision.

    Shape:
        (B, C, T', H', W') -> (B, D).

    Raises:
        ValueError: An embedding has length 0, or the head is of a kind that is not known.
    """
    _check_features(F=F)
    return _unit(local_embeddings(F.double(), head)[1])


def directed_map(F: Tensor, head: nn.Module, target_BD: Tensor) -> Tensor:
    """What each place of a clip contributes to (z / |z|) . t, for any vector t.

    c[p] = (W F[p] + b) . t / (P |z|), signed, and exact: it sums over (T', H', W') to the score.
    With t = z_j / |z_j| the score is the cosine of :func:`contribution_map`, with the difference
    of two such vectors the margin of :meth:`analysis.core.score.Score.margin`.

    Computed in double precision.

    Args:
        F: Features of the clip, (B, C, T', H', W').
        head: Projection head of its branch.
        target_BD: t, (B, D).

    Shape:
        -> (B, T', H', W') in the features' dtype, in units of the score.

    Raises:
        ValueError: Shapes do not fit, the head is of a kind that is not known, or the embedding
            has length 0.
    """
    _check_features(F=F)
    local_BDP, z = local_embeddings(F.double(), head)
    if target_BD.shape != z.shape:
        raise ValueError(
            f"the target is one vector a clip, {tuple(z.shape)}, got {tuple(target_BD.shape)}"
        )
    _unit(z)  # refuses length 0
    weight_B = 1 / (local_BDP.shape[2] * torch.linalg.vector_norm(z, dim=1))
    contributions = torch.einsum("bdp,bd,b->bp", local_BDP, target_BD.double(), weight_B)
    return contributions.reshape(F.shape[0], *F.shape[2:]).to(F.dtype)


def contribution_map(F_i: Tensor, F_j: Tensor, head_i: nn.Module, head_j: nn.Module) -> Tensor:
    """What each place of c_i contributes to the cosine of the two embeddings, exactly.

    c[p] = (W F_i[p] + b) . z_j / (P |z_i| |z_j|) with z = W x + b. The contributions are signed
    and sum over (T', H', W') to cos(z_i, z_j), bias and norms included. For a ReLU MLP head the
    gate at the pooled feature makes the head affine, and the sum is exact as well.

    Computed in double precision. Source: Eq. 2 (supplementary C) with the bias and the norms that
    it leaves out; this version is not in the paper.

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

    Example:
        >>> import torch
        >>> from analysis import contribution_map
        >>> F_i, F_j = torch.randn(2, 1, 16, 2, 7, 7).double()
        >>> head = torch.nn.Linear(16, 128).double()
        >>> z_i, z_j = (head(F.mean((2, 3, 4))) for F in (F_i, F_j))
        >>> found = contribution_map(F_i, F_j, head, head)
        >>> torch.allclose(found.sum(), torch.cosine_similarity(z_i, z_j))
        True
    """
    return directed_map(F_i, head_i, unit_embedding(F_j, head_j))


def pairwise_map(F_i: Tensor, F_j: Tensor, head_i: nn.Module, head_j: nn.Module) -> Tensor:
    """What each pair of places contributes: place p of c_i together with place q of c_j.

    c[p, q] = (W_i F_i[p] + b_i) . (W_j F_j[q] + b_j) / (P Q |z_i| |z_j|). Summed over q it is
    :func:`contribution_map` of c_i, over p that of c_j, over both the cosine.

    Args:
        F_i: Features of c_i, (B, C, T', H', W').
        F_j: Features of c_j, (B, C, T'', H'', W'').
        head_i: Projection head of c_i's branch.
        head_j: Projection head of c_j's branch.

    Shape:
        -> (B, T', H', W', T'', H'', W'') in the features' dtype, in units of the cosine.

    Raises:
        ValueError: As :func:`contribution_map`.

    Example:
        >>> import torch
        >>> from analysis import contribution_map, pairwise_map
        >>> F_i, F_j = torch.randn(2, 1, 16, 2, 7, 7).double()
        >>> head = torch.nn.Linear(16, 128).double()
        >>> pairs = pairwise_map(F_i, F_j, head, head)
        >>> pairs.shape
        torch.Size([1, 2, 7, 7, 2, 7, 7])
        >>> torch.allclose(pairs.sum((4, 5, 6)), contribution_map(F_i, F_j, head, head))
        True
    """
    _check_features(F_i=F_i, F_j=F_j)
    local_i, z_i = local_embeddings(F_i.double(), head_i)
    local_j, z_j = local_embeddings(F_j.double(), head_j)
    _unit(z_i), _unit(z_j)  # refuse length 0
    norms_B = torch.linalg.vector_norm(z_i, dim=1) * torch.linalg.vector_norm(z_j, dim=1)
    weight_B = 1 / (local_i.shape[2] * local_j.shape[2] * norms_B)
    pairs = torch.einsum("bdp,bdq,b->bpq", local_i, local_j, weight_B)
    return pairs.reshape(len(pairs), *F_i.shape[2:], *F_j.shape[2:]).to(F_i.dtype)


def pooled_map(F: Tensor, target_BC: Tensor, pooling: str) -> Tensor:
    """What each place contributes to (x / |x|) . t, with x the pooled features themselves.

    This is the similarity that retrieval ranks by when it takes no head (supplementary B).
    ``avg``: c[p] = F[p] . t / (P |x|). ``max``: the value of each channel comes from the cells
    where it is largest, so x_c t_c / |x| belongs to these, in equal parts if there are several.
    Either sums exactly to the score.

    Args:
        F: Features of a clip, (B, C, T', H', W').
        target_BC: t, (B, C), such as the other video's vector at unit length.
        pooling: ``max`` or ``avg``.

    Shape:
        -> (B, T', H', W') in the features' dtype.

    Raises:
        ValueError: Shapes or the pooling do not fit, or the pooled features have length 0.

    Example:
        >>> import torch
        >>> from analysis import pooled_map
        >>> F_i, F_j = torch.randn(2, 1, 16, 2, 7, 7).double()
        >>> x_i, x_j = (F.amax((2, 3, 4)) for F in (F_i, F_j))
        >>> found = pooled_map(F_i, x_j / x_j.norm(), "max")
        >>> torch.allclose(found.sum(), torch.cosine_similarity(x_i, x_j))
        True
    """
    _check_features(F=F)
    if target_BC.shape != F.shape[:2]:
        raise ValueError(
            f"the target is one vector a clip, {tuple(F.shape[:2])}, got {tuple(target_BC.shape)}"
        )
    flat_BCP = F.double().flatten(2)
    if pooling == "avg":
        x = flat_BCP.mean(dim=2)
        held_BCP = flat_BCP / flat_BCP.shape[2]
    elif pooling == "max":
        x = flat_BCP.amax(dim=2)
        won = (flat_BCP == x[..., None]).double()
        held_BCP = won / won.sum(dim=2, keepdim=True) * x[..., None]
    else:
        raise ValueError(f"pooling is 'max' or 'avg', got {pooling!r}")
    direction_BC = target_BC.double() / torch.linalg.vector_norm(x, dim=1)[:, None]
    _unit(x)  # refuses length 0
    contributions = torch.einsum("bcp,bc->bp", held_BCP, direction_BC)
    return contributions.reshape(F.shape[0], *F.shape[2:]).to(F.dtype)
