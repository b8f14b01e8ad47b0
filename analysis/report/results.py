"""The numbers of a report: every study measured once and kept (:mod:`analysis.report.store`)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from analysis.attribution.task_map import find_task
from analysis.core.serialisation import save_json
from analysis.core.table import StudyTable
from analysis.report.store import Store
from analysis.studies.registry import NEEDS_HEADS, Study, StudyInputs, list_studies
from rspnet.commands import to_plain
from rspnet.data.datasets.labelled import DatasetConfig, load_video_set
from rspnet.models import Branch

FORMAT, VERSION = "rspnet-report", 2
EXAMPLES = "examples"
NO_VIDEOS = "no real videos were given: --data.name, --data.root and --data.annotations name them"
_OWN = ("out", "model", "data", "figure", "videos")


@dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """One page about a model: what its two heads look at, and how sure that is.

    Attributes:
        out: The page, ``*.html``. Its numbers are written beside it as JSON, and what is measured
            in a folder, so that a report that was stopped is resumed.
        model: Model file, name of a shipped model, or module:function for an encoder of your own.
        data: A labelled data set of real videos. Without one, only synthetic videos are used.
        gallery_split: Split that is searched.
        query_split: Split whose videos are queries, and on which studies are measured.
        num_videos: Real videos of each study, at most.
        num_synthetic: Synthetic videos of each study.
        num_evaluated: Videos for the pretext tasks, and synthetic videos for retrieval.
        num_random: Draws of random weights.
        max_speed: Highest playback speed on real videos; 16 frames at 4x take 61 frames.
        num_examples: Videos shown with the largest and with the smallest margins, each.
        seed: Of synthetic videos and of choices; none that the model was trained on.
        num_workers: Processes that decode.
        skip: Names of studies that are skipped, and ``examples``.
    """

    out: str = "report.html"
    model: str = "default"
    data: DatasetConfig = field(default_factory=DatasetConfig)
    gallery_split: str = "train"
    query_split: str = "test"
    num_videos: int = 40
    num_synthetic: int = 40
    num_evaluated: int = 128
    num_random: int = 3
    max_speed: float = 4.0
    num_examples: int = 3
    seed: int = 9
    num_workers: int = 2
    skip: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if Path(self.out).suffix.lower() not in (".html", ".htm"):
            raise ValueError(f"a report is written as .html, got {self.out!r}: end its name so")
        for name in ("num_videos", "num_synthetic"):
            if getattr(self, name) < 2:
                raise ValueError(f"{name} is at least 2, got {getattr(self, name)}")
        for name in ("num_random", "num_examples", "num_evaluated"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1, got {getattr(self, name)}")
        if self.skip:
            known = [*(study.name for study in list_studies()), EXAMPLES]
            unknown = [name for name in self.skip if name not in known]
            if unknown:
                raise ValueError(f"skip takes {', '.join(known)}, got {', '.join(unknown)}")

    @property
    def has_data(self) -> bool:
        """Whether real videos were given."""
        return bool(self.data.root or self.data.annotations)

    def split(self, name: str) -> DatasetConfig:
        """The data set's split."""
        return replace(self.data, split=name)

    def of_study(self, study: Study[Any], kind: str) -> Any:
        """The configuration of a study: every setting that it shares with the report."""
        own = {f.name for f in fields(study.config)} & {f.name for f in fields(self)}
        values = {name: getattr(self, name) for name in own - set(_OWN)}
        if kind == "synthetic":
            values.pop("max_speed", None)  # synthetic videos are long enough for every speed
            if "num_videos" in values:
                values["num_videos"] = self.num_synthetic
        return study.config(**values)


