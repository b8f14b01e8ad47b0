"""Retrieval: what is nearest to a video by each head, and what in both makes it so."""

import html
import random
import re

import streamlit as st

from dashboard.base import links
from dashboard.base.state import Chosen, choose_number, quote
from dashboard.base.style import COLOURS, DASHES, signed
from dashboard.base.viewer import ASSETS
from dashboard.pages.retrieval import explain, export, labels, measures
from dashboard.pages.retrieval.explain import Asked
from dashboard.services import uploads
from dashboard.services.embeddings import Pool
from dashboard.services.galleries import Video
from dashboard.services.models import Loaded, ModelChoice
from dashboard.widgets import cards, pool, shell, upload_panel
from dashboard.widgets.upload_panel import Use

QUESTION = "Which videos are most alike by motion, which by looks, and what in them makes it so?"
FEATURES = {"rsp": "RSP", "avid": "A-VID", "backbone": "Backbone"}
ASKS = {
    "rsp": "the same motion in other looks?",
    "avid": "the same looks in other motion?",
    "backbone": "the features below both heads",
}
BOTH = "rsp.avid"
KS = (5, 10, 20, 50)
PAGE = 10
_VERDICT = ' <span class="verdict {0}">{1} {0}</span>'
_VERDICTS = {
    True: _VERDICT.format("right", "\N{CHECK MARK}"),
    False: _VERDICT.format("wrong", "\N{MULTIPLICATION X}"),
}


def page() -> None:
    """Draw the page."""
    opened = shell.open_page("Retrieval", QUESTION)
    st.html(ASSETS / "gallery.css")
    if not opened.models:
        st.error(shell.NO_MODEL, icon=":material/error:")
        return
    with st.container(key="look", horizontal=True, vertical_alignment="bottom", gap="medium"):
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
    asking, query = _choose_query(searched, loaded)
    asked = [Asked(asking, loaded, query, feature, model.path) for feature in features]
    opened_why = _choose_why(asked, k)
    links.show_notes(opened.notes)
    _draw_query(searched, asking.videos[query], model, title)
    st.caption(labels.sentence(searched, title, asking.videos[query]))
    with st.container(key="lists", horizontal=True, gap="medium"):
        for one in asked:
            with st.container(key=f"list_{one.feature}", gap="small"):
                _draw_list(one, k, model, title)
    link = _link(asking, model, title, query, features, k)
    links.write(link)
    note = pool.skipped(searched)
    if note:
        st.caption(note)
    measures.draw(searched)
    export.draw(asked, k, link)
    if opened_why is not None:
        _open_why(*opened_why, k)
    elif st.session_state.get("choosing"):
        # Held open: the page may be drawn anew while files are on their way.
        _open_choice(searched, model.num_frames)


def _keep_for_later(link: dict[str, str]) -> None:
    """What can be judged only once the gallery is there waits until it is."""
    if link:
        _stop_choosing()
        wanted = {name: link[name] for name in ("query", "k", "why") if name in link}
        st.session_state["retrieval_link"] = wanted
        if "why" not in wanted:
            st.session_state.pop("why", None)


def _waiting(name: str) -> str | None:
    value = st.session_state.get("retrieval_link", {}).pop(name, None)
    return None if value is None else str(value)


def _choose_features(given: str | None) -> list[str]:
    if given is not None or not st.session_state.get("by"):
        parts = BOTH.split(".") if given is None else given.split(".")
        good = set(parts) <= set(FEATURES) and len(set(parts)) == len(parts)
        note = (
            ""
            if good
            else f"The link ranks by {quote(given or '')}, it can be some of `rsp`, `avid` and "
            "`backbone`, such as `rsp.avid`; this is by both heads."
        )
        links.take("by_link", Chosen(".".join(parts) if good else BOTH, note))
        st.session_state["by"] = str(st.session_state["by_link"]).split(".")
    chosen = st.segmented_control(
        "Rank by",
        list(FEATURES),
        selection_mode="multi",
        key="by",
        format_func=lambda name: FEATURES[name],
    )
    return [name for name in FEATURES if name in (chosen or [])] or ["rsp", "avid"]


