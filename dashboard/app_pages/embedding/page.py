"""Embedding: the gallery as a map, by both heads, with one selection in both."""

import html
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from dashboard.app_pages.embedding import points as embedding_map
from dashboard.app_pages.embedding.points import Maps, Own, Row
from dashboard.base import links
from dashboard.base.arguments import shown_path
from dashboard.base.session import state_of
from dashboard.base.state import choose_number, plain, quote
from dashboard.services import embeddings, galleries, uploads
from dashboard.services.embeddings import Pool
from dashboard.services.galleries import Source, Video
from dashboard.services.jobs import Job
from dashboard.services.models import Loaded, ModelChoice
from dashboard.widgets import cards, export, pool, progress, shell, upload_panel
from dashboard.widgets.export import Command, File
from dashboard.widgets.map_options import choose_one
from dashboard.widgets.upload_panel import Use
from rspnet.files import printable
from rspnet.names import HEAD_TITLES, HEADS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from analysis.gallery.projection import Embedding
    from analysis.gallery.structure import Overlap

SUMMARY = "The gallery in two dimensions by each head: which videos lie close together."
CLUSTERS_OF = {"rsp": "clusters of RSP", "avid": "clusters of A-VID"}
CLUSTERS = range(2, 11)
PAGE = 18
MOST_LABELS = 4
# A longer selection is not in the address.
MOST_LETTERS = 600
# Neighbours that two models are compared by, up to so many videos.
NEIGHBOURS, AT_ONCE = 10, 2000
CLOSEST = 5  # neighbours that are to have a video's label
# Keys of the menus.
METHOD, COLOUR, NUM_CLUSTERS = "embedding_method", "embedding_colour", "embedding_clusters"


@dataclass
class Shown:
    """What the page shows to one visitor.

    Attributes:
        rows: The videos that are selected: rows of the gallery, and names of uploads.
        gallery: Key of the gallery that they are of.
        clusters: Number of clusters, also while the points are coloured by label.
        waiting: Parameters of the link that can be judged only once the gallery is there.
    """

    rows: list[Row] = field(default_factory=list)
    gallery: str = ""
    clusters: int = 6
    waiting: dict[str, str] = field(default_factory=dict)


def page() -> None:
    """Draw the page."""
    opened = shell.open_page("Embedding", SUMMARY)
    if not opened.models:
        st.error(shell.NO_MODEL, icon=":material/error:")
        return
    with st.container(key="display", horizontal=True, vertical_alignment="bottom", gap="medium"):
        model, title = pool.choose_videos(opened)
        second = pool.choose_second(opened, model)
        place_of_menus = st.container(
            key="menus", horizontal=True, vertical_alignment="bottom", gap="medium", width="content"
        )
    if opened.link:  # what was said of files on another page is nothing to this one
        uploads.store_of_session().refused = []
        told = ("video", "rows", "method", "colour", "clusters")
        state_of(Shown).waiting = {n: opened.link[n] for n in told if n in opened.link}
    source = pool.open_gallery(title, opened.arguments)
    found = pool.embed_pool(model, source) if source is not None else None
    beside = None
    if source is not None and found is not None and second is not None:
        beside = pool.embed_pool(second, source, "second")
    if source is None or found is None:
        links.show_notes(opened.notes)
        return
    choices, both = [model], [found]
    if beside is not None and second is not None:
        choices, both = [model, second], [found, beside]
    pools = embeddings.in_common([mapped for mapped, _ in both])
    mapped = pools[0]
    with place_of_menus:
        method, colour, clusters = _choose(mapped)
    _restore_chosen(mapped)
    links.show_notes(opened.notes)
    points_by = min(clusters, len(mapped.videos)) if colour in CLUSTERS_OF else 0
    links.write(_link(mapped, model, second, title, method, colour, clusters))
    made: list[Maps] = []
    for one, choice in zip(pools, choices, strict=True):
        maps, job = embedding_map.begin(one, method, points_by)
        job.finished.wait(1.5)
        again = partial(embedding_map.forget, one, method, points_by)
        words = partial(_placing, method, choice.name)
        wrong = "This gallery has no such map"
        if not progress.is_done(job, f"map_{len(made)}", words, "heads", again, wrong):
            return
        made.append(maps)
    own = [
        _place_own(one, maps, loaded)
        for one, maps, (_, loaded) in zip(pools, made, both, strict=True)
    ]
    names = [choice.name for choice in choices]
    drawn = embedding_map.coloured(mapped, made, names, colour)
    words_of_one = _purity_words(mapped, colour) if len(pools) == 1 else ""
    _draw_map(mapped, drawn, colour, own, words_of_one)
    if own[0]:
        st.caption(_about_own(method))
    if len(pools) > 1:
        _draw_overlap(pools, names)
    _draw_chosen(mapped, model, title)
    skipped = pool.skipped(mapped)
    if skipped:
        st.caption(plain(skipped))
    commands = _commands(source, pools, method, colour)
    commands.append(export.app_command(opened.arguments, model.path))
    _draw_export(drawn, method, colour, commands)


