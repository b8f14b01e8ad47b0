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

The controls are those of :mod:`analysis.stimuli.kinds`. A model that has the head of a pretext task
has rows of its margin too, of the head ``task`` (:mod:`analysis.studies.measures.located`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from analysis.core.clip import StoredFrames
from analysis.core.figure_spec import DotFigure, DotPanel, FigureSpec
from analysis.core.statistics import Estimate, estimate
from analysis.core.table import (
    AVID_MINUS_RSP,
    RSP_MINUS_AVID,
    Key,
    Row,
    StudyTable,
    Table,
    head_dots,
    interval,
    number,
    pivot,
)
from analysis.regions.ground_truth import REGIONS, regions_of
from analysis.stimuli.kinds import (
    EvaluatedModel,
    clip_size,
    kinds_of,
    triplet_views,
)
from analysis.studies.measures.controlled import (
    HEADLINE_KIND,
    SPEEDS,
    Measured,
    Scene,
    at_speeds,
    by_speed,
    kind_rows,
    kind_title,
    measure_controls,
)
from analysis.studies.measures.located import (
    TASK,
    bounds,
    coverage_of,
    estimates,
    located,
    task_rows,
)
from analysis.studies.registry import (
    KeyNumber,
    Study,
    StudyConfig,
    StudyInputs,
    register_study,
    verdict,
)
from rspnet.data.synthetic.videos import render_video, video_name
from rspnet.evaluate import eval_triplets
from rspnet.names import HEAD_TITLES, HEADS

SHOWN_REGIONS = ("limbs", "body", "prop", "background_cues")
# What is subtracted from what: the head that should look there comes first.
EXPECTED = {
    "limbs": RSP_MINUS_AVID,
    "prop": AVID_MINUS_RSP,
    "background_cues": AVID_MINUS_RSP,
    "cues": AVID_MINUS_RSP,
    "static": AVID_MINUS_RSP,
}


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


def measure(model: EvaluatedModel, scenes: Sequence[Scene]) -> Measured:
    """Compare every map of every scene with the regions.

    Args:
        model: The model or control, after its forward passes over the scenes' triplets.
        scenes: The videos.

    Returns:
        ``share``, ``pointing`` and ``signed_share`` of the maps, (V, S, H heads, K kinds, R
        regions), and of the regions ``area``, ``uniform`` (mean coverage of the cells) and
        ``ceiling`` (largest coverage of a cell), (V, S, R).
    """
    triplets = model.triplets
    kinds = kinds_of(triplets[0][0].c_i.branch, triplets[0][0].c_j.branch)
    shape = (len(scenes), len(scenes[0].triplets), len(HEADS), len(kinds), len(REGIONS))
    found = {name: np.zeros(shape) for name in ("share", "pointing", "signed_share")}
    found |= {name: np.zeros((*shape[:2], shape[-1])) for name in ("area", "uniform", "ceiling")}
    for v, q in np.ndindex(shape[:2]):
        regions, grid = scenes[v].truth[q], triplets[v][q].c_i.grid
        coverage_RP = coverage_of(regions, grid)
        for name, own in bounds([regions], coverage_RP).items():
            found[name][v, q] = own
        for h, head in enumerate(HEADS):
            for k, values in enumerate(model.maps(v, q, head).values()):
                for name, own in located(values.ravel(), coverage_RP).items():
                    found[name][v, q, h, k] = own
    return {name: by_speed(values) for name, values in found.items()}


def summarise(measured: Measured, kinds: Sequence[str], weights: str) -> list[Row]:
    """Estimates over videos, with bootstrap intervals, of one set of weights."""
    rows, differences = [], []
    # Where a region is out of the picture in all videos of a resample, that one does not count.
    with np.errstate(invalid="ignore"):
        for (speed, values), (k, kind), (r, region) in product(
            at_speeds(measured), enumerate(kinds), enumerate(REGIONS)
        ):
            edges = {name: values[name][:, r] for name in ("area", "uniform", "ceiling")}
            area = edges["area"]
            keys: dict[str, Key] = {
                "weights": weights, "kind": kind, "region": region, "speed": speed,
            }  # fmt: skip
            share = dict(zip(HEADS, values["share"][:, :, k, r].T, strict=True))
            for h, head in enumerate(HEADS):
                maps = ("share", "pointing", "signed_share")
                own = estimates(edges | {name: values[name][:, h, k, r] for name in maps})
                rows.append(Row(keys=keys | {"head": head}, values=own))
            if region in EXPECTED:
                first, other = HEADS if EXPECTED[region] == RSP_MINUS_AVID else HEADS[::-1]
                # The difference of the two ratios above, both heads' shares of a video paired.
                found = estimate(
                    [share[first], share[other], area],
                    lambda x, y, z: (x - y).mean(axis=1) / z.mean(axis=1),
                )
                own = {"ratio": found}
                differences.append(Row(keys=keys | {"head": EXPECTED[region]}, values=own))
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


def _of_task(table: StudyTable) -> str:
    """What was found of a model's pretext task; empty for a model without one."""
    if not table.select(head=TASK):
        return ""
    limbs, control, prop = (
        interval(table.one(weights=weights, head=TASK, region=region, speed="both")["ratio"])
        for weights, region in (
            ("trained", "limbs"), ("random weights", "limbs"), ("trained", "prop")
        )
    )  # fmt: skip
    return (
        f"The map of {table.settings['method']}'s own margin lies in moving limbs {limbs} times as "
        f"much as their area (random weights {control}), and {prop} times on the prop; heads that "
        "it does not train are random. "
    )


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
        scenes = [
            make_scene(
                config.seed,
                index,
                num_frames=query.num_frames,
                size=size,
                num_triplets=config.num_triplets,
            )
            for index in range(num_videos)
        ]
        for name in REGIONS:
            if not any(truth[name].any() for scene in scenes for truth in scene.truth):
                raise ValueError(
                    f"none of the {num_videos} videos of seed {config.seed} shows its "
                    f"{REGIONS[name]}: take more videos or another seed"
                )
        found, grid = measure_controls(
            inputs, scenes, measure, num_random=config.num_random, title=self.title
        )
        kinds = kinds_of(query, inputs.key)
        rows = [row for weights, own in found.items() for row in summarise(own, kinds, weights)]
        if inputs.task is not None:
            rows += task_rows(inputs.task, scenes, config.seed, size, config.num_random)
        return StudyTable(
            study=self.name,
            rows=tuple(rows),
            num_videos=num_videos,
            videos=f"synthetic videos of seed {config.seed}",
            model_hash=query.hash,
            seed=config.seed,
            grid=grid,
            settings={"num_triplets": config.num_triplets}
            | ({"method": inputs.task.method} if inputs.task else {}),
        )

    def finding(self, table: StudyTable) -> str:
        """Whether RSP's margin map lies in moving limbs more than A-VID's."""
        own: dict[str, Key] = {
            "weights": "trained", "kind": HEADLINE_KIND, "head": "rsp", "speed": "both",
        }  # fmt: skip
        limbs, prop = (table.one(**own, region=name)["ratio"] for name in ("limbs", "prop"))
        difference = head_difference(table, "trained", "limbs")
        says = verdict(difference, "more than A-VID's", "less than A-VID's")
        return _of_task(table) + (
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
                if table.select(weights=weights, kind=kind, head=head)
            }  # fmt: skip
            if table.select(weights=weights, head=TASK):
                rows[f"margin of {table.settings['method']}"] = {
                    "weights": weights, "head": TASK, "speed": "both",
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
            dots = head_dots(table, [{**keys, "region": region} for keys in rows.values()], "ratio")
            first = next(iter(rows.values()))
            own = table.one(weights="trained", head="rsp", region=region, **first)
            title = f"{REGIONS[region]}, {100 * own['area'].value:.1f}% of the pixels"
            lines = ((1.0, False), (own["ceiling"].value, True))
            panels.append(DotPanel(title, dots, lines))
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
