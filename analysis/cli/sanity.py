"""The command ``python -m analysis sanity``."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from analysis.figures.sanity_figure import draw_sanity
from analysis.figures.style import check_out
from analysis.studies.faithfulness import add_video_arguments, named_triplets
from analysis.studies.sanity import sanity_study
from rspnet.files import atomic_path
from rspnet.weights.checkpoint import load_model


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m analysis sanity",
        description="Maps of both heads while the model's weights are randomised layer by layer.",
    )
    add_video_arguments(parser)
    parser.add_argument("--num_draws", "--num-draws", type=int, default=3, help="of random weights")
    parser.add_argument("--out", type=Path, required=True, help="JSON file for the result")
    parser.add_argument("--figure", type=Path, help="curves, as .png, .svg or .pdf")
    args = parser.parse_args(arguments)
    try:
        if args.figure is not None:
            check_out(args.figure)
        query, key = load_model(args.model, "query"), load_model(args.model, "key")
        with torch.no_grad():
            result = sanity_study(query, key, named_triplets(args, query), num_draws=args.num_draws)
        with atomic_path(args.out) as temporary:
            temporary.write_text(json.dumps(result.to_json(), indent=1))
        print(result.table())
        print(f"\n{args.out}")
        if args.figure is not None:
            print(draw_sanity(result, args.figure))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
