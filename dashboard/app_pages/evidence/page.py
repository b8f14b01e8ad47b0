"""Evidence: what a report found about a model's two heads, with intervals."""

import html
from typing import TYPE_CHECKING

import streamlit as st

from dashboard.app_pages.evidence import commands, numbers
from dashboard.base import links
from dashboard.base.state import choose
from dashboard.services import reports
from dashboard.services.models import ModelChoice
from dashboard.services.reports import Report
from dashboard.widgets import controls, export, shell, verdicts
from dashboard.widgets.export import File
from dashboard.widgets.shell import Opened
from rspnet.names import HEAD_TITLES, HEADS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from analysis.core.figure_spec import FigureSpec
    from analysis.report.page import Section
    from analysis.studies.registry import NamedUnit

QUESTION = "Do the two heads look at different things, and how sure is that?"


def page() -> None:
    """Draw the page."""
    opened = shell.open_page("Evidence", QUESTION)
    if not opened.models:
        st.error(shell.NO_MODEL, icon=":material/error:")
        return
    row = st.container(key="evidence_controls", horizontal=True, vertical_alignment="bottom")
    choices = reports.models_of_report(opened.arguments, opened.models)
    with row.container(key="lab_model", width=240):
        model = controls.choose_model(opened.link, choices)
    try:
        with st.spinner("Reading the report"):
            shelf = reports.shelf(opened.arguments, model)
    except ValueError as error:
        links.show_notes(opened.notes)
        shell.show_error(error)
        return
    report = None
    if shelf.own:
        with row:
            report = _choose_report(opened.link, shelf.own)
    for fault in shelf.faults:
        st.error(f"This report can't be shown: {fault}.", icon=":material/error:")
    if report is None:
        links.show_notes(opened.notes)
        _say_no_report(model)
        links.write({"model": model.name})
        return
    try:
        _draw(report, model, opened)
    except (ValueError, KeyError, IndexError) as error:
        links.show_notes(opened.notes)
        shell.show_error(ValueError(f"{report.name} lacks a number that belongs here: {error}"))


def _choose_report(link: dict[str, str], own: tuple[Report, ...]) -> Report:
    names = [report.name for report in own]
    if "report" in link or st.session_state.get("report") not in names:
        links.take("report", choose("the report", link.get("report"), names, names[0]))
    if len(names) > 1:
        st.selectbox("Report", names, key="report", width=420)
    chosen = next(report for report in own if report.name == st.session_state["report"])
    st.html(
        f'<p class="evidence-about" data-testid="report">{html.escape(chosen.name)}: '
        f"{html.escape(chosen.about)}</p>"
    )
    return chosen


def _say_no_report(model: ModelChoice) -> None:
    command = commands.command_for(model)
    st.info(
        f"There is no report of {model.name} yet. This command makes one, in an hour or so on two "
        "cores; the page finds it once it is there. It resumes where it was stopped, and "
        "`--num_synthetic 8 --num_random 1` makes a first one in minutes.",
        icon=":material/info:",
    )
    st.code(command.line, language="bash", wrap_lines=True)
    st.caption(
        "With real videos: add `--data.name`, `--data.root` and `--data.annotations`. One that "
        "lies elsewhere is given with `streamlit run dashboard/app.py -- --report FILE.json`."
    )


def _draw(report: Report, model: ModelChoice, opened: Opened) -> None:
    headline = reports.headline_of(report)
    part, kind = _choose_part(opened.link, report)
    links.show_notes(opened.notes)
    link = {"model": model.name, "report": report.name, "part": part}
    if kind:
        link["videos"] = kind
    links.write(link)
    with st.container(key="evidence_headline", gap="small"):
        st.html(f'<h2 class="evidence-title">{html.escape(headline.title)}</h2>')
        if headline.skipped:
            st.info(f"Skipped in this report: {headline.skipped}.", icon=":material/info:")
        else:
            _draw_answer(report)
            for table in headline.tables:
                st.html(table.html())
            st.html(f'<p class="lead">{html.escape(headline.reading)}</p>')
    with st.container(
        key="evidence_parts", horizontal=True, vertical_alignment="bottom", gap="medium"
    ):
        _draw_menu(report, part)
    _draw_part(report, part, kind, model)
    files = files_of(report, part, kind)
    both = [
        commands.command_of(report, model),
        export.app_command(opened.arguments, model.path),
    ]
    export.panel(f"evidence_{part}", files, both)


def _draw_answer(report: Report) -> None:
    """What the two heads look at, in a sentence, if the report has measured it."""
    kinds = report.results.tables.get("localisation", {})
    if table := kinds.get("synthetic") or next(iter(kinds.values()), None):
        rsp, avid = (table.one(**reports.ANSWER, head=head)["ratio"].to_json() for head in HEADS)
        st.html(verdicts.answer(rsp, avid))


