"""The command ``python -m rspnet.data.synthetic``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rspnet.data.synthetic.videos import contact_sheet, generate


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m rspnet.data.synthetic", description="Generate videos with ground truth."
    )
    parser.add_argument("--out", type=Path, help="folder of the data set")
    parser.add_argument("--num_videos", "--num-videos", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--num_workers", "--num-workers", type=int, help="processes")
    parser.add_argument(
        "--contact_sheet", "--contact-sheet", type=Path, help="write a picture of videos instead"
    )
    args = parser.parse_args(arguments)
    try:
        if args.contact_sheet is not None:
            from PIL import Image

            Image.fromarray(contact_sheet(args.seed, range(min(args.num_videos, 14)))).save(
                args.contact_sheet
            )
            print(args.contact_sheet)
        elif args.out is None:
            parser.error("give --out DIR or --contact_sheet FILE.png")
        else:
            folder = generate(args.out, args.num_videos, args.seed, num_workers=args.num_workers)
            print(f"{args.num_videos} videos in {folder}")
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
