"""One HTML file that shows a result without a network: pictures, scrubber, numbers, command.

Everything is inside: styles, script and pictures. The browser is told to load nothing else. The
numbers stand in it twice, in tables for readers and as JSON (``#values``) for programs.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, Protocol

from analysis.core.table import Table
from analysis.figures.viewer import SCRIPTS, asset

MOST_BYTES = 5_000_000  # of a page, so that it can be sent by mail
PIXELS = 336  # of a picture's side
_SMALLER = (280, 224, 168, 112, 84, 56)


class Checked(Protocol):
    """A verdict (:class:`analysis.report.verdict.Verdict`)."""

    @property
    def sentence(self) -> str:
        """The word, and the numbers behind it."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of the page below the pictures.

    Attributes:
        title: Heading; nothing for none.
        paragraphs: HTML.
        tables: In their order.
        code: A command line.
    """

    title: str = ""
    paragraphs: Sequence[str] = ()
    tables: Sequence[Table] = ()
    code: str = ""

    def html(self) -> str:
        """The part as HTML."""
        return "".join(
            [
                f"<section><h2>{escape(self.title)}</h2>" if self.title else "<section>",
                *(f"<p>{words}</p>" for words in self.paragraphs),
                *(table.html() for table in self.tables),
                f"<pre><code>{escape(self.code)}</code></pre>" if self.code else "",
                "</section>",
            ]
        )


@dataclass(frozen=True, kw_only=True)
class Page:
    """What an offline page shows.

    Attributes:
        title: Heading.
        lines: Below it, as HTML: what one sees, and of what.
        parts: Below the pictures.
        panels: What ``viewer.js`` draws; nothing for a page without pictures that move.
        values: For programs, as plain JSON values.
    """

    title: str
    lines: Sequence[str] = ()
    parts: Sequence[Part] = ()
    panels: Mapping[str, Any] | None = None
    values: Mapping[str, Any] = field(default_factory=dict)

    def html(self) -> str:
        """The page as text.

        Example:
            >>> page = Page(title="Two maps", parts=[Part(title="Numbers", paragraphs=["None."])])
            >>> "<h1>Two maps</h1>" in page.html(), "https:" in page.html()
            (True, False)
        """
        about = "".join(f"<p>{line}</p>" for line in self.lines)
        parts = "".join(part.html() for part in self.parts)
        viewer = script = ""
        if self.panels is not None:
            viewer = (
                f'<div id="view">{asset("viewer.html")}</div>'
                "<noscript><p>The pictures need JavaScript, which is switched off here. "
                "The numbers are below.</p></noscript>"
            )
            script = (
                f'<script type="application/json" id="panels">{_json(self.panels)}</script>'
                f'<script type="module">{_script()}</script>'
            )
        # Everything is inside, and nothing else may be loaded.
        policy = (
            "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
            "script-src 'unsafe-inline'"
        )
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{escape(self.title)}</title><style>{asset('page.css')}{asset('viewer.css')}"
            f"{asset('offline.css')}</style></head><body>"
            f"<header><h1>{escape(self.title)}</h1>{about}</header><main>{viewer}{parts}</main>"
            f'<script type="application/json" id="values">{_json(self.values)}</script>{script}'
            "</body></html>\n"
        )


def sizes(pixels: int) -> Iterable[int]:
    """Sides of the pictures to try, from the wished one down."""
    return (pixels, *(side for side in _SMALLER if side < pixels))


def verdict_part(verdicts: Mapping[str, Checked], titles: Mapping[str, str]) -> list[Part]:
    """What the checks of the maps came to; nothing where none was made."""
    if not verdicts:
        return []
    said = [
        f"<b>{escape(titles.get(head, head))}</b> {escape(found.sentence)}"
        for head, found in verdicts.items()
    ]
    return [Part(title="Can these maps be believed?", paragraphs=said)]


def command_part(command: str) -> list[Part]:
    """The command that makes the page again; nothing where it is not known."""
    return [Part(title="Make it again", code=command)] if command else []


def _json(value: Mapping[str, Any]) -> str:
    # No text of a user ends the script that it stands in.
    return json.dumps(value).replace("<", "\\u003c")


def _script() -> str:
    own = "\n".join(asset(name) for name in SCRIPTS)
    return re.sub(r"^export default function", "function mount", own, flags=re.M) + asset(
        "offline.js"
    )
