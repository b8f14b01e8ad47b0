"""The nearest videos of the gallery, a row a head, below the panels."""

import html
from dataclasses import dataclass
from functools import partial

import streamlit as st

from dashboard.base import limits
from dashboard.base.state import last_start, plain
from dashboard.base.style import signed
from dashboard.overlays import maps
from dashboard.overlays.clip_ref import ClipRef
from dashboard.overlays.selection import Selection
from dashboard.services import embeddings, galleries, jobs
from dashboard.services.embeddings import embedded
from dashboard.services.galleries import Video
from dashboard.services.models import Loaded
from dashboard.widgets import cards, controls, progress, shell
from rspnet.names import HEAD_TITLES, HEADS

EXPECTED = {
    "rsp": "expected: the same motion, another appearance",
    "avid": "expected: the same appearance, another motion",
}
NUM_NEAREST = 5


@dataclass(frozen=True)
class Near:
    """A video of the gallery that is near to c_i.

    Attributes:
        video: The video.
        similarity: Cosine of its vector with that of c_i.
    """

    video: Video
    similarity: float


def draw(selection: Selection, loaded: Loaded) -> None:
    """Both rows; while the gallery is being embedded, how far that is."""
    key, job = embeddings.embed(selection.source, loaded)
    with st.container(key="neighbours"):
        again = partial(jobs.forget, ("gallery", key))
        wrong = "The gallery can't be embedded"
        if progress.is_done(job, "neighbours", progress.of_gallery, "videos", again, wrong):
            _draw_rows(key, selection, loaded)


def _draw_rows(key: str, selection: Selection, loaded: Loaded) -> None:
    try:
        for head in HEADS:
            _draw_row(head, nearest(key, head, selection, loaded), selection)
    except ValueError as error:
        shell.show_error(f"The neighbours can't be shown: {error}")
        return
    skipped = [(p.name, why.removeprefix(f"{p}: ")) for p, why in embeddings.skipped(key)]
    if skipped:
        st.caption(plain(limits.sentence_of_skipped(skipped)))


def _draw_row(head: str, found: list[Near], selection: Selection) -> None:
    st.html(
        f'<div class="row-title">Nearest to <span class="symbol">c<sub>i</sub></span> by '
        f'{HEAD_TITLES[head]} <span class="dim">{EXPECTED[head]}</span></div>'
    )
    columns = st.columns(NUM_NEAREST, gap="small")
    for column, near in zip(columns, found, strict=False):
        with column:
            _draw_thumb(head, near, selection)


def _draw_thumb(head: str, near: Near, selection: Selection) -> None:
    try:
        picture = embeddings.film(near.video)
        info = galleries.probe(near.video)
    except ValueError as error:  # gone since it was embedded
        st.caption(plain(str(error)))
        return
    name = html.escape(near.video.title)
    same = near.video.label and near.video.label == selection.clip_i.video.label
    mark = ' <span class="same">same label</span>' if same else ""
    columns = min(embeddings.FILM_FRAMES, info.num_frames)
    st.html(
        f'<div class="thumb" data-testid="near-{head}">'
        f'<div class="film moving" role="img" aria-label="{name}" style="aspect-ratio: '
        f"{info.shape}; background-size: {columns * 100}% 100%; "
        f'background-image: url({picture})"></div>'
        f'<div class="text">{cards.name_of(near.video.title)}'
        f'<span class="number">{signed(near.similarity, 2)}</span></div>'
        f'<div class="text under"><span>{cards.label_of(near.video)}{mark}</span></div></div>'
    )
    last = last_start(info.num_frames, selection.model.num_frames, 1)
    st.button(
        cards.labelled("Use as clip j", near.video),
        key=f"near_{head}_{near.video.name}",
        type="tertiary",
        on_click=controls.use_as_c_j,
        args=(near.video.name, last // 2),
    )


def nearest(
    key: str,
    head: str,
    selection: Selection,
    loaded: Loaded,
    clip: ClipRef | None = None,
    side: str = "i",
) -> list[Near]:
    """The videos of an embedded gallery that are nearest to a clip by one head, without its own.

    Args:
        key: Of the gallery.
        head: ``rsp`` or ``avid``.
        selection: What is shown.
        loaded: The model.
        clip: In place of the selected one, such as an edited one.
        side: Which clip.

    Raises:
        ValueError: The clip can't be decoded, or the gallery is not there.
    """
    gallery = embedded(key)
    own = selection.clip(side)
    vector = maps.embedding(clip or own.ref(selection.model.size), loaded)[head]
    found = gallery.nearest(vector, head, NUM_NEAREST, exclude=own.video.path)
    videos = {video.path: video for video in selection.source.videos}
    return [Near(videos[n.path], n.similarity) for n in found if n.path in videos]
