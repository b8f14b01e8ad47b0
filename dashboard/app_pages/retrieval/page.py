"""Retrieval: what is nearest to a video by each head, and what in both makes it so."""

import html
import random
import re
from dataclasses import dataclass, field

import streamlit as st

from dashboard.app_pages.retrieval import explain, export, labels, measures
from dashboard.app_pages.retrieval.explain import ExplainRequest
from dashboard.base import links
from dashboard.base.session import state_of
from dashboard.base.state import plain, quote
from dashboard.base.style import COLOURS, DASHES, signed
from dashboard.services import uploads
from dashboard.services.embeddings import Pool
from dashboard.services.galleries import Video
from dashboard.services.models import Loaded, ModelChoice
from dashboard.widgets import cards, pool, shell, upload_panel
from dashboard.widgets.upload_panel import Use

SUMMARY = "The videos nearest to a query by relative speed and by appearance, and what ranks them."
FEATURES = {"rsp": "RSP", "avid": "A-VID", "backbone": "Backbone"}
NOTES = {
    "rsp": "same motion, different appearance?",
    "avid": "same appearance, different motion?",
    "backbone": "the features below both heads",
}
BOTH = "rsp.avid"
KS = (5, 10, 20, 50)
PAGE = 10
# Keys of the menus.
BY, K = "retrieval_by", "retrieval_k"
_VERDICT = ' <span class="verdict {0}">{1} {0}</span>'
_VERDICTS = {
    True: _VERDICT.format("correct", "\N{CHECK MARK}"),
    False: _VERDICT.format("incorrect", "\N{MULTIPLICATION X}"),
}


@dataclass
class Shown:
    """What the page shows to one visitor.

    Attributes:
        query: Name of the video that is searched for; empty before the first.
        why: The hit that is explained, such as ``rsp.1`` or ``rsp.all``; empty for none.
        is_choosing: Whether the window in which one chooses a query is open.
        waiting: Parameters of the link that can be judged only once the gallery is there.
    """

    query: str = ""
    why: str = ""
    is_choosing: bool = False
    waiting: dict[str, str] = field(default_factory=dict)


def page() -> None:
    """Draw the page."""
    opened = shell.open_page("Retrieval", SUMMARY)
    if not opened.models:
        st.error(shell.NO_MODEL, icon=":material/error:")
        return
    with st.container(key="display", horizontal=True, vertical_alignment="bottom", gap="medium"):
        model, title = pool.choose_videos(opened)
        features = _choose_features(opened.link.get("by"))
        place_of_k = st.empty()
    _keep_for_later(opened.link)
    found = pool.open_pool(model, title, opened.arguments)
    if found is None:
        links.show_notes(opened.notes)
        return
    searched, loaded = found
    with place_of_k:
        k = _choose_k(searched)
    joined, query = _choose_query(searched, loaded)
    requests = [ExplainRequest(joined, loaded, query, feature, model.path) for feature in features]
    opened_why = _choose_why(requests, k)
    links.show_notes(opened.notes)
    _draw_query(searched, joined.videos[query], model, title)
    st.caption(labels.sentence(searched, title, joined.videos[query]))
    with st.container(key="lists", horizontal=True, gap="medium"):
        for one in requests:
            with st.container(key=f"list_{one.feature}", gap="small"):
                _draw_list(one, k, model, title)
    links.write(_link(joined, model, title, query, features, k))
    skipped = pool.skipped(searched)
    if skipped:
        st.caption(plain(skipped))
    measures.draw(searched)
    export.draw(requests, k)
    if opened_why is not None:
        _open_why(*opened_why, k)
    elif state_of(Shown).is_choosing:
        # Held open: the page may be drawn anew while files are on their way.
        _open_choice(searched, model.num_frames)


def _keep_for_later(link: dict[str, str]) -> None:
    """What can be judged only once the gallery is there waits until it is."""
    if link:
        shown = state_of(Shown)
        shown.is_choosing = False
        shown.waiting = {name: link[name] for name in ("query", "k", "why") if name in link}
        if "why" not in link:
            shown.why = ""


