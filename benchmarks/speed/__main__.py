"""The quick benchmarks: retrieval, extraction and a training step, each beside a named peer.

    python -m benchmarks.speed [NAME ...] [--rounds 5] [--record | --compare]

A ratio is the time of this project to the peer's, taken in turn round by round. ``--record`` writes
them to ``benchmarks/results``; ``--compare`` ends with status 1 if one has risen by more than 15%.
"""

import argparse
import sys
from importlib import import_module

import torch

from benchmarks.harness import describe_machine
from benchmarks.speed.records import Row, print_rows, read_rows, write_rows

NAMES = ("retrieval", "extraction", "training_step")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--record", action="store_true")
    what.add_argument("--compare", action="store_true")
    options = parser.parse_args()
    unknown = set(options.names) - set(NAMES)
    if unknown:
        parser.error(f"there is no benchmark {sorted(unknown)}: take some of {list(NAMES)}")
    torch.set_num_threads(options.threads)
    print(describe_machine("torch", "numpy", "faiss-cpu", "decord"))
    slower: list[Row] = []
    for name in options.names or NAMES:
        module = import_module(f"benchmarks.speed.{name}")
        rows = module.rows(options.rounds)
        slower += print_rows(rows, read_rows(name))
        if options.record:
            print(f"recorded in {write_rows(name, rows, module.PACKAGES)}")
    return int(options.compare and bool(slower))


if __name__ == "__main__":
    sys.exit(main())
