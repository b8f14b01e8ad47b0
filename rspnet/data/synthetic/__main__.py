"""The command ``python -m rspnet.data.synthetic``."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from rspnet.commands import run_cli
from rspnet.data.synthetic.videos import contact_sheet, generate
from rspnet.files import atomic_path


@dataclass(frozen=True, kw_only=True)
class SyntheticConfig:
    """Synthetic videos with ground truth.

    Attributes:
        out: Folder of the data set.
        num_videos: Number of videos.
        seed: Seed of the videos.
        siblings: So many in a row differ in the prop alone.
        num_workers: Processes that render.
        contact_sheet: PNG file for one picture of the first videos, which is made in place of the
            data set.
    """

    out: str = "data/synthetic"
    num_videos: int = 100
    seed: int = 0
    siblings: int = 1
    num_workers: int = 2
    contact_sheet: str | None = None


def _run(config: SyntheticConfig) -> None:
    if config.contact_sheet is None:
        folder = generate(
            config.out,
            config.num_videos,
            config.seed,
            siblings=config.siblings,
            num_workers=config.num_workers,
        )
        print(f"{config.num_videos} videos in {folder}")
        return
    from PIL import Image

    picture = contact_sheet(config.seed, range(min(config.num_videos, 14)))
    with atomic_path(config.contact_sheet) as temporary:
        Image.fromarray(picture).save(temporary)
    print(config.contact_sheet)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    return run_cli(
        SyntheticConfig,
        _run,
        arguments,
        prog="python -m rspnet.data.synthetic",
        description="Generate synthetic videos with ground truth of what moves, and how fast.",
        examples=(
            "python -m rspnet.data.synthetic --out data/synthetic --num_videos 32",
            "python -m rspnet.data.synthetic --contact_sheet videos.png",
        ),
        out="folder",
        resumes=True,
    )


if __name__ == "__main__":
    sys.exit(main())
