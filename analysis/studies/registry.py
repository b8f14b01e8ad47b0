"""The studies that there are: one a file in this folder, each registered under its name.

To add a study, put a file into ``analysis/studies/`` with a subclass of :class:`Study` under
:func:`register_study`. The command ``python -m analysis NAME``, the report, the comparison of
models and the dashboard's page Evidence then show it by themselves.
"""

import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import analysis.studies
from analysis.attribution.task_map import find_task
from analysis.core.figure_spec import FigureSpec
from analysis.core.models import load_branches
from analysis.core.statistics import Estimate
from analysis.core.table import StudyTable, Table, Value
from analysis.stimuli.triplets import SEED, Triplets, file_triplets, generated_triplets
from rspnet.data.datasets.labelled import DatasetConfig, load_video_set
from rspnet.data.listing import expand_roots
from rspnet.models import Branch
from rspnet.names import HEADS
from rspnet.pretext.task import PretextTask

Needs = Literal["synthetic", "real", "each", "any"]
VIDEOS = {"synthetic": "synthetic videos", "real": "real videos"}
NEEDS_HEADS = "compares the heads RSP and A-VID, and this encoder has one of its own"
# Of a configuration, what the numbers do not depend on beyond the inputs.
_NOT_SETTINGS = ("out", "model", "figure", "videos", "data", "num_workers")


@dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """What every study is told.

    Attributes:
        out: JSON file for the result; nothing for one named after the study.
        model: Model file, name of a shipped model, or module:function for an encoder of your own.
        seed: Of videos, clips and whatever is drawn; one that the model was not trained on.
        figure: PNG, SVG or PDF file for a figure of the result.
    """

    out: str | None = None
    model: str = "default"
    seed: int = SEED
    figure: str | None = None

    def settings(self) -> dict[str, Any]:
        """What the numbers depend on, as plain values."""
        return {n: v for n, v in asdict(self).items() if n not in _NOT_SETTINGS}


@dataclass(frozen=True, kw_only=True)
class VideoStudyConfig(StudyConfig):
    """What a study of videos from files is told.

    Attributes:
        videos: A folder of videos, a video, or a .txt list of paths.
        data: Or a labelled data set, such as ``--data.name hmdb51``.
        num_workers: Processes that decode.
    """

    videos: str | None = None
    data: DatasetConfig = field(default_factory=DatasetConfig)
    num_workers: int = 2


@dataclass(frozen=True, kw_only=True)
class StudyInputs:
    """A model and the videos that it is evaluated on.

    Attributes:
        model: The model's file or name.
        query: Its query branch.
        key: Its momentum branch.
        task: With the head of its pretext task, if it has one.
        paths: Real videos; none for synthetic ones.
        labels: Classes of the real videos, where they have any.
        videos: Which videos these are, in words; nothing lets the study say it.
        skipped: Videos that are known to be invalid, and why.
        gallery: Labelled videos that are searched.
        queries: Labelled videos that are searched for.
        folder: Where a study may keep files, such as synthetic videos; nothing for a temporary one.
        progress: Whether to show progress bars.
    """

    query: Branch
    key: Branch
    task: PretextTask | None = None
    model: str = "default"
    paths: tuple[Path, ...] = ()
    labels: Mapping[Path, str] = field(default_factory=dict)
    videos: str = ""
    skipped: Mapping[Path, str] = field(default_factory=dict)
    gallery: DatasetConfig | None = None
    queries: DatasetConfig | None = None
    folder: Path | None = None
    progress: bool = True

    @property
    def kind(self) -> str:
        """``synthetic`` or ``real``."""
        return "real" if self.paths else "synthetic"

    def triplets(self, num_videos: int, seed: int) -> Triplets:
        """One triplet a video (:mod:`analysis.stimuli.triplets`).

        Raises:
            ValueError: There are fewer than two videos.
        """
        if not self.paths:
            return generated_triplets(self.query, num_videos, seed)
        found = file_triplets(self.query, self.paths, num_videos, seed)
        skipped = {str(path): why for path, why in self.skipped.items()} | {**found.skipped}
        return replace(found, what=self.videos or "videos", skipped=skipped)


@dataclass(frozen=True, kw_only=True)
class KeyNumber:
    """A result that belongs into a headline and into a comparison of models.

    Attributes:
        name: What was measured.
        values: By head or feature, with intervals; of an encoder with one head also by
            ``random weights``.
        difference: RSP minus A-VID, or one head minus random weights, paired by video.
        control: The same difference with random weights.
    """

    name: str
    values: Mapping[str, Estimate]
    difference: Estimate | None = None
    control: Estimate | None = None


C = TypeVar("C", bound=StudyConfig)


