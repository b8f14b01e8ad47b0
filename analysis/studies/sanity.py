"""Do maps depend on what the model learned? ``python -m analysis sanity --out FILE.json``.

The parameter-randomisation check of Adebayo et al. 2018, "Sanity Checks for Saliency Maps": the
model's layers are given random weights one after the other, from the heads down to the first
convolution, and what was randomised stays so (cascading). After each step both heads' maps of the
same clips are computed anew, for the same target scores, and compared with those of the trained
model by rank correlation. A map that is still the same when nothing is left of the training shows
the architecture or the picture, not the model.

Both branches get the same random weights, as before training the momentum branch is a copy.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

from analysis.core.clip_map import Map
from analysis.core.figure_spec import FigureSpec, Line, LineFigure, LinePanel
from analysis.core.score import Kind
from analysis.core.statistics import Estimate, mean, rank_correlation
from analysis.core.table import Key, Row, StudyTable, Table, pivot
from analysis.stimuli.kinds import TripletFeatures, with_random_weights
from analysis.stimuli.triplets import SCORES, encode_triplets, nearest_videos, scores_of
from analysis.studies.registry import Study, StudyInputs, VideoStudyConfig, register_study
from rspnet.models import Branch
from rspnet.names import HEAD_TITLES, HEADS

Floats = NDArray[np.float64]
LIMIT = 0.3
OTHER_VIDEO = "other video"
RULE = (
    f"passes if, with every layer randomised, the mean size of the rank correlation |rho| with the "
    f"trained model's map is below {LIMIT}, its 95% interval included, for signed and for "
    "absolute values"
)
_WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True, kw_only=True)
class SanityConfig(VideoStudyConfig):
    """Maps of both heads while the model's weights are randomised layer by layer.

    Attributes:
        seed: Of synthetic videos and of clips.
        num_videos: How many are measured, at least two.
        num_random: Draws of random weights. Correlations are averaged over them, video by video.
    """

    num_videos: int = 40
    num_random: int = 3

    def __post_init__(self) -> None:
        if self.num_random < 1:
            raise ValueError(f"num_random is positive, got {self.num_random}")


def steps_of(branch: Branch) -> list[tuple[str, tuple[str, ...]]]:
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
    triplets: Sequence[TripletFeatures], nearest: Sequence[Sequence[int]]
) -> dict[tuple[str, Kind], list[Map]]:
    """Contribution maps of both heads' target scores of every video's c_i."""
    maps: dict[tuple[str, Kind], list[Map]] = {(h, kind): [] for h in HEADS for kind in SCORES}
    for place, own in enumerate(triplets):
        for name, score in scores_of(triplets, place, nearest[place]).items():
            maps[name].append(score.contributions(own.c_i).values)
    return maps


def _correlations(maps: Sequence[Map], others: Sequence[Map]) -> Floats:
    """Rank correlation video by video, (V, 2): of signed and of absolute values."""
    return np.array(
        [
            [rank_correlation(a, b), rank_correlation(np.abs(a), np.abs(b))]
            for a, b in zip(maps, others, strict=True)
        ]
    )


def summarise(name: tuple[str, Kind], steps: Sequence[str], found: Floats) -> list[Row]:
    """Estimates over videos of one target score.

    Args:
        name: Head and target score.
        steps: Of the cascade, S.
        found: Rank correlations of signed and of absolute values, (draws, S, V, 2).

    Raises:
        ValueError: A map is constant in every video.
    """
    head, score = name
    rows = []
    for number, step in enumerate(steps):
        for place, sign in enumerate(("signed", "absolute")):
            rho_RV = found[:, number, :, place]
            defined = np.isfinite(rho_RV).all(axis=0)
            if not defined.any():
                raise ValueError(
                    f"maps of {head} ({score}) are constant in every video at step {step!r}: "
                    "there are no ranks to compare"
                )
            rho_RV = rho_RV[:, defined]
            keys: dict[str, Key] = {"head": head, "score": score, "values": sign, "step": step}
            values: dict[str, Estimate | float] = {
                "rho": mean(rho_RV.mean(axis=0)),
                "size": mean(np.abs(rho_RV).mean(axis=0)),
                "num_undefined": int((~defined).sum()),
            }
            rows.append(Row(keys=keys, values=values))
    return rows


def passes(table: StudyTable, head: str, score: str) -> bool:
    """Whether the maps of a head's target score pass, by :data:`RULE`."""
    last = [step for step in table.keys("step") if step != OTHER_VIDEO][-1]
    rows = table.select(head=head, score=score, step=last)
    return all(row["size"].high < LIMIT for row in rows)


