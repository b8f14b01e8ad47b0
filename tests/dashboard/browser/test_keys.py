"""Compare and Retrieval by keys alone, in a real browser."""

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.dashboard.browser.visitor import BLUE, RED, Visitor, block

pytestmark = pytest.mark.browser
# What has the focus, also inside the viewer, in words.
FOCUS = """() => {
    let at = document.activeElement;
    while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
    if (!at || at === document.body) return '';
    return (at.getAttribute('aria-label') || at.textContent || at.id || at.tagName).trim();
}"""
PRESS_3 = """document.body.dispatchEvent(
    new KeyboardEvent('keydown', {key: '3', bubbles: true, composed: true}))"""
# Whether it is seen to have it: by a line around it, or around what it stands in.
RING = """() => {
    let at = document.activeElement;
    while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
    for (let n = 0; at && n < 4; n += 1, at = at.parentElement) {
        const style = getComputedStyle(at);
        if (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1) return true;
        if (style.boxShadow !== 'none') return true;
    }
    return document.activeElement === document.body;
}"""


def walk(visitor: Visitor, most: int) -> list[str]:
    """What Tab leads to, one after another; each is seen to have the focus."""
    found: list[str] = []
    for _ in range(most):
        visitor.page.keyboard.press("Tab")
        found.append(str(visitor.page.evaluate(FOCUS)))
        assert visitor.page.evaluate(RING), f"no ring around {found[-1]!r}"
    return found


def test_keys_drive_compare(visitor: Visitor, address: str) -> None:
    visitor.open(address, map="contribution", frame="5")
    token = visitor.wait_ready()
    page, position = visitor.page, visitor.page.locator(".position")
    for key, frame in (
        ("ArrowRight", 6),
        (".", 7),
        ("ArrowLeft", 6),
        (",", 5),
        ("End", 16),
        (".", 16),
        ("Home", 1),
    ):
        page.keyboard.press(key)
        expect(position).to_have_text(f"frame {frame} / 16")
    page.keyboard.press(" ")
    expect(page.locator(".play")).to_have_attribute("aria-label", "Pause")
    page.keyboard.press(" ")
    expect(page.locator(".play")).to_have_attribute("aria-label", "Play")
    boxes = page.locator("path.box")
    expect(boxes).to_have_count(4)
    page.keyboard.press("b")
    expect(boxes).to_have_count(0)
    page.keyboard.press("b")
    expect(boxes).to_have_count(4)
    # Maps of both, of RSP, of A-VID, none, and again of both.
    orange = {head: block(visitor.panel(head, "i"), *place) for head, place in PLACES.items()}

    def of_rows(head: str) -> tuple[bool, bool]:
        """Whether a row says that its map is off, and whether its panel shows none."""
        row = page.locator(f'.row:has([data-testid="panel-{head}-i"])')
        shown = block(visitor.panel(head, "i"), *PLACES[head])
        said = "off" in str(row.get_attribute("class")).split()
        return said, bool(np.abs(shown - orange[head]).max() > 15)

    for off in ({"avid"}, {"rsp"}, {"rsp", "avid"}, set()):
        page.keyboard.press("m")
        expected = {head: (head in off, head in off) for head in PLACES}
        visitor.wait_until(lambda rows: {head: of_rows(head) for head in PLACES} == rows, expected)
    assert visitor.wait_ready() == token
    # Tab leads through the page in the order of sight.
    page.get_by_role("button", name="Drawing").focus()
    found = walk(visitor, 9)
    order = [
        next((n for n, words in enumerate(found) if start in words), -1)
        for start in ("Contribution, RSP", "Contribution, A-VID", "Play", "One frame back", "Frame")
    ]
    assert -1 not in order, found
    assert order == sorted(order), found
    position.click()  # the focus leaves the controls
    page.keyboard.press("2")
    visitor.wait_link("map=eq2")
    visitor.wait_other(token)