def _placing(method: str, model: str, job: Job) -> str:
    return (
        f"Placing the videos of {plain(model)} by {embedding_map.METHODS[method]}, head "
        f"{min(job.total, job.done + 1)} of {job.total}. It continues while you visit other pages."
    )


def _waiting(name: str) -> str | None:
    return state_of(Shown).waiting.pop(name, None)


def _choose(mapped: Pool) -> tuple[str, str, int]:
    """Method, what colours the points, and number of clusters."""
    methods = embedding_map.methods()
    method = choose_one(METHOD, "the method", "Method", methods, _waiting("method"))
    options = {name: name.replace("_", " ") for name in mapped.columns} or {"": "nothing"}
    options |= CLUSTERS_OF
    given = _waiting("colour")
    first = next(iter(options))
    links.take_option(
        COLOUR, "the colouring", first if given == "label" else given, list(options), first
    )
    with st.container(width=180):
        colour = st.selectbox(
            "Colour by", list(options), key=COLOUR, format_func=options.__getitem__
        )
    shown = state_of(Shown)
    given = _waiting("clusters")
    if given is not None:
        chosen = choose_number("the number of clusters", given, CLUSTERS, shown.clusters)
        links.take(NUM_CLUSTERS, chosen)
        shown.clusters = chosen.value
    if colour in CLUSTERS_OF:
        st.session_state.setdefault(NUM_CLUSTERS, shown.clusters)
        shown.clusters = int(
            st.slider("Clusters", CLUSTERS[0], CLUSTERS[-1], key=NUM_CLUSTERS, width=160)
        )
    return method, colour, shown.clusters


def _restore_chosen(mapped: Pool) -> None:
    """The selection: of this gallery, or of the link."""
    shown = state_of(Shown)
    if shown.gallery != mapped.key:
        shown.gallery, shown.rows = mapped.key, []
    ranges = _waiting("rows")
    if ranges is not None:
        rows, note = read_rows(ranges, len(mapped.videos))
        shown.rows = list(rows)
        if note:
            links.note(note)
    given = _waiting("video")
    if given is not None and uploads.store_of_session().find(given) is not None:
        shown.rows = [given]
    elif given is not None:
        chosen = pool.choose_video(mapped, "the video", given, "")
        shown.rows = [mapped.places[chosen.value]] if chosen.value else []
        if chosen.note:
            links.note(chosen.note)


def _place_own(mapped: Pool, made: Maps, loaded: Loaded) -> list[Own]:
    """The session's uploads in the maps; what is wrong with one is said, and it is skipped."""
    own: list[Own] = []
    for video in uploads.store_of_session().videos:
        try:
            own += embedding_map.place_own(mapped, made, [video], loaded)
        except ValueError as error:
            reason = str(error).replace(str(video.path), video.title)
            shell.show_error(f"{video.title} has no place in the map: {reason}")
    return own


def write_rows(rows: Sequence[Row]) -> str:
    """A selection for the address: rows counted from 0, those that follow each other as a range.

    Nothing where it would be too long for an address; uploads, which go, are left out.

    Example:
        >>> write_rows([0, 1, 2, 7, "an upload", 9])
        '0-2.7.9'
    """
    parts: list[list[int]] = []
    for row in sorted(row for row in rows if isinstance(row, int)):
        if parts and row == parts[-1][-1] + 1:
            parts[-1] = [parts[-1][0], row]
        else:
            parts.append([row])
    text = ".".join("-".join(map(str, part)) for part in parts)
    return text if len(text) <= MOST_LETTERS else ""


def read_rows(text: str, num: int) -> tuple[list[int], str]:
    """A selection from the address; nothing, and why, where it can't be used.

    Example:
        >>> read_rows("0-2.7", 8)
        ([0, 1, 2, 7], '')
        >>> read_rows("0-9", 8)[0]
        []
    """
    rows: list[int] = []
    if re.fullmatch(r"\d{1,6}(-\d{1,6})?(\.\d{1,6}(-\d{1,6})?)*", text):
        for part in text.split("."):
            first, _, last = part.partition("-")
            rows += range(int(first), min(num, int(last or first)) + 1)
    if rows and max(rows) < num:
        return rows, ""
    return [], (
        f"The link selects the videos {quote(text)}, it can be ranges of 0 to {num - 1}, such as "
        "`0-2.7`; none is selected."
    )


