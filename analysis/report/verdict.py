"""Can this very map be believed? One word, and the numbers behind it.

Studies say how maps do on average over videos. This checks the map that is on the screen, by the
same measures: whether its cells add up to the score, whether the map depends on what the model
learned (:mod:`analysis.studies.sanity`), whether the score falls where the map says
(:mod:`analysis.studies.measures.deletion`). Of a margin, pixels of cells are frozen, and it is
checked whether its cells are those that it takes from the network to let them stand still; of a
similarity, features of cells are replaced by the mean of other videos, where such are at hand
(:mod:`analysis.studies.measures.ablation`), and else pixels are blurred.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch

from analysis.attribution.pair_clips import PairClips
from analysis.attribution.registry import DEFAULT_MAP, OTHER_ROWS, map_kind
from analysis.attribution.retrieval.hit import score_of_clips
from analysis.attribution.retrieval.result import ExplainedHit, RetrievalExplanation
from analysis.core.cells import CellSwap, Fill
from analysis.core.clip import View
from analysis.core.clip_map import ClipMap
from analysis.core.score import Score, extract_features
from analysis.core.shown import Shown, page_of
from analysis.core.statistics import rank_correlation
from analysis.core.table import Table, Value
from analysis.figures.retrieval_figure import strongest
from analysis.figures.viewer.page import Page, Part
from analysis.figures.viewer.pair import view_of
from analysis.stimuli.kinds import with_random_weights
from analysis.studies.measures.ablation import (
    agreement_by_place,
    cell_drops,
    removal_by_place,
)
from analysis.studies.measures.deletion import KeptCells, order_of, perturbation_curve
from analysis.studies.sanity import LIMIT
from rspnet.models import Branch
from rspnet.names import Side

SUPPORTED, WEAK, NOT_SUPPORTED = "supported", "weak", "not supported"
LARGEST_ERROR = 1e-4
Maps = Mapping[str, ClipMap]  # by head
LARGEST_SHARE = 0.05  # of other places where a map agrees with ablation as well


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check of a map.

    Attributes:
        name: ``completeness``, ``weights``, ``deletion`` or ``ablation``.
        value: What was measured.
        passes: Whether that is as it should be.
        text: The result in a sentence.
    """

    name: str
    value: float
    passes: bool
    text: str


@dataclass(frozen=True, kw_only=True, repr=False)
class Verdict(Shown):
    """What the checks of one map come to.

    Attributes:
        word: ``supported``: all checks pass; ``not supported``: the cells do not add up, or the
            score does not fall where the map says; ``weak``: the map is hardly of the weights, or
            its cells are not those whose movement the margin hangs on.
        checks: What was checked; a map that promises no sum has no check of it, and only a map
            of a margin on the network's own cells has one of ablation.

    Example:
        >>> from analysis import PairClips, example_branch, example_views, verdict
        >>> branch = example_branch()
        >>> clips = PairClips.of(branch, branch, *example_views(2))
        >>> found = verdict(clips, "rsp", "contribution", num_orders=2)
        >>> found.word in ("supported", "weak", "not supported")
        True
        >>> [check.name for check in found.checks], found.sentence.startswith(found.word)
        (['completeness', 'weights', 'deletion'], True)
    """

    word: str
    checks: tuple[Check, ...]

    @property
    def sentence(self) -> str:
        """The word and the numbers behind it."""
        return f"{self.word}: {'; '.join(check.text for check in self.checks)}."


@page_of.register
def _page_of_verdict(found: Verdict, *, pixels: int = 0) -> str:
    rows: list[list[str | Value]] = [
        [check.name, "passes" if check.passes else "fails", check.text] for check in found.checks
    ]
    table = Table(header=("check", "result", "what was found"), rows=rows, caption="")
    title = f"Is this map to be believed? It is {found.word}."
    values = {"word": found.word, "checks": [asdict(check) for check in found.checks]}
    return Page(title=title, parts=[Part(tables=[table])], values=values).html()


