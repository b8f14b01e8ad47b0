"""Does it retrieve videos of the same class? ``python -m analysis class_retrieval --out FILE``.

Top-k retrieval of a labelled data set, or of synthetic videos by their action
(:mod:`rspnet.retrieve`, supplementary B).
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from analysis.core.statistics import Estimate
from analysis.core.table import Key, Row, StudyTable, Table, Value, interval, number, pivot
from analysis.studies.pretext_tasks import NUM_EVALUATED, synthetic_folder
from analysis.studies.registry import (
    KeyNumber,
    Study,
    StudyInputs,
    VideoStudyConfig,
    register_study,
)
from rspnet.data.datasets.labelled import DatasetConfig
from rspnet.extract import ExtractConfig, extract
from rspnet.names import HEAD_TITLES
from rspnet.retrieval.gallery import FEATURES, Gallery
from rspnet.retrieve import KS, PUBLISHED, RetrievalResult, retrieve


@dataclass(frozen=True, kw_only=True)
class ClassRetrievalConfig(VideoStudyConfig):
    """Top-k retrieval of videos of the same class.

    Attributes:
        seed: Of synthetic videos.
        num_evaluated: Synthetic videos.
        gallery_split: Split that is searched.
        query_split: Split whose videos are queries.
    """

    num_evaluated: int = NUM_EVALUATED
    gallery_split: str = "train"
    query_split: str = "test"


def rows_of(result: RetrievalResult) -> list[Row]:
    """The rows of one feature."""
    rows = []
    for k, share in result.top_k.items():
        keys: dict[str, Key] = {"feature": result.feature, "k": k}
        values: dict[str, Value] = {
            "accuracy": Estimate(share, *result.intervals[k], result.num_queries),
            "num_unmatchable": result.num_unmatchable,
        }
        rows.append(Row(keys=keys, values=values))
    return rows


@register_study
class ClassRetrieval(Study[ClassRetrievalConfig]):
    """Measure whether the nearest videos are of the query's class."""

    name = "class_retrieval"
    title = "Retrieval"
    question = "Does it retrieve videos of the same class?"
    reading = (
        "A query counts as correct at k if any of the k nearest videos is of its class "
        "(supplementary B)."
    )
    needs = "any"
    config = ClassRetrievalConfig
    place = 20

    def measure(self, inputs: StudyInputs, config: ClassRetrievalConfig) -> StudyTable:
        """Build the galleries and search them.

        Raises:
            ValueError: The data set can't be read, or was named by ``--videos``.
        """
        if inputs.paths and (inputs.gallery is None or inputs.queries is None):
            raise ValueError(
                "class_retrieval needs labels: name a data set by --data.name, --data.root and "
                "--data.annotations instead of --videos"
            )
        with TemporaryDirectory() as temporary:
            folder = inputs.folder or Path(temporary)
            work = folder / f"retrieval-{inputs.query.hash[:12]}"

            def gallery_of(out: Path, data: DatasetConfig) -> Gallery:
                own = ExtractConfig(
                    out=str(out), model=inputs.model, data=data, num_workers=config.num_workers
                )
                extract(own)
                return Gallery.load(out)

            if inputs.gallery is None or inputs.queries is None:
                made = synthetic_folder(
                    folder, config.num_evaluated, config.seed, config.num_workers
                )
                data = DatasetConfig(name="synthetic", root=str(made))
                gallery = queries = gallery_of(work / f"synthetic-{config.seed}", data)
            else:
                gallery = gallery_of(work / "gallery", inputs.gallery)
                queries = gallery_of(work / "queries", inputs.queries)
        most = len(gallery) - (1 if queries is gallery else 0)
        ks = [k for k in KS if k <= most]
        rows = [
            row
            for feature in FEATURES
            for row in rows_of(retrieve(gallery, queries, feature, ks))
        ]  # fmt: skip
        protocol = asdict(gallery.protocol) | {
            "model": gallery.model, "model_hash": gallery.model_hash, "similarity": "cosine",
        }  # fmt: skip
        return StudyTable(
            study=self.name,
            rows=tuple(rows),
            num_videos=len(queries),
            videos=f"queries of {gallery.dataset.get('name', 'the gallery')}",
            model_hash=inputs.query.hash,
            seed=config.seed,
            settings={
                "protocol": protocol,
                "gallery": source_of(gallery),
                "queries": source_of(queries),
            },
        )

    def finding(self, table: StudyTable) -> str:
        """Top-1 accuracy of the backbone's features."""
        found = table.one(feature="backbone", k=1)["accuracy"]
        return (
            f"The nearest video by the backbone's features is of the query's class for "
            f"{interval(found)} % of the queries."
        )

    def explain(self, table: StudyTable) -> str:
        """The protocol."""
        p = table.settings["protocol"]
        return (
            f"{p['num_clips']} clips a video of {p['num_frames']} x {p['size']} x {p['size']}, "
            f"{p['pooling']} pooling, cosine. {self.reading}"
        )

    def tables(self, table: StudyTable) -> list[Table]:
        """Top-k by feature, with the published rows where they compare."""
        ks = table.keys("k")
        header = {f"top-{k}, %": k for k in ks}
        features: dict[str, dict[str, Key]] = {
            HEAD_TITLES.get(f, f): {"feature": f} for f in table.keys("feature")
        }
        dataset = table.settings["queries"]["dataset"]
        shown = pivot(
            features,
            {title: ("accuracy", {"k": k}) for title, k in header.items()},
            table,
            first="feature",
            caption=(
                f"{table.num_videos} queries in {table.settings['gallery']['num_videos']} videos "
                f"of {dataset.get('name', 'the gallery')}, 95% interval over queries"
            ),
        )
        if dataset.get("name") != "ucf101" or dataset.get("fold") != 1:
            return [shown]
        published: list[list[str | Value]] = []
        for name, values in PUBLISHED:
            by_k = dict(zip(KS, values, strict=True))
            shares = [by_k.get(k) for k in ks]
            published.append([name, *("-" if v is None else number(v, 1) for v in shares)])
        caption = "UCF101 split 1, pre-trained on Kinetics-400"
        return [shown, Table(header=("published", *header), rows=published, caption=caption)]

    def key_numbers(self, table: StudyTable) -> list[KeyNumber]:
        """Top-k by feature."""
        return [
            KeyNumber(
                name=f"retrieval, top-{k} in %",
                values={
                    feature: table.one(feature=feature, k=k)["accuracy"]
                    for feature in table.keys("feature")
                },
            )
            for k in table.keys("k")
        ]


def source_of(gallery: Gallery) -> dict[str, object]:
    """Where the videos of a gallery are from."""
    return {
        "dataset": gallery.dataset,
        "num_videos": len(gallery),
        "num_unreadable": len(gallery.skipped),
    }
