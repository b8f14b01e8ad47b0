"""Why is this video near to the query? Maps of what ranked it, in a window over the page."""

import html
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from analysis.figures.viewer.panel import PANEL_PIXELS, overlay_sheet
from dashboard.app_pages.retrieval import lists
from dashboard.app_pages.retrieval.lists import Filter, Hit
from dashboard.base import links
from dashboard.base.arguments import shown_path
from dashboard.base.state import plain
from dashboard.base.style import signed, small
from dashboard.overlays.clip_ref import ClipRef
from dashboard.services import galleries, uploads
from dashboard.services.embeddings import Pool
from dashboard.services.models import Loaded, ModelChoice
from dashboard.widgets import cards, export, shell
from rspnet.files import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from analysis.attribution.retrieval_result import RetrievalExplanation, VideoMaps

MOST_EXPLAINED = 5
OPACITY = 0.75
NAMES = {"rsp": "RSP", "avid": "A-VID", "backbone": "the backbone"}


@dataclass(frozen=True)
class ExplainRequest:
    """A list of hits of which some are to be explained.

    Attributes:
        pool: The gallery.
        loaded: Its model.
        query: Row of the query.
        feature: What ranks.
        choice: The model as menus and links name it.
        is_second: Whether it is the model that is shown beside the first.
    """

    pool: Pool
    loaded: Loaded
    query: int
    feature: str
    choice: ModelChoice
    is_second: bool = False

    @property
    def name(self) -> str:
        """Of the list, for links."""
        return f"{self.feature}-2" if self.is_second else self.feature

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.choice.name

    @property
    def file_name(self) -> str:
        """For files that are handed out."""
        stem = printable(self.pool.videos[self.query].path.stem)
        return f"retrieval-{self.name}-{stem}"


@dataclass(frozen=True)
class Tile:
    """A clip with a map drawn over it.

    Attributes:
        picture: Its frames, as a data URI.
        clip: Which of the video's clips it is, from 1.
        share: What this clip's map comes to.
        total: What the maps of all clips come to.
        frames: Frames of the video that it shows, from 0.
        aspect: Width by height of the video's pixels.
    """

    picture: str
    clip: int
    share: float
    total: float
    frames: tuple[int, ...]
    aspect: float

    @property
    def speed(self) -> int:
        """Playback speed: frames of the video per frame of the clip."""
        return self.frames[1] - self.frames[0]


HASHES: "dict[str | type[object], Callable[[Any], object]]" = {
    ExplainRequest: lambda request: (request.pool.key, request.query, request.feature)
}


@st.cache_resource(max_entries=128, show_spinner=False, hash_funcs=HASHES)
def explain(request: ExplainRequest, rank: int) -> "RetrievalExplanation":
    """What :func:`analysis.attribution.retrieval_hit.explain_rank` gives, computed once.

    Raises:
        ValueError: A video has changed or can't be read, or the head has no exact map.
    """
    from analysis.attribution.retrieval_hit import explain_rank

    found, loaded = request.pool.gallery, request.loaded
    with loaded.lock:
        query = found.paths[request.query]
        return explain_rank(loaded.query, found, query, request.feature, rank)


@st.cache_data(max_entries=64, show_spinner=False, hash_funcs=HASHES)
def _tiles(request: ExplainRequest, rank: int) -> tuple[list[Tile], float, float]:
    """Query, hit, and query against the next hit; the scales of the first two and of the last."""
    from analysis.figures.overlay import common_limit
    from analysis.figures.retrieval_figure import strongest

    found = explain(request, rank)
    hit = found.hits[0]
    own = [(video, strongest(video)[0]) for video in (hit.query_maps, hit.hit_maps)]
    limit = common_limit([video.maps[clip].values for video, clip in own])
    shown = [_tile(video, clip, limit) for video, clip in own]
    limit_of_gap = 0.0
    for gap in found.gaps:
        clip = strongest(gap.query_maps)[0]
        limit_of_gap = common_limit([gap.query_maps.maps[clip].values])
        shown.append(_tile(gap.query_maps, clip, limit_of_gap))
    return shown, limit, limit_of_gap


def _tile(video: "VideoMaps", clip: int, limit: float) -> Tile:
    own = video.maps[clip]
    indices = own.clip.frame_indices
    ref = ClipRef(galleries.identity(Path(video.path)), indices, own.clip.speed, PANEL_PIXELS)
    drawn = overlay_sheet(ref.frames(PANEL_PIXELS), own.values, own.grid, limit, opacity=OPACITY)
    total = float(own.values.sum())
    aspect = galleries.pixel_aspect(video.path)
    return Tile(drawn, clip + 1, total, video.total, tuple(indices), aspect)


