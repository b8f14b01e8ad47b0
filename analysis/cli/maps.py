"""All maps of a pair of clips, in a folder::

    python -m analysis maps --model M --video-i A.mp4 --video-j B.mp4 --out DIR

writes

- ``pair.npz``: both heads' contributions in both clips, and Eq. 2 where the heads are linear;
- ``pairwise_rsp.npz``, ``pairwise_avid.npz``: which place of c_i goes with which place of c_j;
- ``margin_rsp.npz``: c_j against c_k, a clip of c_j's video at another speed;
- ``margin_avid.npz``: c_j against clips of other videos (``--others``);
- ``fine_<head>_i.npz`` and ``_j.npz``: maps with ``--fine`` times as many cells along each side,
  and ``fine_margin_<head>.npz``, of the margin in c_i;
- ``<method>_<head>_i.npz`` and ``_j.npz``: what Captum's methods say (``--witness``), and
  ``<method>_margin_<head>_i.npz`` and ``_j.npz``: asked about the margin of c_i, and about s of c_j
  (``--witness-margin``);
- ``regions.json``: regions of interest, followed through both clips, and the arrow between them;
- ``figure.png``, ``strip.png``, ``pair.mp4``: the pictures; ``strip_margin.png``,
  ``strip_fine.png``, ``strip_fine_margin.png`` and ``strip_<method>.png`` are strips of those maps;
- ``numbers.json``: similarities, margins, completeness, what lies on moving pixels, where all of
  it is from, and what was left out for which reason.

Each clip goes through its branch once, but for the shifts of a fine map and for Captum's methods
(:func:`analysis.attribution.captum_pair.num_clips` says how often).
"""

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from analysis.attribution.captum_methods import METHODS, Method, Witness
from analysis.attribution.captum_pair import witness_pair
from analysis.attribution.fine import fine_maps
from analysis.attribution.margin import MarginExplanation, margin_of_features, static_clip
from analysis.attribution.pair import pair_of_features
from analysis.attribution.pairwise import PairwiseMap, explain_pairwise
from analysis.core.clip import View, load_view
from analysis.core.clip_map import ClipMap
from analysis.core.score import ClipFeatures, Score, extract_features, hard_negatives
from analysis.figures.figure1 import draw_figure1
from analysis.figures.figure_inputs import Generated, ShownPair, add_pair_arguments, load_views
from analysis.figures.strips import StripRow, draw_strip, pair_film, pair_rows
from analysis.figures.style import save
from analysis.regions.motion import moving_pixels, share_inside
from analysis.regions.tracks import SHARE, maps_of_pair, save_tracks, tracks_of_pair
from rspnet.data.sampling import clip_span
from rspnet.data.transforms import FrameReader
from rspnet.data.video.reader import VideoReader
from rspnet.files import atomic_path
from rspnet.models import Branch
from rspnet.names import HEADS


