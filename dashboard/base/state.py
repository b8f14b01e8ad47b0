"""The view as a link: what of a link can be used, and a sentence about what can't."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from analysis.regions.rectangle import Rectangle
from rspnet.data.sampling import clip_span
from rspnet.files import printable

SPEEDS = (1, 2, 4)
T = TypeVar("T")
# What begins formatting in Streamlit's Markdown, also in the middle of a line.
_SPECIAL = re.compile(r"[\\`*_\[\]<>#~$|&]")
_CODE = re.compile(r"(`[^`]+`)")


@dataclass(frozen=True)
class Chosen(Generic[T]):
    """A value that can be used, and a sentence if it is not the one that was given."""

    value: T
    note: str = ""


def plain(text: str, *, keep_code: bool = False) -> str:
    r"""Text as Markdown that shows it as it is: file names have underscores and stars in them.

    Args:
        text: A file name, a label, the name of a run, or a sentence that holds one.
        keep_code: Leave what stands between backticks: commands in messages.

    Example:
        >>> print(plain("_name_ and *x*"))
        \_name\_ and \*x\*
        >>> print(plain("my_run: see `rspnet.train`", keep_code=True))
        my\_run: see `rspnet.train`
    """
    text = "\n".join(map(printable, text.split("\n")))
    parts = _CODE.split(text) if keep_code else [text]
    escaped = "".join(
        part if n % 2 else _SPECIAL.sub(r"\\\g<0>", part) for n, part in enumerate(parts)
    )
    # At the start of a line digits and dashes begin lists, equals signs headings.
    return re.sub(r"(?m)^(\s*\d*)([-+=.)])", r"\1\\\2", escaped)


def quote(text: str) -> str:
    """Show what a link said, shortened, as code that renders nothing."""
    shown = "".join(c if c.isprintable() and c != "`" else "?" for c in text)
    return f"`{shown[:57] + '...' if len(shown) > 60 else shown or ' '}`"


def choose(what: str, given: str | None, options: Sequence[str], default: str) -> Chosen[str]:
    """Take a link's word if it is one of the options.

    Args:
        what: Noun for the sentence, with its article: ``the model``.
        given: What the link says, None if nothing.
        options: What there is.
        default: What to show otherwise.
    """
    if given is None or given == default:
        return Chosen(default)
    if given in options:
        return Chosen(given)
    return Chosen(
        default,
        f"The link names {what} {quote(given)}, which is not here; this is {quote(default)}.",
    )


def choose_number(
    what: str, given: str | None, options: range | Sequence[int], default: int
) -> Chosen[int]:
    """Take a link's number if it is one of the options.

    Args:
        what: Noun for the sentence: ``the start of c_i``.
        given: What the link says, None if nothing.
        options: Numbers that can be used, ascending, at least one.
        default: What to show otherwise.
    """
    if given is None:
        return Chosen(default)
    try:
        number = int(given) if len(given) < 12 else None
    except ValueError:
        number = None
    if number is not None and number in options:
        return Chosen(number)
    can = f"{options[0]} to {options[-1]}" if isinstance(options, range) else _list(options)
    return Chosen(
        default, f"The link gives {what} as {quote(given)}, it can be {can}; this is {default}."
    )


def choose_place(given: str) -> Chosen[str]:
    """Take a link's place of c_i if it can be one: a head, time, row and column, from 0.

    Args:
        given: What the link says, such as ``rsp.1.3.4``.
    """
    if not given or re.fullmatch(r"(rsp|avid)(\.\d{1,3}){3}", given):
        return Chosen(given)
    return Chosen(
        "",
        f"The link names the place {quote(given)}, it can be a head and a cell of its map, such "
        "as `rsp.1.3.4`; no place is chosen.",
    )


def choose_region(given: str) -> Chosen[str]:
    """Take a link's region if it is a rectangle, with or without a range of frames.

    Args:
        given: What the link says, such as ``0.2,0.3,0.6,0.8`` or ``0.2,0.3,0.6,0.8,3,9``.
    """
    try:
        return Chosen(given and str(Rectangle.parse(given)))
    except ValueError:
        return Chosen(
            "",
            f"The link draws the region {quote(given)}, it can be left, top, right and bottom in "
            "parts of the frame, such as `0.2,0.3,0.6,0.8`, and a first and last frame behind "
            "them; no region is drawn.",
        )


def _list(numbers: Sequence[int]) -> str:
    steps = {after - before for before, after in itertools.pairwise(numbers)}
    if len(numbers) > 6 and len(steps) == 1:
        return f"{numbers[0]} to {numbers[-1]} in steps of {steps.pop()}"
    words = [str(number) for number in numbers]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def speeds_that_fit(video_length: int, num_frames: int) -> tuple[int, ...]:
    """Playback speeds at which a clip ends before its video does.

    Args:
        video_length: Frames of the video.
        num_frames: Frames of a clip.
    """
    return tuple(s for s in SPEEDS if clip_span(num_frames, s) <= video_length)


def last_start(video_length: int, num_frames: int, speed: int) -> int:
    """Last frame at which a clip can begin and still fit."""
    return max(0, video_length - clip_span(num_frames, speed))


def default_starts(video_length: int, num_frames: int, speed: int = 1) -> tuple[int, int]:
    """Starts of the first example: an early and a late clip of one video, both at one speed."""
    last = last_start(video_length, num_frames, speed)
    return last // 8, last - last // 8
