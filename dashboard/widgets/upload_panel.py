"""The panel in which a visitor sends videos: what is taken, what came, what can be done with it."""

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from dashboard.services import uploads
from dashboard.services.galleries import Video
from dashboard.services.upload_worker import Limits
from dashboard.widgets import cards, shell


@dataclass(frozen=True)
class Use:
    """Something that can be done with an upload.

    Attributes:
        label: Of its button.
        act: Does it, given the video's name.
    """

    label: str
    act: Callable[[str], None]


def draw(key: str, num_frames: int, uses: list[Use]) -> bool:
    """Draw the panel; what is sent is taken before this returns.

    Args:
        key: Tells its widgets from others.
        num_frames: Frames of the model's clips: shorter videos are of no use.
        uses: What can be done with an upload. The first is done with the first that comes in.

    Returns:
        Whether the visitor chose a use, or sent files that were all taken.
    """
    store, limits = uploads.store_of_session(), Limits(least_frames=num_frames)
    # A form: files arrive one by one, and are taken together. Sent, they leave the memory.
    with st.form(f"upload_{key}", clear_on_submit=True, border=False):
        sent = st.file_uploader(
            f"Your own videos: {uploads.MOST_FILES} at a time, {limits.sentence}",
            accept_multiple_files=True,
            key=f"upload_{key}_files",
            max_upload_size=limits.megabytes,
        )
        pressed = st.form_submit_button("Use them", icon=":material/check:")
    if pressed and sent:
        before = len(store.videos)
        store.refused = []
        for number, file in enumerate(sent, start=1):
            with st.spinner(f"Checking file {number} of {len(sent)}"):
                try:
                    store.add(file.name, file, limits)
                except ValueError as error:
                    store.refused.append(str(error))
        if len(store.videos) > before:
            uses[0].act(store.videos[before].name)
        if not store.refused:
            return True
    for sentence in store.refused:
        shell.show_error(sentence)
    return _draw_list(key, store, uses)


def _draw_list(key: str, store: uploads.UploadStore, uses: list[Use]) -> bool:
    used = False
    if store.videos:
        with cards.grid(f"{key}_uploads"):
            for video in store.videos:
                used |= _draw_one(key, store, video, uses)
    return used


def _remove(store: uploads.UploadStore, name: str) -> None:
    store.remove(name)
    store.refused = []


def _draw_one(key: str, store: uploads.UploadStore, video: Video, uses: list[Use]) -> bool:
    used = False
    with (
        cards.card(cards.thumb(video, under="", testid="upload")),
        st.container(key=f"actions_{key}_{video.name}", horizontal=True, gap="small"),
    ):
        for number, use in enumerate(uses):
            label = cards.labelled(use.label, video)
            if st.button(label, key=f"{key}_use{number}_{video.name}", type="tertiary"):
                use.act(video.name)
                used = True
        st.button(
            cards.labelled("Remove", video),
            key=f"{key}_remove_{video.name}",
            type="tertiary",
            on_click=_remove,
            args=(store, video.name),
        )
    return used
