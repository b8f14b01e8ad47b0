"""The nearest videos of the gallery, a row a head, below the panels."""

import html

import streamlit as st

from dashboard import cards, controls, gallery, jobs, progress, sources, video_limits
from dashboard.controls import Selection
from dashboard.engine import TITLES
from dashboard.gallery import NUM_NEAREST, Near
from dashboard.maps import HEADS
from dashboard.models import Loaded
from dashboard.stage import signed
from dashboard.state import last_start

QUESTIONS = {"rsp": "the same motion in other looks?", "avid": "the same looks in other motion?"}


def draw(selection: Selection, loaded: Loaded) -> None:
    """Both rows; while the gallery is being embedded, how far that is."""
    key, job = gallery.embed(selection.source, loaded)
    with st.container(key="neighbours"):
        if job.finished.is_set():
            _draw_rows(key, job, selection, loaded)
        else:
            progress.wait(job, "neighbours", progress.of_gallery)


def _draw_rows(key: str, job: jobs.Job, selection: Selection, loaded: Loaded) -> None:
    if job.stopped:
        if progress.wants_to_go_on(job, "neighbours", "videos"):
            jobs.forget(("gallery", key))
            st.rerun()
        return
    if job.error:
        st.error(f"The gallery can't be embedded: {job.error}", icon=":material/error:")
        if st.button("Try again", key="neighbours_again"):
            jobs.forget(("gallery", key))
            st.rerun()
        return
    try:
        for head in HEADS:
            _draw_row(head, gallery.nearest(key, head, selection, loaded), selection)
    except ValueError as error:
        st.error(f"The neighbours can't be shown: {error}.", icon=":material/error:")
        return
    left_out = [(p.name, why.removeprefix(f"{p}: ")) for p, why in gallery.skipped(key)]
    if left_out:
        st.caption(video_limits.sentence_of_skipped(left_out))


def _draw_row(head: str, found: list[Near], selection: Selection) -> None:
    st.html(
        f'<div class="row-title">Nearest to <span class="symbol">c<sub>i</sub></span> by '
        f'{TITLES[head]} <span class="dim">{QUESTIONS[head]}</span></div>'
    )
    columns = st.columns(NUM_NEAREST, gap="small")
    for column, near in zip(columns, found, strict=False):
        with column:
            _draw_thumb(head, near, selection)


def _draw_thumb(head: str, near: Near, selection: Selection) -> None:
    try:
        picture = gallery.film(near.video)
        info = sources.probe(near.video)
    except ValueError as error:  # gone since it was embedded
        st.caption(str(error))
        return
    name = html.escape(near.video.title)
    same = near.video.label and near.video.label == selection.clip_i.video.label
    mark = ' <span class="same">same label</span>' if same else ""
    columns = min(gallery.FILM_FRAMES, info.num_frames)
    st.html(
        f'<div class="thumb" data-testid="near-{head}">'
        f'<div class="film moving" role="img" aria-label="{name}" style="aspect-ratio: '
        f"{info.width} / {info.height}; background-size: {columns * 100}% 100%; "
        f'background-image: url({picture})"></div>'
        f'<div class="text">{cards.name_of(near.video.title)}'
        f'<span class="number">{signed(near.similarity, 2)}</span></div>'
        f'<div class="text under"><span>{cards.label_of(near.video)}{mark}</span></div></div>'
    )
    last = last_start(info.num_frames, selection.model.num_frames, 1)
    st.button(
        "Use as c_j",
        key=f"near_{head}_{near.video.name}",
        type="tertiary",
        on_click=controls.use_as_c_j,
        args=(near.video.name, last // 2),
    )
