"""``python -m dashboard``: opens the dashboard from any folder."""

import sys
from collections.abc import Sequence
from pathlib import Path

from dashboard.base.arguments import COMMAND, Arguments
from rspnet.commands import run_cli

# Streamlit's own options, such as --server.port, begin with one of these.
_STREAMLIT = (
    "--browser.", "--client.", "--global.", "--logger.", "--runner.", "--server.", "--theme.",
)  # fmt: skip


def _split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The app's own words, and Streamlit's."""
    own: list[str] = []
    theirs: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":  # as `streamlit run dashboard/app.py -- ...` is written
            continue
        if not word.startswith(_STREAMLIT):
            own.append(word)
            continue
        theirs.append(word)
        if "=" not in word and rest and not rest[0].startswith("--"):
            theirs.append(rest.pop(0))
    return own, theirs


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    own, theirs = _split(sys.argv[1:] if arguments is None else arguments)

    def run(config: Arguments) -> None:
        from streamlit.web import cli

        for name in ("videos", "model", "report"):
            path = getattr(config, name)
            if path is not None and not path.exists():
                raise ValueError(f"--{name}: there is no {path}")
        app = Path(__file__).with_name("app.py")
        cli.main(["run", str(app), *theirs, "--", *own], standalone_mode=False)

    return run_cli(Arguments, run, own, **COMMAND)


if __name__ == "__main__":
    sys.exit(main())
