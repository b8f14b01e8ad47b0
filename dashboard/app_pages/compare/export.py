"""What Compare hands out of a pair: figures, film, maps, and the commands for them."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.base.arguments import Arguments, shown_path
from dashboard.overlays import captum_job, maps, pair_maps, view_model
from dashboard.overlays.options import method_of
from dashboard.overlays.pair_maps import PairMaps
from dashboard.overlays.selection import Clip, Selection
from dashboard.services import uploads
from dashboard.services.models import Loaded
from dashboard.widgets import export
from dashboard.widgets.export import Command, File

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from analysis import ClipMap
    from analysis.figures.figure_inputs import ShownPair


def draw(selection: Selection, loaded: Loaded, arguments: Arguments) -> None:
    """Draw the panel below the maps."""
    name = view_model.file_name(selection, loaded)
    titles = list(pair_maps.maps_of(maps.asked_of(selection), loaded).titles.values())
    commands = [
        *commands_of(selection, name, titles),
        export.app_command(arguments, selection.model.path),
    ]
    export.panel("pair", files_of(selection, loaded, name), commands)


def _is_of_pair(selection: Selection) -> bool:
    """Whether the maps are those of :func:`analysis.explain_pair`."""
    return selection.look.kind in ("contribution", "eq2") and selection.look.cells != "fine"


def files_of(selection: Selection, loaded: Loaded, name: str) -> list[File]:
    """Files of the selected pair, made when asked for."""
    asked, look = maps.asked_of(selection), selection.look

    def found() -> PairMaps:
        return pair_maps.maps_of(asked, loaded)

    def figure1() -> "Figure":
        from analysis.figures.figure1 import draw_figure1

        scale = "shared" if look.scale == "shared" else "head"
        return draw_figure1(_shown_pair(selection, loaded), kind=look.kind, scale=scale).figure

    def strip() -> "Figure":
        from analysis.figures.strips import StripRow, draw_strip

        views = [maps.view_of(key) for key in (asked.clip_i, asked.clip_j)]
        shown = found()
        rows = [
            StripRow(
                # A class stands above its clip, a head is told by its map.
                name=f"{shown.titles.get(head, '')}\n$c_{'ij'[side]}$".strip(),
                view=views[side],
                clip_map=both[side],
            )
            for side in range(2)
            for head, both in shown.heads.items()
        ]
        return draw_strip(rows, opacity=look.opacity, smooth=look.cells != "raw")

    files: list[File] = []
    if _is_of_pair(selection):
        files += export.figure_files(name, figure1)
    else:
        files += export.figure_files(name, strip)
    files.append(File("Clip", f"{name}.mp4", lambda: view_model.loop_of(selection, loaded)))
    for ending, make in _data(selection, loaded, found).items():
        files.append(File("Data", f"{name}{ending}", make))
    return files


def _shown_pair(selection: Selection, loaded: Loaded) -> "ShownPair":
    from analysis.figures.figure_inputs import ShownPair

    asked = maps.asked_of(selection)
    return ShownPair(
        query=loaded.query,
        view_i=maps.view_of(asked.clip_i),
        view_j=maps.view_of(asked.clip_j),
        maps=maps.explain(loaded.query.hash, asked.clip_i, asked.clip_j, loaded),
    )


def _data(
    selection: Selection, loaded: Loaded, found: Callable[[], PairMaps]
) -> dict[str, Callable[[], bytes]]:
    def arrays() -> bytes:
        if _is_of_pair(selection):
            pair = _shown_pair(selection, loaded).maps
            return export.written(".npz", pair.save)
        values: dict[str, Any] = {key: m.values for key, m in _named(found()).items()}
        values["manifest"] = np.array(json.dumps(manifest_of(found())))
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **values)
        return buffer.getvalue()

    def manifest() -> bytes:
        return (json.dumps(manifest_of(found()), indent=1) + "\n").encode()

    return {".npz": arrays, ".csv": lambda: table_of(found()), ".json": manifest}


def _named(found: PairMaps) -> "dict[str, ClipMap]":
    return {f"{head}.{'ij'[n]}": both[n] for head, both in found.heads.items() for n in range(2)}


def table_of(found: PairMaps) -> bytes:
    """All maps as a table (CSV): a row a cell, with the frames that the cell is drawn over."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("head", "clip", "time", "row", "column", "first_frame", "last_frame", "value"))
    for key, clip_map in _named(found).items():
        head, clip = key.split(".")
        cells, indices = clip_map.grid.cell_of(0), clip_map.clip.frame_indices
        for place, value in np.ndenumerate(clip_map.values):
            own = [indices[n] for n in np.flatnonzero(cells == place[0])]
            writer.writerow(
                (
                    found.titles.get(head, head),
                    f"c_{clip}",
                    *place,
                    own[0],
                    own[-1],
                    repr(float(value)),
                )
            )
    return text.getvalue().encode()


