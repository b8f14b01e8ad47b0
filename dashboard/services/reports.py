"""Reports of models: where they lie, what they say, and whether they are of the model shown.

A report is the JSON that ``python -m analysis report`` writes beside its page.
"""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from dashboard.base.arguments import CHECKPOINTS, Arguments, shown_path
from dashboard.services import models
from dashboard.services.galleries import Identity, identity
from dashboard.services.models import ModelChoice
from rspnet.files import printable

if TYPE_CHECKING:
    from analysis.report.page import Section
    from analysis.report.results import ReportResults

ENDING = ".report.json"
# The row of the localisation study that answers whether a head looks at movement.
ANSWER = {"weights": "trained", "kind": "margin_faster", "region": "limbs", "speed": "both"}
# What is wrong in a file that is no report shows as one of these.
_DAMAGED = (KeyError, TypeError, AttributeError, IndexError, RecursionError)


@dataclass(frozen=True, eq=False)
class Report:
    """A report that was read.

    Attributes:
        path: The file.
        identity: Key for caches.
        results: What it says.
    """

    path: Path
    identity: Identity
    results: "ReportResults"

    @property
    def name(self) -> str:
        """What menu and links show."""
        return printable(shown_path(self.path))

    @property
    def about(self) -> str:
        """What it is over, in a few words."""
        config = self.results.config
        num = config.get("num_synthetic", "no")
        # A study that was measured by its own command may be over more.
        sizes = [
            own["synthetic"].num_videos
            for own in self.results.tables.values()
            if "synthetic" in own
        ]
        more = sorted({size for size in sizes if size not in (num, config.get("num_evaluated"))})
        words = [
            f"{num} synthetic videos"
            + (f" ({', '.join(map(str, more))} in some studies)" if more else "")
        ]
        data = config.get("data") or {}
        if data.get("root") or data.get("annotations"):
            words.append(
                f"up to {config.get('num_videos', '?')} videos of {data.get('name', 'a data set')} "
                f"({config.get('query_split', '?')})"
            )
        draws = config.get("num_random", "?")
        words.append(f"{draws} draw{'' if draws == 1 else 's'} of random weights")
        return ", ".join(words)


@dataclass(frozen=True)
class Shelf:
    """The reports that there are for a model.

    Attributes:
        own: Those of this model, that of ``--report`` first.
        faults: Sentences about files that can't be used.
    """

    own: tuple[Report, ...]
    faults: tuple[str, ...]


def _paths(arguments: Arguments, model: ModelChoice) -> Iterator[Path]:
    if arguments.report is not None:
        yield arguments.report
    beside = model.path.with_suffix(ENDING)
    if beside.is_file():
        yield beside
    yield from sorted(CHECKPOINTS.glob(f"*{ENDING}"))


def shelf(arguments: Arguments, model: ModelChoice) -> Shelf:
    """Find a model's reports: that of ``--report``, one beside the model, those that ship.

    Raises:
        ValueError: The model's file is gone or no model.
    """
    sha256 = models.about(model).sha256
    own: dict[Path, Report] = {}
    faults = []
    for path in dict.fromkeys(path.resolve() for path in _paths(arguments, model)):
        try:
            report = read(path)
        except ValueError as error:
            faults.append(str(error))
            continue
        if report.results.model_hash == sha256:
            own[path] = report
        elif arguments.report is not None and path == arguments.report.resolve():
            faults.append(
                f"{report.name} is of another model: of {report.results.model}, SHA-256 "
                f"{report.results.model_hash[:16]}, and {model.name} has {sha256[:16]}. Choose its "
                "model in the menu, or start the app with `--model FILE`"
            )
    return Shelf(tuple(own.values()), tuple(faults))


def models_of_report(arguments: Arguments, choices: list[ModelChoice]) -> list[ModelChoice]:
    """The models in the menu, that of ``--report`` first."""
    if arguments.report is None:
        return choices
    try:
        wanted = read(arguments.report).results.model_hash
    except ValueError:  # said by :func:`shelf`
        return choices

    def differs(choice: ModelChoice) -> bool:
        try:
            return models.about(choice).sha256 != wanted
        except ValueError:
            return True

    return sorted(choices, key=differs)


def read(path: Path) -> Report:
    """Read a report.

    Raises:
        ValueError: The file is gone, damaged, or something else.
    """
    shown = printable(shown_path(path))
    if not path.is_file():
        raise ValueError(
            f"there is no report {shown}: expected the JSON that `python -m analysis report "
            "--out report.html` writes beside its page"
        )
    return _read(identity(path.resolve()))


def _load(file: Identity) -> Any:
    try:
        return json.loads(file.path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(
            f"{printable(shown_path(file.path))} can't be read as JSON; it may be torn. Make it "
            "again with `python -m analysis report`"
        ) from error


@st.cache_resource(max_entries=8, show_spinner=False)
def _read(file: Identity) -> Report:
    from analysis.report.results import ReportResults

    value = _load(file)
    shown = printable(shown_path(file.path))
    try:
        return Report(path=file.path, identity=file, results=ReportResults.from_json(value))
    except ValueError as error:
        raise ValueError(f"{shown} can't be shown: {error}") from error
    except _DAMAGED as error:
        raise ValueError(
            f"{shown} is damaged: {type(error).__name__} {str(error)[:80]}. Make it again with "
            "`python -m analysis report`"
        ) from error


def rows_of(arguments: Arguments, model: ModelChoice, study: str) -> list[Any]:
    """The rows of a study on synthetic videos as the first of a model's reports has them, unread.

    For what is to be said at once: reading a report imports torch, this does not.

    Raises:
        ValueError: The model's file is gone or no model.
    """
    sha256 = models.about(model).sha256
    for path in _paths(arguments, model):
        with contextlib.suppress(ValueError, *_DAMAGED):  # `shelf` says so
            model_hash, rows = _rows(identity(path.resolve()), study)
            if model_hash == sha256:
                return rows
    return []


@st.cache_data(max_entries=8, show_spinner=False)
def _rows(file: Identity, study: str) -> tuple[str, list[Any]]:
    value = _load(file)
    kinds = value["tables"].get(study) or {"": {"rows": []}}
    table = kinds.get("synthetic") or next(iter(kinds.values()))
    return value["model_hash"], table["rows"]


def headline_of(report: Report) -> "Section":
    """The project's question in a few rows.

    Raises:
        ValueError: A row of the report is missing.
    """
    return _headline(report.identity, report)


@st.cache_data(max_entries=8, show_spinner=False)
def _headline(identity: Identity, _report: Report) -> "Section":
    from analysis.report.sections import headline

    return headline(_report.results)
