"""A page of results in one HTML file: no script, no outside file, light and dark, 800 pixels up."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from analysis.core.table import Table

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
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        f"<header><h1>{escape(title)}</h1>{about}</header><nav>{links}</nav>"
        f"<main>{body}</main></body></html>\n"
    )


_STYLE = """
:root { color-scheme: light dark; --ink: #1c1f26; --soft: #5a6070; --line: #d9dce3;
  --page: #ffffff; --band: #f4f5f8; --rsp: #b05cbb; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaf0; --soft: #a3a9b8; --line: #3a3f4b;
  --page: #14161b; --band: #1e2128; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem; max-width: 72rem; background: var(--page);
  color: var(--ink); font: 16px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; }
header p { margin: .1rem 0; color: var(--soft); overflow-wrap: anywhere; }
nav { display: flex; flex-wrap: wrap; gap: .25rem 1rem; margin: 1rem 0; padding: .6rem 0;
  border-block: 1px solid var(--line); }
nav a { color: inherit; } nav a:focus-visible { outline: 2px solid var(--rsp); }
.finding { font-weight: 600; max-width: 60rem; } .reading, .skipped { color: var(--soft);
  max-width: 60rem; }
.study-table { overflow-x: auto; }
table { border-collapse: collapse; margin: 1rem 0 1.5rem; font-size: .9rem;
  font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding-bottom: .4rem; }
th, td { text-align: left; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
thead th { border-bottom: 2px solid var(--line); font-weight: 600; }
tbody th { font-weight: 400; } td.number { white-space: nowrap; }
td small { display: block; color: var(--soft); font-size: .78rem; }
tr.strong th, tr.strong td { font-weight: 600; background: var(--band); }
details { margin: 1rem 0; } summary { cursor: pointer; color: var(--soft); font-size: .9rem; }
summary:focus-visible { outline: 2px solid var(--rsp); }
figure { margin: 1.5rem 0; } figure img { max-width: 100%; height: auto; background: #fff;
  border-radius: 4px; }
figcaption { color: var(--soft); font-size: .9rem; max-width: 60rem; }
@media print { nav { display: none; } section { break-inside: avoid; } }
""".replace("\n", "")
