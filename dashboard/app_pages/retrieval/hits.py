"""The lists of hits: films with what they share with the query, and what can be done with each."""

import html
from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.app_pages.retrieval import explain, labels, marks
from dashboard.app_pages.retrieval.explain import ExplainRequest
from dashboard.app_pages.retrieval.lists import OTHER, Filter, Hit
from dashboard.base.session import state_of
from dashboard.base.state import plain
from dashboard.base.style import COLOURS, DASHES, signed
from dashboard.overlays import verdict_job
from dashboard.services import embeddings
from dashboard.services.galleries import Video
from dashboard.widgets import cards, shell

FEATURES = {"rsp": "RSP", "avid": "A-VID", "backbone": "Backbone"}
NOTES = {
    "rsp": "same motion, different appearance?",
    "avid": "same appearance, different motion?",
    "backbone": "the features below both heads",
}
PAGE = 10
# Of two models each list shows fewer at a time.
PAGE_OF_TWO = 6
_VERDICT = ' <span class="verdict {0}">{1} {0}</span>'
_VERDICTS = {
    True: _VERDICT.format("correct", "\N{CHECK MARK}"),
    False: _VERDICT.format("incorrect", "\N{MULTIPLICATION X}"),
    None: "",
}


@dataclass
class Shown:
    """What the page shows to one visitor.

    Attributes:
        query: Name of the video that is searched for; empty before the first.
        why: The list and the hit in it that is explained, such as ``rsp.1`` or ``rsp.all``; empty
            for none.
        is_choosing: Whether the window in which one chooses a query is open.
        waiting: Parameters of the link that can be judged only once the gallery is there.
    """

    query: str = ""
    why: str = ""
    is_choosing: bool = False
    waiting: dict[str, str] | None = None


def use_as_query(name: str) -> None:
    """Search for a video (a button's callback)."""
    shown = state_of(Shown)
    shown.query, shown.is_choosing, shown.why = name, False, ""


def explain_hit(text: str) -> None:
    """Open the window that explains a hit, or close it (a button's callback)."""
    state_of(Shown).why = text
    if not text:
        verdict_job.stop()


def draw(rows: Sequence[Sequence[ExplainRequest]], shown: Filter, rule: str, title: str) -> None:
    """The lists side by side: of each feature that of the model, and below it that of the second.

    Args:
        rows: Of each feature the requests, one a model.
        shown: Which videos they show.
        rule: What makes a hit correct, see :func:`~dashboard.app_pages.retrieval.labels.rules`.
        title: Of the gallery.
    """
    # What takes time comes first, and all titles before any list: nothing moves as they are drawn.
    sizes = [PAGE if len(both) == 1 else PAGE_OF_TWO for both in rows]
    found = [
        [_find(one, shown, rule, size) for one in both]
        for both, size in zip(rows, sizes, strict=True)
    ]
    places = []
    with st.container(key="lists", horizontal=True, gap="medium"):
        for both, lists in zip(rows, found, strict=True):
            places.append(st.container(key=f"list_{both[0].feature}", gap="small"))
            _draw_title(places[-1], both, lists[0].share if len(both) == 1 else "")
    for both, lists, place in zip(rows, found, places, strict=True):
        names = [
            {one.pool.videos[hit.index].name for hit in own.hits}
            for one, own in zip(both, lists, strict=True)
        ]
        for one, own in zip(both, lists, strict=True):
            if len(both) > 1:
                common = f"{len(names[0] & names[1])} of {len(own.hits)} in both lists"
                place.html(
                    f'<div class="row-title model">{own.share}{html.escape(one.model)}'
                    f'<span class="dim">{common}</span></div>'
                )
            with place:
                _draw_list(one, own, title)


@dataclass(frozen=True)
class _List:
    """A list as it is to be drawn.

    Attributes:
        hits: All of it.
        refused: Why there is none; empty where there is.
        share: How many are correct, HTML.
        cards: Those of its page, with their films, HTML.
        size: Most on a page.
        key: Of the choice of page.
    """

    hits: Sequence[Hit]
    refused: str
    share: str
    cards: Sequence[tuple[Hit, str]]
    size: int
    key: str


