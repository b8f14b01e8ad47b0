"""What is measured over a whole gallery: top-k, hubs and orphans, overlap of the heads."""

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from dashboard.app_pages.retrieval import labels
from dashboard.base.session import state_of
from dashboard.base.style import signed
from dashboard.services import jobs
from dashboard.services.embeddings import Pool
from dashboard.services.jobs import Job
from dashboard.widgets import cards, progress
from rspnet.names import HEAD_TITLES, HEADS

if TYPE_CHECKING:
    from analysis.gallery.neighbours import Integers
    from analysis.gallery.structure import Hubs, Overlap, Purity
    from rspnet.retrieve import RetrievalResult

TITLES = HEAD_TITLES | {"backbone": "Backbone"}
# Galleries up to this size are measured at once: it takes a second or two.
AT_ONCE = 2000
NEIGHBOURS = 10
NUM_HUBS = 5


@dataclass
class Found:
    """What was measured of a gallery so far; filled by jobs.

    Attributes:
        table: Top-k of each feature.
        hubs: Of each head.
        purity: Of each head; none where labels are not known.
        overlap: Of both heads.
        nearest: The nearest of every video by each head, which the rest is made of.
    """

    table: "list[RetrievalResult]" = field(default_factory=list)
    hubs: "list[Hubs]" = field(default_factory=list)
    purity: "list[Purity]" = field(default_factory=list)
    overlap: "Overlap | None" = None
    nearest: "list[Integers]" = field(default_factory=list)


@dataclass
class Measured:
    """What a visitor has started.

    Attributes:
        panels: Key of the gallery and name of the panel of each large gallery that is measured.
    """

    panels: set[tuple[str, str]] = field(default_factory=set)


@st.cache_resource(max_entries=4, show_spinner=False)
def _found(key: str) -> Found:
    return Found()


def _measure_table(pool: Pool) -> Job:
    found = _found(pool.key)

    def work(job: Job) -> None:
        from rspnet.retrieve import KS, retrieve

        ks = [k for k in KS if k < len(pool.videos)]
        for feature in TITLES:
            if feature not in {one.feature for one in found.table}:
                job.check()
                # A video without a label is no query; it can still be among others' nearest.
                queries = labels.labelled(pool.gallery)
                found.table.append(retrieve(pool.gallery, queries, feature, ks))
            job.done += 1

    return jobs.start(("table", pool.key), len(TITLES), work)


def _measure_hubs(pool: Pool) -> Job:
    found = _found(pool.key)

    def work(job: Job) -> None:
        from analysis.gallery.neighbours import Space, neighbours
        from analysis.gallery.structure import hubs, overlap, purity

        k = min(NEIGHBOURS, len(pool.videos) - 1)
        spaces = [Space.of(pool.gallery, head) for head in HEADS]
        for number, space in enumerate(spaces):
            if number == len(found.nearest):
                job.check()
                found.nearest.append(neighbours(space, k))
            job.done += 1
        nearest = found.nearest
        pairs = list(zip(spaces, nearest, strict=True))
        job.check()
        found.hubs = [hubs(space, k, near) for space, near in pairs]
        job.done += 1
        found.overlap = overlap(spaces[0], spaces[1], k, (nearest[0], nearest[1]))
        named = [label for label in pool.gallery.labels if label]
        if len(set(named)) < len(named):
            found.purity = [purity(space, k, near) for space, near in pairs]
        job.done += 1

    return jobs.start(("hubs", pool.key), 4, work)


def draw(pool: Pool) -> None:
    """Both panels, each on its own."""
    st.html(
        '<div class="row-title" style="margin-top: 1rem">The gallery as a whole <span class="dim">'
        f"each of its {len(pool.videos):,} videos is queried once</span></div>"
    )
    table, hubs = st.tabs(["Top-k", "Hubs, orphans, overlap"])
    with table:
        _panel(pool, "table")
    with hubs:
        _panel(pool, "hubs")


@st.fragment
def _panel(pool: Pool, name: str) -> None:
    classes = {video.label for video in pool.videos}
    if name == "table" and len(classes) == 1:
        st.info(labels.ONE_CLASS if any(classes) else labels.NO_TABLE, icon=":material/info:")
        return
    begun = state_of(Measured).panels
    wanted = (pool.key, name)
    if len(pool.videos) > AT_ONCE and wanted not in begun:
        st.caption(f"With {len(pool.videos):,} videos this takes a minute or so.")
        if not st.button("Measure", key=f"measure_{name}"):
            return
        begun.add(wanted)
    job = _measure_table(pool) if name == "table" else _measure_hubs(pool)
    job.finished.wait(1.0)  # small galleries are done at once
    again = partial(jobs.forget, (name, pool.key))
    wrong = "This gallery can't be measured"
    if not progress.is_done(job, name, _words, "steps", again, wrong):
        return
    if name == "table":
        _draw_table(pool, _found(pool.key))
    else:
        _draw_hubs(pool, _found(pool.key))


