"""Words and buttons below a film."""

from pathlib import Path

import pytest

from dashboard.services.galleries import Video
from dashboard.widgets import cards


@pytest.mark.parametrize(
    ("title", "start", "end"),
    [
        ("walk 7 (actor 4, set 9)", "walk 7 (actor 4, set 9)", ""),  # words: told by their start
        ("golf/Anna_Rawson_Driver_Practice", "golf/Anna_Rawson_Driver_P", "ractice"),
        ("<i>x</i>", "&lt;i&gt;x&lt;/i&gt;", ""),
    ],
)
def test_a_long_name_keeps_its_end(title: str, start: str, end: str) -> None:
    shown = cards.name_of(title)
    assert f'<span class="start">{start}</span><span class="end">{end}</span>' in shown
    assert title.replace("<", "&lt;").replace(">", "&gt;") in shown.split('"')[3]


def test_a_button_says_which_video_it_is_of() -> None:
    video = Video(Path("a/_x_.mp4"), "a/_x_.mp4", "a", "a/_x_ *2*")
    assert cards.labelled("Use as query", video) == r"Use as query *a/\_x\_ \*2\**"


def test_labels_are_words() -> None:
    assert cards.label_of(Video(Path("a"), "a", "arm_circles", "a")) == "arm circles"
    assert cards.label_of(Video(Path("a"), "a", "", "a")) == "no label"