def _about_own(method: str) -> str:
    from analysis.gallery.projection_place import NUM_NEAREST

    how = "where the axes of the gallery have it"
    if method != "pca":
        how = (
            f"at the median place of the gallery's {NUM_NEAREST} nearest to it, since "
            f"{embedding_map.METHODS[method]} has no place for a video that comes later"
        )
    return (
        f"A star is a video of yours, {how}. The gallery's own points stay as they are without "
        "it, and so do the files below."
    )


def _draw_map(
    mapped: Pool, drawn: "list[Embedding]", colour: str, own: Sequence[Sequence[Own]], found: str
) -> None:
    chosen = set(state_of(Shown).rows)
    maps = "both maps" if len(own) == 1 else "all four maps"
    st.html(
        f'<p class="lead" data-testid="how">Each point is a video, in {maps} at its own place. '
        "Draw a line around some, or take the tool <b>Pan</b> at the upper right and click one: it "
        f"stands out in {maps}, and its film is shown below.{found}</p>"
    )
    dark = getattr(st.context.theme, "type", "light") == "dark"
    titles = [v.title for v in mapped.videos]
    figure = embedding_map.figure(drawn, titles, chosen, dark, own)
    st.plotly_chart(
        figure,
        key="map",
        on_select=_selected,
        selection_mode=("points", "lasso", "box"),
        config={
            "displaylogo": False,
            "modeBarButtonsToRemove": ["toImage", "autoScale2d"],
            "scrollZoom": True,
        },
        alt=(
            f"{len(mapped.videos)} videos as points in {len(drawn)} maps, by RSP and by A-VID, "
            f"coloured by {CLUSTERS_OF.get(colour, colour or 'nothing')}. The search below finds "
            "videos without the map."
        ),
    )


@st.cache_data(max_entries=16, show_spinner=False, hash_funcs=embeddings.HASHES)
def _overlaps(pools: tuple[Pool, ...]) -> "list[Overlap]":
    from analysis.gallery.neighbours import Space
    from analysis.gallery.structure import overlap

    k = min(NEIGHBOURS, len(pools[0].videos) - 1)
    a, b = (one.gallery for one in pools)
    return [overlap(Space.of(a, head), Space.of(b, head), k) for head in HEADS]


@st.cache_data(max_entries=16, show_spinner=False, hash_funcs=embeddings.HASHES)
def _purity_words(mapped: Pool, colour: str) -> str:
    """How far either head puts videos of one label together, HTML; empty where that is not said."""
    from analysis.gallery.neighbours import Space
    from analysis.gallery.structure import purity

    num = len(mapped.videos)
    if colour not in mapped.columns or not 2 * CLOSEST < num <= AT_ONCE:
        return ""
    labels = mapped.columns[colour]
    spaces = [replace(Space.of(mapped.gallery, head), labels=labels) for head in HEADS]
    try:
        rsp, avid = (purity(space, CLOSEST) for space in spaces)
    except ValueError:  # no two videos share a label
        return ""
    kind = html.escape(colour.replace("_", " "))
    shown = [
        f"<b>{100 * own.mean.value:.0f}%</b> [{100 * own.mean.low:.0f}, {100 * own.mean.high:.0f}]"
        for own in (rsp, avid)
    ]
    return (
        f" Of a video's {CLOSEST} nearest in the embedding itself, {shown[0]} have its {kind} by "
        f"RSP and {shown[1]} by A-VID; {100 * rsp.chance:.0f}% would by chance."
    )


def _draw_overlap(pools: tuple[Pool, ...], names: Sequence[str]) -> None:
    """How far two models have the same neighbours: maps alone do not tell."""
    if len(pools[0].videos) > AT_ONCE:
        st.caption("How far both models have the same neighbours is measured on Retrieval.")
        return
    said = [
        f"{HEAD_TITLES[head]}: {100 * own.mean.value:.0f}% [{100 * own.mean.low:.0f}, "
        f"{100 * own.mean.high:.0f}], by chance {100 * own.chance:.0f}%"
        for head, own in zip(HEADS, _overlaps(pools), strict=True)
    ]
    k = min(NEIGHBOURS, len(pools[0].videos) - 1)
    st.caption(
        plain(
            f"Of a video's {k} nearest, {names[0]} and {names[1]} share (Jaccard index, mean over "
            f"{len(pools[0].videos):,} videos with its 95% interval): {'; '.join(said)}."
        )
    )


def _selected() -> None:
    event: Any = st.session_state.get("map")
    points = (event or {}).get("selection", {}).get("points", [])
    rows = sorted({row for point in points if (row := _row(point)) is not None}, key=_order)
    if rows:
        state_of(Shown).rows = rows


def _row(point: dict[str, Any]) -> Row | None:
    """The row of a selected point: its ``customdata``, whichever curve it is of."""
    data = point.get("customdata")
    data = data[0] if isinstance(data, (list, tuple)) and data else data
    if isinstance(data, str):
        return data
    return int(data) if isinstance(data, (int, float)) else None


