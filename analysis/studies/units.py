"""Which units encode action, which appearance? ``python -m analysis units --out FILE.json``.

A unit is a channel of a layer, averaged over the clip, or one of a head's 128 dimensions. Each
synthetic video has two partners that are other videos but for one factor: the first has its action
(and an actor, set and prop of its own), the second its actor, set and prop (and an action of its
own). What encodes the shared factor is correlated between a video and its partner, over videos; all
else is drawn independently, so that without it the expected correlation is 0. After Kowal et al.,
CVPR 2022, "A Deeper Dive Into What Deep Spatiotemporal Networks Encode", whose pairs are stylised
and shuffled videos.

A unit *encodes* a factor if its correlation is above that of 99% of the pairings with other
videos' partners (all cyclic shifts), so that by chance one unit in a hundred does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from analysis.attribution.retrieval.layers import kept_outputs, layers_of
from analysis.core.clip import StoredFrames, View, load_view
from analysis.core.figure_spec import Dot, DotFigure, DotPanel, FigureSpec
from analysis.core.statistics import Estimate, estimate
from analysis.core.table import (
    RSP_MINUS_AVID,
    Key,
    Row,
    StudyTable,
    Table,
    Value,
    interval,
    number,
    pivot,
)
from analysis.stimuli.kinds import with_random_weights
from analysis.studies.measures.controlled import ControlledConfig
from analysis.studies.registry import KeyNumber, NamedUnit, Study, StudyInputs, register_study
from rspnet.data.sampling import clip_span
from rspnet.data.synthetic.videos import draw_factors, render_video
from rspnet.models import Branch, evaluation_mode
from rspnet.models.heads import global_average_pool
from rspnet.names import HEAD_TITLES, HEADS

Floats = NDArray[np.float64]
FACTORS = {"action": "same action", "appearance": "same appearance"}
# By what a unit encodes of the two factors.
CODES = {
    "action_only": "action alone", "appearance_only": "appearance alone", "both": "both",
    "neither": "neither",
}  # fmt: skip
CHANCE = 0.01
NUM_NAMED = 3  # units of a head that are named for each factor
_SAMPLES = 500


@dataclass(frozen=True, kw_only=True)
class UnitsConfig(ControlledConfig):
    """Units of all layers and of both heads on pairs of synthetic videos that share one factor.

    Attributes:
        num_videos: Videos, each with its two partners.
        num_random: Draws of random weights, whose units are taken together.
    """

    num_videos: int = 100


@torch.no_grad()
def unit_values(branch: Branch, views: Sequence[View]) -> dict[str, Floats]:
    """Values of the units of every layer and of both heads, by layer (N, U) in double precision.

    Args:
        branch: Query branch; of its encoder those parts are layers that give (B, C, T, H, W).
        views: N clips, in one pass.
    """
    clips = torch.stack([view.clip for view in views]).to(branch.device)
    with evaluation_mode(branch), kept_outputs(layers_of(branch)) as kept:
        pooled = global_average_pool(branch.features(clips))
        found = {name: output.mean(dim=(2, 3, 4)) for name, output in kept.items()}
        found |= {head: branch.head(head)(pooled) for head in HEADS}
    return {name: values.double().cpu().numpy() for name, values in found.items()}


def correlations(a: Floats, b: Floats) -> Floats:
    """Pearson's r of each unit between videos and partners, (V, U) twice -> (U,); 0 if constant."""
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    length = np.linalg.norm(a, axis=0) * np.linalg.norm(b, axis=0)
    product = (a * b).sum(axis=0)
    found: Floats = np.divide(product, length, out=np.zeros_like(product), where=length > 0)
    return found


def encodes(a: Floats, b: Floats) -> NDArray[np.bool_]:
    """Whether each unit is correlated with its partners more than with 99% of others, (U,)."""
    others = [correlations(a, np.roll(b, shift, axis=0)) for shift in range(1, len(b))]
    above: NDArray[np.bool_] = correlations(a, b) > np.quantile(others, 1 - CHANCE, axis=0)
    return above


def mean_correlation(a: Floats, b: Floats, minus: tuple[Floats, Floats] | None = None) -> Estimate:
    """The mean of :func:`correlations` over units, with its interval over videos.

    Args:
        a: Units of the videos, (V, U).
        b: Of their partners.
        minus: The same of other units, whose mean correlation is subtracted.
    """

    def statistic(chosen: Floats) -> Floats:
        pairs = [(a, b), *([minus] if minus else [])]
        means = [
            [correlations(x[own], y[own]).mean() for own in chosen.astype(int)] for x, y in pairs
        ]
        return np.array(means[0]) - (np.array(means[1]) if minus else 0)

    return estimate([np.arange(len(a), dtype=float)], statistic, num_samples=_SAMPLES)


