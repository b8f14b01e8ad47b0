"""A similarity taken apart into what stands still and what moves, exactly.

With c° the clip stopped at its middle frame, a clip's embedding is the sum of that of its static
clip and of what movement adds: z(c) = z(c°) + (z(c) - z(c°)). The cosine of two clips is then the
sum of four parts, of which the first word is of c_i and the second of c_j: static-static,
static-motion, motion-static and motion-motion. Nothing is approximated: with s = z(c°) and
m = z(c) - z(c°) the parts are the four products of (s_i + m_i) . (s_j + m_j) / (|z_i| |z_j|). Each
is resolved over the cells of either clip in the same way as the cosine itself
(:func:`analysis.contribution_map`). This decomposition is not in the paper.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from analysis.core.clip import View, static_clip
from analysis.core.clip_map import ClipMap, Map
from analysis.core.closed_form import local_embeddings
from analysis.core.score import ClipFeatures, Score, extract_features
from rspnet.models import Branch
from rspnet.names import Side
from rspnet.text import Brief

# By name, whether the part is of what moves in c_i, and in c_j.
PARTS: Mapping[str, tuple[bool, bool]] = {
    "static_static": (False, False),
    "static_motion": (False, True),
    "motion_static": (True, False),
    "motion_motion": (True, True),
}


@dataclass(frozen=True, repr=False)
class SimilarityLedger(Brief):
    """The four parts of the cosine of two clips by one head.

    Attributes:
        similarity: The cosine, as the network gives it.
        static_static: Of what both clips show when they stand still.
        static_motion: Of c_i at rest with what movement adds to c_j.
        motion_static: Of what movement adds to c_i with c_j at rest.
        motion_motion: Of what movement adds to either.
        maps: By part, its map in c_i and in c_j; each sums to the part.

    Example:
        >>> from analysis import example_branch, example_views, similarity_ledger
        >>> branch = example_branch()
        >>> c_i, c_j = example_views(2)
        >>> found = similarity_ledger(branch, branch, "rsp", c_i, c_j)
        >>> list(found.parts), found.completeness_error < 1e-5
        (['static_static', 'static_motion', 'motion_static', 'motion_motion'], True)
        >>> map_i, map_j = found.maps["motion_motion"]
        >>> map_i.score == map_j.score == found.motion_motion
        True
    """

    similarity: float
    static_static: float
    static_motion: float
    motion_static: float
    motion_motion: float
    maps: Mapping[str, tuple[ClipMap, ClipMap]]

    @property
    def parts(self) -> dict[str, float]:
        """The parts by name, in the order of :data:`PARTS`."""
        return {name: getattr(self, name) for name in PARTS}

    @property
    def completeness_error(self) -> float:
        """|sum of the parts - similarity|, or of a map's cells to its part if that is larger."""
        errors = [float(m.completeness_error or 0) for pair in self.maps.values() for m in pair]
        return max(abs(sum(self.parts.values()) - self.similarity), *errors)


def similarity_ledger(
    query: Branch, key: Branch, head: str, c_i: View, c_j: View
) -> SimilarityLedger:
    """Take the cosine of two clips apart; four forward passes.

    Args:
        query: Query branch, of c_i.
        key: Momentum branch, of c_j.
        head: ``rsp`` or ``avid``; linear or an MLP of ReLU layers.
        c_i: The query clip.
        c_j: The other clip.

    Raises:
        ValueError: A clip does not fit the model, an embedding has length 0, or no exact map is
            known for the head.

    Example:
        >>> from analysis import example_branch, example_views, similarity_ledger
        >>> branch = example_branch()
        >>> c_i, c_j = example_views(2)
        >>> found = similarity_ledger(branch, branch, "avid", c_i, c_j)
        >>> abs(sum(found.parts.values()) - found.similarity) < 1e-6
        True
    """
    i, static_i = (extract_features(query, view) for view in (c_i, static_clip(c_i)))
    j, static_j = (extract_features(key, view) for view in (c_j, static_clip(c_j)))
    return ledger_of(head, i, static_i, j, static_j)


