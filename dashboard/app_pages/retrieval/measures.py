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
from dashboard.services import embeddings, jobs
from dashboard.services.embeddings import Pool
from dashboard.services.jobs import Job
from dashboard.widgets import cards, progress
from rspnet.names import HEAD_TITLES, HEADS

if TYPE_CHECKING:
    from analysis.core.statistics import Estimate
    from analysis.gallery.neighbours import Integers
    from analysis.gallery.structure import Hubs, Overlap, Purity
    from dashboard.services.models import ModelChoice

TITLES = HEAD_TITLES | {"backbone": "Backbone"}
# Galleries up to this size are measured at once: it takes a second or two.
AT_ONCE = 2000
NEIGHBOURS = 10
NUM_HUBS = 5


@dataclass
class Found:
    """What was measured of a gallery so far; filled by jobs.

    Attributes:
        first: Of each feature and model, which neighbour of each video is the first correct one.
        chance: Of each feature and k, top-k by chance, in %.
        common: Of each head, how many of the nearest both models share.
        hubs: Of each head.
        purity: Of each head; none where labels are not known.
        overlap: Of both heads.
        nearest: The nearest of every video by each head, which the rest is made of.
    """

    first: "dict[tuple[str, int], Integers]" = field(default_factory=dict)
    chance: dict[tuple[str, int], float] = field(default_factory=dict)
    common: "dict[str, Overlap]" = field(default_factory=dict)
    hubs: "list[Hubs]" = field(default_factory=list)
    purity: "list[Purity]" = field(default_factory=list)
    overlap: "Overlap | None" = None
    nearest: "list[Integers]" = field(default_factory=list)


@dataclass
class Measured:
    """What a visitor has started.

    Attributes:
        panels: Key of what is measured and name of the panel, of each large gallery.
    """

    panels: set[tuple[tuple[object, ...], str]] = field(default_factory=set)


@dataclass(frozen=True)
class Measure:
    """What is measured: one gallery by one model or by two.

    Attributes:
        pools: The same videos by each model, in one order.
        models: Their names.
        rule: What makes a hit correct.
        key: Tells its results from others.
    """

    pools: tuple[Pool, ...]
    models: tuple[str, ...]
    rule: str
    key: tuple[object, ...]

    def columns(self, feature: str) -> list[tuple[str, ...]]:
        """Labels of which a hit has to share one."""
        known = self.pools[0].columns
        return [known[name] for name in labels.columns_of(self.rule, feature, known)]


@st.cache_resource(max_entries=6, show_spinner=False)
def _found(key: tuple[object, ...]) -> Found:
    return Found()


def _measure_table(what: Measure) -> Job:
    found, pools = _found(what.key), what.pools
    if not found.first:  # what a job found that is done was pushed out
        jobs.forget(("table", what.key))

    def work(job: Job) -> None:
        from analysis.gallery.correctness import chance_of, first_correct

        for feature in TITLES:
            columns = what.columns(feature)
            for number, pool in enumerate(pools):
                if (feature, number) not in found.first:
                    job.check()
                    found.first[feature, number] = first_correct(pool.gallery, feature, columns)
                job.done += 1
            # Intervals of a large gallery take seconds: the page finds them made.
            own = [found.first[feature, number] for number in range(len(pools))]
            for k in _ks(pools[0]):
                job.check()
                found.chance[feature, k] = 100 * chance_of(columns, k)
                for places in own:
                    _top_k(places, k)
                if len(own) > 1:
                    _difference(own[0], own[1], k)

    return jobs.start(("table", what.key), len(TITLES) * len(pools), work)


def _ks(pool: Pool) -> list[int]:
    from rspnet.retrieve import KS

    return [k for k in KS if k < len(pool.videos)]


