"""Maps of fixed clips as they grow during pre-training: a callback of ``rspnet.train``.

``python -m rspnet.train ... --callback analysis.report.map_tracker:MapTracker`` writes, after the
first step, every N steps and after the last::

    RUN/maps/step_00000100.png   both heads' maps of a few pairs of clips, over the middle frame
    RUN/maps/step_00000100.npz   the maps, similarities, videos and frames
    RUN/maps/correlation.csv     rank correlation of the two heads' maps: step, pair, rho
    RUN/maps/history.png         at the end: the first pair over the steps, and the correlation

N is a twentieth of the run; the environment variable ``RSPNET_TRACK_EVERY`` sets it. The videos are
three of those trained on, or of the folder, file or list that ``RSPNET_TRACK_VIDEOS`` names, so
that maps of videos never trained on can be watched. The clips are the same at every step, in the
deterministic view of evaluation, and the network is in evaluation mode for them. It is left just as
it was, so a run ends with the same weights with or without.
"""

import csv
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

from analysis.attribution.pair import UNITS, PairExplanation, explain_pair
from analysis.core.clip import ClipInfo
from analysis.core.clip_map import Map
from analysis.core.statistics import rank_correlation
from analysis.figures.training_maps import TrackedPair, draw_history, draw_step, save_page
from rspnet.data.listing import expand_roots
from rspnet.data.pretrain import DataConfig, training_videos
from rspnet.data.sampling import clip_indices, even_starts, pace_of
from rspnet.data.transforms import eval_frames, normalise
from rspnet.data.video.reader import VideoReader
from rspnet.files import atomic_path
from rspnet.models import evaluation_mode
from rspnet.names import HEADS
from rspnet.pretext.method import METHODS, method_settings
from rspnet.pretext.network import TwoBranch
from rspnet.training.config import RunConfig, TrainConfig

EVERY, VIDEOS = "RSPNET_TRACK_EVERY", "RSPNET_TRACK_VIDEOS"
NUM_PAIRS = 3
MOST_IN_HISTORY = 8


def _read_pair(path: Path, data: DataConfig) -> TrackedPair | None:
    # The slower speed: a video that is long enough for the run holds two different clips of it.
    speed = min(data.speeds)
    try:
        with VideoReader(path) as reader:
            if len(reader) < data.frames_needed(reader.fps):
                return None
            pace = pace_of(reader.fps, data.fps, data.stride)
            starts = even_starts(len(reader), 2, data.num_frames, speed, pace)
            first, second = (clip_indices(s, data.num_frames, speed, pace=pace) for s in starts)
            frames = tuple(eval_frames(reader.get_frames(i), data.size) for i in (first, second))
    except (ValueError, OSError):
        return None  # the run itself lists what can't be read
    info = tuple(ClipInfo(str(path), tuple(i), speed) for i in (first, second))
    return TrackedPair((info[0], info[1]), (frames[0], frames[1]))


def choose_pairs(
    paths: Sequence[Path], data: DataConfig, num: int = NUM_PAIRS
) -> list[TrackedPair]:
    """Pairs of clips from videos spread evenly over a list, the same for every seed.

    A video that is unreadable or too short gives its place to the next one.
    """
    pairs: list[TrackedPair] = []
    tried: set[int] = set()
    for k in range(num):
        first = (2 * k + 1) * len(paths) // (2 * num)
        for place in ((first + offset) % len(paths) for offset in range(len(paths))):
            if place in tried:
                continue
            tried.add(place)
            pair = _read_pair(paths[place], data)
            if pair is not None:
                pairs.append(pair)
                break
    return pairs


def round_interval(steps: float) -> int:
    """The nearest of 1, 2, 5, 10, 20, 50, ... by ratio."""
    power = math.floor(math.log10(max(steps, 1)))
    near = [m * 10**power for m in (1, 2, 5, 10)]
    return int(min(near, key=lambda n: abs(math.log(n / max(steps, 1)))))


def check_method(config: RunConfig, callback: str) -> TrainConfig:
    """The configuration, if the run trains a query and a momentum branch with heads.

    Raises:
        ValueError: It does not.
    """
    if not isinstance(config, TrainConfig):
        raise ValueError(f"{callback} is for pre-training (python -m rspnet.train) only")
    settings = method_settings(config.method, config.method_options, config.loss)
    if set(METHODS[config.method].trained_heads(settings)) != set(HEADS):
        raise ValueError(
            f"{callback} is for methods that train both of RSPNet's heads, and {config.method!r} "
            "does not"
        )
    return config


def steps_between(config: TrainConfig, parts: int, num_videos: int | None = None) -> int:
    """Steps from one measurement to the next: a round share of the run, or ``RSPNET_TRACK_EVERY``.

    Raises:
        ValueError: The environment variable is no positive number.
    """
    named = os.environ.get(EVERY, "")
    if named and not (named.isdecimal() and int(named) > 0):
        raise ValueError(f"{EVERY} is a positive number of steps, got {named!r}")
    if named:
        return int(named)
    if config.epochs is None:
        return round_interval(config.max_steps / parts)
    if num_videos is None:
        num_videos = len(training_videos(config.data))
    return round_interval(config.epochs * num_videos / config.batch_size / parts)


