"""Maps against hand-computed values, naive loops, sums that must come out, and Captum."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from analysis.core.closed_form import (
    affine_head,
    class_activation_map,
    contribution_map,
    pairwise_map,
    pooled_map,
    similarity_map,
)
from rspnet.models.heads import create_head


def features(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def linear(seed: int, channels: int, dimension: int) -> nn.Linear:
    torch.manual_seed(seed)
    return nn.Linear(channels, dimension)


def test_class_map_by_hand() -> None:
    # Two channels on a 1 x 1 x 2 grid: at p = 0 (1, 2), at p = 1 (3, 4); w = (10, -1).
    F = torch.tensor([[[[[1.0, 3.0]]], [[[2.0, 4.0]]]]])
    M = class_activation_map(F, torch.tensor([10.0, -1.0]))
    assert M.tolist() == [[[[8.0, 26.0]]]]
    x = F.mean(dim=(2, 3, 4))[0]
    assert float(M.mean()) == float(torch.tensor([10.0, -1.0]) @ x) == 17.0


def test_class_maps_of_several_classes_are_those_of_each() -> None:
    F, W = features(0, 2, 5, 2, 3, 4), features(1, 3, 5)
    M = class_activation_map(F, W)
    assert M.shape == (2, 3, 2, 3, 4)
    for k in range(3):
        torch.testing.assert_close(M[:, k], class_activation_map(F, W[k]))


def test_similarity_map_by_hand() -> None:
    # One channel, D = 1: x_j = 3, so M = (W_j x_j) W_i F_i = (2 * 3) * 5 * F_i.
    F_i, F_j = torch.tensor([[[[[1.0, -2.0]]]]]), torch.tensor([[[[[2.0, 4.0]]]]])
    M = similarity_map(F_i, F_j, torch.tensor([[5.0]]), torch.tensor([[2.0]]))
    assert M.tolist() == [[[[30.0, -60.0]]]]


def test_similarity_map_is_equation_2_cell_by_cell() -> None:
    F_i, F_j = features(0, 2, 4, 2, 3, 3), features(1, 2, 4, 1, 2, 5)
    W_i, W_j = features(2, 6, 4), features(3, 6, 4)
    M = similarity_map(F_i, F_j, W_i, W_j)
    for b in range(2):
        x_j = F_j[b].flatten(1).mean(dim=1)
        s = (W_j @ x_j) @ (W_i @ F_i[b].flatten(1).mean(dim=1))
        assert float(M[b].mean()) == pytest.approx(float(s), rel=1e-5)
        for t, y, x in np.ndindex(2, 3, 3):
            cell = ((W_j @ x_j) @ W_i) @ F_i[b, :, t, y, x]
            assert float(M[b, t, y, x]) == pytest.approx(float(cell), rel=1e-4, abs=1e-5)


def test_contributions_by_hand() -> None:
    # D = C = 1, W = 1, b = 1: z_i = mean(0, 2) + 1 = 2, z_j = -3 + 1 = -2, cosine -1.
    head = nn.Linear(1, 1)
    nn.init.ones_(head.weight)
    nn.init.ones_(head.bias)
    F_i, F_j = torch.tensor([[[[[0.0, 2.0]]]]]), torch.tensor([[[[[-3.0]]]]])
    c = contribution_map(F_i, F_j, head, head)
    # (F + 1) * -2 / (2 * |2| * |-2|)
    assert c.flatten().tolist() == pytest.approx([-0.25, -0.75])


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_contributions_sum_to_the_cosine(kind: str) -> None:
    torch.manual_seed(0)
    worst = 0.0
    for seed in range(20):
        head_i, head_j = create_head(kind, 12), create_head(kind, 12)
        F_i, F_j = features(seed, 3, 12, 2, 4, 3), features(seed + 99, 3, 12, 4, 7, 7)
        z_i, z_j = (h(F.mean(dim=(2, 3, 4))) for h, F in ((head_i, F_i), (head_j, F_j)))
        cosine = nn.functional.cosine_similarity(z_i, z_j).detach()
        for c in (
            contribution_map(F_i, F_j, head_i, head_j),
            contribution_map(F_j, F_i, head_j, head_i),
        ):
            worst = max(worst, float((c.detach().sum(dim=(1, 2, 3)) - cosine).abs().max()))
    assert worst < 1e-6


def test_pairwise_map_sums_to_both_contribution_maps() -> None:
    head_i, head_j = linear(0, 5, 8), linear(1, 5, 8)
    F_i, F_j = features(2, 2, 5, 2, 2, 3), features(3, 2, 5, 1, 4, 2)
    pairs = pairwise_map(F_i, F_j, head_i, head_j)
    assert pairs.shape == (2, 2, 2, 3, 1, 4, 2)
    torch.testing.assert_close(pairs.sum(dim=(4, 5, 6)), contribution_map(F_i, F_j, head_i, head_j))
    torch.testing.assert_close(pairs.sum(dim=(1, 2, 3)), contribution_map(F_j, F_i, head_j, head_i))


def test_mlp_head_is_its_affine_map_at_the_pooled_features() -> None:
    torch.manual_seed(0)
    head = create_head("mlp", 10)
    x = features(1, 4, 10)
    affine = affine_head(head, x)
    z = (affine.weight @ x[..., None])[..., 0] + affine.bias
    torch.testing.assert_close(z, head(x), atol=1e-6, rtol=1e-5)


def test_released_heads_with_pooling_in_front_are_known() -> None:
    plain = linear(0, 6, 4)
    wrapped = nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten(), plain)
    F_i, F_j = features(1, 1, 6, 2, 3, 3), features(2, 1, 6, 2, 3, 3)
    torch.testing.assert_close(
        contribution_map(F_i, F_j, wrapped, wrapped), contribution_map(F_i, F_j, plain, plain)
    )


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_captum_agrees(kind: str) -> None:
    """LayerGradCam without its ReLU on the unnormalised dot product is Eq. 2 and its MLP form.

    Its map is the channel sum of (mean gradient) * F. Of s = z_j . z_i the gradient in every
    cell is (W^T z_j) / P, so P times Captum's map is (W^T z_j) F_i[p].
    """
    attribution = pytest.importorskip("captum.attr")
    torch.manual_seed(0)
    conv = nn.Conv3d(3, 7, 3, padding=1)
    head = create_head(kind, 7)
    clip, other = features(1, 2, 3, 4, 6, 6), features(2, 2, 3, 4, 6, 6)
    with torch.no_grad():
        F_i, F_j = conv(clip), conv(other)
        z_j = head(F_j.mean(dim=(2, 3, 4)))

    def similarity(x: Tensor) -> Tensor:
        return (head(conv(x).mean(dim=(2, 3, 4))) * z_j).sum(dim=1)

    witness = attribution.LayerGradCam(similarity, conv).attribute(clip, relu_attributions=False)
    num_cells = F_i[0, 0].numel()
    got = num_cells * witness[:, 0]
    # Without the bias' even share: the gradient does not see it.
    affine = affine_head(head, F_i.mean(dim=(2, 3, 4)))
    direction = torch.einsum("bdc,bd->bc", affine.weight, z_j)
    torch.testing.assert_close(
        got.detach(), torch.einsum("bc,bcthw->bthw", direction, F_i).detach(), atol=1e-5, rtol=1e-5
    )
    # And with norms and bias put back it is the contribution map.
    z_i = head(F_i.mean(dim=(2, 3, 4)))
    bias = (affine.bias * z_j).sum(dim=1)[:, None, None, None]
    norms = (num_cells * z_i.norm(dim=1) * z_j.norm(dim=1))[:, None, None, None]
    expected = contribution_map(F_i, F_j, head, head)
    torch.testing.assert_close(
        ((got + bias) / norms).detach(), expected.detach(), atol=1e-5, rtol=0
    )
    if kind == "linear":
        head_weight = affine.weight[0].detach()
        eq2 = similarity_map(F_i, F_j, head_weight, head_weight)
        without_bias = torch.einsum("bc,bcthw->bthw", (z_j - affine.bias) @ head_weight, F_i)
        torch.testing.assert_close(eq2, without_bias.detach(), atol=1e-5, rtol=1e-5)


def test_mistakes_are_named() -> None:
    F = features(0, 2, 5, 1, 2, 2)
    with pytest.raises(ValueError, match=r"F_i are features \(B, C, T', H', W'\)"):
        similarity_map(F[0], F, torch.ones(3, 5), torch.ones(3, 5))
    with pytest.raises(ValueError, match=r"W_j is \(D, C\) with C = 5"):
        similarity_map(F, F, torch.ones(3, 5), torch.ones(3, 4))
    with pytest.raises(ValueError, match="one D"):
        similarity_map(F, F, torch.ones(3, 5), torch.ones(4, 5))
    with pytest.raises(ValueError, match=r"weight is \(C,\)"):
        class_activation_map(F, torch.ones(4))
    with pytest.raises(ValueError, match="layer 0 of the head is Tanh"):
        contribution_map(F, F, nn.Sequential(nn.Tanh()), nn.Sequential(nn.Tanh()))
    dead = nn.Linear(5, 3)
    nn.init.zeros_(dead.weight)
    nn.init.zeros_(dead.bias)
    with pytest.raises(ValueError, match=r"clip \[0, 1\] has length 0"):
        contribution_map(F, F, dead, dead)


def test_pooled_map_by_hand() -> None:
    # Two channels of 1 x 2 x 2 cells: means 2.5 and 1, largest values 4 and 4.
    F = torch.tensor([[[[[1.0, 2.0], [3.0, 4.0]]], [[[4.0, 0.0], [0.0, 0.0]]]]])
    target = torch.tensor([[1.0, 2.0]])
    average = pooled_map(F, target, "avg")
    expected = torch.tensor([[[[9.0, 2.0], [3.0, 4.0]]]]) / (4 * math.sqrt(2.5**2 + 1))
    torch.testing.assert_close(average, expected)
    largest = pooled_map(F, target, "max")
    expected = torch.tensor([[[[8.0, 0.0], [0.0, 4.0]]]]) / math.sqrt(32)
    torch.testing.assert_close(largest, expected)
    for wrong in (torch.ones(1, 3), torch.ones(2, 2), torch.ones(2)):
        with pytest.raises(ValueError, match=r"the target is one vector a clip, \(1, 2\)"):
            pooled_map(F, wrong, "avg")
    with pytest.raises(ValueError, match="pooling is 'max' or 'avg', got 'mean'"):
        pooled_map(F, target, "mean")
