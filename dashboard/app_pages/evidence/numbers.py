"""From a report's tables to what the page draws: the studies, their sections and figures.

All numbers and intervals are those of `analysis`; here they only get a place.
"""

from typing import TYPE_CHECKING, Any

import streamlit as st

from dashboard.services.galleries import Identity
from dashboard.services.reports import Report

if TYPE_CHECKING:
    from analysis.core.figure_spec import FigureSpec
    from analysis.report.page import Section
    from analysis.studies.registry import NamedUnit, Study

FIRST = "responses"  # the study that the page opens on


def titles() -> dict[str, str]:
    """Every study and its title, in the order of the menu."""
    from analysis.studies.registry import list_studies

    found = {study.name: study.title for study in list_studies()}
    return {FIRST: found[FIRST], **found}


def study_of(part: str) -> "Study[Any]":
    """A study by its name."""
    from analysis.studies.registry import get_study

    return get_study(part)


def kinds_of(report: Report, part: str) -> dict[str, str]:
    """Kinds of videos that a study was measured on, and what they are called."""
    from analysis.studies.registry import VIDEOS

    tables = report.results.tables.get(part, {})
    return {kind: name.capitalize() for kind, name in VIDEOS.items() if kind in tables}


def section_of(report: Report, part: str, kind: str) -> "Section":
    """A study's tables, and how to read them; ``skipped`` says why it is empty.

    Raises:
        ValueError: A row of the report is missing.
    """
    return _section(report.identity, part, kind, report)


@st.cache_data(max_entries=32, show_spinner=False)
def _section(identity: Identity, part: str, kind: str, _report: Report) -> "Section":
    from analysis.report import sections

    results = _report.results
    tables = {kind: results.tables[part][kind]} if kind else {}
    skipped = results.skipped.get(part, "")
    return sections.section_of(study_of(part), tables, skipped, figures=False)


def figures_of(report: Report, part: str, kind: str) -> "list[FigureSpec]":
    """A study's figures as data; none for studies that are tables alone.

    Raises:
        ValueError: A row of the report is missing.
    """
    return _figures(report.identity, part, kind, report) if kind else []


@st.cache_data(max_entries=32, show_spinner=False)
def _figures(identity: Identity, part: str, kind: str, _report: Report) -> "list[FigureSpec]":
    return study_of(part).figures(_report.results.tables[part][kind])


def named_units(report: Report, part: str, kind: str) -> "list[NamedUnit] | None":
    """The units of heads that a study names; nothing where it is not about units."""
    return study_of(part).named_units(report.results.tables[part][kind]) if kind else None
