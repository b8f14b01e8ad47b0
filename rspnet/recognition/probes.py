"""What frozen features are worth: a linear probe and a weighted k-NN, both deterministic."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

Floats = NDArray[np.float64]


def fit_linear(
    features: Tensor, labels: Tensor, num_classes: int, weight_decay: float, max_steps: int = 300
) -> tuple[Tensor, Tensor]:
    """Multinomial logistic regression by L-BFGS, from zero, in double precision.

    Minimises the mean cross-entropy + weight_decay / 2 * |W|^2; the bias is free.

    Args:
        features: (N, C), best standardised.
        labels: (N,).
        num_classes: K.
        weight_decay: Of the weights; 0 has no unique solution where classes can be separated.
        max_steps: Iterations of L-BFGS, at most.

    Returns:
        W (K, C) and b (K,), float64.

    Raises:
        ValueError: There is nothing to fit.
    """
    if len(features) == 0 or len(features) != len(labels):
        raise ValueError(
            f"expected a label for each row, got {len(features)} rows, {len(labels)} labels"
        )
    x = features.double()
    W = torch.zeros(num_classes, x.shape[1], dtype=torch.float64, requires_grad=True)
    b = torch.zeros(num_classes, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [W, b],
        max_iter=max_steps,
        tolerance_grad=1e-7,
        tolerance_change=1e-12,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = functional.cross_entropy(x @ W.T + b, labels) + weight_decay / 2 * (W**2).sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return W.detach(), b.detach()


def linear_probe(
    train: Floats, train_labels: NDArray[np.int64], test: Floats, num_classes: int, decay: float
) -> Floats:
    """Logits of test clips by a linear classifier on standardised, frozen features.

    Args:
        train: Features of training clips, (N, C).
        train_labels: Their classes, (N,).
        test: Features of test clips, (M, C).
        num_classes: K.
        decay: Weight decay, see :func:`fit_linear`.

    Returns:
        (M, K).
    """
    mean, std = train.mean(axis=0), train.std(axis=0)
    std[std == 0] = 1.0
    standardised = torch.from_numpy((train - mean) / std)
    W, b = fit_linear(standardised, torch.from_numpy(train_labels), num_classes, decay)
    logits: Floats = (torch.from_numpy((test - mean) / std) @ W.T + b).numpy()
    return logits


def knn_votes(
    train: NDArray[Any],
    train_labels: NDArray[np.int64],
    test: NDArray[Any],
    num_classes: int,
    k: int = 20,
    temperature: float = 0.07,
) -> Floats:
    """Votes of the k nearest training videos, each exp(cosine / temperature) (Wu et al. 2018).

    Of training videos equally near, the earlier counts as nearer.

    Args:
        train: L2-normalised vectors, (N, C).
        train_labels: (N,).
        test: L2-normalised vectors, (M, C).
        num_classes: K.
        k: Neighbours.
        temperature: tau.

    Returns:
        (M, K), each row's largest factor taken out.

    Raises:
        ValueError: k is not between 1 and N.
    """
    if not 1 <= k <= len(train):
        raise ValueError(f"k is between 1 and the {len(train)} training videos, got {k}")
    similarity = test.astype(np.float64) @ train.astype(np.float64).T
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    values = np.take_along_axis(similarity, nearest, axis=1)
    weights = np.exp((values - values.max(axis=1, keepdims=True)) / temperature)
    votes = np.zeros((len(test), num_classes))
    rows = np.arange(len(test))[:, None].repeat(k, axis=1)
    np.add.at(votes, (rows, train_labels[nearest]), weights)
    return votes
