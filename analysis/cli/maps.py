"""All maps of a pair of clips, in a folder, or one kind of them as a page::

    python -m analysis maps --model M --video_i A.mp4 --video_j B.mp4 --out DIR
    python -m analysis maps --model M --video_i A.mp4 --maps margin --out view.html
    python -m analysis maps --video_i A.mp4 --region 0.2,0.1,0.6,0.9 --edit freeze --out edit.html

The page is one file that opens from the disk without a network: frames, maps, a scrubber that moves
all pictures in step, numbers, and the command that makes it again (and with ``--verdict`` whether
the maps can be believed). It shows the first kind of map; with ``--region`` those of one clip as it
is and with that region edited, and both heads' scores of both. The folder holds

- ``<kind>_<head>_<clip>.npz``: the map of every kind (:mod:`analysis.attribution.registry`) by each
  head in c_i and in c_j, such as ``margin_faster_rsp_i.npz``; of class maps the classes stand in
  place of the heads;
- ``fine_<kind>_<head>_<clip>.npz``: the same with ``--fine`` times as many cells along each side;
- ``pair.npz``: both heads' contributions in both clips, and Eq. 2 where the heads are linear;
- ``pairwise_rsp.npz``, ``pairwise_avid.npz``: which place of c_i goes with which place of c_j;
- ``regions.json``: regions of interest of the figure's maps, followed through both clips, and the
  arrow between them;
- ``figure.png``, ``pair.mp4``: Figure 1 (b) and a film of the first kind of map, by default the
  margin signed towards the faster clip; ``strip_<kind>.png``: every kind over time;
- ``numbers.json``: scores, completeness, what lies on moving pixels, where all of it is from, and
  what was skipped for which reason.

Each clip goes through its branch once, but for the static clips, the shifts of a fine map and
Captum's methods (``MapKind.num_passes`` says how often).
"""

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from analysis.attribution.pair_clips import PairClips
from analysis.attribution.pair_maps import KindMaps, PairMaps, explain_kind, maps_of_clips
from analysis.attribution.registry import DEFAULT_MAP, map_kind, map_kinds
from analysis.cli.pair import DisplayConfig, PairConfig, is_page
from analysis.core.shown import to_html
from analysis.figures.figure1 import draw_figure1, pair_tracks
from analysis.figures.figure_inputs import speed_of_file
from analysis.figures.strips import draw_strip, film_of, rows_of
from analysis.figures.style import save
from analysis.figures.viewer.rows import signed
from analysis.regions.motion import moving_pixels, share_inside
from analysis.regions.rectangle import Rectangle
from analysis.regions.tracks import SHARE, save_tracks
from analysis.report.verdict import verdicts
from analysis.stimuli.edit import How, edit_pair, explain_edit
from rspnet.commands import one_of, run_cli
from rspnet.files import atomic_path
from rspnet.names import HEAD_TITLES, SIDES, Side


@dataclass(frozen=True, kw_only=True)
class MapsConfig(PairConfig, DisplayConfig):
    """All maps of a pair.

    Attributes:
        out: The folder, whose files of an earlier call are replaced; or ``*.html`` for one page of
            one kind of map.
        maps: Kinds of maps. Nothing: all but a classifier's and Captum's, most of which take many
            forward passes.
        fine: Cells of a fine map along each side for one cell of the network; divides the stride.
            1 makes no fine maps.
        share: Share of the positive contribution that regions hold.
        pictures: Draw the pictures too.
        verdict: Check the maps of a page, too, which takes some 60 forward passes a head, or three
            for a map of s beside which there are ``others``.
        region: Rectangle of a clip that a page shows edited, beside the clip as it is: left, top,
            right and bottom in parts of the sides, such as 0.2,0.1,0.6,0.9, and where it has them
            first and last frame, from 1.
        region_of: The clip that the region is of.
        edit: What the region shows: its middle frame, itself blurred, its mean colour, the other
            clip, or the same video at another speed.
        edit_speed: That speed. Nothing: twice that of the clip up to 1x, half of it above.
    """

    out: str
    maps: list[str] = one_of(map_kinds, [])
    fine: int = 1
    share: float = SHARE
    pictures: bool = True
    verdict: bool = False
    region: str = ""
    region_of: Side = "i"
    edit: How = "freeze"
    edit_speed: float | None = None


