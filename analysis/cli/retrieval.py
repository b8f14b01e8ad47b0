"""The command ``python -m analysis retrieval``."""

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.attribution.retrieval.explain import explain_retrieval
from analysis.attribution.retrieval.result import RetrievalExplanation
from analysis.attribution.retrieval.unit import UnitClips, explain_unit
from analysis.cli.pair import is_page
from analysis.core.shown import to_html
from analysis.report.verdict import verdicts_on_hits
from rspnet.commands import one_of, run_cli
from rspnet.files import atomic_path
from rspnet.retrieval.gallery import FEATURES, Gallery
from rspnet.weights.checkpoint import load_model


@dataclass(frozen=True, kw_only=True)
class RetrievalConfig:
    """Why a retrieval ranks videos as it does, or which of them excite a unit of a head.

    Attributes:
        gallery: Folder of ``python -m rspnet.extract``.
        query: Query video, in the gallery or not; nothing with ``--unit``.
        out: Folder for the maps and the figure; or ``*.html`` for one page that opens from the
            disk without a network, with the maps in motion.
        model: Model file or name of a shipped model.
        unit: In place of a query: the dimension of the head (with ``--feature backbone`` the
            channel), from 0, of which the videos are listed that excite it most.
        layer: Layer of the encoder whose channel the unit is, such as layer2; nothing: the unit is
            one of the feature. Its values are not in a gallery: clips of up to 400 are sent through
            the encoder.
        k: Number of neighbours.
        feature: Feature that the videos are ranked by.
        verdict: Check the map of the query of each hit, too, which takes some 60 forward passes a
            hit; the page or the JSON says what came of it.
    """

    gallery: str
    out: str
    query: str = ""
    unit: int | None = None
    layer: str = ""
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
    from analysis.figures.retrieval_figure import draw_retrieval, draw_unit
    from analysis.figures.style import save

    if bool(config.query) == (config.unit is not None):
        raise ValueError("one of --query and --unit says what to search for, got both or neither")
    if config.layer and config.unit is None:
        raise ValueError("--layer says of which layer --unit is one: give both")
    branch, gallery = load_model(config.model), Gallery.load(config.gallery)
    found: RetrievalExplanation | UnitClips
    if config.unit is None:
        found = explain_retrieval(branch, gallery, config.query, config.feature, config.k)
        name = f"retrieval_{config.feature}"
    elif config.verdict:
        raise ValueError("a verdict is on the hits of a query: leave out --verdict or --unit")
    else:
        feature = config.layer or config.feature
        found = explain_unit(branch, gallery, feature, config.unit, config.k)
        name = f"unit_{feature}_{config.unit}"
    checked = {}
    if config.verdict and isinstance(found, RetrievalExplanation):
        checked = verdicts_on_hits(branch, found)
    if is_page(config.out):
        from analysis.figures.viewer.retrieval import still_of_hits

        more: dict[str, Any] = {}
        if isinstance(found, RetrievalExplanation):
            more = {"verdicts": checked, "still": still_of_hits(branch, found)}
        print(to_html(found, config.out, command=command, **more))
        return
    stem = Path(config.out) / name
    found.save(stem.with_suffix(".npz"))
    with atomic_path(stem.with_suffix(".json")) as temporary:
        said = {rank: own.sentence for rank, own in checked.items()}
        values = found.to_json() | ({"verdicts": said} if said else {})
        temporary.write_text(json.dumps(values, indent=1) + "\n")
    drawn = draw_unit(found) if isinstance(found, UnitClips) else draw_retrieval(found)
    save(drawn.figure, stem.with_suffix(".png"))
    if isinstance(found, UnitClips):
        listed = [(own.rank, own.value, own.label, own.maps.path) for own in found.videos]
    else:
        listed = [(hit.rank, hit.similarity, hit.label, hit.path) for hit in found.hits]
    for rank, value, label, path in listed:
        print(f"{rank:3} {value:+.4f} {label:20} {path}")
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
        description="List the nearest videos to a query, or those that excite a unit of a head "
        "most, with exact maps of what makes them so.",
        examples=(
            "python -m analysis retrieval --gallery runs/gallery --query walk.mp4 --out retrieval",
            "python -m analysis retrieval --gallery runs/gallery --unit 17 --out unit.html",
        ),
        out="file" if any(map(is_page, words)) else "folder",
    )


if __name__ == "__main__":
    sys.exit(main())
