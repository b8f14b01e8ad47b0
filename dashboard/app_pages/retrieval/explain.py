"""Why is this video near to the query? Maps of what ranked it, in a window over the page."""

import hashlib
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
from dashboard.base.style import signed, small
from dashboard.base.viewer import viewer
from dashboard.overlays import verdict_job
from dashboard.overlays.clip_ref import ClipRef
from dashboard.services import galleries, uploads
from dashboard.services.embeddings import Pool
from dashboard.services.models import Loaded, ModelChoice
from dashboard.widgets import cards, export, shell, verdicts
from rspnet.files import printable
from rspnet.names import HEADS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from analysis import ClipInfo, Score, View
    from analysis.attribution.retrieval.result import (
        ExplainedHit,
        RetrievalExplanation,
        VideoMaps,
    )
    from analysis.core.clip_map import Map
    from analysis.report.verdict import Verdict

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


HASHES: "dict[str | type[object], Callable[[Any], object]]" = {
    ExplainRequest: lambda request: (request.pool.key, request.query, request.feature)
}


@st.cache_resource(max_entries=128, show_spinner=False, hash_funcs=HASHES)
def explain(request: ExplainRequest, rank: int) -> "RetrievalExplanation":
    """What :func:`analysis.attribution.retrieval.hit.explain_rank` gives, computed once.

    Raises:
        ValueError: A video has changed or can't be read, or the head has no exact map.
    """
    from analysis.attribution.retrieval.hit import explain_rank

    found, loaded = request.pool.gallery, request.loaded
    with loaded.lock:
        query = found.paths[request.query]
        return explain_rank(loaded.query, found, query, request.feature, rank)


def _shown_clips(hit: "ExplainedHit") -> "dict[str, tuple[VideoMaps, int]]":
    """Of the query and of the hit, by side: its maps, and which of its clips is shown."""
    from analysis.figures.retrieval_figure import strongest

    sides = {"query": hit.query_maps, "hit": hit.hit_maps}
    return {side: (video, strongest(video)[0]) for side, video in sides.items()}


@st.cache_resource(max_entries=128, show_spinner=False, hash_funcs=HASHES)
def _still(request: ExplainRequest, rank: int) -> "dict[int, tuple[Map, Map]]":
    """What stands still in the clips of a hit, for the strip."""
    from analysis.figures.viewer.retrieval import still_of_hits

    with request.loaded.lock:
        return still_of_hits(request.loaded.query, explain(request, rank))


@st.cache_data(max_entries=64, show_spinner=False, hash_funcs=HASHES)
def _panels(request: ExplainRequest, rank: int) -> dict[str, Any]:
    """What the viewer draws of one hit: query and hit with their maps, and the strip below."""
    from analysis.figures.viewer.retrieval import panels_of

    found = explain(request, rank)
    data = panels_of(found, OPACITY, PANEL_PIXELS, _still(request, rank))
    videos = request.pool.videos
    titles = [videos[request.query].title, videos[found.hits[0].index].title]
    (row,) = data["rows"]
    for n, (video, clip) in enumerate(_shown_clips(found.hits[0]).values()):
        frames = video.maps[clip].clip.frame_indices
        aspect = galleries.pixel_aspect(video.path)
        detail = f"{titles[n]}, frames {frames[0]} to {frames[-1]}"
        data["columns"][n] |= {"detail": detail, "aspect": aspect}
        data["strip"]["clips"][n]["aspect"] = aspect
        # What only the offline page says and marks in the pictures.
        row["panels"][n] |= {"limit": "", "boxes": None}
    row["note"] = cards.label_of(videos[found.hits[0].index])
    name = (request.pool.key, request.query, request.feature, rank)
    return data | {"token": hashlib.sha256(repr(name).encode()).hexdigest()[:16]}


@st.cache_data(max_entries=64, show_spinner=False, hash_funcs=HASHES)
def _gap_tile(request: ExplainRequest, rank: int) -> str:
    """What makes the hit nearer than the next one, on the query, HTML; empty of the last one."""
    shown = []
    for gap in explain(request, rank).gaps:
        head = f"The query: what makes it nearer to this than to no. {gap.other_rank}"
        shown.append((gap.query_maps, head, head, f"nearer by {signed(gap.gap)}"))
    return "".join(tiles_of(shown))


def tiles_of(videos: "Sequence[tuple[VideoMaps, str, str, str]]") -> list[str]:
    """Videos with their maps, of each the clip that counts most, on one colour scale; HTML.

    Args:
        videos: Of each its maps, what is read out, its title, and what stands below it.
    """
    from analysis.figures.overlay import common_limit
    from analysis.figures.retrieval_figure import strongest

    clips = [maps.maps[strongest(maps)[0]] for maps, *_ in videos]
    limit, drawn = common_limit([own.values for own in clips]) if clips else 0.0, []
    for (maps, alt, title, text), own in zip(videos, clips, strict=True):
        info, path = own.clip, Path(maps.path)
        frames = info.frame_indices
        ref = ClipRef(galleries.identity(path), frames, info.speed, PANEL_PIXELS)
        pixels = ref.frames(PANEL_PIXELS)
        picture = overlay_sheet(pixels, own.values, own.grid, limit, opacity=OPACITY)
        text = html.escape(f"{text}; frames {frames[0]} to {frames[-1]}")
        aspect = galleries.pixel_aspect(path)
        drawn.append(cards.tile(picture, alt, html.escape(title), text, aspect))
    return drawn


