"""The command ``python -m analysis compare``."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, fields

from analysis.report.compare import compare
from analysis.report.results import ReportConfig
from rspnet.commands import run_cli

COMMAND = ["python", "-m", "analysis", "compare"]


@dataclass(frozen=True, kw_only=True)
class CompareConfig(ReportConfig):
    """Several models side by side; the settings are those of ``python -m analysis report``.

    Attributes:
        model: Model files or names of shipped models.
        out: The page, ``*.html``.
    """

    model: list[str] = field()  # type: ignore[assignment]
    out: str = "compare.html"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)

    def run(config: CompareConfig) -> None:
        shared = {entry.name: getattr(config, entry.name) for entry in fields(ReportConfig)}
        settings = ReportConfig(**shared | {"model": config.model[0]})
        print(compare(config.model, settings, shlex.join(COMMAND + words)))

    return run_cli(
        CompareConfig,
        run,
        words,
        prog=" ".join(COMMAND),
        description="Put several models on one page, side by side.",
        examples=("python -m analysis compare first.safetensors second.safetensors",),
        positional=("model",),
        out="file",
        resumes=True,
    )


if __name__ == "__main__":
    sys.exit(main())