def manifest_of(found: PairMaps) -> dict[str, Any]:
    """Where all maps are from and what they are of, with their regions, as plain JSON values."""
    from analysis.regions.tracks import tracks_of

    return {
        "format": "rspnet-view",
        "version": 1,
        **(
            {"classes": found.titles, "probability": found.probability}
            if found.titles
            else {"similarity": found.similarity}
        ),
        "maps": {key: clip_map.manifest() for key, clip_map in _named(found).items()},
        "regions": {key: tracks_of(clip_map).to_json() for key, clip_map in _named(found).items()},
    }


def commands_of(selection: Selection, name: str, titles: Sequence[str] = ()) -> list[Command]:
    """Command lines that give what is shown of the selected pair; none of uploads, which go.

    Args:
        selection: What is shown.
        name: Of the files that they write, without ending.
        titles: Names of the classes, where the maps are a classifier's.
    """
    own = any(uploads.is_upload(clip.video) for clip in (selection.clip_i, selection.clip_j))
    if own:
        return []
    clips, look = (selection.clip_i, selection.clip_j), selection.look
    if selection.classifier is not None:
        return [_classes_command(selection, clip, titles, name) for clip in clips]
    pair = ["--model", shown_path(selection.model.path)]
    for clip in clips:
        pair += [f"--video-{clip.side}", shown_path(clip.video.path)]
    pair += ["--start", *(str(clip.start) for clip in clips)]
    pair += ["--speed", *(str(clip.speed) for clip in clips)]
    if not _is_of_pair(selection):
        return _maps_command(selection, pair, name)
    scale = "shared" if look.scale == "shared" else "head"
    figure = ["python", "-m", "analysis", "figure1", *pair, "--map", look.kind, "--scale", scale]
    commands = [Command("The figure", (*figure, "--out", f"{name}.pdf"))]
    if look.kind == "contribution":
        film = ("python", "-m", "analysis", "strips", *pair, "--out", f"{name}.mp4")
        commands.append(Command("A film of the pair", film))
    return commands


def _maps_command(selection: Selection, pair: list[str], name: str) -> list[Command]:
    """The command that makes the maps of the other kinds."""
    asked, title = maps.asked_of(selection), "These maps, with a strip of them"
    words = ["python", "-m", "analysis", "maps", *pair]
    if captum_job.is_witness(asked.kind):
        words += ["--witness-margin" if asked.has_margin else "--witness", method_of(asked.kind)]
    elif asked.kind == "contribution":
        words += ["--fine", str(pair_maps.FINE_STEPS)]
    if asked.other_speed is not None:
        _, indices, _ = asked.other_speed
        words += ["--other-speed", str(indices[1] - indices[0])]
        words += ["--others", *(shown_path(Path(key[0][0])) for key in asked.others)]
        if asked.kind == "still":
            title = "These maps of c_i, as still in margin_rsp.npz and margin_avid.npz"
        elif asked.kind == "margin" and asked.fine:
            words += ["--fine", str(pair_maps.FINE_STEPS)]
            title = (
                "These maps, of c_i as fine_margin_rsp.npz and fine_margin_avid.npz, of c_j as "
                "fine_rsp_j.npz and fine_avid_j.npz, with a strip of them"
            )
    return [Command(title, (*words, "--out", name))]


def _classes_command(selection: Selection, clip: Clip, titles: Sequence[str], name: str) -> Command:
    assert selection.classifier is not None
    words = ["python", "-m", "analysis", "classes"]
    words += ["--classifier", shown_path(selection.classifier.path)]
    words += ["--video", shown_path(clip.video.path)]
    words += ["--start", str(clip.start), "--speed", str(clip.speed), "--classes", *titles]
    words += ["--maps_folder", f"{name}_{clip.side}", "--out", f"{name}_{clip.side}.png"]
    return Command(f"The maps of c_{clip.side}, with a strip of them", tuple(words))
