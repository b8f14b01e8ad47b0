"""Embedding in a real browser, on a model that was planted to rank by colours."""

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.dashboard.browser.visitor import Visitor

pytestmark = pytest.mark.browser


# Of each map the number of points that stand out.
STAND_OUT = """() => ['.xy', '.x2y2'].map(map => [...document.querySelectorAll(
    `.js-plotly-plot .subplot${map} path.point`)].filter(p => p.style.opacity === '1').length)"""


def lasso(page: Any, left: float, right: float) -> None:
    """Draw around a part of the first map, from top to bottom."""
    box = page.locator(".js-plotly-plot .nsewdrag").first.bounding_box()
    path = [(left, 0.02), (right, 0.02), (right, 0.98), (left, 0.98), (left, 0.05)]
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in path]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=6)
    page.mouse.up()


def test_lasso_selects_in_both_maps_and_leads_to_retrieval(
    visitor: Visitor, coloured_address: str
) -> None:
    visitor.open(coloured_address, "embedding", video="nowhere.mp4")
    page = visitor.page
    page.wait_for_selector(".js-plotly-plot .scatterlayer .trace")
    expect(page.get_by_test_id("stAlert")).to_contain_text(
        "is not in the gallery; none is selected"
    )
    lasso(page, 0.01, 0.99)
    summary = page.locator('[data-testid="summary"]')
    expect(summary).to_contain_text("6 videos selected")
    expect(summary).to_contain_text("3 run, 3 walk")
    page.get_by_role("button", name="Clear the selection").click()
    expect(summary).to_contain_text("No video is selected")
    # With the tool Pan a click selects the one video under it, in the second map as well.
    visitor.wait_at_rest()
    page.locator('.modebar-btn[data-title="Pan"]').click()
    box = page.locator(".js-plotly-plot .subplot.x2y2 path.point").last.bounding_box()
    place = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    visitor.point_at(*place)
    name = page.locator(".js-plotly-plot .hoverlayer").text_content()
    page.mouse.click(*place)
    expect(summary).to_contain_text("1 video selected")
    card = page.locator('.thumb:has([data-testid="chosen"])')
    expect(card).to_contain_text(name)
    # One video, by its name; the link holds it, and it stands out in both maps.
    page.get_by_role("button", name="Find a video").click()
    page.get_by_label("Search names and labels").fill("blue")
    page.get_by_label("Search names and labels").press("Enter")
    expect(page.get_by_role("button", name="Use this video")).to_have_count(1)
    page.get_by_role("button", name="Use this video run/blue").click()
    expect(summary).to_contain_text("1 video selected")
    visitor.wait_link(r"video=run%2Fblue")
    page.wait_for_function(f"String(({STAND_OUT})()) === '1,1'")
    expect(card).to_contain_text("run/blue")
    page.get_by_role("link", name="Nearest run/blue").click()
    visitor.wait_link(r"/retrieval\?.*query=run%2Fblue")
    page.wait_for_selector('[data-testid="hit-rsp"]')
    expect(page.locator('[data-testid="query"]')).to_contain_text("run/blue")
