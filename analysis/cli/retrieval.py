"""The command ``python -m analysis retrieval``."""

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.attribution.retrieval import explain_retrieval
from analysis.cli.pair import is_page
from analysis.core.shown import to_html
from analysis.report.verdict import verdicts_on_hits
from rspnet.commands import one_of, run_cli
from rspnet.files import atomic_path
from rspnet.retrieval.gallery import FEATURES, Gallery
from rspnet.weights.checkpoint import load_model


@dataclass(frozen=True, kw_only=True)
class RetrievalConfig:
    """Why a retrieval ranks videos as it does.

    Attributes:
        gallery: Folder of ``python -m rspnet.extract``.
        query: Query video, in the gallery or not.
        out: Folder for the maps and the figure; or ``*.html`` for one page that opens from the
            disk without a network, with the maps in motion.
        model: Model file or name of a shipped model.
        k: Number of neighbours.
        feature: Feature that the videos are ranked by.
        verdict: Check the map of the query that each hit of a page has, too, which takes some 60
            forward passes a hit.
    """

    gallery: str
    query: str
    out: str
    model: str = "default"
    k: int = 5
    feature: str = one_of(FEATURES, "rsp")
    verdict: bool = False


def run(config: RetrievalConfig, command: str = "") -> None:
    """Explain, draw and print.

    Raises:
        ValueError: Model, gallery or video can't be read, or do not belong together.
    """
    # The figure needs matplotlib, the maps do not.
    from analysis.figures.retrieval_figure import draw_retrieval
    from analysis.figures.style import save

    branch, gallery = load_model(config.model), Gallery.load(config.gallery)
    found = explain_retrieval(branch, gallery, config.query, config.feature, config.k)
    if is_page(config.out):
        checked = verdicts_on_hits(branch, found) if config.verdict else {}
        print(to_html(found, config.out, verdicts=checked, command=command))
        return
    stem = Path(config.out) / f"retrieval_{config.feature}"
    found.save(stem.with_suffix(".npz"))
    with atomic_path(stem.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(found.to_json(), indent=1) + "\n")
    drawn = draw_retrieval(found)
    save(drawn.figure, stem.with_suffix(".png"))
    for hit in found.hits:
        print(f"{hit.rank:3} {hit.similarity:+.4f} {hit.label:20} {hit.path}")
    print(f"\n{drawn.caption}")
    for ending in (".npz", ".json", ".png"):
        print(stem.with_suffix(ending))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    command = shlex.join(["python", "-m", "analysis", "retrieval", *words])
    return run_cli(
        RetrievalConfig,
        lambda config: run(config, command),
        words,
        prog="python -m analysis retrieval",
        description="List the nearest videos to a query, with exact maps of what makes them near.",
        examples=(
            "python -m analysis retrieval --gallery runs/gallery --query walk.mp4 --out retrieval",
        ),
        out="file" if any(map(is_page, words)) else "folder",
    )


if __name__ == "__main__":
    sys.exit(main())