@register_study
class Sanity(Study[SanityConfig]):
    """Test whether maps depend on what the model learned."""

    name = "sanity"
    title = "Sanity"
    question = "Do the maps depend on the weights?"
    reading = (
        "Weights are made random from the heads down, step by step (Adebayo et al. 2018). A map "
        f"{RULE}. The last row of each is how alike the trained model's own maps of two different "
        "videos at one speed are."
    )
    needs = "any"
    config = SanityConfig
    place = 70

    @torch.no_grad()
    def measure(self, inputs: StudyInputs, config: SanityConfig) -> StudyTable:
        """Randomise a model from its heads down and compare its maps with the trained ones.

        Raises:
            ValueError: There are too few videos, or a map is constant in every video.
        """
        query, key, num_draws = inputs.query, inputs.key, config.num_random
        clips = inputs.triplets(config.num_videos, config.seed)
        steps = steps_of(query)
        names: list[tuple[str, Kind]] = [(head, kind) for head in HEADS for kind in SCORES]
        trained = encode_triplets(query, key, clips)
        # The trained model chooses the negatives, once: the target score stays the same.
        nearest = [nearest_videos(trained, number) for number in range(len(trained))]
        reference = _maps(trained, nearest)
        # found[name]: (draws, steps, V, 2)
        found: dict[tuple[str, Kind], list[list[Floats]]] = {name: [] for name in names}
        total = num_draws * len(steps)
        with tqdm(total=total, desc=self.title, unit="step", disable=not inputs.progress) as bar:
            for draw in range(num_draws):
                for name in names:
                    found[name].append([])
                for number in range(len(steps)):
                    paths = [path for _, own in steps[: number + 1] for path in own]
                    random = (randomised(query, paths, draw), randomised(key, paths, draw))
                    for name, maps in _maps(encode_triplets(*random, clips), nearest).items():
                        found[name][-1].append(_correlations(reference[name], maps))
                    bar.update()
        rows = []
        for name in names:
            maps = reference[name]
            # The next but one has the same speed: a margin's map turns over with c_i's speed.
            step = 2 if len(maps) > 2 else 1
            shifted = [*maps[step:], *maps[:step]]
            rows += summarise(name, [n for n, _ in steps], np.array(found[name]))
            rows += summarise(name, [OTHER_VIDEO], _correlations(maps, shifted)[None, None])
        return StudyTable(
            study=self.name,
            rows=tuple(rows),
            num_videos=len(trained),
            videos=clips.what,
            skipped=clips.skipped,
            model_hash=query.hash,
            seed=config.seed,
            grid=trained[0].c_i.grid,
            settings={"num_random": num_draws},
        )

    def finding(self, table: StudyTable) -> str:
        """Which maps pass."""
        return " ".join(
            f"{HEAD_TITLES[head]}, {score}: "
            f"{'passes' if passes(table, head, score) else 'does not pass'}."
            for head in table.keys("head")
            for score in table.keys("score")
        )

    def tables(self, table: StudyTable) -> list[Table]:
        """Rank correlations along the cascade."""
        steps = table.keys("step")
        last = [step for step in steps if step != OTHER_VIDEO][-1]
        rows: dict[str, dict[str, Key]] = {
            f"{HEAD_TITLES[head]}, {score}, {step}": {"head": head, "score": score, "step": step}
            for head in table.keys("head")
            for score in table.keys("score")
            for step in steps
        }
        columns: dict[str, tuple[str, dict[str, Key]]] = {
            "rho, signed": ("rho", {"values": "signed"}),
            "|rho|, signed": ("size", {"values": "signed"}),
            "rho, |map|": ("rho", {"values": "absolute"}),
            "|rho|, |map|": ("size", {"values": "absolute"}),
        }
        caption = (
            f"rank correlation with the trained model's map, {table.num_videos} {table.videos}, "
            f"{table.settings['num_random']} draws of random weights, 95% interval over videos"
        )
        return [
            pivot(
                rows,
                columns,
                table,
                first="random down to",
                caption=caption,
                strong=lambda title: title.endswith(f", {last}"),
            )
        ]

    def figures(self, table: StudyTable) -> list[FigureSpec]:
        """Rank correlation along the cascade: a panel a target score, a line a head."""
        steps = table.keys("step")
        words = ("trained", *steps)
        same = Estimate(1.0, 1.0, 1.0, table.num_videos)
        panels = []
        for score in table.keys("score"):
            lines = []
            for head in table.keys("head"):
                keys: dict[str, Key] = {"head": head, "score": score, "values": "signed"}
                rho = (table.one(step=step, **keys)["rho"] for step in steps)
                lines.append(Line(head, (same, *rho)))
            places = tuple(float(n) for n in range(len(words)))
            panels.append(LinePanel(f"map of the {score}", places, words, tuple(lines), apart=True))
        return [
            LineFigure(
                "Weights made random, from the heads down",
                tuple(panels),
                2,
                "Rank correlation with the trained model's map; shaded: what passes",
                (-LIMIT, LIMIT),
            )
        ]
