"""A report as ``python -m analysis report`` writes it, with most studies, of made-up numbers."""

import hashlib
from pathlib import Path

import numpy as np

from analysis.core.grid import Grid
from analysis.core.table import Key, Row, StudyTable
from analysis.regions.ground_truth import REGIONS
from analysis.report.results import ReportConfig, ReportResults
from analysis.stimuli.kinds import KINDS, WEIGHTS
from analysis.stimuli.perturbations import PERTURBATIONS
from analysis.stimuli.triplets import SCORES
from analysis.studies import faithfulness, localisation, optical_flow, sanity
from analysis.studies.measures import selectivity
from analysis.studies.measures.selectivity import OTHER_VIDEOS, UNCHANGED
from rspnet.commands import to_plain
from rspnet.names import HEADS

NUM_VIDEOS = 6
TARGETS = [(head, score) for head in HEADS for score in SCORES]
GRID = Grid.even((4, 7, 7), (16, 112, 112))


class Maker:
    """Draws all numbers from one generator."""

    def __init__(self, model_hash: str) -> None:
        self.rng = np.random.default_rng(0)
        self.model_hash = model_hash

    def table(self, study: str, rows: list[Row], kind: str, **settings: object) -> StudyTable:
        return StudyTable(
            study=study,
            rows=tuple(rows),
            num_videos=NUM_VIDEOS,
            videos=f"{kind} videos",
            model_hash=self.model_hash,
            seed=9,
            grid=GRID,
            settings=settings,
        )

    def localisation(self) -> StudyTable:
        shape = (NUM_VIDEOS, 2, 2, len(KINDS), len(REGIONS))
        rows: list[Row] = []
        for weights in WEIGHTS:
            share, pointing, signed = self.rng.random((3, *shape))
            area, uniform = self.rng.uniform(0.4, 0.6, (2, *shape[:2], len(REGIONS)))
            measured = {
                "share": share, "pointing": pointing, "signed_share": signed, "area": area,
                "uniform": uniform, "ceiling": 9 * area,
            }  # fmt: skip
            rows += localisation.summarise(measured, KINDS, weights)
        return self.table("localisation", rows, "synthetic", num_triplets=2)

    def responses(self, kind: str) -> StudyTable:
        rows: list[Row] = []
        for weights in ("trained", "random weights"):
            samples = {}
            for head in HEADS:
                samples[UNCHANGED, 0.0, head] = np.ones(NUM_VIDEOS)
                samples[OTHER_VIDEOS, 0.0, head] = self.rng.uniform(0, 0.2, NUM_VIDEOS)
            for change in PERTURBATIONS.values():
                if kind == "real" and change.is_factor_swap:
                    continue
                for level in change.levels:
                    size = abs(level - change.neutral) / max(change.levels)
                    for head in HEADS:
                        drops = size * self.rng.uniform(0.1, 0.6, NUM_VIDEOS)
                        samples[change.name, float(level), head] = 1 - drops
            rows += selectivity.rows_of(samples, weights)
        names = [f"video {n}" for n in range(NUM_VIDEOS)]
        return self.table("responses", rows, kind, names=names, window=61)

    def optical_flow(self) -> StudyTable:
        shape = (NUM_VIDEOS, 2, 2, len(KINDS), len(optical_flow.TARGETS))
        rows: list[Row] = []
        for weights in WEIGHTS:
            rho = self.rng.uniform(-0.5, 0.9, shape)
            rows += optical_flow.summarise({"rho": rho}, KINDS, weights)
        for target in ("saliency", "contrast"):
            keys: dict[str, Key] = {"kind": "optical flow itself", "target": target}
            rows.append(Row(keys=keys, values=dict(rows[0].values)))
        return self.table("optical_flow", rows, "real")

    def faithfulness(self, kind: str) -> StudyTable:
        fills = ["blur", "mean"]
        measured = [
            faithfulness.Measured(
                np.array([0.0, 0.5, 1.0]),
                self.rng.random((len(TARGETS), len(fills), 2, 3, 3)),
                self.rng.random((len(TARGETS), len(fills), 2, 3)),
                self.rng.random((len(TARGETS), len(fills), 2)),
                self.rng.random(len(TARGETS)),
            )
            for _ in range(NUM_VIDEOS)
        ]
        rows = faithfulness.summarise(measured, TARGETS, fills)
        return self.table("faithfulness", rows, kind)

    def sanity(self) -> StudyTable:
        steps = ["heads", "layer4", "layer1", "conv1", sanity.OTHER_VIDEO]
        rows: list[Row] = []
        for name in TARGETS:
            rho = self.rng.uniform(-0.2, 0.2, (1, len(steps), NUM_VIDEOS, 2))
            rows += sanity.summarise(name, steps, rho)
        return self.table("sanity", rows, "synthetic", num_random=1)


def make_report(path: Path, model: Path) -> Path:
    """Write a report of a model; pretext tasks and retrieval are skipped."""
    maker = Maker(hashlib.sha256(model.read_bytes()).hexdigest())
    kinds = ("synthetic", "real")
    out = str(path.with_suffix(".html"))
    config = ReportConfig(out=out, num_synthetic=NUM_VIDEOS, num_random=1)
    results = ReportResults(
        model="tiny",
        model_hash=maker.model_hash,
        config=to_plain(config),
        tables={
            "localisation": {"synthetic": maker.localisation()},
            "responses": {kind: maker.responses(kind) for kind in kinds},
            "optical_flow": {"real": maker.optical_flow()},
            "faithfulness": {kind: maker.faithfulness(kind) for kind in kinds},
            "sanity": {"synthetic": maker.sanity()},
        },
        skipped={"pretext_tasks": "named by --skip", "class_retrieval": "named by --skip"},
    )
    return results.save(path)
