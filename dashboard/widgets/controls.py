"""What is chosen: model, gallery, two clips. Held in the session, restored from the link."""

from collections.abc import Sequence

import streamlit as st

from dashboard.base import links
from dashboard.base.arguments import Arguments
from dashboard.base.state import (
    choose,
    choose_number,
    default_starts,
    last_start,
    quote,
    speeds_that_fit,
)
from dashboard.overlays.selection import SIDES, Clip
from dashboard.services import galleries as sources
from dashboard.services.galleries import SYNTHETIC_EXAMPLE, Source, Video
from dashboard.services.models import ModelChoice, make_random
from rspnet.data.sampling import clip_span

# Playback speed of the clips that a page begins with.
FAST = 2
CLIP_TITLES = {"i": "Clip i (query)", "j": "Clip j"}


def choose_frame(link: dict[str, str], num_frames: int) -> None:
    """The frame that a link names; without one the page says where its panels begin."""
    if "frame" in link:
        frames = range(1, num_frames + 1)
        links.take("frame_number", choose_number("the frame", link.get("frame"), frames, 1))
        st.session_state["frame"] = st.session_state["frame_number"] - 1


def choose_model(link: dict[str, str], choices: Sequence[ModelChoice]) -> ModelChoice:
    """The model's menu."""
    names = [choice.name for choice in choices]
    if "model" in link or st.session_state.get("model") not in names:
        links.take("model", choose("the model", link.get("model"), names, names[0]))
    name = st.selectbox("Model", names, key="model")
    chosen = next(choice for choice in choices if choice.name == name)
    try:
        make_random(chosen, choices)
    except ValueError as error:  # the page itself then says that there is no such file
        links.note(f"{error}.")
    return chosen


def choose_gallery(link: dict[str, str], arguments: Arguments) -> str:
    """The gallery in use, from the link or the menu under More (drawn by :func:`more`)."""
    titles = galleries(arguments)
    if "gallery" in link or st.session_state.get("gallery") not in titles:
        links.take("gallery", choose("the gallery", link.get("gallery"), titles, titles[0]))
    return str(st.session_state["gallery"])


def galleries(arguments: Arguments) -> list[str]:
    """Titles of the galleries, your own folder first."""
    own = [sources.OWN] if arguments.videos is not None else []
    return [*own, sources.GENERATED]


def choose_clip(side: str, link: dict[str, str], source: Source, num_frames: int) -> Clip | None:
    """Menu, start and speed of one clip; a sentence in their place where that video can't be used.

    A visitor who has chosen nothing begins with :func:`first_pair`.

    Args:
        side: ``i`` or ``j``.
        link: New parameters of the link.
        source: The gallery.
        num_frames: Frames of the model's clips.
    """
    titles = {video.name: video.title for video in source.videos}
    names = list(titles)
    key = f"video_{side}"
    is_first = False
    if side in link or st.session_state.get(key) not in names:
        is_first = not ({side, "i", f"{side}_speed"} & set(link))
        default = str(st.session_state.get("video_i")) if side == "j" else ""
        if not _is_usable(source, default, num_frames):
            default = first_fast(source, num_frames) or first_usable(source, num_frames)
        links.take(key, choose(f"the video of c_{side}", link.get(side), names, default))
    columns = st.columns([5, 4, 3.4], gap="small", vertical_alignment="bottom")
    with columns[0]:
        name = st.selectbox(
            CLIP_TITLES[side], names, key=key, format_func=lambda n: titles.get(n, n)
        )
    video = source.find(name)
    assert video is not None
    try:
        info = sources.probe(video)
    except ValueError as error:
        _refuse(side, video, str(getattr(error, "reason", error)))
        return None
    speeds = speeds_that_fit(info.num_frames, num_frames)
    if not speeds:
        _refuse(
            side,
            video,
            f"it has {info.num_frames} frame{'s' if info.num_frames > 1 else ''}, and a clip of "
            f"this model takes {num_frames}",
        )
        return None
    if is_first and FAST in speeds:
        st.session_state[f"speed_{side}"] = FAST
    with columns[2]:
        speed = _speed(side, link, speeds)
    with columns[1]:
        start = _start(side, link, info.num_frames, num_frames, speed)
    return Clip(side, video, info, start, speed, num_frames)