def summarise(values: Mapping[str, Floats], weights: str) -> list[Row]:
    """A row a layer and one of the heads' difference, from (V, 3, U) of each layer.

    Args:
        values: Units of the videos, of their partners by action, and of those by appearance.
        weights: Name of the weights.
    """
    rows = []
    for layer, found in values.items():
        own, *partners = found.swapaxes(0, 1)
        means = {f: mean_correlation(own, p) for f, p in zip(FACTORS, partners, strict=True)}
        action, appearance = (encodes(own, partner) for partner in partners)
        codes = (action & ~appearance, appearance & ~action, action & appearance)
        shares = [float(code.mean()) for code in codes]
        counts = dict(zip(CODES, [*shares, 1 - sum(shares)], strict=True))
        keys: dict[str, Key] = {"weights": weights, "layer": layer}
        rows.append(Row(keys=keys, values={**means, **counts, "units": own.shape[1]}))
    (rsp, *of_rsp), (avid, *of_avid) = (values[head].swapaxes(0, 1) for head in HEADS)
    differences = {
        factor: mean_correlation(rsp, one, (avid, other))
        for factor, one, other in zip(FACTORS, of_rsp, of_avid, strict=True)
    }
    return [*rows, Row(keys={"weights": weights, "layer": RSP_MINUS_AVID}, values=differences)]


def strongest_units(values: Mapping[str, Floats]) -> list[Row]:
    """Of each head and layer the units that encode one factor alone, the most correlated first.

    Args:
        values: As for :func:`summarise`.
    """
    rows = []
    for name in (*HEADS, *(layer for layer in values if layer not in HEADS)):
        of = {"head" if name in HEADS else "layer": name}
        own, *partners = values[name].swapaxes(0, 1)
        r = {f: correlations(own, p) for f, p in zip(FACTORS, partners, strict=True)}
        action, appearance = (encodes(own, partner) for partner in partners)
        alone = {"action": action & ~appearance, "appearance": appearance & ~action}
        for factor, found in alone.items():
            units = np.flatnonzero(found)
            units = units[np.argsort(-r[factor][units], kind="stable")][:NUM_NAMED]
            for place, unit in enumerate(units.tolist(), start=1):
                keys: dict[str, Key] = {**of, "encodes": factor, "place": place}
                both = {name: float(own_r[unit]) for name, own_r in r.items()}
                rows.append(Row(keys=keys, values={"unit": unit, **both}))
    return rows


def _layers(table: StudyTable) -> list[str]:
    return [layer for layer in table.keys("layer") if layer != RSP_MINUS_AVID]


def named_units(table: StudyTable, of: str = "head") -> list[NamedUnit]:
    """The units of :func:`strongest_units`; none of a table that was measured without them.

    Args:
        table: The numbers.
        of: Units of a ``head``, or of a ``layer``.
    """
    found = []
    for row in table.rows:
        if "encodes" in row.keys and of in row.keys:
            name, factor = str(row.keys[of]), str(row.keys["encodes"])
            own = {key: v for key, v in row.values.items() if not isinstance(v, Estimate)}
            r = {key: float(own[key]) for key in FACTORS}
            found.append(NamedUnit(name, factor, int(own["unit"]), r))
    return found


def _named(table: StudyTable) -> list[Table]:
    found = []
    for of, option in (("head", "--unit"), ("layer", "--layer and --unit")):
        rows: list[list[str | Value]] = [
            [
                f"{HEAD_TITLES.get(own.head, own.head)} {own.unit}",
                CODES[f"{own.factor}_only"],
                *own.r.values(),
            ]
            for own in named_units(table, of)
        ]
        shows = " and the page Retrieval show" if of == "head" else " shows"
        caption = (
            f"the units of each {of}, numbered from 0, that encode one factor alone, up to "
            f"{NUM_NAMED} with the largest correlation between videos that share it; "
            f"`python -m analysis retrieval` with {option}{shows} what excites them"
        )
        header = ("unit", "encodes", *(f"r, {name}" for name in FACTORS.values()))
        if rows:
            found.append(Table(header=header, rows=rows, caption=caption, folded=of == "layer"))
    return found


def title_of(layer: str) -> str:
    """The name of a layer in tables and figures."""
    return f"{HEAD_TITLES[layer]} head" if layer in HEADS else layer.replace("_", " ")


