"""What the panels are told: a row a head or class, its maps over their frames, its colour scale.

Here is also what stands for a head on every page, and how numbers are written.
"""

import html
import re
from typing import Any

NOTES = {
    "rsp": "relative speed",
    "avid": "appearance",
    "class1": "likeliest in c_i",
    "class2": "in c_j, or next",
    "margin": "pretext task",
    "answer": "likeliest in c_i",
}
SYMBOLS = {"rsp": "m", "avid": "a", "class1": "1", "class2": "2", "margin": "1", "answer": "2"}
# Violet and green: neither of the map's own colours, and told apart by colour-blind readers, who
# also have the line's dashes.
COLOURS = {"rsp": "#b05cbb", "avid": "#0b8a66", "class1": "#c8366f", "class2": "#808080"}
DASHES = {"rsp": "solid", "avid": "dashed", "class1": "solid", "class2": "dashed"}
for _row, _like in (("margin", "class1"), ("answer", "class2")):
    COLOURS[_row], DASHES[_row] = COLOURS[_like], DASHES[_like]
PLAY_FPS = 10


def signed(value: float, digits: int = 3) -> str:
    """A number with its sign and a fixed number of digits, minus as a minus.

    Example:
        >>> signed(0.25, 2), signed(-0.25, 2)
        ('+0.25', '−0.25')
    """
    return f"{value:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def small(value: float) -> str:
    """A difference that should be next to nothing, in one digit.

    Example:
        >>> small(1.6e-8), small(0.0)
        ('2e−08', '0')
    """
    return f"{value:.0e}".replace("-", "\N{MINUS SIGN}") if value else "0"


def symbols(text: str) -> str:
    """A kind's words as HTML: what stands between backticks becomes a symbol.

    Example:
        >>> symbols("nearer to `c_j`")
        'nearer to <span class="symbol">c<sub>j</sub></span>'
    """

    def symbol(found: re.Match[str]) -> str:
        letter, _, index = found[1].partition("_")
        below = f"<sub>{index}</sub>" if index else ""
        return f'<span class="symbol">{letter}{below}</span>'

    return re.sub(r"`([^`]+)`", symbol, html.escape(text, quote=False))


def row_of(
    name: str, title: str, score: str, panels: list[dict[str, Any]], letter: str = "s"
) -> dict[str, Any]:
    """A head or class beside its panels.

    Args:
        name: Of the row, such as ``rsp``.
        title: Such as ``RSP``.
        score: What its map is of, as it is written; empty while that is not known.
        panels: One a clip.
        letter: Of the score.
    """
    return {
        "head": name,
        "title": title,
        "note": NOTES[name],
        "letter": letter,
        "index": SYMBOLS[name],
        "line": f"3px {DASHES[name]} {COLOURS[name]}",
        "score": score,
        "panels": panels,
    }


def bar_of(title: str, limit: float, ramp: list[str], scale: str) -> dict[str, Any]:
    """The colour scale beside a row.

    Args:
        title: Of the row.
        limit: End of the scale.
        ramp: Its colours, the lowest first.
        scale: As for :func:`~analysis.figures.overlay.map_limits`: one for each ``map`` stands in
            the panels.
    """
    end = "max" if scale == "map" else f"{limit:.2g}"
    return {
        "colors": ramp,
        "ticks": [f"+{end}", "0", f"\N{MINUS SIGN}{end}"],
        "alt": f"Colour scale of {title}: orange raises the score, blue lowers it, "
        f"up to {end} a cell.",
    }
