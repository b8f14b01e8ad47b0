"""Retrieval: what is nearest to a video by each head, and what in both makes it so."""

import contextlib
import html
import random
import re
from collections import Counter
from collections.abc import Sequence

import streamlit as st

from dashboard.app_pages.retrieval import (
    explain,
    export,
    hits,
    labels,
    lists,
    marks,
    measures,
    region,
    units,
)  # fmt: skip
from dashboard.app_pages.retrieval.explain import ExplainRequest
from dashboard.app_pages.retrieval.hits import FEATURES, Shown, explain_hit, use_as_query
from dashboard.app_pages.retrieval.lists import Filter
from dashboard.base import links
from dashboard.base.arguments import runs_folder
from dashboard.base.session import state_of
from dashboard.base.state import plain, quote
from dashboard.services import galleries, uploads
from dashboard.services.embeddings import Pool
from dashboard.services.galleries import Source, Video
from dashboard.services.models import Loaded, ModelChoice
from dashboard.widgets import cards, pool, shell, upload_panel
from dashboard.widgets.upload_panel import Use
from rspnet.files import printable

SUMMARY = "The videos nearest to a query by relative speed and by appearance, and what ranks them."
BOTH = "rsp.avid"
KS = (5, 10, 20, 50)
# Keys of the menus.
BY, K, RULE, SORT = "retrieval_by", "retrieval_k", "retrieval_correct", "retrieval_sort"
LABEL, WORDS = "retrieval_label", "retrieval_name"


def page() -> None:
    """Draw the page."""
    opened = shell.open_page("Retrieval", SUMMARY)
    if not opened.models:
        st.error(shell.NO_MODEL, icon=":material/error:")
        return
    with st.container(key="display", horizontal=True, vertical_alignment="bottom", gap="medium"):
        model, title = pool.choose_videos(opened)
        second = pool.choose_second(opened, model)
        features = _choose_features(opened.link.get("by"))
        place_of_k = st.empty()
    _keep_for_later(opened.link)
    source = pool.open_gallery(title, opened.arguments)
    found = pool.embed_pool(model, source) if source is not None else None
    if source is None or found is None:
        links.show_notes(opened.notes)
        return
    searched, loaded = found
    with place_of_k:
        k = _choose_k(searched)
    joined, query = _choose_query(searched, loaded)
    requests = [ExplainRequest(joined, loaded, query, feature, model) for feature in features]
    place_of_query = st.container()
    shown, rule = _choose_shown(searched, k)
    opened_why = _choose_why(requests, second)
    region.take(_waiting("region"))
    units.take(_waiting("unit"), searched, loaded, joined.videos[query].name)
    links.show_notes(opened.notes)
    with place_of_query:
        if units.is_linked():
            units.draw(requests)
        _draw_query(searched, joined.videos[query], model, title)
    st.caption(labels.sentence(searched, title, joined.videos[query], rule))
    root = title if title == galleries.GENERATED else printable(source.root)
    marks.open_shelf(runs_folder(opened.arguments), root)
    beside, both = _open_second(second, source, joined.videos[query], features)
    rows = [[one, *(two for two in both if two.feature == one.feature)] for one in requests]
    hits.draw(rows, shown, rule, title)
    links.write(_link(joined, model, title, query, features, shown, rule, second))
    skipped = pool.skipped(searched)
    if skipped:
        st.caption(plain(skipped))
    region.draw(requests)
    if not units.is_linked():
        units.draw(requests)
    marks.draw(searched, use_as_query)
    other = (beside, second.name) if beside is not None and second is not None else None
    measures.draw(searched, model, rule, other)
    export.draw([*requests, *both], shown, rule)
    if opened_why and (why := _find_why([*requests, *both], opened_why, shown)):
        _open_why(*why)
    elif state_of(Shown).is_choosing:
        # Held open: the page may be drawn anew while files are on their way.
        _open_choice(searched, model.num_frames)