def numbers_of(found: PairMaps) -> dict[str, Any]:
    """The numbers of a pair, as plain JSON values."""
    clips, pair = found.clips, found.pair
    moving = {side: moving_pixels(clips.view(side).frames) for side in SIDES}

    def row(kind: KindMaps, name: str) -> dict[str, Any]:
        maps = dict(zip(SIDES, kind.rows[name], strict=True))
        inside = {s: share_inside(m.values, moving[s], m.grid) for s, m in maps.items()}
        return {
            side: {
                "score": m.score,
                "sum": float(m.values.sum()),
                "completeness_error": m.completeness_error,
                "convergence_delta": m.convergence_delta,
                "share_on_moving_pixels": inside[side].share,
                "moving_pixels": inside[side].area,
                "negatives": [asdict(info) for info in m.others[1:]],
            }
            for side, m in maps.items()
        }

    return {
        "format": "rspnet-maps",
        "version": 2,
        "model_hash": pair.model_hash,
        "clip_i": asdict(pair.clip_i),
        "clip_j": asdict(pair.clip_j),
        "grid_i": pair.grid_i.to_json(),
        "grid_j": pair.grid_j.to_json(),
        "similarity": {head: maps.similarity for head, maps in pair.heads.items()},
        "kinds": {
            key: {name: row(kind, name) for name in kind.rows} for key, kind in found.kinds.items()
        },
        "skipped": found.skipped,
    }


def _shown(found: PairMaps) -> KindMaps:
    """The kind that the figure and the film show."""
    return found.kinds.get(DEFAULT_MAP) or next(iter(found.kinds.values()))


def save_folder(
    found: PairMaps,
    out: str | Path,
    *,
    share: float = SHARE,
    pictures: bool = True,
    command: str = "",
) -> Path:
    """Write the folder that this module describes. Files of an earlier call are replaced.

    Args:
        found: From :func:`analysis.all_maps`.
        out: The folder.
        share: Of the positive contribution that regions of interest hold.
        pictures: Draw the pictures too.
        command: What made it, for ``numbers.json``.

    Raises:
        ValueError: ``out`` is a file, or ``share`` is out of range.
    """
    folder, clips, shown = Path(out), found.clips, _shown(found)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file, expected a folder")
    tracks = pair_tracks(shown, share)
    found.pair.save(folder / "pair.npz")
    for head, pairwise in found.pairwise.items():
        pairwise.save(folder / f"pairwise_{head}.npz")
    for prefix, kinds in (("", found.kinds), ("fine_", found.fine)):
        for key, kind in kinds.items():
            for row, both in kind.rows.items():
                for side, clip_map in zip(SIDES, both, strict=True):
                    clip_map.save(folder / f"{prefix}{key}_{row}_{side}.npz")
    save_tracks(folder / "regions.json", tracks)
    if pictures:
        figure = draw_figure1(shown, share=share).figure
        save(figure, folder / "figure.png", dpi=200)
        for prefix, kinds in (("", found.kinds), ("fine_", found.fine)):
            for key, kind in kinds.items():
                strip = draw_strip(rows_of(kind, clips.view_i, clips.view_j))
                save(strip, folder / f"strip_{prefix}{key}.png", dpi=200)
        film = film_of(shown, clips.view_i.frames, clips.view_j.frames, share=share)
        with atomic_path(folder / "pair.mp4") as temporary:
            temporary.write_bytes(film)
    numbers = numbers_of(found) | ({"command": command} if command else {})
    with atomic_path(folder / "numbers.json") as temporary:
        temporary.write_text(json.dumps(numbers, indent=1) + "\n")
    return folder


def table_of(found: PairMaps) -> str:
    """The numbers of all kinds, as text."""
    numbers, grid = numbers_of(found), found.clips.c_i.grid
    frames, height, width = grid.clip
    lines = [
        f"grid of {grid} (time x height x width) over {frames} frames of {height} x {width} pixels",
        f"{'map':28}{'head':8}{'score':>9}{'|sum - score|':>15}{'on moving pixels of c_i':>26}"
        f"{'of c_j':>20}",
    ]
    for key, rows in numbers["kinds"].items():
        for row, sides in rows.items():
            error = sides["i"]["completeness_error"]
            moving = [
                f"{own['share_on_moving_pixels']:.2f} (area {own['moving_pixels']:.2f})"
                for own in sides.values()
            ]
            lines.append(
                f"{key:28}{row:8}{sides['i']['score']:+9.3f}"
                f"{'-' if error is None else f'{error:.1e}':>15}{moving[0]:>26}{moving[1]:>20}"
            )
    lines += [f"skipped: {what}: {why}" for what, why in found.skipped.items()]
    return "\n".join(lines)


