"""The maps of a pair: one kind by both heads, or every kind.

:func:`explain_kind` is the one way from clips to the maps of a kind. The command
``python -m analysis maps``, Figure 1, strips and the dashboard all call it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch

from analysis.attribution.pair import PairExplanation, pair_of_features
from analysis.attribution.pair_clips import NUM_HARD_NEGATIVES, PairClips
from analysis.attribution.pairwise import PairwiseMap, explain_pairwise
from analysis.attribution.registry import OTHER_ROWS, MapKind, default_maps, map_kind
from analysis.core.clip import View
from analysis.core.clip_map import ClipMap
from analysis.core.shown import Shown
from rspnet.models import Branch
from rspnet.names import SIDES


@dataclass(frozen=True, kw_only=True, repr=False)
class KindMaps(Shown):
    """One kind of map of a pair, a row a head (or class).

    Attributes:
        kind: Key of the kind.
        rows: Of each head the map of c_i and that of c_j; of classes under ``class1``, ``class2``,
            of a pretext task under ``margin``, ``answer``.
        similarity: Of each head s, the cosine; empty for other rows.
        num_negatives: Of each head how many clips c_j is contrasted with; empty if with none.
        titles: Names of the classes or answers; empty for heads.
        probability: Of each class or answer its probability in c_i and in c_j; empty for heads.
        offset: Of a pretext task what no cell has a share in, in c_i and in c_j; else empty.
        skipped: Of each head that has no such map, why.
        views: Frames of c_i and c_j, for pictures.
        sides: What stands for the two clips: ``i`` and ``j``; or one clip and its edited self, such
            as ``i`` and ``i, edited`` (:func:`analysis.stimuli.edit.explain_edit`).

    Example:
        >>> from analysis import PairClips, example_branch, example_views, explain_kind
        >>> branch = example_branch()
        >>> c_i, c_j = example_views(2)
        >>> found = explain_kind("contribution", PairClips.of(branch, branch, c_i, c_j))
        >>> list(found.rows), found.has_one_target, found.completeness_error < 1e-6
        (['rsp', 'avid'], True, True)
        >>> found.convergence_error("rsp") is None  # no integral is behind these maps
        True
        >>> found.score("rsp") == found.rows["rsp"][0].score
        True
    """

    kind: str
    rows: dict[str, tuple[ClipMap, ClipMap]]
    similarity: dict[str, float] = field(default_factory=dict)
    num_negatives: dict[str, int] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)
    probability: dict[str, tuple[float, float]] = field(default_factory=dict)
    offset: dict[str, tuple[float, float]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    views: tuple[View, View] | None = field(default=None, repr=False, compare=False)
    sides: tuple[str, str] = SIDES

    def score(self, row: str, side: int = 0) -> float:
        """What a row's map is of, in c_i (0) or in c_j (1): with what no cell has a share in."""
        return self.rows[row][side].score + self.offset.get(row, (0.0, 0.0))[side]

    @property
    def has_one_target(self) -> bool:
        """Whether the maps of both clips are of one score, so that they can share a scale.

        The map of c_j beside a margin is of s.
        """
        return all(i.kind == j.kind for i, j in self.rows.values())

    @property
    def completeness_error(self) -> float | None:
        """The largest |sum - score| of all maps that promise the sum; nothing if none does."""
        errors = [m.completeness_error for both in self.rows.values() for m in both]
        return max((error for error in errors if error is not None), default=None)

    def convergence_error(self, row: str) -> float | None:
        """The larger error of the integral behind a row's two maps; nothing for other methods."""
        deltas = [m.convergence_delta for m in self.rows[row]]
        return max((abs(delta) for delta in deltas if delta is not None), default=None)


@torch.no_grad()
def explain_kind(kind: str | MapKind, clips: PairClips) -> KindMaps:
    """The maps of one kind of a pair, by every head that has them.

    Args:
        kind: Key of a registered kind, or the kind.
        clips: The pair, with negatives for margins, a classifier for class maps, and the head of a
            pretext task for maps of it.

    Example:
        >>> from analysis import example_branch, example_views
        >>> from analysis.attribution.pair_clips import PairClips
        >>> branch = example_branch()
        >>> c_i, c_j = example_views(2)
        >>> found = explain_kind("contribution", PairClips.of(branch, branch, c_i, c_j))
        >>> bool(abs(found.rows["rsp"][0].values.sum() - found.similarity["rsp"]) < 1e-6)
        True

    Raises:
        ValueError: There is no such kind, no head, classifier or task has such a map, or the kind
            has no finer grid.
    """
    kind = map_kind(kind) if isinstance(kind, str) else kind
    if clips.steps > 1 and not kind.fine:
        raise ValueError(f"{kind.title} has no finer grid: choose steps=1 or another kind of map")
    heads = clips.query.heads
    rows = OTHER_ROWS.get(kind.needs, heads)
    if kind.needs == "triplet":
        # Without any, the first head's own error says what is missing.
        rows = clips.heads_with_margin or heads[:1]
    maps = {row: (kind.compute(clips, row, "i"), kind.compute(clips, row, "j")) for row in rows}
    views = (clips.view_i, clips.view_j)
    if kind.needs == "classifier":
        found = clips.classes
        return KindMaps(
            kind=kind.key,
            rows=maps,
            titles={row: both[0].name for row, both in found.items()},
            probability={row: (i.probability, j.probability) for row, (i, j) in found.items()},
            views=views,
        )
    if kind.needs == "task":
        answers = clips.answers
        return KindMaps(
            kind=kind.key,
            rows=maps,
            titles={row: both[0].title for row, both in answers.items()},
            probability={row: (i.probability, j.probability) for row, (i, j) in answers.items()},
            offset={row: (i.offset, j.offset) for row, (i, j) in answers.items()},
            views=views,
        )
    z_i, z_j = clips.c_i.embeddings, clips.c_j.embeddings
    negatives = clips.negatives if kind.needs == "triplet" else {}
    return KindMaps(
        kind=kind.key,
        rows=maps,
        similarity={head: float((z_i[head] * z_j[head]).sum()) for head in heads},
        num_negatives={head: len(own.clips) for head, own in negatives.items()},
        skipped={
            head: clips.missing.get(head, "it has no negatives")
            for head in heads
            if head not in maps
        },
        views=views,
    )


