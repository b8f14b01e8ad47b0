"""What a video of a folder may take, before a frame is decoded.

A frame of 8K takes 100 MB and a clip of it more memory than most machines have; opening a video
of hours reads all of it. Links that lead out of the folder are not followed: who names a folder
shows that folder.
"""

from collections.abc import Sequence
from pathlib import Path

MOST_FRAMES = 100_000
MOST_PIXELS = 3840 * 2160
NAMED = 3


def duration(seconds: float) -> str:
    """A time in words, such as ``1 min 20 s``."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole % 3600 // 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"


def check(path: Path) -> None:
    """Refuse a video of a folder that is too large or too long by what it says of itself.

    What is wrong with a file that says nothing is left to whoever opens it.

    Raises:
        ValueError: It is (:class:`rspnet.VideoError`), and what to do.
    """
    import av

    from rspnet import VideoError
    from rspnet.data.video.container import find_stream, open_container

    try:
        with open_container(path) as container:
            stream = find_stream(path, container)
            width, height = stream.codec_context.width, stream.codec_context.height
            fps = float(stream.average_rate or 0)
            # Formats that do not count their frames say how long they last.
            seconds = float(container.duration or 0) / av.time_base
            num_frames = stream.frames or round(seconds * fps)
    except (VideoError, av.FFmpegError, OSError):
        return
    if width * height > MOST_PIXELS:
        raise VideoError(
            path,
            f"its frames have {width} x {height} pixels ({width * height / 1e6:.1f} million), and "
            f"at most {MOST_PIXELS / 1e6:.1f} million (4K) are opened: make a smaller copy, such "
            "as by `ffmpeg -i FILE -vf scale=-2:480 COPY.mp4`",
        )
    if fps > 0 and num_frames > MOST_FRAMES:
        raise VideoError(
            path,
            f"it says that it has {num_frames:,} frames ({duration(seconds)}), and at most "
            f"{MOST_FRAMES:,} are opened ({duration(MOST_FRAMES / fps)} at its {fps:.4g} frames "
            "per second): cut out the part of interest, such as by `ffmpeg -ss 0:10:00 -t 60 "
            "-i FILE PART.mp4`",
        )


def leads_out(root: Path, path: Path) -> bool:
    """Whether a path below a root leads out of it, by a link or by ``..``."""
    return not path.resolve().is_relative_to(root.resolve())


def sentence_of_links(root: Path, names: Sequence[str]) -> str:
    """What is said of links that lead out; nothing where there are none."""
    if not names:
        return ""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return (
        f"Skipped, links that lead out of {root}: {', '.join(names[:NAMED])}{more}. To see what "
        "they lead to, start the dashboard with that folder."
    )


def sentence_of_skipped(reasons: Sequence[tuple[str, str]]) -> str:
    """What is said of videos that could not be embedded; nothing where there are none.

    Args:
        reasons: Name and reason of each.
    """
    if not reasons:
        return ""
    more = f"; and {len(reasons) - NAMED} more" if len(reasons) > NAMED else ""
    named = "; ".join(f"{name}: {reason.rstrip('.')}" for name, reason in reasons[:NAMED])
    return f"Skipped: {named}{more}."
