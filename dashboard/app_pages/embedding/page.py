"""Embedding: the gallery as a map, by both heads, with one selection in both."""

import html
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from dashboard.app_pages.embedding import points as embedding_map
from dashboard.app_pages.embedding.points import Maps, Own, Row
from dashboard.base import links
from dashboard.base.arguments import shown_path
from dashboard.base.session import state_of
from dashboard.base.state import choose_number, plain
from dashboard.services import uploads
from dashboard.services.embeddings import Pool
from dashboard.services.galleries import Video
from dashboard.services.jobs import Job
from dashboard.services.models import Loaded, ModelChoice
from dashboard.widgets import cards, export, pool, progress, shell, upload_panel
from dashboard.widgets.export import Command, File
from dashboard.widgets.map_options import choose_one
from dashboard.widgets.shell import Opened
from dashboard.widgets.upload_panel import Use

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUMMARY = "The gallery in two dimensions by each head: which videos lie close together."
COLOURS_BY = {"label": "Label", "rsp": "Clusters of RSP", "avid": "Clusters of A-VID"}
CLUSTERS = range(2, 11)
PAGE = 18
MOST_LABELS = 4
# Keys of the menus.
METHOD, COLOUR, NUM_CLUSTERS = "embedding_method", "embedding_colour", "embedding_clusters"


@dataclass
class Shown:
    """What the page shows to one visitor.

    Attributes:
        rows: The videos that are selected: rows of the gallery, and names of uploads.
        gallery: Key of the gallery that they are of.
        clusters: Number of clusters, also while the points are coloured by label.
        waiting: Name of the video that a link selects, until the gallery is there.
    """

    rows: list[Row] = field(default_factory=list)
    gallery: str = ""
    clusters: int = 6
    waiting: str | None = None


def page() -> None:
    """Draw the page."""
    opened = shell.open_page("Embedding", SUMMARY)
    if not opened.models:
        st.error(shell.NO_MODEL, icon=":material/error:")
        return
    with st.container(key="display", horizontal=True, vertical_alignment="bottom", gap="medium"):
        model, title = pool.choose_videos(opened)
        method, colour, clusters = _choose(opened)
    if opened.link:  # what was said of files on another page is nothing to this one
        uploads.store_of_session().refused = []
        state_of(Shown).waiting = opened.link.get("video")
    found = pool.open_pool(model, title, opened.arguments)
    if found is None:
        links.show_notes(opened.notes)
        return
    mapped, loaded = found
    _restore_chosen(mapped)
    links.show_notes(opened.notes)
    if colour != "label" and clusters > len(mapped.videos):
        clusters = len(mapped.videos)
    points_by = 0 if colour == "label" else clusters
    made, job = embedding_map.begin(mapped, method, points_by)
    job.finished.wait(1.5)
    links.write(_link(mapped, model, title, method, colour, clusters))
    again = partial(embedding_map.forget, mapped, method, points_by)
    words = partial(_placing, method)
    if not progress.is_done(job, "map", words, "heads", again, "This gallery has no such map"):
        return
    own = _place_own(mapped, made, loaded)
    _draw_map(mapped, made, colour, own)
    if own:
        st.caption(_about_own(method))
    _draw_chosen(mapped, model, title)
    skipped = pool.skipped(mapped)
    if skipped:
        st.caption(plain(skipped))
    _draw_export(mapped, made, method, colour, model, opened)


def _placing(method: str, job: Job) -> str:
    return (
        f"Placing the videos by {embedding_map.METHODS[method]}, head "
        f"{min(job.total, job.done + 1)} of {job.total}. It continues while you visit other pages."
    )


def _choose(opened: Opened) -> tuple[str, str, int]:
    """Method, what colours the points, and number of clusters."""
    link = opened.link
    method = choose_one(METHOD, "the method", "Method", embedding_map.methods(), link.get("method"))
    colour = choose_one(COLOUR, "the colouring", "Colour by", COLOURS_BY, link.get("colour"))
    shown = state_of(Shown)
    if "clusters" in link:
        given = choose_number("the number of clusters", link["clusters"], CLUSTERS, shown.clusters)
        links.take(NUM_CLUSTERS, given)
        shown.clusters = given.value
    if colour != "label":
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
    given, shown.waiting = shown.waiting, None
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


def _draw_map(mapped: Pool, made: Maps, colour: str, own: list[Own]) -> None:
    chosen = set(state_of(Shown).rows)
    st.html(
        '<p class="lead" data-testid="how">Each point is a video, in both maps at its own place. '
        "Draw a line around some, or take the tool <b>Pan</b> at the upper right and click one: it "
        "stands out in both maps, and its film is shown below.</p>"
    )
    dark = getattr(st.context.theme, "type", "light") == "dark"
    figure = embedding_map.figure(
        embedding_map.coloured(made, colour),
        [v.title for v in mapped.videos],
        chosen,
        dark,
        own,
    )
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
            f"{len(mapped.videos)} videos as points in two maps, by RSP and by A-VID, coloured by "
            f"{COLOURS_BY[colour]}. The search below finds videos without the map."
        ),
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


def _draw_export(
    mapped: Pool, made: Maps, method: str, colour: str, model: ModelChoice, opened: Opened
) -> None:
    name = f"embedding-{method}-{colour}"
    label = "label" if colour == "label" else f"the clusters of {COLOURS_BY[colour].split()[-1]}"

    def draw() -> "Figure":
        from analysis.figures.projection_figure import draw_embeddings

        return draw_embeddings(embedding_map.coloured(made, colour), label=label).figure

    def table() -> bytes:
        from analysis.gallery.projection import write_points

        found = embedding_map.coloured(made, colour)
        return export.written(".csv", lambda path: write_points(path, found))

    files = [*export.figure_files(name, draw), File("Data", f"{name}.csv", table)]
    commands = []
    if colour == "label":
        words = ["python", "-m", "analysis", "projection", "--gallery"]
        words += [shown_path(mapped.folder), "--method", method, "--out", f"{name}.pdf"]
        commands.append(Command("The figure", tuple(words)))
    commands.append(export.app_command(opened.arguments, model.path))
    export.panel("embedding", files, commands)


def _link(
    mapped: Pool, model: ModelChoice, title: str, method: str, colour: str, clusters: int
) -> dict[str, str]:
    link = {"model": model.name, "gallery": title, "method": method, "colour": colour}
    if colour != "label":
        link["clusters"] = str(clusters)
    rows = state_of(Shown).rows
    if len(rows) == 1:
        video = _find(mapped, rows[0])
        if video is not None:
            link["video"] = video.name
    return link