def write_page(config: MapsConfig, command: str = "") -> None:
    """Make one kind of map and write its page.

    Raises:
        ValueError: The pair can't be loaded, several kinds are named, or this one can't be made.
    """
    if len(config.maps) > 1:
        raise ValueError(f"a page shows one kind of map, got {', '.join(config.maps)}: name one")
    kind = config.maps[0] if config.maps else DEFAULT_MAP
    clips = config.load([kind], with_negatives=config.verdict)
    fine = clips.finer(config.fine) if config.fine > 1 else clips
    if config.region:
        write_edit(config, kind, fine, command)
        return
    found = explain_kind(kind, fine)
    heads = tuple(found.rows)
    checked = verdicts(clips, kind, heads=heads) if config.verdict else {}
    options = {"command": command, "verdicts": checked, "grey": config.grey}
    print(to_html(found, config.out, **options, **config.display))


def write_edit(config: MapsConfig, kind: str, clips: PairClips, command: str) -> None:
    """Write the page of one clip as it is and edited, and print both heads' scores of both.

    Raises:
        ValueError: The region is none or the edit changes nothing.
    """
    if config.verdict:
        raise ValueError("a verdict is on clips as they are: leave out --verdict or --region")
    side = config.region_of
    mask = Rectangle.parse(config.region).mask(clips.view(side).frames.shape[:3])
    how, other = str(config.edit), None
    if config.edit == "speed":
        video = config.video_i if side == "i" else config.video_j or config.video_i
        other = speed_of_file(video, clips.view(side), config.edit_speed, config.seed)
        how = f"speed {other.info.speed:g}x"
    elif config.edit_speed is not None:
        raise ValueError(f"--edit_speed goes with --edit speed, got --edit {config.edit}")
    after = edit_pair(clips, side, mask, config.edit, other)
    found = explain_edit(kind, clips, after, side)
    notes = [f"Edit of c_{side}: {how}, in the region {config.region}."]
    for head, now in found.similarity.items():
        then = float(clips.c_i.embeddings[head] @ clips.c_j.embeddings[head])
        scores = [("s", then, now)]
        if head in found.rows and found.rows[head][1].kind != "contribution":
            scores.append((map_kind(kind).symbol, found.score(head, 0), found.score(head, 1)))
        notes += [
            f"{HEAD_TITLES.get(head, head)}: {letter} {signed(a, 4)} as it is, {signed(b, 4)} "
            f"edited, a difference of {signed(b - a, 4)}."
            for letter, a, b in scores
        ]
    print("\n".join(notes))
    options = {"command": command, "notes": notes, "grey": config.grey}
    print(to_html(found, config.out, **options, **config.display))


def run(config: MapsConfig, command: str = "") -> None:
    """Make the maps and write the folder or the page.

    Raises:
        ValueError: The pair can't be loaded, or a map that was named can't be made.
    """
    if is_page(config.out):
        write_page(config, command)
        return
    if config.region:
        raise ValueError(f"an edit is shown on a page: give --out *.html, got {config.out!r}")
    found = maps_of_clips(config.load(config.maps), config.maps, fine=config.fine)
    save_folder(found, config.out, share=config.share, pictures=config.pictures, command=command)
    print(table_of(found))
    print(config.out)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    command = shlex.join(["python", "-m", "analysis", "maps", *words])
    kinds = "; ".join(f"{key}: {kind.title}" for key, kind in map_kinds().items())
    return run_cli(
        MapsConfig,
        lambda config: run(config, command),
        words,
        prog="python -m analysis maps",
        description=(
            "Write all maps of a pair of clips into a folder, or one kind as a page that needs no "
            f"network. Kinds of maps: {kinds}."
        ),
        examples=(
            "python -m analysis maps --out maps",
            "python -m analysis maps --video_i walk.mp4 --speed_i 2 --speed_j 2 "
            "--others run.mp4 jump.mp4 --maps margin_faster margin_static --out maps",
            "python -m analysis maps --video_i walk.mp4 --maps contribution --out view.html",
        ),
        out="file" if any(map(is_page, words)) else "folder",
    )


if __name__ == "__main__":
    sys.exit(main())
