"""The map of a gallery in two dimensions: coordinates by `analysis`, points drawn by plotly."""

import html
import importlib.util
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import streamlit as st

from dashboard.app_pages.embedding import worker
from dashboard.base.charts import GRID
from dashboard.base.style import COLOURS
from dashboard.services import jobs, uploads
from dashboard.services.embeddings import Pool
from dashboard.services.galleries import Video
from dashboard.services.jobs import Job
from dashboard.services.models import Loaded
from rspnet.names import HEAD_TITLES, HEADS

if TYPE_CHECKING:
    from analysis.figures.projection_figure import Mark
    from analysis.gallery.projection import Embedding

METHODS = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}
_NEEDS = {"tsne": "sklearn", "umap": "umap"}
# More points than these are drawn by WebGL; fewer as SVG, which every browser can.
MOST_SVG = 3000
HEIGHT, HEIGHT_OF_TWO = 560, 980
DARK_INK, LIGHT_INK = "#e6e9ee", "#1c2128"
# matplotlib's shapes in plotly's words.
_SYMBOLS = {
    "o": "circle", "s": "square", "^": "triangle-up", "D": "diamond", "v": "triangle-down",
    "P": "cross", "X": "x", "*": "star", ".": "circle",
}  # fmt: skip


# Row of a video of the gallery, or name of an upload.
Row = int | str


@dataclass(frozen=True)
class Own:
    """An upload among the points of a gallery.

    Attributes:
        video: The upload.
        places: Of each head its place (x, y) in the map.
    """

    video: Video
    places: dict[str, tuple[float, float]]


@dataclass
class Maps:
    """Coordinates of a gallery, filled by a job.

    Attributes:
        heads: Of each head.
    """

    heads: "dict[str, Embedding]" = field(default_factory=dict)


def methods() -> dict[str, str]:
    """Methods whose packages are there, by name."""
    return {
        name: title
        for name, title in METHODS.items()
        if name not in _NEEDS or importlib.util.find_spec(_NEEDS[name]) is not None
    }


@st.cache_resource(max_entries=16, show_spinner=False)
def _made(key: str, method: str, clusters: int) -> Maps:
    return Maps()


def begin(pool: Pool, method: str, clusters: int) -> tuple[Maps, Job]:
    """Begin to place a gallery's videos, or find that it was done.

    Args:
        pool: The gallery.
        method: One of :func:`methods`.
        clusters: k-means clusters; 0 for none.
    """
    made = _made(pool.key, method, clusters)

    def work(job: Job) -> None:
        from analysis.gallery.neighbours import Space
        from analysis.gallery.projection import embed_space

        for head in HEADS:
            if head not in made.heads:  # else it was placed before a stop
                job.check()
                space = Space.of(pool.gallery, head)
                if method in _NEEDS:  # minutes that nothing but its end can stop
                    request = worker.ProjectionRequest(space, method, clusters)
                    made.heads[head] = worker.place(request, job)
                else:
                    made.heads[head] = embed_space(space, method, num_clusters=clusters)
            job.done += 1

    return made, jobs.start(("map", pool.key, method, clusters), len(HEADS), work)


def forget(pool: Pool, method: str, clusters: int) -> None:
    """Let :func:`begin` resume what was stopped."""
    jobs.forget(("map", pool.key, method, clusters))


def coloured(
    mapped: Pool, made: Sequence[Maps], names: Sequence[str], colour: str
) -> "list[Embedding]":
    """The maps of both heads by each model, their labels those that the points are coloured by.

    Args:
        mapped: The gallery.
        made: Of each model.
        names: The models' names.
        colour: A column of labels, empty for none; or the head whose clusters, by the first model,
            colour all maps.
    """
    if colour in HEADS:
        clusters = made[0].heads[colour].clusters
        assert clusters is not None
        labels = tuple(f"cluster {n + 1}" for n in clusters.tolist())
    else:
        labels = mapped.columns.get(colour, ("",) * len(mapped.videos))
    return [
        replace(maps.heads[head], labels=labels, gallery=name if len(names) > 1 else "")
        for maps, name in zip(made, names, strict=True)
        for head in HEADS
    ]


def place_own(pool: Pool, made: Maps, videos: Sequence[Video], loaded: Loaded) -> list[Own]:
    """A visitor's own videos in the maps of a gallery that is without them.

    Args:
        pool: The gallery.
        made: Its maps.
        videos: The uploads.
        loaded: The model that embedded the gallery.

    Raises:
        ValueError: The model can't use one of them.
    """
    from analysis.gallery.neighbours import Space
    from analysis.gallery.projection_place import place

    vectors = {video.name: uploads.embedded(video, loaded).vectors for video in videos}
    places = {
        head: [
            place(Space.of(pool.gallery, head), made.heads[head], vectors[video.name][head])[0]
            for video in videos
        ]
        for head in HEADS
    }
    return [
        Own(video, {h: (float(at[n][0]), float(at[n][1])) for h, at in places.items()})
        for n, video in enumerate(videos)
    ]