def _open_second(
    second: ModelChoice | None, source: Source, query: Video, features: Sequence[str]
) -> tuple[Pool | None, list[ExplainRequest]]:
    """The gallery by the second model, and its lists; nothing where it is not there yet."""
    found = pool.embed_pool(second, source, "second") if second is not None else None
    if found is None or second is None:
        return None, []
    beside, loaded = joined, loaded = found
    try:
        if uploads.is_upload(query):
            joined = uploads.with_query(beside, loaded, query.name)
        elif query.name not in beside.places:
            raise ValueError(f"{query.name} {beside.skipped.get(query.name, 'is not there')}")
    except ValueError as error:
        shell.show_error(f"{second.name} has no list for this query: {error}")
        return beside, []
    row = joined.places[query.name]
    return beside, [ExplainRequest(joined, loaded, row, f, second, True) for f in features]


def _keep_for_later(link: dict[str, str]) -> None:
    """What can be judged only once the gallery is there waits until it is."""
    if link:
        shown = state_of(Shown)
        shown.is_choosing = False
        for key in (SORT, LABEL, WORDS):
            st.session_state.pop(key, None)
        names = ("query", "k", "why", "sort", "correct", "label", "name", "region", "unit")
        shown.waiting = {name: link[name] for name in names if name in link}
        if "why" not in link:
            shown.why = ""


def _waiting(name: str) -> str | None:
    return (state_of(Shown).waiting or {}).pop(name, None)


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
    given = _waiting("k")
    links.take_number(K, "k", given, ks, ks[min(1, len(ks) - 1)])
    return int(st.segmented_control("Nearest", ks, key=K, required=True) or ks[0])


def _choose_query(searched: Pool, loaded: Loaded) -> tuple[Pool, int]:
    """What is searched and the query's row in it: an upload stands behind the gallery's own."""
    shown = state_of(Shown)
    given = _waiting("query")
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
        first = galleries.SYNTHETIC_EXAMPLE
        first = first if first in searched.places else searched.videos[0].name
        chosen = pool.choose_video(searched, "the query", given, first)
        shown.query = chosen.value
        if chosen.note:
            links.note(chosen.note)
    return searched, searched.places[shown.query]


def _choose_shown(searched: Pool, k: int) -> tuple[Filter, str]:
    """What the lists show, and what makes a hit correct."""
    rules = labels.rules(searched.columns)
    found = [
        (name, value)
        for name, values in searched.columns.items()
        for value in sorted(Counter(values))
        if value
    ]
    options = {f"{name}: {value}": (name, value) for name, value in found}
    with st.container(key="looking", horizontal=True, vertical_alignment="bottom", gap="medium"):
        rule = ""
        if rules:
            links.take_option(RULE, "what is correct", _waiting("correct"), list(rules))
            with st.container(width=220):
                rule = st.selectbox(
                    "Correct means", list(rules), key=RULE, format_func=rules.__getitem__
                )
        links.take_option(SORT, "the order", _waiting("sort"), list(lists.SORTS))
        with st.container(width=200):
            sort = st.selectbox(
                "Sort by", list(lists.SORTS), key=SORT, format_func=lists.SORTS.__getitem__
            )
        label = ""
        if options:
            given = _waiting("label")
            links.take_option(LABEL, "the label", given, ["", *options])
            with st.container(width=200):
                label = st.selectbox(
                    "Show only", ["", *options], key=LABEL,
                    format_func=lambda text: text.replace("_", " ") or "all labels",
                )  # fmt: skip
        given = _waiting("name")
        if given is not None:
            st.session_state[WORDS] = given
        with st.container(width=200):
            words = st.text_input("Name contains", key=WORDS, placeholder="part of a name")
    if sort in lists.SAID:
        st.caption(lists.SAID[sort].format(k=k))
    return Filter(k, sort, options.get(label, ("", "")), words.strip()), rule


