"""Captum's methods: equal to the closed form where they must be, and the model left as it was."""

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from analysis.attribution.captum_methods import (
    METHODS,
    attribute,
    feature_ablation,
    integrated_gradients,
    layer_gradcam,
    motion_pixels,
    occlusion,
    preserve_model_state,
    region_pixels,
    with_detached_norm,
)
from analysis.attribution.pairwise import explain_pairwise
from analysis.core.cells import CellSwap, filling
from analysis.core.clip import ClipInfo, View
from analysis.core.closed_form import affine_head, directed_map
from analysis.core.score import Score, extract_features
from rspnet.models import Branch, from_module


def make(head: str, arch: str = "resnet18_fine") -> tuple[Branch, Branch]:
    torch.manual_seed(1)
    width = 4 if arch == "resnet18_fine" else 2
    query, key = (
        Branch(arch, {"width": width}, head=head, num_frames=8, size=32).eval() for _ in "qk"
    )
    with torch.no_grad():
        for branch in (query, key):  # a bias that counts
            for name in branch.heads:
                layers = [m for m in branch.head(name).modules() if isinstance(m, torch.nn.Linear)]
                for layer in layers:
                    layer.bias.normal_(0, 0.5)
    return query, key


def clip(seed: int) -> Tensor:
    return torch.randn(3, 8, 32, 32, generator=torch.Generator().manual_seed(seed))


def similarity(query: Branch, key: Branch, head: str = "rsp") -> Score:
    return Score.similarity(query, head, extract_features(key, clip(1)))


def margin(query: Branch, key: Branch, head: str = "rsp") -> Score:
    return Score.margin(
        query, head, extract_features(key, clip(1)), [extract_features(key, clip(2))]
    )


@pytest.mark.parametrize("kind", ["linear", "mlp"])
@pytest.mark.parametrize("head", ["rsp", "avid"])
@pytest.mark.parametrize("question", [similarity, margin])
def test_gradcam_with_the_length_held_is_the_contribution_map(kind, head, question) -> None:
    query, key = make(kind)
    score = question(query, key, head)
    ours = score.contributions(extract_features(query, clip(0)))
    theirs = layer_gradcam(score, clip(0))
    assert theirs.grid == ours.grid
    assert theirs.kind == "layer_gradcam"
    scale = np.abs(ours.values).max()
    np.testing.assert_allclose(theirs.values, ours.values, atol=1e-5 * scale)
    assert theirs.score == ours.score


def test_gradcam_without_bias_lacks_one_constant_which_is_the_bias() -> None:
    query, key = make("mlp")
    score = similarity(query, key)
    seen = extract_features(query, clip(0))
    lacking = (
        score.contributions(seen).values - layer_gradcam(score, clip(0), with_bias=False).values
    )
    x = seen.features.double().mean(dim=(2, 3, 4))
    affine = affine_head(query.head("rsp"), x)
    z = (affine.weight @ x[..., None])[0, :, 0] + affine.bias[0]
    expected = (affine.bias[0] @ score.target / (lacking.size * z.norm())).item()
    assert abs(expected) > 1e-6
    np.testing.assert_allclose(lacking, expected, atol=1e-8)


def test_gradcam_with_the_length_free_is_the_map_of_the_target_across_z() -> None:
    query, key = make("linear")
    with torch.no_grad():
        query.head("rsp").bias.zero_()
    score = similarity(query, key)
    seen = extract_features(query, clip(0))
    unit = seen.unit("rsp").detach()
    across = score.target - (unit @ score.target) * unit
    with torch.no_grad():
        F = seen.features.double()
        expected = directed_map(F, query.head("rsp"), across[None])[0].numpy()
    found = layer_gradcam(score, clip(0), length="free").values
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
    assert abs(found.sum()) < 1e-6


def test_holding_the_length_changes_the_gradient_and_not_the_value() -> None:
    query, key = make("linear")
    score = margin(query, key)
    assert torch.allclose(with_detached_norm(score)(clip(0)[None]), score(clip(0)[None]), atol=1e-6)


def test_feature_ablation_is_the_drop_of_each_cell() -> None:
    query, key = make("linear", "resnet18")
    score = margin(query, key)
    found = feature_ablation(score, clip(0), fill="static", batch_size=3)
    grid = found.grid
    swap = CellSwap.of(clip(0)[None], "static", grid)
    with torch.no_grad():
        whole = score(clip(0)[None]).item()
        for cell in np.ndindex(*grid.cells):
            kept = torch.ones(1, *grid.cells)
            kept[(0, *cell)] = 0
            drop = whole - score(swap(kept)).item()
            assert found.values[cell] == pytest.approx(drop, abs=1e-6)
    assert found.fill == "static"


