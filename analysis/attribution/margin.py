"""Maps of a difference of similarities: what makes c_i nearer to c_j than to other clips.

RSP is trained on d(c_i, c_j) - d(c_i, c_k), so that difference is what its map should be of:
appearance that all three clips share cancels. For A-VID the other clips are of other videos. The
*reference* map takes one more step: it is the margin map of c_i minus that of the static clip, c_i
stopped at its middle frame, and says what the movement adds to the margin, and where.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from analysis.core.clip import View, static_clip
from analysis.core.clip_map import ClipMap, Map
from analysis.core.closed_form import directed_map
from analysis.core.score import ClipFeatures, Score, extract_features
from analysis.core.serialisation import save_arrays
from analysis.core.shown import Shown
from rspnet.models import Branch


@dataclass(frozen=True, repr=False)
class MarginExplanation(Shown):
    """One head's maps of c_i, c_j and the clips that they are contrasted with.

    Attributes:
        map_i: Map of c_i: sums to the margin.
        map_j: Map of c_j: sums to s_ij.
        maps_k: Maps of the other clips: each sums to - s_ik / their number.
        static: Map of c_i minus that of the static clip: sums to the difference of their margins.
        views: Frames of c_i, c_j and the other clips, for pictures.

    Example:
        >>> import tempfile
        >>> from analysis import example_branch, example_views, explain_margin
        >>> branch = example_branch()
        >>> c_i, c_j, c_k = example_views(3)
        >>> found = explain_margin(branch, branch, "rsp", c_i, c_j, [c_k])
        >>> abs(found.margin) <= 2, found.completeness_error < 1e-6
        (True, True)
        >>> found.save(f"{tempfile.mkdtemp()}/margin.npz").name
        'margin.npz'
    """

    map_i: ClipMap
    map_j: ClipMap
    maps_k: tuple[ClipMap, ...]
    static: ClipMap
    views: tuple[View, ...] = field(default=(), repr=False, compare=False)

    @property
    def margin(self) -> float:
        """s_ij minus the mean of s_ik."""
        return self.map_i.score

    @property
    def completeness_error(self) -> float:
        """The largest |sum - score| of all maps."""
        maps = (self.map_i, self.map_j, *self.maps_k, self.static)
        return max(float(m.completeness_error or 0) for m in maps)

    def save(self, path: str | Path) -> Path:
        """Write a .npz with ``i``, ``j``, ``k0``, ..., ``static`` and ``manifest``, atomically."""
        named = {"i": self.map_i, "j": self.map_j, "static": self.static}
        named |= {f"k{n}": m for n, m in enumerate(self.maps_k)}
        manifest = {"format": "rspnet-margin", "version": 1, "margin": self.margin}
        arrays: dict[str, Any] = {name: m.values for name, m in named.items()}
        about = {"maps": {name: m.manifest() for name, m in named.items()}}
        return save_arrays(path, manifest | about, arrays)


def deviation(values: Map) -> Map:
    """|value - median of the map|: how far a cell stands out, whatever its sign.

    For slow queries the evidence is often what does *not* move fast: everything that stands still
    raises the margin a little, and what moves lowers it.
    """
    return np.asarray(np.abs(values - np.median(values)), float)


def reference_map(
    score: Score, clip: ClipFeatures, static: ClipFeatures, kind: str = ""
) -> ClipMap:
    """The map of a score minus the map of a reference, cell by cell.

    Exact: it sums to score(clip) - score(reference). What both have in common, such as a cell's
    unmoved appearance, cancels.

    Args:
        score: The target score.
        clip: The clip.
        static: The reference, such as the static clip.
        kind: Key of the map, if not that of the score with ``_static``.

    Raises:
        ValueError: The two have different grids.
    """
    if clip.grid != static.grid:
        raise ValueError(f"clip and reference have one grid, got {clip.grid} and {static.grid}")
    a, b = score.contributions(clip), score.contributions(static)
    return ClipMap(
        values=a.values - b.values,
        score=a.score - b.score,
        head=a.head,
        kind=kind or f"{a.kind}_static",
        grid=a.grid,
        clip=a.clip,
        others=a.others,
        model_hash=a.model_hash,
        exact=True,
    )


@torch.no_grad()
def explain_margin(
    query: Branch,
    key: Branch,
    head: str,
    view_i: View,
    view_j: View,
    views_k: Sequence[View],
) -> MarginExplanation:
    """Maps of the margin s_ij - mean of s_ik by one head.

    c_i and its static clip go through the query branch, the others through the key branch; one
    forward pass each.

    Args:
        query: Query branch.
        key: Momentum branch.
        head: ``rsp``, with one c_k of the other speed of the same video; or ``avid``, with clips
            of other videos.
        view_i: c_i.
        view_j: c_j.
        views_k: What c_j is contrasted with, at least one.

    Shape:
        -> of each clip a map (T', H', W'), in units of the cosine. The margin of RSP is the
        difference that its loss (Eq. 2 of the paper) is of.

    Example:
        >>> from analysis import example_branch, example_views, explain_margin
        >>> branch = example_branch()
        >>> c_i, c_j, c_k = example_views(3)
        >>> found = explain_margin(branch, branch, "rsp", c_i, c_j, [c_k])
        >>> bool(abs(found.map_i.values.sum() - found.margin) < 1e-6)
        True

    Raises:
        ValueError: A clip or the head does not fit, the sizes differ, or there is no c_k.
    """
    shapes = {view.frames.shape for view in (view_i, view_j, *views_k)}
    if len(shapes) > 1:
        raise ValueError(f"all clips have one size, got {sorted(shapes)}: load them alike")
    c_i, static = extract_features(query, view_i), extract_features(query, static_clip(view_i))
    c_j = extract_features(key, view_j)
    c_k = [extract_features(key, view) for view in views_k]
    found = margin_of_features(query, head, c_i, static, c_j, c_k)
    return replace(found, views=(view_i, view_j, *views_k))


@torch.no_grad()
def margin_of_features(
    query: Branch,
    head: str,
    c_i: ClipFeatures,
    static: ClipFeatures,
    c_j: ClipFeatures,
    c_k: Sequence[ClipFeatures],
) -> MarginExplanation:
    """:func:`explain_margin` of clips that went through their branches already.

    Raises:
        ValueError: As :func:`explain_margin`.
    """
    score = Score.margin(query, head, c_j, c_k)
    unit_i = c_i.unit(head)

    def back(clip: ClipFeatures, weight: float) -> ClipMap:
        target = weight * unit_i
        values = directed_map(clip.features.double(), clip.branch.head(head), target[None])[0]
        return ClipMap(
            values=values.cpu().numpy(),
            score=float(clip.embeddings[head].double() @ target),
            head=head,
            kind="margin",
            grid=clip.grid,
            clip=clip.info,
            others=(c_i.info,),
            model_hash=clip.branch.hash,
            exact=True,
        )

    return MarginExplanation(
        map_i=score.contributions(c_i),
        map_j=back(c_j, 1.0),
        maps_k=tuple(back(clip, -1 / len(c_k)) for clip in c_k),
        static=reference_map(score, c_i, static),
    )