def _choose_features(given: str | None) -> list[str]:
    if given is not None or not st.session_state.get(BY):
        parts = BOTH.split(".") if given is None else given.split(".")
        if not set(parts) <= set(FEATURES) or len(set(parts)) < len(parts):
            links.note(
                f"The link ranks by {quote(given or '')}, it can be some of `rsp`, `avid` and "
                "`backbone`, such as `rsp.avid`; this is by both heads."
            )
            parts = BOTH.split(".")
        st.session_state[BY] = parts
    chosen = st.segmented_control(
        "Rank by",
        list(FEATURES),
        selection_mode="multi",
        key=BY,
        format_func=lambda name: FEATURES[name],
    )
    return [name for name in FEATURES if name in (chosen or [])] or ["rsp", "avid"]


def _choose_k(searched: Pool) -> int:
    most = len(searched.videos) - 1
    ks = [k for k in KS if k <= most] or [most]
    given = state_of(Shown).waiting.pop("k", None)
    links.take_number(K, "k", given, ks, ks[min(1, len(ks) - 1)])
    return int(st.segmented_control("Nearest", ks, key=K, required=True) or ks[0])


def _choose_query(searched: Pool, loaded: Loaded) -> tuple[Pool, int]:
    """What is searched and the query's row in it: an upload stands behind the gallery's own."""
    shown = state_of(Shown)
    given = shown.waiting.pop("query", None)
    name = given or shown.query
    if uploads.store_of_session().find(name) is not None:
        try:
            joined = uploads.with_query(searched, loaded, name)
        except ValueError as error:
            shell.show_error(error)
            given = None
        else:
            shown.query = name
            return joined, joined.places[name]
    if given is not None or shown.query not in searched.places:
        chosen = pool.choose_video(searched, "the query", given, searched.videos[0].name)
        shown.query = chosen.value
        if chosen.note:
            links.note(chosen.note)
    return searched, searched.places[shown.query]


def _choose_why(requests: list[ExplainRequest], k: int) -> tuple[ExplainRequest, int] | None:
    """The hit that is to be explained, 0 for the first ones together."""
    shown = state_of(Shown)
    given = shown.waiting.pop("why", None)
    shown.why = given or shown.why
    if not shown.why:
        return None
    named = re.fullmatch(r"(\w+)\.(\d{1,3}|all)", shown.why)
    one = next((r for r in requests if named and r.feature == named[1]), None)
    rank = 0 if not named or named[2] == "all" else int(named[2])
    ranks = range(1, len(explain.hits_of(one, k)[0]) + 1) if one is not None else range(0)
    if one is None or not ranks or not named or (named[2] != "all" and rank not in ranks):
        shown.why = ""
        if given is not None:
            links.note(
                f"The link names the hit {quote(given)}, it can be a list and a rank in it, such "
                "as `rsp.1`; nothing is explained."
            )
        return None
    return one, rank


def _stop_choosing() -> None:
    state_of(Shown).is_choosing = False


def _use_as_query(name: str) -> None:
    shown = state_of(Shown)
    shown.query, shown.is_choosing, shown.why = name, False, ""


def _draw_query(searched: Pool, video: Video, model: ModelChoice, title: str) -> None:
    own = uploads.is_upload(video)
    what = (
        f"your upload, compared with {len(searched.videos):,} videos"
        if own
        else f"{cards.label_of(video)}, one of {len(searched.videos):,} videos"
    )
    with st.container(key="query", horizontal=True, vertical_alignment="center"):
        with st.container(width=220):
            shown = cards.film(video, f"The query: {video.title}", testid="query-film")
            st.html(f'<div class="thumb">{shown}</div>')
        with st.container(width="stretch", gap="xxsmall"):
            st.html(
                f'<div class="query-title" data-testid="query">{html.escape(video.title)}'
                f'<span class="dim">{what}</span></div>'
            )
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                if st.button("Choose another", icon=":material/grid_view:"):
                    uploads.store_of_session().refused = []
                    state_of(Shown).is_choosing = True
                others = [v.name for v in searched.videos if v.name != video.name]
                st.button(
                    "Random",
                    icon=":material/shuffle:",
                    on_click=lambda: _use_as_query(random.choice(others)),
                )
                link = {"model": model.name, "gallery": title}
                shell.link_to("compare", "Compare", ":material/compare:", i=video.name, **link)
                where = {"video": video.name} | link
                shell.link_to("embedding", "In the map", ":material/scatter_plot:", **where)