def verdict(
    clips: PairClips,
    head: str,
    kind: str = DEFAULT_MAP,
    side: Side = "i",
    *,
    fill: Fill | None = None,
    num_orders: int = 9,
    num_steps: int = 6,
    num_random: int = 3,
    seed: int = 0,
) -> Verdict:
    """Check one map of one clip.

    It costs about ``(num_orders + 1) * num_steps + num_random + 1`` forward passes of a clip, and
    ``num_random`` for a similarity with clips of other videos among the pair's negatives.

    Args:
        clips: The pair, with what the kind needs.
        head: ``rsp`` or ``avid``.
        kind: Key of a kind of map that comes of a similarity or a margin.
        side: Which clip.
        fill: What stands in for pixels of deleted cells. Nothing: the frozen clip in a margin,
            which is about movement; in a similarity features are replaced by the mean of other
            videos, and without such, or on a fine grid, pixels are blurred.
        num_orders: Random orders that the map's own is compared with.
        num_steps: Steps of a deletion, from all cells to none.
        num_random: Draws of random weights.
        seed: Fixes orders.

    Raises:
        ValueError: No such kind or head, a number is not positive, or the pair has no such map.

    Example:
        >>> from analysis import PairClips, example_branch, example_views, verdict
        >>> branch = example_branch()
        >>> c_i, c_j, c_k = example_views(3)
        >>> clips = PairClips.of(branch, branch, c_i, c_j, view_k=c_k)
        >>> [check.name for check in verdict(clips, "rsp", num_orders=2).checks]
        ['completeness', 'weights', 'deletion', 'ablation']
    """
    return verdicts(
        clips,
        kind,
        side,
        heads=(head,),
        fill=fill,
        num_orders=num_orders,
        num_steps=num_steps,
        num_random=num_random,
        seed=seed,
    )[head]


def verdicts(
    clips: PairClips,
    kind: str = DEFAULT_MAP,
    side: Side = "i",
    *,
    heads: Sequence[str] | None = None,
    fill: Fill | None = None,
    num_orders: int = 9,
    num_steps: int = 6,
    num_random: int = 3,
    seed: int = 0,
) -> dict[str, Verdict]:
    """Check one map of one clip for several heads, which share the passes of random orders.

    Each is what :func:`verdict` gives. It costs about ``(num_orders + H) * num_steps + num_random``
    forward passes for H heads and one of the frozen clip, or ``num_random`` as :func:`verdict`.

    Args:
        clips: As for :func:`verdict`, and so are the others.
        kind: Key of a kind of map.
        side: Which clip.
        heads: Which heads; nothing for all.
        fill: What stands in for deleted cells, or nothing.
        num_orders: Random orders.
        num_steps: Steps of a deletion.
        num_random: Draws of random weights.
        seed: Fixes orders.

    Raises:
        ValueError: As :func:`verdict`.

    Example:
        >>> from analysis import PairClips, example_branch, example_views, verdict
        >>> branch = example_branch()
        >>> clips = PairClips.of(branch, branch, *example_views(2))
        >>> found = verdicts(clips, "contribution", num_orders=2)
        >>> alone = verdict(clips, "avid", "contribution", num_orders=2)
        >>> pairs = zip(found["avid"].checks, alone.checks, strict=True)
        >>> all(abs(shared.value - own.value) < 1e-3 for shared, own in pairs)
        True
    """
    known = clips.query.heads
    heads = known if heads is None else heads
    for head in heads:
        if head not in known:
            raise ValueError(f"heads are {', '.join(known)}, got {head!r}")
    if map_kind(kind).needs in OTHER_ROWS:
        raise ValueError(f"a verdict is on maps of similarities and margins, got {kind!r}")

    def maps_of(own: PairClips) -> Maps:
        return {head: map_kind(kind).compute(own, head, side) for head in heads}

    numbers = (num_orders, num_steps, num_random, seed)
    with clips.counted(side):
        return _checked(
            {head: map_kind(kind).score(clips, head, side) for head in heads},
            maps_of(clips),
            lambda random: maps_of(clips.with_branch(side, random)),
            clips.view(side),
            fill,
            *numbers,
            remove=None if fill else lambda *found: _removal(clips, side, *found),
            ablate=lambda score, own: _ablation(clips, side, score, own),
        )


