"""The command ``python -m analysis strips``."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.attribution.registry import DEFAULT_MAP, map_kinds
from analysis.cli.pair import PairConfig
from analysis.figures.strips import draw_strip, pair_film, pair_rows
from analysis.figures.style import DPI, check_out, save
from rspnet.commands import one_of, run_cli
from rspnet.files import atomic_path
from rspnet.names import HEADS


@dataclass(frozen=True, kw_only=True)
class StripsConfig(PairConfig):
    """Maps over time.

    Attributes:
        out: The figure, ``*.png``, ``*.svg`` or ``*.pdf``; or ``*.mp4`` for a film.
        map: Kind of map.
        heads: Heads whose maps are drawn; class maps are drawn of both classes.
        cells: Draw the cells of the maps as they are, without interpolation between them.
        fps: Frames per second of a film.
        dpi: Pixels per inch of a figure.
    """

    out: str
    map: str = one_of(map_kinds, DEFAULT_MAP)
    heads: list[str] = one_of(HEADS, list(HEADS))
    cells: bool = False
    fps: float = 8.0
    dpi: int = DPI


def run(config: StripsConfig) -> None:
    """Draw the figure or the film.

    Raises:
        ValueError: The pair can't be loaded, or ``out`` has another ending.
    """
    out = Path(config.out)
    if out.suffix.lower() == ".mp4":
        film = pair_film(config.load([config.map]), config.map, fps=config.fps)
        with atomic_path(out) as temporary:
            temporary.write_bytes(film)
    else:
        check_out(out)
        rows = pair_rows(config.load([config.map]), config.map)
        rows = [row for row in rows if row.clip_map.head in (*config.heads, "classifier")]
        save(draw_strip(rows, smooth=not config.cells), out, dpi=config.dpi)
    print(out)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    return run_cli(
        StripsConfig,
        run,
        arguments,
        prog="python -m analysis strips",
        description="Draw the maps of both heads for a pair of clips, all time steps side by side.",
        examples=(
            "python -m analysis strips --out strips.png",
            "python -m analysis strips --video_i walk.mp4 --speed_i 2 --out strips.mp4",
        ),
        out="file",
    )


if __name__ == "__main__":
    sys.exit(main())
