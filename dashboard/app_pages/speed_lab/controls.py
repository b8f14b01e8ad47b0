"""The speed lab's controls: clip, what is changed, by how much."""

import streamlit as st

from dashboard.app_pages.speed_lab import responses
from dashboard.app_pages.speed_lab.responses import Subject
from dashboard.base import links
from dashboard.base.state import choose, choose_number, last_start, quote
from dashboard.services import galleries
from dashboard.services.galleries import Source, VideoInfo
from dashboard.services.models import ModelChoice
from dashboard.widgets.controls import first_fast, first_usable
from rspnet.data.synthetic.videos import parse_video_name

# What the menu says; what a level is called on the slider, and how one is written.
MENU = {
    "speed": "Playback speed", "reverse": "Reversed", "shuffle": "Shuffled",
    "static": "Static clip", "offset": "Later start", "grey": "Grey", "hue": "Hue",
    "crop": "Crop", "flip": "Flipped",
    "blur": "Blur", "action": "Other action", "actor": "Other actor", "set": "Other set",
    "prop": "Other prop", "appearance": "Other appearance",
}  # fmt: skip
UNITS = {
    "speed": "{}x", "shuffle": "{} pieces", "offset": "{} frames", "hue": "{}\N{DEGREE SIGN}",
    "crop": "{} of the side", "blur": "{} px",
}  # fmt: skip
NEEDS = {"speed": "a clip at {} takes {}", "offset": "a clip {} later ends after {}"}
FRACTIONS = {0.25: "1/4", 0.5: "1/2", 0.75: "3/4"}


def choose_clip(link: dict[str, str], source: Source, model: ModelChoice) -> Subject | None:
    """Menu and start of the clip; a sentence where the video can't be used."""
    titles = {video.name: video.title for video in source.videos}
    names = list(titles)
    if "video" in link or st.session_state.get("lab_video") not in names:
        default = first_fast(source, model.num_frames)
        default = default or first_usable(source, model.num_frames)
        links.take("lab_video", choose("the video", link.get("video"), names, default))
    left, right = st.columns([5, 4], gap="small", vertical_alignment="bottom")
    with left:
        name = st.selectbox(
            "Clip i (query)", names, key="lab_video", format_func=lambda n: titles.get(n, n)
        )
    video = source.find(name)
    assert video is not None
    try:
        info = galleries.probe(video)
    except ValueError as error:
        _refuse(name, str(getattr(error, "reason", error)))
        return None
    if info.num_frames < model.num_frames:
        _refuse(
            name,
            f"it has {info.num_frames} frame{'s' if info.num_frames > 1 else ''}, and a clip of "
            f"this model takes {model.num_frames}",
        )
        return None
    with right:
        start = _choose_start(link, name, info, model.num_frames)
    named = parse_video_name(video.path.stem)
    return Subject(
        video.identity(),
        video.title,
        info.num_frames,
        start,
        model.num_frames,
        model.size,
        named if source.title == galleries.GENERATED else None,
    )


def _choose_start(link: dict[str, str], name: str, info: VideoInfo, num_frames: int) -> int:
    state = st.session_state
    last = last_start(info.num_frames, num_frames, 1)
    # In the middle of what leaves room for the highest speed.
    default = last_start(info.num_frames, num_frames, 4) // 2
    if "start" in link:
        options = range(last + 1)
        links.take("lab_start", choose_number("the start", link["start"], options, default))
    elif state.get("lab_started") not in (None, name) or "lab_start" not in state:
        state["lab_start"] = default
    state["lab_started"] = name
    state["lab_start"] = min(last, int(state["lab_start"]))
    if last == 0:
        st.slider("Start, frame", 0, 1, key="lab_start_only", disabled=True)
        return 0
    return int(st.slider("Start, frame", 0, last, key="lab_start"))


def _refuse(name: str, reason: str) -> None:
    st.error(
        f"The clip can't be of {quote(name)}: {reason}. Choose another video.",
        icon=":material/error:",
    )


def take_change(link: dict[str, str], subject: Subject) -> None:
    """Hold what a link says of the change, its level and the frame."""
    state = st.session_state
    names = list(subject.probes)
    if "change" in link or state.get("lab_name") not in names:
        links.take("lab_name", choose("the change", link.get("change"), names, names[0]))
    name = str(state["lab_name"])
    if "level" in link:
        levels = responses.levels_that_fit(name, subject)
        words = {f"{level:g}": level for level in levels}
        chosen = choose("the level", link["level"], list(words), f"{_default(name, levels):g}")
        links.take("lab_level", chosen)
        state[f"lab_level_{name}"] = words[chosen.value]
    if "frame" in link or "lab_frame" not in state:
        frames = range(1, subject.num_frames + 1)
        links.take("lab_frame_number", choose_number("the frame", link.get("frame"), frames, 1))
        state["lab_frame"] = int(state["lab_frame_number"]) - 1


def _default(name: str, levels: tuple[float, ...]) -> float:
    return 2.0 if name == "speed" and 2.0 in levels else levels[-1]


def choose_change(subject: Subject) -> tuple[str, float]:
    """The menu of changes and the slider of this one's levels."""
    state = st.session_state
    if state.get("lab_name") not in subject.probes:  # it was clicked away
        state["lab_name"] = subject.probes[0]
    name = str(
        st.selectbox(
            "What is changed in clip j", subject.probes, key="lab_name", width=190,
            format_func=lambda n: MENU[n],
        )
    )  # fmt: skip
    levels = responses.levels_that_fit(name, subject)
    key = f"lab_level_{name}"
    if state.get(key) not in levels:
        state[key] = _default(name, levels)
    if len(levels) == 1:
        _say_what_fits(name, subject, levels)
        return name, levels[0]
    if responses.change_of(name).is_switch:
        chosen = st.segmented_control(
            MENU[name], levels, key=key, required=True,
            format_func=lambda at: MENU[name] if at else "As it is",
        )  # fmt: skip
        return name, float(chosen if chosen is not None else levels[-1])
    with st.container(width=520):
        level = float(
            st.select_slider(
                f"{MENU[name]} of clip j" if name == "speed" else MENU[name],
                levels,
                key=key,
                format_func=lambda at: written(name, at),
            )
        )
    _say_what_fits(name, subject, levels)
    return name, level


def written(name: str, level: float) -> str:
    """A level in words, such as ``1/4x``."""
    return UNITS.get(name, "{}").format(FRACTIONS.get(level, f"{level:g}"))


def _say_what_fits(name: str, subject: Subject, levels: tuple[float, ...]) -> None:
    """Where the video is too short for some levels: which there are."""
    missing = [at for at in responses.change_of(name).levels if at not in levels]
    if not missing or name not in ("speed", "offset"):
        return
    needed = responses.frames_needed(name, missing[0], subject.num_frames)
    st.info(
        f"From frame {subject.start} on this video has {subject.window} frames; "
        f"{NEEDS[name].format(written(name, missing[0]), needed)}. The most that fits is "
        f"{written(name, levels[-1])}: an earlier start or a longer video has room for more.",
        icon=":material/info:",
    )
