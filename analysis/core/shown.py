"""Results show themselves: in a notebook, as one offline HTML file, and as a figure for a paper.

What draws a result stands on a higher floor and registers itself with :func:`page_of` and
:func:`figure_of`; it is imported when something is first shown.
"""

import tempfile
import webbrowser
from functools import singledispatch
from html import escape
from importlib import import_module, util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rspnet.files import atomic_path
from rspnet.text import Brief

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DRAWN_BY = "analysis.figures.viewer.results"
# A notebook keeps what it shows, so its pictures are smaller than those of a file.
NOTEBOOK_PIXELS = 224
_IFRAME = (
    '<iframe srcdoc="{}" title="{}" style="width: 100%; height: 640px; border: 0" '
    'loading="lazy"></iframe>'
)


@singledispatch
def page_of(result: Any, **options: Any) -> str:
    """A result as one HTML page that needs no network.

    Raises:
        ValueError: There is no page of such a thing.
    """
    raise ValueError(f"there is no page that shows a {type(result).__name__}")


@singledispatch
def figure_of(result: Any, **options: Any) -> "Figure":
    """A result as a figure for print.

    Raises:
        ValueError: There is no figure of such a thing.
    """
    raise ValueError(f"there is no figure of a {type(result).__name__}")


def is_notebook() -> bool:
    """Whether what is displayed is seen: in Jupyter, VS Code, marimo, not in a terminal."""
    if util.find_spec("IPython") is not None:
        from IPython.core.getipython import get_ipython

        shell = get_ipython()
        if shell is not None:
            return bool(shell.has_trait("kernel"))
    return False


def to_html(result: Any, path: str | Path, **options: Any) -> Path:
    """Write a result as one HTML file that opens from the disk, without a network or a server.

    Args:
        result: Maps of a pair, a margin, a retrieval, a gallery, a study's table, a verdict.
        path: The file, ``*.html``.
        **options: Of maps ``scale`` (one for each ``head``, ``shared`` or one for each ``map``),
            ``opacity``, ``smooth``, ``verdicts`` (by head, from :func:`analysis.verdict`) and
            ``command``, which made them.

    Raises:
        ValueError: The name ends otherwise, the videos of the maps are gone, or there is no page
            of such a result.

    Example:
        >>> import tempfile
        >>> from analysis import PairClips, example_branch, example_views, explain_kind
        >>> from analysis import to_html, verdict
        >>> branch = example_branch()
        >>> clips = PairClips.of(branch, branch, *example_views(2))
        >>> maps = explain_kind("contribution", clips)
        >>> checked = {"rsp": verdict(clips, "rsp", "contribution", num_orders=1)}
        >>> to_html(maps, f"{tempfile.mkdtemp()}/view.html", verdicts=checked).name
        'view.html'
    """
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"a page is written as .html, got {str(path)!r}: end its name so")
    import_module(_DRAWN_BY)
    text = page_of(result, **options)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def show(result: Any, **options: Any) -> None:
    """Show a result in the notebook; elsewhere in the browser, from a temporary file.

    Args:
        result: As for :func:`to_html`.
        **options: The same.

    Raises:
        ValueError: As :func:`to_html`.

    Example:
        >>> from analysis import example_branch, example_views, explain_pair, show
        >>> branch = example_branch()
        >>> pair = explain_pair(branch, branch, *example_views(2))
        >>> show(pair, scale="shared")  # doctest: +SKIP
    """
    if is_notebook():
        from IPython.display import display

        import_module(_DRAWN_BY)
        page = page_of(result, **{"pixels": NOTEBOOK_PIXELS, **options})
        bundle = {"text/html": _framed(page, repr(result)), "text/plain": repr(result)}
        display(bundle, raw=True)  # type: ignore[no-untyped-call]
        return
    path = to_html(result, Path(tempfile.mkdtemp(prefix="rspnet-")) / "view.html", **options)
    print(path)
    webbrowser.open(path.as_uri())


def plot(result: Any, **options: Any) -> "Figure":
    """A result as a figure for a paper.

    :func:`analysis.figures.style.save` writes it as PDF, SVG or PNG.

    Args:
        result: As for :func:`to_html`.
        **options: Of maps ``scale``, ``opacity``, ``smooth`` and ``num_frames``; of a gallery
            ``method``.

    Raises:
        ValueError: The videos of the maps are gone, or there is no figure of such a result.

    Example:
        >>> from analysis import example_branch, example_views, explain_pair, plot
        >>> branch = example_branch()
        >>> pair = explain_pair(branch, branch, *example_views(2))
        >>> len(plot(pair).axes)  # pictures and a colour scale
        13
    """
    import_module(_DRAWN_BY)
    return figure_of(result, **options)


class Shown(Brief):
    """A result that shows itself.

    In a notebook the last line of a cell is enough: the page stands in a frame of its own, with
    its pictures, its scrubber and its numbers, and is still there when the notebook is opened
    again, without a kernel. It needs no extension.

    Example:
        >>> import tempfile
        >>> from analysis import example_branch, example_views, explain_pair
        >>> branch = example_branch()
        >>> pair = explain_pair(branch, branch, *example_views(2))
        >>> pair.to_html(f"{tempfile.mkdtemp()}/pair.html").name
        'pair.html'
        >>> len(pair.plot().axes)  # pictures and a colour scale
        13
        >>> pair._repr_html_()[:15]
        '<iframe srcdoc='
    """

    def to_html(self, path: str | Path, **options: Any) -> Path:
        """:func:`to_html` of this result."""
        return to_html(self, path, **options)

    def show(self, **options: Any) -> None:
        """:func:`show` this result."""
        show(self, **options)

    def plot(self, **options: Any) -> "Figure":
        """:func:`plot` this result."""
        return plot(self, **options)

    def _repr_html_(self) -> str:
        import_module(_DRAWN_BY)
        try:
            return _framed(page_of(self, pixels=NOTEBOOK_PIXELS), repr(self))
        except ValueError as error:
            # A notebook shows what it can: here the line of text, and why there is no picture.
            return f"<pre>{escape(repr(self))}</pre><p>It can't be shown: {escape(str(error))}.</p>"


def _framed(page: str, title: str) -> str:
    return _IFRAME.format(escape(page), escape(title))