@dataclass(frozen=True, kw_only=True, eq=False)
class ReportResults:
    """All that was measured on a model.

    Attributes:
        model: The model's file or name.
        model_hash: SHA-256 of its file.
        config: What was measured, as plain values.
        tables: By study and kind of videos, ``synthetic`` or ``real``.
        skipped: By study, why it was not measured.
    """

    model: str
    model_hash: str
    config: Mapping[str, Any]
    tables: Mapping[str, Mapping[str, StudyTable]]
    skipped: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "model": self.model,
            "model_hash": self.model_hash,
            "config": dict(self.config),
            "skipped": dict(self.skipped),
            "tables": {
                study: {kind: table.to_json() for kind, table in tables.items()}
                for study, tables in self.tables.items()
            },
        }

    @classmethod
    def from_json(cls, value: Any) -> "ReportResults":
        """The inverse of :meth:`to_json`.

        Raises:
            ValueError: The value is something else, or of another version.
        """
        found = value.get("format") if isinstance(value, dict) else None
        version = value.get("version") if isinstance(value, dict) else None
        if found != FORMAT or version != VERSION:
            raise ValueError(
                f"it is no report of this version: expected {FORMAT!r}, version {VERSION}, got "
                f"format {found!r}, version {version!r}; make it again with "
                "`python -m analysis report`"
            )
        return cls(
            model=str(value["model"]),
            model_hash=str(value["model_hash"]),
            config=dict(value["config"]),
            skipped=dict(value["skipped"]),
            tables={
                study: {kind: StudyTable.from_json(table) for kind, table in tables.items()}
                for study, tables in value["tables"].items()
            },
        )

    def save(self, path: Path) -> Path:
        """Write the results as JSON, atomically."""
        return save_json(path, self.to_json())


def real_videos(config: ReportConfig) -> dict[Path, str]:
    """The query split's videos that are not known to be invalid, and their classes.

    There are none without a data set.

    Raises:
        ValueError: The data set can't be read.
    """
    if not config.has_data:
        return {}
    found = load_video_set(config.split(config.query_split))
    return {v.path: v.label for v in found.videos if v.path not in found.known_invalid}


def inputs_of_report(
    config: ReportConfig, query: Branch, key: Branch, folder: Path, videos: Mapping[Path, str]
) -> dict[str, StudyInputs]:
    """The videos that studies are measured on: synthetic ones, and real ones if there are any."""
    task = find_task(config.model)
    synthetic = StudyInputs(model=config.model, query=query, key=key, task=task, folder=folder)
    if not videos:
        return {"synthetic": synthetic}
    real = replace(
        synthetic,
        paths=tuple(videos),
        labels=videos,
        videos=f"{config.query_split} videos",
        gallery=config.split(config.gallery_split),
        queries=config.split(config.query_split),
    )
    return {"synthetic": synthetic, "real": real}


def measure(config: ReportConfig, inputs: Mapping[str, StudyInputs], folder: Path) -> ReportResults:
    """Run every study whose result is not in ``folder`` yet.

    Args:
        config: What to measure.
        inputs: By kind of videos (:func:`inputs_of_report`).
        folder: Where results are kept; several models can share one.

    Raises:
        ValueError: The data set can't be read, or has too few videos.
    """
    query = inputs["synthetic"].query
    store = Store(folder, query.hash)
    tables: dict[str, dict[str, StudyTable]] = {}
    skipped: dict[str, str] = {}
    for study in list_studies():
        if study.name in config.skip:
            skipped[study.name] = "named by --skip"
            continue
        if not study.fits(query):
            skipped[study.name] = f"it {NEEDS_HEADS}"
            continue
        wanted = {"each": list(inputs), "any": list(inputs)[-1:]}.get(study.needs, [study.needs])
        if wanted == ["real"] and "real" not in inputs:
            skipped[study.name] = NO_VIDEOS
            continue
        tables[study.name] = {
            kind: _measured(study, config.of_study(study, kind), inputs[kind], store)
            for kind in wanted
        }
    return ReportResults(
        model=config.model,
        model_hash=query.hash,
        config=to_plain(config),
        tables=tables,
        skipped=skipped,
    )


def _measured(study: Study[Any], config: Any, inputs: StudyInputs, store: Store) -> StudyTable:
    settings = {"kind": inputs.kind, **config.settings()}
    if inputs.paths:
        settings["videos"] = list(map(str, inputs.paths))
    for name, data in (("gallery", inputs.gallery), ("queries", inputs.queries)):
        if data is not None:
            settings[name] = asdict(data)
    values = store.part(study.name, settings, lambda: study.measure(inputs, config).to_json())
    return StudyTable.from_json(values)
