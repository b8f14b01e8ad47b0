"""What the app knows of a page before any of the page's own code is imported."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Page:
    """An entry of the navigation.

    A page is a folder in ``dashboard/app_pages/``. Its ``__init__.py`` holds ``PAGE``, an object of
    this class; its ``page.py`` holds ``page()``, which draws it; rules of style that only this
    page needs lie in its ``page.css``, each of a container or class of its own, for the rules of
    all pages are loaded at once. Nothing else has to be edited to add one.

    Attributes:
        title: What the navigation shows.
        icon: One of Material's symbols, such as ``:material/home:``.
        order: Place in the navigation, ascending; the first page is the one that the app opens
            with.

    Example:
        >>> Page(title="Home", icon=":material/home:", order=10).title
        'Home'
    """

    title: str
    icon: str
    order: int