def test_each_head_misses_the_cells_of_its_own_colour(planted_branch: Branch) -> None:
    x = torch.zeros(3, 16, 112, 112)
    x[0, :, 40:72, 16:48] = 1.0
    x[2, :, 40:72, 64:96] = 1.0
    branch = copy.deepcopy(planted_branch)
    for feature, (head, columns) in enumerate({"rsp": slice(1, 4), "avid": slice(4, 7)}.items()):
        with torch.no_grad():
            branch.head(head).bias[5] = 0.01  # else the cosine is 1 whatever the feature
        score = Score(branch, head, torch.eye(128, dtype=torch.float64)[feature])
        # Black is below 0, the background: the planted network takes both for nothing.
        drop = feature_ablation(score, x, fill="black").values.sum(axis=(0, 1))
        assert drop[columns].sum() > 0.9 * np.abs(drop).sum() > 0


def test_occlusion_by_a_loop() -> None:
    query, key = make("linear", "resnet18")  # cells of 16 x 16 x 16: two boxes along each side
    score = similarity(query, key)
    found = occlusion(score, clip(0), batch_size=2)
    stride = [min(int(s), n) for s, n in zip(found.grid.stride, found.grid.clip, strict=True)]
    fill = filling(clip(0)[None], "mean", found.grid)[0]
    drops = np.zeros(found.grid.clip)
    with torch.no_grad():
        whole = score(clip(0)[None]).item()
        starts = [range(0, n, s) for n, s in zip(found.grid.clip, stride, strict=True)]
        for t in starts[0]:
            for y in starts[1]:
                for x in starts[2]:
                    box = (
                        slice(t, t + stride[0]),
                        slice(y, y + stride[1]),
                        slice(x, x + stride[2]),
                    )
                    hidden = clip(0)
                    hidden[(slice(None), *box)] = fill[(slice(None), *box)]
                    drops[box] = whole - score(hidden[None]).item()
    where = [found.grid.cell_of(axis) for axis in range(3)]
    for cell in np.ndindex(*found.grid.cells):
        inside = np.ix_(*(where[axis] == cell[axis] for axis in range(3)))
        assert found.values[cell] == pytest.approx(drops[inside].mean(), abs=1e-6)


def test_integrated_gradients_sum_to_the_difference_of_scores() -> None:
    query, key = make("linear")
    score = similarity(query, key)
    found = integrated_gradients(score, clip(0), fill="static", num_steps=200, batch_size=32)
    with torch.no_grad():
        fill = filling(clip(0)[None], "static", found.grid)
        expected = (score(clip(0)[None]) - score(fill)).item()
    assert found.convergence_delta is not None
    assert found.values.sum() - expected == pytest.approx(found.convergence_delta, abs=1e-5)
    assert abs(found.convergence_delta) < 0.02 * np.abs(found.values).sum()
    assert found.manifest()["convergence_delta"] == found.convergence_delta


@pytest.mark.parametrize("method", list(METHODS))
def test_the_model_is_left_as_it_was(method) -> None:
    query, key = make("linear", "resnet18")
    score = similarity(query, key)
    query.train()
    query.encoder.bn1.eval()
    query.encoder.conv1.weight.requires_grad_(False)
    query.head("rsp").weight.grad = torch.ones_like(query.head("rsp").weight)
    before = {name: value.clone() for name, value in query.state_dict().items()}
    modes = [module.training for module in query.modules()]
    takes = [p.requires_grad for p in query.parameters()]
    x = clip(0)
    options = {"num_steps": 2} if method == "integrated_gradients" else {}
    attribute(score, x, method, **options)
    assert [module.training for module in query.modules()] == modes
    assert [p.requires_grad for p in query.parameters()] == takes
    assert all(torch.equal(before[name], value) for name, value in query.state_dict().items())
    assert (query.head("rsp").weight.grad == 1).all()
    assert query.head("avid").weight.grad is None
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in query.modules())
    assert not x.requires_grad
    assert torch.equal(x, clip(0))


def test_hooks_of_a_failed_block_are_taken_away_and_earlier_ones_stay() -> None:
    layer = torch.nn.Linear(2, 2)
    mine = layer.register_forward_hook(lambda *_: None)

    def fail() -> None:
        with preserve_model_state(layer):
            layer.register_forward_hook(lambda *_: None)
            assert not layer.training
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        fail()
    assert list(layer._forward_hooks) == [mine.id]
    assert layer.training
    assert layer.weight.requires_grad


def test_a_view_says_where_the_clip_is_from() -> None:
    query, key = make("linear", "resnet18")
    frames = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    info = ClipInfo("v.mp4", tuple(range(8)), 2)
    found = layer_gradcam(similarity(query, key), View(frames, info))
    assert found.clip == info
    assert found.completeness_error is None


def test_errors_say_what_there_is() -> None:
    query, key = make("linear", "resnet18")
    score = similarity(query, key)
    with pytest.raises(ValueError, match=r"methods are .*'layer_gradcam'.*got 'guess'"):
        attribute(score, clip(0), "guess")
    with pytest.raises(ValueError, match="'held' or 'free', got 'long'"):
        layer_gradcam(score, clip(0), length="long")
    with pytest.raises(ValueError, match="num_steps and batch_size are positive"):
        integrated_gradients(score, clip(0), num_steps=0)
    with pytest.raises(ValueError, match="one normalised clip"):
        occlusion(score, torch.zeros(8, 32, 32))


