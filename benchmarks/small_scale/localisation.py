"""What the heads look at, in a line: margin maps against ground truth, and motion selectivity."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.core.statistics import Estimate
from analysis.core.table import RSP_MINUS_AVID, StudyTable
from analysis.report.store import Store
from analysis.stimuli.kinds import kinds_of, with_controls
from analysis.stimuli.triplets import SEED
from analysis.studies.localisation import EXPECTED, make_scene, measure, summarise
from analysis.studies.registry import StudyInputs
from analysis.studies.responses import ResponsesConfig, ResponsesStudy
from benchmarks.small_scale.subjects import Subject
from benchmarks.small_scale.tables import markdown
from rspnet.names import HEADS

KIND = "margin_faster"
REGIONS = {"limbs": "in limbs", "prop": "on the prop"}
NUM_TRIPLETS = 2


def measure_localisation(
    subject: Subject, num_videos: int, store: Path, device: str
) -> dict[str, Any]:
    """Both heads' margin maps of generated videos, and what moves the heads.

    The videos, their clips and the numbers are those of :mod:`analysis.studies.localisation` and
    :mod:`analysis.studies.responses`.

    Args:
        subject: What is measured.
        num_videos: Generated videos, at least two.
        store: Folder of what was measured before.
        device: Where to compute.

    Returns:
        For ``limbs``, ``prop`` and ``selectivity`` estimates of ``rsp``, ``avid`` and
        ``difference``: RSP minus A-VID in limbs and of selectivity, A-VID minus RSP on the prop.

    Raises:
        ValueError: There are fewer than two videos.
    """

    def make() -> dict[str, Any]:
        query, key = subject.branch("query", device), subject.branch("key", device)
        scenes = [
            make_scene(
                SEED, v, num_frames=query.num_frames, size=query.size, num_triplets=NUM_TRIPLETS
            )
            for v in range(num_videos)
        ]
        asking = next(with_controls(query, key, [scene.triplets for scene in scenes]))
        kinds = kinds_of(query, key)
        rows = summarise(measure(asking, scenes), kinds, asking.weights)
        located = StudyTable(
            study="localisation", rows=tuple(rows), num_videos=num_videos, videos="synthetic videos"
        )
        found: dict[str, Any] = {
            region: {
                name: located.one(kind=KIND, region=region, speed="both", head=head)[
                    "ratio"
                ].to_json()
                for name, head in {
                    "rsp": "rsp",
                    "avid": "avid",
                    "difference": EXPECTED[region],
                }.items()
            }
            for region in REGIONS
        }
        moved = ResponsesStudy().measure(
            StudyInputs(query=query, key=query, progress=False),
            ResponsesConfig(num_videos=num_videos, num_random=0),
        )
        found["selectivity"] = {
            name: moved.one(measure="perturbations", head=head)["motion_selectivity"].to_json()
            for name, head in {"rsp": "rsp", "avid": "avid", "difference": RSP_MINUS_AVID}.items()
        }
        return found

    settings = {"num_videos": num_videos, "seed": SEED, "kind": KIND, "num_triplets": NUM_TRIPLETS}
    found: dict[str, Any] = Store(store, subject.identity).part("localisation", settings, make)
    return found


def seeds_text(values: Sequence[Estimate]) -> str:
    """The interval over videos of one seed, the mean and range over seeds of several."""
    if len(values) == 1:
        return str(values[0])
    means = [value.value for value in values]
    return f"{sum(means) / len(means):.2f} ({min(means):.2f} to {max(means):.2f})"


def localisation_table(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """A line for each model, by :func:`seeds_text`.

    Args:
        found: For each model what :func:`measure_localisation` gave for its seeds.
    """
    header = [""]
    for title in (*(f"margin {words}" for words in REGIONS.values()), "motion selectivity"):
        header += [f"{title}: RSP", "A-VID", "A-VID minus RSP" if "prop" in title else "difference"]
    cells = []
    for name, runs in found.items():
        line = [name]
        for part in (*REGIONS, "selectivity"):
            for column in (*HEADS, "difference"):
                line.append(seeds_text([Estimate(**run[part][column]) for run in runs]))
        cells.append(line)
    return markdown(header, cells)
