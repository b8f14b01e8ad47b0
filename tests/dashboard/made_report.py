"""A report as ``python -m analysis report`` writes it, with all parts, of made-up numbers."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from analysis.core.grid import Grid
from analysis.core.statistics import Estimate
from analysis.report.parts import Found, ReportConfig
from analysis.report.report import FORMAT
from analysis.stimuli.kinds import KINDS, WEIGHTS
from analysis.stimuli.perturbations import CHANGES
from analysis.stimuli.perturbed_clips import Curve
from analysis.studies.faithfulness_result import (
    CurveRow,
    FaithfulnessResult,
    InfidelityRow,
    SensitivityRow,
)
from analysis.studies.localisation_result import (
    REGIONS,
    HeadDifference,
    LocalisationResult,
    LocalisationRow,
    LocalisationStudy,
)
from analysis.studies.optical_flow_result import TARGETS, FlowResult, FlowRow, FlowStudy
from analysis.studies.response_result import Responses
from analysis.studies.sanity_result import OTHER_VIDEO, SanityResult, SanityRow
from rspnet.commands import to_plain
from rspnet.names import HEADS

NUM_VIDEOS = 6
VIDEOS = ("generated", "real")
SPEEDS = ("1x", "2x", "both")
QUESTIONS = [(head, question) for head in HEADS for question in ("similarity", "margin")]
GRID = Grid.even((4, 7, 7), (16, 112, 112))


class Maker:
    """Draws all numbers from one generator."""

    def __init__(self, model_hash: str) -> None:
        self.rng = np.random.default_rng(0)
        self.model_hash = model_hash

    def number(self, middle: float = 0.5) -> Estimate:
        value, below, above = middle + 0.3 * self.rng.random(), *(0.1 * self.rng.random(2))
        return Estimate(float(value), float(value - below), float(value + above), NUM_VIDEOS)

    def numbers(self, *names: str) -> dict[str, Estimate]:
        return {name: self.number() for name in names}

    def responses(self, kind: str, controls: bool = True) -> Responses:
        changes = [c for c in CHANGES.values() if kind == "generated" or not c.exchange]
        curves = [
            Curve(
                change=change.name,
                levels=change.levels,
                similarity={
                    head: 1 - abs(np.array(change.levels) - change.neutral)
                    / max(change.levels) * self.rng.uniform(0.1, 0.6, (NUM_VIDEOS, 1))
                    for head in HEADS
                },
            )
            for change in changes
        ]  # fmt: skip
        return Responses(
            weights="trained" if controls else "random weights",
            model_hash=self.model_hash,
            branch="query",
            source=f"{kind} videos",
            seed=9,
            num_frames=16,
            window=61,
            videos=tuple(f"video {n}" for n in range(NUM_VIDEOS)),
            unchanged={head: np.ones(NUM_VIDEOS) for head in HEADS},
            unrelated={head: self.rng.uniform(0, 0.2, NUM_VIDEOS) for head in HEADS},
            curves=tuple(curves),
            controls=(self.responses(kind, controls=False),) if controls else (),
        )

    def planted(self, weights: str) -> LocalisationResult:
        names = ("share", "area", "even", "pointing", "part")
        rows = [
            LocalisationRow(kind=kind, head=head, region=region, speed=speed,
                            ratio=self.number(1.0),
                       ceiling=self.number(20.0), **self.numbers(*names))
            for kind in KINDS for head in HEADS for region in REGIONS for speed in SPEEDS
        ]  # fmt: skip
        differences = [
            HeadDifference(kind=kind, region=region, speed=speed, of="rsp", less="avid",
                           ratio=self.number())
            for kind in KINDS for region in REGIONS for speed in SPEEDS
        ]  # fmt: skip
        return LocalisationResult(
            weights=weights,
            model_hash=self.model_hash,
            seed=9,
            num_videos=NUM_VIDEOS,
            rows=tuple(rows),
            differences=tuple(differences),
        )

    def flow(self) -> FlowStudy:
        results = [
            FlowResult(
                weights=weights,
                rows=tuple(
                    FlowRow(kind=kind, target=target, speed=speed,
                            **self.numbers("rsp", "avid", "difference"))
                    for kind in KINDS for target in TARGETS for speed in SPEEDS
                ),
            )
            for weights in WEIGHTS
        ]  # fmt: skip
        return FlowStudy(
            results=tuple(results),
            model_hash=self.model_hash,
            what="test videos",
            num_videos=NUM_VIDEOS,
            num_triplets=2,
            seed=9,
            grid=GRID,
            pixels=self.numbers("saliency", "contrast"),
        )

    def faithfulness(self, kind: str) -> FaithfulnessResult:
        names = ("full", "empty", "map", "random", "centre", "over_random", "over_centre")
        curve = {f"curve_{name}": (1.0, 0.5, 0.0) for name in ("map", "random", "centre")}
        return FaithfulnessResult(
            videos=f"{kind} videos",
            num_videos=NUM_VIDEOS,
            model_hash=self.model_hash,
            cells=(4, 7, 7),
            seed=9,
            num_random=4,
            shares=(0.0, 0.5, 1.0),
            curves=tuple(
                CurveRow(head=head, question=question, fill=fill, mode=mode, **curve,
                         **self.numbers(*names))
                for head, question in QUESTIONS for fill in ("blur", "mean")
                for mode in ("deletion", "insertion")
            ),
            infidelity=tuple(
                InfidelityRow(head=head, question=question, fill=fill, num_undefined=0,
                              **self.numbers("map", "shuffled", "better"))
                for head, question in QUESTIONS for fill in ("blur", "mean")
            ),
            sensitivity=tuple(
                SensitivityRow(head=head, question=question, change=self.number())
                for head, question in QUESTIONS
            ),
        )  # fmt: skip

    def sanity(self) -> SanityResult:
        stages = ("heads", "layer4", "layer1", "conv1")
        rows = [
            SanityRow(head=head, question=question, values=values, stage=stage, num_undefined=0,
                      rho=self.number(-0.1), size=self.number(0.0))
            for head, question in QUESTIONS for values in ("signed", "absolute")
            for stage in (*stages, OTHER_VIDEO)
        ]  # fmt: skip
        return SanityResult(
            videos="generated videos",
            num_videos=NUM_VIDEOS,
            model_hash=self.model_hash,
            cells=(4, 7, 7),
            num_draws=1,
            stages=stages,
            rows=tuple(rows),
        )


def make_report(path: Path, model: Path) -> Path:
    """Write a report of a model; pretext tasks and retrieval are left out."""
    model_hash = hashlib.sha256(model.read_bytes()).hexdigest()
    maker = Maker(model_hash)
    results = tuple(maker.planted(weights) for weights in WEIGHTS)
    found = Found(
        planted=LocalisationStudy(results=results, grid=GRID, num_triplets=2),
        responses={kind: maker.responses(kind) for kind in VIDEOS},
        flow=maker.flow(),
        faithfulness={kind: maker.faithfulness(kind) for kind in VIDEOS},
        sanity=maker.sanity(),
        skipped={"pretext": "not asked for", "retrieval": "not asked for"},
    )
    out = str(path.with_suffix(".html"))
    config = ReportConfig(out=out, num_generated=NUM_VIDEOS, num_random=1)
    value: dict[str, Any] = {
        "format": FORMAT,
        "version": 1,
        "model": "tiny",
        "model_hash": model_hash,
        "config": to_plain(config),
        "found": found.to_json(),
    }
    path.write_text(json.dumps(value))
    return path
