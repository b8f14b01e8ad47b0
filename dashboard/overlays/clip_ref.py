"""One clip on its way from control to overlay: which frames of which file, at which size."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dashboard.services.galleries import Frames, Identity, decode

if TYPE_CHECKING:
    from analysis import View


@dataclass(frozen=True)
class ClipRef:
    """A clip, hashable: equal references show equal frames.

    Attributes:
        video: Path, time of change and size of the file.
        indices: Frames of the video, one a frame of the clip.
        speed: Playback speed.
        size: Height and width as the model sees them, pixels.
    """

    video: Identity
    indices: tuple[int, ...]
    speed: float
    size: int

    @property
    def path(self) -> str:
        """Path of the video."""
        return self.video[0]

    def view(self) -> "View":
        """The clip as the model sees it.

        Raises:
            ValueError: A frame can't be decoded.
        """
        from analysis import ClipInfo, View

        return View(self.frames(self.size), ClipInfo(self.path, self.indices, self.speed))

    def frames(self, pixels: int) -> Frames:
        """The same frames in the same view at another size, (T, pixels, pixels, 3) uint8.

        Raises:
            ValueError: A frame can't be decoded.
        """
        from rspnet.data.transforms import eval_frames

        return eval_frames(decode(self.video, self.indices), pixels)
