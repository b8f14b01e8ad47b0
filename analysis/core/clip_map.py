"""One map of one clip, with all that is needed to judge it, to redraw it and to compare it."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.core.clip import ClipInfo
from analysis.core.grid import Grid
from analysis.core.serialisation import load_arrays, save_arrays
from rspnet.text import Brief

Map = NDArray[np.float64]
FORMAT = "rspnet-map"


@dataclass(frozen=True, repr=False)
class ClipMap(Brief):
    """A map of a clip by one head.

    Attributes:
        values: (T', H', W'), signed.
        score: The target score: the similarity or margin by the network itself.
        head: ``rsp``, ``avid`` or ``backbone``.
        kind: Key of a kind of map (:mod:`analysis.attribution.registry`), or a method's name.
        grid: Where the cells lie in the clip.
        clip: Where the clip is from.
        others: The clips that it was compared with.
        model_hash: SHA-256 of the model file.
        exact: Whether the values are to sum to the score.
        units: What the values are measured in.
        fill: What stood in for pixels, for a method that replaces some.
        convergence_delta: Of integrated gradients: sum of the attributions minus the difference of
            scores that they are to make up.

    Raises:
        ValueError: The values are not on the grid, or not finite.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from analysis import ClipMap, Grid
        >>> grid = Grid.even(cells=(2, 2, 2), clip=(8, 32, 32))
        >>> found = ClipMap(np.full((2, 2, 2), 0.1), 0.8, "rsp", "contribution", grid, exact=True)
        >>> found.completeness_error < 1e-6
        True
        >>> path = found.save(f"{tempfile.mkdtemp()}/map.npz")
        >>> ClipMap.load(path).manifest()["kind"]
        'contribution'
    """

    values: Map
    score: float
    head: str
    kind: str
    grid: Grid
    clip: ClipInfo = field(default_factory=ClipInfo)
    others: tuple[ClipInfo, ...] = ()
    model_hash: str = ""
    exact: bool = False
    units: str = "share of the score, per cell"
    fill: str = ""
    convergence_delta: float | None = None

    def __post_init__(self) -> None:
        self.grid.check(self.values)

    @property
    def completeness_error(self) -> float | None:
        """|sum of the values - score|; nothing for a method that does not promise the sum."""
        return abs(float(self.values.sum()) - self.score) if self.exact else None

    def manifest(self) -> dict[str, Any]:
        """All but the values, as plain JSON values."""
        return (
            {
                "format": FORMAT,
                "version": 1,
                "score": self.score,
                "head": self.head,
                "kind": self.kind,
                "grid": self.grid.to_json(),
                "clip": asdict(self.clip),
                "others": [asdict(info) for info in self.others],
                "model_hash": self.model_hash,
                "exact": self.exact,
                "completeness_error": self.completeness_error,
                "units": self.units,
            }
            | ({"fill": self.fill} if self.fill else {})
            | (
                {}
                if self.convergence_delta is None
                else {"convergence_delta": self.convergence_delta}
            )
        )

    def save(self, path: str | Path) -> Path:
        """Write ``path`` (.npz with ``values`` and a JSON ``manifest``), atomically."""
        return save_arrays(path, self.manifest(), {"values": self.values})

    @classmethod
    def load(cls, path: str | Path) -> "ClipMap":
        """Read what :meth:`save` wrote.

        Raises:
            ValueError: The file is something else.
        """

        def make(manifest: dict[str, Any], arrays: dict[str, Any]) -> "ClipMap":
            return cls(
                values=arrays["values"],
                score=manifest["score"],
                head=manifest["head"],
                kind=manifest["kind"],
                grid=Grid.from_json(manifest["grid"]),
                clip=clip_info(manifest["clip"]),
                others=tuple(clip_info(value) for value in manifest["others"]),
                model_hash=manifest["model_hash"],
                exact=manifest["exact"],
                units=manifest["units"],
                fill=manifest.get("fill", ""),
                convergence_delta=manifest.get("convergence_delta"),
            )

        return load_arrays(path, FORMAT, make, "map of a clip")


def clip_info(value: dict[str, Any]) -> ClipInfo:
    """A :class:`ClipInfo` from the plain values of a manifest."""
    return ClipInfo(value["video"], tuple(value["frame_indices"]), value["speed"])
