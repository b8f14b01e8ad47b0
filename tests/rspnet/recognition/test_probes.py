"""The linear probe and k-NN."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from rspnet.recognition.probes import fit_linear, knn_votes, linear_probe


def test_the_probe_stands_where_the_gradient_is_zero():
    torch.manual_seed(0)
    x, y = torch.randn(40, 5, dtype=torch.float64), torch.randint(3, (40,))
    W, b = fit_linear(x, y, 3, weight_decay=0.1)
    W, b = W.requires_grad_(), b.requires_grad_()
    loss = functional.cross_entropy(x @ W.T + b, y) + 0.05 * (W**2).sum()
    for gradient in torch.autograd.grad(loss, (W, b)):
        assert gradient.abs().max() < 1e-6


def test_the_probe_by_hand_for_one_feature_and_two_classes():
    # x = -1 and 1 with a class each: by symmetry W = (-w, w) with decay * w = p / 2 where
    # p = 1 / (1 + exp(2 w)) ... solved by bisection.
    decay = 0.1
    W, b = fit_linear(torch.tensor([[-1.0], [1.0]]), torch.tensor([0, 1]), 2, decay)
    low, high = 0.0, 10.0
    for _ in range(80):
        w = (low + high) / 2
        low, high = (w, high) if 1 / (1 + np.exp(2 * w)) > decay * w else (low, w)
    assert W.flatten().tolist() == pytest.approx([-w, w], abs=1e-5)
    assert b.tolist() == pytest.approx([0, 0], abs=1e-6)


def test_features_that_tell_the_class_give_the_class_whatever_their_scale():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 60)
    features = rng.normal(size=(60, 6)) * [1, 1e4, 1e-3, 1, 1, 0]
    features[:, 1] += 1e6 * labels
    features[:, 2] += (labels == 2) * 5
    logits = linear_probe(features[:40], labels[:40], features[40:], 4, 1e-3)
    assert (logits.argmax(axis=1) == labels[40:]).mean() > 0.9
    again = linear_probe(features[:40], labels[:40], features[40:], 4, 1e-3)
    assert np.array_equal(logits, again)


def test_votes_by_hand():
    train = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0], [-1.0, 0.0]])
    labels = np.array([0, 1, 1, 0])
    votes = knn_votes(train, labels, np.array([[1.0, 0.0]]), 2, k=3, temperature=0.5)
    # Cosines 1, 0.6 and 0: weights exp(0), exp(-0.4 / 0.5), exp(-1 / 0.5).
    assert votes[0].tolist() == pytest.approx([1.0, np.exp(-0.8) + np.exp(-2.0)])


def test_of_equally_near_videos_the_earlier_votes():
    train = np.array([[0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    votes = knn_votes(train, np.array([2, 0, 1]), np.array([[0.0, 1.0]]), 3, k=1)
    assert votes.tolist() == [[0.0, 0.0, 1.0]]
    with pytest.raises(ValueError, match="between 1 and the 3 training videos, got 4"):
        knn_votes(train, np.array([2, 0, 1]), train, 3, k=4)
    with pytest.raises(ValueError, match="a label for each row, got 2 rows, 3 labels"):
        fit_linear(torch.zeros(2, 1), torch.zeros(3, dtype=torch.long), 2, 0.1)
