"""Home: what one is looking at, and the ways from here."""

from dashboard import shell


def page() -> None:
    """Draw the page."""
    shell.open_page("RSPNet", "What do the two heads of a video model look at?")
