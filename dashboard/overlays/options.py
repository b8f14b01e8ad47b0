"""How maps are drawn, and the registered kinds in the page's words and symbols."""

from dataclasses import dataclass
from typing import TypedDict

from analysis.attribution.registry import DEFAULT_MAP, MapKind, map_kind, map_kinds
from analysis.figures.viewer.rows import symbols as symbols

# The first is the default: margins of two heads are over other clips, and so differ in size.
SCALES = {"head": "Per head", "shared": "Shared", "map": "Per map"}
CELLS = {"smooth": "Smooth", "raw": "Raw cells", "fine": "Fine grid"}
# What a method of a group explains, by what the kind needs.
EXPLAINS = {"pair": "s", "triplet": "Margin"}


class Drawn(TypedDict):
    """How a map is laid over its frames."""

    opacity: float
    smooth: bool


@dataclass(frozen=True)
class DisplayOptions:
    """How maps are made and drawn.

    Attributes:
        kind: Key of a registered kind.
        scale: ``shared`` by both heads, one for each ``head``, or one for each ``map``.
        cells: ``smooth`` between cells, ``raw``, or ``fine`` by shifted clips.
        opacity: Of the strongest colour, 0 to 1.
    """

    kind: str = DEFAULT_MAP
    scale: str = "head"
    cells: str = "smooth"
    opacity: float = 0.75

    @property
    def map(self) -> MapKind:
        """The kind of map."""
        return map_kind(self.kind)

    @property
    def drawn(self) -> Drawn:
        """What the figures of `analysis` are told of it."""
        return {"opacity": self.opacity, "smooth": self.cells != "raw"}

    @property
    def has_places(self) -> bool:
        """Whether a place of c_i can be chosen: what it contributes with c_j is known."""
        return self.map.has_partners and self.cells != "fine"


C_I, C_J = symbols("`c_i`"), symbols("`c_j`")


def menu(*, has_task: bool = False) -> dict[str, str]:
    """The menu of kinds: what opens first, then the others, a group of methods as one entry.

    Args:
        has_task: Whether the model has the head of a pretext task: its maps open first then, and
            are not offered else.

    Returns:
        Titles by key; of a group by its name in lower case.
    """
    kinds = {key: kind for key, kind in map_kinds().items() if has_task or kind.needs != "task"}
    own = [key for key, kind in kinds.items() if kind.needs == "task"]
    titles = {key: kinds[key].title for key in (*own, DEFAULT_MAP)}
    for key, kind in kinds.items():
        entry = kind.group.lower() if kind.group else key
        titles.setdefault(entry, kind.group or kind.title)
    return titles


def methods(group: str) -> dict[str, dict[str, MapKind]]:
    """The kinds of a group: by title of the method, then by what it needs.

    Args:
        group: Its entry in :func:`menu`.
    """
    found: dict[str, dict[str, MapKind]] = {}
    for kind in map_kinds().values():
        if kind.group and kind.group.lower() == group:
            found.setdefault(kind.title.removesuffix(" of the margin"), {})[kind.needs] = kind
    return found
