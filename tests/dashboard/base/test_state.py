"""What of a link can be used, and what is said about the rest."""

import os
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.base.arguments import Arguments
from dashboard.base.state import (
    choose,
    choose_number,
    default_starts,
    last_start,
    plain,
    quote,
    speeds_that_fit,
)
from dashboard.services import galleries
from dashboard.services.galleries import Source, Video
from dashboard.widgets.controls import first_usable


def test_choose_takes_an_option_without_a_word() -> None:
    assert choose("the model", "b", ["a", "b"], "a").value == "b"
    assert choose("the model", "b", ["a", "b"], "a").note == ""


def test_choose_falls_back_and_says_so() -> None:
    chosen = choose("the model", "../x", ["a", "b"], "a")
    assert chosen.value == "a"
    assert chosen.note == "The link names the model `../x`, which is not here; this is `a`."


@pytest.mark.parametrize("given", ["abc", "-1", "73", "1.5", "", "9" * 400, "nan"])
def test_choose_number_refuses_what_is_no_option(given: str) -> None:
    chosen = choose_number("the start of c_i", given, range(73), 9)
    assert chosen.value == 9
    assert "0 to 72" in chosen.note
    assert len(chosen.note) < 200


def test_choose_number_lists_single_options() -> None:
    assert choose_number("the speed", "2", (1, 2), 1).value == 2
    assert "it can be 1 or 2" in choose_number("the speed", "3", (1, 2), 1).note
    assert "it can be 1, 2 or 4" in choose_number("the speed", "3", (1, 2, 4), 1).note
    many = choose_number("the opacity", "9", list(range(20, 101, 5)), 75)
    assert "it can be 20 to 100 in steps of 5; this is 75" in many.note


def test_quote_cannot_leave_its_code_span() -> None:
    assert quote("a`b\nc") == "`a?b?c`"
    assert len(quote("x" * 500)) == 62


@pytest.mark.parametrize(
    ("length", "speeds"),
    [(15, ()), (16, (1,)), (30, (1,)), (31, (1, 2)), (60, (1, 2)), (61, (1, 2, 4))],
)
def test_speeds_that_fit(length: int, speeds: tuple[int, ...]) -> None:
    # 16 frames reach over 16, 31 and 61 frames at 1x, 2x and 4x.
    assert speeds_that_fit(length, 16) == speeds


def test_starts_leave_room_for_the_clip() -> None:
    assert last_start(70, 16, 1) == 54
    assert last_start(70, 16, 4) == 9
    assert last_start(10, 16, 1) == 0
    assert default_starts(96, 16) == (10, 70)
    assert default_starts(16, 16) == (0, 0)


def test_a_gallery_is_listed_anew_only_when_a_folder_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / "walk" / "deep"
    deep.mkdir(parents=True)
    (deep / "a.mp4").touch()
    arguments = Arguments(videos=tmp_path)
    calls = []
    listed = galleries._list_folder

    def counted(title: str, root: Path) -> Source:
        calls.append(root)
        return listed(title, root)

    def names() -> list[str]:
        return [video.name for video in galleries.open_source(galleries.OWN, arguments).videos]

    monkeypatch.setattr(galleries, "_list_folder", counted)
    assert [names(), names()] == [["walk/deep/a.mp4"]] * 2
    # Of a moment ago: not held yet.
    assert len(calls) == 2
    for folder in (tmp_path, tmp_path / "walk", deep):
        os.utime(folder, ns=(10**18, 10**18))
    assert [names(), names()] == [["walk/deep/a.mp4"]] * 2
    assert len(calls) == 3
    (deep / "b.mp4").touch()
    assert names() == ["walk/deep/a.mp4", "walk/deep/b.mp4"]
    os.utime(deep, ns=(10**18, 10**18 + 5))
    assert len(names()) == 2
    num = len(calls)
    assert len(names()) == 2
    assert len(calls) == num
    (deep / "a.mp4").unlink()
    assert names() == ["walk/deep/b.mp4"]
    os.utime(deep, ns=(10**18, 10**18 + 6))
    names()
    # A table of labels that comes later counts, too.
    row = "path,action,actor,set,prop,index\nwalk/deep/b.mp4,walk,1,0,ball,7\n"
    (tmp_path / "labels.csv").write_text(row)
    os.utime(tmp_path, ns=(10**18, 10**18))
    (video,) = galleries.open_source(galleries.OWN, arguments).videos
    assert video.title == "walk 7 (actor 1, set 0)"
    with pytest.raises(ValueError, match="no folder"):
        galleries.open_source(galleries.OWN, Arguments(videos=tmp_path / "nowhere"))


