"""The command ``python -m analysis projection``."""

import argparse
import sys
from collections.abc import Sequence

from analysis.gallery.projection import (
    METHODS,
    NUM_NEIGHBOURS,
    PERPLEXITY,
    embed_galleries,
    write_points,
)
from rspnet.retrieval.gallery import FEATURES


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    from analysis.figures.projection_figure import draw_embeddings
    from analysis.figures.style import check_out, save

    parser = argparse.ArgumentParser(
        prog="python -m analysis projection",
        description="A map of a gallery in two dimensions, its features side by side.",
    )
    parser.add_argument(
        "--gallery", required=True, action="append", help="folder of python -m rspnet.extract"
    )
    parser.add_argument(
        "--features", nargs="+", choices=FEATURES, default=["rsp", "avid"], help="to be drawn"
    )
    parser.add_argument("--method", choices=METHODS, default="pca")
    parser.add_argument("--label", default="label", help="label, split, cluster or a CSV's column")
    parser.add_argument("--labels", help="CSV with a column path or clip, and that of --label")
    parser.add_argument("--clusters", type=int, default=0, help="k-means clusters; 0: none")
    parser.add_argument("--perplexity", type=float, default=PERPLEXITY, help="of t-SNE")
    parser.add_argument("--num-neighbours", type=int, default=NUM_NEIGHBOURS, help="of UMAP")
    parser.add_argument("--seed", type=int, default=0, help="of t-SNE, UMAP and k-means")
    parser.add_argument("--out", required=True, help="picture: .png, .svg or .pdf")
    options = parser.parse_args(arguments)
    try:
        out = check_out(options.out)
        found = embed_galleries(
            options.gallery,
            list(dict.fromkeys(options.features)),
            method=options.method,
            label=options.label,
            table=options.labels,
            seed=options.seed,
            perplexity=options.perplexity,
            num_neighbours=options.num_neighbours,
            num_clusters=options.clusters,
        )
        drawn = draw_embeddings(found, label=options.label)
        save(drawn.figure, out)
        points = write_points(out.with_suffix(".csv"), found)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(drawn.caption)
    print(out)
    print(points)
    return 0


if __name__ == "__main__":
    sys.exit(main())
