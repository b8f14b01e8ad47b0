"""Several models side by side: ``python -m analysis compare M1 M2 ... --out compare.html``.

Models come first; all else are settings of :mod:`analysis.report.report`. Every model gets a report
of its own beside the page that puts their key numbers next to each other, with ``.json`` beside
each. All models are measured on the same videos. Where values of single videos are known, the
difference to the first model is paired video by video; elsewhere each model has its own interval,
and two intervals that overlap do not say that there is no difference.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from analysis.core.models import load_branches
from analysis.core.statistics import Estimate
from analysis.core.table import Table
from analysis.report.page import Section, render
from analysis.report.report import report
from analysis.report.results import ReportConfig, ReportResults
from analysis.report.sections import key_numbers
from analysis.studies.registry import VIDEOS, list_studies
from rspnet.files import atomic_path
from rspnet.names import HEAD_TITLES

FORMAT, VERSION = "rspnet-compare", 2
Row = tuple[str, list[Estimate | None]]


def rows_of(results: Sequence[ReportResults]) -> list[Row]:
    """A line a key number, a value a model; nothing where it was not measured."""
    rows: dict[str, list[Estimate | None]] = {}
    for place, one in enumerate(results):
        for name, key in key_numbers(one):
            for head, value in key.values.items():
                title = f"{name}, {HEAD_TITLES.get(head, head)}"
                rows.setdefault(title, [None] * len(results))[place] = value
    return list(rows.items())


def paired_rows(results: Sequence[ReportResults]) -> list[Row]:
    """Differences to the first model, paired by video."""
    rows: dict[str, list[Estimate | None]] = {}
    first, *others = results
    for study in list_studies():
        for kind, table in first.tables.get(study.name, {}).items():
            for place, other in enumerate(others):
                theirs = other.tables.get(study.name, {}).get(kind)
                try:
                    found = {} if theirs is None else study.paired(table, theirs)
                except ValueError:
                    continue  # models whose clips differ in length can't use the same videos
                for name, value in found.items():
                    title = f"{name}, {VIDEOS[kind]}"
                    rows.setdefault(title, [None] * len(others))[place] = value
    return list(rows.items())


def _table(header: Sequence[str], rows: Sequence[Row], caption: str) -> Table:
    cells = [
        [name, *("-" if value is None else value for value in values)] for name, values in rows
    ]
    return Table(header=("measure", *header), rows=cells, caption=caption)


def _file_names(models: Sequence[str]) -> list[str]:
    """A short name for each model's report."""
    names: list[str] = []
    for model in models:
        stem = re.sub(r"[^\w.-]+", "_", Path(model).stem) or "model"
        name = stem
        while name in names or name == "compare":
            name = f"{stem}-{len(names)}"
        names.append(name)
    return names


def compare(models: Sequence[str], config: ReportConfig, command: str = "") -> Path:
    """Report on every model and put the numbers side by side.

    Args:
        models: Model files or names of shipped models, at least two.
        config: Settings of the reports; its ``model`` is not used, the folder of its ``out`` is
            where everything is written.
        command: What the page says it was made by.

    Returns:
        The page.

    Raises:
        ValueError: There are fewer than two models, two are the same file, or as
            :func:`analysis.report.report.report`.
    """
    if len(models) < 2:
        raise ValueError(f"a comparison is of at least two models, got {len(models)}")
    hashes = [load_branches(model)[0].hash for model in models]
    if len(set(hashes)) < len(hashes):
        raise ValueError(f"two of the models are the same file: {', '.join(models)}")
    out = Path(config.out)
    names = _file_names(models)
    found = []
    for model, name in zip(models, names, strict=True):
        own = replace(config, model=model, out=str(out.with_name(f"{name}.html")))
        found.append(report(own, command, folder=out.with_name(f"{out.stem}_parts")))
    rows, paired = rows_of(found), paired_rows(found)
    tables = [_table(names, rows, "every number with its own 95% interval")]
    if paired:
        header = [f"{name} minus {names[0]}" for name in names[1:]]
        tables.append(_table(header, paired, "differences paired by video, 95% interval"))
    section = Section(
        key="compare",
        title="Numbers side by side",
        reading=(
            "All models were measured on the same videos, so intervals that overlap do not say "
            "that two models are alike; a paired difference whose interval leaves out 0 says that "
            "they are not."
        ),
        tables=tables,
    )
    numbers: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "models": dict(zip(names, hashes, strict=True)),
        "rows": {n: [v.to_json() if v else None for v in values] for n, values in rows},
        "paired": {n: [v.to_json() if v else None for v in values] for n, values in paired},
    }
    with atomic_path(out.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(numbers, indent=1))
    lines = [f"{name}: {model}" for name, model in zip(names, models, strict=True)]
    lines += [f"each has a page of its own: {', '.join(f'{name}.html' for name in names)}"]
    with atomic_path(out) as temporary:
        temporary.write_text(
            render("RSPNet: models compared", lines + ([command] if command else []), [section])
        )
    return out
