"""The settings by which a command names a model and a pair of clips."""

from dataclasses import dataclass

from analysis.figures.figure_inputs import ShownPair, load_pair


@dataclass(frozen=True, kw_only=True)
class PairConfig:
    """A model and two clips.

    Attributes:
        model: Model file or name of a shipped model.
        video_i: Video of c_i, the query. Nothing: a synthetic video.
        video_j: Video of c_j. Nothing: that of c_i, as in a positive pair of training.
        start_i: First frame of c_i. Nothing: the first clip of one video, the middle one of two.
        start_j: First frame of c_j. Nothing: the last clip of one video, the middle one of two.
        speed_i: Playback speed of c_i.
        speed_j: Playback speed of c_j.
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
    size: int | None = None
    seed: int = 0

    def load(self) -> ShownPair:
        """Load the model and the clips, and explain the similarity of the pair.

        Raises:
            ValueError: The model or a video can't be read, or a clip is not inside its video.
        """
        return load_pair(
            self.model,
            self.video_i,
            self.video_j,
            start=(self.start_i, self.start_j),
            speed=(self.speed_i, self.speed_j),
            size=self.size,
            seed=self.seed,
        )
