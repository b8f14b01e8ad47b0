"""The offline page of a retrieval: of each hit what makes it near, in the query and in the hit."""

from collections.abc import Mapping
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

from analysis.attribution.retrieval.hit import still_part
from analysis.attribution.retrieval.result import ExplainedHit, RetrievalExplanation, VideoMaps
from analysis.core.clip_map import Map
from analysis.core.table import Table, Value
from analysis.figures.overlay import common_limit
from analysis.figures.retrieval_figure import strongest
from analysis.figures.viewer.page import (
    MOST_BYTES,
    PIXELS,
    Checked,
    Page,
    Part,
    command_part,
    sizes,
    verdict_part,
)
from analysis.figures.viewer.pair import frames_at, view_of
from analysis.figures.viewer.panel import Panel, colour_ramp, draw_panel, strongest_frame_of
from analysis.figures.viewer.pictures import SHEET_COLUMNS, resize
from analysis.figures.viewer.rows import COLOURS, DASHES, PLAY_FPS, bar_of, signed, small
from analysis.figures.viewer.strip import film_of, strip_of_hits
from rspnet.files import printable
from rspnet.models import Branch
from rspnet.names import HEAD_TITLES

_SIDES = {"query": "Query", "hit": "Hit"}


def still_of_hits(branch: Branch, found: RetrievalExplanation) -> dict[int, tuple[Map, Map]]:
    """What stands still in the clips that a page shows, in the query's and in the hit's, by rank.

    Two forward passes a clip. Nothing for the backbone, of which it is not defined.

    Args:
        branch: Query branch of the model that gave the maps.
        found: From :func:`analysis.explain_retrieval`.

    Raises:
        ValueError: A video is gone or can't be read any more.
    """
    if found.feature not in branch.heads:
        return {}

    def still(video: VideoMaps) -> Map:
        own = video.maps[strongest(video)[0]]
        return still_part(branch, video, view_of(replace(own.clip, video=video.path), own.grid))

    return {hit.rank: (still(hit.query_maps), still(hit.hit_maps)) for hit in found.hits}


