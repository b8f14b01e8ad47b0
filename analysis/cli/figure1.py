"""The command ``python -m analysis figure1``."""

import argparse
import sys
from collections.abc import Sequence

from analysis.figures.figure1 import SHARE, _retrieval, draw_figure1
from analysis.figures.figure_inputs import add_pair_arguments, pair_of
from analysis.figures.style import DPI, check_out, save
from analysis.regions.tracks import save_tracks
from rspnet.retrieval.gallery import FEATURES


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m analysis figure1",
        description="Rebuild Figure 1 of the supplementary for any model and any videos.",
    )
    add_pair_arguments(parser)
    parser.add_argument("--gallery", help="folder of python -m rspnet.extract: draws (a) from it")
    parser.add_argument(
        "--num-videos",
        type=int,
        default=40,
        help="generated videos for (a) if no video is given; 0 leaves (a) out",
    )
    parser.add_argument(
        "--features", nargs="+", choices=FEATURES, default=["rsp", "avid"], help="rows of (a)"
    )
    parser.add_argument("--frames", type=int, default=3, help="frames of each clip in (b)")
    parser.add_argument(
        "--map", choices=("contribution", "eq2"), default="contribution", help="which map in (b)"
    )
    parser.add_argument(
        "--scale", choices=("shared", "head"), default="shared", help="one colour scale or two"
    )
    parser.add_argument(
        "--share", type=float, default=SHARE, help="of the contribution that the boxes hold"
    )
    parser.add_argument("--dpi", type=int, default=DPI, help="pixels an inch of the pictures")
    parser.add_argument("--no-caption", action="store_true", help="no text below the figure")
    parser.add_argument("--tracks", help="JSON file for the boxes of every frame")
    parser.add_argument("--out", required=True, help="the figure: .png, .svg or .pdf")
    options = parser.parse_args(arguments)
    try:
        check_out(options.out)
        pair = pair_of(options)
        retrieval = _retrieval(options, pair)
        drawn = draw_figure1(
            pair,
            retrieval,
            num_frames=options.frames,
            kind=options.map,
            scale=options.scale,
            share=options.share,
            with_caption=not options.no_caption,
        )
        save(drawn.figure, options.out, dpi=options.dpi)
        if options.tracks:
            save_tracks(options.tracks, drawn.tracks)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(drawn.caption)
    print(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