def test_a_region_is_drawn_and_edited(visitor: Visitor, address: str) -> None:
    visitor.open(address, map="contribution")
    visitor.wait_ready()
    page = visitor.page
    page.get_by_role("button", name="Draw a region").click()
    layer = page.get_by_test_id("region-rsp-i")
    at = layer.bounding_box()
    x, y, side = at["x"], at["y"], at["width"]
    page.mouse.move(x + 0.1 * side, y + 0.2 * side)
    page.mouse.down()
    page.mouse.move(x + 0.5 * side, y + 0.7 * side, steps=3)
    page.mouse.up()
    visitor.wait_link(r"region=0\.(1|09\d|10\d)%2C0\.(2|19\d|20\d)%2C0\.(5|49\d|50\d)%2C")
    for head in ("rsp", "avid"):  # in all panels of the clip
        mark = page.get_by_test_id(f"region-{head}-i").locator(".region").bounding_box()
        assert abs(mark["width"] / side - 0.4) < 0.02
        assert abs(mark["height"] / side - 0.5) < 0.02
    expect(page.get_by_test_id("edit-rsp")).to_contain_text("of 20%")
    page.get_by_text("Fill it with its mean colour", exact=True).click()
    expect(page.get_by_test_id("edits").locator("figure")).to_have_count(4)
    visitor.wait_link("edit=mean")
    assert not visitor.barriers()
    # By keys: from where it is, a step to the right, wider by one, taken; and dropped.
    page.locator(".position").click()  # the focus leaves the choice
    page.keyboard.press("r")
    for key in ("ArrowRight", "Shift+ArrowRight", "Enter"):
        page.keyboard.press(key)
    visitor.wait_link(r"region=0\.1[12]")
    expect(page.get_by_test_id("edit-rsp")).to_contain_text("of 21%")
    for key in ("r", "ArrowRight", "Escape"):
        page.keyboard.press(key)
    page.get_by_role("button", name="Clear the region").click()
    expect(layer.locator(".region")).to_be_hidden()
    page.go_back()
    expect(layer.locator(".region")).to_be_visible()
    # On the second clip it is that clip's.
    page.get_by_role("button", name="Draw a region").click()
    second = page.get_by_test_id("region-avid-j")
    at = second.bounding_box()
    page.mouse.move(at["x"] + 0.2 * side, at["y"] + 0.2 * side)
    page.mouse.down()
    page.mouse.move(at["x"] + 0.6 * side, at["y"] + 0.6 * side, steps=3)
    page.mouse.up()
    visitor.wait_link("region_of=j")
    expect(second.locator(".region")).to_be_visible()
    expect(layer.locator(".region")).to_be_hidden()


PLACES = {"rsp": RED, "avid": BLUE}


def test_keys_are_listed_switched_off_and_leave_controls_theirs(
    visitor: Visitor, address: str
) -> None:
    visitor.open(address, frame="5")
    token = visitor.wait_ready()
    page, position = visitor.page, visitor.page.locator(".position")
    page.wait_for_selector(".st-key-map button")  # whose keys are listed, too
    page.keyboard.press("?")
    table = page.locator("dialog.keys")
    expect(table).to_be_visible()
    for words in ("one frame back", "play, pause", "a kind of map", "boxes on or off"):
        expect(table).to_contain_text(words)
    page.keyboard.press(".")  # the list is what has the keys
    page.get_by_label("Keys of the page are on").uncheck()
    page.keyboard.press("Escape")
    expect(table).not_to_be_visible()
    page.keyboard.press(".")
    expect(position).to_have_text("frame 5 / 16")
    page.keyboard.press("?")
    page.get_by_label("Keys of the page are on").check()
    page.get_by_role("button", name="Close").click()
    page.keyboard.press(".")
    expect(position).to_have_text("frame 6 / 16")
    # Keys of controls stay theirs.
    visitor.type_in_menu("video_j", "clip_3")  # with a digit of the menu of maps
    expect(page.get_by_role("option")).to_have_text(["left/clip_3"])
    page.evaluate(PRESS_3)  # while a menu is open the keys are its, wherever they come from
    page.keyboard.press("Enter")
    token = visitor.wait_other(token)
    visitor.wait_link("map=margin_faster")
    page.locator(".st-key-start_i input").focus()
    page.keyboard.press("ArrowRight")
    visitor.wait_other(token)
    visitor.wait_link("i_start=5")
    expect(position).to_have_text("frame 6 / 16")


def test_keys_alone_make_a_hit_of_retrieval_the_query(
    visitor: Visitor, coloured_address: str
) -> None:
    visitor.open(coloured_address, "retrieval", query="walk/query.mp4")
    page = visitor.page
    page.wait_for_selector('[data-testid="hit-avid"]')
    visitor.wait_at_rest()
    found = walk(visitor, 90)
    uses = [words for words in found if words.startswith("Use as query")]
    assert "Use as query run/blue" in uses, found  # each says whose it is
    while page.evaluate(FOCUS) != "Use as query run/blue":
        page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    visitor.wait_link(r"query=run%2Fblue")
    expect(page.locator('[data-testid="query"]')).to_contain_text("run/blue")
