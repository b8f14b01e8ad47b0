"""Do the heads look where they should? ``python -m analysis localisation --out FILE.json``.

Generated videos know where their limbs, their prop and their set are. Here the maps of both heads
(:mod:`analysis.stimuli.kinds`) are held against these masks, on videos that no model was trained
on:

- *share*: of a map's positive energy, what lies in a region
  (:func:`analysis.regions.motion.share_inside`);
- *ratio*: the mean share over the mean share of the pixels;
- *even*: the ratio of a map that says the same everywhere. It is near 1 but not 1, as cells at the
  clip's border have larger or smaller territories than others;
- *ceiling*: the ratio of a map that puts all in the one cell that the region fills best: no map on
  this grid can have more;
- *part*: what lies inside with its sign, in units of the score. The parts of limbs, body and static
  add up to the part of the whole, the score;
- *pointing*: how much of the largest cell's territory the region covers. It is the pointing game
  (Zhang et al. 2018, "Top-down Neural Attention by Excitation Backprop") with parts of a hit, as
  a cell is wider than a limb.

The controls are those of :mod:`analysis.stimuli.kinds`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from analysis.core.clip import Masks, StoredFrames, View, view_masks
from analysis.core.statistics import estimate, mean, ratio
from analysis.regions.motion import cell_coverage
from analysis.stimuli.kinds import (
    EvaluatedModel,
    Views,
    clip_size,
    kinds_of,
    triplet_views,
    with_controls,
)
from analysis.studies.localisation_result import (
    REGION_NAMES,
    REGIONS,
    HeadDifference,
    LocalisationResult,
    LocalisationRow,
    LocalisationStudy,
)
from rspnet.data.synthetic.videos import render_video, video_name
from rspnet.evaluate import eval_triplets
from rspnet.models import Branch
from rspnet.names import HEADS

Floats = NDArray[np.float64]

SPEEDS = (1, 2)
CUES_SHARE = 0.1  # of the set's pixels, those that count as its cues
SEED = 9
# What is subtracted from what: the head that should look there comes first.
EXPECTED = {
    "limbs": ("rsp", "avid"),
    "prop": ("avid", "rsp"),
    "set_cues": ("avid", "rsp"),
    "cues": ("avid", "rsp"),
    "static": ("avid", "rsp"),
}


@dataclass(frozen=True)
class Scene:
    """A video's triplets, those with a query of the first speed first, and their ground truth.

    Attributes:
        triplets: Views of c_i, c_j and c_k.
        regions: For each, the masks of c_i, (T, H, W).
    """

    triplets: tuple[Views, ...]
    regions: tuple[dict[str, Masks], ...]


def background_cues(
    frames: NDArray[np.uint8], background: Masks, share: float = CUES_SHARE
) -> Masks:
    """The most contrasted places of a set that stands still: windows, pictures, edges.

    The set is put together from what each frame shows of it. Its contrast at a pixel is the
    standard deviation of grey values around it (Gaussian, 2 pixels), in which only pixels of the
    set count, so that an actor's or prop's outline is no cue.

    Args:
        frames: (T, H, W, 3) uint8.
        background: Pixels that show the set, (T, H, W).
        share: Of the set's pixels, how many are cues.

    Returns:
        (T, H, W) booleans inside of ``background``.
    """
    gray = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]).astype(float)
    times_seen = background.sum(axis=0)
    seen = times_seen > 0
    picture = (gray * background).sum(axis=0) / np.maximum(times_seen, 1)

    def blurred(values: Floats) -> Floats:
        return np.asarray(cv2.GaussianBlur(values * inner, (0, 0), 2.0), float)

    # Pixels at the edge of the set are partly of something else.
    inner = cv2.erode(seen.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(float)
    weight = np.maximum(blurred(np.ones_like(picture)), 1e-6)
    contrast = blurred(picture**2) / weight - (blurred(picture) / weight) ** 2
    inside = inner > 0
    if not inside.any():
        return np.zeros_like(background)
    lowest = np.quantile(contrast[inside], 1 - share)
    return np.asarray(background & (inside & (contrast > lowest)))


def regions_of(masks: Mapping[str, Masks], view: View) -> dict[str, Masks]:
    """The regions of :data:`REGIONS` in a clip.

    Args:
        masks: Of the whole video, as :func:`rspnet.data.synthetic.videos.render_video` gives them.
        view: The clip.

    Returns:
        (T, size, size) booleans each.
    """
    size = view.frames.shape[1]
    shown = {name: view_masks(m, view.info.frame_indices, size) for name, m in masks.items()}
    cues = background_cues(view.frames, shown["background"] & ~shown["actor"] & ~shown["prop"])
    return {
        "limbs": shown["limbs"],
        "body": shown["actor"] & ~shown["limbs"],
        "prop": shown["prop"],
        "set_cues": cues,
        "cues": shown["prop"] | cues,
        "static": ~shown["actor"],
        "whole": np.ones_like(shown["actor"]),
    }


def make_scene(
    seed: int, index: int, *, num_frames: int, size: int, num_triplets: int = 2
) -> Scene:
    """Render a video, draw its triplets as in training, and keep what is asked of them.

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
        part: Signed, the same shape.
        area: (V, S, R).
        even: Mean coverage of the cells, (V, S, R).
        ceiling: Largest coverage of a cell, (V, S, R).
    """

    kinds: tuple[str, ...]
    share: Floats
    pointing: Floats
    part: Floats
    area: Floats
    even: Floats
    ceiling: Floats

    @classmethod
    def average(cls, parts: Sequence["Measured"]) -> "Measured":
        """The mean of several, such as of draws of random weights."""
        names = [field.name for field in fields(cls) if field.name != "kinds"]
        means = {name: np.mean([getattr(p, name) for p in parts], axis=0) for name in names}
        return cls(parts[0].kinds, **means)


def measure(asking: EvaluatedModel, scenes: Sequence[Scene]) -> Measured:
    """Hold every map of every scene against the regions.

    Args:
        asking: The model or control, after it was asked about the scenes' triplets.
        scenes: The videos.
    """
    questions = asking.questions
    kinds = kinds_of(questions[0][0].c_i.branch, questions[0][0].c_j.branch)
    num_videos, num_questions = len(scenes), len(scenes[0].triplets)
    share = np.zeros((num_videos, num_questions, len(HEADS), len(kinds), len(REGIONS)))
    pointing, part = np.zeros_like(share), np.zeros_like(share)
    area = np.zeros((num_videos, num_questions, len(REGIONS)))
    even, ceiling = np.zeros_like(area), np.zeros_like(area)
    for v, q in np.ndindex(num_videos, num_questions):
        regions, grid = scenes[v].regions[q], questions[v][q].c_i.grid
        coverage_RP = np.stack([cell_coverage(regions[name], grid).ravel() for name in REGIONS])
        area[v, q] = [regions[name].mean() for name in REGIONS]
        even[v, q] = coverage_RP.mean(axis=1)
        ceiling[v, q] = coverage_RP.max(axis=1)
        for h, head in enumerate(HEADS):
            for k, values in enumerate(asking.maps(v, q, head).values()):
                positive = np.clip(values, 0, None).ravel()
                total = positive.sum()
                share[v, q, h, k] = coverage_RP @ positive / total if total > 0 else 0
                pointing[v, q, h, k] = coverage_RP[:, values.argmax()]
                part[v, q, h, k] = coverage_RP @ values.ravel()

    def by_speed(values: Floats) -> Floats:
        halves = values.reshape(num_videos, len(SPEEDS), -1, *values.shape[2:])
        return np.asarray(halves.mean(axis=2), float)

    numbers = (by_speed(values) for values in (share, pointing, part, area, even, ceiling))
    return Measured(kinds, *numbers)


def summarise(
    measured: Measured, *, weights: str, model_hash: str, seed: int
) -> LocalisationResult:
    """Estimates over videos, with bootstrap intervals."""
    # Where a region is out of the picture in all videos of a resample, that one does not count.
    with np.errstate(invalid="ignore"):
        return _summarise(measured, weights, model_hash, seed)


def _summarise(measured: Measured, weights: str, model_hash: str, seed: int) -> LocalisationResult:
    speeds = {f"{speed}x": [s] for s, speed in enumerate(SPEEDS)}
    rows, differences = [], []
    for speed, places in {"both": [0, 1], **speeds}.items():
        share, pointing, part, area, even, ceiling = (
            getattr(measured, name)[:, places].mean(axis=1)
            for name in ("share", "pointing", "part", "area", "even", "ceiling")
        )
        for k, kind in enumerate(measured.kinds):
            for r, region in enumerate(REGIONS):
                for h, head in enumerate(HEADS):
                    rows.append(
                        LocalisationRow(
                            kind=kind,
                            head=head,
                            region=region,
                            speed=speed,
                            share=mean(share[:, h, k, r]),
                            area=mean(area[:, r]),
                            ratio=ratio(share[:, h, k, r], area[:, r]),
                            even=ratio(even[:, r], area[:, r]),
                            ceiling=ratio(ceiling[:, r], area[:, r]),
                            pointing=mean(pointing[:, h, k, r]),
                            part=mean(part[:, h, k, r]),
                        )
                    )
                if region not in EXPECTED:
                    continue
                a, b = (HEADS.index(head) for head in EXPECTED[region])
                # The difference of the two ratios above, both heads' shares of a video paired.
                columns = [share[:, a, k, r], share[:, b, k, r], area[:, r]]
                found = estimate(columns, lambda x, y, z: (x - y).mean(axis=1) / z.mean(axis=1))
                first, second = EXPECTED[region]
                differences.append(
                    HeadDifference(
                        kind=kind, region=region, speed=speed, of=first, less=second, ratio=found
                    )
                )
    return LocalisationResult(
        weights=weights,
        model_hash=model_hash,
        seed=seed,
        num_videos=len(measured.share),
        rows=tuple(rows),
        differences=tuple(differences),
    )


def localisation_study(
    query: Branch,
    key: Branch,
    *,
    num_videos: int = 40,
    size: int | None = None,
    seed: int = SEED,
    num_triplets: int = 2,
    num_random: int = 3,
    progress: bool = True,
) -> LocalisationStudy:
    """Measure a model and its three controls on the same clips.

    Args:
        query: Query branch.
        key: Momentum branch.
        num_videos: Generated videos, at least two.
        size: Height and width of clips in pixels; nothing for the model's own. A larger one gives
            a finer grid.
        seed: Of the videos; one that the model was not trained on.
        num_triplets: A video and speed of c_i.
        num_random: Draws of random weights, averaged video by video.
        progress: Show a progress bar.

    Raises:
        ValueError: A number is too small, or no video shows a region.
    """
    size = clip_size(
        query, size, num_videos=num_videos, num_triplets=num_triplets, num_random=num_random
    )
    total = num_videos * (3 + num_random)
    with tqdm(total=total, desc="Planted", unit="video", disable=not progress) as bar:
        scenes = []
        for index in range(num_videos):
            scene = make_scene(
                seed, index, num_frames=query.num_frames, size=size, num_triplets=num_triplets
            )
            scenes.append(scene)
            bar.update()
        for name in REGIONS:
            if not any(region[name].any() for scene in scenes for region in scene.regions):
                raise ValueError(
                    f"none of the {num_videos} videos of seed {seed} shows its "
                    f"{REGION_NAMES[name]}: take more videos or another seed"
                )
        clips = [scene.triplets for scene in scenes]
        found: dict[str, list[Measured]] = {}
        for asking in with_controls(query, key, clips, num_random=num_random, done=bar.update):
            found.setdefault(asking.weights, []).append(measure(asking, scenes))
            grid = asking.questions[0][0].c_i.grid
    results = tuple(
        summarise(Measured.average(parts), weights=name, model_hash=query.hash, seed=seed)
        for name, parts in found.items()
    )
    return LocalisationStudy(results=results, grid=grid, num_triplets=num_triplets)
