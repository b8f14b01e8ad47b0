"""What a report is made of: each part computed once and kept (:mod:`analysis.report.store`)."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from analysis.report.store import Store
from analysis.stimuli.triplets import Triplets, file_triplets, generated_triplets
from analysis.studies.faithfulness import faithfulness_study
from analysis.studies.faithfulness_result import FaithfulnessResult
from analysis.studies.localisation import localisation_study
from analysis.studies.localisation_result import LocalisationStudy
from analysis.studies.optical_flow import flow_study
from analysis.studies.optical_flow_result import FlowStudy
from analysis.studies.response_result import Responses
from analysis.studies.responses import MAX_SPEED, response_study
from analysis.studies.sanity import sanity_study
from analysis.studies.sanity_result import SanityResult
from rspnet.data.datasets.labelled import DatasetConfig, load_video_set
from rspnet.data.synthetic.videos import generate
from rspnet.evaluate import EvaluateConfig, evaluate
from rspnet.extract import ExtractConfig, extract
from rspnet.models import Branch
from rspnet.retrieval.gallery import FEATURES, Gallery
from rspnet.retrieve import KS, report, retrieve

Part = Literal[
    "pretext", "retrieval", "planted", "responses", "flow", "faithfulness", "sanity", "examples"
]
PARTS: tuple[Part, ...] = get_args(Part)
_NUM_SYNTHETIC = 128  # generated videos for the pretext tasks and for retrieval


@dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """A page about a model.

    Attributes:
        out: The page, ``*.html``. Its numbers are written beside it as JSON, and its parts in a
            folder, so that a report that was stopped goes on.
        model: Model file or name of a shipped model.
        data: A labelled data set of real videos. Without one, only generated videos are asked.
        gallery_split: Split that is searched.
        query_split: Split whose videos ask, and on which maps and probes are measured.
        num_videos: Real videos for maps and probes, at most.
        num_generated: Generated videos for the same.
        num_random: Draws of random weights.
        max_speed: Highest playback speed of probes on real videos; 16 frames at 4x take 61 frames.
        num_examples: Best and worst videos shown, each.
        seed: Of generated videos and of choices; none that the model was trained on.
        num_workers: Processes that decode.
        skip: Parts to leave out.
    """

    out: str = "report.html"
    model: str = "default"
    data: DatasetConfig = field(default_factory=DatasetConfig)
    gallery_split: str = "train"
    query_split: str = "test"
    num_videos: int = 40
    num_generated: int = 40
    num_random: int = 3
    max_speed: float = 4.0
    num_examples: int = 3
    seed: int = 9
    num_workers: int = 2
    skip: list[Part] = field(default_factory=list)

    def __post_init__(self) -> None:
        if Path(self.out).suffix.lower() not in (".html", ".htm"):
            raise ValueError(f"a report is written as .html, got {self.out!r}: end its name so")
        for name in ("num_videos", "num_generated"):
            if getattr(self, name) < 2:
                raise ValueError(f"{name} is at least 2, got {getattr(self, name)}")
        if self.num_random < 1 or self.num_examples < 1:
            raise ValueError(
                "num_random and num_examples are at least 1, got "
                f"{self.num_random} and {self.num_examples}"
            )
        unknown = sorted(set(self.skip) - set(PARTS))
        if unknown:
            raise ValueError(f"parts are {', '.join(PARTS)}, got {', '.join(unknown)} in skip")

    @property
    def has_data(self) -> bool:
        """Whether real videos were given."""
        return bool(self.data.root or self.data.annotations)

    def split(self, name: str) -> DatasetConfig:
        """The data set's split."""
        return replace(self.data, split=name)


