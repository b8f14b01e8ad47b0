"""What Compare hands out of a pair: figures, film, maps, and the commands for them."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.base.arguments import Arguments, shown_path
from dashboard.overlays import maps, verdict_job, view_model
from dashboard.overlays.options import DisplayOptions
from dashboard.overlays.request import MapRequest
from dashboard.overlays.selection import Selection
from dashboard.services import uploads
from dashboard.services.models import Loaded
from dashboard.widgets import export
from dashboard.widgets.export import Command, File
from rspnet.text import spreadsheet_cell

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from analysis import ClipMap, KindMaps

BOX_SHARE = 0.5  # of what is positive, as in the panels


def draw(selection: Selection, request: MapRequest, loaded: Loaded, arguments: Arguments) -> None:
    """Draw the panel below the maps."""
    name = view_model.file_name(request, loaded)
    verdicts = verdict_job.kept(request, loaded.query.hash)
    commands = commands_of(selection, request, name, with_verdict=bool(verdicts))
    commands.append(export.app_command(arguments, selection.model.path))
    export.panel("pair", files_of(selection, request, loaded, name), commands)


def files_of(selection: Selection, request: MapRequest, loaded: Loaded, name: str) -> list[File]:
    """Files of the selected pair, made when they are downloaded."""
    display, is_grey = selection.display, selection.display.frames == "grey"
    commands = {c.words[-1]: c.line for c in commands_of(selection, request, name)}

    def found() -> "KindMaps":
        return maps.maps_of(request, loaded)

    def figure1() -> "Figure":
        from analysis.figures.figure1 import draw_figure1
        from analysis.figures.viewer.pair import in_grey

        drawn = draw_figure1(
            in_grey(found()) if is_grey else found(),
            scale=display.scale,
            share=BOX_SHARE,
            follow=False,
            **display.drawn,
        )
        return drawn.figure

    def page(path: Path) -> Path:
        from analysis import to_html

        # Whether the maps were checked is known when the visitor asks for the file.
        checked = verdict_job.kept(request, loaded.query.hash)
        own = commands_of(selection, request, name, with_verdict=bool(checked))
        command = next((c.line for c in own if c.words[-1].endswith(".html")), "")
        about = {"verdicts": checked, "command": command}
        shown = {"scale": display.scale, "grey": is_grey, **display.drawn}
        return to_html(found(), path, **about, **shown)

    def strip() -> "Figure":
        from analysis.figures.strips import draw_strip, rows_of

        rows = rows_of(found(), request.clip_i.view(), request.clip_j.view())
        return draw_strip(rows, opacity=display.opacity, smooth=display.cells != "raw")

    def film() -> bytes:
        titles = [view_model.short_title(clip) for clip in (selection.clip_i, selection.clip_j)]
        return view_model.film_of(request, display, (titles[0], titles[1]), loaded)

    title, command = display.map.title, commands.get(f"{name}.pdf", "")
    files = [File("Page", f"{name}.html", lambda: export.written(".html", page))]
    files += export.figure_files(name, strip if request.fine else figure1, title, command)
    files.append(File("Clip", f"{name}.mp4", film))
    for ending, make in _data(found).items():
        files.append(File("Data", f"{name}{ending}", make))
    return files


def _data(found: "Callable[[], KindMaps]") -> dict[str, Callable[[], bytes]]:
    def arrays() -> bytes:
        values: dict[str, Any] = {key: m.values for key, m in _named(found()).items()}
        values["manifest"] = np.array(json.dumps(manifest_of(found())))
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **values)
        return buffer.getvalue()

    def manifest() -> bytes:
        return (json.dumps(manifest_of(found()), indent=1) + "\n").encode()

    return {".npz": arrays, ".csv": lambda: table_of(found()), ".json": manifest}


def _named(found: "KindMaps") -> "dict[str, ClipMap]":
    return {f"{row}.{'ij'[n]}": both[n] for row, both in found.rows.items() for n in range(2)}


def table_of(found: "KindMaps") -> bytes:
    """All maps as a table (CSV): a row a cell, with the frames that the cell is drawn over."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("head", "clip", "time", "row", "column", "first_frame", "last_frame", "value"))
    for key, clip_map in _named(found).items():
        head, clip = key.split(".")
        cells, indices = clip_map.grid.cell_of(0), clip_map.clip.frame_indices
        for place, value in np.ndenumerate(clip_map.values):
            own = [indices[n] for n in np.flatnonzero(cells == place[0])]
            name = spreadsheet_cell(found.titles.get(head, head))
            writer.writerow((name, f"c_{clip}", *place, own[0], own[-1], repr(float(value))))
    return text.getvalue().encode()


