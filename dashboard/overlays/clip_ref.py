"""One clip on its way from control to overlay: which frames of which file, at which size."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dashboard.services.galleries import Frames, Identity, decode

if TYPE_CHECKING:
    from analysis import ClipInfo, View


# Of a frame that is shown as a whole before its middle is cut out.
_MOST_ASPECT = 8


@dataclass(frozen=True)
class ClipRef:
    """A clip, hashable: equal references show equal frames.

    Attributes:
        video: The file.
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
        return os.fsdecode(self.video.name)

    @property
    def info(self) -> "ClipInfo":
        """Which frames it is made of."""
        from analysis import ClipInfo

        return ClipInfo(self.path, self.indices, self.speed)

    def view(self) -> "View":
        """The clip as the model sees it.

        Raises:
            ValueError: A frame can't be decoded.
        """
        from analysis import View

        return View(self.frames(self.size), self.info)

    def frames(self, pixels: int) -> Frames:
        """The same frames in the same view at another size, (T, pixels, pixels, 3) uint8.

        Raises:
            ValueError: A frame can't be decoded.
        """
        from rspnet.data.transforms import eval_frames

        frames = decode(self.video, self.indices)
        height, width = frames.shape[1:3]
        short = min(height, width)
        if pixels > self.size and max(height, width) > _MOST_ASPECT * short:
            # Resized first, as the model's view is, so long a frame would take gigabytes.
            top, left = (max(0, (side - 2 * short) // 2) for side in (height, width))
            frames = frames[:, top : top + 2 * short, left : left + 2 * short]
        return eval_frames(frames, pixels)
