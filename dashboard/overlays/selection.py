"""What is chosen on a page: model, gallery, two clips, and how maps are drawn."""

from dataclasses import dataclass

from dashboard.overlays.clip_ref import ClipRef
from dashboard.overlays.options import DisplayOptions
from dashboard.services.galleries import Source, Video, VideoInfo
from dashboard.services.models import ModelChoice
from rspnet.data.sampling import clip_indices

SIDES = ("i", "j")


@dataclass(frozen=True)
class Clip:
    """A clip that was chosen: video, start and speed.

    Attributes:
        side: ``i`` or ``j``.
        video: Its video.
        info: Length and size of the video.
        start: First frame.
        speed: Playback speed.
        num_frames: Frames of the clip.
    """

    side: str
    video: Video
    info: VideoInfo
    start: int
    speed: int
    num_frames: int

    @property
    def indices(self) -> tuple[int, ...]:
        """The video's frames that the clip takes."""
        return tuple(clip_indices(self.start, self.num_frames, self.speed))

    @property
    def title(self) -> str:
        """Name, frames and speed in a few words."""
        return f"{self.video.title}, frames {self.indices[0]} to {self.indices[-1]}, {self.speed}x"

    def ref(self, size: int) -> ClipRef:
        """The clip as a reference to its frames.

        Args:
            size: Height and width as the model sees them, pixels.

        Raises:
            ValueError: The video is gone.
        """
        return ClipRef(self.video.identity(), self.indices, self.speed, size)


@dataclass(frozen=True)
class Selection:
    """All that the page shows something about; the classifier where the maps are its own."""

    model: ModelChoice
    source: Source
    clip_i: Clip
    clip_j: Clip
    display: DisplayOptions
    classifier: ModelChoice | None = None

    def clip(self, side: str) -> Clip:
        """c_i or c_j."""
        return self.clip_i if side == "i" else self.clip_j
