"""What is known of the videos, and what makes a hit correct by it: said wherever it is shown."""

import html
from collections.abc import Collection

from dashboard.services import galleries, uploads
from dashboard.services.embeddings import Pool
from dashboard.services.galleries import APPEARANCE, Video

# Each head by what it should know: where the action and something of the appearance are known.
BY_HEAD = "heads"
ACTION = "action"
NO_FOLDERS = (
    "Labels are the names of the folders that videos lie in, or the columns of a table labels.csv "
    "beside them. There are neither, so no hit is counted as correct or incorrect."
)
NO_TABLE = "These videos have no labels, so there are no correct hits to count."
ONE_CLASS = (
    "All these videos have one label, so any hit would count as correct, whatever the model. Put "
    "the videos of each class into a folder of its own."
)


def rules(columns: Collection[str]) -> dict[str, str]:
    """What can make a hit correct, and how menus call it; empty where nothing is known.

    Args:
        columns: Names of the gallery's labels.

    Example:
        >>> rules(["action", "set"])
        {'heads': 'What each head should know', 'action': 'Same action', 'set': 'Same set'}
    """
    by_head = ACTION in columns and set(APPEARANCE) & set(columns)
    found = {BY_HEAD: "What each head should know"} if by_head else {}
    return found | {name: f"Same {name.replace('_', ' ')}" for name in columns}


def columns_of(rule: str, feature: str, columns: Collection[str]) -> list[str]:
    """The labels of which a hit has to share one with the query.

    Args:
        rule: One of :func:`rules`; empty for none.
        feature: What ranks.
        columns: Names of the gallery's labels.

    Example:
        >>> known = ["action", "actor", "set"]
        >>> columns_of("heads", "avid", known), columns_of("heads", "rsp", known)
        (['actor', 'set'], ['action'])
    """
    if rule != BY_HEAD:
        return [rule] if rule else []
    return [n for n in APPEARANCE if n in columns] if feature == "avid" else [ACTION]


def judge(columns: Collection[str], query: Video, video: Video) -> tuple[bool | None, str]:
    """Whether a hit is correct, and by what.

    Args:
        columns: Of :func:`columns_of`.
        query: The query.
        video: The hit.

    Returns:
        None where nothing is known of the query to judge by; and what the hit shows, or has in
        common with the query, HTML.

    Example:
        >>> from pathlib import Path
        >>> a = Video(Path("a"), "a", "walk", "a", (("actor", "3"), ("set", "8")))
        >>> b = Video(Path("b"), "b", "jump", "b", (("actor", "3"), ("set", "9")))
        >>> judge(["actor", "set"], a, b), judge(["set"], a, b), judge(["prop"], a, b)
        ((True, 'same actor'), (False, 'set 9'), (None, 'jump'))
    """
    mine, theirs = dict(query.labels), dict(video.labels)
    known = [name for name in columns if name in mine]
    common = [name for name in known if theirs.get(name) == mine[name]]
    if len(columns) > 1 and known:
        words = f"same {' and '.join(common)}" if common else "nothing in common"
    else:
        shown = [theirs.get(name, "") for name in known] or [video.label]
        words = shown[0].replace("_", " ") or "no label"
        if words.isdecimal():  # a number says nothing by itself
            words = f"{known[0] if known else 'label'} {words}"
    return (bool(common) if known else None), html.escape(words)


def sentence(pool: Pool, title: str, query: Video, rule: str) -> str:
    """What makes a hit of a query correct, and where its label comes from.

    Args:
        pool: What is searched.
        title: Of the gallery.
        query: The query.
        rule: One of :func:`rules`.
    """
    if not rule:
        return NO_FOLDERS
    if uploads.is_upload(query):
        return "Your upload has no label, so no hit counts as correct or incorrect."
    wanted = {name for f in ("rsp", "avid") for name in columns_of(rule, f, pool.columns)}
    if not wanted & set(dict(query.labels)):
        named = "lies in no folder of a class" if wanted == {galleries.FOLDER} else "has no label"
        return f"The query {named}, so no hit counts as correct or incorrect."
    source = "the videos are synthetic" if title == galleries.GENERATED else "labels.csv says them"
    if rule == BY_HEAD:
        of_avid = columns_of(rule, "avid", pool.columns)
        return (
            "Correct by RSP and by the backbone: a hit shows the query's action. Correct by A-VID: "
            f"it shows the query's {_either(of_avid)}. All are known: {source}."
        )
    if rule == galleries.FOLDER:
        return (
            "Correct: a hit lies in a folder of the same name as the query, for labels are the "
            "names of folders. A table labels.csv beside the videos can say more of them."
        )
    return f"Correct: a hit has the query's {rule.replace('_', ' ')}. It is known: {source}."


def _either(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
