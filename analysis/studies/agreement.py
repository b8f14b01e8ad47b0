"""How alike several methods rank the cells of a clip: Spearman's correlation of each two.

``python -m analysis agreement --out agreement.json`` asks Captum's methods
(:mod:`analysis.attribution.captum_methods`) for the scores that the exact maps are of. They answer
other questions: the contribution map says what a score is made of, integrated gradients what a way
from a grey clip adds, occlusion and ablation what taking a cell away does. So they need not agree;
how much they do is a number.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from tqdm import tqdm

from analysis.attribution.captum_methods import METHODS, Method, attribute
from analysis.core.clip_map import ClipMap
from analysis.core.score import Kind
from analysis.core.statistics import Estimate, mean, rank_correlation
from analysis.stimuli.triplets import Triplets, encode_triplets, scores_of
from rspnet.models import Branch
from rspnet.names import HEADS

FORMAT = "rspnet-agreement"


@dataclass(frozen=True, kw_only=True)
class PairAgreement:
    """How alike two methods rank the cells of a clip.

    Attributes:
        a: One method.
        b: The other.
        rho: Spearman's rank correlation over cells, the mean over clips; its ``num`` says how many.
        num_undefined: Clips left out, as a map was even.
    """

    a: str
    b: str
    rho: Estimate
    num_undefined: int

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        rho = self.rho.to_json()
        return {"a": self.a, "b": self.b, "rho": rho, "num_undefined": self.num_undefined}


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Rank correlation of each pair of methods.

    Attributes:
        methods: In their order.
        pairs: Each two of them.
    """

    methods: tuple[str, ...]
    pairs: tuple[PairAgreement, ...]

    def of(self, a: str, b: str) -> PairAgreement:
        """One pair, in either order.

        Raises:
            ValueError: There is no such pair.
        """
        for pair in self.pairs:
            if {pair.a, pair.b} == {a, b}:
                return pair
        raise ValueError(f"methods are {list(self.methods)}, got {a!r} and {b!r}")

    def table(self) -> str:
        """One line a pair: correlation, interval, clips."""
        width = max(len(name) for name in self.methods) + 2
        lines = [f"{'':{2 * width}}{'rank correlation':>20}{'clips':>8}"]
        for pair in self.pairs:
            left = f"{pair.a:{width}}{pair.b:{width}}"
            lines.append(f"{left}{pair.rho!s:>20}{pair.rho.num:>8}")
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"methods": list(self.methods), "pairs": [pair.to_json() for pair in self.pairs]}


def agreement(maps: Sequence[Mapping[str, ClipMap]]) -> Agreement:
    """Rank correlation between methods over clips, with bootstrap intervals.

    Args:
        maps: For each clip (one a video: they are what is resampled) its maps by method, all with
            the same methods.

    Raises:
        ValueError: There are no clips, fewer than two methods, the methods differ from clip to
            clip, or two methods have an even map in every clip.
    """
    methods = tuple(maps[0]) if maps else ()
    if len(methods) < 2:
        raise ValueError(
            f"give at least one clip with two methods, got {len(maps)} clips of {methods}"
        )
    if any(set(clip) != set(methods) for clip in maps):
        raise ValueError(f"every clip has the same methods, {methods}: some differ")
    pairs = []
    for a, b in combinations(methods, 2):
        found = np.array([rank_correlation(clip[a].values, clip[b].values) for clip in maps])
        defined = found[np.isfinite(found)]
        if not len(defined):
            raise ValueError(f"{a} or {b} has an even map in every clip: there are no ranks")
        pairs.append(
            PairAgreement(a=a, b=b, rho=mean(defined), num_undefined=len(found) - len(defined))
        )
    return Agreement(methods=methods, pairs=tuple(pairs))


def agreement_study(
    query: Branch,
    key: Branch,
    triplets: Triplets,
    question: Kind = "margin",
    methods: Sequence[Method] = ("integrated_gradients", "occlusion", "feature_ablation"),
    *,
    progress: bool = True,
) -> dict[str, Agreement]:
    """The exact map of c_i and Captum's methods, for each head.

    Args:
        query: Query branch.
        key: Momentum branch.
        triplets: Of at least two videos.
        question: ``similarity`` or ``margin``.
        methods: Of :data:`analysis.attribution.captum_methods.METHODS`.
        progress: Show a progress bar.

    Returns:
        By head.

    Raises:
        ValueError: There are too few videos or methods.
    """
    if not methods:
        raise ValueError(f"give at least one method of {list(METHODS)}")
    questions = encode_triplets(query, key, triplets)
    found: dict[str, list[dict[str, ClipMap]]] = {head: [] for head in HEADS}
    bar = tqdm(questions, desc="Asking Captum", unit="video", disable=not progress)
    for place, asked in enumerate(bar):
        scores = scores_of(questions, place)
        for head in HEADS:
            score = scores[head, question]
            maps = {"contribution": score.contributions(asked.c_i)}
            maps |= {name: attribute(score, asked.view, name) for name in methods}
            found[head].append(maps)
    return {head: agreement(maps) for head, maps in found.items()}