def _words(job: Job) -> str:
    return f"Measuring, step {min(job.total, job.done + 1)} of {job.total}."


def _draw_table(pool: Pool, found: Found) -> None:
    if not found.table:
        return
    if found.table[0].num_unmatchable == found.table[0].num_queries:
        st.info(
            "No two videos of this gallery have a label in common, so no hit can be correct. "
            "Labels are the names of the folders that the videos lie in.",
            icon=":material/info:",
        )
        return
    ks = list(found.table[0].top_k)
    rows = [
        (TITLES[result.feature], [_value(result.top_k[k], result.intervals[k]) for k in ks])
        for result in found.table
    ]
    one = found.table[0]
    unmatchable = (
        f" {one.num_unmatchable:,} of them are alone with their label and have no correct hit."
        if one.num_unmatchable
        else ""
    )
    without = len(pool.videos) - one.num_queries
    unlabelled = f" {without:,} of the videos have no label and are no queries." if without else ""
    p = pool.gallery.protocol
    st.html(
        f'<div class="facts" data-testid="table">{_table([f"top-{k}" for k in ks], rows)}'
        f"<p>Top-k accuracy in %, with 95% intervals over "
        f"{one.num_queries:,} queries: one of the k nearest other videos has the query's label."
        f"{unmatchable}{unlabelled} {p.num_clips} clips of {p.num_frames} x {p.size} x {p.size} a "
        f"video, {p.pooling} pooling, cosine.</p></div>"
    )
    with st.expander("Published numbers"):
        st.html(_published())


def _published() -> str:
    from rspnet.retrieve import KS, PUBLISHED

    rows = [
        (html.escape(name), ["-" if value is None else f"{value:.1f}" for value in values])
        for name, values in PUBLISHED
    ]
    return (
        f'<div class="facts">{_table([f"top-{k}" for k in KS], rows)}'
        "<p>On UCF101, split 1: test videos are the queries, training videos are searched, 10 "
        "clips a video. They can't be compared with another gallery, nor with one that is "
        "searched by its own videos.</p></div>"
    )


def _draw_hubs(pool: Pool, found: Found) -> None:
    if not found.hubs or found.overlap is None:
        return
    k, both = found.hubs[0].k, found.overlap
    head = [f"skewness of N<sub>{k}</sub>", "orphans"]
    if found.purity:
        head.append(f"share of the {k} nearest with the same label")
    rows = []
    for n, own in enumerate(found.hubs):
        cells = [
            _cell(own.skewness, own.chance_skewness, lambda value: signed(value, 2)),
            f"{len(own.orphans):,} ({100 * own.orphan_share:.0f}%)",
        ]
        if found.purity:
            p = found.purity[n]
            cells.append(_cell(p.mean, p.chance, lambda share: f"{100 * share:.0f}%"))
        rows.append((TITLES[own.name], cells))
    st.html(
        f'<div class="facts" data-testid="hubs">{_table(head, rows)}'
        f"<p>N<sub>{k}</sub> counts in how many videos' {k} nearest a video is. Hubs are in very "
        "many, orphans in none; the more there are of both, the larger the skewness. "
        f"Both heads share {100 * both.mean.value:.0f}% "
        f"[{100 * both.mean.low:.0f}, {100 * both.mean.high:.0f}] of their {k} nearest (Jaccard "
        f"index; by chance {100 * both.chance:.0f}%).</p></div>"
    )
    for own in found.hubs:
        st.html(
            f'<div class="row-title">Hubs of {TITLES[own.name]} <span class="dim">in the {k} '
            "nearest of the most videos</span></div>"
        )
        with cards.grid(f"hubs_{own.name}"):
            for place in own.hubs(NUM_HUBS):
                number = f"{int(own.counts[place]):,}"
                cards.card(cards.thumb(pool.videos[int(place)], number=number))


def _table(head: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> str:
    """A table of numbers: titles of the columns, and title and cells of each row, all HTML."""
    top = "".join(f'<th scope="col">{title}</th>' for title in head)
    body = "".join(
        f'<tr><th scope="row">{title}</th>'
        + "".join(f'<td class="number">{cell}</td>' for cell in cells)
        + "</tr>"
        for title, cells in rows
    )
    return f'<table class="wide"><tr><th></th>{top}</tr>{body}</table>'


def _value(value: float, interval: tuple[float, float]) -> str:
    return f'{value:.1f} <span class="dim">[{interval[0]:.0f}, {interval[1]:.0f}]</span>'


def _cell(estimate: Any, chance: float, write: Callable[[float], str]) -> str:
    return (
        f'{write(estimate.value)} <span class="dim">'
        f"[{write(estimate.low)}, {write(estimate.high)}], by chance {write(chance)}</span>"
    )