def _find(one: ExplainRequest, shown: Filter, rule: str, size: int) -> _List:
    hits, refused = explain.hits_of(one, shown)
    key = f"page_{one.name}_{one.query}_{hash(shown)}"
    page = cards.page_of(hits, size, key)
    embeddings.make_films([one.pool.videos[hit.index] for hit in page])
    cosines = [hit.similarity for hit in hits]
    # Of random weights all are near 1.
    digits = 2 if hits and max(cosines) - min(cosines) > 0.02 else 4
    drawn = [(hit, _card(one, hit, shown.sort, rule, digits)) for hit in page]
    return _List(hits, refused, _share(one, hits, rule), drawn, size, key)


def _draw_title(place: DeltaGenerator, both: Sequence[ExplainRequest], share: str) -> None:
    feature = both[0].feature
    line = DASHES.get(feature, "dotted")
    place.html(
        f'<div class="row-title {line}" style="--line: {COLOURS.get(feature, "#56606b")}">'
        f'{share}{FEATURES[feature]}<span class="dim">{NOTES[feature]}</span></div>'
    )


def _judge(one: ExplainRequest, hit: Hit, rule: str) -> tuple[bool | None, str]:
    columns = labels.columns_of(rule, one.feature, one.pool.columns)
    return labels.judge(columns, one.pool.videos[one.query], one.pool.videos[hit.index])


def _share(one: ExplainRequest, hits: Sequence[Hit], rule: str) -> str:
    known = [c for c, _ in (_judge(one, hit, rule) for hit in hits) if c is not None]
    text = f"{sum(known)} of {len(hits)} correct"
    return f'<span class="share">{text}</span>' if known else ""


def _card(one: ExplainRequest, hit: Hit, sort: str, rule: str, digits: int) -> str:
    video, other = one.pool.videos[hit.index], FEATURES[OTHER[one.feature]]
    correct, words = _judge(one, hit, rule)
    by_other = {
        "rank": f"<br> by {other} no. {hit.other_rank:,}",
        "difference": f"<br> {other} no. {hit.other_rank:,}, {signed(hit.difference, 1)} sd",
    }.get(sort, "")
    return cards.thumb(
        video,
        f"{hit.rank:,}. {video.title}",
        signed(hit.similarity, digits),
        f"{words}{_VERDICTS[correct]}{by_other}",
        alt=f"No. {hit.rank:,} by {FEATURES[one.feature]}: {video.title}",
        testid=f"hit-{one.name}",
        mark="correct" if correct else "",
    )


def _draw_list(one: ExplainRequest, own: _List, title: str) -> None:
    if own.refused:
        what = f"There are no neighbours by {FEATURES[one.feature]}: {own.refused}."
        st.info(plain(what), icon=":material/info:")
        return
    if not own.hits:
        st.info("No video has this label and name.", icon=":material/search_off:")
        return
    with cards.grid(f"hits_{one.name}"):
        for hit, body in own.cards:
            with cards.card(body):
                _draw_actions(one, hit, one.pool.videos[hit.index], title)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        cards.paged(own.hits, own.size, own.key)
        st.button(
            f"Explain the first {min(explain.MOST_EXPLAINED, len(own.hits))}",
            key=f"why_{one.name}_all",
            icon=":material/help:",
            on_click=explain_hit,
            args=(f"{one.name}.all",),
        )


def _draw_actions(one: ExplainRequest, hit: Hit, video: Video, title: str) -> None:
    key = f"{one.name}_{hit.rank}"
    marks.draw_button(one, hit, key)
    with st.container(key=f"actions_{key}", horizontal=True, gap="small"):
        st.button(
            cards.labelled("Explain", video),
            key=f"why_{key}",
            type="tertiary",
            on_click=explain_hit,
            args=(f"{one.name}.{hit.rank}",),
        )
        st.button(
            cards.labelled("Use as query", video),
            key=f"query_{key}",
            type="tertiary",
            on_click=use_as_query,
            args=(video.name,),
        )
        shell.link_to(
            "compare",
            cards.labelled("Compare", video),
            model=one.model,
            gallery=title,
            i=one.pool.videos[one.query].name,
            j=video.name,
            **_clips(one, hit),
        )


def _clips(one: ExplainRequest, hit: Hit) -> dict[str, str]:
    """A clip of the query and one of the hit that were searched by: those in the middle."""
    starts = one.pool.gallery.clip_starts
    speed = one.pool.gallery.protocol.speed
    rows = {"i": one.query, "j": hit.index} if starts else {}
    middle = {s: starts[row][(len(starts[row]) - 1) // 2] for s, row in rows.items() if starts[row]}
    return {f"{s}_start": str(n) for s, n in middle.items()} | {
        f"{s}_speed": str(speed) for s in middle
    }