def _choose_k(searched: Pool) -> int:
    most = len(searched.videos) - 1
    ks = [k for k in KS if k <= most] or [most]
    given = _waiting("k")
    if given is not None or st.session_state.get("k") not in ks:
        links.take("k", choose_number("k", given, ks, ks[min(1, len(ks) - 1)]))
    return int(st.segmented_control("Nearest", ks, key="k", required=True) or ks[0])


def _choose_query(searched: Pool, loaded: Loaded) -> tuple[Pool, int]:
    """What is searched and the query's row in it: an upload stands behind the gallery's own."""
    given = _waiting("query")
    name = str(given or st.session_state.get("query"))
    if uploads.store_of_session().find(name) is not None:
        try:
            joined = uploads.with_query(searched, loaded, name)
        except ValueError as error:
            shell.show_error(error)
            given = None
        else:
            st.session_state["query"] = name
            return joined, joined.places[name]
    if given is not None or st.session_state.get("query") not in searched.places:
        default = searched.videos[0].name
        links.take("query", pool.choose_video(searched, "the query", given, default))
    return searched, searched.places[str(st.session_state["query"])]


def _choose_why(asked: list[Asked], k: int) -> tuple[Asked, int] | None:
    """The hit that is to be explained, 0 for the first ones together."""
    given = _waiting("why")
    if given is not None:
        st.session_state["why"] = given
    text = st.session_state.get("why")
    if not text:
        return None
    named = re.fullmatch(r"(\w+)\.(\d{1,3}|all)", str(text))
    one = next((a for a in asked if named and a.feature == named[1]), None)
    rank = 0 if not named or named[2] == "all" else int(named[2])
    ranks = range(1, len(explain.hits_of(one, k)[0]) + 1) if one is not None else range(0)
    if one is None or not ranks or not named or (named[2] != "all" and rank not in ranks):
        st.session_state.pop("why", None)
        if given is not None:
            note = (
                f"The link asks why for {quote(given)}, it can be a list and a rank in it, such as "
                "`rsp.1`; nothing is explained."
            )
            st.session_state.setdefault("notes", []).append(note)
        return None
    return one, rank


def _stop_choosing() -> None:
    st.session_state.pop("choosing", None)


def _ask(name: str) -> None:
    st.session_state["query"] = name
    _stop_choosing()
    st.session_state.pop("why", None)


def _draw_query(searched: Pool, video: Video, model: ModelChoice, title: str) -> None:
    own = uploads.is_upload(video)
    what = (
        f"your upload, asks {len(searched.videos):,} videos"
        if own
        else f"{cards.label_of(video)}, one of {len(searched.videos):,} videos"
    )
    with st.container(key="query", horizontal=True, vertical_alignment="center"):
        with st.container(width=220):
            shown = cards.film(video, f"The query: {video.title}", testid="query-film")
            st.html(f'<div class="thumb">{shown}</div>')
        with st.container(width="stretch", gap="xxsmall"):
            st.html(
                f'<div class="asks" data-testid="query">{html.escape(video.title)}'
                f'<span class="dim">{what}</span></div>'
            )
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                if st.button("Choose another", icon=":material/grid_view:"):
                    uploads.store_of_session().refused = []
                    st.session_state["choosing"] = True
                others = [v.name for v in searched.videos if v.name != video.name]
                st.button(
                    "Random",
                    icon=":material/shuffle:",
                    on_click=lambda: _ask(random.choice(others)),
                )
                link = {"model": model.name, "gallery": title}
                shell.link_to("compare", "Compare", ":material/compare:", i=video.name, **link)
                where = {"video": video.name} | link
                shell.link_to("embedding", "In the map", ":material/scatter_plot:", **where)


