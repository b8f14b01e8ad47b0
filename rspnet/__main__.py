"""``python -m rspnet COMMAND``: all commands of this package, and the dashboard."""

import sys
from collections.abc import Sequence

from rspnet.commands import Command, run_command

COMMANDS = {
    "train": Command("rspnet.train", "pre-train a model"),
    "finetune": Command("rspnet.finetune", "recognise actions: fine-tuning, linear probe, k-NN"),
    "extract": Command("rspnet.extract", "extract features of a data set into a gallery"),
    "retrieve": Command("rspnet.retrieve", "measure video retrieval with two galleries"),
    "evaluate": Command("rspnet.evaluate", "measure the pretext tasks on held-out videos"),
    "convert": Command("rspnet.convert", "write a checkpoint as a model file"),
    "cost": Command("rspnet.cost", "estimate what a pre-training takes"),
    "doctor": Command("rspnet.doctor", "say what this installation can do, and what to mend"),
    "manifest": Command("rspnet.data.manifest", "write a table of the videos below a folder"),
    "transcode": Command("rspnet.data.transcode", "rewrite videos for fast random access"),
    "synthetic": Command("rspnet.data.synthetic.__main__", "generate synthetic videos"),
    "dashboard": Command("dashboard.__main__", "open the dashboard in a browser"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; without one, list them. Returns the exit status."""
    return run_command(COMMANDS, arguments, prog="python -m rspnet")


if __name__ == "__main__":
    sys.exit(main())