@dataclass(frozen=True, kw_only=True)
class PairMaps:
    """Everything that is known of a pair.

    Attributes:
        shown: The clips with both heads' contributions.
        margins: By head.
        pairwise: By head.
        fine: By head and clip, such as ``("rsp", "i")``.
        fine_margins: Of c_i, by head.
        witnesses: By method, then by head: what was said of c_i and of c_j.
        witness_margins: The same, c_i having been asked about its margin.
        skipped: What was not made, and why.
    """

    shown: ShownPair
    margins: dict[str, MarginExplanation] = field(default_factory=dict)
    pairwise: dict[str, PairwiseMap] = field(default_factory=dict)
    fine: dict[tuple[str, str], ClipMap] = field(default_factory=dict)
    fine_margins: dict[str, ClipMap] = field(default_factory=dict)
    witnesses: dict[Method, dict[str, tuple[Witness, Witness]]] = field(default_factory=dict)
    witness_margins: dict[Method, dict[str, tuple[Witness, Witness]]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    @property
    def _asked_of_captum(self) -> dict[str, dict[str, tuple[Witness, Witness]]]:
        """What both kinds of question were answered with, by the name of their files."""
        answers = {str(method): found for method, found in self.witnesses.items()}
        answers |= {f"{method}_margin": found for method, found in self.witness_margins.items()}
        return answers

    def numbers(self) -> dict[str, Any]:
        """The numbers of the pair, as plain JSON values."""
        pair = self.shown.maps
        moving = [moving_pixels(v.frames) for v in (self.shown.view_i, self.shown.view_j)]
        heads: dict[str, Any] = {}
        for head, maps in pair.heads.items():
            inside = [
                share_inside(m.values, mask, m.grid)
                for m, mask in zip(maps_of_pair(pair, head), moving, strict=True)
            ]
            heads[head] = {
                "similarity": maps.similarity,
                "completeness_error": maps.completeness_error,
                "share_on_moving_pixels": [found.share for found in inside],
                "moving_pixels": [found.area for found in inside],
            }
            if head in self.margins:
                margin = self.margins[head]
                heads[head] |= {
                    "margin": margin.margin,
                    "margin_completeness_error": margin.completeness_error,
                    "margin_against": [asdict(m.clip) for m in margin.maps_k],
                }
            said = {
                name: [one.to_json() | {"sum": float(one.map.values.sum())} for one in found[head]]
                for name, found in self._asked_of_captum.items()
                if head in found
            }
            if said:
                heads[head]["witnesses"] = said
        return {
            "format": "rspnet-maps",
            "version": 1,
            "model_hash": pair.model_hash,
            "clip_i": asdict(pair.clip_i),
            "clip_j": asdict(pair.clip_j),
            "grid_i": pair.grid_i.to_json(),
            "grid_j": pair.grid_j.to_json(),
            "heads": heads,
            "left_out": self.skipped,
        }

    def save(
        self, out: str | Path, *, share: float = SHARE, pictures: bool = True, command: str = ""
    ) -> Path:
        """Write the folder that this module describes. Files of an earlier call are replaced.

        Args:
            out: The folder.
            share: Of the positive contribution that regions of interest hold.
            pictures: Draw the pictures too.
            command: What made it, for ``numbers.json``.

        Raises:
            ValueError: ``out`` is a file.
        """
        folder = Path(out)
        if folder.exists() and not folder.is_dir():
            raise ValueError(f"{folder} is a file, expected a folder")
        pair = self.shown.maps
        pair.save(folder / "pair.npz")
        for head, margin in self.margins.items():
            margin.save(folder / f"margin_{head}.npz")
        for head, pairwise in self.pairwise.items():
            pairwise.save(folder / f"pairwise_{head}.npz")
        for (head, clip), fine in self.fine.items():
            fine.save(folder / f"fine_{head}_{clip}.npz")
        for head, fine in self.fine_margins.items():
            fine.save(folder / f"fine_margin_{head}.npz")
        for name, found in self._asked_of_captum.items():
            for head, both in found.items():
                for clip, one in zip("ij", both, strict=True):
                    one.map.save(folder / f"{name}_{head}_{clip}.npz")
        tracks = {head: tracks_of_pair(pair, head, share=share) for head in pair.heads}
        save_tracks(folder / "regions.json", tracks)
        if pictures:
            save(draw_figure1(self.shown, share=share).figure, folder / "figure.png", dpi=200)
            save(draw_strip(pair_rows(self.shown)), folder / "strip.png", dpi=200)
            for name, rows in self._other_strips().items():
                save(draw_strip(rows), folder / f"strip_{name}.png", dpi=200)
            film = pair_film(self.shown, share=share)
            with atomic_path(folder / "pair.mp4") as temporary:
                temporary.write_bytes(film)
        numbers = self.numbers() | ({"command": command} if command else {})
        with atomic_path(folder / "numbers.json") as temporary:
            temporary.write_text(json.dumps(numbers, indent=1) + "\n")
        return folder

    def _other_strips(self) -> dict[str, list[StripRow]]:
        """Rows of the maps that are not the contributions, c_i by each head, then c_j."""
        strips: dict[str, dict[str, tuple[ClipMap, ClipMap]]] = {
            # The map of c_j is of s itself.
            "margin": {
                head: (m.map_i, replace(m.map_j, kind="contribution"))
                for head, m in self.margins.items()
            },
            "fine": {
                head: (self.fine[head, "i"], self.fine[head, "j"])
                for head in HEADS
                if (head, "i") in self.fine
            },
            "fine_margin": {
                head: (fine, self.fine[head, "j"]) for head, fine in self.fine_margins.items()
            },
        }
        for method, found in self._asked_of_captum.items():
            strips[method] = {head: (i.map, j.map) for head, (i, j) in found.items()}
        views = (self.shown.view_i, self.shown.view_j)
        return {
            name: [
                StripRow(name=f"$c_{'ij'[side]}$", view=views[side], clip_map=both[side])
                for side in range(2)
                for both in maps.values()
            ]
            for name, maps in strips.items()
            if maps
        }

    def table(self) -> str:
        """The numbers of both heads, as text."""
        found = self.numbers()
        cells = " x ".join(str(n) for n in self.shown.maps.grid_i.cells)
        frames, height, width = self.shown.maps.grid_i.clip
        lines = [
            f"grid of {cells} cells (time x height x width) over {frames} frames of "
            f"{height} x {width} pixels",
            f"{'':8}{'s':>8}{'|sum - s|':>12}{'on moving pixels of c_i':>28}{'c_j':>16}"
            f"{'margin':>10}",
        ]
        for head, row in found["heads"].items():
            moving = [
                f"{share:.2f} (area {area:.2f})"
                for share, area in zip(
                    row["share_on_moving_pixels"], row["moving_pixels"], strict=True
                )
            ]
            margin = f"{row['margin']:+.3f}" if "margin" in row else "-"
            lines.append(
                f"{head:8}{row['similarity']:+8.3f}{row['completeness_error']:12.1e}"
                f"{moving[0]:>28}{moving[1]:>18}{margin:>8}"
            )
        lines += [f"left out: {what}: {why}" for what, why in self.skipped.items()]
        return "\n".join(lines)


def other_speed(reader: FrameReader, view_j: View, speed: float | None = None) -> View:
    """c_k: a clip of c_j's video at another playback speed, starting as near to c_j as it fits.

    Args:
        reader: c_j's video.
        view_j: c_j.
        speed: Of c_k. Nothing: twice that of c_j up to 1x, half of it above.

    Raises:
        ValueError: The video is too short for it, or the speed is that of c_j.
    """
    own, num_frames = view_j.info.speed, len(view_j.frames)
    speed = speed or (2 * own if own <= 1 else own / 2)
    if speed == own:
        raise ValueError(f"c_j is at {own:g}x already: c_k has another speed")
    last = len(reader) - clip_span(num_frames, 1, speed)
    if last < 0:
        raise ValueError(
            f"{num_frames} frames at {speed:g}x need a video of {len(reader) - last} frames, "
            f"that of c_j has {len(reader)}: take a lower other speed or a longer video"
        )
    start = min(view_j.info.frame_indices[0], last)
    return load_view(
        reader,
        num_frames,
        view_j.frames.shape[1],
        start=start,
        speed=speed,
        name=view_j.info.video,
    )


@torch.no_grad()
def all_maps(
    query: Branch,
    key: Branch,
    view_i: View,
    view_j: View,
    *,
    view_k: View | None = None,
    others: Sequence[View] = (),
    num_hard_negatives: int = 5,
    fine: int = 1,
    witnesses: Sequence[Method] = (),
    witness_margins: Sequence[Method] = (),
) -> PairMaps:
    """Every map of a pair.

    Args:
        query: Query branch.
        key: Momentum branch.
        view_i: c_i.
        view_j: c_j.
        view_k: Of c_j's video at another speed, for the margin of RSP.
        others: Of other videos, for the margin of A-VID.
        num_hardest: How many of ``others`` count at most, the nearest to c_i first.
        fine: Cells of a fine map along each side, for one cell; 1 makes none.
        witnesses: Captum's methods to be asked, which takes many forward passes.
        witness_margins: Captum's methods to be asked about the margins that there are.

    Raises:
        ValueError: A clip does not fit the model or the other, or ``fine`` does not divide the
            stride of the grid.
    """
    c_i, c_j = (
        extract_features(query, view_i, name="c_i"),
        extract_features(key, view_j, name="c_j"),
    )
    pair = pair_of_features(c_i, c_j)
    margins, skipped = {}, {}
    fine_of: dict[tuple[str, str], ClipMap] = {}
    fine_margins: dict[str, ClipMap] = {}
    away: dict[str, list[ClipFeatures]] = {"rsp": [], "avid": []}
    if view_k is not None:
        away["rsp"] = [extract_features(key, view_k, name="c_k")]
    if others:
        seen = [extract_features(key, view, name=view.info.video) for view in others]
        near = hard_negatives(c_i, seen, "avid", min(num_hard_negatives, len(seen)))
        away["avid"] = [seen[n] for n in near]
    still = extract_features(query, static_clip(view_i)) if any(away.values()) else c_i
    for head, clips in away.items():
        if clips:
            margins[head] = margin_of_features(query, head, c_i, still, c_j, clips)
    if "rsp" not in margins:
        skipped["margin_rsp"] = "no clip c_k of another speed"
    if "avid" not in margins:
        skipped["margin_avid"] = "no clips of other videos"
    if fine > 1:
        of_i = [Score.similarity(query, head, c_j) for head in HEADS]
        of_i += [Score.margin(query, head, c_j, away[head]) for head in margins]
        found_i = fine_maps(of_i, view_i.clip, fine, view_i.info)
        of_j = [Score.similarity(key, head, c_i) for head in HEADS]
        found_j = fine_maps(of_j, view_j.clip, fine, view_j.info)
        for head, fine_i, fine_j in zip(HEADS, found_i, found_j, strict=False):
            fine_of[head, "i"], fine_of[head, "j"] = fine_i, fine_j
        fine_margins = dict(zip(margins, found_i[len(HEADS) :], strict=True))
    return PairMaps(
        shown=ShownPair(query=query, view_i=view_i, view_j=view_j, maps=pair),
        margins=margins,
        pairwise={head: explain_pairwise(c_i, c_j, head) for head in HEADS},
        fine=fine_of,
        fine_margins=fine_margins,
        witnesses={
            method: witness_pair(query, key, view_i, view_j, method) for method in witnesses
        },
        witness_margins={
            method: witness_pair(
                query, key, view_i, view_j, method, heads=list(margins), against=away
            )
            for method in witness_margins
        },
        skipped=skipped,
    )


def _maps(options: argparse.Namespace) -> PairMaps:
    query, key, view_i, view_j = load_views(
        options.model,
        options.video_i,
        options.video_j,
        start=options.start,
        speed=options.speed,
        size=options.size,
        seed=options.seed,
    )
    reasons, size, num_frames = {}, view_j.frames.shape[1], query.num_frames
    view_k = None
    try:
        if options.video_i is None:
            view_k = other_speed(Generated.make(options.seed, 0), view_j, options.other_speed)
        else:
            with VideoReader(options.video_j or options.video_i) as reader:
                view_k = other_speed(reader, view_j, options.other_speed)
    except ValueError as error:
        if options.other_speed:  # asked for
            raise
        reasons["margin_rsp"] = str(error)
    others = []
    for path in options.others:
        with VideoReader(path) as reader:
            start = max(0, (len(reader) - num_frames) // 2)
            others.append(load_view(reader, num_frames, size, start=start, name=path))
    if options.video_i is None and not others:
        for index in range(1, 6):
            video = Generated.make(options.seed, index)
            others.append(load_view(video, num_frames, size, name=video.name))
    if not others:
        reasons["margin_avid"] = "no clips of other videos: give --others VIDEO [VIDEO ...]"
    found = all_maps(
        query,
        key,
        view_i,
        view_j,
        view_k=view_k,
        others=others,
        fine=options.fine,
        witnesses=options.witness,
        witness_margins=options.witness_margin,
    )
    found.skipped.update(reasons)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m analysis maps", description="All maps of a pair of clips, in a folder."
    )
    add_pair_arguments(parser)
    parser.add_argument(
        "--other-speed", type=float, help="of c_k; nothing: twice c_j's up to 1x, half above"
    )
    parser.add_argument(
        "--others", nargs="+", default=[], help="videos that A-VID is to tell c_i from"
    )
    parser.add_argument(
        "--fine", type=int, default=1, help="cells along each side for one cell; divides the stride"
    )
    parser.add_argument(
        "--witness",
        nargs="+",
        choices=METHODS,
        default=[],
        help="Captum's methods to ask as well; all but layer_gradcam take many forward passes",
    )
    parser.add_argument(
        "--witness-margin",
        nargs="+",
        choices=METHODS,
        default=[],
        help="Captum's methods to ask what the margin of c_i owes to each cell",
    )
    parser.add_argument(
        "--share", type=float, default=SHARE, help="of the contribution that regions hold"
    )
    parser.add_argument("--no-pictures", action="store_true", help="numbers and arrays only")
    parser.add_argument("--out", required=True, help="folder")
    options = parser.parse_args(arguments)
    command = shlex.join(["python", "-m", "analysis", "maps", *(arguments or sys.argv[1:])])
    try:
        found = _maps(options)
        found.save(
            options.out, share=options.share, pictures=not options.no_pictures, command=command
        )
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(found.table())
    print(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
