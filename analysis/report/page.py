"""A page of results in one HTML file: no script, no outside file, light and dark, 800 pixels up."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from analysis.core.table import Table
from analysis.figures.viewer import asset

_TYPES = {b"\x89PNG": "image/png", b"<?xml": "image/svg+xml", b"<svg": "image/svg+xml"}


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture in the page.

    Attributes:
        data: PNG or SVG.
        alt: What one sees, for those who don't.
        caption: What it shows and how to read it.
    """

    data: bytes
    alt: str
    caption: str

    @property
    def media_type(self) -> str:
        """``image/png`` or ``image/svg+xml``.

        Raises:
            ValueError: It is neither.
        """
        for start, name in _TYPES.items():
            if self.data.startswith(start):
                return name
        raise ValueError(f"a picture is PNG or SVG, got data that begins {self.data[:8]!r}")


@dataclass(frozen=True, kw_only=True)
class Section:
    """One question about a model, and what was found.

    Attributes:
        key: Its anchor.
        title: Heading.
        finding: What was found, in a sentence or two.
        reading: How to read it, and what it can't say.
        tables: In their order.
        pictures: Above the tables.
        skipped: Why it is empty, if it is.
    """

    key: str
    title: str
    finding: str = ""
    reading: str = ""
    tables: Sequence[Table] = field(default_factory=tuple)
    pictures: Sequence[Picture] = field(default_factory=tuple)
    skipped: str = ""


def _table(table: Table) -> str:
    if not table.folded:
        return table.html()
    inner = table.html(caption=False)
    return f"<details><summary>{escape(table.caption)}</summary>{inner}</details>"


def _picture(picture: Picture) -> str:
    data = base64.b64encode(picture.data).decode()
    return (
        f'<figure><img alt="{escape(picture.alt)}" src="data:{picture.media_type};base64,{data}">'
        f"<figcaption>{escape(picture.caption)}</figcaption></figure>"
    )


def _section(section: Section) -> str:
    parts = [f'<section id="{escape(section.key)}"><h2>{escape(section.title)}</h2>']
    if section.skipped:
        parts.append(f'<p class="skipped">Skipped: {escape(section.skipped)}</p>')
    if section.finding:
        parts.append(f'<p class="finding">{escape(section.finding)}</p>')
    if section.reading:
        parts.append(f'<p class="reading">{escape(section.reading)}</p>')
    parts += [_picture(picture) for picture in section.pictures]
    parts += [_table(table) for table in section.tables]
    return "".join(parts) + "</section>"


def render(title: str, lines: Sequence[str], sections: Sequence[Section]) -> str:
    """The page.

    Args:
        title: Of the page.
        lines: Below the title: what it is about, and how it was made.
        sections: In their order.
    """
    links = "".join(f'<a href="#{escape(s.key)}">{escape(s.title)}</a>' for s in sections)
    about = "".join(f"<p>{escape(line)}</p>" for line in lines)
    body = "".join(_section(section) for section in sections)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{asset('page.css')}</style></head><body>"
        f"<header><h1>{escape(title)}</h1>{about}</header><nav>{links}</nav>"
        f"<main>{body}</main></body></html>\n"
    )
