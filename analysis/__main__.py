"""``python -m analysis COMMAND``: all commands of this package."""

import sys
from collections.abc import Sequence
from importlib import import_module

COMMANDS = {
    "maps": "all maps of a pair of clips, in a folder",
    "figure1": "Figure 1 of the supplementary, for any model and videos",
    "strips": "maps over time, every time step side by side",
    "classes": "class activation maps of a classifier (Eq. 1)",
    "localisation": "both heads' maps against the ground truth of synthetic videos",
    "optical_flow": "both heads' maps against the optical flow of real videos",
    "responses": "how each head responds when one thing about a clip changes",
    "faithfulness": "whether scores change where the maps say",
    "agreement": "how alike several attribution methods rank the cells of a clip",
    "sanity": "whether maps depend on what the model learned",
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
    if not words or words[0] in ("-h", "--help"):
        width = max(map(len, COMMANDS))
        lines = [f"  {name:<{width}}  {text}" for name, text in COMMANDS.items()]
        print("usage: python -m analysis COMMAND [--help | OPTIONS]\n\ncommands:")
        print("\n".join(lines))
        return 0
    if words[0] not in COMMANDS:
        print(f"error: no command {words[0]!r}, there are {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    status: int = import_module(f"analysis.cli.{words[0]}").main(words[1:])
    return status


if __name__ == "__main__":
    sys.exit(main())