@dataclass(frozen=True, kw_only=True)
class Found:
    """All that was measured; nothing for what was left out.

    Attributes:
        pretext: Of :func:`rspnet.evaluate.evaluate`, by kind of videos.
        retrieval: Of :func:`rspnet.retrieve.report`.
        planted: Maps against the ground truth of generated videos.
        responses: Probes, by kind of videos.
        flow: Maps against the movement of real videos.
        faithfulness: Insertion and deletion, by kind of videos.
        sanity: Maps while the weights are randomised, on real videos if there are any.
        skipped: Part and reason.
    """

    pretext: dict[str, Any] = field(default_factory=dict)
    retrieval: dict[str, Any] | None = None
    planted: LocalisationStudy | None = None
    responses: dict[str, Responses] = field(default_factory=dict)
    flow: FlowStudy | None = None
    faithfulness: dict[str, FaithfulnessResult] = field(default_factory=dict)
    sanity: SanityResult | None = None
    skipped: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "pretext": self.pretext,
            "retrieval": self.retrieval,
            "planted": self.planted.to_json() if self.planted else None,
            "responses": {name: part.to_json() for name, part in self.responses.items()},
            "flow": self.flow.to_json() if self.flow else None,
            "faithfulness": {name: part.to_json() for name, part in self.faithfulness.items()},
            "sanity": self.sanity.to_json() if self.sanity else None,
            "left_out": self.skipped,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Found":
        """The inverse of :meth:`to_json`."""
        return cls(
            pretext=value["pretext"],
            retrieval=value["retrieval"],
            planted=LocalisationStudy.from_json(value["planted"]) if value["planted"] else None,
            responses={n: Responses.from_json(v) for n, v in value["responses"].items()},
            flow=FlowStudy.from_json(value["flow"]) if value["flow"] else None,
            faithfulness={
                n: FaithfulnessResult.from_json(v) for n, v in value["faithfulness"].items()
            },
            sanity=SanityResult.from_json(value["sanity"]) if value["sanity"] else None,
            skipped=value["left_out"],
        )


def real_videos(config: ReportConfig) -> list[Path]:
    """The query split's videos that are not known to be bad.

    Raises:
        ValueError: The data set can't be read.
    """
    found = load_video_set(config.split(config.query_split))
    return [video.path for video in found.videos if video.path not in found.known_invalid]


def triplets_of(config: ReportConfig, query: Branch, kind: str, videos: Sequence[Path]) -> Triplets:
    """Triplets to ask about, of ``generated`` or of ``real`` videos."""
    if kind == "generated":
        return generated_triplets(query, config.num_generated, config.seed)
    found = file_triplets(query, list(videos), config.num_videos, config.seed)
    return replace(found, what=f"{config.query_split} videos")  # not every path