def manifest_of(found: "KindMaps") -> dict[str, Any]:
    """Where all maps are from and what they are of, with their regions, as plain JSON values."""
    from analysis.regions.tracks import tracks_of

    return {
        "format": "rspnet-view",
        "version": 1,
        **(
            {"classes": found.titles, "probability": found.probability}
            | ({"offset": found.offset} if found.offset else {})
            if found.titles
            else {"similarity": found.similarity}
        ),
        "maps": {key: clip_map.manifest() for key, clip_map in _named(found).items()},
        "regions": {key: tracks_of(clip_map).to_json() for key, clip_map in _named(found).items()},
    }


def commands_of(
    selection: Selection, request: MapRequest, name: str, *, with_verdict: bool = False
) -> list[Command]:
    """Command lines that give what is shown of the selected pair; none of uploads, which go.

    Args:
        selection: What is shown.
        request: Its maps.
        name: Of the files that they write, without ending.
        with_verdict: Whether the maps of a page are to be checked, too.
    """
    clips, model = (selection.clip_i, selection.clip_j), selection.model
    if any(uploads.is_upload(clip.video) for clip in clips):
        return []
    pair = ["--model", shown_path(model.path)]
    for option, values in (
        ("video", [shown_path(clip.video.path) for clip in clips]),
        ("start", [str(clip.start) for clip in clips]),
        ("speed", [str(clip.speed) for clip in clips]),
    ):
        for side, value in zip("ij", values, strict=True):
            pair += [f"--{option}_{side}", value]
    if request.clip_i.size != model.size:
        pair += ["--size", str(request.clip_i.size)]
    if request.other_speed is not None:
        pair += ["--speed_k", f"{request.other_speed.speed:g}"]
    others = ["--others", *(shown_path(Path(clip.path)) for clip in request.others)]
    if request.map.needs == "triplet" and request.others:
        pair += others
    if selection.classifier is not None:
        pair += ["--classifier", shown_path(selection.classifier.path)]
    command = ["python", "-m", "analysis"]
    fine = ["--fine", str(maps.FINE_STEPS)] if request.fine else []
    words = [*command, "maps", *pair, "--maps", request.kind, *fine]
    shown = ["--scale", selection.display.scale]
    if selection.display.opacity != DisplayOptions.opacity:
        shown += ["--opacity", f"{selection.display.opacity:g}"]
    if not selection.display.drawn["smooth"]:
        shown += ["--smooth", "false"]
    if selection.display.frames == "grey":
        shown += ["--grey", "true"]
    checked = ["--verdict", "true"] if with_verdict else []
    if with_verdict and request.map.needs != "triplet" and request.others:
        checked += others
    commands = [
        Command("The page, one file", (*words, *shown, *checked, "--out", f"{name}.html")),
        Command("These maps, with a strip of them", (*words, "--out", name)),
    ]
    if not request.fine:
        box = ["--share", f"{BOX_SHARE:g}", "--follow", "false"]
        figure = ["figure1", *pair, "--map", request.kind, *shown, *box]
        film = ["strips", *pair, "--map", request.kind, "--out", f"{name}.mp4"]
        commands.insert(0, Command("The figure", (*command, *figure, "--out", f"{name}.pdf")))
        commands.append(Command("A film of the pair", (*command, *film)))
    return commands
