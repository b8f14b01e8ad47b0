"""The command ``python -m analysis figure1``."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from analysis.attribution.pair_clips import PairClips
from analysis.attribution.registry import DEFAULT_MAP, map_kinds
from analysis.cli.pair import DisplayConfig, PairConfig
from analysis.figures.figure1 import SHARE, draw_figure1
from analysis.figures.figure_inputs import Retrieval, retrieve_generated, retrieve_in_gallery
from analysis.figures.style import DPI, check_out, save
from analysis.regions.tracks import save_tracks
from rspnet.commands import one_of, run_cli
from rspnet.names import HEADS
from rspnet.retrieval.gallery import FEATURES, Gallery


@dataclass(frozen=True, kw_only=True)
class Figure1Config(PairConfig, DisplayConfig):
    """Figure 1 of the supplementary.

    Attributes:
        out: The figure: ``*.png``, ``*.svg`` or ``*.pdf``.
        map: Kind of map in (b).
        gallery: Folder of python -m rspnet.extract: (a) is drawn from it.
        num_videos: Synthetic videos that (a) searches if no video is given; 0 draws (b) alone.
        features: Rows of (a).
        frames: Frames of each clip in (b).
        share: Share of the positive contribution that the boxes hold.
        follow: Boxes follow their region through time; otherwise one is drawn for the whole clip.
        dpi: Pixels per inch of the pictures.
        caption: Write the caption below the figure.
        tracks: JSON file for the boxes of every frame. Nothing: none is written.
    """

    out: str
    map: str = one_of(map_kinds, DEFAULT_MAP)
    gallery: str | None = None
    num_videos: int = 40
    features: list[str] = one_of(FEATURES, list(HEADS))
    frames: int = 3
    share: float = SHARE
    follow: bool = True
    dpi: int = DPI
    caption: bool = True
    tracks: str | None = None


def run(config: Figure1Config, command: str = "") -> None:
    """Draw the figure.

    Raises:
        ValueError: The pair or the gallery can't be loaded, or a number is out of range.
    """
    check_out(config.out)
    pair = config.load([config.map])
    drawn = draw_figure1(
        pair,
        _retrieval(config, pair),
        num_frames=config.frames,
        kind=config.map,
        share=config.share,
        follow=config.follow,
        **config.display,
        with_caption=config.caption,
    )
    title = map_kinds()[config.map].title
    save(drawn.figure, config.out, dpi=config.dpi, title=title, command=command)
    if config.tracks:
        save_tracks(config.tracks, drawn.tracks)
    print(drawn.caption)
    print(config.out)


def _retrieval(config: Figure1Config, pair: PairClips) -> Retrieval | None:
    num = 2 * config.frames - 1
    if config.gallery:
        if config.video_i is None:
            raise ValueError("a gallery needs a query: give --video_i")
        gallery = Gallery.load(config.gallery)
        return retrieve_in_gallery(pair.query, gallery, config.video_i, num, config.features)
    if config.video_i is not None or config.num_videos == 0:
        return None
    return retrieve_generated(pair.query, config.seed, config.num_videos, num, config.features)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    command = shlex.join(["python", "-m", "analysis", "figure1", *words])
    return run_cli(
        Figure1Config,
        lambda config: run(config, command),
        words,
        prog="python -m analysis figure1",
        description="Rebuild Figure 1 of the supplementary for any model and any videos.",
        examples=(
            "python -m analysis figure1 --out figure1.png",
            "python -m analysis figure1 --video_i walk.mp4 --speed_i 2 --speed_j 2 "
            "--others run.mp4 jump.mp4 --out figure1.pdf",
        ),
        out="file",
    )


if __name__ == "__main__":
    sys.exit(main())
