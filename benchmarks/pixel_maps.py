"""What can a map of pixels say that one of cells can't? ``python -m benchmarks.pixel_maps``.

The kind ``motion_pixels`` beside ``margin_faster`` on synthetic videos whose moving limbs are
known, for both heads, with random weights beside them, and beside the change of the pixels itself,
which needs no network:

- *hits*: of as many pixels as the limbs have, those with the largest values, the share on limbs
  (localisation at equal area);
- *in limbs*: what the limbs' pixels add to the score, and *in all* what all pixels add, in units of
  the score: of the pixels' map alone, whose sum is what movement adds;
- *|rho|*: rank correlation over pixels with the map under random weights. A map below 0.3 is of the
  model, not of the picture.
"""

import argparse
import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from analysis.attribution.captum_methods import motion_pixels
from analysis.core.clip_map import ClipMap
from analysis.core.grid import upsample
from analysis.core.statistics import mean, rank_correlation
from analysis.stimuli.kinds import encode_triplet, with_random_weights
from analysis.stimuli.triplets import scores_of
from analysis.studies.localisation import make_scene
from analysis.studies.measures.controlled import Scene
from benchmarks.harness import print_row
from rspnet import load_model
from rspnet.models import Branch
from rspnet.names import HEAD_TITLES, HEADS

MAPS = {"margin_faster": "cells, interpolated", "motion_pixels": "pixels"}


def hits(values: NDArray[np.floating], region: NDArray[np.bool_]) -> float:
    """Share of the largest values that lie in a region, as many as it has pixels.

    Example:
        >>> hits(np.array([3.0, 1.0, 2.0]), np.array([True, True, False]))
        0.5
    """
    num = int(region.sum())
    largest = np.argpartition(values.ravel(), -num)[-num:]
    return float(region.ravel()[largest].mean())


def maps_of(
    query: Branch, key: Branch, scenes: Sequence[Scene], speed: int
) -> list[dict[tuple[str, str], NDArray[np.floating]]]:
    """Of each video and head its maps, over pixels."""
    encoded = [encode_triplet(query, key, scene.triplets[speed]) for scene in scenes]
    found = []
    for v, own in enumerate(tqdm(encoded, desc=f"speed {speed + 1}", unit="video")):
        maps: dict[tuple[str, str], NDArray[np.floating]] = {}
        for head in HEADS:
            score = scores_of(encoded, v)[head, "margin"]
            if head == "rsp" and own.c_j.info.speed < own.c_k.info.speed:
                score = -score
            cells: ClipMap = score.contributions(own.c_i)
            maps[head, "margin_faster"] = upsample(cells.values, cells.grid)
            maps[head, "motion_pixels"] = motion_pixels(score, own.view).values
        found.append(maps)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="default")
    parser.add_argument("--num_videos", type=int, default=16)
    parser.add_argument("--seed", type=int, default=9)
    options = parser.parse_args()
    query, key = load_model(options.model, "query"), load_model(options.model, "key")
    random = with_random_weights(query, 0)
    scenes = [
        make_scene(
            options.seed, index, num_frames=query.num_frames, size=query.size, num_triplets=1
        )
        for index in range(options.num_videos)
    ]
    found: dict[tuple[str, str, str], list[list[float]]] = {}
    change: list[list[float]] = []
    for speed in range(2):
        trained, untrained = (
            maps_of(*branches, scenes, speed) for branches in ((query, key), (random, random))
        )
        for scene, own, other in zip(scenes, trained, untrained, strict=True):
            limbs = scene.truth[speed]["limbs"]
            if not limbs.any():
                continue
            clip = scene.triplets[speed][0].clip.sum(dim=0).double().numpy()
            change.append([hits(np.abs(clip - clip[len(clip) // 2]), limbs)])
            for (head, kind), values in own.items():
                rho = abs(rank_correlation(values, other[head, kind]))
                for weights, shown in (("trained", values), ("random weights", other[head, kind])):
                    row = [hits(shown, limbs), shown[limbs].sum(), shown.sum(), rho]
                    found.setdefault((head, kind, weights), []).append(row)
    print_row("map", "hits", "in limbs", "in all", "|rho|", first=40, width=22)
    for (head, kind, weights), rows in found.items():
        cells = [str(mean(column)) for column in np.array(rows).T]
        if kind != "motion_pixels":
            cells[1:3] = "-", "-"
        print_row(f"{HEAD_TITLES[head]}, {MAPS[kind]}, {weights}", *cells, first=40, width=22)
    print_row("change of the pixels", str(mean(np.array(change)[:, 0])), first=40, width=22)
    return 0


if __name__ == "__main__":
    sys.exit(main())