@register_study
class Units(Study[UnitsConfig]):
    """Count the units of each layer and head that encode action or appearance."""

    name = "units"
    title = "Units"
    question = "Which units encode action, which appearance?"
    reading = (
        "Correlation, over videos, of a unit between a video and another one that shares only its "
        "action, or only its appearance; 0 is expected of a unit that does not encode what is "
        "shared. By chance one unit in a hundred counts as encoding a factor. What is counted is "
        "linear and of single units: a factor can also be spread over many."
    )
    needs = "synthetic"
    config = UnitsConfig
    place = 56

    def measure(self, inputs: StudyInputs, config: UnitsConfig) -> StudyTable:
        """Measure a model and random weights; three forward passes a video and model."""
        num, query = config.num_videos, inputs.query
        span = clip_span(query.num_frames, 1)

        def view(index: int, **changes: Any) -> View:
            frames = render_video(config.seed, index, num_frames=span, **changes).frames
            return load_view(StoredFrames(frames), query.num_frames, query.size)

        draws = [with_random_weights(query, draw) for draw in range(config.num_random)]
        models = [query, *draws]
        found: list[list[dict[str, Floats]]] = [[] for _ in models]
        for index in tqdm(range(num), desc=self.title, unit="video", disable=not inputs.progress):
            own = draw_factors(config.seed, index)
            clips = (
                view(index),
                view(num + index, action=own.action),
                view(2 * num + index, actor=own.actor, set_id=own.set_id, prop=own.prop),
            )
            for branch, values in zip(models, found, strict=True):
                values.append(unit_values(branch, clips))
        trained, *random = (
            {layer: np.stack([video[layer] for video in values]) for layer in values[0]}
            for values in found
        )
        # Draws of random weights are more units of the same kind.
        untrained = {
            layer: np.concatenate([draw[layer] for draw in random], axis=2) for layer in trained
        }
        rows = [*summarise(trained, "trained"), *summarise(untrained, "random weights")]
        rows += strongest_units(trained)
        return StudyTable(
            study=self.name,
            rows=tuple(rows),
            num_videos=num,
            videos=f"synthetic videos of seed {config.seed}",
            model_hash=query.hash,
            seed=config.seed,
        )

    def finding(self, table: StudyTable) -> str:
        """What the units of either head encode."""
        rsp, avid = (table.one(weights="trained", layer=head) for head in HEADS)
        return (
            "Between videos of one action RSP's dimensions are correlated by "
            f"{interval(rsp['action'])}, A-VID's by {interval(avid['action'])}; between videos of "
            f"one appearance RSP's by {interval(rsp['appearance'])}, A-VID's by "
            f"{interval(avid['appearance'])}."
        )

    def named_units(self, table: StudyTable) -> list[NamedUnit]:
        """The strongest units of each head."""
        return named_units(table)

    def tables(self, table: StudyTable) -> list[Table]:
        """A line a layer: mean correlations, and shares of units; random weights folded."""
        columns: dict[str, tuple[str, dict[str, Key]]] = {"units": ("units", {})}
        columns |= {f"r, {name}": (factor, {}) for factor, name in FACTORS.items()}
        columns |= {name: (code, {}) for code, name in CODES.items()}
        return [
            pivot(
                {title_of(layer): {"weights": weights, "layer": layer} for layer in _layers(table)},
                columns,
                table,
                first="layer",
                caption=f"{weights}: mean correlation of the units of a layer between videos that "
                "share one factor, with its 95% interval over videos, and share of the units "
                f"that encode a factor ({number(CHANCE)} by chance); {table.num_videos} "
                f"{table.videos}, each with two partners",
                strong=lambda title: title in map(title_of, HEADS),
                folded=weights != "trained",
            )
            for weights in table.keys("weights")
        ] + _named(table)

    def figures(self, table: StudyTable) -> list[FigureSpec]:
        """Layers from first to last, then the heads; a column a factor."""
        layers = _layers(table)
        panels = tuple(
            DotPanel(
                name.capitalize(),
                tuple(
                    Dot(place, layer if layer in HEADS else "backbone", row[factor], control)
                    for control, weights in ((True, "random weights"), (False, "trained"))
                    for place, layer in enumerate(layers)
                    for row in table.select(weights=weights, layer=layer)
                ),
                ((0.0, False),),
            )
            for factor, name in FACTORS.items()
        )
        axis = "Mean correlation of units between videos that share one factor; line: chance"
        return [DotFigure("What units encode", tuple(map(title_of, layers)), panels, axis)]

    def key_numbers(self, table: StudyTable) -> list[KeyNumber]:
        """Mean correlation of the heads' dimensions between videos of one action, of one look."""
        return [
            KeyNumber(
                name=f"correlation of single units between videos of the {name}",
                values={head: table.one(weights="trained", layer=head)[factor] for head in HEADS},
                difference=table.one(weights="trained", layer=RSP_MINUS_AVID)[factor],
                control=table.one(weights="random weights", layer=RSP_MINUS_AVID)[factor],
            )
            for factor, name in FACTORS.items()
        ]
