"""What a video that a visitor sends may take. Imports nothing heavy: the page states it."""

import json
from dataclasses import asdict, dataclass
from typing import Self


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a file may take.

    Attributes:
        megabytes: Size of the file, MB (2**20 bytes).
        least_frames: Fewest frames that are of use.
        frames: Most frames.
        pixels: Most pixels of a frame.
        seconds: To decode it and write the copy.
        memory: Bytes beyond what the decoding process takes when it begins.
        short_side: Of the copy, pixels, at most.
    """

    megabytes: int = 100
    least_frames: int = 2
    frames: int = 3000
    pixels: int = 3840 * 2160
    seconds: float = 60.0
    memory: int = 1536 * 2**20
    short_side: int = 256

    def as_argument(self) -> str:
        """As the decoding process is given them."""
        return json.dumps(asdict(self))

    @classmethod
    def from_argument(cls, text: str) -> Self:
        """Read what :meth:`as_argument` wrote."""
        return cls(**json.loads(text))

    @property
    def sentence(self) -> str:
        """For people, before they choose a file."""
        return (
            f"up to {self.megabytes} MB, {self.frames:,} frames and 4K each; judged by content, "
            f"kept as a small copy (short side {self.short_side}) until you leave"
        )


def duration(seconds: float) -> str:
    """A time in words, such as ``1 min 20 s``."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole % 3600 // 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"
