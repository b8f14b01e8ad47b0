"""The command ``python -m analysis projection``."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from analysis.gallery.projection import (
    METHODS,
    NUM_NEIGHBOURS,
    PERPLEXITY,
    embed_galleries,
    write_points,
)
from rspnet.commands import one_of, run_cli
from rspnet.retrieval.gallery import FEATURES


@dataclass(frozen=True, kw_only=True)
class ProjectionConfig:
    """A 2-D projection of one or more galleries.

    Attributes:
        gallery: Folders of ``python -m rspnet.extract``.
        out: The figure, ``*.png``, ``*.svg`` or ``*.pdf``. Its points are written beside it as CSV.
        features: Features that are drawn.
        method: How the vectors are projected.
        label: What colours the points: ``label``, ``split``, ``cluster``, or a column of
            ``label_file``.
        label_file: CSV file with a column ``path`` or ``clip``, and the one that ``label`` names.
        num_clusters: Number of clusters of k-means; 0 for none.
        perplexity: Perplexity of t-SNE.
        num_neighbours: Number of neighbours of UMAP.
        seed: Seed of t-SNE, UMAP and k-means.
    """

    gallery: list[str]
    out: str
    features: list[str] = one_of(FEATURES, ["rsp", "avid"])
    method: str = one_of(METHODS, "pca")
    label: str = "label"
    label_file: str | None = None
    num_clusters: int = 0
    perplexity: float = PERPLEXITY
    num_neighbours: int = NUM_NEIGHBOURS
    seed: int = 0


def run(config: ProjectionConfig) -> None:
    """Project, draw, and write the points.

    Raises:
        ValueError: A gallery or the label file can't be read, or a setting is out of range.
    """
    # Matplotlib takes a second to import, which `--help` need not wait for.
    from analysis.figures.projection_figure import draw_embeddings
    from analysis.figures.style import check_out, save

    out = check_out(config.out)
    found = embed_galleries(
        config.gallery,
        list(dict.fromkeys(config.features)),
        method=config.method,
        label=config.label,
        table=config.label_file,
        seed=config.seed,
        perplexity=config.perplexity,
        num_neighbours=config.num_neighbours,
        num_clusters=config.num_clusters,
    )
    drawn = draw_embeddings(found, label=config.label)
    save(drawn.figure, out)
    points = write_points(out.with_suffix(".csv"), found)
    print(drawn.caption)
    print(out)
    print(points)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    return run_cli(
        ProjectionConfig,
        run,
        arguments,
        prog="python -m analysis projection",
        description="Draw a gallery in two dimensions, its features side by side.",
        examples=(
            "python -m analysis projection --gallery runs/gallery --out projection.png",
            "python -m analysis projection --gallery train test --method tsne --label split "
            "--out projection.pdf",
        ),
        out="file",
    )


if __name__ == "__main__":
    sys.exit(main())