def _choose_part(link: dict[str, str], report: Report) -> tuple[str, str]:
    """Take study and kind of videos from the link, before their menus are drawn."""
    state, parts = st.session_state, list(numbers.titles())
    if "part" in link or state.get("evidence_part") not in parts:
        links.take("evidence_part", choose("the part", link.get("part"), parts, parts[0]))
    part = str(state["evidence_part"])
    kinds = list(numbers.kinds_of(report, part))
    if not kinds:
        return part, ""
    if "videos" in link or state.get("evidence_kind") not in kinds:
        links.take("evidence_kind", choose("the videos", link.get("videos"), kinds, kinds[0]))
    return part, str(state["evidence_kind"])


def _draw_menu(report: Report, part: str) -> None:
    titles, kinds = numbers.titles(), numbers.kinds_of(report, part)
    st.segmented_control(
        "Measured", list(titles), key="evidence_part", required=True, format_func=titles.__getitem__
    )
    if len(kinds) > 1:
        st.segmented_control(
            "Videos", list(kinds), key="evidence_kind", required=True, format_func=kinds.__getitem__
        )


def _draw_units(named: "list[NamedUnit]", model: ModelChoice) -> None:
    """Each head's strongest units by name, each with the way to what excites it."""
    if not named:
        st.caption("This report was made before units were named: make it again to see them.")
        return
    st.html('<div class="row-title">The strongest units, and the videos that excite them</div>')
    for head, factor in dict.fromkeys((own.head, own.factor) for own in named):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            title = f"{HEAD_TITLES[head]}, {factor} alone"
            st.html(f'<p class="lead evidence-units">{title}</p>', width=190)
            for own in named:
                if (own.head, own.factor) == (head, factor):
                    shell.link_to(
                        "retrieval",
                        f"unit {own.unit} (r = {own.r[factor]:.2f})",
                        ":material/sensors:",
                        model=model.name,
                        unit=f"{head}.{own.unit}",
                    )


def _draw_part(report: Report, part: str, kind: str, model: ModelChoice) -> None:
    section = numbers.section_of(report, part, kind)
    with st.container(key="evidence_part_box", gap="small"):
        st.html(
            f'<h2 class="evidence-title" data-testid="part" data-part="{part}">'
            f"{html.escape(section.title)}</h2>"
        )
        if section.skipped:
            st.info(f"Skipped in this report: {section.skipped}.", icon=":material/info:")
            return
        if section.finding:
            st.html(f'<p class="evidence-finding">{html.escape(section.finding)}</p>')
        st.html(f'<p class="lead" data-testid="reading">{html.escape(section.reading)}</p>')
        figures = numbers.figures_of(report, part, kind)
        if (named := numbers.named_units(report, part, kind)) is not None:
            _draw_units(named, model)
        _draw_figures(figures, f"{part}_{kind}")
        if figures:
            with st.expander("The numbers", icon=":material/table:"):
                _draw_tables(section)
        else:
            _draw_tables(section)


def _draw_figures(figures: "list[FigureSpec]", key: str) -> None:
    from dashboard.app_pages.evidence import charts
    from dashboard.base.charts import legend

    with st.container(key="evidence_figures", horizontal=True, gap="large"):
        for number, figure in enumerate(figures):
            width = "wide" if len(figure.panels) > 1 else "narrow"
            random = ", hollow or thin: random weights" if figure.has_control else ""
            with st.container(key=f"evidence_{width}_{number}", gap="xxsmall"):
                st.html(
                    f'<div class="row-title">{html.escape(figure.title)}{legend()}</div>'
                    f'<p class="evidence-axis">{html.escape(figure.axis)}. 95% intervals over '
                    f"videos{random}.</p>"
                )
                st.plotly_chart(
                    charts.draw(figure),
                    key=f"evidence_{key}_{number}",
                    config={"displayModeBar": False},
                    alt=charts.describe(figure),
                )


def _draw_tables(section: "Section") -> None:
    for table in section.tables:
        st.html(table.html())


def files_of(report: Report, part: str, kind: str) -> list[File]:
    """Figures for print, the study's tables, and the whole report."""
    name = f"{report.path.name.split('.')[0]}-{part}" + (f"-{kind}" if kind else "")
    files = []
    figures = numbers.figures_of(report, part, kind)
    section = numbers.section_of(report, part, kind)
    if figures:

        def draw() -> "Figure":
            from analysis.figures.print import draw_figures

            return draw_figures(figures)

        files += export.figure_files(name, draw)
    if section.tables:

        def write() -> bytes:
            from analysis.core.table import csv_of

            return csv_of(section.tables)

        files.append(File("Data", f"{name}.csv", write, label="CSV of this study"))
    files.append(File("Data", report.path.name, report.path.read_bytes, label="JSON of the report"))
    return files
