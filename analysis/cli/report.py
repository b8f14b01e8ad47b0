"""The command ``python -m analysis report``."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from analysis.report.report import report
from analysis.report.results import ReportConfig
from rspnet.training.config import parse_config


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        config = parse_config(
            ReportConfig,
            words,
            prog="python -m analysis report",
            description="One page about a model: what its two heads look at, and how sure that is.",
        )
        report(config, shlex.join(["python", "-m", "analysis", "report", *words]))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped: the same command resumes", file=sys.stderr)
        return 130
    print(config.out)
    print(Path(config.out).with_suffix(".json"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
