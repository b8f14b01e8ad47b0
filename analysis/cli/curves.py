"""The command ``python -m analysis curves``."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from analysis.figures.curves import draw_curves, read_run
from rspnet.commands import run_cli


@dataclass(frozen=True, kw_only=True)
class CurvesConfig:
    """Training curves.

    Attributes:
        runs: Folders of runs, in the order of training.
        out: The figure, ``*.png``, ``*.svg`` or ``*.pdf``.
    """

    runs: list[str]
    out: str = "curves.png"


def run(config: CurvesConfig) -> None:
    """Draw the curves.

    Raises:
        ValueError: A folder holds no run, or the figure has another ending.
    """
    print(draw_curves([read_run(folder) for folder in config.runs], config.out))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    return run_cli(
        CurvesConfig,
        run,
        arguments,
        prog="python -m analysis curves",
        description="Draw the training curves of one run, or of several that follow one another.",
        examples=("python -m analysis curves runs/first runs/second --out curves.pdf",),
        positional=("runs",),
        out="file",
    )


if __name__ == "__main__":
    sys.exit(main())