@dataclass(frozen=True)
class _Measuring:
    """Computes what is not kept yet."""

    config: ReportConfig
    query: Branch
    key: Branch
    folder: Path
    videos: tuple[Path, ...]  # real ones

    @property
    def kinds(self) -> list[str]:
        return ["generated", "real"] if self.videos else ["generated"]

    def kept(self, part: str, kind: str, make: Callable[[], Any], **more: Any) -> Any:
        """A part's plain values; ``kind`` and ``more`` are what its numbers depend on."""
        config = self.config
        settings = {"kind": kind, "seed": config.seed, **more}
        if kind == "real":
            settings |= {"videos": list(map(str, self.videos)), "num_videos": config.num_videos}
        else:
            settings["num_videos"] = config.num_generated
        return Store(self.folder, self.query.hash).part(part, settings, make)

    def stage(self) -> Path:
        """Generated videos as files, made once."""
        config = self.config
        out = self.folder / f"stage-{config.seed}"
        return generate(out, _NUM_SYNTHETIC, config.seed, num_workers=config.num_workers)

    def pretext(self, kind: str) -> dict[str, Any]:
        def make() -> dict[str, Any]:
            config = EvaluateConfig(
                model=self.config.model,
                videos=[str(p) for p in self.videos] if kind == "real" else str(self.stage()),
                num_videos=_NUM_SYNTHETIC,
                seed=self.config.seed,
                device="cpu",
                num_workers=self.config.num_workers,
            )
            found = {"trained": evaluate(config)}
            return found | {"random weights": evaluate(replace(config, random_weights=True))}

        values: dict[str, Any] = self.kept("pretext", kind, make)
        return values

    def retrieval(self) -> dict[str, Any]:
        """Top-k of the real data set, or of generated videos by their action."""
        config = self.config
        about = {"data": asdict(config.data), "splits": [config.gallery_split, config.query_split]}

        def make() -> dict[str, Any]:
            work = self.folder / f"retrieval-{self.query.hash[:12]}"
            if not config.has_data:
                data = DatasetConfig(name="synthetic", root=str(self.stage()))
                gallery = queries = self._gallery(work / f"stage-{config.seed}", data)
            else:
                gallery, queries = (
                    self._gallery(work / name, config.split(split))
                    for name, split in (
                        ("gallery", config.gallery_split), ("queries", config.query_split)
                    )
                )  # fmt: skip
            most = len(gallery) - (1 if queries is gallery else 0)
            ks = [k for k in KS if k <= most]
            results = [retrieve(gallery, queries, feature, ks) for feature in FEATURES]
            plain: dict[str, Any] = report(gallery, queries, results)
            return plain

        values: dict[str, Any] = self.kept("retrieval", "gallery", make, **about)
        return values

    def _gallery(self, out: Path, data: DatasetConfig) -> Gallery:
        config = self.config
        extract(
            ExtractConfig(
                out=str(out), model=config.model, data=data, num_workers=config.num_workers
            )
        )
        return Gallery.load(out)

    def planted(self) -> LocalisationStudy:
        config = self.config

        def make() -> dict[str, Any]:
            return localisation_study(
                self.query,
                self.key,
                num_videos=config.num_generated,
                seed=config.seed,
                num_random=config.num_random,
            ).to_json()

        values = self.kept("planted", "generated", make, num_random=config.num_random)
        return LocalisationStudy.from_json(values)

    def responses(self, kind: str) -> Responses:
        config = self.config
        num = config.num_videos if kind == "real" else config.num_generated
        speed = config.max_speed if kind == "real" else MAX_SPEED

        def make() -> dict[str, Any]:
            return response_study(
                self.query,
                self.query,
                self.videos if kind == "real" else (),
                num_videos=num,
                seed=config.seed,
                max_speed=speed,
                num_random=config.num_random,
            ).to_json()

        more = {"num_random": config.num_random, "max_speed": speed}
        return Responses.from_json(self.kept("responses", kind, make, **more))

    def flow(self) -> FlowStudy:
        config = self.config

        def make() -> dict[str, Any]:
            return flow_study(
                self.query,
                self.key,
                self.videos,
                what=f"{config.query_split} videos",
                num_videos=config.num_videos,
                num_random=config.num_random,
                seed=config.seed,
                num_workers=config.num_workers,
            ).to_json()

        values = self.kept("flow", "real", make, num_random=config.num_random)
        return FlowStudy.from_json(values)

    def faithfulness(self, kind: str) -> FaithfulnessResult:
        def make() -> dict[str, Any]:
            triplets = triplets_of(self.config, self.query, kind, self.videos)
            return faithfulness_study(
                self.query, self.key, triplets, seed=self.config.seed
            ).to_json()

        return FaithfulnessResult.from_json(self.kept("faithfulness", kind, make))

    def sanity(self) -> SanityResult:
        kind = self.kinds[-1]
        num_draws = self.config.num_random

        def make() -> dict[str, Any]:
            triplets = triplets_of(self.config, self.query, kind, self.videos)
            return sanity_study(self.query, self.key, triplets, num_draws=num_draws).to_json()

        return SanityResult.from_json(self.kept("sanity", kind, make, num_draws=num_draws))


def measure(
    config: ReportConfig, query: Branch, key: Branch, folder: Path, videos: Sequence[Path]
) -> Found:
    """Compute every part that is not in ``folder`` yet.

    Args:
        config: What to measure.
        query: Query branch of ``config.model``.
        key: Its momentum branch.
        folder: Where parts are kept.
        videos: Real videos (:func:`real_videos`), or none.

    Raises:
        ValueError: The data set can't be read, or has too few videos.
    """
    measuring = _Measuring(config, query, key, folder, tuple(videos))
    skipped = {str(part): "not asked for" for part in config.skip}
    if not videos and "flow" not in skipped:
        skipped["flow"] = (
            "no real videos were given: --data.name, --data.root and --data.annotations name them"
        )

    def wanted(part: Part) -> bool:
        return part not in skipped

    kinds = measuring.kinds
    return Found(
        pretext={k: measuring.pretext(k) for k in kinds} if wanted("pretext") else {},
        retrieval=measuring.retrieval() if wanted("retrieval") else None,
        planted=measuring.planted() if wanted("planted") else None,
        responses={k: measuring.responses(k) for k in kinds} if wanted("responses") else {},
        flow=measuring.flow() if wanted("flow") else None,
        faithfulness=(
            {k: measuring.faithfulness(k) for k in kinds} if wanted("faithfulness") else {}
        ),
        sanity=measuring.sanity() if wanted("sanity") else None,
        skipped=skipped,
    )
