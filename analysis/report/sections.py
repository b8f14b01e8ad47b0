"""Sections of a report: of each study what was found, its figure and its tables."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from analysis.core.table import StudyTable, Table, Value
from analysis.figures.print import draw_figures
from analysis.figures.style import style
from analysis.report.page import Picture, Section
from analysis.report.results import ReportResults
from analysis.studies.registry import VIDEOS, KeyNumber, Study, get_study, list_studies

QUESTION = "Does the motion head look at motion, the appearance head at appearance?"


def picture(figure: Figure, alt: str, caption: str, dpi: int = 130) -> Picture:
    """A figure as PNG for the page."""
    held = io.BytesIO()
    with style():
        figure.savefig(held, format="png", dpi=dpi)
    return Picture(data=held.getvalue(), alt=alt, caption=caption)


def key_numbers(results: ReportResults) -> list[tuple[str, KeyNumber]]:
    """The key numbers of every study, under names that say on which videos."""
    found = []
    for study in list_studies():
        for kind, table in results.tables.get(study.name, {}).items():
            where = f", {VIDEOS[kind]}" if study.needs == "each" else ""
            found += [(f"{key.name}{where}", key) for key in study.key_numbers(table)]
    return found


def headline(results: ReportResults) -> Section:
    """The project's question in a few rows: the heads, their difference, random weights.

    Raises:
        ValueError: A row of a study is missing.
    """
    found = [(name, key) for name, key in key_numbers(results) if key.difference is not None]
    if found and "random weights" in found[0][1].values:
        return _one_head_headline(results, found)
    rows: list[Sequence[str | Value]] = [
        (
            name,
            key.values["rsp"],
            key.values["avid"],
            key.difference or "-",
            "-" if key.control is None else key.control,
        )
        for name, key in found
    ]
    return Section(
        key="headline",
        title=QUESTION,
        reading=(
            "A difference whose interval contains 0 is no difference that these videos can show. "
            "The last column is the difference with random weights: what an untrained network "
            "shows already. Margin maps are signed towards the faster clip: a slow query's own "
            "margin map shows what stands still."
        ),
        tables=[
            Table(
                header=("measure", "RSP", "A-VID", "RSP minus A-VID", "the same, random weights"),
                rows=rows,
                caption="95% intervals over videos; the sections below say how each is measured",
            )
        ],
        skipped="" if rows else "none of its studies was measured",
    )


def _one_head_headline(results: ReportResults, found: Sequence[tuple[str, KeyNumber]]) -> Section:
    """The question of an encoder with one head: the head, random weights, their difference."""
    findings = [
        get_study(name).finding(table)
        for name in ("ledger", "cue_conflict")
        for table in results.tables.get(name, {}).values()
    ]
    head = next(iter(found[0][1].values))
    return Section(
        key="headline",
        title="Does it look at motion?",
        finding=" ".join(findings),
        reading=(
            "A difference whose interval contains 0 is no difference that these videos can show: "
            "an untrained network of this kind shows as much. Studies that compare the heads of "
            "RSPNet are skipped."
        ),
        tables=[
            Table(
                header=("measure", head, "random weights", "difference"),
                rows=[(name, *key.values.values(), key.difference or "-") for name, key in found],
                caption="95% intervals over videos; the sections below say how each is measured",
            )
        ],
    )


def section_of(
    study: Study[Any],
    tables: Mapping[str, StudyTable],
    skipped: str = "",
    *,
    figures: bool = True,
) -> Section:
    """The section of one study, over all kinds of videos that it was measured on.

    Args:
        study: The study.
        tables: By kind of videos; may be none.
        skipped: Why there are none.
        figures: Whether to draw its figures.

    Raises:
        ValueError: A row of a table is missing.
    """
    if not tables:
        reason = skipped or "the report has no result"
        return Section(key=study.name, title=study.question, skipped=reason)
    findings, pictures, shown = [], [], []
    for kind, table in tables.items():
        words = f"{table.num_videos} {table.videos}"
        finding = study.finding(table)
        findings.append(f"On {VIDEOS[kind]}: {finding}" if len(tables) > 1 else finding)
        specs = study.figures(table) if figures else []
        if specs:
            titles = "; ".join(spec.title for spec in specs)
            caption = (
                f"{words}. {'. '.join(spec.axis for spec in specs)}. Intervals are over videos; "
                "hollow marks and thin lines are random weights."
            )
            pictures.append(picture(draw_figures(specs), titles, caption))
        shown += study.tables(table)
    return Section(
        key=study.name,
        title=study.question,
        finding=" ".join(findings),
        reading=study.explain(next(iter(tables.values()))),
        pictures=pictures,
        tables=shown,
    )


def sections_of(results: ReportResults) -> list[Section]:
    """A section for every study, with the reason for those that were skipped."""
    return [
        section_of(
            study, results.tables.get(study.name, {}), results.skipped.get(study.name, "")
        )
        for study in list_studies()
    ]  # fmt: skip
