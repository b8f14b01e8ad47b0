"""Which page and which figure show a result (:mod:`analysis.core.shown`)."""

import base64
import io
from collections import Counter
from dataclasses import asdict, replace
from html import escape
from typing import Any

from matplotlib.figure import Figure

from analysis.attribution.margin import MarginExplanation
from analysis.attribution.pair import PairExplanation
from analysis.attribution.pair_maps import KindMaps, PairMaps
from analysis.attribution.registry import DEFAULT_MAP
from analysis.attribution.retrieval.result import RetrievalExplanation
from analysis.attribution.retrieval.unit import UnitClips
from analysis.core.shown import figure_of, page_of
from analysis.core.table import StudyTable, Table, Value
from analysis.figures.figure1 import draw_figure1
from analysis.figures.print import draw_figures
from analysis.figures.projection_figure import draw_embeddings
from analysis.figures.retrieval_figure import draw_retrieval, draw_unit
from analysis.figures.style import DPI, style
from analysis.figures.viewer.page import Page, Part, command_part
from analysis.figures.viewer.pair import pair_page, view_of
from analysis.figures.viewer.retrieval import retrieval_page
from analysis.gallery.neighbours import Space
from analysis.gallery.projection import embed_space
from analysis.regions.tracks import maps_of_pair
from analysis.studies.registry import get_study
from rspnet.names import HEAD_TITLES
from rspnet.retrieval.gallery import Gallery


@page_of.register
def _page_of_maps(found: KindMaps, **options: Any) -> str:
    return pair_page(found, **options).html()


@figure_of.register
def _figure_of_maps(found: KindMaps, **options: Any) -> Figure:
    return draw_figure1(_seen(found), **options).figure


def _seen(found: KindMaps) -> KindMaps:
    """The maps with the frames that they are drawn on, read from the videos where need be."""
    if found.views is not None:
        return found
    i, j = (view_of(own.clip, own.grid) for own in next(iter(found.rows.values())))
    return replace(found, views=(i, j))


def kind_of_pair(pair: PairExplanation) -> KindMaps:
    """The contributions of a pair as one kind of map."""
    return KindMaps(
        kind="contribution",
        rows={head: maps_of_pair(pair, head) for head in pair.heads},
        similarity={head: own.similarity for head, own in pair.heads.items()},
        views=pair.views,
    )


@page_of.register
def _page_of_pair(pair: PairExplanation, **options: Any) -> str:
    return page_of(kind_of_pair(pair), **options)


@figure_of.register
def _figure_of_pair(pair: PairExplanation, **options: Any) -> Figure:
    return figure_of(kind_of_pair(pair), **options)


def kind_of_margin(found: MarginExplanation) -> KindMaps:
    """The margin of c_i, and beside it the similarity in c_j."""
    head = found.map_i.head
    return KindMaps(
        kind="margin",
        rows={head: (found.map_i, replace(found.map_j, kind="contribution"))},
        similarity={head: found.map_j.score},
        num_negatives={head: len(found.maps_k)},
        views=(found.views[0], found.views[1]) if found.views else None,
    )


@page_of.register
def _page_of_margin(found: MarginExplanation, **options: Any) -> str:
    return page_of(kind_of_margin(found), **options)


@figure_of.register
def _figure_of_margin(found: MarginExplanation, **options: Any) -> Figure:
    return figure_of(kind_of_margin(found), **options)


def _shown(found: PairMaps, kind: str) -> KindMaps:
    kind = kind or (DEFAULT_MAP if DEFAULT_MAP in found.kinds else next(iter(found.kinds)))
    if kind not in found.kinds:
        raise ValueError(f"these maps are of the kinds {', '.join(found.kinds)}, got {kind!r}")
    return found.kinds[kind]


@page_of.register
def _page_of_all(found: PairMaps, *, kind: str = "", **options: Any) -> str:
    return page_of(_shown(found, kind), **options)


@figure_of.register
def _figure_of_all(found: PairMaps, *, kind: str = "", **options: Any) -> Figure:
    return figure_of(_shown(found, kind), **options)


@page_of.register
def _page_of_retrieval(found: RetrievalExplanation, **options: Any) -> str:
    return retrieval_page(found, **options).html()


@figure_of.register
def _figure_of_retrieval(found: RetrievalExplanation, **options: Any) -> Figure:
    return draw_retrieval(found, **options).figure


@page_of.register
def _page_of_unit(found: UnitClips, *, command: str = "", pixels: int = 0) -> str:
    titles = HEAD_TITLES | {"backbone": "the backbone"}
    name = f"unit {found.unit} of {titles.get(found.feature, found.feature)}"
    drawn = draw_unit(found)
    return Page(
        title=f"What excites {name}",
        lines=[escape(drawn.caption)],
        parts=[
            Part(paragraphs=[_picture(drawn.figure, f"The videos that excite {name} most")]),
            *command_part(command),
        ],
        values=found.to_json() | {"command": command},
    ).html()


@figure_of.register
def _figure_of_unit(found: UnitClips) -> Figure:
    return draw_unit(found).figure


@page_of.register
def _page_of_study(table: StudyTable, *, command: str = "", pixels: int = 0) -> str:
    study = get_study(table.study)
    pictures = [_picture(figure_of(table), study.title)] if study.figures(table) else []
    about = f"{table.num_videos} {table.videos}. Model {table.model_hash[:12] or 'without a name'}."
    return Page(
        title=study.question,
        lines=[f"<b>{escape(study.finding(table))}</b>", escape(about)],
        parts=[
            Part(paragraphs=[*pictures, escape(study.explain(table))], tables=study.tables(table)),
            *command_part(command),
        ],
        values=table.to_json(),
    ).html()


@figure_of.register
def _figure_of_study(table: StudyTable) -> Figure:
    return draw_figures(get_study(table.study).figures(table))


@page_of.register
def _page_of_gallery(gallery: Gallery, *, pixels: int = 0) -> str:
    counts = Counter(gallery.labels)
    rows: list[list[str | Value]] = [
        [label or "no label", num] for label, num in sorted(counts.items())
    ]
    p = gallery.protocol
    about = (
        f"{len(gallery):,} videos by {', '.join(HEAD_TITLES.get(f, f) for f in gallery.vectors)}; "
        f"the mean of {p.num_clips} clips of {p.num_frames} frames. "
        f"Model {gallery.model_hash[:12] or 'without a name'}."
    )
    return Page(
        title="A gallery, as its features see it",
        lines=[escape(about)],
        parts=[
            Part(paragraphs=[_picture(figure_of(gallery), "Its videos in two dimensions")]),
            Part(title="Videos", tables=[Table(header=("label", "videos"), rows=rows, caption="")]),
        ],
        values={"labels": dict(counts), "model_hash": gallery.model_hash} | asdict(p),
    ).html()


@figure_of.register
def _figure_of_gallery(gallery: Gallery, *, method: str = "pca") -> Figure:
    features = [feature for feature in HEAD_TITLES if feature in gallery.vectors]
    found = [embed_space(Space.of(gallery, feature), method) for feature in features]
    return draw_embeddings(found).figure


def _picture(figure: Figure, alt: str) -> str:
    data = io.BytesIO()
    with style():
        figure.savefig(data, format="png", dpi=DPI / 2)
    text = base64.b64encode(data.getvalue()).decode()
    return f'<img class="figure" alt="{escape(alt)}" src="data:image/png;base64,{text}">'
