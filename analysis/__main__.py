"""``python -m analysis COMMAND``: all commands of this package."""

import sys
from collections.abc import Sequence
from importlib import import_module

COMMANDS = {
    "maps": "all maps of a pair of clips, in a folder",
    "figure1": "Figure 1 of the supplementary, for any model and videos",
    "strips": "maps over time, every time step side by side",
    "classes": "class activation maps of a classifier (Eq. 1)",
    "retrieval": "what made a retrieval rank a video as it did",
    "structure": "how a gallery is arranged: hubs, orphans, where the heads disagree",
    "projection": "a gallery in two dimensions",
    "report": "a model on one page",
    "compare": "several models side by side",
    "curves": "training curves of one or more runs",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; without one, list them. Returns the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] in COMMANDS:
        status: int = import_module(f"analysis.cli.{words[0]}").main(words[1:])
        return status
    from analysis.cli.study import main as run_study
    from analysis.studies.registry import list_studies

    studies = {study.name: study.question for study in list_studies()}
    if not words or words[0] in ("-h", "--help"):
        print("usage: python -m analysis COMMAND [--help | OPTIONS]")
        for title, found in (("commands", COMMANDS), ("studies of a model", studies)):
            width = max(map(len, found))
            print(f"\n{title}:")
            print("\n".join(f"  {name:<{width}}  {text}" for name, text in found.items()))
        return 0
    if words[0] not in studies:
        names = ", ".join([*COMMANDS, *studies])
        print(f"error: no command {words[0]!r}, there are {names}", file=sys.stderr)
        return 2
    return run_study(words[0], words[1:])


if __name__ == "__main__":
    sys.exit(main())
