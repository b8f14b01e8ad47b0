"""The command ``python -m analysis agreement``."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from analysis.studies.agreement import FORMAT, agreement_study
from analysis.studies.faithfulness import add_video_arguments, named_triplets
from rspnet.files import atomic_path
from rspnet.weights.checkpoint import load_model


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m analysis agreement",
        description="Rank correlation of the exact maps and of Captum's methods.",
    )
    add_video_arguments(parser)
    parser.add_argument("--question", choices=("similarity", "margin"), default="margin")
    parser.add_argument("--out", type=Path, required=True, help="JSON file for the result")
    args = parser.parse_args(arguments)
    try:
        query, key = load_model(args.model, "query"), load_model(args.model, "key")
        triplets = named_triplets(args, query)
        found = agreement_study(query, key, triplets, args.question)
        plain = {
            "format": FORMAT,
            "version": 1,
            "model_hash": query.hash,
            "videos": triplets.what,
            "question": args.question,
            "heads": {head: one.to_json() for head, one in found.items()},
        }
        with atomic_path(args.out) as temporary:
            temporary.write_text(json.dumps(plain, indent=1))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for head, one in found.items():
        print(f"{head}, {args.question}, {triplets.what}\n{one.table()}\n")
    print(args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
