"""``python -m analysis COMMAND``: all commands of this package."""

import sys
from collections.abc import Sequence

from rspnet.commands import Command, run_command

# A command a line: its module in analysis/cli has the same name.
_TEXTS = {
    "maps": "compute all maps of a pair of clips, in a folder",
    "figure1": "draw Figure 1 of the supplementary, for any model and videos",
    "strips": "draw maps over time, all time steps side by side",
    "classes": "draw class activation maps of a classifier (Eq. 1)",
    "localisation": "compare both heads' maps with the ground truth of synthetic videos",
    "optical_flow": "compare both heads' maps with the optical flow of real videos",
    "responses": "measure how each head responds to a perturbation of a clip",
    "faithfulness": "measure whether scores change where the maps say",
    "agreement": "rank cells of a clip by several attribution methods, and correlate the ranks",
    "sanity": "test whether maps depend on what the model learned",
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
    return run_command(COMMANDS, arguments, prog="python -m analysis")


if __name__ == "__main__":
    sys.exit(main())