def _is_usable(source: Source, name: str, num_frames: int) -> bool:
    video = source.find(name)
    try:
        return video is not None and sources.probe(video).num_frames >= num_frames
    except ValueError:
        return False


def first_usable(source: Source, num_frames: int) -> str:
    """Name of the first video that can be read and holds a clip; of the first where none does.

    Args:
        source: The gallery.
        num_frames: Frames of the model's clips.
    """
    names = [video.name for video in source.videos]
    return next((name for name in names if _is_usable(source, name, num_frames)), names[0])


def first_fast(source: Source, num_frames: int) -> str:
    """Name of the video that opens first, empty where none holds a clip at 2x.

    Of the synthetic gallery it is the one whose two heads differ the most, see
    :data:`~dashboard.services.galleries.SYNTHETIC_EXAMPLE`; of others the first.
    """
    names = [SYNTHETIC_EXAMPLE, *(video.name for video in source.videos)]
    needed = clip_span(num_frames, FAST)
    return next((name for name in names if _is_usable(source, name, needed)), "")


def first_pair(
    source: Source, num_frames: int, speed: int = FAST, *, preferred: str = SYNTHETIC_EXAMPLE
) -> tuple[Clip, Clip] | None:
    """What a page begins with: an early and a late clip of one video, both at 2x.

    A fast query is the one whose margin map can be checked by eye: what moves raises it. Of the
    synthetic gallery it is the video with the largest margin of RSP; of other galleries the first
    one that is long enough.

    Args:
        source: The gallery.
        num_frames: Frames of the model's clips.
        speed: Playback speed of both.
        preferred: Name of the video that comes before the others, if the gallery has it.
    """
    first = source.find(preferred)
    for video in ([first] if first else []) + list(source.videos):
        if _is_usable(source, video.name, clip_span(num_frames, speed)):
            info = sources.probe(video)
            early, late = (
                Clip(side, video, info, start, speed, num_frames)
                for side, start in zip(
                    SIDES, default_starts(info.num_frames, num_frames, speed), strict=True
                )
            )
            return early, late
    return None


def _speed(side: str, link: dict[str, str], speeds: tuple[int, ...]) -> int:
    key, parameter = f"speed_{side}", f"{side}_speed"
    if parameter in link or st.session_state.get(key) not in speeds:
        links.take(
            key, choose_number(f"the speed of c_{side}", link.get(parameter), speeds, speeds[0])
        )
    chosen = st.segmented_control(
        f"Speed of {side}", speeds, key=key, required=True, format_func=lambda s: f"{s}x"
    )
    return int(chosen if chosen is not None else speeds[0])


def _start(side: str, link: dict[str, str], length: int, num_frames: int, speed: int) -> int:
    key, parameter = f"start_{side}", f"{side}_start"
    last = last_start(length, num_frames, speed)
    if parameter in link or key not in st.session_state:
        default = min(last, default_starts(length, num_frames, speed)[SIDES.index(side)])
        options = range(last + 1)
        links.take(
            key, choose_number(f"the start of c_{side}", link.get(parameter), options, default)
        )
    st.session_state[key] = min(last, int(st.session_state[key]))
    if last == 0:
        st.slider(f"Start of {side}, frame", 0, 1, key=f"{key}_only", disabled=True)
        return 0
    return int(st.slider(f"Start of {side}, frame", 0, last, key=key))


def _refuse(side: str, video: Video, reason: str) -> None:
    st.error(
        f"c_{side} can't be {quote(video.name)}: {reason}. Choose another video.",
        icon=":material/error:",
    )


def more(arguments: Arguments) -> None:
    """The menu of galleries, where there is more than one."""
    titles = galleries(arguments)
    if len(titles) > 1:
        # The browser makes the menu when it is opened: it is to hear in each run what it holds.
        st.session_state["gallery"] = st.session_state["gallery"]
        st.selectbox("Gallery", titles, key="gallery")


def use_as_c_j(name: str, start: int) -> None:
    """Put a video of the gallery in as c_j, at 1x (a button's callback)."""
    st.session_state["video_j"] = name
    st.session_state["start_j"] = start
    st.session_state["speed_j"] = 1
