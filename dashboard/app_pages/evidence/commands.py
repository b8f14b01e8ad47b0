"""The commands that make a report, for the page to hand out."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from dashboard.base.arguments import shown_path
from dashboard.services.models import ModelChoice
from dashboard.services.reports import Report
from dashboard.widgets.export import Command


def command_for(model: ModelChoice) -> Command:
    """The command line that makes the report which this page then finds."""
    out = model.path.with_suffix(".report.html")
    words = ["python", "-m", "analysis", "report", "--model", shown_path(model.path)]
    return Command("A report of this model", (*words, "--out", shown_path(out)))


def command_of(report: Report, model: ModelChoice) -> Command:
    """The command line that made a report."""
    from analysis.report.results import ReportConfig
    from rspnet.commands import to_plain

    words = ["python", "-m", "analysis", "report", "--model", shown_path(model.path)]
    plain = to_plain(ReportConfig())
    for name, value in _flat(report.results.config):
        if name not in ("model", "out") and value != dict(_flat(plain)).get(name):
            written = value if isinstance(value, str) else json.dumps(value)
            words += [f"--{name}", written]
    out = report.path.with_suffix(".html")
    return Command("This report", (*words, "--out", shown_path(out)))


def _flat(values: Mapping[str, Any], start: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{start}{name}.")
        else:
            yield start + name, value
