"""The losses against hand-computed values, naive loops and finite differences."""

import math

import pytest
import torch
from torch.nn import functional

from rspnet.pretext import avid_loss, rsp_loss, rsp_margin


def unit(*angles_deg: float) -> torch.Tensor:
    """Unit vectors in the plane at these angles."""
    angles = torch.deg2rad(torch.tensor(angles_deg, dtype=torch.float64))
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def embeddings(num: int, seed: int, dim: int = 128) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return functional.normalize(
        torch.randn(num, dim, generator=generator, dtype=torch.float64), dim=1
    )


# cos 0 = 1, cos 60 = 0.5, cos 90 = 0: margins m = d+ - d- of 0.5, -0.5 and 1.
QUERY, POSITIVE, NEGATIVE = unit(0, 0, 0), unit(60, 90, 0), unit(90, 60, 90)


def test_margin_by_hand():
    expected = torch.tensor([0.5, -0.5, 1.0], dtype=torch.float64)
    torch.testing.assert_close(rsp_margin(QUERY, POSITIVE, NEGATIVE), expected)


def test_hinge_by_hand():
    # max(0, 0.15 - m) = 0, 0.65, 0
    loss = rsp_loss(QUERY, POSITIVE, NEGATIVE)
    assert loss.item() == pytest.approx(0.65 / 3)


def test_hinge_logits_by_hand():
    # Released code: margin 2.0 on d / 0.07: m / 0.07 = 7.14, -7.14, 14.3 -> 0, 9.142857, 0
    loss = rsp_loss(QUERY, POSITIVE, NEGATIVE, form="hinge_logits", margin=2.0)
    assert loss.item() == pytest.approx((2.0 + 0.5 / 0.07) / 3)


def test_hinge_logits_is_the_hinge_times_one_over_tau():
    q, p, n = embeddings(32, 0), embeddings(32, 1), embeddings(32, 2)
    logits = rsp_loss(q, p, n, form="hinge_logits", margin=2.0, temperature=0.07)
    assert logits.item() == pytest.approx(rsp_loss(q, p, n, margin=0.14).item() / 0.07)


def test_logistic_by_hand():
    loss = rsp_loss(QUERY, POSITIVE, NEGATIVE, form="logistic", temperature=0.5)
    expected = sum(math.log1p(math.exp(-m / 0.5)) for m in (0.5, -0.5, 1.0)) / 3
    assert loss.item() == pytest.approx(expected)


@pytest.mark.parametrize("form", ["hinge", "hinge_logits", "logistic"])
def test_rsp_against_a_naive_loop(form):
    q, p, n = embeddings(17, 3), embeddings(17, 4), embeddings(17, 5)
    total = 0.0
    for a, b, c in zip(q, p, n, strict=True):
        m = float(a @ b) - float(a @ c)
        total += {
            "hinge": max(0.0, 0.15 - m),
            "hinge_logits": max(0.0, 0.15 - m / 0.07),
            "logistic": math.log1p(math.exp(-m / 0.07)),
        }[form]
    assert rsp_loss(q, p, n, form=form).item() == pytest.approx(total / 17)


def test_rsp_ignores_the_length_of_embeddings():
    q, p, n = embeddings(5, 6), embeddings(5, 7), embeddings(5, 8)
    assert rsp_loss(3 * q, 0.1 * p, 7 * n).item() == pytest.approx(rsp_loss(q, p, n).item())


def test_avid_against_a_naive_loop():
    q, queue = embeddings(6, 0), embeddings(40, 1).T
    keys = [embeddings(6, 2), embeddings(6, 3)]
    total = 0.0
    for key in keys:
        for i in range(6):
            positive = math.exp(float(q[i] @ key[i]) / 0.07)
            negatives = sum(math.exp(float(q[i] @ queue[:, k]) / 0.07) for k in range(40))
            total -= math.log(positive / (positive + negatives)) / 6
    assert avid_loss(q, keys, queue).item() == pytest.approx(total)


def test_avid_by_hand():
    # Positive at 0 degrees, one negative at 90: -log(e^2 / (e^2 + e^0)) with tau = 0.5.
    loss = avid_loss(unit(0), [unit(0)], unit(90).T, temperature=0.5)
    assert loss.item() == pytest.approx(math.log1p(math.exp(-2.0)))


def test_avid_ignored_entries_are_as_if_absent():
    q, key, queue = embeddings(4, 0), embeddings(4, 1), embeddings(10, 2).T
    ignore = torch.zeros(4, 10, dtype=torch.bool)
    ignore[:, 7:] = True
    masked = avid_loss(q, [key], queue, ignore=ignore)
    assert masked.item() == pytest.approx(avid_loss(q, [key], queue[:, :7]).item())


def test_gradients_by_finite_differences():
    q = embeddings(3, 0, dim=5).requires_grad_()
    p, n = embeddings(3, 1, dim=5), embeddings(3, 2, dim=5)
    queue = embeddings(7, 3, dim=5).T
    assert torch.autograd.gradcheck(lambda x: rsp_loss(x, p, n, form="logistic"), q)
    assert torch.autograd.gradcheck(lambda x: rsp_loss(x, p, n, form="hinge"), q)
    assert torch.autograd.gradcheck(lambda x: avid_loss(x, [p, n], queue), q)


def test_errors_name_what_was_wrong():
    q, p = embeddings(4, 0), embeddings(4, 1)
    with pytest.raises(ValueError, match="form is one of.*'hinge_logits'.*got 'softplus'"):
        rsp_loss(q, p, p, form="softplus")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="one shape"):
        rsp_loss(q, p[:2], p)
    with pytest.raises(ValueError, match="temperature is positive"):
        rsp_loss(q, p, p, form="logistic", temperature=0.0)
    with pytest.raises(ValueError, match="queue has the shape"):
        avid_loss(q, [p], embeddings(9, 2))
    with pytest.raises(ValueError, match="list of one or more"):
        avid_loss(q, [], embeddings(9, 2).T)
    with pytest.raises(ValueError, match="list of one or more"):
        avid_loss(q, p, embeddings(9, 2).T)  # type: ignore[arg-type]
