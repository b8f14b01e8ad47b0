"""The command ``python -m analysis localisation``."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from analysis.figures.style import check_out, save
from analysis.studies.localisation import SEED, localisation_study
from rspnet.files import atomic_path
from rspnet.weights.checkpoint import load_model


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m analysis localisation",
        description="Both heads' maps against the ground truth of generated videos.",
    )
    parser.add_argument("--model", default="default", help="model file or name of a shipped model")
    parser.add_argument("--num_videos", "--num-videos", type=int, default=40)
    parser.add_argument(
        "--size", type=int, help="pixels of the clips; the model's own if not given"
    )
    parser.add_argument("--num_triplets", "--num-triplets", type=int, default=2)
    parser.add_argument("--num_random", "--num-random", type=int, default=3)
    parser.add_argument("--seed", type=int, default=SEED, help="of the videos")
    parser.add_argument("--out", type=Path, required=True, help="JSON file for the result")
    parser.add_argument("--figure", type=Path, help="PNG, SVG or PDF for a picture of the result")
    args = parser.parse_args(arguments)
    try:
        if args.figure is not None:
            check_out(args.figure)
        query, key = load_model(args.model, "query"), load_model(args.model, "key")
        study = localisation_study(
            query,
            key,
            num_videos=args.num_videos,
            size=args.size,
            seed=args.seed,
            num_triplets=args.num_triplets,
            num_random=args.num_random,
        )
        with atomic_path(args.out) as temporary:
            temporary.write_text(json.dumps(study.to_json(), indent=1))
        print(study.table())
        print(f"\n{args.out}")
        if args.figure is not None:
            from analysis.figures.localisation_figure import draw_localisation, make_examples

            print(save(draw_localisation(study, make_examples(query, key, study)), args.figure))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