@st.fragment
def _draw_panels(request: ExplainRequest, rank: int) -> None:
    """A move of the scrubber runs this alone."""
    with st.container(key=f"why_panels_{rank}"):
        viewer(_panels(request, rank), f"hit_{request.name}_{rank}", lambda _frame: None)


def draw_hit(request: ExplainRequest, rank: int) -> None:
    """The maps of one hit."""
    with st.spinner("Sending the clips of both videos through the network"):
        found = explain(request, rank)
        _panels(request, rank)
        gap = _gap_tile(request, rank)
    hit, query = found.hits[0], request.pool.videos[request.query]
    st.html(f'<p class="lead" data-testid="why">{_said(request, found)}</p>')
    _draw_panels(request, rank)
    if request.feature in HEADS:
        score, view = _checked(request, found)
        verdicts.draw(lambda: verdict_job.start_score(score, view), "this map of the query")
    st.html(
        '<p class="lead">Orange raises <span class="symbol">s</span>, blue lowers it. '
        f"The maps of all {found.protocol.num_clips} clips of a video sum to it within "
        f"{small(found.completeness_error)}; of each video this is the clip that counts most.</p>"
        + (f'<div class="example" data-testid="why-tiles">{gap}</div>' if gap else "")
    )
    (of_query, i), (of_hit, j) = _shown_clips(hit).values()
    clips = {"i": of_query.maps[i].clip, "j": of_hit.maps[j].clip}
    shell.link_to(
        "compare",
        "Open these two clips in Compare",
        ":material/compare:",
        i=query.name,
        j=request.pool.videos[hit.index].name,
        **{f"{side}_start": str(clip.frame_indices[0]) for side, clip in clips.items()},
        **{f"{side}_speed": str(_speed(clip)) for side, clip in clips.items()},
        **links.visit().carried | {"model": request.model},
    )
    _export(request, [rank])


def _checked(request: ExplainRequest, found: "RetrievalExplanation") -> "tuple[Score, View]":
    """By a head: the score of a hit whose map of the query is checked, and the query's clip."""
    from analysis.report.verdict import query_of_hit

    return query_of_hit(request.loaded.query, found.hits[0])


def verdicts_of(request: ExplainRequest, ranks: Sequence[int]) -> "dict[int, Verdict]":
    """By rank, the verdicts on the hits' maps of the query that are there."""
    if request.feature not in HEADS:
        return {}
    kept = {
        rank: verdict_job.kept_of_score(*_checked(request, explain(request, rank)))
        for rank in ranks
    }
    return {rank: found[request.feature] for rank, found in kept.items() if found}


def _said(request: ExplainRequest, found: "RetrievalExplanation") -> str:
    """Which hit it is, in a sentence of HTML."""
    (hit,) = found.hits
    videos = request.pool.videos
    return (
        f"By {NAMES[request.feature]}, <b>{html.escape(videos[hit.index].title)}</b> is "
        f"no. {hit.rank} of {found.num_videos:,} to "
        f"<b>{html.escape(videos[request.query].title)}</b>, with "
        f'<span class="symbol">s</span> = {signed(hit.similarity)}.'
    )


def _speed(clip: "ClipInfo") -> int:
    """Frames of the video per frame of the clip."""
    return clip.frame_indices[1] - clip.frame_indices[0]


def draw_list(request: ExplainRequest, ranks: Sequence[int]) -> None:
    """Some hits, each with its maps and its strip, which are explained one by one."""
    slot = st.empty()
    for done, rank in enumerate(ranks):
        slot.progress(
            done / len(ranks),
            f"Explaining hit {done + 1} of {len(ranks)}. Close this window to stop.",
        )
        st.html(f'<p class="lead" data-testid="why">{_said(request, explain(request, rank))}</p>')
        _draw_panels(request, rank)
    slot.empty()
    _export(request, ranks)


def _joined(request: ExplainRequest, ranks: Sequence[int]) -> "RetrievalExplanation":
    from analysis.attribution.retrieval.hit import join_ranks

    return join_ranks([explain(request, rank) for rank in ranks])


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

        # Whether the maps were checked is known when the file is made, on its download.
        checked = verdicts_of(request, ranks)
        command = lines.get(".html", "")
        if command and checked:
            command += " --verdict true"
        still = {rank: own for one in ranks for rank, own in _still(request, one).items()}
        joined = _joined(request, ranks)
        return to_html(joined, path, verdicts=checked, still=still, command=command)

    def values() -> bytes:
        said = {rank: own.sentence for rank, own in verdicts_of(request, ranks).items()}
        made = _joined(request, ranks).to_json() | {"verdicts": said}
        return (json.dumps(made, indent=1) + "\n").encode()

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
            values,
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
