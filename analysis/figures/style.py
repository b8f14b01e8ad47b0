"""One look for figures in print: style, colours, a map on its frame, its colour bar, saving.

Figures are built with :class:`matplotlib.figure.Figure`, not with pyplot: nothing is kept open,
no display is needed, and a program that draws its own figures keeps its own settings.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import Stroke, withStroke
from numpy.typing import NDArray

from analysis.core.grid import TIME, Box, Grid
from analysis.figures.overlay import draw_overlay, font
from rspnet.files import atomic_path
from rspnet.names import HEAD_TITLES

Map = NDArray[np.floating]
Frame = NDArray[np.uint8]

# "features" and "projection" are the heads of other encoders than RSPNet's.
TITLES = HEAD_TITLES | {n: n for n in ("backbone", "features", "projection")}
# Violet and green as on the dashboard, and dashes for readers who can't tell them apart.
_BLUE = "#0072b2"
COLOURS = {
    "rsp": "#b05cbb", "avid": "#0b8a66", "backbone": "#56606b", "features": _BLUE,
    "projection": _BLUE,
}  # fmt: skip
LINES = {"rsp": "-", "avid": "--", "backbone": ":", "features": "-", "projection": "-"}
INK, GREY = "#28282e", "#5a5a62"

# Okabe and Ito (2008) without yellow, which is too light on white paper, and grey for black.
CATEGORIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#56606b")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")

COLUMN_INCHES, PAGE_INCHES = 3.3, 7.0  # a column and the text of a two-column page
DPI = 300
FORMATS = (".png", ".svg", ".pdf")

_STYLE: Any = {
    # matplotlib brings the first: the same figure everywhere. Text in SVG may need the others.
    "font.family": ["DejaVu Sans", "sans-serif"],
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "text.color": INK,
    "text.hinting": "none",  # letters as wide at any resolution
    "legend.fontsize": 7,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "figure.facecolor": "white",
    "figure.dpi": DPI,
    "savefig.dpi": DPI,
    "image.interpolation": "antialiased",
    "pdf.fonttype": 42,  # whole letters, which publishers' checks ask for
    "svg.fonttype": "none",  # text stays text, to be searched and edited
    "svg.hashsalt": "rspnet",  # else its identifiers are random
}


@contextmanager
def style() -> Iterator[None]:
    """Within the block matplotlib draws in the project's style; after it as before."""
    with mpl.rc_context(_STYLE):
        yield


def new_figure(width: float = PAGE_INCHES, height: float = 3.0) -> Figure:
    """An empty figure of a size in inches, which needs no display."""
    return Figure((width, height), dpi=DPI, layout="constrained")


def check_out(out: str | Path) -> Path:
    """Refuse a file that :func:`save` can't write, before the work is done.

    Raises:
        ValueError: Its name does not end in .png, .svg or .pdf.
    """
    path = Path(out)
    if path.suffix.lower() not in FORMATS:
        raise ValueError(
            f"a figure is written as {', '.join(FORMATS)}, got {str(out)!r}: end its name so"
        )
    return path


def save(
    figure: Figure, out: str | Path, *, dpi: int = DPI, title: str = "", command: str = ""
) -> Path:
    """Write a figure, atomically; the ending of its name says as what.

    No date is written, so the same figure gives the same bytes.

    Args:
        figure: Any figure.
        out: ``*.png``, ``*.svg`` or ``*.pdf``.
        dpi: Pixels an inch of a PNG, and of the pictures in the others.
        title: What it shows, for the file's own record, which programs list as its title.
        command: What makes it again, for the same record.

    Raises:
        ValueError: Another ending, or ``dpi`` is not positive.
    """
    path = check_out(out)
    if dpi < 1:
        raise ValueError(f"dpi is positive, got {dpi}")
    kind = path.suffix.lower()[1:]
    about: dict[str, str | None] = {"Title": title} if title else {}
    about |= {"Subject" if kind == "pdf" else "Description": command} if command else {}
    about |= {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind, {})
    with style(), atomic_path(path) as temporary:
        figure.savefig(temporary, format=kind, dpi=dpi, metadata=about)
    return path


def values_at(map_THW: Map, grid: Grid, frame: int) -> NDArray[np.float64]:
    """A map at one frame of its clip, between two time steps by interpolation.

    What :func:`~analysis.figures.overlay.draw_overlay` shows on that frame.

    Shape:
        (T', H', W') -> (H', W').

    Raises:
        ValueError: The map is not on the grid, or the clip has no such frame.
    """
    grid.check(map_THW)
    if not 0 <= frame < grid.clip[TIME]:
        raise ValueError(f"the clip has frames 0 to {grid.clip[TIME] - 1}, got {frame}")
    return np.asarray(np.tensordot(grid.weights(TIME)[frame], map_THW, 1), np.float64)


