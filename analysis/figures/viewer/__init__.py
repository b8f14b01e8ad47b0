"""Maps to look at frame by frame: the panels with their scrubber, in the dashboard and offline.

The files in ``assets/`` draw what they are told and compute nothing.
"""

from pathlib import Path

# One after the other they are one module, whose default export mounts the panels.
SCRIPTS = ("viewer_strip.js", "viewer_region.js", "viewer_keys.js", "viewer.js")


def asset(name: str) -> str:
    """Text of a file of ``assets/``."""
    return (Path(__file__).parent / "assets" / name).read_text(encoding="utf-8")