def figure(
    found: "Sequence[Embedding]",
    titles: Sequence[str],
    chosen: Collection[Row],
    dark: bool,
    own: Sequence[Sequence[Own]] = (),
) -> Any:
    """The maps of both heads side by side, those of each model below one another, for plotly.

    Args:
        found: Of both heads by the first model, then by the second; all of the same videos.
        titles: What is said of a video when one points at it.
        chosen: Rows that stand out in all; empty: none does.
        dark: Whether the page is dark.
        own: Of each model, videos of the visitor's own, as stars over the others.

    Returns:
        A figure whose points have their video's row as ``customdata``, an upload its name.
    """
    import numpy as np
    from plotly.subplots import make_subplots

    from analysis.figures.projection_figure import marks_of

    num_columns = len(HEADS)
    num_models = len(found) // num_columns
    drawn = make_subplots(
        rows=num_models,
        cols=num_columns,
        horizontal_spacing=0.07,
        vertical_spacing=0.12,
        subplot_titles=[
            f"<b>{HEAD_TITLES[one.name]}</b>  {html.escape(one.gallery)}" for one in found
        ],
    )
    labels = np.array(found[0].labels)
    marks, other = marks_of(found[0].labels)
    layers = [*([(None, other)] if other is not None else []), *marks.items()]
    rows = {
        name: np.flatnonzero(~np.isin(labels, list(marks)) if name is None else labels == name)
        for name, _ in layers
    }
    for number, one in enumerate(found):
        place = {"row": number // num_columns + 1, "col": number % num_columns + 1}
        axis = "" if number == 0 else str(number + 1)
        font = {"color": COLOURS[one.name], "size": 16}
        # Left, since plotly's buttons are on the right.
        left = drawn.layout[f"xaxis{axis}"].domain[0]
        drawn.layout.annotations[number].update(font=font, x=left, xanchor="left")
        for name, mark in layers:
            trace = _trace(one, rows[name], mark, titles, chosen, dark, first=number == 0)
            drawn.add_trace(trace, **place)
        stars = own[number // num_columns] if own else ()
        if stars:
            trace = _own_trace(one.name, stars, chosen, dark, len(titles), first=number == 0)
            drawn.add_trace(trace, **place)
        _axes(drawn, one, f"x{axis}", place)
    drawn.update_layout(
        height=HEIGHT if num_models == 1 else HEIGHT_OF_TWO,
        margin={"l": 8, "r": 8, "t": 34, "b": 8},
        dragmode="lasso",
        hovermode="closest",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        legend={
            "orientation": "h", "yanchor": "top", "y": -0.14 / num_models, "x": 0,
            "itemsizing": "constant", "title": {"text": ""},
        },
        newselection={"line": {"dash": "dot", "width": 1.5}},
    )  # fmt: skip
    return drawn


def _trace(
    one: "Embedding",
    rows: Any,
    mark: "Mark",
    titles: Sequence[str],
    chosen: Collection[Row],
    dark: bool,
    *,
    first: bool,
) -> Any:
    import numpy as np
    import plotly.graph_objects as go

    many = len(one.paths) > MOST_SVG
    size = 4.5 if many else 9.0
    colour = DARK_INK if dark and mark.colour == "#28282e" else mark.colour
    symbol = _SYMBOLS[mark.marker] + ("" if mark.filled else "-open")
    selected = None
    if chosen:
        selected = [n for n, row in enumerate(rows.tolist()) if row in chosen]
    kind = go.Scattergl if many else go.Scatter
    return kind(
        x=one.points[rows, 0].astype(np.float32),
        y=one.points[rows, 1].astype(np.float32),
        mode="markers",
        name=mark.name.replace("_", " ") + f" ({mark.num:,})",
        legendgroup=mark.name,
        showlegend=first,
        customdata=rows,
        text=[titles[n] for n in rows.tolist()],
        hovertemplate="%{text}<extra></extra>",
        marker={"color": colour, "symbol": symbol, "size": size, "opacity": 0.8},
        selectedpoints=selected,
        selected={"marker": {"opacity": 1.0, "size": size * 1.25}},
        unselected={"marker": {"opacity": 0.12 if many else 0.3}},
    )


def _own_trace(
    head: str, own: Sequence[Own], chosen: Collection[Row], dark: bool, num: int, *, first: bool
) -> Any:
    import plotly.graph_objects as go

    kind = go.Scattergl if num > MOST_SVG else go.Scatter
    selected = [n for n, one in enumerate(own) if one.video.name in chosen]
    ink = DARK_INK if dark else LIGHT_INK
    mark, words = {"opacity": 1.0}, {"color": ink}
    return kind(
        x=[one.places[head][0] for one in own],
        y=[one.places[head][1] for one in own],
        mode="markers+text",
        name=f"yours ({len(own)})",
        legendgroup="yours",
        showlegend=first,
        customdata=[one.video.name for one in own],
        text=[one.video.title.removesuffix(" (yours)") for one in own],
        textposition="top center",
        textfont={"size": 12} | words,
        hovertemplate="%{text}, yours<extra></extra>",
        marker={
            "symbol": "star", "size": 17, "color": ink,
            "line": {"width": 1.5, "color": LIGHT_INK if dark else "#ffffff"},
        },
        selectedpoints=selected if chosen else None,
        selected={"marker": mark | {"size": 21}, "textfont": words},
        unselected={"marker": mark, "textfont": words},
    )  # fmt: skip


def _axes(drawn: Any, one: "Embedding", anchor: str, place: dict[str, int]) -> None:
    names = ["", ""]
    if one.explained is not None:
        names = [
            f"PC {n}, {100 * share:.0f}% of the variance"
            for n, share in enumerate(one.explained, 1)
        ]
    plain = {
        "zeroline": False,
        "showgrid": True,
        "gridcolor": GRID,
        "nticks": 6,
        "showticklabels": bool(names[0]),
    }
    drawn.update_xaxes(title={"text": names[0], "standoff": 6}, **plain, **place)
    # One unit is as long to the right as up: distances are what counts.
    drawn.update_yaxes(
        title={"text": names[1], "standoff": 4}, scaleanchor=anchor, **plain, **place
    )