def _order(row: Row) -> tuple[int, str]:
    """Uploads first, then the gallery's own in its order."""
    return (-1, row) if isinstance(row, str) else (row, "")


def _select_upload(name: str) -> None:
    state_of(Shown).rows = [name]


def _find(mapped: Pool, row: Row) -> Video | None:
    if isinstance(row, str):
        return uploads.store_of_session().find(row)
    return mapped.videos[row] if row < len(mapped.videos) else None


def _clear() -> None:
    state_of(Shown).rows = []


@st.dialog("Find a video", width="large")
def _open_search(mapped: Pool) -> None:
    name = cards.choose(mapped, "find")
    if name is not None:
        state_of(Shown).rows = [mapped.places[name]]
        st.rerun()


def _draw_chosen(mapped: Pool, model: ModelChoice, title: str) -> None:
    videos = [v for row in state_of(Shown).rows if (v := _find(mapped, row)) is not None]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.html(_summary(videos), width="stretch")
        if st.button("Find a video", icon=":material/search:"):
            _open_search(mapped)
        with st.popover("Your own videos", icon=":material/upload:"):
            uses = [Use("Show it in the map", _select_upload)]
            if upload_panel.draw("map", mapped.gallery.protocol.num_frames, uses):
                st.rerun()
        if videos:
            st.button("Clear the selection", icon=":material/close:", on_click=_clear)
    if not videos:
        return
    place = cards.grid("chosen")
    key = f"chosen_page_{len(videos)}_{videos[0].name}_{videos[-1].name}"
    shown = cards.paged(videos, PAGE, key)
    link = {"model": model.name, "gallery": title}
    with place:
        for number, video in enumerate(shown):
            with (
                cards.card(cards.thumb(video, testid="chosen")),
                st.container(key=f"actions_{number}", horizontal=True, gap="small"),
            ):
                nearest, compare = (cards.labelled(word, video) for word in ("Nearest", "Compare"))
                shell.link_to("retrieval", nearest, query=video.name, **link)
                shell.link_to("compare", compare, i=video.name, **link)


def _summary(videos: list[Video]) -> str:
    if not videos:
        return '<div class="row-title" data-testid="summary">No video is selected</div>'
    counts = Counter(
        "yours" if uploads.is_upload(video) else video.label or "no label" for video in videos
    )
    words = [f"{n:,} {html.escape(name.replace('_', ' '))}" for name, n in counts.most_common()]
    more = f" and {len(words) - MOST_LABELS} more labels" if len(words) > MOST_LABELS else ""
    number = "1 video" if len(videos) == 1 else f"{len(videos):,} videos"
    return (
        f'<div class="row-title" data-testid="summary">{number} selected'
        f'<span class="dim">{", ".join(words[:MOST_LABELS])}{more}</span></div>'
    )


def _commands(source: Source, pools: Sequence[Pool], method: str, colour: str) -> list[Command]:
    """The command that draws the figure; none for clusters, which colour all maps alike."""
    if colour in CLUSTERS_OF:
        return []
    words = ["python", "-m", "analysis", "projection", "--gallery"]
    words += [shown_path(one.folder) for one in pools]
    if colour and colour != next(iter(pools[0].columns)):
        words += ["--label", colour, "--label_file", shown_path(source.root / galleries.LABELS)]
    words += ["--method", method, "--out", f"embedding-{method}-{printable(colour)}.pdf"]
    return [Command("The figure", tuple(words))]


def _draw_export(
    drawn: "list[Embedding]", method: str, colour: str, commands: Sequence[Command]
) -> None:
    name = f"embedding-{method}-{printable(colour).replace('/', '_')}"
    label = f"the {CLUSTERS_OF[colour]}" if colour in CLUSTERS_OF else colour or "label"

    def draw() -> "Figure":
        from analysis.figures.projection_figure import draw_embeddings

        return draw_embeddings(drawn, label=label).figure

    def table() -> bytes:
        from analysis.gallery.projection import write_points

        return export.written(".csv", lambda path: write_points(path, drawn))

    files = [*export.figure_files(name, draw), File("Data", f"{name}.csv", table)]
    export.panel("embedding", files, commands)


def _link(
    mapped: Pool,
    model: ModelChoice,
    second: ModelChoice | None,
    title: str,
    method: str,
    colour: str,
    clusters: int,
) -> dict[str, str]:
    link = {"model": model.name, "gallery": title, "method": method, "colour": colour}
    if second is not None:
        link["second"] = second.name
    if colour in CLUSTERS_OF:
        link["clusters"] = str(clusters)
    rows = state_of(Shown).rows
    video = _find(mapped, rows[0]) if len(rows) == 1 else None
    if video is not None:
        link["video"] = video.name
    elif ranges := write_rows(rows):
        link["rows"] = ranges
    return link
