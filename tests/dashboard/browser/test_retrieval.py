"""Retrieval in a real browser, on a model that was planted to rank by colours."""

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.dashboard.browser.visitor import Visitor, block

pytestmark = pytest.mark.browser
QUERY = "walk/query.mp4"
# The view is the middle 96 x 96 of 128 x 96 pixels.
RED, BLUE = (0.10, 0.44, 0.30, 0.58), (0.70, 0.44, 0.90, 0.58)


def first_hit(visitor: Visitor, feature: str) -> str:
    """What is written below the nearest video."""
    page = visitor.page
    page.wait_for_selector(f'[data-testid="hit-{feature}"]')
    return str(page.locator(f'.thumb:has([data-testid="hit-{feature}"])').first.inner_text())


def test_each_heads_nearest_is_in_its_list(visitor: Visitor, coloured_address: str) -> None:
    visitor.open(coloured_address, "retrieval", query=QUERY)
    rsp, avid = first_hit(visitor, "rsp"), first_hit(visitor, "avid")
    assert "walk/red" in rsp
    assert "+1.00" in rsp
    assert "\N{CHECK MARK} correct" in rsp
    assert "run/blue" in avid
    assert "\N{MULTIPLICATION X} incorrect" in avid
    page = visitor.page
    expect(page.get_by_test_id("table")).to_contain_text("top-5")
    # A hit becomes the query: it moves into the link and the lists change.
    page.get_by_role("button", name="Use as query run/blue").first.click()
    visitor.wait_link(r"query=run%2Fblue")
    expect(page.locator('[data-testid="query"]')).to_contain_text("run/blue")
    # The third feature stands beside the two.
    page.get_by_text("Backbone", exact=True).first.click()
    visitor.wait_link(r"by=rsp.avid.backbone")
    assert "walk/query" in first_hit(visitor, "avid")
    page.wait_for_selector('[data-testid="hit-backbone"]')


def panel(visitor: Visitor, number: int) -> np.ndarray:
    return visitor.picture(visitor.page.locator('[data-testid^="panel-hit1"]').nth(number))


def test_why_shows_the_places_that_ranked_a_hit(visitor: Visitor, coloured_address: str) -> None:
    visitor.open(coloured_address, "retrieval", query=QUERY)
    first_hit(visitor, "avid")
    page = visitor.page
    # A-VID has it too, as no. 5, and its buttons may be there before those of RSP.
    page.locator(".st-key-list_rsp").get_by_role("button", name="Explain walk/red").click()
    page.wait_for_selector('[data-testid="strip-hit"] .film')
    visitor.wait_link(r"why=rsp.1")
    expect(page.get_by_test_id("why")).to_contain_text("walk/red is no. 1 of 5")
    # Against the next hit.
    expect(page.locator('[data-testid="why-tiles"] .tile')).to_have_count(1)
    query = panel(visitor, 0)
    # Orange over red, nothing over blue: RSP does not see it.
    assert block(query, *RED)[1] > 40
    assert block(query, *BLUE)[0] < 35
    # What is explained is what Compare shows.
    link = str(page.get_by_role("link", name="Open these two clips").get_attribute("href"))
    details = " ".join(page.locator('[role="dialog"] .column-detail').all_inner_texts())
    frames = re.findall(r"frames (\d+) to (\d+)", details)
    assert re.search(rf"i_start={frames[0][0]}&j_start={frames[1][0]}&i_speed=1&j_speed=1", link)
    # Query and hit are in step, by the keys of the window too.
    playheads = page.locator('[role="dialog"] .playhead')
    page.get_by_role("button", name="One frame on").click()
    page.keyboard.press("End")
    lefts = playheads.evaluate_all("marks => marks.map(mark => mark.style.left)")
    assert lefts == ["96.875%"] * 2  # the middle of the last of 16 frames
    page.keyboard.press("Escape")
    expect(page.locator('[data-testid="stDialog"]')).to_have_count(0)
    visitor.wait_link(r"^(?!.*why=)")
    # The first few, from a link: a strip under each.
    visitor.open(coloured_address, "retrieval", query=QUERY, why="avid.all")
    expect(page.locator('[data-testid="strip-hit"] .film')).to_have_count(5)
    page.get_by_role("button", name="One frame on").nth(1).click()
    page.keyboard.press("End")  # of the hit that has the focus alone
    lefts = playheads.evaluate_all("marks => marks.map(mark => mark.style.left)")
    assert [n for n, left in enumerate(lefts) if left == "96.875%"] == [2, 3]


SHIFTS = """
window.shifts = 0
new PerformanceObserver(list => {
  for (const entry of list.getEntries()) window.shifts += entry.value
}).observe({ type: "layout-shift", buffered: true })
"""


def test_nothing_jumps_as_the_lists_come(visitor: Visitor, coloured_address: str) -> None:
    visitor.page.add_init_script(SHIFTS)
    visitor.open(coloured_address, "retrieval", query=QUERY)
    first_hit(visitor, "avid")
    visitor.wait_at_rest()
    assert visitor.page.evaluate("window.shifts") < 0.1  # "good", as Web Vitals have it


def test_query_is_chosen_from_pages_of_the_gallery(visitor: Visitor, coloured_address: str) -> None:
    visitor.open(
        coloured_address, "retrieval", query="short/nine.mp4", k="7", by="rsp.speed", why="x"
    )
    first_hit(visitor, "avid")
    page = visitor.page
    notes = page.locator('[data-testid="stAlert"]')
    expect(notes).to_have_count(4)
    assert "9 frames, a clip of this model takes 16" in " ".join(notes.all_inner_texts())
    page.get_by_role("button", name="Choose another").click()
    search = page.get_by_label("Search names and labels")
    search.fill("nothing like it")
    search.press("Enter")
    expect(page.get_by_role("dialog").get_by_test_id("stAlert")).to_contain_text(
        "Try fewer letters"
    )
    search.fill("MORE_green")
    search.press("Enter")
    expect(page.get_by_role("button", name="Use this video")).to_have_count(1)
    page.get_by_role("button", name="Use this video run/more_green").click()
    visitor.wait_link(r"query=run%2Fmore_green")
    expect(page.locator('[data-testid="query"]')).to_contain_text("run/more_green")
