"""The command ``python -m analysis classes``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from analysis.attribution.class_map import explain_classes
from analysis.core.clip import load_view
from analysis.figures.strips import StripRow, draw_strip
from analysis.figures.style import check_out, save
from rspnet.data.sampling import clip_span, even_starts
from rspnet.data.video.reader import VideoReader
from rspnet.recognition.classifier import load_classifier


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m analysis classes",
        description="Class activation maps of a classifier (Eq. 1).",
    )
    parser.add_argument("--classifier", required=True, help="file of python -m rspnet.finetune")
    parser.add_argument("--video", required=True)
    parser.add_argument("--start", type=int, help="first frame; nothing: the middle clip")
    parser.add_argument("--speed", type=float, default=1.0, help="playback speed")
    parser.add_argument("--size", type=int, help="of the clip in pixels; nothing: the model's")
    parser.add_argument("--classes", nargs="+", default=[], help="names; nothing: the likeliest")
    parser.add_argument("--num", type=int, default=3, help="of the likeliest classes")
    parser.add_argument("--maps", help="folder for the maps, .npz")
    parser.add_argument("--out", required=True, help="the figure: .png, .svg or .pdf")
    options = parser.parse_args(arguments)
    try:
        check_out(options.out)
        model = load_classifier(options.classifier)
        size, num_frames = options.size or model.branch.size, model.branch.num_frames
        with VideoReader(options.video) as reader:
            start = options.start
            if start is None:
                # The middle: a faster clip reaches over more frames.
                span = clip_span(num_frames, 1, options.speed)
                start = even_starts(len(reader), 1, span)[0]
            view = load_view(
                reader, num_frames, size, start=start, speed=options.speed, name=options.video
            )
        found = explain_classes(model, view, options.classes, options.num)
        rows = [StripRow(name=one.name, view=view, clip_map=one.clip_map) for one in found]
        save(draw_strip(rows), options.out)
        if options.maps:
            for one in found:
                one.clip_map.save(Path(options.maps) / f"{one.name}.npz")
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for one in found:
        print(
            f"{one.name:24} logit {one.clip_map.score:+.3f}  probability {one.probability:.3f}  "
            f"|sum - logit| {one.clip_map.completeness_error:.1e}"
        )
    print(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