def _measure_hubs(what: Measure) -> Job:
    found, pools = _found(what.key), what.pools
    if not found.nearest:
        jobs.forget(("hubs", what.key))

    def work(job: Job) -> None:
        from analysis.gallery.neighbours import Space, neighbours
        from analysis.gallery.structure import hubs, overlap, purity

        k = min(NEIGHBOURS, len(pools[0].videos) - 1)
        spaces = [Space.of(pool.gallery, head) for pool in pools for head in HEADS]
        for number, space in enumerate(spaces):
            if number == len(found.nearest):
                job.check()
                found.nearest.append(neighbours(space, k))
            job.done += 1
        nearest = found.nearest
        pairs = list(zip(spaces, nearest, strict=True))[: len(HEADS)]
        job.check()
        found.hubs = [hubs(space, k, near) for space, near in pairs]
        job.done += 1
        found.overlap = overlap(spaces[0], spaces[1], k, (nearest[0], nearest[1]))
        for n, head in enumerate(HEADS if len(pools) > 1 else ()):
            two = (spaces[n], spaces[n + len(HEADS)])
            found.common[head] = overlap(*two, k, (nearest[n], nearest[n + len(HEADS)]))
        named = [label for label in pools[0].gallery.labels if label]
        if len(set(named)) < len(named):
            found.purity = [purity(space, k, near) for space, near in pairs]
        job.done += 1

    return jobs.start(("hubs", what.key), len(HEADS) * len(pools) + 2, work)


def draw(pool: Pool, model: "ModelChoice", rule: str, second: "tuple[Pool, str] | None") -> None:
    """Both panels, each on its own.

    Args:
        pool: The gallery.
        model: What embedded it.
        rule: What makes a hit correct.
        second: The gallery by the model that is shown beside the first, and its name.
    """
    pools: tuple[Pool, ...] = (pool,)
    names: tuple[str, ...] = (model.name,)
    if second is not None:
        pools, names = embeddings.in_common([pool, second[0]]), (model.name, second[1])
    key = (*(one.key for one in pools), len(pools[0].videos), rule, pool.serial)
    what = Measure(pools, names, rule, key)
    st.html(
        '<div class="row-title" style="margin-top: 1rem">The gallery as a whole <span class="dim">'
        f"each of its {len(pools[0].videos):,} videos is queried once</span></div>"
    )
    table, hubs = st.tabs(["Top-k", "Hubs, orphans, overlap"])
    with table:
        _panel(what, "table")
    with hubs:
        _panel(what, "hubs")


@st.fragment
def _panel(what: Measure, name: str) -> None:
    num = len(what.pools[0].videos)
    if name == "table":
        columns = what.columns("rsp")
        kinds = {label for labels_of in columns for label in labels_of}
        if len(kinds) < 2:
            st.info(labels.ONE_CLASS if any(kinds) else labels.NO_TABLE, icon=":material/info:")
            return
    begun = state_of(Measured).panels
    wanted = (what.key, name)
    if num > AT_ONCE and wanted not in begun:
        st.caption(f"With {num:,} videos this takes a minute or so.")
        if not st.button("Measure", key=f"measure_{name}"):
            return
        begun.add(wanted)
    job = _measure_table(what) if name == "table" else _measure_hubs(what)
    job.finished.wait(1.0)  # small galleries are done at once
    again = partial(jobs.forget, (name, what.key))
    wrong = "This gallery can't be measured"
    if not progress.is_done(job, name, _words, "steps", again, wrong):
        return
    if name == "table":
        _draw_table(what, _found(what.key))
    else:
        _draw_hubs(what, _found(what.key))


def _words(job: Job) -> str:
    return f"Measuring, step {min(job.total, job.done + 1)} of {job.total}."


@st.cache_data(max_entries=256, show_spinner=False)
def _top_k(first: "Integers", k: int) -> tuple[float, tuple[float, float]]:
    """Top-k accuracy with its interval, in %, as `python -m rspnet.retrieve` gives it."""
    from analysis.gallery.correctness import correct_at
    from rspnet.recognition.result import bootstrap_interval

    values = correct_at(first, k)
    low, high = bootstrap_interval(values)
    return 100 * float(values.mean()), (100 * low, 100 * high)


