"""Both heads' maps of a pair of clips, with all that is needed to judge and to redraw them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from analysis.core.clip import ClipInfo, View, as_view
from analysis.core.clip_map import Map, clip_info
from analysis.core.closed_form import contribution_map, similarity_map
from analysis.core.grid import Grid
from analysis.core.score import ClipFeatures, extract_features
from analysis.core.serialisation import load_arrays, save_arrays
from analysis.core.shown import Shown
from rspnet.models import Branch
from rspnet.text import Brief

UNITS = "contribution to the cosine similarity s, per cell"


@dataclass(frozen=True, repr=False)
class HeadMaps(Brief):
    """One head's view of a pair.

    Attributes:
        similarity: s, the cosine of the two embeddings.
        contribution_i: Signed contributions in c_i, (T', H', W'); they sum to s.
        contribution_j: The same in c_j.
        eq2_i: Eq. 2 verbatim in c_i; nothing for a head that is not linear.
        eq2_j: The same in c_j.

    Example:
        >>> import torch
        >>> from analysis import example_branch, explain_pair
        >>> branch = example_branch()
        >>> pair = explain_pair(branch, branch, *torch.randn(2, 3, 8, 32, 32))
        >>> rsp = pair.heads["rsp"]
        >>> rsp.contribution_i.shape, rsp.completeness_error < 1e-6
        ((2, 2, 2), True)
    """

    similarity: float
    contribution_i: Map
    contribution_j: Map
    eq2_i: Map | None
    eq2_j: Map | None

    @property
    def completeness_error(self) -> float:
        """Largest |sum of contributions - s| of the two clips."""
        sums = (self.contribution_i.sum(), self.contribution_j.sum())
        return float(max(abs(total - self.similarity) for total in sums))


@dataclass(frozen=True, repr=False)
class PairExplanation(Shown):
    """Maps of a pair of clips for both heads.

    Attributes:
        heads: ``rsp`` and ``avid``.
        grid_i: Cells of c_i's maps and where they lie in the clip.
        grid_j: The same for c_j.
        clip_i: Where c_i is from.
        clip_j: Where c_j is from.
        model_hash: SHA-256 of the model file.
        units: What the contributions are measured in.
        views: Frames of c_i and c_j, for pictures; none after :meth:`load`, which reads the
            videos' own when a picture is drawn.

    Example:
        >>> import tempfile
        >>> import torch
        >>> from analysis import PairExplanation, example_branch, explain_pair
        >>> branch = example_branch()
        >>> pair = explain_pair(branch, branch, *torch.randn(2, 3, 8, 32, 32))
        >>> path = pair.save(f"{tempfile.mkdtemp()}/pair.npz")
        >>> list(PairExplanation.load(path).heads)
        ['rsp', 'avid']
    """

    heads: dict[str, HeadMaps]
    grid_i: Grid
    grid_j: Grid
    clip_i: ClipInfo = field(default_factory=ClipInfo)
    clip_j: ClipInfo = field(default_factory=ClipInfo)
    model_hash: str = ""
    units: str = UNITS
    views: tuple[View, View] | None = field(default=None, repr=False, compare=False)

    def save(self, path: str | Path) -> Path:
        """Write ``path`` (.npz with the maps and a JSON manifest), atomically."""
        manifest = {
            "format": "rspnet-pair",
            "version": 1,
            "similarity": {name: maps.similarity for name, maps in self.heads.items()},
            "completeness_error": {
                name: maps.completeness_error for name, maps in self.heads.items()
            },
            "grid_i": self.grid_i.to_json(),
            "grid_j": self.grid_j.to_json(),
            "clip_i": asdict(self.clip_i),
            "clip_j": asdict(self.clip_j),
            "model_hash": self.model_hash,
            "units": self.units,
        }
        arrays: dict[str, Any] = {}
        for name, maps in self.heads.items():
            for part in ("contribution_i", "contribution_j", "eq2_i", "eq2_j"):
                if getattr(maps, part) is not None:
                    arrays[f"{name}.{part}"] = getattr(maps, part)
        return save_arrays(path, manifest, arrays)

    @classmethod
    def load(cls, path: str | Path) -> "PairExplanation":
        """Read what :meth:`save` wrote.

        Raises:
            ValueError: The file is something else.
        """

        def make(manifest: dict[str, Any], arrays: dict[str, Any]) -> "PairExplanation":
            heads = {
                name: HeadMaps(
                    similarity=similarity,
                    contribution_i=arrays[f"{name}.contribution_i"],
                    contribution_j=arrays[f"{name}.contribution_j"],
                    eq2_i=arrays.get(f"{name}.eq2_i"),
                    eq2_j=arrays.get(f"{name}.eq2_j"),
                )
                for name, similarity in manifest["similarity"].items()
            }
            return cls(
                heads=heads,
                grid_i=Grid.from_json(manifest["grid_i"]),
                grid_j=Grid.from_json(manifest["grid_j"]),
                clip_i=clip_info(manifest["clip_i"]),
                clip_j=clip_info(manifest["clip_j"]),
                model_hash=manifest["model_hash"],
                units=manifest["units"],
            )

        return load_arrays(path, "rspnet-pair", make, "maps of a pair")


def _array(map_BTHW: Tensor) -> Map:
    return map_BTHW[0].double().cpu().numpy()


@torch.no_grad()
def explain_pair(
    query: Branch,
    key: Branch,
    clip_i: Tensor | View,
    clip_j: Tensor | View,
    *,
    info_i: ClipInfo | None = None,
    info_j: ClipInfo | None = None,
    heads: Sequence[str] | None = None,
) -> PairExplanation:
    """Maps of both heads in both clips, from one forward pass a clip.

    c_i goes through the query branch and its heads, c_j through the key branch and its heads, as
    in training.

    Args:
        query: Query branch.
        key: Momentum branch; the query branch again for a model that has only one.
        clip_i: c_i: a view, or normalised frames (3, T, H, W).
        clip_j: c_j, the same.
        info_i: Where c_i is from; a view knows.
        info_j: Where c_j is from.
        heads: Which heads; nothing for all.

    Shape:
        -> of each head and clip a map (T', H', W'), by :func:`analysis.contribution_map` and by
        :func:`analysis.similarity_map` (Eq. 2, supplementary C).

    Raises:
        ValueError: A clip or a head does not fit, the clips differ in size, the weights are not
            finite, or an embedding has length 0.

    Example:
        >>> import torch
        >>> from analysis import example_branch, explain_pair
        >>> branch = example_branch()
        >>> clip_i, clip_j = torch.randn(2, 3, 8, 32, 32)
        >>> rsp = explain_pair(branch, branch, clip_i, clip_j).heads["rsp"]
        >>> bool(abs(rsp.contribution_i.sum() - rsp.similarity) < 1e-6)
        True
    """
    c_i = extract_features(query, clip_i, info_i, name="clip_i")
    c_j = extract_features(key, clip_j, info_j, name="clip_j")
    views = (as_view(clip_i, c_i.info), as_view(clip_j, c_j.info))
    return replace(pair_of_features(c_i, c_j, heads), views=views)


@torch.no_grad()
def pair_of_features(
    c_i: ClipFeatures, c_j: ClipFeatures, heads: Sequence[str] | None = None
) -> PairExplanation:
    """:func:`explain_pair` of clips that went through their branches already.

    Raises:
        ValueError: As there.
    """
    if c_i.grid.clip != c_j.grid.clip:
        raise ValueError(
            "the two clips of a pair have one size, got clip_i with (T, H, W) = "
            f"{c_i.grid.clip} and clip_j with {c_j.grid.clip}: load both alike"
        )
    # Double from here: a contribution is a small share of s.
    F_i, F_j = c_i.features.double(), c_j.features.double()
    maps = {}
    for name in c_i.branch.heads if heads is None else heads:
        head_i, head_j = c_i.branch.head(name), c_j.branch.head(name)
        eq2_i = eq2_j = None
        if isinstance(head_i, torch.nn.Linear) and isinstance(head_j, torch.nn.Linear):
            W_i, W_j = head_i.weight.double(), head_j.weight.double()
            eq2_i = _array(similarity_map(F_i, F_j, W_i, W_j))
            eq2_j = _array(similarity_map(F_j, F_i, W_j, W_i))
        maps[name] = HeadMaps(
            similarity=float((c_i.embeddings[name] * c_j.embeddings[name]).sum()),
            contribution_i=_array(contribution_map(F_i, F_j, head_i, head_j)),
            contribution_j=_array(contribution_map(F_j, F_i, head_j, head_i)),
            eq2_i=eq2_i,
            eq2_j=eq2_j,
        )
    return PairExplanation(
        heads=maps,
        grid_i=c_i.grid,
        grid_j=c_j.grid,
        clip_i=c_i.info,
        clip_j=c_j.info,
        model_hash=c_i.branch.hash,
    )