@torch.no_grad()
def ledger_of(
    head: str, c_i: ClipFeatures, static_i: ClipFeatures, c_j: ClipFeatures, static_j: ClipFeatures
) -> SimilarityLedger:
    """:func:`similarity_ledger` of clips that went through their branches already.

    Args:
        head: ``rsp`` or ``avid``.
        c_i: By the query branch.
        static_i: Its static clip, by the same branch.
        c_j: By the momentum branch.
        static_j: Its static clip, by the same branch.

    Raises:
        ValueError: A static clip has another grid than its clip, an embedding has length 0, or no
            exact map is known for the head.
    """
    cells, sums, lengths = {}, {}, 1.0
    for side, clip, static in (("i", c_i, static_i), ("j", c_j, static_j)):
        _check_grid(clip, static)
        own, held = (_cells(f, head) for f in (clip, static))
        cells[side] = {False: held, True: own - held}
        sums[side] = {moves: values.sum(dim=1) for moves, values in cells[side].items()}
        # The length of the clip's own embedding; a length of 0 is refused.
        clip.unit(head)
        lengths *= float(torch.linalg.vector_norm(own.sum(dim=1)))
    similarity = float(c_i.embeddings[head].double() @ c_j.embeddings[head].double())
    totals = {name: float(sums["i"][i] @ sums["j"][j]) / lengths for name, (i, j) in PARTS.items()}

    def map_of(name: str, side: Side) -> ClipMap:
        moves = dict(zip("ij", PARTS[name], strict=True))
        other: Side = "j" if side == "i" else "i"
        clip, others = (c_i, c_j) if side == "i" else (c_j, c_i)
        values = sums[other][moves[other]] @ cells[side][moves[side]] / lengths
        return ClipMap(
            values=values.reshape(clip.features.shape[2:]).cpu().numpy(),
            score=totals[name],
            head=head,
            kind=name,
            grid=clip.grid,
            clip=clip.info,
            others=(others.info,),
            model_hash=clip.branch.hash,
            exact=True,
            units=f"{name.replace('_', '-')} part of s, per cell",
        )

    maps = {name: (map_of(name, "i"), map_of(name, "j")) for name in PARTS}
    return SimilarityLedger(similarity=similarity, maps=maps, **totals)


@torch.no_grad()
def static_part(score: Score, clip: ClipFeatures, static: ClipFeatures) -> Map:
    """What the clip at rest has of a score's map; the map minus it is what movement adds.

    A score is linear in z = z(c°) + (z(c) - z(c°)), so that its map is the sum of the two, cell
    by cell. For the cosine it is static-static plus static-motion; margins have it in the same way.

    Args:
        score: Of the clip's branch.
        clip: The clip.
        static: Its static clip, by the same branch.

    Shape:
        -> (T', H', W').

    Raises:
        ValueError: As :func:`ledger_of`.

    Example:
        >>> from analysis import PairClips, example_branch, example_views
        >>> branch = example_branch()
        >>> clips = PairClips.of(branch, branch, *example_views(2))
        >>> held = static_part(clips.similarity("rsp"), clips.c_i, clips.static("i"))
        >>> ledger = clips.ledger("rsp")
        >>> bool(abs(held.sum() - ledger.static_static - ledger.static_motion) < 1e-6)
        True
    """
    _check_grid(clip, static)
    clip.unit(score.head)  # a length of 0 is refused
    length = torch.linalg.vector_norm(_cells(clip, score.head).sum(dim=1))
    values = score.target @ _cells(static, score.head) / length
    return np.asarray(values.reshape(clip.features.shape[2:]).cpu())


def size_over_time(maps: Sequence[ClipMap]) -> list[float]:
    """The sizes of all cells of some maps of one grid, summed in each time step, (T',).

    Example:
        >>> from analysis import example_branch, example_views, similarity_ledger
        >>> branch = example_branch()
        >>> found = similarity_ledger(branch, branch, "rsp", *example_views(2))
        >>> own = found.maps["static_static"]
        >>> [len(size_over_time(own)), min(size_over_time(own)) >= 0]
        [2, True]
    """
    sizes = sum(np.abs(own.values).sum(axis=(1, 2)) for own in maps)
    return [float(size) for size in np.asarray(sizes)]


def stacked_ends(
    lanes: Sequence[tuple[Sequence[float], Sequence[float] | None]],
) -> tuple[float, float]:
    """The ends of an axis that has room for all lanes, with 0 in it.

    Args:
        lanes: Of each the totals, and what of them stands still, or nothing where that is not
            known. The two parts of a total are stacked from 0, up or down by their signs.

    Example:
        >>> stacked_ends([([1.0, -2.0], None), ([1.0, 0.5], [3.0, 0.5])])
        (-2.0, 3.0)
    """
    ends = [0.0]
    for total, still in lanes:
        held = np.asarray(total if still is None else still)
        parts = np.stack([np.asarray(total) - held, held])
        ends += [*np.maximum(parts, 0).sum(axis=0), *np.minimum(parts, 0).sum(axis=0)]
    return float(min(ends)), float(max(ends))


def _check_grid(clip: ClipFeatures, static: ClipFeatures) -> None:
    if clip.grid != static.grid:
        raise ValueError(
            f"a clip and its static clip have one grid, got {clip.grid} and {static.grid}"
        )


def _cells(clip: ClipFeatures, head: str) -> Tensor:
    """What each cell adds to the embedding z, (D, P): the sum over cells is z."""
    local, _ = local_embeddings(clip.features.double(), clip.branch.head(head))
    return local[0] / local.shape[2]
