"""Does a model do what it was trained on? ``python -m analysis pretext_tasks --out FILE.json``.

The two pretext tasks on videos that the model has not seen (:mod:`rspnet.evaluate`), with random
weights as a control.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from analysis.core.statistics import Estimate
from analysis.core.table import Key, Row, StudyTable, Table, Value, interval, pivot
from analysis.studies.registry import (
    KeyNumber,
    Study,
    StudyInputs,
    VideoStudyConfig,
    register_study,
)
from rspnet.data.synthetic.videos import generate
from rspnet.evaluate import EvaluateConfig, evaluate

NUM_EVALUATED = 128


@dataclass(frozen=True, kw_only=True)
class PretextTasksConfig(VideoStudyConfig):
    """Held-out numbers of the two pretext tasks, with random weights as a control.

    Attributes:
        seed: Of synthetic videos and of clips.
        num_evaluated: At most so many videos.
    """

    num_evaluated: int = NUM_EVALUATED


def synthetic_folder(folder: Path, num: int, seed: int, num_workers: int) -> Path:
    """Synthetic videos as files, made once."""
    return generate(folder / f"synthetic-{seed}", num, seed, num_workers=num_workers)


@register_study
class PretextTasks(Study[PretextTasksConfig]):
    """Measure how well a model does its pretext tasks on videos it has not seen."""

    name = "pretext_tasks"
    title = "Pretext tasks"
    question = "Does it do what it was trained on?"
    reading = (
        "RSP: share of triplets in which the clip of the same speed is nearer than that of the "
        "other speed; chance is 0.50. A-VID: share of videos whose other clip is the nearest of "
        "all. An untrained network retrieves most videos of a fixed camera, so its row is what the "
        "trained one has to be compared with."
    )
    needs = "each"
    config = PretextTasksConfig
    place = 10

    def measure(self, inputs: StudyInputs, config: PretextTasksConfig) -> StudyTable:
        """Evaluate both tasks, of the model and of random weights.

        Raises:
            ValueError: No video is long enough.
        """
        rows, protocols = [], {}
        with TemporaryDirectory() as temporary:
            roots = list(map(str, inputs.paths))
            if not roots:
                folder = inputs.folder or Path(temporary)
                made = synthetic_folder(
                    folder, config.num_evaluated, config.seed, config.num_workers
                )
                roots = [str(made)]
            own = EvaluateConfig(
                model=inputs.model,
                videos=roots,
                num_videos=config.num_evaluated,
                seed=config.seed,
                device="cpu",
                num_workers=config.num_workers,
            )
            for weights in ("trained", "random weights"):
                found = evaluate(replace(own, random_weights=weights != "trained"))
                protocols[weights] = found["protocol"]
                rows += rows_of(found["result"], weights)
                num_videos, num = found["result"]["num_videos"], found["result"]["num_triplets"]
        return StudyTable(
            study=self.name,
            rows=tuple(rows),
            num_videos=num_videos,
            videos=inputs.videos if inputs.paths else f"synthetic videos of seed {config.seed}",
            model_hash=inputs.query.hash,
            seed=config.seed,
            settings={"protocols": protocols, "num_triplets": num},
        )

    def finding(self, table: StudyTable) -> str:
        """Both accuracies, with their intervals."""
        rsp, avid = (_accuracy(table, task) for task in ("rsp", "avid"))
        return (
            f"RSP orders {interval(rsp)} of the triplets correctly, A-VID retrieves "
            f"{interval(avid)} of the videos first."
        )

    def tables(self, table: StudyTable) -> list[Table]:
        """Both tasks, the model and random weights."""
        columns: dict[str, tuple[str, dict[str, Key]]] = {
            "RSP, correct order": ("accuracy", {"task": "rsp"}),
            "A-VID, top-1": ("accuracy", {"task": "avid"}),
        }
        rows: dict[str, dict[str, Key]] = {
            weights: {"weights": weights, "speed": "both"} for weights in table.keys("weights")
        }
        caption = (
            f"pretext tasks, {table.num_videos} {table.videos}, "
            f"{table.settings['num_triplets']} triplets, 95% interval over videos"
        )
        return [
            pivot(
                rows,
                columns,
                table,
                first="weights",
                caption=caption,
                strong=lambda title: title == "trained",
            )
        ]

    def key_numbers(self, table: StudyTable) -> list[KeyNumber]:
        """The accuracy of each head's own task."""
        values = {task: _accuracy(table, task) for task in ("rsp", "avid")}
        return [KeyNumber(name="accuracy of its pretext task", values=values)]


def rows_of(result: dict[str, Any], weights: str) -> list[Row]:
    """The rows of what :func:`rspnet.evaluate.evaluate` gave as ``result``."""
    keys: dict[str, Key] = {"weights": weights}
    both: dict[str, Key] = {"speed": "both"}
    rsp: dict[str, Value] = {
        "accuracy": _estimate(result, "rsp_accuracy", "rsp_interval"),
        "margin": result["rsp_margin"],
    }
    avid: dict[str, Value] = {"accuracy": _estimate(result, "avid_top1", "avid_interval")}
    rows = [
        Row(keys=keys | {"task": "rsp"} | both, values=rsp),
        Row(keys=keys | {"task": "avid"} | both, values=avid),
    ]
    for speed, value in result["rsp_accuracy_by_speed"].items():
        own = keys | {"task": "rsp", "speed": speed}
        rows.append(Row(keys=own, values={"accuracy": value}))
    return rows


def _estimate(result: dict[str, Any], value: str, ends: str) -> Estimate:
    low, high = result[ends]
    return Estimate(result[value], low, high, result["num_videos"])


def _accuracy(table: StudyTable, task: str) -> Estimate:
    return table.one(weights="trained", task=task, speed="both")["accuracy"]