@st.dialog("Choose a video to ask with", width="large", on_dismiss=_stop_choosing)
def _open_choice(searched: Pool, num_frames: int) -> None:
    with st.expander("Use a video of your own", icon=":material/upload:", key="own_video"):
        if upload_panel.draw("query", num_frames, [Use("Ask with it", _ask)]):
            st.rerun()
    chosen = cards.choose(searched, "choice")
    if chosen is not None:
        _ask(chosen)
        st.rerun()


def _draw_list(asked: Asked, k: int, model: ModelChoice, title: str) -> None:
    feature = asked.feature
    hits, refused = explain.hits_of(asked, k)
    label = asked.pool.videos[asked.query].label
    right = sum(bool(label) and hit.label == label for hit in hits)
    share = f'<span class="share">{right} of {len(hits)} right</span>' if label else ""
    line = DASHES.get(feature, "dotted")
    st.html(
        f'<div class="row-title {line}" style="--line: {COLOURS.get(feature, "#56606b")}">{share}'
        f'{FEATURES[feature]}<span class="dim">{ASKS[feature]}</span></div>'
    )
    if refused:
        st.info(f"Nothing is near by {FEATURES[feature]}: {refused}.", icon=":material/info:")
        return
    pages = -(-len(hits) // PAGE)
    shown = 1
    place = st.container(key=f"hits_{feature}", horizontal=True, gap="small")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if pages > 1:
            shown = st.pagination(pages, key=f"page_{feature}_{asked.query}_{k}", width=260)
        st.button(
            f"Explain the first {min(explain.MOST_EXPLAINED, len(hits))}",
            key=f"why_{feature}_all",
            icon=":material/help:",
            on_click=_set_why,
            args=(f"{feature}.all",),
        )
    with place:
        for rank, hit in enumerate(hits[(shown - 1) * PAGE : shown * PAGE], (shown - 1) * PAGE + 1):
            video = asked.pool.videos[hit.index]
            with st.container(width=cards.CARD_PIXELS, gap="xxsmall"):
                same = bool(label) and video.label == label
                verdict = ""
                if label:
                    verdict = _VERDICTS[same]
                film = cards.film(
                    video,
                    f"No. {rank} by {FEATURES[feature]}: {video.title}",
                    testid=f"hit-{feature}",
                    mark="right" if same else "",
                )
                below = cards.words(
                    f"{rank}. {video.title}",
                    signed(hit.similarity, 2),
                    cards.label_of(video) + verdict,
                )
                st.html(f'<div class="thumb">{film}{below}</div>')
                _draw_actions(asked, rank, video.name, model, title)


def _draw_actions(asked: Asked, rank: int, name: str, model: ModelChoice, title: str) -> None:
    key = f"{asked.feature}_{rank}"
    with st.container(key=f"actions_{key}", horizontal=True, gap="small"):
        st.button(
            "Why?",
            key=f"why_{key}",
            type="tertiary",
            on_click=_set_why,
            args=(f"{asked.feature}.{rank}",),
        )
        st.button("Ask", key=f"ask_{key}", type="tertiary", on_click=_ask, args=(name,))
        shell.link_to(
            "compare",
            "Compare",
            model=model.name,
            gallery=title,
            i=asked.pool.videos[asked.query].name,
            j=name,
        )


def _set_why(text: str) -> None:
    st.session_state["why"] = text


def _forget_why() -> None:
    st.session_state.pop("why", None)


def _open_why(asked: Asked, rank: int, k: int) -> None:
    @st.dialog(f"Why, by {FEATURES[asked.feature]}", width="large", on_dismiss=_forget_why)
    def window() -> None:
        try:
            if rank:
                explain.draw_hit(asked, rank)
            else:
                explain.draw_list(asked, len(explain.hits_of(asked, k)[0]))
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
    if st.session_state.get("why"):
        link["why"] = str(st.session_state["why"])
    return link
