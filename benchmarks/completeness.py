"""Contributions of random pairs of clips: how far their sums are from the similarity.

python benchmarks/completeness.py --root DIR [--model default] [--num_pairs 100]
"""

import argparse
import platform
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from analysis import explain_pair
from rspnet import VideoReader, load_model
from rspnet.data.sampling import clip_span
from rspnet.data.sources import expand_roots
from rspnet.data.stage import generate
from rspnet.data.transforms import load_clip


def random_clip(
    paths: list[Path], num_frames: int, size: int, rng: np.random.Generator
) -> torch.Tensor:
    """A clip of a random video, at a random place and a random speed that fits."""
    while True:
        with VideoReader(paths[int(rng.integers(len(paths)))]) as reader:
            speed = int(rng.choice([1, 2]))
            last = len(reader) - clip_span(num_frames, speed)
            if last >= 0:
                start = int(rng.integers(last + 1))
                return load_clip(reader, start, num_frames, speed, size)[0]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", help="videos; nothing: eight generated ones")
    parser.add_argument("--model", default="default")
    parser.add_argument("--num_pairs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(f"Python {platform.python_version()}, torch {version('torch')}, {platform.machine()}")
    query, key = load_model(options.model, "query"), load_model(options.model, "key")
    rng = np.random.default_rng(options.seed)
    errors: dict[str, list[float]] = {name: [] for name in query.heads}
    with tempfile.TemporaryDirectory() as folder:
        root = options.root or generate(folder, 8, 0, progress=False)
        paths = expand_roots([root])
        begin = time.perf_counter()
        for _ in tqdm(range(options.num_pairs), unit="pair", disable=None):
            clips = [random_clip(paths, query.num_frames, query.size, rng) for _ in range(2)]
            pair = explain_pair(query, key, *clips)
            for name, maps in pair.heads.items():
                errors[name].append(maps.completeness_error)
        seconds = time.perf_counter() - begin
    each = seconds / options.num_pairs
    print(f"\n{options.num_pairs} random pairs of clips of {root}, {each:.2f} s a pair")
    print(f"{'|sum of contributions - s|':28}{'largest':>10}{'median':>10}")
    for name, values in errors.items():
        print(f"{name:28}{max(values):10.1e}{np.median(values):10.1e}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
