"""Compare in a real browser, on a planted model whose answer is known."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.dashboard.browser.visitor import BLUE, RED, Visitor, block, change

pytestmark = pytest.mark.browser
PAIR = {"i": "right/clip_0.mp4", "i_start": "0", "j": "right/clip_2.mp4", "j_start": "3"}


def test_each_head_is_in_its_row(visitor: Visitor, address: str) -> None:
    visitor.open(address, map="contribution", scale="shared", **PAIR)
    visitor.wait_ready()
    for side in "ij":
        rsp, avid = visitor.panel("rsp", side), visitor.panel("avid", side)
        # RSP sees red alone: orange over it in RSP's row, the bare frame in A-VID's.
        assert block(rsp, *RED)[1] > block(avid, *RED)[1] + 15
        # A-VID sees blue alone.
        assert block(avid, *BLUE)[0] > block(rsp, *BLUE)[0] + 60
        bare = block(rsp, *BLUE)
        assert bare[2] > 180
        assert bare[0] < 60
        for head, half in (("rsp", "left"), ("avid", "right")):
            row = visitor.page.locator(f'.row:has([data-testid="panel-{head}-i"])')
            boxes = row.locator("path.box")
            expect(boxes).to_have_count(2)
            path = str(boxes.nth("ij".index(side)).get_attribute("d"))
            x0, x1 = (
                float(v) - 110 * "ij".index(side) for v in re.findall(r"[MH]([\d.]+)", path)[:2]
            )
            assert (x0 < x1 < 50) if half == "left" else (50 < x0 < x1)
            expect(row.locator("path.link")).to_have_count(1)
    for head in ("rsp", "avid"):
        expect(visitor.page.get_by_test_id(f"score-{head}")).to_have_text("+1.00")
        expect(visitor.page.get_by_test_id(f"facts-{head}")).to_contain_text("= s")


def test_first_sight_a_verdict_and_files(visitor: Visitor, address: str, tmp_path: Path) -> None:
    visitor.open(address)
    visitor.wait_ready()
    for place in (".scrubber", '[data-testid="strip-i"]', '[data-testid="strip-j"]'):
        expect(visitor.page.locator(place)).to_be_in_viewport(ratio=1)
    strip = visitor.page.locator('[data-testid="strip-i"] .track')
    said = re.compile(r"^c_i over time, left/clip_1, frames .* RSP: ")
    expect(strip).to_have_attribute("aria-label", said)
    # The verdict comes, and the menus stay as they were.
    expect(visitor.page.locator('[data-testid="verdicts"] b')).to_have_count(2)
    assert visitor.jumped() < 0.1  # all has its place before it comes
    for side in "ij":
        expect(visitor.page.locator(f".st-key-video_{side} input")).to_have_value(
            re.compile("clip_1")
        )
    menu = visitor.page.locator('.st-key-video_i [data-testid="stSelectbox"]')
    menu.hover()  # the whole of a name, however narrow its menu is
    expect(menu).to_have_attribute("title", re.compile("clip_1"))
    page = visitor.page
    page.locator(".st-key-verdicts").get_by_role("button", name="Why").click()
    expect(page.get_by_text("random orders, on average by").first).to_be_visible()
    visitor.wait_at_rest()  # what is opened while a page is drawn anew may be closed again
    page.keyboard.press("Escape")
    page.get_by_text("Export", exact=True).click()
    for kind, start in (("PNG", b"\x89PNG"), ("NPZ", b"PK"), ("JSON", b"{")):
        with page.expect_download() as download:
            page.get_by_role("button", name=kind, exact=True).click()
        path = tmp_path / kind
        download.value.save_as(path)
        assert path.read_bytes().startswith(start)
        assert download.value.suggested_filename.startswith("rspnet-margin_faster-")
    expect(page.locator("code", has_text="python -m analysis figure1").first).to_be_visible()


def test_scrubber_drives_all_panels_strip_and_link(visitor: Visitor, address: str) -> None:
    visitor.open(address, frame="1", map="contribution", i_speed="2", i_start="4")
    token = visitor.wait_ready()
    page = visitor.page
    first = {(h, s): visitor.panel(h, s) for h in ("rsp", "avid") for s in "ij"}
    expect(page.locator('[data-testid="strip-i"] .video-frame')).to_have_text(
        "frame 4 of the video"
    )
    page.click(".forward")
    expect(page.locator('[data-testid="strip-i"] .video-frame')).to_have_text(
        "frame 6 of the video"
    )
    slider = page.locator(".scrubber input")
    slider.focus()
    for _ in range(6):
        slider.press("ArrowRight")
    visitor.wait_link(r"frame=8\b")
    expect(page.locator(".position")).to_have_text("frame 8 / 16")
    # The red block has moved by more than its own brightness away from where it was.
    for key, before in first.items():
        visitor.wait_until(lambda k, old: change(old, visitor.panel(*k)) > 100, key, before)
    assert visitor.wait_ready() == token
    page.click(".play")
    expect(page.locator(".position")).not_to_have_text("frame 8 / 16")
    page.click(".play")


def numbers(visitor: Visitor, side: str, head: str) -> list[str]:
    """The numbers of a lane at the frame that is shown: total, what moves, what stands still."""
    lane = f'[data-testid="strip-{side}"] [data-testid="lane-{head}"] .numbers'
    found = visitor.page.locator(f"{lane} b, {lane} .share span").all_inner_texts()
    return [text.replace("\N{MINUS SIGN}", "-") for text in found]


def test_strip_takes_the_time_apart_and_a_drag_scrubs(visitor: Visitor, address: str) -> None:
    visitor.open(address, frame="1", map="contribution")
    token = visitor.wait_ready()
    page = visitor.page
    # Once the pictures stand, the totals fall into their parts, and no picture is drawn again.
    expect(page.locator('[data-testid="strip-i"] .share')).to_have_count(4)
    assert visitor.wait_ready() == token
    for side in "ij":
        # Blue stands still, and it is all that A-VID sees; red moves.
        total, moves, still = map(float, numbers(visitor, side, "avid"))
        assert (moves, still) == (0, total)
        assert total > 0.1
        total, moves, still = map(float, numbers(visitor, side, "rsp"))
        assert total == pytest.approx(moves + still, abs=0.0011)
        assert abs(moves) > 0.02
    before = {(h, s): visitor.panel(h, s) for h in ("rsp", "avid") for s in "ij"}
    catcher = page.locator('[data-testid="strip-j"] .catcher')
    box = catcher.bounding_box()
    at = [(box["x"] + part * box["width"], box["y"] + 30) for part in (0.41, 0.72, 1.3)]
    page.mouse.move(*at[0])
    page.mouse.down()
    expect(page.locator(".position")).to_have_text("frame 7 / 16")
    page.mouse.move(*at[1])
    expect(page.locator(".position")).to_have_text("frame 12 / 16")
    for key, picture in before.items():
        visitor.wait_until(lambda k, old: change(old, visitor.panel(*k)) > 100, key, picture)
    page.mouse.move(*at[2])  # beyond its end
    page.mouse.up()
    page.mouse.move(*at[0])  # let go
    expect(page.locator(".position")).to_have_text("frame 16 / 16")
    visitor.wait_link(r"frame=16\b")
    for side in "ij":
        playhead = page.locator(f'[data-testid="strip-{side}"] .playhead').bounding_box()
        assert playhead["x"] == pytest.approx(box["x"] + box["width"] * 15.5 / 16, abs=2)


def test_difference_of_the_heads_and_grey_frames(visitor: Visitor, address: str) -> None:
    visitor.open(address, map="contribution", frame="1", rows="difference", frames="grey")
    visitor.wait_ready()
    expect(visitor.page.locator(".row")).to_have_count(3)
    difference = visitor.panel("difference", "i")
    red, blue = block(difference, *RED), block(difference, *BLUE)
    assert red[0] > red[2] + 15  # orange: RSP has more there
    assert blue[2] > blue[0] + 15
    bare = block(visitor.panel("rsp", "i"), *BLUE)
    assert np.ptp(bare) < 12  # no colour is left where RSP sees nothing
    visitor.page.get_by_role("button", name="Largest difference").click()
    visitor.wait_link("frame=(?!1&)")


def test_place_in_c_i_shows_its_partners_in_c_j(visitor: Visitor, address: str) -> None:
    visitor.open(address, map="contribution", frame="1", **PAIR)
    token = visitor.wait_ready()
    whole = visitor.panel("avid", "j")
    panel = visitor.page.locator('[data-testid="panel-avid-i"]')
    size = panel.bounding_box()["width"]
    panel.click(position={"x": 0.78 * size, "y": 0.5 * size})  # on the blue block
    token = visitor.wait_other(token)
    visitor.wait_link(r"place=avid\.0\.")
    said = visitor.page.inner_text('[data-testid="partners"]')
    assert "A-VID" in said
    assert "frames 1 to" in said
    # Its partners are where c_j is blue, and drawn on a scale of their own.
    partners = visitor.panel("avid", "j")
    assert block(partners, *BLUE)[0] > block(partners, *RED)[0] - 200
    assert change(whole, partners) > 20
    expect(panel.locator(".limit")).to_have_text(re.compile("^\N{PLUS-MINUS SIGN}"))
    # The same by keys.
    panel.press("Escape")
    token = visitor.wait_other(token)
    expect(visitor.page.locator('[data-testid="partners"]')).to_have_count(0)
    visitor.page.locator('[data-testid="panel-rsp-i"]').focus()
    for key in ("ArrowLeft", "ArrowUp", "Enter"):
        visitor.page.keyboard.press(key)
    visitor.wait_other(token)
    visitor.wait_link(r"place=rsp\.0\.2\.3")


def test_neighbours_become_c_j_and_so_does_a_choice(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    token = visitor.wait_ready()
    page = visitor.page
    page.wait_for_selector('[data-testid="near-avid"]')
    for head in ("rsp", "avid"):
        thumbs = page.locator(f'[data-testid="near-{head}"]')
        expect(thumbs).to_have_count(5)
        film = thumbs.first.locator(".film")
        assert film.bounding_box()["width"] > 60
        assert "data:image/jpeg" in film.evaluate("e => getComputedStyle(e).backgroundImage")
    name = page.locator('[data-testid="near-rsp"] .what').first.get_attribute("title")
    buttons = page.locator('[class*="st-key-near_rsp_"] button')
    expect(buttons).to_have_count(5)
    buttons.first.click()
    token = visitor.wait_other(token)
    expect(page.locator(".heads")).to_contain_text(f"{name}, frames")
    # The same by the menu; and another scale and map.
    visitor.choose("video_j", "clip_4")
    token = visitor.wait_other(token)
    expect(page.locator(".heads")).to_contain_text("clip_4, frames")
    visitor.wait_link(r"j=right%2Fclip_4.mp4")
    page.get_by_text("Shared", exact=True).click()
    token = visitor.wait_other(token)
    visitor.wait_link(r"scale=shared")
    page.get_by_text("Margin", exact=True).click()
    visitor.wait_other(token)
    visitor.wait_link(r"map=margin")


def test_bad_choices_are_said_and_left(visitor: Visitor, address: str) -> None:
    visitor.open(address, i="short/text.mp4", j_start="zero", frame="17")
    page = visitor.page
    page.wait_for_selector('[data-testid="stAlert"]:has-text("Choose another video")')
    # The video, the start and the frame.
    expect(page.locator('[data-testid="stAlert"]')).to_have_count(3)
    visitor.choose("video_i", "clip_1")
    visitor.wait_ready()
    expect(page.locator('[data-testid="stAlert"]')).to_have_count(0)
    # A closed menu that is too narrow for a file's name shows both of its ends.
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    page.add_style_tag(content=".st-key-video_i .stSelectbox { max-width: 6rem; }")
    page.evaluate("dispatchEvent(new Event('resize'))")
    menu = page.locator('.st-key-video_i [data-end="/clip_1"]')
    expect(menu).to_be_visible()
    assert menu.evaluate("e => getComputedStyle(e, '::after').content").startswith('"/clip_1"')
    start = menu.locator("input")
    assert start.input_value() == "left/clip_1"
    assert start.evaluate("e => e.scrollLeft") == 0


def test_two_sessions_do_not_mix(browser: Any, address: str) -> None:
    one, two = Visitor(browser), Visitor(browser, width=800, scheme="dark")
    one.open(address, i="left/clip_1.mp4", j="left/clip_3.mp4", frame="1")
    two.open(address, i="right/clip_2.mp4", j="right/clip_4.mp4", frame="5")
    one.wait_ready()
    two.wait_ready()
    one.page.click(".forward")
    one.wait_link(r"frame=2\b")
    expect(two.page.locator(".position")).to_have_text("frame 5 / 16")
    expect(one.page.locator(".heads")).to_contain_text("clip_1, frames")
    expect(two.page.locator(".heads")).to_contain_text("clip_2, frames")
    two.page.click(".back")
    two.wait_link(r"frame=4\b")
    expect(one.page.locator(".position")).to_have_text("frame 2 / 16")
    one.close()
    two.close()
