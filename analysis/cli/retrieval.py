"""The command ``python -m analysis retrieval``."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from analysis.attribution.retrieval import explain_retrieval
from rspnet.files import atomic_path
from rspnet.retrieval.gallery import FEATURES, Gallery
from rspnet.weights.checkpoint import load_model


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    # The picture needs matplotlib, the maps do not.
    from analysis.figures.retrieval_figure import draw_retrieval
    from analysis.figures.style import save

    parser = argparse.ArgumentParser(
        prog="python -m analysis retrieval",
        description="The nearest videos to a query, and exact maps of what makes them near.",
    )
    parser.add_argument("--model", default="default", help="model file or name of a shipped model")
    parser.add_argument("--gallery", required=True, help="folder of python -m rspnet.extract")
    parser.add_argument("--query", required=True, help="a video, in the gallery or not")
    parser.add_argument("--k", type=int, default=5, help="number of neighbours")
    parser.add_argument("--feature", choices=FEATURES, default="rsp", help="what to rank by")
    parser.add_argument("--out", type=Path, required=True, help="folder for maps and picture")
    options = parser.parse_args(arguments)
    try:
        branch, gallery = load_model(options.model), Gallery.load(options.gallery)
        found = explain_retrieval(branch, gallery, options.query, options.feature, options.k)
        stem = options.out / f"retrieval_{options.feature}"
        found.save(stem.with_suffix(".npz"))
        with atomic_path(stem.with_suffix(".json")) as temporary:
            temporary.write_text(json.dumps(found.to_json(), indent=1) + "\n")
        drawn = draw_retrieval(found)
        save(drawn.figure, stem.with_suffix(".png"))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for hit in found.hits:
        print(f"{hit.rank:3} {hit.similarity:+.4f} {hit.label:20} {hit.path}")
    print(f"\n{drawn.caption}")
    for ending in (".npz", ".json", ".png"):
        print(stem.with_suffix(ending))
    return 0


if __name__ == "__main__":
    sys.exit(main())
