"""The kinds of maps: everything that lists, computes or draws a kind finds it here.

A kind is one file in :mod:`analysis.attribution.kinds`: a function with its formula, registered by
:func:`register_map`. The command ``python -m analysis maps``, Figure 1, strips, the studies and the
dashboard iterate this registry, so a new kind needs no other edit.

This module imports no torch, and neither do the files of the kinds before a map is computed: menus
and ``--help`` are there at once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rspnet.names import CLASS_ROWS, TASK_ROWS, Side
from rspnet.registry import Registry

if TYPE_CHECKING:
    from analysis.attribution.pair_clips import PairClips
    from analysis.core.clip_map import ClipMap, Map
    from analysis.core.grid import Grid
    from analysis.core.score import Score

Needs = Literal["pair", "triplet", "classifier", "task"]
# A fine-tuned model's classes, and a pretext task's answers, replace the heads.
OTHER_ROWS: Mapping[str, tuple[str, ...]] = {"classifier": CLASS_ROWS, "task": TASK_ROWS}
# What opens first: it is the map whose claim is the easiest to check by eye.
DEFAULT_MAP = "margin_faster"

Compute = Callable[["PairClips", str, Side], "ClipMap"]


@dataclass(frozen=True, kw_only=True)
class MapKind:
    """One kind of map.

    Attributes:
        key: Its name on command lines, in links and in files.
        title: Its name in menus and figures.
        symbol: Of the score that the map of c_i is of.
        units: Of one cell's value.
        needs: ``pair``: c_i and c_j; ``triplet``: for each head also the clips that c_j is
            contrasted with; ``classifier``: a fine-tuned model, ``task``: a model with the head of
            its pretext task (:data:`OTHER_ROWS`).
        sums_to: The score, in words, that the cells of c_i come to; empty if nothing is promised.
        text: One or two sentences. Symbols stand between backticks: `s`, `c_i`.
        compute: Gives the map of one head (or class) in one clip.
        reduction: How the cells come to the score.
        fine: Whether there is a map on the finer grid of shifted clips.
        has_partners: Whether a cell's value is known as a sum over the cells of the other clip.
        group: Title of the menu that several methods share; empty for an entry of its own.
        by_default: Whether commands and studies make it when nobody names it.
        num_passes: Of the grid, how many clips go through the network for one map; nothing for a
            map that comes from the one forward pass of each clip.
        margin: Of a kind that needs a triplet the score that its map of c_i is of; nothing for the
            margin as the head is trained on it.
        order: Place in lists, ascending.
    """

    key: str
    title: str
    symbol: str
    units: str
    needs: Needs
    sums_to: str
    text: str
    compute: Compute
    reduction: Literal["sum", "mean"] = "sum"
    fine: bool = False
    has_partners: bool = False
    group: str = ""
    by_default: bool = True
    num_passes: "Callable[[Grid], int] | None" = None
    margin: "Callable[[PairClips, str], Score] | None" = None
    order: int = 1000

    def score(self, clips: "PairClips", head: str, side: Side) -> "Score":
        """The target score that a map of this kind is of, or is compared with.

        Raises:
            ValueError: The head has no negatives, and the kind needs some.
        """
        if self.needs != "triplet" or side == "j":
            return clips.similarity(head, side)
        return self.margin(clips, head) if self.margin else clips.margin(head)

    @property
    def total_title(self) -> str:
        """What the total of the cells is called in a table."""
        if self.reduction == "mean":
            return "Mean of the map"
        return "Sum of contributions" if self.sums_to else "Sum of the map"

    @property
    def summary(self) -> str:
        """The kind in one line of plain text, for ``--help``."""
        promise = f" The map's {self.reduction} is {self.sums_to}." if self.sums_to else ""
        return f"{self.title}. {self.text}{promise}".replace("`", "")

    def total(self, values: "Map") -> float:
        """What the cells of a map come to."""
        return float(values.mean() if self.reduction == "mean" else values.sum())

    def over_time(self, values: "Map") -> list[float]:
        """What the cells of a map, (T', H', W'), come to in each time step.

        The steps come to the map's total as its cells do: by their sum, or by their mean.

        Example:
            >>> import numpy as np
            >>> from analysis import map_kinds
            >>> values = np.array([[[1.0, 2.0]], [[-1.0, 0.0]]])
            >>> [map_kinds()[key].over_time(values) for key in ("contribution", "eq2")]
            [[3.0, -1.0], [1.5, -0.5]]
        """
        return [self.total(step) for step in values]


MAP_KINDS: Registry[MapKind] = Registry("kind of map", "analysis.attribution.kinds")


def register_map(
    *,
    key: str,
    title: str,
    symbol: str,
    units: str,
    needs: Needs,
    sums_to: str,
    text: str,
    reduction: Literal["sum", "mean"] = "sum",
    fine: bool = False,
    has_partners: bool = False,
    group: str = "",
    by_default: bool = True,
    num_passes: "Callable[[Grid], int] | None" = None,
    margin: "Callable[[PairClips, str], Score] | None" = None,
    order: int = 1000,
) -> Callable[[Compute], Compute]:
    """Register the function below as a kind of map; the settings are those of :class:`MapKind`.

    Example:
        >>> from dataclasses import replace
        >>> from analysis import map_kinds, register_map
        >>> @register_map(
        ...     key="size", title="Size", symbol="s", units="|contribution|, per cell",
        ...     needs="pair", sums_to="", text="Contributions without their sign.",
        ... )
        ... def size(clips, head, side):
        ...     found = clips.map_of(clips.similarity(head, side), side, "size")
        ...     return replace(found, values=abs(found.values), exact=False)
        >>> map_kinds()["size"].title
        'Size'
        >>> MAP_KINDS.remove("size")  # take it out again

    Raises:
        ValueError: Another kind has this key.
    """

    def register(compute: Compute) -> Compute:
        kind = MapKind(
            key=key,
            title=title,
            symbol=symbol,
            units=units,
            needs=needs,
            sums_to=sums_to,
            text=text,
            compute=compute,
            reduction=reduction,
            fine=fine,
            has_partners=has_partners,
            group=group,
            by_default=by_default,
            num_passes=num_passes,
            margin=margin,
            order=order,
        )
        MAP_KINDS.add(key, kind)
        return compute

    return register


def map_kinds() -> dict[str, MapKind]:
    """All kinds by key, in their order.

    Example:
        >>> list(map_kinds())[:4]
        ['eq2', 'contribution', 'margin', 'margin_faster']
        >>> map_kinds()["eq2"].title
        'Eq. 2'
    """
    kinds = [MAP_KINDS[key] for key in MAP_KINDS]
    return {kind.key: kind for kind in sorted(kinds, key=lambda kind: kind.order)}


def map_kind(key: str) -> MapKind:
    """The kind of a key.

    Raises:
        ValueError: There is none; the message names the nearest.
    """
    return MAP_KINDS[key]


def default_maps() -> tuple[str, ...]:
    """Keys of the kinds that are made when nobody names any."""
    return tuple(key for key, kind in map_kinds().items() if kind.by_default)
