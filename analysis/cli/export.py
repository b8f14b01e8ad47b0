"""The command ``python -m analysis export``."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.gallery.export import ATLAS_FILE, WRITERS, middle_frames
from rspnet.commands import one_of, run_cli
from rspnet.retrieval.gallery import FEATURES, Gallery


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """A gallery for another tool.

    Attributes:
        to: The tool.
        gallery: Folder of ``python -m rspnet.extract``.
        out: Folder that is written.
        features: Features whose vectors are written.
        pictures: Write the middle frame of each video, too (FiftyOne plays the videos themselves).
    """

    gallery: str
    out: str
    to: str = one_of(tuple(WRITERS), "tensorboard")
    features: list[str] = one_of(FEATURES, ["rsp", "avid"])
    pictures: bool = True


def run(config: ExportConfig) -> None:
    """Write a gallery for another tool, and say how it is opened.

    Raises:
        ValueError: The gallery can't be read, or the folder holds something already.
    """
    gallery, out = Gallery.load(config.gallery), Path(config.out)
    pictures, missing = (
        middle_frames(gallery.paths) if config.pictures and config.to != "fiftyone" else (None, {})
    )
    features = list(dict.fromkeys(config.features))
    print(WRITERS[config.to](gallery, out, features, pictures))
    for path, why in missing.items():
        print(f"no picture of {path}: {why}", file=sys.stderr)
    if config.to == "tensorboard":
        print(f"open it with: tensorboard --logdir {out}, then Projector")
    elif config.to == "fiftyone":
        opened = f"fo.Dataset.from_dir({str(out)!r}, dataset_type=fo.types.FiftyOneDataset)"
        print(f"open it in Python with: import fiftyone as fo; {opened}")
    else:
        shown = f"--x {features[0]}_x --y {features[0]}_y --neighbors {features[0]}_neighbors"
        print(f"open it with: embedding-atlas {out / ATLAS_FILE} {shown}")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    return run_cli(
        ExportConfig,
        run,
        arguments,
        prog="python -m analysis export",
        description="Write a gallery for TensorBoard's projector, Embedding Atlas or FiftyOne.",
        examples=(
            "python -m analysis export --gallery runs/gallery --out runs/projector",
            "python -m analysis export --to embedding_atlas --gallery runs/gallery --out atlas",
        ),
        out="folder",
    )


if __name__ == "__main__":
    sys.exit(main())
