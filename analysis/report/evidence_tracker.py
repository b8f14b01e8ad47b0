"""What the two heads look at while they are trained: a callback of ``rspnet.train``.

``python -m rspnet.train ... --callback analysis.report.evidence_tracker:EvidenceTracker`` measures
a few studies (:mod:`analysis.studies`) after the first step, every N steps and after the last, and
writes their key numbers to ``RUN/evidence.csv`` and TensorBoard: where the margin maps lie, how
selective the heads are of motion, how much of a similarity is movement. So one sees when RSP is
found, and whether the heads part.

Environment variables set what is measured:

* ``RSPNET_TRACK_EVERY``: N; a tenth of the run without it.
* ``RSPNET_TRACK_STUDIES``: names of studies, separated by commas.
* ``RSPNET_TRACK_NUM``: synthetic videos of each study, 6 without it.
* ``RSPNET_TRACK_LABELLED``: a folder of class folders, for the share of at most 64 videos whose
  action is that of their 5 nearest others, by feature.
* ``RSPNET_TRACK_SHARE``: the largest share of the run's time that it takes, 0.05 without it. What
  is due before so much time has gone by is skipped, and said; the first and the last row never are.

The network is in evaluation mode for it and left just as it was, so a run ends with the same
weights with or without.
"""

import csv
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from analysis.core.statistics import Estimate, mean
from analysis.core.table import RSP_MINUS_AVID
from analysis.report.map_tracker import check_method, steps_between
from analysis.studies.registry import Study, StudyInputs, get_study
from rspnet.data.listing import list_videos
from rspnet.data.sampling import evenly_spaced
from rspnet.files import atomic_path, user_path
from rspnet.models import evaluation_mode
from rspnet.pretext.network import TwoBranch
from rspnet.recognition.probes import knn_votes
from rspnet.retrieval.gallery import embed_videos, protocol_for
from rspnet.training.config import RunConfig

STUDIES, NUM, LABELLED = "RSPNET_TRACK_STUDIES", "RSPNET_TRACK_NUM", "RSPNET_TRACK_LABELLED"
SHARE = "RSPNET_TRACK_SHARE"
DEFAULT_STUDIES = ("localisation", "responses", "ledger")
MOST_TIME = 0.05  # of the run's
NUM_VIDEOS, NUM_LABELLED, NUM_CLIPS, NEIGHBOURS = 6, 64, 2, 5
FILE = "evidence.csv"
COLUMNS = ("step", "study", "number", "of", "value", "low", "high", "num", "seconds")


@dataclass(frozen=True)
class Evidence:
    """One number at one step.

    Attributes:
        step: Optimiser steps done.
        study: What measured it.
        number: What it is.
        of: Head, feature, or ``rsp_minus_avid``.
        estimate: Its value with a 95% interval.
        seconds: That the study took.
    """

    step: int
    study: str
    number: str
    of: str
    estimate: Estimate
    seconds: float

    def row(self) -> dict[str, str]:
        """As it stands in the table."""
        e = self.estimate
        numbers = {"value": e.value, "low": e.low, "high": e.high, "seconds": self.seconds}
        words = {"step": str(self.step), "study": self.study, "number": self.number, "of": self.of}
        words["num"] = str(e.num)
        return words | {name: f"{value:.6g}" for name, value in numbers.items()}


def read_evidence(path: Path) -> list[Evidence]:
    """Rows of ``evidence.csv``; none if there is no file.

    Raises:
        ValueError: The file holds something else.
    """
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        try:
            return [
                Evidence(
                    int(r["step"]),
                    r["study"],
                    r["number"],
                    r["of"],
                    Estimate(float(r["value"]), float(r["low"]), float(r["high"]), int(r["num"])),
                    float(r["seconds"]),
                )
                for r in csv.DictReader(file)
            ]
        except (KeyError, TypeError, ValueError) as error:
            columns = ", ".join(COLUMNS)
            raise ValueError(f"{path} is no table of {columns}: remove it ({error})") from error


def _settings(study: Study[Any], num_videos: int) -> Any:
    """A study's configuration with few videos and no more controls than it needs."""
    names = study.config.__dataclass_fields__
    wanted = {"num_videos": num_videos, "num_triplets": 1, "num_random": 1}
    own = study.config(**{name: value for name, value in wanted.items() if name in names})
    if study.name == "responses":
        own = study.config(num_videos=num_videos, num_random=0)
    return own


