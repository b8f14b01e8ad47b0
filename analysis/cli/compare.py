"""The command ``python -m analysis compare``."""

import shlex
import sys
from collections.abc import Sequence

from analysis.report.compare import compare
from analysis.report.results import ReportConfig
from rspnet.training.config import parse_config


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    num_models = next((n for n, word in enumerate(words) if word.startswith("-")), len(words))
    models, rest = words[:num_models], words[num_models:]
    if not models:
        print("usage: python -m analysis compare MODEL MODEL [MODEL ...] --out compare.html ...")
        print("All other settings are those of python -m analysis report, see its --help.")
        return 0 if {"-h", "--help"} & set(words) else 2
    command = shlex.join(["python", "-m", "analysis", "compare", *words])
    try:
        config = parse_config(ReportConfig, rest, prog="python -m analysis compare MODEL MODEL ...")
        print(compare(models, config, command))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped: the same command resumes", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