@st.cache_data(max_entries=128, show_spinner=False)
def _difference(first: "Integers", other: "Integers", k: int) -> "Estimate":
    from analysis.core.statistics import difference
    from analysis.gallery.correctness import correct_at

    return difference(100 * correct_at(first, k), 100 * correct_at(other, k))


def _draw_table(what: Measure, found: Found) -> None:
    pool, names = what.pools[0], what.models
    first = found.first["rsp", 0]
    if not (first > 0).any():
        st.info(
            "No two videos of this gallery have a label in common, so no hit can be correct.",
            icon=":material/info:",
        )
        return
    ks, rows = _ks(pool), []
    for feature, title in TITLES.items():
        own = [found.first[feature, n] for n in range(len(names))]
        for name, places in zip(names, own, strict=True):
            of = f' <span class="dim">{html.escape(name)}</span>' if len(names) > 1 else ""
            rows.append((title + of, [_value(*_top_k(places, k)) for k in ks]))
        if len(own) > 1:
            cells = [_signed(_difference(own[0], own[1], k)) for k in ks]
            rows.append((f'{title} <span class="dim">difference</span>', cells))
    by_rule = {tuple(what.columns(feature)): feature for feature in ("avid", "rsp")}
    for feature in reversed(by_rule.values()):
        columns = labels.columns_of(what.rule, feature, pool.columns)
        of = f' <span class="dim">{html.escape(", ".join(columns))}</span>'
        rows.append((f"By chance{of}", [f"{found.chance[feature, k]:.1f}" for k in ks]))
    queries, alone = int((first >= 0).sum()), int((first == 0).sum())
    unmatchable = (
        f" {alone:,} of them are alone with their label and have no correct hit." if alone else ""
    )
    without = len(pool.videos) - queries
    unlabelled = f" {without:,} of the videos have no label and are no queries." if without else ""
    p = pool.gallery.protocol
    paired = (
        f" Difference: {html.escape(names[0])} minus {html.escape(names[1])}, query by query, "
        "in bold where its interval leaves out 0."
        if len(names) > 1
        else ""
    )
    st.html(
        f'<div class="facts" data-testid="table">{_table([f"top-{k}" for k in ks], rows)}'
        f"<p>Top-k accuracy in %, with 95% intervals over {queries:,} queries: one of the k "
        f"nearest other videos is correct.{paired}{unmatchable}{unlabelled} {p.num_clips} clips of "
        f"{p.num_frames} x {p.size} x {p.size} a video, {p.pooling} pooling, cosine.</p></div>"
    )
    with st.expander("Published numbers"):
        st.html(_published())


def _signed(found: "Estimate") -> str:
    low, high = signed(found.low, 0), signed(found.high, 0)
    words = f'{signed(found.value, 1)} <span class="dim">[{low}, {high}]</span>'
    return f"<b>{words}</b>" if found.low > 0 or found.high < 0 else words


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


def _draw_hubs(what: Measure, found: Found) -> None:
    pool = what.pools[0]
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
    shared = [f"Both heads share {_percent(both)} of their {k} nearest (Jaccard index)."]
    shared += [
        f"{TITLES[head]} of {html.escape(what.models[0])} and of {html.escape(what.models[1])} "
        f"share {_percent(own)}."
        for head, own in found.common.items()
    ]
    st.html(
        f'<div class="facts" data-testid="hubs">{_table(head, rows)}'
        f"<p>N<sub>{k}</sub> counts in how many videos' {k} nearest a video is. Hubs are in very "
        "many, orphans in none; the more there are of both, the larger the skewness. "
        f"{' '.join(shared)}</p></div>"
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


def _percent(both: "Overlap") -> str:
    return (
        f"{100 * both.mean.value:.0f}% [{100 * both.mean.low:.0f}, {100 * both.mean.high:.0f}], by "
        f"chance {100 * both.chance:.0f}%,"
    )


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
