"""Which place of one clip goes with which place of the other."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from analysis.core.clip import ClipInfo
from analysis.core.clip_map import ClipMap, clip_info
from analysis.core.closed_form import pairwise_map
from analysis.core.grid import Grid
from analysis.core.score import ClipFeatures
from analysis.core.serialisation import load_arrays, save_arrays
from rspnet.text import Brief

FORMAT = "rspnet-pairwise"


@dataclass(frozen=True, kw_only=True, repr=False)
class PairwiseMap(Brief):
    """Contributions of pairs of places to the cosine of two clips by one head.

    Attributes:
        values: c[p, q], (T', H', W', T'', H'', W''): place p of c_i with place q of c_j.
        score: The cosine by the network itself.
        head: ``rsp`` or ``avid``.
        grid_i: Cells of c_i.
        grid_j: Cells of c_j.
        clip_i: Where c_i is from.
        clip_j: Where c_j is from.
        model_hash: SHA-256 of the model file.
        units: What the values are measured in.

    Raises:
        ValueError: The values are not of the shape that the grids give.

    Example:
        >>> import tempfile
        >>> import torch
        >>> from analysis import PairwiseMap, example_branch, explain_pairwise, extract_features
        >>> branch = example_branch()
        >>> c_i, c_j = (extract_features(branch, clip) for clip in torch.randn(2, 3, 8, 32, 32))
        >>> pairs = explain_pairwise(c_i, c_j, "rsp")
        >>> pairs.completeness_error < 1e-6
        True
        >>> pairs.partners((0, 1, 1)).values.shape  # where in c_j one cell of c_i has its evidence
        (2, 2, 2)
        >>> PairwiseMap.load(pairs.save(f"{tempfile.mkdtemp()}/pairs.npz")).head
        'rsp'
    """

    values: NDArray[np.float64]
    score: float
    head: str
    grid_i: Grid
    grid_j: Grid
    clip_i: ClipInfo = field(default_factory=ClipInfo)
    clip_j: ClipInfo = field(default_factory=ClipInfo)
    model_hash: str = ""
    units: str = "contribution to the cosine similarity s, per pair of cells"

    def __post_init__(self) -> None:
        expected = (*self.grid_i.cells, *self.grid_j.cells)
        if self.values.shape != expected:
            raise ValueError(
                f"a pairwise map of these grids is {expected}, got {self.values.shape}"
            )

    @property
    def completeness_error(self) -> float:
        """|sum of all pairs - s|."""
        return abs(float(self.values.sum()) - self.score)

    def partners(self, place: tuple[int, int, int]) -> ClipMap:
        """The map of c_j that belongs to one cell of c_i.

        Args:
            place: The cell, (time, row, column).

        Returns:
            A map that sums to the cell's own contribution.

        Raises:
            ValueError: There is no such cell.
        """
        if not all(0 <= p < n for p, n in zip(place, self.grid_i.cells, strict=True)):
            raise ValueError(f"c_i has {self.grid_i.cells} cells, got the cell {place}")
        values = self.values[place]
        return ClipMap(
            values=values,
            score=float(values.sum()),
            head=self.head,
            kind="partners",
            grid=self.grid_j,
            clip=self.clip_j,
            others=(self.clip_i,),
            model_hash=self.model_hash,
            exact=True,
            units=self.units,
        )

    def save(self, path: str | Path) -> Path:
        """Write ``path`` (.npz with ``values`` and a JSON ``manifest``), atomically."""
        manifest = {
            "format": FORMAT,
            "version": 1,
            "score": self.score,
            "completeness_error": self.completeness_error,
            "head": self.head,
            "grid_i": self.grid_i.to_json(),
            "grid_j": self.grid_j.to_json(),
            "clip_i": asdict(self.clip_i),
            "clip_j": asdict(self.clip_j),
            "model_hash": self.model_hash,
            "units": self.units,
        }
        return save_arrays(path, manifest, {"values": self.values})

    @classmethod
    def load(cls, path: str | Path) -> "PairwiseMap":
        """Read what :meth:`save` wrote.

        Raises:
            ValueError: The file is something else.
        """

        def make(manifest: dict[str, Any], arrays: dict[str, Any]) -> "PairwiseMap":
            return cls(
                values=arrays["values"],
                score=manifest["score"],
                head=manifest["head"],
                grid_i=Grid.from_json(manifest["grid_i"]),
                grid_j=Grid.from_json(manifest["grid_j"]),
                clip_i=clip_info(manifest["clip_i"]),
                clip_j=clip_info(manifest["clip_j"]),
                model_hash=manifest["model_hash"],
                units=manifest["units"],
            )

        return load_arrays(path, FORMAT, make, "pairwise map")


@torch.no_grad()
def explain_pairwise(c_i: ClipFeatures, c_j: ClipFeatures, head: str) -> PairwiseMap:
    """c[p, q] of two clips by one head (:func:`~analysis.core.closed_form.pairwise_map`).

    Args:
        c_i: By the query branch.
        c_j: By the key branch.
        head: ``rsp`` or ``avid``.

    Shape:
        -> values (T', H', W', T'', H'', W''), in units of the cosine.

    Raises:
        ValueError: No such head, a head of an unknown kind, or an embedding of length 0.

    Example:
        >>> import torch
        >>> from analysis import example_branch, explain_pairwise, extract_features
        >>> branch = example_branch()
        >>> c_i, c_j = (extract_features(branch, clip) for clip in torch.randn(2, 3, 8, 32, 32))
        >>> pairs = explain_pairwise(c_i, c_j, "rsp")
        >>> bool(abs(pairs.values.sum() - pairs.score) < 1e-6)
        True
    """
    head_i, head_j = c_i.branch.head(head), c_j.branch.head(head)
    values = pairwise_map(c_i.features.double(), c_j.features.double(), head_i, head_j)[0]
    return PairwiseMap(
        values=values.cpu().numpy(),
        score=float(c_i.embeddings[head].double() @ c_j.embeddings[head].double()),
        head=head,
        grid_i=c_i.grid,
        grid_j=c_j.grid,
        clip_i=c_i.info,
        clip_j=c_j.info,
        model_hash=c_i.branch.hash,
    )
