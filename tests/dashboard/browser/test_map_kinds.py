"""Compare's kinds of map in a real browser: a classifier's classes and Captum, each in its row."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import expect

from rspnet.models import Branch
from tests.dashboard.browser.visitor import (
    BLUE,
    READY,
    RED,
    Visitor,
    block,
    check_page,
    served,
)
from tests.dashboard.conftest import write_classifier

pytestmark = pytest.mark.browser
PAIR = {"i": "right/clip_0.mp4", "i_start": "0", "j": "right/clip_2.mp4", "j_start": "3"}
CONTRIBUTION = {"map": "contribution", "scale": "shared"} | PAIR


@pytest.fixture(scope="module")
def address(
    planted_model: Path,
    planted_videos: Path,
    planted_branch: Branch,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """The app on the planted model, with a classifier that tells red things from blue ones."""
    runs = tmp_path_factory.mktemp("runs")
    write_classifier(runs / "actions", planted_branch)
    words = ["--model", str(planted_model), "--videos", str(planted_videos), "--runs", str(runs)]
    with served(tmp_path_factory.mktemp("server"), words) as found:
        yield found


def check_rows(visitor: Visitor, red: str, blue: str) -> None:
    """The row of red things is coloured over the red block alone, the other over the blue one."""
    for side in "ij":
        of_red, of_blue = visitor.panel(red, side), visitor.panel(blue, side)
        assert np.abs(block(of_red, *RED) - block(of_blue, *RED)).max() > 15
        assert np.abs(block(of_red, *BLUE) - block(of_blue, *BLUE)).max() > 30
        bare = block(of_red, *BLUE)
        assert bare[2] > 180
        assert bare[0] < 70


def test_each_class_is_in_its_row(visitor: Visitor, address: str) -> None:
    visitor.open(address, **CONTRIBUTION)
    token = visitor.wait_ready()
    visitor.page.get_by_text("CAM, Eq. 1", exact=True).click()
    visitor.wait_other(token)
    visitor.wait_link(r"map=cam.*classifier=actions|classifier=actions.*map=cam")
    expect(visitor.page.locator(".label .title")).to_have_count(2)
    titles = visitor.page.locator(".label .title").all_inner_texts()
    assert sorted(titles) == ["blue", "red"]
    rows = dict(zip(titles, ("class1", "class2"), strict=True))
    check_rows(visitor, rows["red"], rows["blue"])
    said = visitor.page.inner_text(f'[data-testid="facts-{rows["red"]}"] >> nth=0')
    assert "%" in said
    assert "= v" in said.replace("\n", " ")


def test_back_leads_to_where_one_came_from(visitor: Visitor, address: str) -> None:
    page = visitor.page
    visitor.open(address, page="training")
    visitor.wait_link(r"/training\?.*run=actions")
    page.get_by_role("link", name="Compare").first.click()
    token = visitor.wait_ready()
    visitor.wait_link(r"/compare\?.*model=planted")
    page.click(".forward")
    frame = page.inner_text(".position").split()[1]
    visitor.wait_link(rf"frame={frame}\b")
    # Neither its own address nor the frame is a step. The address changes at once, the page later.
    page.go_back()
    visitor.wait_link(r"/training\?")
    page.wait_for_selector(READY, state="detached")
    page.go_forward()
    visitor.wait_link(rf"/compare\?.*frame={frame}\b")
    token = visitor.wait_ready()
    visitor.wait_at_rest()
    # Another map is one.
    page.get_by_text("Eq. 2", exact=True).click()
    visitor.wait_other(token)
    visitor.wait_link(r"map=eq2")
    page.go_back()
    visitor.wait_link(r"map=margin_faster")
    page.go_back()
    visitor.wait_link(r"/training\?")


def test_captum_has_each_head_in_its_row_and_is_run_and_stopped(
    visitor: Visitor, address: str
) -> None:
    visitor.open(address, **CONTRIBUTION)
    token = visitor.wait_ready()
    page = visitor.page
    page.get_by_text("Captum", exact=True).click()
    token = visitor.wait_other(token)
    visitor.wait_link("map=layer_gradcam")
    check_rows(visitor, "rsp", "avid")
    visitor.choose("method", "Integrated gradients")
    expect(page.get_by_test_id("cost")).to_contain_text("212 forward passes")
    # No letter of a score without its number: there is none yet.
    bare = [re.compile(r"^RSP\s*relative speed$"), re.compile(r"^A-VID\s*appearance$")]
    expect(page.locator(".label")).to_have_text(bare)
    visitor.keep("compare-captum-run-1440-light")
    page.get_by_role("button", name="Run Captum").click()
    visitor.wait_link("map=integrated_gradients")
    # That it comes to an end is tests/dashboard/test_app.py's, with a smaller model.
    page.locator(".st-key-stop_captum button").first.click()
    # The pass that it is at goes on to its end.
    expect(page.get_by_role("button", name="Run again")).to_be_visible()
    expect(page.locator('[data-testid="stAlert"]')).to_contain_text("Stopped")
    page.get_by_text("Contribution", exact=True).click()
    visitor.wait_other(token)


@pytest.mark.parametrize("kind", ["cam", "layer_gradcam", "layer_gradcam_margin"])
def test_a_kind_of_map_is_whole(browser: Any, address: str, kind: str) -> None:
    check_page(browser, address, "compare", name=f"compare-{kind}", map=kind, **PAIR)
