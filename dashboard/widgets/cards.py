"""Videos as small films with a few words and buttons below, many to a page."""

import html
from collections.abc import Sequence
from typing import TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.base.state import plain
from dashboard.services import embeddings, galleries
from dashboard.services.embeddings import Pool
from dashboard.services.galleries import Video

PICKED_PAGE = 16
CARD_PIXELS = 150
END = 7
T = TypeVar("T")


def film(video: Video, alt: str = "", *, testid: str = "film", mark: str = "") -> str:
    """A video that moves while one points at it, as HTML; a sentence if it can't be read.

    Args:
        video: The video.
        alt: What is read out for it; nothing for its title.
        testid: For tests.
        mark: A class of the frame around it.
    """
    try:
        picture, info = embeddings.film(video), galleries.probe(video)
    except ValueError as error:  # gone since it was embedded
        return f'<p class="gone" data-testid="{testid}">{html.escape(str(error))}</p>'
    columns = min(embeddings.FILM_FRAMES, info.num_frames)
    return (
        f'<div class="film moving {mark}" data-testid="{testid}" role="img" '
        f'aria-label="{html.escape(alt or video.title)}" style="aspect-ratio: '
        f"{info.shape}; background-size: {columns * 100}% 100%; "
        f'background-image: url({picture})"></div>'
    )


def thumb(
    video: Video,
    title: str = "",
    number: str = "",
    under: str | None = None,
    *,
    alt: str = "",
    testid: str = "film",
    mark: str = "",
) -> str:
    """A film with two lines below it, as HTML.

    Args:
        video: The video.
        title: The first line; nothing for the video's title.
        number: At its end.
        under: The second line, HTML; nothing for the video's label.
        alt: As for :func:`film`.
        testid: As for :func:`film`.
        mark: As for :func:`film`.
    """
    return (
        f'<div class="thumb">{film(video, alt, testid=testid, mark=mark)}'
        f'<div class="text">{name_of(title or video.title)}'
        f'<span class="number">{number}</span></div>'
        f'<div class="text under"><span>{label_of(video) if under is None else under}</span>'
        "</div></div>"
    )


def grid(key: str) -> DeltaGenerator:
    """Where cards stand side by side."""
    return st.container(key=f"{key}_grid", horizontal=True, gap="small")


def card(body: str = "") -> DeltaGenerator:
    """A place for one card in a grid, with :func:`thumb` in it; buttons come below."""
    place = st.container(width=CARD_PIXELS, gap="xxsmall")
    place.html(body)
    return place


def page_of(items: Sequence[T], size: int, key: str) -> Sequence[T]:
    """The items of the page that is chosen; :func:`paged` draws the choice."""
    page = int(st.session_state.get(key, 1))
    return items[(page - 1) * size : page * size]


def paged(items: Sequence[T], size: int, key: str) -> Sequence[T]:
    """Draw a choice of page where there are several; the items of the page chosen.

    Args:
        items: All items.
        size: Most on a page.
        key: Of the widget; another list needs another.
    """
    pages = -(-len(items) // size)
    if pages > 1:
        st.pagination(pages, key=key, width=260)
    return page_of(items, size, key)


def tile(
    picture: str, alt: str, title: str, text: str, aspect: float = 1.0, inside: str = ""
) -> str:
    """Frames that move while one points at them, with a caption, as HTML.

    Args:
        picture: The frames as one sheet, a data URI.
        alt: What is read out for them.
        title: Of the caption, HTML.
        text: Behind it, HTML.
        aspect: Width by height of the frames' pixels.
        inside: What lies over the frames, HTML.
    """
    return (
        f'<figure><div class="tile" role="img" tabindex="0" aria-label="{html.escape(alt)}" '
        f'style="aspect-ratio: {aspect:g}; background-image: url({picture})">{inside}</div>'
        f"<figcaption><b>{title}</b>{text}</figcaption></figure>"
    )


def name_of(title: str) -> str:
    """A title on one line, HTML. A file's name that is too long keeps its end.

    Files of one class often begin alike; titles in words are told apart by their beginning.
    """
    end = title[-END:] if len(title) > 2 * END and " " not in title[-2 * END :] else ""
    start = title[: len(title) - len(end)]
    return (
        f'<span class="what" title="{html.escape(title)}"><span class="start">'
        f'{html.escape(start)}</span><span class="end">{html.escape(end)}</span></span>'
    )


def label_of(video: Video) -> str:
    """A video's label for reading, HTML."""
    return html.escape(video.label.replace("_", " ")) if video.label else "no label"


def labelled(label: str, video: Video) -> str:
    """A button's label with the video's title behind it: read out, but not shown.

    Many cards have the same buttons; without the title nobody who listens could tell them apart.

    Args:
        label: What is shown.
        video: Which card's.

    Returns:
        Markdown; ``page.css`` hides its emphasis from sight.
    """
    return f"{label} *{plain(video.title)}*"


def choose(pool: Pool, key: str) -> str | None:
    """A list of all videos, page by page, with words to search for; the name of the one chosen.

    Args:
        pool: The videos.
        key: Tells its widgets from others.
    """
    typed = st.text_input(
        "Search names and labels",
        key=f"{key}_search",
        placeholder="part of a name or label",
    )
    wanted = typed.strip().casefold()
    found = [v for v in pool.videos if wanted in f"{v.title} {v.name} {v.label}".casefold()]
    if not found:
        st.info("No name or label contains this. Try fewer letters.", icon=":material/search_off:")
        return None
    st.caption(f"{len(found):,} of {len(pool.videos):,} videos")
    place = st.container()
    shown = paged(found, PICKED_PAGE, f"{key}_page_{len(found)}")
    chosen = None
    with place, grid(key):
        for video in shown:
            with card(thumb(video)):
                label = labelled("Use this video", video)
                if st.button(label, key=f"{key}_{video.name}", type="tertiary"):
                    chosen = video.name
    return chosen
