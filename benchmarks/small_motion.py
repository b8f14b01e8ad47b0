"""Do maps follow a small motion whose place is known? ``python -m benchmarks.small_motion``.

A talking head: head and shoulders of a synthetic actor sway before a plain wall, under a camera at
rest with a noise of one grey level. Where it moves and how fast is known, so that both the maps and
the measure of movement (:func:`analysis.regions.flow.movement`) can be compared with it: Spearman's
rho over the cells of a clip, mean over videos with its 95% interval, as the head sways less.
"""

import argparse
import math
import sys
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from analysis.core.clip import Frames, StoredFrames
from analysis.core.statistics import mean, rank_correlation
from analysis.regions.flow import cell_means, movement
from analysis.stimuli.kinds import encode_triplet, triplet_views, with_random_weights
from analysis.stimuli.triplets import scores_of
from benchmarks.harness import print_row
from rspnet import load_model
from rspnet.data.synthetic.videos import render_video
from rspnet.evaluate import eval_triplets
from rspnet.models import Branch

Floats = NDArray[np.float64]
SIZE, ZOOM, NUM_FRAMES = 112, 2.5, 60


def talking_head(seed: int, index: int, sway: float) -> tuple[Frames, Floats]:
    """A head that sways before a plain wall, and by how much each pixel moves.

    Args:
        seed: Of the synthetic videos that the head is from.
        index: Of the video.
        sway: 1 for 3 pixels to either side and 1 up and down; 12 and 9 frames a cycle.

    Returns:
        Frames (60, 112, 112, 3), and pixels a frame (60, 112, 112).
    """
    video = render_video(seed, index, num_frames=1)
    picture, actor = video.frames[0], video.masks["actor"][0]
    rows, columns = np.nonzero(actor)
    head = columns[rows < rows.min() + np.ptp(rows) / 4]
    left, top = SIZE / 2 - ZOOM * np.median(head), 18 - ZOOM * rows.min()
    wall = (150 + 5 * (index % 10), 170, 140) + np.linspace(-12, 12, SIZE)[:, None, None]
    frames, moves = [], []
    for t in range(NUM_FRAMES):
        x, y = 2 * math.pi * t / 12, 2 * math.pi * t / 9 + index
        place = np.array(
            [[ZOOM, 0, left + 3 * sway * math.sin(x)], [0, ZOOM, top + sway * math.sin(y)]]
        )
        shown = cv2.warpAffine(picture, place, (SIZE, SIZE))
        alpha = cv2.warpAffine(actor.astype(np.float32), place, (SIZE, SIZE))
        noise = np.random.default_rng([seed, index, t]).normal(0, 1, (SIZE, SIZE, 1))
        frame = shown * alpha[..., None] + wall * (1 - alpha[..., None]) + noise
        frames.append(np.clip(frame, 0, 255).astype(np.uint8))
        speed = sway * 2 * math.pi * math.hypot(3 / 12 * math.cos(x), 1 / 9 * math.cos(y))
        moves.append((alpha > 0.5) * speed)
    return np.stack(frames), np.stack(moves)


def measure(
    query: Branch, key: Branch, videos: Sequence[tuple[Frames, Floats]], seed: int
) -> dict[str, list[float]]:
    """By name, a number a video: correlations with what moves, and RSP's order (0, 0.5 or 1)."""
    drawn = [
        eval_triplets(NUM_FRAMES, query.num_frames, (1, 2), 1, np.random.default_rng([seed, index]))
        for index in range(len(videos))
    ]
    found: dict[str, list[list[float]]] = {}
    for q in range(2):
        encoded = [
            encode_triplet(query, key, triplet_views(StoredFrames(frames), own[q], query.size))
            for (frames, _), own in zip(videos, drawn, strict=True)
        ]
        for v, own in enumerate(encoded):
            score, avid = (scores_of(encoded, v)[head, "margin"] for head in ("rsp", "avid"))
            margin = float(score.contributions(own.c_i).score)
            towards = score if own.c_j.info.speed > own.c_k.info.speed else -score
            rsp, static = (towards.contributions(c).values for c in (own.c_i, own.static))
            truth = cell_means(videos[v][1][list(own.view.info.frame_indices)], own.c_i.grid)
            maps = {
                "measured movement": cell_means(movement(own.view.frames), own.c_i.grid),
                "RSP's margin map": rsp,
                "that of the static clip": static,
                "RSP's minus static clip": rsp - static,
                "A-VID's margin map": avid.contributions(own.c_i).values,
            }
            values = {name: rank_correlation(one, truth) for name, one in maps.items()}
            for name, value in (values | {"RSP's order": float(margin > 0)}).items():
                found.setdefault(name, [[] for _ in videos])[v].append(value)
    return {name: [float(np.mean(own)) for own in values] for name, values in found.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="default")
    parser.add_argument("--num_videos", type=int, default=10)
    parser.add_argument("--seed", type=int, default=77)
    parser.add_argument("--sways", type=float, nargs="+", default=[0.3, 1.0, 2.0])
    options = parser.parse_args()
    query, key = load_model(options.model, "query"), load_model(options.model, "key")
    random = with_random_weights(query, 0)
    for sway in options.sways:
        numbers = range(options.num_videos)
        videos = [talking_head(options.seed, index, sway) for index in numbers]
        print_row(f"sway {sway:g}", "trained", "random weights", first=28, width=24)
        trained, untrained = (
            measure(*branches, videos, options.seed) for branches in ((query, key), (random,) * 2)
        )
        for name, values in trained.items():
            print_row(name, str(mean(values)), str(mean(untrained[name])), first=28, width=24)
    return 0


if __name__ == "__main__":
    sys.exit(main())
