"""The layers of an encoder: what each gives of a clip, and where its cells lie."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from analysis.core.grid import Grid
from rspnet.models import Branch, evaluation_mode

# Its units are those of the layer before, scaled.
_Norm = nn.BatchNorm3d


def layers_of(branch: Branch) -> dict[str, nn.Module]:
    """The encoder's parts by name, in the order of its code."""
    part: nn.Module = branch.encoder
    while len(children := dict(part.named_children())) == 1:
        (part,) = children.values()
    return {
        name: child
        for name, child in children.items()
        if any(True for _ in child.parameters()) and not isinstance(child, _Norm)
    }


@torch.no_grad()
def layer_sizes(branch: Branch) -> dict[str, int]:
    """How many units each layer has that gives features, from one pass of an empty clip.

    Example:
        >>> from analysis import example_branch
        >>> list(layer_sizes(example_branch()).items())[-1]
        ('layer4', 16)
    """
    empty = torch.zeros(1, 3, branch.num_frames, branch.size, branch.size, device=branch.device)
    with kept_outputs(layers_of(branch)) as kept, evaluation_mode(branch):
        branch.features(empty)
    return {name: own.shape[1] for name, own in kept.items()}


@contextmanager
def kept_outputs(layers: Mapping[str, nn.Module]) -> Iterator[dict[str, Tensor]]:
    """Within the block what layers give is kept by name, if it is (B, C, T', H', W')."""
    kept: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.ndim == 5:
                kept[name] = output

        return hook

    hooks = [layer.register_forward_hook(keep(name)) for name, layer in layers.items()]
    try:
        yield kept
    finally:
        for hook in hooks:
            hook.remove()


def layer_grid(branch: Branch, cells: tuple[int, ...], clip: tuple[int, int, int]) -> Grid:
    """Where the cells of a layer lie, from where those of the last features do.

    The centre of the first cell is 0 for odd kernels with symmetric padding and (stride - 1) / 2
    for patches: between those the encoder's own geometry decides.

    Example:
        >>> from analysis import example_branch
        >>> layer_grid(example_branch(), (8, 16, 16), (8, 32, 32)).stride
        (1.0, 2.0, 2.0)
    """
    last = Grid.of(branch, cells, clip)
    strides = [max(1.0, float(round(n / c))) for n, c in zip(clip, cells, strict=True)]
    firsts = [
        first * (own - 1) / (stride - 1) if stride > 1 else 0.0
        for own, stride, first in zip(strides, last.stride, last.first, strict=True)
    ]
    t, y, x = zip(strides, firsts, strict=True)
    return Grid(last.cells, last.clip, (t[0], y[0], x[0]), (t[1], y[1], x[1]))