def draw_hit(request: ExplainRequest, rank: int) -> None:
    """The maps of one hit."""
    with st.spinner("Sending the clips of both videos through the network"):
        found = explain(request, rank)
        tiles, limit, limit_of_gap = _tiles(request, rank)
    hit, query = found.hits[0], request.pool.videos[request.query]
    title = html.escape(request.pool.videos[hit.index].title)
    st.html(
        f'<p class="lead" data-testid="why">By {NAMES[request.feature]}, <b>{title}</b> is '
        f"no. {rank} of {found.num_videos:,} to <b>{html.escape(query.title)}</b>, with "
        f'<span class="symbol">s</span> = {signed(hit.similarity)}.</p>'
    )
    heads = ["The query: what adds to the similarity", "The hit: what adds to the similarity"]
    heads += [f"The query: what makes it nearer to this than to no. {rank + 1}"] * len(found.gaps)
    limits = [limit, limit, limit_of_gap]
    figures = [_figure(*one) for one in zip(tiles, heads, limits, strict=False)]
    num_clips = found.protocol.num_clips
    st.html(
        f'<div class="example" data-testid="why-tiles">{"".join(figures)}</div>'
        '<p class="lead" style="margin-top: 0.8rem">Orange raises the score, blue lowers it. '
        f"The maps of all {num_clips} clips of a video sum to its score within "
        f"{small(found.completeness_error)}; of each video this is the clip that counts most. "
        "Point at a picture, or go to it with Tab, to see it move.</p>"
    )
    of_query, of_hit = tiles[:2]
    shell.link_to(
        "compare",
        "Open these two clips in Compare",
        ":material/compare:",
        i=query.name,
        j=request.pool.videos[hit.index].name,
        i_start=str(of_query.frames[0]),
        j_start=str(of_hit.frames[0]),
        i_speed=str(of_query.speed),
        j_speed=str(of_hit.speed),
        **links.visit().carried | {"model": request.model},
    )
    _export(request, [rank])


def _figure(tile: Tile, head: str, limit: float) -> str:
    text = (
        f"clip {tile.clip}, frames {tile.frames[0]} to {tile.frames[-1]}: {signed(tile.share)} of "
        f"{signed(tile.total)}, scale \N{PLUS-MINUS SIGN}{limit:.2g}"
    )
    return cards.tile(tile.picture, head, head, text, tile.aspect)


def draw_list(request: ExplainRequest, ranks: Sequence[int]) -> None:
    """The figure of some hits, which are explained one by one."""
    slot = st.empty()
    for done, rank in enumerate(ranks):
        slot.progress(
            done / len(ranks),
            f"Explaining hit {done + 1} of {len(ranks)}. Close this window to stop.",
        )
        explain(request, rank)
    slot.progress(1.0, "Drawing the figure")
    picture = _picture(request, tuple(ranks))
    slot.empty()
    names = ", ".join(
        request.pool.videos[hit.index].title
        for rank in ranks
        for hit in explain(request, rank).hits
    )
    title = request.pool.videos[request.query].title
    st.image(
        picture, width="stretch", output_format="PNG",
        caption=plain(f"Near to {title} by {NAMES[request.feature]}: {names}."),
    )  # fmt: skip
    _export(request, ranks)


def _joined(request: ExplainRequest, ranks: Sequence[int]) -> "RetrievalExplanation":
    from analysis.attribution.retrieval_hit import join_ranks

    return join_ranks([explain(request, rank) for rank in ranks])


@st.cache_data(max_entries=16, show_spinner=False, hash_funcs=HASHES)
def _picture(request: ExplainRequest, ranks: tuple[int, ...]) -> bytes:
    return export.figure_files(request.file_name, _drawer(request, ranks))[0].make()


def _drawer(request: ExplainRequest, ranks: Sequence[int]) -> "Callable[[], Figure]":
    def draw() -> "Figure":
        from analysis.figures.retrieval_figure import draw_retrieval

        return draw_retrieval(_joined(request, ranks)).figure

    return draw


def _export(request: ExplainRequest, ranks: Sequence[int]) -> None:
    export.panel("why", files_of(request, ranks), commands_of(request, max(ranks)))


def files_of(request: ExplainRequest, ranks: Sequence[int]) -> list[export.File]:
    """Files of some hits, made when they are downloaded."""
    name = request.file_name + (f"-{ranks[0]}" if len(ranks) == 1 else "")
    title = f"Nearest to {request.pool.videos[request.query].title} by {NAMES[request.feature]}"
    commands = commands_of(request, max(ranks))
    lines = {Path(command.words[-1]).suffix: command.line for command in commands}

    def page(path: Path) -> Path:
        from analysis import to_html

        return to_html(_joined(request, ranks), path, command=lines.get(".html", ""))

    files = [export.File("Page", f"{name}.html", lambda: export.written(".html", page))]
    files += export.figure_files(name, _drawer(request, ranks), title, lines.get("", ""))
    files.append(
        export.File(
            "Data",
            f"{name}.npz",
            lambda: export.written(".npz", lambda path: _joined(request, ranks).save(path)),
        )
    )
    files.append(
        export.File(
            "Data",
            f"{name}.json",
            lambda: (json.dumps(_joined(request, ranks).to_json(), indent=1) + "\n").encode(),
        )
    )
    return files


def commands_of(request: ExplainRequest, num: int) -> list[export.Command]:
    """The command line that explains the first hits; none for an upload, which goes."""
    if uploads.is_upload(request.pool.videos[request.query]):
        return []
    words = ["python", "-m", "analysis", "retrieval", "--model", shown_path(request.choice.path)]
    words += ["--gallery", shown_path(request.pool.folder)]
    words += ["--query", shown_path(request.pool.videos[request.query].path)]
    words += ["--feature", request.feature, "--k", str(num), "--out"]
    title = f"The first hits by {NAMES[request.feature]}, explained"
    return [
        export.Command(title, (*words, request.file_name)),
        export.Command(f"{title}, as one page", (*words, f"{request.file_name}.html")),
    ]


def hits_of(request: ExplainRequest, shown: Filter) -> tuple[list[Hit], str]:
    """What a list shows; or nothing, and why."""
    try:
        return lists.hits_of(request.pool, request.feature, request.query, shown), ""
    except ValueError as error:  # a vector of length 0 has no direction to compare
        return [], str(error)
