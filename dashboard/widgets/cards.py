"""Videos as small films with a few words and buttons below, many to a page."""

import html

import streamlit as st

from dashboard.base.state import plain
from dashboard.services import embeddings, galleries
from dashboard.services.embeddings import Pool
from dashboard.services.galleries import Video

PICKED_PAGE = 16
CARD_PIXELS = 150
END = 7


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
        f"{info.width} / {info.height}; background-size: {columns * 100}% 100%; "
        f'background-image: url({picture})"></div>'
    )


def words(left: str, right: str = "", under: str = "") -> str:
    """Two lines below a film: HTML that is already escaped, but for the first, a plain title."""
    return (
        f'<div class="text">{name_of(left)}'
        f'<span class="number">{right}</span></div>'
        f'<div class="text under"><span>{under}</span></div>'
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
    pages = -(-len(found) // PICKED_PAGE)
    page = st.pagination(pages, key=f"{key}_page_{pages}") if pages > 1 else 1
    chosen = None
    with st.container(key=f"{key}_grid", horizontal=True, gap="small"):
        for video in found[(page - 1) * PICKED_PAGE : page * PICKED_PAGE]:
            with st.container(width=CARD_PIXELS, gap="xxsmall"):
                shown = film(video) + words(video.title, under=label_of(video))
                st.html(f'<div class="thumb">{shown}</div>')
                label = labelled("Use this video", video)
                if st.button(label, key=f"{key}_{video.name}", type="tertiary"):
                    chosen = video.name
    return chosen
