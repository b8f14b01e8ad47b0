"""What the speed lab hands out: figure, film, maps, curves, and the commands for them."""

import csv
import hashlib
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

from dashboard.app_pages.speed_lab import responses
from dashboard.app_pages.speed_lab.responses import Subject
from dashboard.base.arguments import Arguments, shown_path
from dashboard.services.galleries import Source
from dashboard.services.models import Loaded, ModelChoice
from dashboard.widgets import export
from dashboard.widgets.export import Command, File
from rspnet.files import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from analysis import KindMaps, PairClips
    from analysis.stimuli.perturbed_clips import Curve


def draw(
    subject: Subject,
    name: str,
    level: float,
    source: Source,
    model: ModelChoice,
    loaded: Loaded,
    arguments: Arguments,
) -> None:
    """Draw the panel below the maps."""
    commands = [many_videos(source, model), export.app_command(arguments, model.path)]
    export.panel("lab", files_of(subject, name, level, loaded), commands)


def files_of(subject: Subject, name: str, level: float, loaded: Loaded) -> list[File]:
    """Files of a change, made when they are downloaded."""
    key = (loaded.query.hash, subject, name, level)
    stem = f"rspnet-{name}-{hashlib.sha256(repr(key).encode()).hexdigest()[:8]}"

    def found() -> "KindMaps":
        return responses.maps_of(subject, name, level, loaded)

    def pair() -> "PairClips":
        return responses.pair_of(subject, name, level, loaded)

    def strip() -> "Figure":
        from analysis.figures.strips import draw_strip, rows_of

        limit, opacity = responses.limit_of(subject, loaded), responses.DISPLAY.opacity
        rows = rows_of(found(), pair().view_i, pair().view_j)
        return draw_strip(rows, limit=limit, opacity=opacity)

    def film() -> bytes:
        from analysis.figures.strips import film_of

        return film_of(found(), pair().view_i.frames, pair().view_j.frames)

    def arrays(path: Path) -> Path:
        from analysis.attribution.pair import pair_of_features

        return pair_of_features(pair().c_i, pair().c_j).save(path)

    def curves() -> "dict[str, Curve]":
        return responses.strongest_of(subject, loaded) | {
            name: responses.curve_of(subject, name, loaded)
        }

    def plain() -> bytes:
        about = {
            "format": "rspnet-probe",
            "version": 1,
            "model_hash": loaded.query.hash,
            "video": printable(subject.video.path),
            "start": subject.start,
            "num_frames": subject.num_frames,
            "branch": "key",
            "curves": [curve.to_json() for curve in curves().values()],
        }
        return (json.dumps(about, indent=1) + "\n").encode()

    return [
        *export.figure_files(stem, strip),
        File("Clip", f"{stem}.mp4", film),
        File("Data", f"{stem}.npz", lambda: export.written(".npz", arrays)),
        File("Data", f"{stem}.csv", lambda: table_of(curves())),
        File("Data", f"{stem}.json", plain),
    ]


def table_of(curves: "dict[str, Curve]") -> bytes:
    """Curves of one clip as a table (CSV): a row a change, level and head."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("change", "level", "head", "similarity"))
    for name, curve in curves.items():
        for head in curve.similarity:
            for level in curve.levels:
                value = float(curve.at(head, level)[0])
                writer.writerow((name, f"{level:g}", head, repr(value)))
    return text.getvalue().encode()


def many_videos(source: Source, model: ModelChoice) -> Command:
    """The command line that measures the same on a gallery's videos, with intervals."""
    words = ["python", "-m", "analysis", "responses", "--model", shown_path(model.path)]
    words += ["--videos", shown_path(source.root), "--branch", "key"]
    words += ["--out", "responses.json", "--figure", "responses.pdf"]
    return Command("Curves over this gallery's videos, with intervals", tuple(words))
