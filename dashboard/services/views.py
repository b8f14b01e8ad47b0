"""Views that visitors have named: one file in the folder of runs, beside the marks.

A view is a page and the parameters of its address.
"""

import json
from dataclasses import asdict, dataclass

from dashboard.base.shared_file import SharedFile
from rspnet.files import printable

NAME = "views.json"
FORMAT, VERSION = "rspnet-views", 1
MOST_VIEWS, MOST_LETTERS, MOST_PARAMETERS, MOST_VALUE = 500, 80, 60, 2_000


@dataclass(frozen=True)
class SavedView:
    """A view.

    Attributes:
        page: Name of the page, as in its address.
        link: Parameters of the address.
    """

    page: str
    link: dict[str, str]


Views = dict[str, SavedView]


def dump(views: Views) -> bytes:
    """Views as the JSON that :func:`parse` reads."""
    listed = [{"name": name, **asdict(view)} for name, view in views.items()]
    made = {"format": FORMAT, "version": VERSION, "views": listed}
    return (json.dumps(made, indent=1, ensure_ascii=False) + "\n").encode()


def parse(text: str) -> Views:
    """Views from a file.

    Raises:
        ValueError: It is damaged, of another version, or no file of views.

    Example:
        >>> held = {"both heads": SavedView("compare", {"map": "contribution"})}
        >>> parse(dump(held).decode()) == held
        True
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is no JSON, or a damaged one: {error}") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ValueError(f"it is no file of views: expected the format {FORMAT!r}")
    version = found.get("version")
    if type(version) is not int or version != VERSION:
        raise ValueError(
            f"its views are of version {printable(str(version)[:20])}, and this dashboard reads "
            f"version {VERSION}: save them with the dashboard that is to read them"
        )
    listed = found.get("views")
    if not isinstance(listed, list) or len(listed) > MOST_VIEWS:
        raise ValueError(f"expected a list of at most {MOST_VIEWS} views")
    views: Views = {}
    for number, entry in enumerate(listed, start=1):
        try:
            name, page, link = entry["name"], entry["page"], entry["link"]
            texts = [name, page, *link, *link.values()]
            is_good = all(isinstance(text, str) and text.isprintable() for text in texts)
        except (KeyError, TypeError, AttributeError):
            is_good = False
        if (
            not is_good
            or not (name.strip() and len(name) <= MOST_LETTERS and len(link) <= MOST_PARAMETERS)
            or max(map(len, texts)) > MOST_VALUE
            or name in views
        ):
            raise ValueError(
                f"view {number} is damaged: expected a name of its own of 1 to {MOST_LETTERS} "
                "letters, a page, and the parameters of its address as texts"
            )
        views[name] = SavedView(page, link)
    return views


FILE: SharedFile[Views] = SharedFile(NAME, "view", parse, dump, dict)
read, change = FILE.read, FILE.change
