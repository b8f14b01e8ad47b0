"""``python -m analysis COMMAND``: all commands of this package."""

import ast
import sys
from collections.abc import Sequence
from pathlib import Path

from rspnet.commands import Command, run_command

# A command a line: its module in analysis/cli has the same name. Each study has one, too.
_TEXTS = {
    "maps": "compute all maps of a pair of clips, in a folder",
    "figure1": "draw Figure 1 of the supplementary, for any model and videos",
    "strips": "draw maps over time, all time steps side by side",
    "classes": "draw class activation maps of a classifier (Eq. 1)",
    "retrieval": "explain what made a retrieval rank a video as it did",
    "structure": "measure how a gallery is arranged: hubs, orphans, disagreement of the heads",
    "projection": "draw a gallery in two dimensions",
    "export": "write a gallery for TensorBoard's projector or Embedding Atlas",
    "report": "put a model on one page",
    "compare": "put several models on one page, side by side",
    "curves": "draw training curves of one or more runs",
}


def _study(name: str, text: str) -> Command:
    def main(words: Sequence[str]) -> int:
        from analysis.cli.study import main as run_study

        return run_study(name, words)

    return Command(main, text, "studies")


def _studies_of_files() -> dict[str, Command]:
    """The studies in this package, read from their files: importing them takes seconds."""
    found: dict[str, tuple[int, str]] = {}
    for file in sorted((Path(__file__).parent / "studies").glob("*.py")):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            decorators = getattr(node, "decorator_list", [])
            if not isinstance(node, ast.ClassDef) or "register_study" not in map(
                ast.unparse, decorators
            ):
                continue
            values = {
                ast.unparse(entry.targets[0]): entry.value.value
                for entry in node.body
                if isinstance(entry, ast.Assign) and isinstance(entry.value, ast.Constant)
            }
            text = (ast.get_docstring(node) or "").partition("\n")[0]
            found[str(values["name"])] = int(str(values.get("place", 100))), text
    return {name: _study(name, found[name][1]) for name in sorted(found, key=lambda n: found[n][0])}


COMMANDS = {
    name: Command(f"analysis.cli.{name}", text) for name, text in _TEXTS.items()
} | _studies_of_files()


def _registered_studies() -> dict[str, Command]:
    """Studies that were registered elsewhere; none if nothing has imported the registry."""
    registry = sys.modules.get("analysis.studies.registry")
    studies = registry.list_studies() if registry else ()
    return {s.name: _study(s.name, s.summary) for s in studies if s.name not in COMMANDS}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; without one, list them. Returns the exit status."""
    return run_command(COMMANDS, arguments, prog="python -m analysis", more=_registered_studies)


if __name__ == "__main__":
    sys.exit(main())
