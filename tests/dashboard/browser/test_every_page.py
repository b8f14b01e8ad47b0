"""Every page that registers itself, in a real browser: whole, narrow or wide, light or dark."""

from typing import Any

import pytest
from playwright.sync_api import expect

from dashboard.app_pages import find_pages
from tests.dashboard.browser.visitor import Visitor, check_page

pytestmark = pytest.mark.browser
PAGES = find_pages()
# The page that the app opens with has no name in its address.
ADDRESSES = {name: "" if number == 0 else name for number, name in enumerate(PAGES)}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_whole(browser: Any, address: str, page: str) -> None:
    check_page(browser, address, ADDRESSES[page], name=page)


def test_all_pages_are_in_sight_where_it_is_narrow(browser: Any, address: str) -> None:
    visitor = Visitor(browser, width=800)
    visitor.open(address, "training")
    links = [
        visitor.page.get_by_role("link", name=page.title, exact=True).first
        for page in PAGES.values()
    ]
    for link in links:
        expect(link).to_be_in_viewport(ratio=1)
    left = [link.bounding_box()["x"] for link in links]
    assert left == sorted(set(left))  # side by side: none waits behind a menu
    visitor.close()