def verdict_on_score(
    score: Score,
    view: View,
    *,
    fill: Fill | None = None,
    num_orders: int = 9,
    num_steps: int = 6,
    num_random: int = 3,
    seed: int = 0,
) -> Verdict:
    """Check the exact map of a score in one clip, such as in a clip of a hit of a retrieval.

    It costs what :func:`verdict` of a margin costs. Features are not replaced here, for which the
    pair is needed: pixels of cells are.

    Args:
        score: What the map is of.
        view: The clip.
        fill: As for :func:`verdict`, and so are the others.
        num_orders: Random orders.
        num_steps: Steps of a deletion.
        num_random: Draws of random weights.
        seed: Fixes orders.

    Raises:
        ValueError: A number is not positive, or the clip does not fit the model.

    Example:
        >>> from analysis import PairClips, example_branch, example_views, verdict
        >>> branch = example_branch()
        >>> clips = PairClips.of(branch, branch, *example_views(2))
        >>> found = verdict_on_score(clips.similarity("rsp"), clips.view("i"), num_orders=2)
        >>> found.sentence == verdict(clips, "rsp", "contribution", num_orders=2).sentence
        True
    """

    def maps_by(branch: Branch) -> Maps:
        own = replace(score, branch=branch)
        return {score.head: own.contributions(extract_features(branch, view))}

    numbers = (num_orders, num_steps, num_random, seed)
    made = maps_by(score.branch)
    return _checked({score.head: score}, made, maps_by, view, fill, *numbers)[score.head]


def query_of_hit(branch: Branch, hit: ExplainedHit) -> tuple[Score, View]:
    """What the map of a hit in the clip of the query that is shown is of, and that clip.

    Args:
        branch: Query branch of the model that explained it.
        hit: Near by a head.

    Raises:
        ValueError: It is near by the backbone, or the query's video is gone.
    """
    video = hit.query_maps
    own = video.maps[strongest(video)[0]]
    return score_of_clips(branch, video), view_of(own.clip, own.grid)


def verdicts_on_hits(branch: Branch, found: RetrievalExplanation) -> dict[int, Verdict]:
    """Check of each hit the map in the query, in the clip that is shown; by rank.

    Args:
        branch: Query branch of the model that explained them.
        found: From :func:`analysis.explain_retrieval`, by a head.

    Raises:
        ValueError: As :func:`query_of_hit`.
    """
    return {hit.rank: verdict_on_score(*query_of_hit(branch, hit)) for hit in found.hits}


def _checked(
    scores: Mapping[str, Score],
    maps: Maps,
    maps_by: Callable[[Branch], Maps],
    view: View,
    fill: Fill | None,
    num_orders: int,
    num_steps: int,
    num_random: int,
    seed: int,
    remove: Callable[[Score, ClipMap], Check | None] | None = None,
    ablate: Callable[[Score, ClipMap], list[Check]] = lambda _score, _own: [],
) -> dict[str, Verdict]:
    """The verdicts by head on the maps of a clip, which other branches' maps are compared with."""
    if min(num_orders, num_steps, num_random) < 1:
        raise ValueError(
            "num_orders, num_steps and num_random are positive, got "
            f"{num_orders}, {num_steps} and {num_random}"
        )
    branch = next(iter(scores.values())).branch
    weights = _weights(branch, maps, maps_by, num_random)
    is_margin = any(score.kind == "margin" for score in scores.values())
    fill = fill or ("static" if is_margin else "blur")
    swap = CellSwap.of(view.clip[None], fill, next(iter(maps.values())).grid)
    cells = KeptCells(branch, swap)
    found = {}
    for head, own in maps.items():
        does = "freezing" if fill == "static" else "deleting"
        deletion = remove and remove(scores[head], own)
        deletion = deletion or _deletion(
            scores[head], own, cells, num_orders, num_steps, seed, does
        )
        checks = (*_completeness(own), weights[head], deletion, *ablate(scores[head], own))
        failed = {check.name for check in checks if not check.passes}
        fatal = failed & {"completeness", "deletion"}
        word = NOT_SUPPORTED if fatal else WEAK if failed else SUPPORTED
        found[head] = Verdict(word=word, checks=checks)
    return found


