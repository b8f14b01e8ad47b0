"""``python -m analysis COMMAND``: all commands of this package."""

import sys
from collections.abc import Sequence

from rspnet.commands import Command, run_command

# A command a line: its module in analysis/cli has the same name. The studies add theirs.
_TEXTS = {
    "maps": "compute all maps of a pair of clips, in a folder",
    "figure1": "draw Figure 1 of the supplementary, for any model and videos",
    "strips": "draw maps over time, all time steps side by side",
    "classes": "draw class activation maps of a classifier (Eq. 1)",
    "retrieval": "explain what made a retrieval rank a video as it did",
    "structure": "measure how a gallery is arranged: hubs, orphans, disagreement of the heads",
    "projection": "draw a gallery in two dimensions",
    "report": "put a model on one page",
    "compare": "put several models on one page, side by side",
    "curves": "draw training curves of one or more runs",
}
COMMANDS = {name: Command(f"analysis.cli.{name}", text) for name, text in _TEXTS.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; without one, list them. Returns the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] in COMMANDS:
        return run_command(COMMANDS, words, prog="python -m analysis")
    from analysis.cli.study import main as run_study
    from analysis.studies.registry import list_studies

    studies = {study.name: study.summary for study in list_studies()}
    if words and words[0].replace("-", "_") in studies:
        return run_study(words[0].replace("-", "_"), words[1:])
    named = {name: Command("analysis.cli.study", text) for name, text in studies.items()}
    return run_command(COMMANDS | named, words, prog="python -m analysis")


if __name__ == "__main__":
    sys.exit(main())