@dataclass(frozen=True, kw_only=True, repr=False)
class PairMaps(Shown):
    """Everything that is known of a pair.

    Attributes:
        clips: The clips with their features.
        pair: Both heads' contributions and Eq. 2 in one file's shape.
        kinds: Maps of each kind, by key.
        fine: The same on a finer grid, of the kinds that have one.
        pairwise: By head, which place of c_i goes with which place of c_j.
        skipped: What was not made, and why.

    Example:
        >>> from analysis import all_maps, example_branch, example_views
        >>> branch = example_branch()
        >>> c_i, c_j = example_views(2)
        >>> found = all_maps(branch, branch, c_i, c_j, fine=2, kinds=["contribution"])
        >>> [str(maps["contribution"].rows["rsp"][0].grid) for maps in (found.kinds, found.fine)]
        ['2 x 2 x 2 cells', '2 x 4 x 4 cells']
        >>> found.pairwise["rsp"].values.shape
        (2, 2, 2, 2, 2, 2)
    """

    clips: PairClips
    pair: PairExplanation
    kinds: dict[str, KindMaps]
    fine: dict[str, KindMaps] = field(default_factory=dict)
    pairwise: dict[str, PairwiseMap] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)


def all_maps(
    query: Branch,
    key: Branch,
    view_i: View,
    view_j: View,
    *,
    view_k: View | None = None,
    others: Sequence[View] = (),
    num_hard_negatives: int = NUM_HARD_NEGATIVES,
    fine: int = 1,
    kinds: Sequence[str] = (),
) -> PairMaps:
    """Every map of a pair, each clip sent through its branch once.

    Args:
        query: Query branch.
        key: Momentum branch.
        view_i: c_i.
        view_j: c_j.
        view_k: Of c_j's video at another speed, for the margin of RSP.
        others: Of other videos, for the margin of A-VID.
        num_hard_negatives: How many of ``others`` count at most, the nearest to c_i first.
        fine: Cells of a fine map along each side, for one cell; 1 makes none.
        kinds: Keys of the kinds to make; none for all that are made by default.

    Example:
        >>> from analysis import all_maps, example_branch, example_views
        >>> branch = example_branch()
        >>> c_i, c_j = example_views(2)
        >>> found = all_maps(branch, branch, c_i, c_j)
        >>> list(found.kinds)
        ['eq2', 'contribution']
        >>> found.skipped["margin"]
        'the margin of RSP needs negatives: no such clip was given'

    Raises:
        ValueError: A clip does not fit the model or the other, ``fine`` does not divide the stride
            of the grid, or a kind that was named can't be made.
    """
    clips = PairClips.of(
        query,
        key,
        view_i,
        view_j,
        view_k=view_k,
        others=others,
        num_hard_negatives=num_hard_negatives,
    )
    return maps_of_clips(clips, kinds, fine=fine)


@torch.no_grad()
def maps_of_clips(clips: PairClips, kinds: Sequence[str] = (), *, fine: int = 1) -> PairMaps:
    """:func:`all_maps` of clips that went through their branches already.

    Raises:
        ValueError: As :func:`all_maps`.
    """
    made: dict[str, KindMaps] = {}
    skipped: dict[str, str] = {}
    chosen = [map_kind(key) for key in kinds or default_maps()]
    for kind in chosen:
        try:
            made[kind.key] = explain_kind(kind, clips)
        except ValueError as error:
            if kinds:  # it was named
                raise
            skipped[kind.key] = str(error)
            continue
        for head, why in made[kind.key].skipped.items():
            skipped[f"{kind.key}_{head}"] = why
    finer: dict[str, KindMaps] = {}
    if fine != 1:
        shifted = clips.finer(fine)
        finer = {k.key: explain_kind(k, shifted) for k in chosen if k.fine and k.key in made}
    return PairMaps(
        clips=clips,
        pair=replace(pair_of_features(clips.c_i, clips.c_j), views=(clips.view_i, clips.view_j)),
        kinds=made,
        fine=finer,
        pairwise={h: explain_pairwise(clips.c_i, clips.c_j, h) for h in clips.query.heads},
        skipped=skipped,
    )
