"""The pages: everything of one page in its folder, nothing of another.

The folder is not called ``pages``: Streamlit takes one of that name beside the app's script for the
older kind of multipage app, and tells the first visitor of a link that its page does not exist.
"""

import pkgutil
from importlib import import_module

from dashboard.base.page import Page


def find_pages() -> dict[str, Page]:
    """All pages by the name of their folder, in the order of the navigation.

    Only the ``__init__.py`` of each folder is imported, so that listing the pages takes no time
    and loads no model.

    Raises:
        ValueError: A folder does not register itself.

    Example:
        >>> next(iter(find_pages()))
        'home'
    """
    found: dict[str, Page] = {}
    for entry in pkgutil.iter_modules(__path__):
        module = import_module(f"{__name__}.{entry.name}")
        page = getattr(module, "PAGE", None)
        if not isinstance(page, Page):
            raise ValueError(
                f"dashboard/app_pages/{entry.name} is no page: expected `PAGE = Page(title=..., "
                f"icon=..., order=...)` in its __init__.py, got {page!r}"
            )
        found[entry.name] = page
    return dict(sorted(found.items(), key=lambda item: item[1].order))