@dataclass(frozen=True)
class NamedUnit:
    """A unit of a head that encodes one factor alone.

    Attributes:
        head: ``rsp`` or ``avid``.
        factor: ``action`` or ``appearance``.
        unit: Its number, from 0.
        r: By factor, its correlation between videos that share it.
    """

    head: str
    factor: str
    unit: int
    r: dict[str, float]


class Study(ABC, Generic[C]):
    """One question about a model, how it is measured, and how the result is told.

    Attributes:
        name: Of its command, and its key in reports.
        title: For menus.
        question: For headings.
        reading: How to read the numbers, and what they can't say.
        needs: ``synthetic`` videos, ``real`` ones, ``each`` kind that there is, or ``any``: real
            ones where there are some.
        config: Its settings.
        place: In the order of a report; small numbers first.
        any_encoder: Whether it needs no RSP and A-VID head, and so takes any encoder.

    Example:
        >>> from analysis import Study, StudyTable
        >>> class NumVideos(Study[StudyConfig]):
        ...     '''Count the videos.'''
        ...
        ...     name, title, question = "num_videos", "Videos", "How many videos are there?"
        ...     reading, needs, config = "A plain count.", "any", StudyConfig
        ...
        ...     def measure(self, inputs, config):
        ...         num = len(inputs.paths)
        ...         return StudyTable(study=self.name, rows=(), num_videos=num, videos="files")
        ...
        ...     def finding(self, table):
        ...         return f"There are {table.num_videos}."
        >>> study = NumVideos()
        >>> inputs = StudyInputs(query=None, key=None, paths=(Path("a.mp4"), Path("b.mp4")))
        >>> table = study.measure(inputs, StudyConfig())
        >>> study.finding(table), study.summary, study.explain(table)
        ('There are 2.', 'Count the videos.', 'A plain count.')
        >>> study.tables(table)[0].caption
        'Videos, 2 files, 95% interval over videos'
        >>> study.figures(table), study.key_numbers(table), study.paired(table, table)
        ([], [], {})
        >>> study.named_units(table) is None
        True
        >>> from analysis import example_branch
        >>> study.fits(example_branch())  # with the heads RSP and A-VID
        True
    """

    name: str
    title: str
    question: str
    reading: str
    needs: Needs
    config: type[C]
    place: int = 100
    any_encoder: bool = False

    @abstractmethod
    def measure(self, inputs: StudyInputs, config: C) -> StudyTable:
        """Measure a model.

        Raises:
            ValueError: A setting is out of range, or too few videos can be used.
        """

    @abstractmethod
    def finding(self, table: StudyTable) -> str:
        """What was found, in a sentence with the interval."""

    def fits(self, branch: Branch) -> bool:
        """Whether it can be measured on a branch."""
        return self.any_encoder or branch.heads == HEADS

    @property
    def summary(self) -> str:
        """What the command does: the first line of the class's docstring."""
        return (type(self).__doc__ or self.question).strip().splitlines()[0]

    def explain(self, table: StudyTable) -> str:
        """How to read the numbers of this table."""
        return self.reading

    def tables(self, table: StudyTable) -> list[Table]:
        """The numbers for readers; all rows, if a study does not choose."""
        measures = list(dict.fromkeys(name for row in table.rows for name in row.values))
        rows: list[list[str | Value]] = [
            [", ".join(map(str, row.keys.values())), *(row.values.get(m, "") for m in measures)]
            for row in table.rows
        ]
        caption = f"{self.title}, {table.num_videos} {table.videos}, 95% interval over videos"
        return [Table(header=("row", *measures), rows=rows, caption=caption)]

    def figures(self, table: StudyTable) -> list[FigureSpec]:
        """Figures of the result; may be none."""
        return []

    def named_units(self, table: StudyTable) -> list[NamedUnit] | None:
        """Units of heads that it names, to be searched for; nothing where it is not about units."""
        return None

    def key_numbers(self, table: StudyTable) -> list[KeyNumber]:
        """Results for the headline and for the comparison of models; may be none."""
        return []

    def paired(self, first: StudyTable, other: StudyTable) -> dict[str, Estimate]:
        """Differences of another model to the first, paired by video; may be none.

        Raises:
            ValueError: The tables are not of the same videos.
        """
        return {}


_STUDIES: dict[str, Study[Any]] = {}