def panels_of(
    found: RetrievalExplanation,
    opacity: float = 0.75,
    pixels: int = PIXELS,
    still: Mapping[int, tuple[Map, Map]] | None = None,
) -> dict[str, Any]:
    """What ``viewer.js`` draws of a query and its hits: a row a hit, all pictures in step.

    Of each video the clip is shown whose map comes to most. All maps share one colour scale. It
    begins where the cells of the query add the most to the first hit.

    Args:
        found: From :func:`analysis.explain_retrieval`.
        opacity: Of the strongest colour, 0 to 1.
        pixels: Side of a picture; smaller where a page would be too large.
        still: From :func:`still_of_hits`: takes the strip over time apart.

    Raises:
        ValueError: A video is gone or can't be read any more.
    """
    pairs = [(hit, (hit.query_maps, hit.hit_maps)) for hit in found.hits]
    own = {id(video): strongest(video)[0] for _, both in pairs for video in both}
    limit = common_limit([video.maps[own[id(video)]].values for _, both in pairs for video in both])
    for side in sizes(pixels):
        rows = [
            (hit, [_panel(video, own[id(video)], limit, opacity, side) for video in both])
            for hit, both in pairs
        ]
        if sum(len(p.sheet) + len(film) for _, both in rows for p, film in both) < 0.9 * MOST_BYTES:
            break
    films = {
        hit.rank: [
            (video, own[id(video)], film) for video, (_, film) in zip(videos, both, strict=True)
        ]
        for (hit, both), (_, videos) in zip(rows, pairs, strict=True)
    }
    first = pairs[0][1][0]
    name = printable(Path(found.query).name)
    num = first.maps[0].grid.clip[0]
    return {
        "token": "page",
        "frame": strongest_frame_of(first.maps[own[id(first)]]),
        "fps": PLAY_FPS,
        "num_frames": num,
        "columns": [
            {"index": index, "title": title, "detail": words}
            for (index, title), words in zip(
                _SIDES.items(), (name, "what makes it near to the query"), strict=True
            )
        ],
        "rows": [
            _row(found, hit, [panel for panel, _ in both], own, limit, opacity)
            for hit, both in rows
        ],
        "strip": strip_of_hits(found, films, still or {}),
        "sheet": {"columns": SHEET_COLUMNS, "rows": -(-num // SHEET_COLUMNS)},
        "unit": "contribution to s, per cell",
    }


def retrieval_page(
    found: RetrievalExplanation,
    *,
    opacity: float = 0.75,
    verdicts: Mapping[int, Checked] | None = None,
    still: Mapping[int, tuple[Map, Map]] | None = None,
    command: str = "",
    pixels: int = PIXELS,
) -> Page:
    """The page of a query and its nearest videos, a row a hit, all pictures in step.

    Of each video the clip is shown whose map comes to most. All maps share one colour scale.

    Args:
        found: From :func:`analysis.explain_retrieval`.
        opacity: Of the strongest colour, 0 to 1.
        verdicts: By rank, what the checks of the map of the query's clip came to.
        still: From :func:`still_of_hits`: takes the strip over time apart.
        command: What made it.
        pixels: Side of a picture; smaller where the page would be too large.

    Raises:
        ValueError: A video is gone or can't be read any more.
    """
    feature = HEAD_TITLES.get(found.feature, "the backbone")
    name = printable(Path(found.query).name)
    num = found.hits[0].query_maps.maps[0].grid.clip[0]
    protocol, checked = found.protocol, verdicts or {}
    return Page(
        title=f"The nearest to {name} by {feature}",
        lines=[
            "Orange raises the similarity, blue lowers it. The maps of all "
            f"{protocol.num_clips} clips of a video sum to its similarity; of each video this is "
            "the clip that counts most.",
            f"Of {found.num_videos:,} videos. Similarity: cosine of the mean "
            f"{'features' if found.feature == 'backbone' else 'embeddings'} of "
            f"{protocol.num_clips} clips of {num} frames. "
            f"Model {found.model_hash[:12] or 'without a name'}.",
        ],
        panels=panels_of(found, opacity, pixels, still),
        parts=[
            *verdict_part(
                {str(rank): own for rank, own in checked.items()},
                {str(rank): f"No. {rank}, its map of the query:" for rank in checked},
            ),
            Part(title="Numbers", tables=[_table(found)]),
            *command_part(command),
        ],
        values=found.to_json()
        | {
            "command": command,
            "verdicts": {str(rank): own.sentence for rank, own in checked.items()},
            "values": {
                f"{kind}{hit.rank}": [m.values.tolist() for m in video.maps]
                for hit in found.hits
                for kind, video in (("query", hit.query_maps), ("hit", hit.hit_maps))
            },
        },
    )


def _panel(
    video: VideoMaps, clip: int, limit: float, opacity: float, pixels: int
) -> tuple[Panel, str]:
    """A clip's picture, and its film below the strip."""
    own = video.maps[clip]
    view = view_of(replace(own.clip, video=video.path), own.grid)
    large, side = frames_at(view, pixels), pixels // 2
    panel = draw_panel(own, view.frames, large, limit, opacity=opacity)
    return panel, film_of(resize(large, side, side))


def _row(
    found: RetrievalExplanation,
    hit: ExplainedHit,
    panels: list[Panel],
    clips: dict[int, int],
    limit: float,
    opacity: float,
) -> dict[str, Any]:
    shown, num = [], len(hit.query_maps.maps[0].clip.frame_indices)
    for (column, title), video, panel in zip(
        _SIDES.items(), (hit.query_maps, hit.hit_maps), panels, strict=True
    ):
        clip = clips[id(video)]
        frames = video.maps[clip].clip.frame_indices
        where = f"clip {clip + 1}, frames {frames[0]} to {frames[-1]}"
        shown.append(
            {
                "column": column,
                "image": panel.sheet,
                "alt": f"{title} of no. {hit.rank}: {printable(Path(video.path).name)}, {where}, "
                f"with what makes the two near; it comes to {signed(panel.total)}",
                "boxes": [panel.box] * num,
                "limit": where,
            }
        )
    return {
        "head": f"hit{hit.rank}",
        "title": f"No. {hit.rank}",
        "note": f"{hit.label or 'no label'}: {printable(Path(hit.path).name)}",
        "letter": "s",
        "index": str(hit.rank),
        "line": f"3px {DASHES.get(found.feature, 'dotted')} {COLOURS.get(found.feature, 'gray')}",
        "score": signed(hit.similarity),
        "panels": shown,
        "bar": bar_of(f"no. {hit.rank}", limit, colour_ramp(opacity), "shared"),
    }


def _table(found: RetrievalExplanation) -> Table:
    gaps = {gap.rank: signed(gap.gap, 4) for gap in found.gaps}
    rows: list[list[str | Value]] = [
        [
            f"{hit.rank}. {printable(Path(hit.path).name)}",
            hit.label,
            signed(hit.similarity, 4),
            signed(hit.query_maps.total, 4),
            signed(hit.hit_maps.total, 4),
            small(max(hit.query_maps.completeness_error, hit.hit_maps.completeness_error)),
            gaps.get(hit.rank, ""),
        ]
        for hit in found.hits
    ]
    label = escape(found.label) if found.label else "not known"
    return Table(
        header=(
            "hit", "label", "similarity s", "sum in the query", "sum in the hit", "sum error",
            "minus that of the next",
        ),
        rows=rows,
        caption=f"Label of the query: {label}.",
    )  # fmt: skip
