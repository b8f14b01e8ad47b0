"""From a report's numbers to what the page draws: sections with tables, and figures as data.

All numbers and intervals are those of `analysis`; here they only get a place.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st

from dashboard.app_pages.evidence import figures
from dashboard.app_pages.evidence.figures import Figure
from dashboard.app_pages.evidence.reports import Report
from dashboard.services.galleries import Identity

if TYPE_CHECKING:
    from analysis.report.page import Section

# In the order of the menu.
PARTS = {
    "responses": "What moves a head",
    "planted": "Planted truth",
    "flow": "Optical flow",
    "faithfulness": "Faithfulness",
    "sanity": "Sanity",
    "pretext": "Pretext tasks",
    "retrieval": "Retrieval",
}
KINDS = {"generated": "Generated videos", "real": "Real videos"}


def kinds_of(report: Report, part: str) -> list[str]:
    """Kinds of videos that a part was measured on, where there may be more than one."""
    values = getattr(report.found, part)
    return [kind for kind in KINDS if kind in values] if isinstance(values, dict) else []


def headline_of(report: Report) -> "Section":
    """The project's question in a few rows.

    Raises:
        ValueError: A row of the report is missing.
    """
    return _headline(report.identity, report)


@st.cache_data(max_entries=8, show_spinner=False)
def _headline(identity: Identity, _report: Report) -> "Section":
    from analysis.report.report import headline

    return headline(_report.found)


def section_of(report: Report, part: str, kind: str) -> "Section":
    """A part's tables, and how to read it; ``skipped`` says why it is empty.

    Raises:
        ValueError: A row of the report is missing.
    """
    return _section(report.identity, part, kind, report)


@st.cache_data(max_entries=32, show_spinner=False)
def _section(identity: Identity, part: str, kind: str, _report: Report) -> "Section":
    from analysis.report import sections
    from analysis.report.page import Section

    found = _report.found
    value = getattr(found, part)
    if kind and part not in ("pretext", "retrieval"):
        value = {kind: value[kind]}
    if not value:
        reason = found.skipped.get(part, "the report has no result")
        return Section(key=part, title=PARTS[part], skipped=reason)
    makers: dict[str, Callable[..., Section]] = {
        "responses": sections.responses_section,
        "planted": sections.localisation_section,
        "flow": sections.flow_section,
        "faithfulness": sections.faithfulness_section,
        "sanity": sections.sanity_section,
        "pretext": sections.pretext_section,
        "retrieval": sections.retrieval_section,
    }
    return makers[part](value)


def figures_of(report: Report, part: str, kind: str) -> list[Figure]:
    """A part's figures as data; none for parts that are tables alone.

    Raises:
        ValueError: A row of the report is missing.
    """
    return _figures(report.identity, part, kind, report)


@st.cache_data(max_entries=32, show_spinner=False)
def _figures(identity: Identity, part: str, kind: str, _report: Report) -> list[Figure]:
    found = _report.found
    if part == "responses" and kind:
        return figures.responses(found.responses[kind])
    if part == "planted" and found.planted:
        return [figures.planted(found.planted)]
    if part == "flow" and found.flow:
        return [figures.flow(found.flow)]
    if part == "faithfulness" and kind:
        return figures.faithfulness(found.faithfulness[kind])
    if part == "sanity" and found.sanity:
        return [figures.sanity(found.sanity)]
    return []