def _choose_why(requests: list[ExplainRequest], second: ModelChoice | None) -> str:
    """The hit that is to be explained; a link that names none is said."""
    shown = state_of(Shown)
    given = _waiting("why")
    shown.why = given or shown.why
    named = re.fullmatch(r"(\w+)(-2)?\.(\d{1,6}|all)", shown.why)
    if shown.why and not (
        named
        and named[1] in {one.feature for one in requests}
        and (second is not None or not named[2])
        and (named[3] == "all" or 1 <= int(named[3]) < len(requests[0].pool.videos))
    ):
        shown.why = ""
        if given is not None:
            links.note(
                f"The link names the hit {quote(given)}, it can be a list and a rank in it, such "
                "as `rsp.1`; nothing is explained."
            )
    return shown.why


def _find_why(
    requests: Sequence[ExplainRequest], why: str, shown: Filter
) -> tuple[ExplainRequest, list[int]] | None:
    """The list and the ranks that are to be explained; None while the list is not there."""
    name, _, rank = why.partition(".")
    one = next((one for one in requests if one.name == name), None)
    if one is None:
        return None
    found, refused = explain.hits_of(one, shown)
    ranks = [hit.rank for hit in found][: explain.MOST_EXPLAINED] if rank == "all" else [int(rank)]
    return (one, ranks) if ranks and not refused else None


def _stop_choosing() -> None:
    state_of(Shown).is_choosing = False


def _draw_query(searched: Pool, video: Video, model: ModelChoice, title: str) -> None:
    own = uploads.is_upload(video)
    what = (
        f"your upload, compared with {len(searched.videos):,} videos"
        if own
        else f"{cards.label_of(video)}, one of {len(searched.videos):,} videos"
    )
    with contextlib.suppress(ValueError):  # its film says that it is gone
        st.html(f"<style>:root {{ --film: {galleries.probe(video).shape}; }}</style>")
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
                    on_click=lambda: use_as_query(random.choice(others)),
                )
                link = {"model": model.name, "gallery": title}
                shell.link_to("compare", "Compare", ":material/compare:", i=video.name, **link)
                where = {"video": video.name} | link
                shell.link_to("embedding", "In the map", ":material/scatter_plot:", **where)


@st.dialog("Choose a query", width="large", on_dismiss=_stop_choosing)
def _open_choice(searched: Pool, num_frames: int) -> None:
    with st.expander("Use a video of your own", icon=":material/upload:", key="own_video"):
        if upload_panel.draw("query", num_frames, [Use("Use as query", use_as_query)]):
            st.rerun()
    chosen = cards.choose(searched, "choice")
    if chosen is not None:
        use_as_query(chosen)
        st.rerun()


def _open_why(request: ExplainRequest, ranks: list[int]) -> None:
    title = f"Explained by {FEATURES[request.feature]}"
    if request.is_second:
        title += f" of {plain(request.model)}"

    @st.dialog(title, width="large", on_dismiss=lambda: explain_hit(""))
    def window() -> None:
        try:
            if state_of(Shown).why.endswith(".all"):
                explain.draw_list(request, ranks)
            else:
                explain.draw_hit(request, ranks[0])
        except ValueError as error:
            shell.show_error(error)

    window()


def _link(
    joined: Pool,
    model: ModelChoice,
    title: str,
    query: int,
    features: list[str],
    shown: Filter,
    rule: str,
    second: ModelChoice | None,
) -> dict[str, str]:
    link = {
        "model": model.name,
        "gallery": title,
        "query": joined.videos[query].name,
        "by": ".".join(features),
        "k": str(shown.k),
    }
    first_rule = next(iter(labels.rules(joined.columns)), "")
    more = {
        "second": second.name if second is not None else "",
        "correct": rule if rule != first_rule else "",
        "sort": shown.sort if shown.sort != "similarity" else "",
        "label": ": ".join(shown.label) if shown.label[0] else "",
        "name": shown.words,
        "why": state_of(Shown).why,
        "unit": units.link(),
    }
    return link | {name: value for name, value in more.items() if value}