def register_study(study: type[Study[Any]]) -> type[Study[Any]]:
    """Register a study under its name: a class decorator.

    Raises:
        ValueError: The name is taken by another study.

    Example:
        >>> from analysis import Study, get_study, register_study
        >>> @register_study
        ... class Nothing(Study[StudyConfig]):
        ...     name, title, question = "nothing", "Nothing", "Is there nothing?"
        ...     reading, needs, config = "No numbers.", "any", StudyConfig
        ...
        ...     def measure(self, inputs, config): ...
        ...
        ...     def finding(self, table): ...
        >>> get_study("nothing").title
        'Nothing'
        >>> del _STUDIES["nothing"]  # take it out again
    """
    found = _STUDIES.get(study.name)
    if found is not None and type(found).__qualname__ != study.__qualname__:
        raise ValueError(f"there is a study {study.name!r} already: choose another name")
    _STUDIES[study.name] = study()
    return study


def list_studies() -> tuple[Study[Any], ...]:
    """Every study, in the order of a report.

    Example:
        >>> [study.name for study in list_studies()][-1]
        'sanity'
    """
    for module in pkgutil.iter_modules(analysis.studies.__path__):
        import_module(f"analysis.studies.{module.name}")
    return tuple(sorted(_STUDIES.values(), key=lambda study: (study.place, study.name)))


def get_study(name: str) -> Study[Any]:
    """A study by its name.

    Raises:
        ValueError: There is none.

    Example:
        >>> from analysis import get_study
        >>> get_study("localisation").needs
        'synthetic'
    """
    known = {study.name: study for study in list_studies()}
    if name not in known:
        raise ValueError(f"studies are {', '.join(known)}, got {name!r}")
    return known[name]


def run_study(name: str, *, progress: bool = True, **settings: Any) -> StudyTable:
    """Measure a model; what ``python -m analysis NAME`` does, without its files.

    Args:
        name: Of the study.
        progress: Whether to show progress bars.
        **settings: Of its configuration, such as ``model="default"`` and ``num_videos=8``.

    Raises:
        ValueError: No such study, a setting is out of range, or too few videos can be used.

    Example:
        >>> import tempfile
        >>> from analysis import run_study
        >>> from rspnet import Branch, save_model
        >>> branch = Branch("resnet18_fine", {"width": 2}, num_frames=8, size=32)
        >>> model = save_model(f"{tempfile.mkdtemp()}/tiny.safetensors", branch, branch)
        >>> options = {"num_videos": 2, "max_speed": 2, "num_random": 0}
        >>> table = run_study("responses", model=str(model), progress=False, **options)
        >>> row = table.one(weights="trained", perturbation="blur", level=4, head="rsp")
        >>> row["similarity"].num
        2
    """
    study = get_study(name)
    config = study.config(**settings)
    return study.measure(inputs_of(study, config, progress=progress), config)


def inputs_of(study: Study[Any], config: StudyConfig, *, progress: bool = True) -> StudyInputs:
    """Load the model and find the videos that a configuration names.

    Raises:
        ValueError: There is no such model, the videos are not there, or the study needs others.
    """
    paths: tuple[Path, ...] = ()
    labels: dict[Path, str] = {}
    skipped: dict[Path, str] = {}
    words = ""
    gallery = queries = None
    if isinstance(config, VideoStudyConfig):
        data = config.data
        named = data.root is not None or data.annotations is not None
        if named and config.videos is not None:
            raise ValueError(
                "give either --videos, a folder of videos, or a data set such as --data.name csv "
                "--data.annotations FILE.csv; got both"
            )
        if study.needs == "real" and not named and config.videos is None:
            raise ValueError(
                f"{study.name} is measured on real videos: give either --videos DIR, a folder of "
                "videos, or a data set such as --data.name csv --data.annotations FILE.csv"
            )
        if config.videos is not None:
            paths = tuple(expand_roots([config.videos]))
            words = f"videos of {Path(config.videos).name}"
        elif named:
            found = load_video_set(data)
            skipped = dict(found.known_invalid)
            labels = {v.path: v.label for v in found.videos if v.path not in skipped}
            paths = tuple(labels)
            words = f"videos of {found.name}, split {found.split}, fold {found.fold}"
            splits = {name: getattr(config, f"{name}_split", "") for name in ("gallery", "query")}
            if all(splits.values()):
                gallery, queries = (replace(data, split=split) for split in splits.values())
    query, key = load_branches(config.model)
    if not study.fits(query):
        raise ValueError(f"{study.name} {NEEDS_HEADS}")
    return StudyInputs(
        model=config.model,
        query=query,
        key=key,
        task=find_task(config.model),
        paths=paths,
        labels=labels,
        videos=words,
        skipped=skipped,
        gallery=gallery,
        queries=queries,
        progress=progress,
    )


def verdict(found: Estimate, more: str, fewer: str) -> str:
    """Which of two heads has more of something, as far as the interval says."""
    if found.low > 0:
        return more
    return fewer if found.high < 0 else "no difference that these videos can show"