def test_a_page_begins_with_the_first_video_that_holds_a_clip(planted_videos: Path) -> None:
    names = ("short/text.mp4", "short/nine_frames.mp4", "right/clip_0.mp4", "left/clip_1.mp4")
    videos = tuple(Video(planted_videos / name, name, "", name) for name in names)
    assert first_usable(Source("", planted_videos, videos), 16) == "right/clip_0.mp4"
    assert first_usable(Source("", planted_videos, videos), 9) == "short/nine_frames.mp4"
    assert first_usable(Source("", planted_videos, videos[:2]), 16) == "short/text.mp4"


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("_name_ and *x*", r"\_name\_ and \*x\*"),
        ("a_b/c [1] <i> $x$ ~~ `y`", r"a\_b/c \[1\] \<i\> \$x\$ \~\~ \`y\`"),
        ("1. first", r"1\. first"),
        ("- no list", r"\- no list"),
        ("# no title", r"\# no title"),
        ("walk/clip-1 (yours).mp4", "walk/clip-1 (yours).mp4"),
    ],
)
def test_names_are_no_markdown(text: str, markdown: str) -> None:
    assert plain(text) == markdown


def test_commands_in_messages_stay_code() -> None:
    message = "my_run is damaged: see `python -m rspnet.train --max_steps 2`, not *this*"
    assert plain(message, keep_code=True) == (
        r"my\_run is damaged: see `python -m rspnet.train --max_steps 2`, not \*this\*"
    )


def shown_errors() -> None:
    from dashboard.widgets import shell

    shell.show_error(ValueError("the gallery has changed"), "Open the page again.")
    shell.show_error("walk/_a_.mp4: no such file")
    shell.show_error("it failed: use `ffmpeg -i _x_`. Is the disk full?")


def test_an_error_is_a_sentence_with_what_to_do() -> None:
    app = AppTest.from_function(shown_errors).run()
    assert [error.value for error in app.error] == [
        "The gallery has changed. Open the page again.",
        r"walk/\_a\_.mp4: no such file.",
        "It failed: use `ffmpeg -i _x_`. Is the disk full?",
    ]


def two_menus() -> None:
    import streamlit as st

    from dashboard.base import links

    link = dict(st.query_params)
    links.take_option("colour", "the colour", link.get("colour"), ["red", "blue"])
    links.take_number("number", "the number", link.get("number"), (1, 5, 10), 5)
    st.text(f"{st.session_state['colour']} {st.session_state['number']}")
    links.show_notes(st.container())


@pytest.mark.parametrize(
    ("link", "shown", "num_notes"),
    [
        ({}, "red 5", 0),
        ({"colour": "blue", "number": "10"}, "blue 10", 0),
        ({"colour": "_green_", "number": "7"}, "red 5", 2),
    ],
)
def test_menus_take_what_the_link_says(link: dict[str, str], shown: str, num_notes: int) -> None:
    app = AppTest.from_function(two_menus)
    app.query_params.update(link)
    app.run()
    assert app.text[0].value == shown
    assert len(app.warning) == num_notes
    if num_notes:
        assert "`_green_`" in app.warning[0].value
