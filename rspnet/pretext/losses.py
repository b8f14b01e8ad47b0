"""The two pretext losses as pure functions.

Cosine similarities are taken inside: embeddings need not be normalised by the caller.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

RSPForm = Literal["hinge", "hinge_logits", "logistic"]


def _check_embeddings(**tensors: Tensor) -> None:
    shapes = {name: tuple(t.shape) for name, t in tensors.items()}
    if any(t.ndim != 2 for t in tensors.values()) or len(set(shapes.values())) != 1:
        raise ValueError(f"embeddings have one shape (B, D), got {shapes}")


def rsp_margin(query: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    """d(c_i, c_j) - d(c_i, c_k): how much nearer the clip of the same speed is.

    Shape:
        Three times (B, D) -> (B,), in units of the cosine.

    Raises:
        ValueError: The shapes differ or are not (B, D).

    Example:
        >>> import torch
        >>> query, other = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
        >>> rsp_margin(query, positive=query, negative=other)
        tensor([1.])
    """
    _check_embeddings(query=query, positive=positive, negative=negative)
    same = functional.cosine_similarity(query, positive, dim=1)
    other = functional.cosine_similarity(query, negative, dim=1)
    return same - other


def rsp_loss(
    query: Tensor,
    positive: Tensor,
    negative: Tensor,
    form: RSPForm = "hinge",
    margin: float = 0.15,
    temperature: float = 0.07,
) -> Tensor:
    """Relative speed perception (Eq. 2): the clip of the same speed is to be nearer than the other.

    With m = d(c_i, c_j) - d(c_i, c_k) and d the cosine, the mean over the batch of

    * ``hinge``: max(0, margin - m), the paper's (margin 0.15);
    * ``hinge_logits``: max(0, margin - m / temperature), the released code's (margin 2.0, in
      units of the logits);
    * ``logistic``: softplus(-m / temperature); ``margin`` is not used.

    Args:
        query: g_m embeddings of c_i, (B, D).
        positive: g_m embeddings of c_j, the same speed, (B, D).
        negative: g_m embeddings of c_k, the other speed, (B, D).
        form: Which loss.
        margin: gamma, in the units of what it is compared with.
        temperature: tau of the forms that divide by it.

    Shape:
        Three times (B, D) -> scalar.

    Raises:
        ValueError: Shapes differ, the form is unknown, or the temperature is not positive.

    Example:
        >>> import torch
        >>> query, other = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
        >>> rsp_loss(query, positive=query, negative=other).item()  # told apart: no loss
        0.0
        >>> round(rsp_loss(query, positive=other, negative=other).item(), 4)  # the margin
        0.15
    """
    if form not in get_args(RSPForm):
        raise ValueError(f"form is one of {list(get_args(RSPForm))}, got {form!r}")
    if temperature <= 0:
        raise ValueError(f"temperature is positive, got {temperature}")
    difference = rsp_margin(query, positive, negative)
    if form == "hinge":
        return functional.relu(margin - difference).mean()
    if form == "hinge_logits":
        return functional.relu(margin - difference / temperature).mean()
    return functional.softplus(-difference / temperature).mean()


def avid_logits(
    query: Tensor,
    key: Tensor,
    queue: Tensor,
    temperature: float = 0.07,
    ignore: Tensor | None = None,
) -> Tensor:
    """Logits of the InfoNCE: the positive in column 0, then the queue.

    Args:
        query: g_a embeddings, (B, D).
        key: g_a embeddings of the positives, (B, D).
        queue: g_a keys of other videos, (D, K).
        temperature: tau.
        ignore: (B, K) booleans, True where a queue entry is no negative for this query (it
            comes from the same video).

    Shape:
        -> (B, 1 + K).

    Raises:
        ValueError: Shapes do not fit or the temperature is not positive.

    Example:
        >>> import torch
        >>> z, queue = torch.eye(2), torch.eye(2)
        >>> avid_logits(z, z, queue, temperature=1.0)
        tensor([[1., 1., 0.],
                [1., 0., 1.]])
    """
    _check_embeddings(query=query, key=key)
    if queue.ndim != 2 or queue.shape[0] != query.shape[1]:
        raise ValueError(
            f"queue has the shape (D, K) with D = {query.shape[1]} as in the query, "
            f"got {tuple(queue.shape)}"
        )
    if temperature <= 0:
        raise ValueError(f"temperature is positive, got {temperature}")
    negatives = functional.normalize(query, dim=1) @ functional.normalize(queue, dim=0)
    if ignore is not None:
        if ignore.shape != negatives.shape:
            raise ValueError(
                f"ignore has the shape (B, K) = {tuple(negatives.shape)}, got {tuple(ignore.shape)}"
            )
        negatives = negatives.masked_fill(ignore, float("-inf"))
    positives = functional.cosine_similarity(query, key, dim=1)
    return torch.cat([positives[:, None], negatives], dim=1) / temperature


def avid_loss(
    query: Tensor,
    keys: Sequence[Tensor],
    queue: Tensor,
    temperature: float = 0.07,
    ignore: Tensor | None = None,
) -> Tensor:
    """Appearance-focused video instance discrimination (Eq. 3): an InfoNCE for each key.

    The release gives two keys a query, c_j (same speed) and c_k (other speed), both against the
    same queue, so that appearance is matched whatever the speed.

    Args:
        query: g_a embeddings of c_i, (B, D).
        keys: Embeddings of the positives, each (B, D).
        queue: g_a keys of other videos, (D, K).
        temperature: tau.
        ignore: (B, K) booleans, see :func:`avid_logits`.

    Returns:
        The sum over ``keys`` of the mean over the batch, a scalar.

    Raises:
        ValueError: ``keys`` is empty or shapes do not fit.

    Example:
        >>> import torch
        >>> query, queue = torch.eye(3)[:2], torch.eye(3)[:, 2:]
        >>> round(avid_loss(query, [query], queue, temperature=1.0).item(), 4)  # log(1 + 1/e)
        0.3133
    """
    if not isinstance(keys, list | tuple) or len(keys) == 0:
        raise ValueError("keys is a list of one or more tensors (B, D)")
    total = query.new_zeros(())
    target = torch.zeros(query.shape[0], dtype=torch.long, device=query.device)
    for key in keys:
        logits = avid_logits(query, key, queue, temperature, ignore)
        total = total + functional.cross_entropy(logits, target)
    return total
