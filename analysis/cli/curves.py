"""The command ``python -m analysis curves``."""

import argparse
import sys
from collections.abc import Sequence

from analysis.figures.curves import draw_curves, read_run


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m analysis curves", description="Draw training curves."
    )
    parser.add_argument("runs", nargs="+", help="folders of runs, in the order of training")
    parser.add_argument("--out", default="curves.png", help="*.png, *.svg or *.pdf")
    options = parser.parse_args(arguments)
    try:
        print(draw_curves([read_run(run) for run in options.runs], options.out))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
