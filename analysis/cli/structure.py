"""The command ``python -m analysis structure``."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from analysis.gallery.neighbours import Space
from analysis.gallery.structure import gallery_statistics, structure_tables
from rspnet.commands import one_of, run_cli
from rspnet.retrieval.gallery import FEATURES, Gallery


@dataclass(frozen=True, kw_only=True)
class StructureConfig:
    """How a gallery is arranged.

    Attributes:
        gallery: Folder of ``python -m rspnet.extract``.
        features: Features that are compared.
        k: Number of neighbours.
        num_pairs: Number of pairs that are listed.
        out: JSON file for all results. Nothing: print only.
    """

    gallery: str
    features: list[str] = one_of(FEATURES, ["rsp", "avid"])
    k: int = 10
    num_pairs: int = 20
    out: str | None = None


def run(config: StructureConfig) -> None:
    """Measure, print, and write the JSON file.

    Raises:
        ValueError: The gallery can't be read, or has too few videos for ``k``.
    """
    gallery = Gallery.load(config.gallery)
    spaces = [Space.of(gallery, feature) for feature in dict.fromkeys(config.features)]
    found = gallery_statistics(spaces, k=config.k, num=config.num_pairs)
    for table in structure_tables(found):
        print(table.text(), end="\n\n")
    if config.out:
        print(found.save(config.out))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    return run_cli(
        StructureConfig,
        run,
        arguments,
        prog="python -m analysis structure",
        description="Measure hubs, label purity and disagreement of the features of a gallery.",
        examples=("python -m analysis structure --gallery runs/gallery --k 5",),
        out="file",
    )


if __name__ == "__main__":
    sys.exit(main())
