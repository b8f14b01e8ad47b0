"""The command ``python -m analysis faithfulness``."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from analysis.studies.faithfulness import (
    PerturbationConfig,
    add_video_arguments,
    faithfulness_study,
    named_triplets,
)
from rspnet.files import atomic_path
from rspnet.weights.checkpoint import load_model


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m analysis faithfulness",
        description="Insertion, deletion, infidelity and sensitivity of both heads' maps.",
    )
    add_video_arguments(parser)
    parser.add_argument("--num_steps", "--num-steps", type=int, default=10)
    parser.add_argument("--num_random", "--num-random", type=int, default=4)
    parser.add_argument("--out", type=Path, required=True, help="JSON file for the result")
    args = parser.parse_args(arguments)
    try:
        query, key = load_model(args.model, "query"), load_model(args.model, "key")
        result = faithfulness_study(
            query,
            key,
            named_triplets(args, query),
            effort=PerturbationConfig(num_steps=args.num_steps, num_random=args.num_random),
            seed=args.seed,
        )
        with atomic_path(args.out) as temporary:
            temporary.write_text(json.dumps(result.to_json(), indent=1))
        print(result.table())
        print(f"\n{args.out}")
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
