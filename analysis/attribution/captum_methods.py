"""Captum's methods as independent attribution methods, of the scores of the closed-form maps.

Each takes a :class:`~analysis.core.score.Score` and a clip and gives a map on the model's own grid.
They do not use this package's algebra: Captum works on the network as it runs.

What Captum's LayerGradCam gives. Let z = W x + b with x the mean of the features F over P cells,
and the score (z . t) / |z|. LayerGradCam averages the score's gradient over the cells and takes its
product with the features of each cell, summed over channels.

- *Length held*: |z| is a constant at its value for this clip. The gradient at every cell is
  W^T t / (P |z|), so LayerGradCam is (W F[p]) . t / (P |z|). That is the contribution map minus the
  heads' bias, b . t / (P |z|), one constant for all cells. The sum lacks just P times it. So
  the constant is what the score has and the sum has not, shared out evenly, and with it the map
  *is* the contribution map. The same holds for a ReLU MLP head: its gradient takes the gate as it
  is.
- *Length free*: the gradient is W^T (t - s u) / (P |z|), with u = z / |z| and s the score. It
  is the map of another target, t minus its part along z, and without bias it sums to 0: it shows
  what would turn the embedding, not what the score is made of. It is given as it is.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from captum.attr import FeatureAblation, IntegratedGradients, LayerGradCam, Occlusion
from numpy.typing import NDArray
from torch import Tensor, nn

from analysis.core.cells import CellSwap, Fill, filling, num_pixels, sum_into_cells
from analysis.core.clip import ClipInfo, View
from analysis.core.clip_map import ClipMap, Map
from analysis.core.closed_form import local_embeddings
from analysis.core.grid import Grid
from analysis.core.score import ClipFeatures, Score, check_clip, extract_features
from rspnet.models import Branch, evaluation_mode
from rspnet.models.heads import global_average_pool

Length = Literal["held", "free"]
BATCH_SIZE = 16


@contextmanager
def preserve_model_state(model: nn.Module) -> Iterator[None]:
    """Within the block the model is in evaluation mode and its weights take no gradients.

    After it every module is in its own mode again and every weight takes gradients as before, with
    the gradient that it had, and hooks that were added are gone, even if the block failed.
    """
    hooks = [
        (held, set(held))
        for module in model.modules()
        for held in (
            module._forward_hooks, module._forward_pre_hooks, module._backward_hooks,
            module._backward_pre_hooks,
        )
    ]  # fmt: skip
    weights = [(weight, weight.requires_grad, weight.grad) for weight in model.parameters()]
    try:
        with evaluation_mode(model):
            model.requires_grad_(False)
            yield
    finally:
        for held, before in hooks:
            for name in set(held) - before:
                del held[name]
        for weight, takes, gradient in weights:
            weight.requires_grad_(takes)
            weight.grad = gradient


@dataclass(frozen=True)
class _Target:
    """A score with the clip that it is attributed to."""

    score: Score
    clip: Tensor
    seen: ClipFeatures

    def map_of(
        self,
        values: Map,
        method: str,
        units: str,
        fill: str = "",
        delta: float | None = None,
        grid: Grid | None = None,
    ) -> ClipMap:
        own = self.seen.embeddings[self.score.head].double() @ self.score.target
        return ClipMap(
            values=np.asarray(values, np.float64),
            score=float(own),
            head=self.score.head,
            kind=method,
            grid=grid or self.seen.grid,
            clip=self.seen.info,
            others=self.score.others,
            model_hash=self.score.branch.hash,
            units=units,
            fill=fill,
            convergence_delta=delta,
        )


@contextmanager
def _prepared(score: Score, clip: Tensor | View, info: ClipInfo | None) -> Iterator[_Target]:
    if isinstance(clip, View):
        info, clip = info or clip.info, clip.clip
    device = score.branch.device
    # A copy: Captum takes the gradient of what it is given.
    clip = check_clip(score.branch, clip).detach().to(device).clone()
    with preserve_model_state(score.branch), torch.enable_grad():
        yield _Target(score, clip, extract_features(score.branch, clip, info))


def with_detached_norm(score: Score) -> Callable[[Tensor], Tensor]:
    """The score with the embedding's length taken for a constant: its value is the same.

    Shape:
        The function takes clips (B, 3, T, H, W) and gives (B,).
    """
    head = score.branch.head(score.head)

    def evaluate(clips_BCTHW: Tensor) -> Tensor:
        z: Tensor = head(global_average_pool(score.branch.features(clips_BCTHW)))
        held = torch.linalg.vector_norm(z.detach(), dim=1)
        scores: Tensor = z @ score.target.to(z) / held
        return scores

    return evaluate


def layer_gradcam(
    score: Score,
    clip: Tensor | View,
    *,
    length: Length = "held",
    with_bias: bool = True,
    info: ClipInfo | None = None,
) -> ClipMap:
    """Captum's LayerGradCam on the features of the last convolutional layer, without its ReLU.

    Args:
        score: The target score.
        clip: Normalised, (3, T, H, W), or a view.
        length: ``held`` gives the contribution map, ``free`` the gradient of the cosine itself;
            see the text at the top of this module.
        with_bias: Share out evenly what the sum lacks of the score (only with ``held``, where that
            is the bias term exactly).
        info: Where the clip is from; a view knows.

    Raises:
        ValueError: The clip does not fit, or ``length`` is something else.
    """
    if length not in ("held", "free"):
        raise ValueError(f"length is 'held' or 'free', got {length!r}")
    with _prepared(score, clip, info) as target:
        forward = with_detached_norm(score) if length == "held" else score
        found = LayerGradCam(forward, score.branch.encoder).attribute(target.clip)
        values = found[0, 0].detach().double().cpu().numpy()
        result = target.map_of(values, "layer_gradcam", "share of the score, per cell")
        if length == "held" and with_bias:
            values = values + (result.score - values.sum()) / values.size
            return target.map_of(values, "layer_gradcam", result.units)
        return result


def integrated_gradients(
    score: Score,
    clip: Tensor | View,
    *,
    fill: Fill = "mean",
    num_steps: int = 50,
    batch_size: int = BATCH_SIZE,
    info: ClipInfo | None = None,
) -> ClipMap:
    """Captum's integrated gradients of the pixels, summed into the cells' territories.

    They sum to the score of the clip minus that of its baseline, but for the convergence delta.
    Source: Sundararajan et al. 2017, "Axiomatic Attribution for Deep Networks".

    Args:
        score: The target score.
        clip: Normalised, (3, T, H, W), or a view.
        fill: The baseline, a :data:`analysis.core.cells.Fill`.
        num_steps: Points of the path (Gauss-Legendre).
        batch_size: Points in one pass.
        info: Where the clip is from; a view knows.

    Raises:
        ValueError: The clip or the baseline does not fit, or a number is not positive.
    """
    if num_steps < 1 or batch_size < 1:
        raise ValueError(f"num_steps and batch_size are positive, got {num_steps} and {batch_size}")
    with _prepared(score, clip, info) as target:
        baseline = filling(target.clip, fill, target.seen.grid).contiguous()
        pixels, delta = IntegratedGradients(score).attribute(
            target.clip,
            baselines=baseline,
            n_steps=num_steps,
            internal_batch_size=batch_size,
            return_convergence_delta=True,
        )
        values = sum_into_cells(pixels[0].detach().sum(dim=0).cpu().numpy(), target.seen.grid)
        units = f"share of the score minus that of the baseline ({fill}), per cell"
        return target.map_of(values, "integrated_gradients", units, fill, float(delta))


def motion_pixels(
    score: Score,
    clip: Tensor | View,
    *,
    tolerance: float = 0.01,
    num_steps: int = 24,
    batch_size: int = 8,
    info: ClipInfo | None = None,
) -> ClipMap:
    """What movement adds to a score, pixel by pixel and frame by frame.

    Integrated gradients from the static clip (stopped at its middle frame) to the clip: the pixels
    sum to the score of the clip minus that of the static clip. Of a linear function of the clip it
    is exact: the function of the difference of both clips in that pixel.

    A pixel that does not change has 0 whatever the network is, so that any such map lies on what
    moves; that it does is no evidence of what a head looks at. Its sign, its sum, and shares of the
    sum in a region are (``python -m benchmarks.pixel_maps``).

    Args:
        score: The target score.
        clip: Normalised, (3, T, H, W), or a view.
        tolerance: Bound of the numerical error as a share of the sum of all pixels' sizes. Twice as
            many points are taken until it holds, at most eight times ``num_steps``.
        num_steps: Points of the path at first (Gauss-Legendre).
        batch_size: Points in one pass.
        info: Where the clip is from; a view knows.

    Returns:
        A map with a cell a pixel and frame, and its ``convergence_delta``.

    Raises:
        ValueError: The clip does not fit, or a number is not positive.

    Example:
        >>> import torch
        >>> from analysis import Score, example_branch, extract_features
        >>> from analysis.attribution.captum_methods import motion_pixels
        >>> branch = example_branch()
        >>> clip, other = torch.randn(2, 3, 8, 32, 32)
        >>> score = Score.similarity(branch, "rsp", extract_features(branch, other))
        >>> found = motion_pixels(score, clip)
        >>> found.grid.cells, bool(abs(found.convergence_delta) < 0.01 * abs(found.values).sum())
        ((8, 32, 32), True)
    """
    if min(num_steps, batch_size) < 1 or tolerance <= 0:
        raise ValueError(
            "num_steps, batch_size and tolerance are positive, "
            f"got {num_steps}, {batch_size} and {tolerance:g}"
        )
    with _prepared(score, clip, info) as target:
        baseline = filling(target.clip, "static", target.seen.grid).contiguous()
        for doubled in range(4):
            pixels, delta = IntegratedGradients(score).attribute(
                target.clip,
                baselines=baseline,
                n_steps=num_steps * 2**doubled,
                internal_batch_size=batch_size,
                return_convergence_delta=True,
            )
            values = pixels[0].detach().double().sum(dim=0).cpu().numpy()
            if abs(float(delta)) <= tolerance * np.abs(values).sum():
                break
        units = "added to the score by movement, per pixel and frame"
        grid = Grid.even(values.shape, target.seen.grid.clip)
        return target.map_of(values, "motion_pixels", units, "static", float(delta), grid)


def region_pixels(
    c_i: ClipFeatures,
    cells: NDArray[np.bool_],
    head: str,
    key: Branch,
    c_j: Tensor | View,
    **options: Any,
) -> ClipMap:
    """Which moving pixels of c_j answer to a region of c_i.

    A similarity is a sum over the cells of c_i, exactly, and so is the share of a region: it is the
    product of what the region adds to c_i's unit embedding with that of c_j. Of this share
    :func:`motion_pixels` says what movement in each pixel of c_j adds to it. The maps of the parts
    of a partition add up to the map of s. Integrated Jacobians (Moeller et al. 2023) take a path in
    both clips; here c_i needs none, as its cells are resolved in closed form.

    The size of a pixel's value says where c_j moves, whatever the region and the weights are: what
    tells regions apart is the sign.

    Args:
        c_i: Of the query branch.
        cells: The region of c_i, (T', H', W').
        head: ``rsp`` or ``avid``.
        key: Branch of c_j.
        c_j: Normalised, (3, T, H, W), or a view.
        **options: Of :func:`motion_pixels`.

    Returns:
        A map with a cell a pixel and frame. Its values sum to the region's share of s minus the
        share with c_j's static clip, but for ``convergence_delta``; its score is the share.

    Raises:
        ValueError: No cell is chosen, the mask does not fit, or as :func:`motion_pixels`.

    Example:
        >>> import numpy as np
        >>> from analysis import example_branch, example_views, extract_features
        >>> from analysis.attribution.captum_methods import region_pixels
        >>> branch = example_branch()
        >>> c_i, c_j = example_views(2)
        >>> left = np.zeros((2, 2, 2), bool)
        >>> left[:, :, 0] = True
        >>> found = region_pixels(extract_features(branch, c_i), left, "rsp", branch, c_j)
        >>> found.grid.cells, bool(abs(found.convergence_delta) < 0.01 * abs(found.values).sum())
        ((8, 32, 32), True)
    """
    if cells.shape != c_i.grid.cells or cells.dtype != np.bool_ or not cells.any():
        raise ValueError(
            f"a region is one cell or more of {c_i.grid.cells} as booleans, got {cells.dtype} "
            f"{cells.shape} with {int(np.count_nonzero(cells))} chosen"
        )
    c_i.unit(head)  # a length of 0 is refused
    with torch.no_grad():
        local, z = local_embeddings(c_i.features.double(), c_i.branch.head(head))
        inside = torch.from_numpy(cells.ravel()).to(local.device)
        held = local[0][:, inside].sum(dim=1) / local.shape[2]
        score = Score(key, head, held / torch.linalg.vector_norm(z[0]), others=(c_i.info,))
    units = "added to the region's share of s by movement, per pixel and frame"
    return replace(motion_pixels(score, c_j, **options), kind="region_pixels", units=units)


def occlusion(
    score: Score,
    clip: Tensor | View,
    *,
    fill: Fill = "mean",
    batch_size: int = BATCH_SIZE,
    info: ClipInfo | None = None,
) -> ClipMap:
    """Captum's occlusion by a box of a cell's stride, in pixels and frames.

    The box moves by its own size from the first pixel on. Its places are not the cells'
    territories, which lie about the cells' centres: each cell has the mean over its pixels of the
    drop that the boxes over them caused. Source: Zeiler and Fergus 2014.

    Args:
        score: The target score.
        clip: Normalised, (3, T, H, W), or a view.
        fill: What the box shows.
        batch_size: Boxes in one pass.
        info: Where the clip is from; a view knows.

    Raises:
        ValueError: The clip or the fill does not fit.
    """
    with _prepared(score, clip, info) as target, torch.no_grad():
        grid = target.seen.grid
        sizes = zip(grid.stride, grid.clip, strict=True)
        box = (3, *(min(n, max(1, round(stride))) for stride, n in sizes))
        pixels = Occlusion(score).attribute(
            target.clip,
            sliding_window_shapes=box,
            strides=box,
            baselines=filling(target.clip, fill, grid),
            perturbations_per_eval=batch_size,
        )
        # All channels of a pixel carry the drop.
        values = sum_into_cells(pixels[0].mean(dim=0).cpu().numpy(), grid) / num_pixels(grid)
        return target.map_of(values, "occlusion", "mean drop of the score", fill)


def feature_ablation(
    score: Score,
    clip: Tensor | View,
    *,
    fill: Fill = "mean",
    batch_size: int = BATCH_SIZE,
    info: ClipInfo | None = None,
) -> ClipMap:
    """Captum's feature ablation with one feature a cell: the drop when its territory is replaced.

    Args:
        score: The target score.
        clip: Normalised, (3, T, H, W), or a view.
        fill: What a replaced cell shows.
        batch_size: Cells in one pass.
        info: Where the clip is from; a view knows.

    Raises:
        ValueError: The clip or the fill does not fit.
    """
    with _prepared(score, clip, info) as target, torch.no_grad():
        swap = CellSwap.of(target.clip, fill, target.seen.grid)
        everything = torch.ones(1, *target.seen.grid.cells, device=target.clip.device)
        found = FeatureAblation(lambda kept: score(swap(kept))).attribute(
            everything, baselines=0, perturbations_per_eval=batch_size
        )
        values = found[0].double().cpu().numpy()
        return target.map_of(values, "feature_ablation", "drop of the score", fill)


Method = Literal["layer_gradcam", "integrated_gradients", "occlusion", "feature_ablation"]
METHODS: dict[Method, Callable[..., ClipMap]] = {
    "layer_gradcam": layer_gradcam,
    "integrated_gradients": integrated_gradients,
    "occlusion": occlusion,
    "feature_ablation": feature_ablation,
}


def attribute(score: Score, clip: Tensor | View, method: Method, **options: Any) -> ClipMap:
    """The map of a score by one of :data:`METHODS`.

    Args:
        score: The target score.
        clip: Normalised, (3, T, H, W), or a view.
        method: Its name.
        **options: Of the method's own function.

    Example:
        >>> import torch
        >>> from analysis import Score, attribute, example_branch, extract_features
        >>> branch = example_branch()
        >>> clip, other = torch.randn(2, 3, 8, 32, 32)
        >>> score = Score.similarity(branch, "rsp", extract_features(branch, other))
        >>> found = attribute(score, clip, "layer_gradcam")
        >>> bool(abs(found.values.sum() - found.score) < 1e-6)
        True

    Raises:
        ValueError: There is no such method, or the method refuses the clip or an option.
    """
    if method not in METHODS:
        raise ValueError(f"methods are {list(METHODS)}, got {method!r}")
    return METHODS[method](score, clip, **options)
