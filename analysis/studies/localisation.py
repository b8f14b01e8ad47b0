"""Do the heads look where they should? ``python -m analysis localisation --out FILE.json``.

Synthetic videos know where their limbs, their prop and their set are. Here the maps of both heads
(:mod:`analysis.stimuli.kinds`) are compared with these masks, on videos that no model was trained
on. A row of the result is one kind of map of one head against one region; its measures are

- *share*: of a map's positive energy, what lies in a region
  (:func:`analysis.regions.motion.share_inside`);
- *area*: share of the clip's pixels that the region covers;
- *ratio*: the mean share over the mean area;
- *uniform*: the ratio of a uniform map. It is near 1 but not 1, as cells at the clip's border have
  larger or smaller territories than others;
- *ceiling*: the ratio of a map with all its energy in the one cell that the region fills best: no
  map on this grid can have more;
- *signed_share*: the signed contribution that lies inside, in units of the score. Those of limbs,
  body and static add up to that of the whole, the score;
- *pointing*: how much of the largest cell's territory the region covers. It is the pointing game
  (Zhang et al. 2018, "Top-down Neural Attention by Excitation Backprop") with fractional hits, as
  a cell is wider than a limb.

The controls are those of :mod:`analysis.stimuli.kinds`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from analysis.attribution.registry import map_kind
from analysis.core.clip import Masks, StoredFrames
from analysis.core.figure_spec import Dot, DotFigure, DotPanel, FigureSpec
from analysis.core.statistics import Estimate, estimate, mean, ratio
from analysis.regions.ground_truth import REGIONS, regions_of
from analysis.regions.motion import cell_coverage
from analysis.stimuli.kinds import (
    EvaluatedModel,
    Views,
    clip_size,
    kinds_of,
    triplet_views,
    with_controls,
)
from analysis.studies.registry import (
    KeyNumber,
    Study,
    StudyConfig,
    StudyInputs,
    register_study,
    verdict,
)
from analysis.studies.table import (
    AVID_MINUS_RSP,
    RSP_MINUS_AVID,
    Key,
    Row,
    StudyTable,
    Table,
    interval,
    number,
    pivot,
)
from rspnet.data.synthetic.videos import render_video, video_name
from rspnet.evaluate import eval_triplets
from rspnet.names import HEAD_TITLES, HEADS

Floats = NDArray[np.float64]

SPEEDS = (1, 2)
SHOWN_REGIONS = ("limbs", "body", "prop", "background_cues")
_KIND_TITLES = {
    "eq2": "Eq. 2",
    "contribution": "contribution",
    "margin": "margin",
    "margin_faster": "margin to faster",
    "margin_deviation": "|margin \N{MINUS SIGN} median|",
    "margin_static": "margin \N{MINUS SIGN} static clip",
}
# The margin map signed towards the faster clip: that of a slow query shows what stands still.
HEADLINE_KIND = "margin_faster"
# By kind and speed of c_i: margins of slow and fast queries are different things.
KIND_ROWS = (
    ("eq2", "both"), ("contribution", "both"), ("margin", "1x"), ("margin", "2x"),
    ("margin_faster", "both"), ("margin_deviation", "both"),
    ("margin_static", "1x"), ("margin_static", "2x"),
)  # fmt: skip
# What is subtracted from what: the head that should look there comes first.
EXPECTED = {
    "limbs": RSP_MINUS_AVID,
    "prop": AVID_MINUS_RSP,
    "background_cues": AVID_MINUS_RSP,
    "cues": AVID_MINUS_RSP,
    "static": AVID_MINUS_RSP,
}
_MEASURES = ("share", "area", "ratio", "uniform", "ceiling", "pointing", "signed_share")


def kind_title(kind: str) -> str:
    """The name of a kind of map in tables and figures."""
    return _KIND_TITLES.get(kind) or map_kind(kind).title


def kind_rows(table: StudyTable) -> dict[str, dict[str, Key]]:
    """Rows of a figure of all kinds of maps that were measured, by their titles."""
    kinds = dict.fromkeys(str(row.keys["kind"]) for row in table.select(weights="trained"))
    known = {kind for kind, _ in KIND_ROWS}
    return {
        kind_title(kind) + ("" if speed == "both" else f", {speed}"): {
            "kind": kind, "speed": speed,
        }
        for kind, speed in (*KIND_ROWS, *((kind, "both") for kind in kinds if kind not in known))
        if kind in kinds
    }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class LocalisationConfig(StudyConfig):
    """Both heads' maps against the ground truth of synthetic videos.

    Attributes:
        seed: Of the videos; one that the model was not trained on.
        num_videos: Synthetic videos, at least two.
        size: Height and width of clips in pixels; nothing for the model's own. A larger one gives
            a finer grid.
        num_triplets: A video and speed of c_i.
        num_random: Draws of random weights, averaged video by video.
    """

    num_videos: int = 40
    size: int | None = None
    num_triplets: int = 2
    num_random: int = 3


@dataclass(frozen=True)
class Scene:
    """A video's triplets, those with a query of the first speed first, and their ground truth.

    Attributes:
        triplets: Views of c_i, c_j and c_k.
        regions: For each, the masks of c_i, (T, H, W).
    """

    triplets: tuple[Views, ...]
    regions: tuple[dict[str, Masks], ...]


def make_scene(
    seed: int, index: int, *, num_frames: int, size: int, num_triplets: int = 2
) -> Scene:
    """Render a video, draw its triplets as in training, and keep the regions of each query.

    Args:
        seed: Of the videos.
        index: Of the video.
        num_frames: In a clip.
        size: Height and width of clips in pixels.
        num_triplets: A speed of c_i.
    """
    video = render_video(seed, index)
    rng = np.random.default_rng([seed, index])
    drawn = eval_triplets(len(video.frames), num_frames, SPEEDS, num_triplets, rng)
    name = video_name(seed, index)
    triplets = tuple(triplet_views(StoredFrames(video.frames), t, size, name) for t in drawn)
    return Scene(triplets, tuple(regions_of(video.masks, i) for i, _, _ in triplets))


@dataclass(frozen=True)
class Measured:
    """Values of videos (V), for triplets averaged by the query's speed (S).

    Attributes:
        kinds: K.
        share: (V, S, H heads, K, R regions).
        pointing: The same shape.
        signed_share: Signed contribution, the same shape.
        area: (V, S, R).
        uniform: Mean coverage of the cells, (V, S, R).
        ceiling: Largest coverage of a cell, (V, S, R).
    """

    kinds: tuple[str, ...]
    share: Floats
    pointing: Floats
    signed_share: Floats
    area: Floats
    uniform: Floats
    ceiling: Floats

    @classmethod
    def average(cls, parts: Sequence["Measured"]) -> "Measured":
        """The mean of several, such as of draws of random weights."""
        names = [field.name for field in fields(cls) if field.name != "kinds"]
        means = {name: np.mean([getattr(p, name) for p in parts], axis=0) for name in names}
        return cls(parts[0].kinds, **means)


def measure(model: EvaluatedModel, scenes: Sequence[Scene]) -> Measured:
    """Compare every map of every scene with the regions.

    Args:
        model: The model or control, after its forward passes over the scenes' triplets.
        scenes: The videos.
    """
    triplets = model.triplets
    kinds = kinds_of(triplets[0][0].c_i.branch, triplets[0][0].c_j.branch)
    num_videos, num_queries = len(scenes), len(scenes[0].triplets)
    share = np.zeros((num_videos, num_queries, len(HEADS), len(kinds), len(REGIONS)))
    pointing, signed_share = np.zeros_like(share), np.zeros_like(share)
    area = np.zeros((num_videos, num_queries, len(REGIONS)))
    uniform, ceiling = np.zeros_like(area), np.zeros_like(area)
    for v, q in np.ndindex(num_videos, num_queries):
        regions, grid = scenes[v].regions[q], triplets[v][q].c_i.grid
        coverage_RP = np.stack([cell_coverage(regions[name], grid).ravel() for name in REGIONS])
        area[v, q] = [regions[name].mean() for name in REGIONS]
        uniform[v, q] = coverage_RP.mean(axis=1)
        ceiling[v, q] = coverage_RP.max(axis=1)
        for h, head in enumerate(HEADS):
            for k, values in enumerate(model.maps(v, q, head).values()):
                positive = np.clip(values, 0, None).ravel()
                total = positive.sum()
                share[v, q, h, k] = coverage_RP @ positive / total if total > 0 else 0
                pointing[v, q, h, k] = coverage_RP[:, values.argmax()]
                signed_share[v, q, h, k] = coverage_RP @ values.ravel()

    def by_speed(values: Floats) -> Floats:
        halves = values.reshape(num_videos, len(SPEEDS), -1, *values.shape[2:])
        return np.asarray(halves.mean(axis=2), float)

    numbers = (
        by_speed(values) for values in (share, pointing, signed_share, area, uniform, ceiling)
    )
    return Measured(kinds, *numbers)


def summarise(measured: Measured, weights: str) -> list[Row]:
    """Estimates over videos, with bootstrap intervals, of one set of weights."""
    # Where a region is out of the picture in all videos of a resample, that one does not count.
    with np.errstate(invalid="ignore"):
        return _summarise(measured, weights)


def _summarise(measured: Measured, weights: str) -> list[Row]:
    speeds = {f"{speed}x": [s] for s, speed in enumerate(SPEEDS)}
    rows, differences = [], []
    for speed, places in {"both": [0, 1], **speeds}.items():
        share, pointing, signed_share, area, uniform, ceiling = (
            getattr(measured, name)[:, places].mean(axis=1)
            for name in ("share", "pointing", "signed_share", "area", "uniform", "ceiling")
        )
        for k, kind in enumerate(measured.kinds):
            for r, region in enumerate(REGIONS):
                keys: dict[str, Key] = {"weights": weights, "kind": kind}
                for h, head in enumerate(HEADS):
                    estimates = (
                        mean(share[:, h, k, r]),
                        mean(area[:, r]),
                        ratio(share[:, h, k, r], area[:, r]),
                        ratio(uniform[:, r], area[:, r]),
                        ratio(ceiling[:, r], area[:, r]),
                        mean(pointing[:, h, k, r]),
                        mean(signed_share[:, h, k, r]),
                    )
                    own = keys | {"head": head, "region": region, "speed": speed}
                    values = dict(zip(_MEASURES, estimates, strict=True))
                    rows.append(Row(keys=own, values=values))
                if region not in EXPECTED:
                    continue
                order = HEADS if EXPECTED[region] == RSP_MINUS_AVID else HEADS[::-1]
                a, b = (HEADS.index(head) for head in order)
                # The difference of the two ratios above, both heads' shares of a video paired.
                columns = [share[:, a, k, r], share[:, b, k, r], area[:, r]]
                found = estimate(columns, lambda x, y, z: (x - y).mean(axis=1) / z.mean(axis=1))
                own = keys | {"head": EXPECTED[region], "region": region, "speed": speed}
                differences.append(Row(keys=own, values={"ratio": found}))
    return rows + differences


def head_difference(
    table: StudyTable, weights: str, region: str, kind: str = HEADLINE_KIND, speed: str = "both"
) -> Estimate:
    """RSP's ratio in a region minus A-VID's.

    Raises:
        ValueError: There is no such row.
    """
    head = EXPECTED[region]
    found = table.one(weights=weights, kind=kind, head=head, region=region, speed=speed)["ratio"]
    return found if head == RSP_MINUS_AVID else -found


@register_study
class Localisation(Study[LocalisationConfig]):
    """Compare both heads' maps with the ground truth of synthetic videos."""

    name = "localisation"
    title = "Localisation"
    question = "Do the maps lie where the ground truth is?"
    reading = (
        "A uniform map has the ratio 1.00. On a grid this coarse no map can have more than the "
        "largest possible ratio, that of one cell. With swapped heads the two rows of a kind "
        "change places; with random weights there is no difference between the heads."
    )
    needs = "synthetic"
    config = LocalisationConfig
    place = 30

    def measure(self, inputs: StudyInputs, config: LocalisationConfig) -> StudyTable:
        """Measure a model and its three controls on the same clips.

        Raises:
            ValueError: A number is too small, or no video shows a region.
        """
        query, num_videos = inputs.query, config.num_videos
        size = clip_size(
            query,
            config.size,
            num_videos=num_videos,
            num_triplets=config.num_triplets,
            num_random=config.num_random,
        )
        total = num_videos * (3 + config.num_random)
        with tqdm(total=total, desc=self.title, unit="video", disable=not inputs.progress) as bar:
            scenes = []
            for index in range(num_videos):
                scene = make_scene(
                    config.seed,
                    index,
                    num_frames=query.num_frames,
                    size=size,
                    num_triplets=config.num_triplets,
                )
                scenes.append(scene)
                bar.update()
            for name in REGIONS:
                if not any(region[name].any() for scene in scenes for region in scene.regions):
                    raise ValueError(
                        f"none of the {num_videos} videos of seed {config.seed} shows its "
                        f"{REGIONS[name]}: take more videos or another seed"
                    )
            clips = [scene.triplets for scene in scenes]
            found: dict[str, list[Measured]] = {}
            for model in with_controls(
                query, inputs.key, clips, num_random=config.num_random, done=bar.update
            ):
                found.setdefault(model.weights, []).append(measure(model, scenes))
                grid = model.triplets[0][0].c_i.grid
        rows = [
            row for name, draws in found.items() for row in summarise(Measured.average(draws), name)
        ]
        return StudyTable(
            study=self.name,
            rows=tuple(rows),
            num_videos=num_videos,
            videos=f"synthetic videos of seed {config.seed}",
            model_hash=query.hash,
            seed=config.seed,
            grid=grid,
            settings={"num_triplets": config.num_triplets},
        )

    def finding(self, table: StudyTable) -> str:
        """Whether RSP's margin map lies in moving limbs more than A-VID's."""
        own: dict[str, Key] = {
            "weights": "trained", "kind": HEADLINE_KIND, "head": "rsp", "speed": "both",
        }  # fmt: skip
        limbs, prop = (table.one(**own, region=name)["ratio"] for name in ("limbs", "prop"))
        difference = head_difference(table, "trained", "limbs")
        says = verdict(difference, "more than A-VID's", "less than A-VID's")
        return (
            "The margin map of RSP, signed towards the faster clip, lies in moving limbs "
            f"{number(limbs.value)} times as much as their area, {says} ({interval(difference)}), "
            f"and {number(prop.value)} times on the prop."
        )

    def tables(self, table: StudyTable) -> list[Table]:
        """Ratios by kind of map, head and region: the model, and folded its controls."""
        columns = {REGIONS[name]: ("ratio", {"region": name}) for name in SHOWN_REGIONS}
        bounds = pivot(
            {"": {"weights": "trained", "kind": "margin", "head": "rsp", "speed": "both"}},
            {
                f"{words}, {REGIONS[region]}": (measure, {"region": region})
                for measure, words in (("area", "area"), ("ceiling", "largest possible"))
                for region in SHOWN_REGIONS
            },
            table,
            first="",
            caption="shares of the clip's pixels, and the largest ratios that this grid allows",
            folded=True,
        )
        found = []
        for weights in table.keys("weights"):
            rows: dict[str, dict[str, Key]] = {
                f"{kind_title(kind)}, {HEAD_TITLES[head]}": {
                    "weights": weights, "kind": kind, "head": head, "speed": "both",
                }
                for kind in table.keys("kind")
                for head in HEADS
            }  # fmt: skip
            caption = (
                f"{weights}: share of the positive energy over share of the pixels, "
                f"{table.num_videos} {table.videos}, 95% interval over videos"
            )
            shown = pivot(
                rows,
                columns,
                table,
                first="kind of map",
                caption=caption,
                strong=lambda title: title.startswith(kind_title(HEADLINE_KIND)),
                folded=weights != "trained",
            )
            found.append(shown)
        return [found[0], bounds, *found[1:]]

    def figures(self, table: StudyTable) -> list[FigureSpec]:
        """Where the maps' positive energy lies: a column a region, a row a kind of map."""
        rows = kind_rows(table)
        panels = []
        for region in SHOWN_REGIONS:
            dots = [
                Dot(
                    place,
                    head,
                    table.one(weights=weights, head=head, region=region, **keys)["ratio"],
                    weights != "trained",
                )
                for weights in ("random weights", "trained")
                for place, keys in enumerate(rows.values())
                for head in HEADS
            ]
            first = next(iter(rows.values()))
            own = table.one(weights="trained", head="rsp", region=region, **first)
            title = f"{REGIONS[region]}, {100 * own['area'].value:.1f}% of the pixels"
            lines = ((1.0, False), (own["ceiling"].value, True))
            panels.append(DotPanel(title, tuple(dots), lines))
        return [
            DotFigure(
                "Positive energy of the maps, by region",
                tuple(rows),
                tuple(panels),
                "Share of energy over share of pixels; line: 1, dotted: the most on this grid, "
                "below 0.08 at the edge",
                logarithmic=True,
            )
        ]

    def key_numbers(self, table: StudyTable) -> list[KeyNumber]:
        """Ratios of the margin map in limbs, on the prop, and on prop and background cues."""
        shown = {"limbs": "moving limbs", "prop": "the prop", "cues": "prop and background cues"}
        return [
            KeyNumber(
                name=f"margin map to faster in {words}, over their area",
                values={
                    head: table.one(
                        weights="trained", kind=HEADLINE_KIND, head=head, region=region,
                        speed="both",
                    )["ratio"]
                    for head in HEADS
                },
                difference=head_difference(table, "trained", region),
                control=head_difference(table, "random weights", region),
            )
            for region, words in shown.items()
        ]  # fmt: skip
