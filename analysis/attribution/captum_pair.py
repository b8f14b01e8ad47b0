"""What one of Captum's methods says of a pair of clips: both heads, both clips.

Of c_i the score is its cosine s to c_j, or the margin of c_j over other clips; of c_j it is the
cosine to c_i. So it is for the contribution and the margin maps that these stand beside. All but
LayerGradCam send many changed clips through the network: :func:`num_clips` says how many, and
``on_pass`` hears of them as they go.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch

from analysis.attribution.captum_methods import METHODS, Method, Witness, witness
from analysis.core.clip import View
from analysis.core.grid import Grid
from analysis.core.score import ClipFeatures, Score, extract_features
from rspnet.models import Branch
from rspnet.names import HEADS

OnPass = Callable[[int], None]
# The points of the path by default, and its two ends for the convergence delta.
_PATH = 50 + 2


@contextmanager
def _heard(branch: Branch, on_pass: OnPass | None) -> Iterator[None]:
    """Within the block each pass through the encoder tells its number of clips first."""
    if on_pass is None:
        yield
        return
    tell = on_pass

    def before(_encoder: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        tell(len(given[0]))

    handle = branch.encoder.register_forward_pre_hook(before)
    try:
        yield
    finally:
        handle.remove()


def num_clips(method: Method, grid: Grid) -> int:
    """How many clips go through the network for one map, by a method's defaults.

    Args:
        method: Of :data:`~analysis.attribution.captum_methods.METHODS`.
        grid: Of the model and clip, from :meth:`Grid.of`.

    Raises:
        ValueError: There is no such method.
    """
    if method not in METHODS:
        raise ValueError(f"methods are {list(METHODS)}, got {method!r}")
    looked = 1  # for the score itself
    if method == "layer_gradcam":
        return looked + 1
    if method == "integrated_gradients":
        return looked + _PATH
    if method == "feature_ablation":
        return looked + 1 + math.prod(grid.cells)
    places = 1
    for stride, length in zip(grid.stride, grid.clip, strict=True):
        places *= math.ceil(length / min(length, max(1, round(stride))))
    return looked + 1 + places


def witness_pair(
    query: Branch,
    key: Branch,
    view_i: View,
    view_j: View,
    method: Method,
    *,
    heads: Sequence[str] = HEADS,
    against: Mapping[str, Sequence[ClipFeatures]] | None = None,
    on_pass: OnPass | None = None,
) -> dict[str, tuple[Witness, Witness]]:
    """Ask a method about both clips of a pair, for each head.

    Args:
        query: Query branch, of c_i.
        key: Momentum branch, of c_j.
        view_i: c_i.
        view_j: c_j.
        method: Of :data:`~analysis.attribution.captum_methods.METHODS`, with its defaults.
        heads: Which heads.
        against: Of each head the clips that c_j is set against, looked at with the key branch: c_i
            is asked for its margin (:meth:`analysis.core.score.Score.margin`). Nothing: for s.
        on_pass: Called before each forward pass with the number of clips in it. What it raises
            ends the work, and the branches are left as they were.

    Returns:
        Of each head what was said of c_i and of c_j.

    Raises:
        ValueError: There is no such method, a clip does not fit the model, or a head has nothing
            that c_j is set against.
    """
    if method not in METHODS:
        raise ValueError(f"methods are {list(METHODS)}, got {method!r}")
    c_i, c_j = (
        extract_features(query, view_i, name="c_i"),
        extract_features(key, view_j, name="c_j"),
    )
    found = {}
    for head in heads:
        if against is None:
            asked = Score.similarity(query, head, c_j)
        else:
            asked = Score.margin(query, head, c_j, against.get(head, ()))
        with _heard(query, on_pass):
            of_i = witness(asked, view_i, method)
        with _heard(key, on_pass):
            of_j = witness(Score.similarity(key, head, c_i), view_j, method)
        found[head] = (of_i, of_j)
    return found