def _completeness(found: ClipMap) -> list[Check]:
    error = found.completeness_error
    if error is None:
        return []
    text = f"its cells add up to the score but for {error:.0e}"
    return [Check(name="completeness", value=error, passes=error < LARGEST_ERROR, text=text)]


@torch.no_grad()
def _weights(
    branch: Branch, maps: Maps, maps_by: Callable[[Branch], Maps], num_random: int
) -> dict[str, Check]:
    """Rank correlation with the same map by random weights, of the same target."""
    sizes: dict[str, list[float]] = {head: [] for head in maps}
    for draw in range(num_random):
        random = maps_by(with_random_weights(branch, draw))
        for head, own in maps.items():
            sizes[head].append(abs(rank_correlation(own.values, random[head].values)))
    found = {}
    for head, values in sizes.items():
        rho = float(np.mean(values))
        text = f"its rank correlation with the map by random weights is {rho:.2f} in size"
        found[head] = Check(name="weights", value=rho, passes=rho < LIMIT, text=text)
    return found


def _deletion(
    score: Score,
    found: ClipMap,
    cells: KeptCells,
    num_orders: int,
    num_steps: int,
    seed: int,
    does: str,
) -> Check:
    """How many random orders of deletion keep the score higher than the map's own order."""
    rng = np.random.default_rng(seed)
    randoms = [rng.permutation(found.values.size) for _ in range(num_orders)]
    own, *others = (
        perturbation_curve(score, cells, order, "deletion", num_steps).area
        for order in (order_of(found.values), *randoms)
    )
    beaten = sum(own < other for other in others)
    gain = float(np.mean(others)) - own
    text = (
        f"{does} cells in its order lowers the score faster than {beaten} of {num_orders} random "
        f"orders, on average by {gain:.3f}"
    )
    return Check(name="deletion", value=gain, passes=beaten == num_orders, text=text)


def _removal(clips: PairClips, side: Side, score: Score, found: ClipMap) -> Check | None:
    """Whether s falls fastest where the map says; nothing without other videos to compare with."""
    negatives = clips.negatives.get("avid")
    if score.kind == "margin" or negatives is None or negatives.objective != "video":
        return None
    if found.grid != clips.features(side).grid:
        return None
    gain, share = removal_by_place(score, clips.features(side), found.values, negatives.clips)
    text = (
        "replacing the features of cells in its order by the mean of other videos lowers the score "
        f"by {gain:.3f} more than in the orders of its other places, {100 * share:.0f}% of which "
        "lower it as fast"
    )
    return Check(name="deletion", value=gain, passes=share < LARGEST_SHARE, text=text)


def _ablation(clips: PairClips, side: Side, score: Score, found: ClipMap) -> list[Check]:
    """Whether the margin falls most without the movement of the cells that the map ranks highest.

    A cosine has no such check: without a cell its norm falls as well, so that what a cell holds of
    it is not what it loses, with trained weights as with random ones.
    """
    if score.kind != "margin" or found.grid != clips.features(side).grid:
        return []
    drops = cell_drops(score, clips.features(side), clips.static(side))
    rho, share = agreement_by_place(found.values, drops)
    text = (
        "its rank correlation with what the margin loses when the features of one cell stand "
        f"still is {rho:.2f}, and as large at {100 * share:.0f}% of other places of the map"
    )
    return [Check(name="ablation", value=rho, passes=share < LARGEST_SHARE, text=text)]