def test_pixels_of_a_linear_score_are_exact() -> None:
    """With a score that is linear in the clip a pixel has its weights times its change."""
    query, key = make("linear")
    weights = torch.randn(3, 8, 32, 32, generator=torch.Generator().manual_seed(2))

    class Linear(Score):
        def __call__(self, clips_BCTHW: Tensor) -> Tensor:
            return (clips_BCTHW * weights).sum(dim=(1, 2, 3, 4))

    own = similarity(query, key)
    found = motion_pixels(Linear(query, "rsp", own.target), clip(0), num_steps=2)
    change = clip(0) - clip(0)[:, 4:5]
    assert np.allclose(found.values, (weights * change).sum(dim=0), atol=1e-5)
    assert found.grid.cells == found.grid.clip == (8, 32, 32)
    assert np.abs(found.values[4]).max() == 0  # the frame that the static clip repeats


def test_pixels_sum_to_what_movement_adds_within_the_tolerance() -> None:
    query, key = make("linear")
    for score in (similarity(query, key), margin(query, key, "avid")):
        own = clip(0)[None]
        static = own[:, :, 4:5].expand_as(own)
        with torch.no_grad():
            added = float(score(own) - score(static))
        found = motion_pixels(score, clip(0), num_steps=8)
        error = abs(found.values.sum() - added)
        assert error <= 0.011 * np.abs(found.values).sum()
        assert found.convergence_delta == pytest.approx(found.values.sum() - added, abs=1e-5)
    still = motion_pixels(score, static[0])
    assert np.abs(still.values).max() == 0


def test_pixels_that_answer_to_a_region_are_exact_where_cells_are_averages() -> None:
    """Only red changes, and all pixels count alike: each has its part of the red change."""
    branch = from_module(nn.AvgPool3d(4), num_frames=8, size=16)
    generator = torch.Generator().manual_seed(0)
    first, still = torch.rand(2, 3, 8, 16, 16, generator=generator)
    second = still[:, 4:5].expand(3, 8, 16, 16).clone()
    red = torch.rand(8, 16, 16, generator=generator) - 0.5
    red[4] = 0  # the frame that the static clip repeats
    second[0] += red
    c_i = extract_features(branch, first)
    cells = np.zeros(c_i.grid.cells, bool)
    cells[0, :2] = True
    found = region_pixels(c_i, cells, "features", branch, second, num_steps=32)
    x_i = c_i.features[0].double().numpy()
    held = x_i[:, cells].sum(axis=1) / cells.size / np.linalg.norm(x_i.mean(axis=(1, 2, 3)))
    z = [own.double().numpy().mean(axis=(1, 2, 3)) for own in (second, still[:, 4:5])]
    share, resting = (held @ own / np.linalg.norm(own) for own in z)
    assert found.score == pytest.approx(share, abs=1e-6)
    expected = red.double().numpy() / float(red.double().sum()) * (share - resting)
    np.testing.assert_allclose(found.values, expected, atol=1e-6)
    assert abs(found.convergence_delta or 0) < 1e-5


def test_regions_of_a_partition_share_the_pixels_of_the_similarity() -> None:
    query, key = make("mlp")
    c_i = extract_features(query, clip(0))
    cells = np.zeros(c_i.grid.cells, bool)
    cells[:, 0] = True
    options = {"tolerance": 1e9, "num_steps": 4}  # as many points for each
    one, two = (
        region_pixels(c_i, part, "rsp", key, clip(1), **options) for part in (cells, ~cells)
    )
    score = Score.similarity(key, "rsp", c_i)
    whole = motion_pixels(score, clip(1), **options)
    assert one.score + two.score == pytest.approx(whole.score, abs=1e-6)
    np.testing.assert_allclose(one.values + two.values, whole.values, atol=1e-6)
    pairs = explain_pairwise(c_i, extract_features(key, clip(1)), "rsp")
    assert one.score == pytest.approx(pairs.values[:, 0].sum(), abs=1e-6)


def test_a_region_that_does_not_fit_is_refused() -> None:
    query, key = make("linear")
    c_i = extract_features(query, clip(0))
    for cells in (np.zeros((2, 2, 2), bool), np.ones((2, 2), bool), np.ones((2, 2, 2))):
        with pytest.raises(ValueError, match="one cell or more of"):
            region_pixels(c_i, cells, "rsp", key, clip(1))


def test_pixels_refuse_numbers_that_are_not_positive() -> None:
    query, key = make("linear")
    with pytest.raises(ValueError, match="got 24, 8 and 0"):
        motion_pixels(similarity(query, key), clip(0), tolerance=0)
