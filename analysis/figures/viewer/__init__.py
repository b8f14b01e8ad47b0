"""Maps to look at frame by frame: the panels with their scrubber, in the dashboard and offline.

``viewer.html``, ``viewer.css`` and ``viewer.js`` draw what they are told and compute nothing.
"""

from pathlib import Path


def asset(name: str) -> str:
    """Text of a file of this folder."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")
