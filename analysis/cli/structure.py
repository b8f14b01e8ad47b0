"""The command ``python -m analysis structure``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from analysis.gallery.neighbours import Space
from analysis.gallery.structure import gallery_statistics
from rspnet.retrieval.gallery import FEATURES, Gallery


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m analysis structure",
        description="Hubs, label purity and disagreement of the features of a gallery.",
    )
    parser.add_argument("--gallery", required=True, help="folder of python -m rspnet.extract")
    parser.add_argument(
        "--features", nargs="+", choices=FEATURES, default=["rsp", "avid"], help="to be compared"
    )
    parser.add_argument("--k", type=int, default=10, help="number of neighbours")
    parser.add_argument("--num", type=int, default=20, help="pairs to list")
    parser.add_argument("--out", type=Path, help="JSON file for all of it")
    options = parser.parse_args(arguments)
    try:
        gallery = Gallery.load(options.gallery)
        spaces = [Space.of(gallery, feature) for feature in dict.fromkeys(options.features)]
        found = gallery_statistics(spaces, k=options.k, num=options.num)
        if options.out:
            found.save(options.out)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(found.table())
    if options.out:
        print(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
