"""What Retrieval hands out: the lists as a table, and the commands for lists, maps and top-k."""

import csv
import io
from collections.abc import Sequence
from urllib.parse import urlencode

from dashboard.base.arguments import shown_path
from dashboard.pages.retrieval import explain
from dashboard.pages.retrieval.explain import Asked
from dashboard.widgets import export
from dashboard.widgets.export import Command, File

COLUMNS = ("query", "query_label", "feature", "rank", "similarity", "path", "label", "right")


def draw(asked: Sequence[Asked], k: int, link: dict[str, str]) -> None:
    """Draw the panel below the lists.

    Args:
        asked: One list each.
        k: Their length.
        link: The page's parameters.
    """
    first = asked[0]
    name = f"retrieval-{first.pool.videos[first.query].path.stem}"
    folder = shown_path(first.pool.folder)
    ks = [str(n) for n in (1, 5, 10, 20, 50) if n < len(first.pool.videos)]
    words = ("python", "-m", "rspnet.retrieve", "--gallery", folder, "--queries", folder)
    commands = [
        c for one in asked for c in explain.commands_of(one, min(k, explain.MOST_EXPLAINED))
    ]
    if all(video.label for video in first.pool.videos):
        commands.append(Command("Top-k of the gallery", (*words, "--k", *ks)))
    files = [File("Data", f"{name}.csv", lambda: table_of(asked, k))]
    export.panel("retrieval", files, commands, f"/retrieval?{urlencode(link)}")


def table_of(asked: Sequence[Asked], k: int) -> bytes:
    """All lists as a table (CSV): a row a hit."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for one in asked:
        query = one.pool.videos[one.query]
        for rank, hit in enumerate(explain.hits_of(one, k)[0], start=1):
            video = one.pool.videos[hit.index]
            right = str(video.label == query.label).lower() if query.label else ""
            writer.writerow(
                (query.name, query.label, one.feature, rank, repr(hit.similarity), video.name,
                 video.label, right)
            )  # fmt: skip
    return text.getvalue().encode()