class MapTracker:
    """Keeps both heads' maps of fixed clips while a run of pre-training goes on.

    Args:
        folder: The run's folder.
        config: Of the run.

    Raises:
        ValueError: The run is no pre-training, ``RSPNET_TRACK_EVERY`` is no positive number, or
            ``RSPNET_TRACK_VIDEOS`` names nothing.
    """

    def __init__(self, folder: Path, config: RunConfig) -> None:
        own = check_method(config, "MapTracker")
        self.folder = folder / "maps"
        paths = training_videos(own.data)
        self.every = steps_between(own, 20, len(paths))
        watched = os.environ.get(VIDEOS, "")
        self.pairs = choose_pairs(expand_roots([watched]) if watched else paths, own.data)
        if not self.pairs:
            tqdm.write("No maps are tracked: none of the videos gives a pair of clips")

    def __call__(self, step: int, network: nn.Module, *, last: bool) -> None:
        """Write what is due after this step."""
        if not self.pairs or not (last or step == 1 or step % self.every == 0):
            return
        assert isinstance(network, TwoBranch)
        try:
            maps = self.explain(network)
            self._write(step, maps)
            if last:
                self._write_history(step, maps[0])
        except (ValueError, OSError) as error:  # a callback does not end the run
            tqdm.write(f"Maps of step {step} are not written: {error}")

    def explain(self, network: TwoBranch) -> list[PairExplanation]:
        """Maps of all pairs by the network as it is."""
        device = network.query.device
        found = []
        with evaluation_mode(network):
            for pair in self.pairs:
                clip_i, clip_j = (normalise(frames).to(device) for frames in pair.frames)
                info_i, info_j = pair.info
                found.append(
                    explain_pair(
                        network.query, network.key, clip_i, clip_j, info_i=info_i, info_j=info_j
                    )
                )
        return found

    def _names(self) -> dict[str, Any]:
        return {
            "paths": np.array([pair.info[0].video for pair in self.pairs]),
            "frames_i": np.array([pair.info[0].frame_indices for pair in self.pairs]),
            "frames_j": np.array([pair.info[1].frame_indices for pair in self.pairs]),
        }

    def _write(self, step: int, maps: Sequence[PairExplanation]) -> None:
        heads = [[pair.heads[name] for name in HEADS] for pair in maps]
        arrays: dict[str, Any] = {
            "step": np.array(step),
            "heads": np.array(HEADS),
            "maps": np.array([[h.contribution_i for h in row] for row in heads], np.float32),
            "maps_j": np.array([[h.contribution_j for h in row] for row in heads], np.float32),
            "similarity": np.array([[h.similarity for h in row] for row in heads]),
            "units": np.array(UNITS),
        }
        with (
            atomic_path(self.folder / f"step_{step:08d}.npz") as temporary,
            temporary.open("wb") as file,
        ):
            np.savez_compressed(file, **arrays, **self._names())
        save_page(draw_step(step, self.pairs, maps), self.folder / f"step_{step:08d}.png")
        path = self.folder / "correlation.csv"
        rows = [row for row in read_correlations(path) if row[0] < step]
        for number, (rsp, avid) in enumerate(heads):
            both = (
                rank_correlation(rsp.contribution_i, avid.contribution_i),
                rank_correlation(rsp.contribution_j, avid.contribution_j),
            )
            rows.append((step, number, sum(both) / 2))
        with atomic_path(path) as temporary, temporary.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("step", "pair", "rho"))
            writer.writerows((s, pair, f"{rho:.6f}") for s, pair, rho in rows)

    def _write_history(self, step: int, now: PairExplanation) -> None:
        found: dict[int, tuple[Map, NDArray[np.float64]]] = {}
        for path in sorted(self.folder.glob("step_*.npz")):
            try:
                with np.load(path) as stored:
                    # What an earlier run left, or of videos that have changed since, is no part.
                    fits = all(np.array_equal(stored[n], v) for n, v in self._names().items())
                    fits &= stored["maps"].shape[2:] == now.grid_i.cells
                    if int(stored["step"]) <= step and fits:
                        found[int(stored["step"])] = stored["maps"][0], stored["similarity"][0]
            except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
                tqdm.write(f"Left out of the history: {path}: {error}")
        steps = sorted(found)
        chosen = {round(i) for i in np.linspace(0, len(steps) - 1, MOST_IN_HISTORY)}
        shown = {steps[i]: found[steps[i]] for i in sorted(chosen)}
        rows = read_correlations(self.folder / "correlation.csv")
        save_page(draw_history(self.pairs[0], now, shown, rows), self.folder / "history.png")


def read_correlations(path: Path) -> list[tuple[int, int, float]]:
    """Rows (step, pair, rho) of ``correlation.csv``; none if there is no file.

    Raises:
        ValueError: The file holds something else.
    """
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        try:
            return [(int(r["step"]), int(r["pair"]), float(r["rho"])) for r in csv.DictReader(file)]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{path} is no table of step, pair, rho: remove it ({error})"
            ) from error