@st.dialog("Choose a query", width="large", on_dismiss=_stop_choosing)
def _open_choice(searched: Pool, num_frames: int) -> None:
    with st.expander("Use a video of your own", icon=":material/upload:", key="own_video"):
        if upload_panel.draw("query", num_frames, [Use("Use as query", _use_as_query)]):
            st.rerun()
    chosen = cards.choose(searched, "choice")
    if chosen is not None:
        _use_as_query(chosen)
        st.rerun()


def _draw_list(request: ExplainRequest, k: int, model: ModelChoice, title: str) -> None:
    feature = request.feature
    hits, refused = explain.hits_of(request, k)
    query = request.pool.videos[request.query]
    judged = [labels.judge(feature, query, request.pool.videos[hit.index]) for hit in hits]
    known = [correct for correct, _ in judged if correct is not None]
    share = f'<span class="share">{sum(known)} of {len(hits)} correct</span>' if known else ""
    line = DASHES.get(feature, "dotted")
    st.html(
        f'<div class="row-title {line}" style="--line: {COLOURS.get(feature, "#56606b")}">{share}'
        f'{FEATURES[feature]}<span class="dim">{NOTES[feature]}</span></div>'
    )
    if refused:
        st.info(
            plain(f"There are no neighbours by {FEATURES[feature]}: {refused}."),
            icon=":material/info:",
        )
        return
    place = cards.grid(f"hits_{feature}")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        key = f"page_{feature}_{request.query}_{k}"
        shown = cards.paged(list(enumerate(hits, 1)), PAGE, key)
        st.button(
            f"Explain the first {min(explain.MOST_EXPLAINED, len(hits))}",
            key=f"why_{feature}_all",
            icon=":material/help:",
            on_click=_set_why,
            args=(f"{feature}.all",),
        )
    with place:
        for rank, hit in shown:
            video = request.pool.videos[hit.index]
            same, words = judged[rank - 1]
            body = cards.thumb(
                video,
                f"{rank}. {video.title}",
                signed(hit.similarity, 2),
                words + ("" if same is None else _VERDICTS[same]),
                alt=f"No. {rank} by {FEATURES[feature]}: {video.title}",
                testid=f"hit-{feature}",
                mark="correct" if same else "",
            )
            with cards.card(body):
                _draw_actions(request, rank, video, model, title)


def _draw_actions(
    request: ExplainRequest, rank: int, video: Video, model: ModelChoice, title: str
) -> None:
    key = f"{request.feature}_{rank}"
    with st.container(key=f"actions_{key}", horizontal=True, gap="small"):
        st.button(
            cards.labelled("Why?", video),
            key=f"why_{key}",
            type="tertiary",
            on_click=_set_why,
            args=(f"{request.feature}.{rank}",),
        )
        st.button(
            cards.labelled("Use as query", video),
            key=f"query_{key}",
            type="tertiary",
            on_click=_use_as_query,
            args=(video.name,),
        )
        shell.link_to(
            "compare",
            cards.labelled("Compare", video),
            model=model.name,
            gallery=title,
            i=request.pool.videos[request.query].name,
            j=video.name,
        )


def _set_why(text: str) -> None:
    state_of(Shown).why = text


def _forget_why() -> None:
    _set_why("")


def _open_why(request: ExplainRequest, rank: int, k: int) -> None:
    @st.dialog(f"Why, by {FEATURES[request.feature]}", width="large", on_dismiss=_forget_why)
    def window() -> None:
        try:
            if rank:
                explain.draw_hit(request, rank)
            else:
                explain.draw_list(request, len(explain.hits_of(request, k)[0]))
        except ValueError as error:
            shell.show_error(error)

    window()


def _link(
    searched: Pool, model: ModelChoice, title: str, query: int, features: list[str], k: int
) -> dict[str, str]:
    link = {
        "model": model.name,
        "gallery": title,
        "query": searched.videos[query].name,
        "by": ".".join(features),
        "k": str(k),
    }
    if state_of(Shown).why:
        link["why"] = state_of(Shown).why
    return link