def show_map(
    axis: Axes,
    frame: Frame,
    map_HW: Map | None,
    grid: Grid,
    limit: float,
    *,
    box: Box | None = None,
    opacity: float = 0.75,
    smooth: bool = True,
    scale: int = 3,
) -> None:
    """Show a frame with a signed map over it; the axis counts the frame's pixels.

    Args:
        axis: Where; its ticks are taken away.
        frame: The frame that the map is of, (H, W, 3) uint8.
        map_HW: The map at this frame (:func:`values_at`), (H', W'); nothing for the bare frame.
        grid: Of the clip's map.
        limit: Value at the end of the colour scale.
        box: In pixels of the frame.
        opacity: See :func:`~analysis.figures.overlay.draw_overlay`.
        smooth: The same.
        scale: Enlarge the frame so many times before it is coloured.

    Raises:
        ValueError: A shape does not fit or a number is out of range.
    """
    height, width = frame.shape[:2]
    flat = Grid(
        (1, *grid.cells[1:]), (1, *grid.clip[1:]), (1.0, *grid.stride[1:]), (0.0, *grid.first[1:])
    )
    values = np.zeros(flat.cells) if map_HW is None else np.asarray(map_HW, np.float64)[None]
    (picture,) = draw_overlay(
        frame[None], values, flat, limit=limit, opacity=opacity, smooth=smooth, scale=scale
    )
    axis.imshow(picture, extent=(0, width, height, 0), aspect="equal")
    if box is not None:
        outline(axis, box)
    axis.set_xticks([])
    axis.set_yticks([])
    axis.spines[:].set_visible(False)


def outline(axis: Axes, box: Box, *, colour: str = "white", width: float = 1.2) -> None:
    """A box on a picture: a white line between dark rims, to be seen on any ground."""
    axis.add_patch(
        Rectangle(
            (box.left, box.top),
            box.right - box.left,
            box.bottom - box.top,
            fill=False,
            edgecolor=colour,
            linewidth=width,
            clip_on=False,  # as thick at the picture's edge
            path_effects=[Stroke(linewidth=width + 1.2, foreground="#141418"), withStroke()],
        )
    )


def frame_border(axis: Axes, colour: str, *, width: float = 1.6, line: str = "-") -> None:
    """A coloured border around a picture."""
    axis.spines[:].set_visible(True)
    axis.spines[:].set(edgecolor=colour, linewidth=width, linestyle=line)


def scale_colours(num: int = 255, opacity: float = 0.75) -> ListedColormap:
    """The colours of a map from -limit to +limit as :func:`show_map` lays them over white."""
    values = np.linspace(-1, 1, num)[None, None]
    strip = Grid.even((1, 1, num), (1, 1, num))
    white = np.full((1, 1, num, 3), 255, np.uint8)
    (row,) = draw_overlay(white, values, strip, limit=1, opacity=opacity, smooth=False)[0]
    return ListedColormap(row / 255.0, name="signed")


def colour_bar(
    figure: Figure,
    axes: Axes | Sequence[Axes],
    limit: float,
    label: str,
    *,
    opacity: float = 0.75,
    place: Axes | None = None,
    **options: Any,
) -> Colorbar:
    """One signed colour bar for maps that share a limit, with its units.

    Args:
        figure: The figure.
        axes: The pictures that it is for.
        limit: Value at its ends.
        label: What is measured, with units.
        opacity: That the maps were drawn with.
        place: An axis that the bar fills; nothing takes room from ``axes``.
        **options: Of :meth:`matplotlib.figure.Figure.colorbar`.

    Raises:
        ValueError: The limit is not positive.
    """
    if not limit > 0:
        raise ValueError(f"limit is positive, got {limit}")
    scale = ScalarMappable(Normalize(-limit, limit), scale_colours(opacity=opacity))
    where: dict[str, Any] = {"cax": place} if place is not None else {"ax": axes}
    bar = figure.colorbar(scale, **where, ticks=[-limit, 0, limit], **options)
    bar.set_ticklabels([number(-limit), "0", number(limit)])
    bar.set_label(label)
    bar.outline.set(edgecolor=GREY, linewidth=0.6)
    return bar


def number(value: float, digits: int = 2) -> str:
    """A signed number with so many digits that count, its minus as long as its plus."""
    return f"{value:+.{digits}g}".replace("-", "\N{MINUS SIGN}")


def wrapped(words: str, width: float, size: float) -> list[str]:
    """Lines of a text in the figures' font that are at most so wide, broken between words.

    Args:
        words: The text.
        width: In inches.
        size: Of the letters, in points.
    """
    # Measured at ten times the size: the font's lengths are whole pixels.
    measure = font(round(10 * size)).getlength
    lines: list[str] = []
    for word in words.split(" "):  # spaces that do not break stay
        longer = f"{lines[-1]} {word}" if lines else ""
        if longer and measure(longer) / 10 <= 72 * width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
