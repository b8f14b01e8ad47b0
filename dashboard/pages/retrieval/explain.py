"""Why is this video near to the query? Maps of what ranked it, in a window over the page."""

import html
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from dashboard.base.arguments import shown_path
from dashboard.base.style import signed, small
from dashboard.overlays.clip_ref import ClipRef
from dashboard.overlays.panel import PANEL_PIXELS, overlay_sheet
from dashboard.services import galleries, uploads
from dashboard.services.embeddings import Pool
from dashboard.services.models import Loaded
from dashboard.widgets import export
from dashboard.widgets.pool import nearest

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from analysis.attribution.retrieval_result import RetrievalExplanation, VideoMaps
    from rspnet.retrieval.gallery import Neighbour

MOST_EXPLAINED = 5
OPACITY = 0.75
NAMES = {"rsp": "RSP", "avid": "A-VID", "backbone": "the backbone"}


@dataclass(frozen=True)
class Asked:
    """What is to be explained.

    Attributes:
        pool: The gallery.
        loaded: Its model.
        query: Row of the query.
        feature: What ranks.
        model_path: File of the model, for command lines.
    """

    pool: Pool
    loaded: Loaded
    query: int
    feature: str
    model_path: Path

    @property
    def file_name(self) -> str:
        """For files that are handed out."""
        return f"retrieval-{self.feature}-{self.pool.videos[self.query].path.stem}"


@dataclass(frozen=True)
class Tile:
    """A clip with a map drawn over it.

    Attributes:
        picture: Its frames, as a data URI.
        clip: Which of the video's clips it is, from 1.
        share: What this clip's map comes to.
        total: What the maps of all clips come to.
        first: First frame of the video that it shows.
        last: Last of them.
    """

    picture: str
    clip: int
    share: float
    total: float
    first: int
    last: int


def explain(asked: Asked, rank: int) -> "RetrievalExplanation":
    """What :func:`analysis.attribution.retrieval_hit.explain_rank` says, made once.

    Raises:
        ValueError: A video has changed or can't be read, or the head has no exact map.
    """
    return _explain(asked.pool.key, asked.query, asked.feature, rank, asked)


@st.cache_resource(max_entries=128, show_spinner=False)
def _explain(
    key: str, query: int, feature: str, rank: int, _asked: Asked
) -> "RetrievalExplanation":
    from analysis.attribution.retrieval_hit import explain_rank

    found, loaded = _asked.pool.gallery, _asked.loaded
    with loaded.lock:
        return explain_rank(loaded.query, found, found.paths[query], feature, rank)


@st.cache_data(max_entries=64, show_spinner=False)
def _tiles(
    key: str, query: int, feature: str, rank: int, _asked: Asked
) -> tuple[list[Tile], float, float]:
    """Query, hit, and query against the next hit; the scales of the first two and of the last."""
    from analysis.figures.overlay import common_limit
    from analysis.figures.retrieval_figure import strongest

    found = explain(_asked, rank)
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
    return Tile(drawn, clip + 1, total, video.total, indices[0], indices[-1])


def draw_hit(asked: Asked, rank: int) -> None:
    """The maps of one hit."""
    with st.spinner("Sending the clips of both videos through the network"):
        found = explain(asked, rank)
        tiles, limit, limit_of_gap = _tiles(asked.pool.key, asked.query, asked.feature, rank, asked)
    hit, query = found.hits[0], asked.pool.videos[asked.query]
    title = html.escape(asked.pool.videos[hit.index].title)
    st.html(
        f'<p class="lead" data-testid="why">By {NAMES[asked.feature]}, <b>{title}</b> is '
        f"no. {rank} of {found.num_videos:,} to <b>{html.escape(query.title)}</b>, with "
        f'<span class="symbol">s</span> = {signed(hit.similarity)}.</p>'
    )
    heads = ["The query: what makes the two alike", "The hit: what makes the two alike"]
    heads += [f"The query: what makes it nearer to this than to no. {rank + 1}"] * len(found.gaps)
    limits = [limit, limit, limit_of_gap]
    figures = [_figure(*one) for one in zip(tiles, heads, limits, strict=False)]
    num_clips = found.protocol.num_clips
    st.html(
        f'<div class="example" data-testid="why-tiles">{"".join(figures)}</div>'
        '<p class="lead" style="margin-top: 0.8rem">Orange adds to the score, blue takes away. '
        f"The maps of all {num_clips} clips of a video sum to its score within "
        f"{small(found.completeness_error)}; of each video this is the clip that counts most. "
        "Point at a picture to see it move.</p>"
    )
    _export(asked, [rank])