class EvidenceTracker:
    """Measures what the heads look at while a run of pre-training goes on.

    Args:
        folder: The run's folder.
        config: Of the run.

    Raises:
        ValueError: The run does not train RSPNet's two heads, or an environment variable is wrong:
            a study that does not exist, a number that is not positive, a folder without videos.
    """

    def __init__(self, folder: Path, config: RunConfig) -> None:
        own = check_method(config, "EvidenceTracker")
        self.folder = folder
        self.every = steps_between(own, 10)
        named = os.environ.get(STUDIES, "")
        names = [name.strip() for name in named.split(",")] if named else DEFAULT_STUDIES
        self.studies = [get_study(name) for name in names]
        for study in self.studies:
            if study.needs == "real":
                raise ValueError(
                    f"{STUDIES} names studies of synthetic videos, and {study.name} is of real ones"
                )
        number = os.environ.get(NUM, "") or str(NUM_VIDEOS)
        if not number.isdecimal() or int(number) < 2:
            raise ValueError(f"{NUM} is a number of videos, at least 2, got {number!r}")
        self.num_videos = int(number)
        share = os.environ.get(SHARE, "") or str(MOST_TIME)
        if not re.fullmatch(r"[0-9]*\.?[0-9]+", share):
            raise ValueError(f"{SHARE} is a share of the run's time such as 0.05, got {share!r}")
        self.share = float(share)
        labelled = os.environ.get(LABELLED, "")
        self.labelled = list_videos(user_path(labelled)) if labelled else []
        self.labelled = evenly_spaced(self.labelled, NUM_LABELLED)
        self._started, self._spent = time.monotonic(), 0.0

    def __call__(self, step: int, network: nn.Module, *, last: bool) -> None:
        """Measure and write what is due after this step."""
        if not (last or step == 1 or step % self.every == 0):
            return
        elapsed = time.monotonic() - self._started
        if not last and step > 1 and self._spent > self.share * elapsed:
            part = f"{self.share:.0%} of the run"
            tqdm.write(f"Evidence of step {step} is skipped: it would take over {part}")
            return
        assert isinstance(network, TwoBranch)
        begun = time.monotonic()
        devices = list(range(torch.cuda.device_count()))
        try:
            with evaluation_mode(network), torch.random.fork_rng(devices):
                self._write(step, list(self._measure(step, network)))
        except (ValueError, OSError) as error:  # a callback does not end the run
            tqdm.write(f"Evidence of step {step} is not written: {error}")
        if step > 1:
            self._spent += time.monotonic() - begun
        else:
            self._started += time.monotonic() - begun

    def _measure(self, step: int, network: TwoBranch) -> Iterator[Evidence]:
        inputs = StudyInputs(query=network.query, key=network.key, progress=False)
        for study in self.studies:
            begun = time.monotonic()
            table = study.measure(inputs, _settings(study, self.num_videos))
            seconds = time.monotonic() - begun
            for number in study.key_numbers(table):
                found = dict(number.values)
                if number.difference is not None:
                    found[RSP_MINUS_AVID] = number.difference
                for of, value in found.items():
                    yield Evidence(step, study.name, number.name, of, value, seconds)
        if self.labelled:
            begun = time.monotonic()
            found = nearest_labels(network, self.labelled)
            seconds = time.monotonic() - begun
            for of, value in found.items():
                name = f"action of the {NEIGHBOURS} nearest others"
                yield Evidence(step, "labelled videos", name, of, value, seconds)

    def _write(self, step: int, found: list[Evidence]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        path = self.folder / FILE
        rows = [row for row in read_evidence(path) if row.step < step] + found
        with atomic_path(path) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(row.row() for row in rows)
        with SummaryWriter(str(self.folder / "tensorboard")) as board:
            for row in found:
                board.add_scalar(f"evidence/{row.number}/{row.of}", row.estimate.value, step)


def nearest_labels(network: TwoBranch, paths: list[Path]) -> dict[str, Estimate]:
    """Share of videos whose class folder wins the vote of their nearest others, by feature.

    Raises:
        ValueError: Fewer than two of them can be used.
    """
    protocol = protocol_for(network.query, num_clips=NUM_CLIPS)
    gallery = embed_videos(network.query, paths, protocol, progress=False)
    if len(gallery.paths) < 2:
        raise ValueError(f"{LABELLED}: one video of {len(paths)} can be used, two are needed")
    classes = sorted(set(gallery.labels))
    labels = np.array([classes.index(label) for label in gallery.labels])
    found = {}
    for feature, vectors in gallery.vectors.items():
        right = []
        for n in range(len(labels)):
            others = np.arange(len(labels)) != n
            votes = knn_votes(
                vectors[others],
                labels[others],
                vectors[[n]],
                len(classes),
                min(NEIGHBOURS, len(labels) - 1),
            )
            right.append(float(votes.argmax() == labels[n]))
        found[feature] = mean(right)
    return found
