"""What Retrieval hands out: the lists as a table, and the commands for lists, maps and top-k."""

import csv
import io
from collections.abc import Sequence

from dashboard.app_pages.retrieval import explain, labels
from dashboard.app_pages.retrieval.explain import ExplainRequest
from dashboard.app_pages.retrieval.lists import Filter
from dashboard.base.arguments import shown_path
from dashboard.widgets import export
from dashboard.widgets.export import Command, File
from rspnet.files import printable
from rspnet.text import spreadsheet_cell

COLUMNS = (
    "model", "query", "query_label", "feature", "rank", "rank_by_other_head", "similarity", "path",
    "label", "correct",
)  # fmt: skip


def draw(requests: Sequence[ExplainRequest], shown: Filter, rule: str) -> None:
    """Draw the panel below the lists.

    Args:
        requests: One a list.
        shown: What they show.
        rule: What makes a hit correct.
    """
    first = requests[0]
    name = f"retrieval-{printable(first.pool.videos[first.query].path.stem)}"
    folder = shown_path(first.pool.folder)
    ks = [str(n) for n in (1, 5, 10, 20, 50) if n < len(first.pool.videos)]
    words = ("python", "-m", "rspnet.retrieve", "--gallery", folder, "--queries", folder)
    num = min(shown.k, explain.MOST_EXPLAINED, len(first.pool.videos) - 1)
    commands = [c for one in requests for c in explain.commands_of(one, num)]
    if all(video.label for video in first.pool.videos):
        commands.append(Command("Top-k of the gallery", (*words, "--k", *ks)))
    files = [File("Data", f"{name}.csv", lambda: table_of(requests, shown, rule))]
    export.panel("retrieval", files, commands)


def table_of(requests: Sequence[ExplainRequest], shown: Filter, rule: str) -> bytes:
    """All lists as a table (CSV): a row a hit."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for one in requests:
        query = one.pool.videos[one.query]
        columns = labels.columns_of(rule, one.feature, one.pool.columns)
        for hit in explain.hits_of(one, shown)[0]:
            video = one.pool.videos[hit.index]
            judged, _ = labels.judge(columns, query, video)
            correct = "" if judged is None else str(judged).lower()
            writer.writerow(
                (*map(spreadsheet_cell, (one.model, query.name, query.label, one.feature)),
                 hit.rank, hit.other_rank, repr(hit.similarity),
                 *map(spreadsheet_cell, (video.name, video.label)), correct)
            )  # fmt: skip
    return text.getvalue().encode()
