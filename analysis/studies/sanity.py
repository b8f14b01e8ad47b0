"""Do maps depend on what the model learned? ``python -m analysis sanity --out FILE.json``.

The parameter-randomisation check of Adebayo et al. 2018, "Sanity Checks for Saliency Maps": the
model's layers are given random weights one after the other, from the heads down to the first
convolution, and what was randomised stays so (cascading). After each step both heads' maps of the
same clips are computed anew, for the same questions, and compared with those of the trained model
by rank correlation. A map that still looks the same when nothing is left of the training shows the
architecture or the picture, not the model.

Both branches get the same random weights, as before training the momentum branch is a copy.
"""

import copy
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

from analysis.core.clip_map import Map
from analysis.core.score import Kind
from analysis.core.statistics import mean, rank_correlation
from analysis.stimuli.kinds import TripletFeatures, with_random_weights
from analysis.stimuli.triplets import SCORES, Triplets, encode_triplets, nearest_videos, scores_of
from analysis.studies.sanity_result import SanityResult, SanityRow
from rspnet.models import Branch
from rspnet.names import HEADS

Floats = NDArray[np.float64]
_WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def stages(branch: Branch) -> list[tuple[str, tuple[str, ...]]]:
    """The steps of the cascade: a name and the modules that are randomised, the last layers first.

    The first is the heads. Then come the encoder's parts as it lists them, from the last to the
    first; a part without convolutions or matrices, such as a BatchNorm, goes with the one before
    it.
    """
    prefix, module = "encoder", branch.encoder
    while True:
        parts = [(n, m) for n, m in module.named_children() if any(True for _ in m.parameters())]
        if len(parts) != 1:
            break
        prefix, module = f"{prefix}.{parts[0][0]}", parts[0][1]
    found: list[tuple[str, list[str]]] = []
    for name, part in parts:
        path = f"{prefix}.{name}"
        if found and not any(isinstance(m, _WEIGHTED) for m in part.modules()):
            found[-1][1].append(path)
        else:
            found.append((name, [path]))
    if not found:
        found = [("encoder", [prefix])]
    else:
        # What belongs to no part, such as a position embedding, goes with the first.
        found[0][1].extend(f"{prefix}.{n}" for n, _ in module.named_parameters(recurse=False))
    return [("heads", ("projections",))] + [(n, tuple(paths)) for n, paths in reversed(found)]


def randomised(branch: Branch, paths: Sequence[str], seed: int) -> Branch:
    """A copy of a branch some of whose modules are as new, with their buffers.

    Args:
        branch: Stays as it is.
        paths: Names of modules or parameters within it.
        seed: Of the new weights.
    """
    fresh = with_random_weights(branch, seed).state_dict()
    changed = copy.deepcopy(branch)
    state = changed.state_dict()
    for name in state:
        if any(name == path or name.startswith(f"{path}.") for path in paths):
            state[name] = fresh[name]
    changed.load_state_dict(state)
    return changed


def _maps(
    questions: Sequence[TripletFeatures], nearest: Sequence[Sequence[int]]
) -> dict[tuple[str, Kind], list[Map]]:
    """Contribution maps of both heads' questions of every video's c_i."""
    maps: dict[tuple[str, Kind], list[Map]] = {(h, kind): [] for h in HEADS for kind in SCORES}
    for number, question in enumerate(questions):
        for name, score in scores_of(questions, number, nearest[number]).items():
            maps[name].append(score.contributions(question.c_i).values)
    return maps


def _correlations(maps: Sequence[Map], others: Sequence[Map]) -> Floats:
    """Rank correlation video by video, (V, 2): of signed and of absolute values."""
    return np.array(
        [
            [rank_correlation(a, b), rank_correlation(np.abs(a), np.abs(b))]
            for a, b in zip(maps, others, strict=True)
        ]
    )


def sanity_study(
    query: Branch,
    key: Branch,
    triplets: Triplets,
    *,
    num_draws: int = 3,
    progress: bool = True,
) -> SanityResult:
    """Randomise a model from its heads down and compare its maps with the trained ones.

    Args:
        query: Query branch.
        key: Momentum branch.
        triplets: Of at least two videos.
        num_draws: Draws of random weights. Correlations are averaged over them, video by video.
        progress: Show a progress bar.

    Raises:
        ValueError: ``num_draws`` is not positive, or a map is even in every video.
    """
    if num_draws < 1:
        raise ValueError(f"num_draws is positive, got {num_draws}")
    steps = stages(query)
    names: list[tuple[str, Kind]] = [(head, kind) for head in HEADS for kind in SCORES]
    trained = encode_triplets(query, key, triplets)
    # The trained model chooses what a margin is against, once: the question stays the same.
    nearest = [nearest_videos(trained, number) for number in range(len(trained))]
    reference = _maps(trained, nearest)
    # found[name]: (draws, steps, V, 2)
    found: dict[tuple[str, Kind], list[list[Floats]]] = {name: [] for name in names}
    bar = tqdm(total=num_draws * len(steps), unit="step", disable=not progress)
    with bar:
        for draw in range(num_draws):
            for name in names:
                found[name].append([])
            for number in range(len(steps)):
                paths = [path for _, own in steps[: number + 1] for path in own]
                asked = encode_triplets(
                    randomised(query, paths, draw), randomised(key, paths, draw), triplets
                )
                for name, maps in _maps(asked, nearest).items():
                    found[name][-1].append(_correlations(reference[name], maps))
                bar.update()
    rows = []
    for name in names:
        maps = reference[name]
        # The next but one has the same speed: a margin's map turns over with the query's speed.
        step = 2 if len(maps) > 2 else 1
        shifted = [*maps[step:], *maps[:step]]
        rows += _rows(name, [n for n, _ in steps], np.array(found[name]))
        chance = _correlations(maps, shifted)
        rows += _rows(name, ["other video"], chance[None, None])
    return SanityResult(
        videos=triplets.what,
        num_videos=len(trained),
        model_hash=query.hash,
        cells=trained[0].c_i.grid.cells,
        num_draws=num_draws,
        stages=tuple(name for name, _ in steps),
        rows=tuple(rows),
    )


def _rows(name: tuple[str, Kind], steps: Sequence[str], found: Floats) -> list[SanityRow]:
    head, question = name
    rows = []
    for number, step in enumerate(steps):
        for place, values in enumerate(("signed", "absolute")):
            rho_RV = found[:, number, :, place]
            defined = np.isfinite(rho_RV).all(axis=0)
            if not defined.any():
                raise ValueError(
                    f"maps of {head} ({question}) are even in every video at step {step!r}: "
                    "there are no ranks to compare"
                )
            rho_RV = rho_RV[:, defined]
            rows.append(
                SanityRow(
                    head=head,
                    question=question,
                    values=values,
                    stage=step,
                    rho=mean(rho_RV.mean(axis=0)),
                    size=mean(np.abs(rho_RV).mean(axis=0)),
                    num_undefined=int((~defined).sum()),
                )
            )
    return rows
