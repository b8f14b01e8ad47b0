"""Home in a real browser."""

import pytest
from playwright.sync_api import expect

from tests.dashboard.browser.visitor import Visitor

pytestmark = pytest.mark.browser


def test_home_leads_to_the_example_in_compare(visitor: Visitor, address: str) -> None:
    visitor.open(address, page="")
    page = visitor.page
    page.wait_for_selector('[data-testid="example"]')
    tiles = page.locator('[data-testid="example"] .tile')
    expect(tiles).to_have_count(3)
    # The blue block of the clip in A-VID's tile, where it raises that head's margin or nothing.
    assert tiles.nth(0).bounding_box()["width"] > 200
    assert len(page.inner_text('[data-testid="hash"]')) == 16
    page.get_by_text("Open this pair in Compare").click()
    visitor.wait_ready()
    visitor.wait_link(r"/compare\?.*map=margin")
    expect(page.locator(".heads")).to_contain_text("left/clip_1, frames 4 to 34, 2x")
    visitor.page.get_by_text("Per map", exact=True).click()
    visitor.wait_link(r"scale=map")
    # Away and back by the menu: the page is as it was left.
    page.get_by_role("link", name="Training").first.click()
    page.wait_for_selector('[data-testid="newest"]')
    page.get_by_role("link", name="Compare").first.click()
    visitor.wait_link(r"/compare\?.*map=margin.*scale=map")
    visitor.wait_ready()
