"""The command ``python -m analysis responses``."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from analysis.figures.response_figure import save_responses
from analysis.figures.style import check_out
from analysis.studies.responses import MAX_SPEED, SEED, response_study
from analysis.studies.selectivity import selectivities, selectivity_table
from rspnet.files import atomic_path
from rspnet.weights.checkpoint import load_model


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m analysis responses",
        description="How far both heads move as one thing about a clip changes.",
    )
    parser.add_argument("--model", default="default", help="model file or name of a shipped model")
    parser.add_argument(
        "--videos", nargs="*", default=[], help="folders, files or .txt lists; none: generated"
    )
    parser.add_argument("--num_videos", "--num-videos", type=int, default=40)
    parser.add_argument("--seed", type=int, default=SEED, help="of generated videos and the choice")
    parser.add_argument(
        "--max_speed", "--max-speed", type=float, default=MAX_SPEED, help="highest playback speed"
    )
    parser.add_argument("--num_random", "--num-random", type=int, default=3)
    parser.add_argument(
        "--branch", choices=("query", "key"), default="query", help="of the changed clips"
    )
    parser.add_argument("--out", type=Path, required=True, help="JSON file for the result")
    parser.add_argument("--figure", type=Path, help="a figure of it: .png, .svg or .pdf")
    args = parser.parse_args(arguments)
    try:
        if args.figure is not None:
            check_out(args.figure)
        query = load_model(args.model, "query")
        found = response_study(
            query,
            query if args.branch == "query" else load_model(args.model, "key"),
            args.videos,
            branch=args.branch,
            num_videos=args.num_videos,
            seed=args.seed,
            max_speed=args.max_speed,
            num_random=args.num_random,
        )
        with atomic_path(args.out) as temporary:
            chosen = selectivities(found)
            extra = {"selectivity": [one.to_json() for one in chosen]}
            temporary.write_text(json.dumps(found.to_json() | extra, indent=1))
        for result in (found, *found.controls):
            print(result.table(), end="\n\n")
        print(selectivity_table(chosen), end="\n\n")
        print(args.out)
        if args.figure is not None:
            print(save_responses(found, args.figure))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