def _figure(tile: Tile, head: str, limit: float) -> str:
    return (
        f'<figure><div class="tile" role="img" aria-label="{html.escape(head)}" '
        f'style="background-image: url({tile.picture})"></div><figcaption><b>{head}</b>'
        f"clip {tile.clip}, frames {tile.first} to {tile.last}: {signed(tile.share)} of "
        f"{signed(tile.total)}, scale \N{PLUS-MINUS SIGN}{limit:.2g}</figcaption></figure>"
    )


def draw_list(asked: Asked, num: int) -> None:
    """The figure of the first hits, explained one by one."""
    num = min(num, MOST_EXPLAINED)
    slot = st.empty()
    for rank in range(1, num + 1):
        slot.progress(
            (rank - 1) / num, f"Explaining hit {rank} of {num}. Close this window to stop."
        )
        explain(asked, rank)
    slot.progress(1.0, "Drawing the figure")
    picture = _picture(asked.pool.key, asked.query, asked.feature, num, asked)
    slot.empty()
    names = ", ".join(
        asked.pool.videos[hit.index].title
        for rank in range(1, num + 1)
        for hit in explain(asked, rank).hits
    )
    title = asked.pool.videos[asked.query].title
    st.image(
        picture, width="stretch", output_format="PNG",
        caption=f"The nearest to {title} by {NAMES[asked.feature]}: {names}.",
    )  # fmt: skip
    _export(asked, range(1, num + 1))


def _joined(asked: Asked, ranks: Sequence[int]) -> "RetrievalExplanation":
    from analysis.attribution.retrieval_hit import join_ranks

    return join_ranks([explain(asked, rank) for rank in ranks])


@st.cache_data(max_entries=16, show_spinner=False)
def _picture(key: str, query: int, feature: str, num: int, _asked: Asked) -> bytes:
    return export.figure_files(_asked.file_name, _drawer(_asked, range(1, num + 1)))[0].make()


def _drawer(asked: Asked, ranks: Sequence[int]) -> "Callable[[], Figure]":
    def draw() -> "Figure":
        from analysis.figures.retrieval_figure import draw_retrieval

        return draw_retrieval(_joined(asked, ranks)).figure

    return draw


def _export(asked: Asked, ranks: Sequence[int]) -> None:
    name = asked.file_name + (f"-{ranks[0]}" if len(ranks) == 1 else "")
    files = export.figure_files(name, _drawer(asked, ranks))
    files.append(
        export.File(
            "Data",
            f"{name}.npz",
            lambda: export.written(".npz", lambda path: _joined(asked, ranks).save(path)),
        )
    )
    files.append(
        export.File(
            "Data",
            f"{name}.json",
            lambda: (json.dumps(_joined(asked, ranks).to_json(), indent=1) + "\n").encode(),
        )
    )
    export.panel("why", files, commands_of(asked, ranks[-1]))


def commands_of(asked: Asked, num: int) -> list[export.Command]:
    """The command line that explains the first hits; none for an upload, which goes."""
    if uploads.is_upload(asked.pool.videos[asked.query]):
        return []
    words = [
        "python",
        "-m",
        "analysis",
        "retrieval",
        "--model",
        shown_path(asked.model_path),
    ]
    words += ["--gallery", shown_path(asked.pool.folder)]
    words += ["--query", shown_path(asked.pool.videos[asked.query].path)]
    words += ["--feature", asked.feature, "--k", str(num), "--out", asked.file_name]
    title = f"The first hits by {NAMES[asked.feature]}, explained"
    return [export.Command(title, tuple(words))]


def hits_of(asked: Asked, k: int) -> "tuple[list[Neighbour], str]":
    """A list of at most k hits; or none, and why."""
    try:
        return nearest(asked.pool, asked.feature, asked.query, k), ""
    except ValueError as error:  # a vector of length 0: the head sees nothing in this video
        return [], str(error)
