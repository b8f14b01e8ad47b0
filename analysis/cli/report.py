"""The command ``python -m analysis report``."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from analysis.report.report import report
from analysis.report.results import ReportConfig
from rspnet.commands import run_cli


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)

    def run(config: ReportConfig) -> None:
        report(config, shlex.join(["python", "-m", "analysis", "report", *words]))
        print(config.out)
        print(Path(config.out).with_suffix(".json"))

    return run_cli(
        ReportConfig,
        run,
        words,
        prog="python -m analysis report",
        description="Put a model on one page: what its two heads look at, and how sure that is.",
        examples=(
            "python -m analysis report --out report.html",
            "python -m analysis report --model model.safetensors --data.name jhmdb "
            "--data.root JHMDB --out report.html",
        ),
        out="file",
        resumes=True,
    )


if __name__ == "__main__":
    sys.exit(main())
