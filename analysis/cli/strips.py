"""The command ``python -m analysis strips``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from analysis.figures.figure_inputs import add_pair_arguments, pair_of
from analysis.figures.strips import draw_strip, pair_film, pair_rows
from analysis.figures.style import DPI, check_out, save
from rspnet.files import atomic_path
from rspnet.names import HEADS


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m analysis strips", description="Both heads' maps of a pair over time."
    )
    add_pair_arguments(parser)
    parser.add_argument("--heads", nargs="+", choices=HEADS, default=list(HEADS), help="rows")
    parser.add_argument("--cells", action="store_true", help="show cells as they are, not smooth")
    parser.add_argument("--fps", type=float, default=8.0, help="of a film")
    parser.add_argument("--dpi", type=int, default=DPI, help="pixels an inch of a picture")
    parser.add_argument("--out", required=True, help=".png, .svg or .pdf; .mp4 for a film")
    options = parser.parse_args(arguments)
    out = Path(options.out)
    try:
        if out.suffix.lower() == ".mp4":
            film = pair_film(pair_of(options), fps=options.fps)
            with atomic_path(out) as temporary:
                temporary.write_bytes(film)
        else:
            check_out(out)
            rows = [r for r in pair_rows(pair_of(options)) if r.clip_map.head in options.heads]
            save(draw_strip(rows, smooth=not options.cells), out, dpi=options.dpi)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
