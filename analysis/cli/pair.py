"""The settings by which a command names a model, a pair of clips and its negatives."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from analysis.attribution.pair_clips import PairClips
from analysis.attribution.registry import map_kinds
from analysis.figures.figure_inputs import load_pair


@dataclass(frozen=True, kw_only=True)
class PairConfig:
    """A model and two clips.

    Attributes:
        model: Model file, name of a shipped model, or module:function for an encoder of your own.
        video_i: Video of c_i, the query. Nothing: a synthetic video.
        video_j: Video of c_j. Nothing: that of c_i, as in a positive pair of training.
        start_i: First frame of c_i. Nothing: the first clip of one video, the middle one of two.
        start_j: First frame of c_j. Nothing: the last clip of one video, the middle one of two.
        speed_i: Playback speed of c_i.
        speed_j: Playback speed of c_j.
        speed_k: Playback speed of c_k, the negative of RSP's margin, a clip of c_j's video.
            Nothing: twice that of c_j up to 1x, half of it above.
        others: Videos whose middle clips are candidates for the negatives of A-VID's margin.
            Nothing: other synthetic videos beside a synthetic pair.
        classifier: Classifier of python -m rspnet.finetune, for class maps.
        size: Height and width of the clips in pixels; larger clips give a finer grid. Nothing: the
            model's.
        seed: Seed of the synthetic videos.
    """

    model: str = "default"
    video_i: str | None = None
    video_j: str | None = None
    start_i: int | None = None
    start_j: int | None = None
    speed_i: float = 1.0
    speed_j: float = 1.0
    speed_k: float | None = None
    others: list[str] = field(default_factory=list)
    classifier: str | None = None
    size: int | None = None
    seed: int = 0

    def load(self, kinds: Iterable[str] = (), *, with_negatives: bool = False) -> PairClips:
        """Load the model and the clips, each sent through its branch once.

        Args:
            kinds: Keys of the kinds of maps to come; none for any. Negatives are loaded where one
                of these needs them.
            with_negatives: Load them in any case.

        Raises:
            ValueError: The model or a video can't be read, or a clip is not inside its video.
        """
        known = map_kinds()
        needed = [known[key] for key in kinds if key in known]
        return load_pair(
            self.model,
            self.video_i,
            self.video_j,
            start=(self.start_i, self.start_j),
            speed=(self.speed_i, self.speed_j),
            size=self.size,
            seed=self.seed,
            speed_k=self.speed_k,
            others=self.others,
            classifier=self.classifier,
            with_negatives=with_negatives
            or not needed
            or any(kind.needs == "triplet" for kind in needed),
            with_task=any(kind.needs == "task" for kind in needed),
        )


def is_page(out: str) -> bool:
    """Whether a command is to write one HTML page instead of a folder."""
    return out.lower().endswith((".html", ".htm"))


@dataclass(frozen=True, kw_only=True)
class DisplayConfig:
    """How maps are laid over their frames.

    Attributes:
        scale: One colour scale for both heads, for each head, or for each map.
        opacity: Of the strongest colour, 0 to 1.
        smooth: Interpolate between cells; otherwise each cell is shown as it is.
        grey: Show the frames without their colours.
    """

    scale: Literal["shared", "head", "map"] = "shared"
    opacity: float = 0.75
    smooth: bool = True
    grey: bool = False

    @property
    def display(self) -> dict[str, Any]:
        """For the functions that draw."""
        return {"scale": self.scale, "opacity": self.opacity, "smooth": self.smooth}
