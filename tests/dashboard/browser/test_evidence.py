"""Speed lab and Evidence in a real browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from dashboard.base.style import signed
from dashboard.services import reports
from tests.dashboard.browser.visitor import Visitor, change, check_page, served
from tests.dashboard.made_report import make_report
from tests.dashboard.tiny import save_tiny_model, similarities, write_tiny_videos

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_videos(tmp_path_factory.mktemp("videos"))


@pytest.fixture(scope="module")
def report(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of the tiny model."""
    return make_report(tmp_path_factory.mktemp("report") / "tiny.json", model)


@pytest.fixture(scope="module")
def address(
    model: Path, videos: Path, report: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The app, served on the tiny model, its videos and its report."""
    words = ["--model", str(model), "--videos", str(videos), "--report", str(report)]
    with served(tmp_path_factory.mktemp("server"), words) as found:
        yield found


def marked(visitor: Visitor) -> list[list[float]]:
    """Level and similarity of both heads as the chart marks them."""
    found = visitor.page.evaluate(
        "document.querySelector('.st-key-lab_curve .js-plotly-plot').data"
        ".filter(t => t.name.endsWith('marked')).map(t => [t.x[0], t.y[0]])"
    )
    return [[float(value) for value in pair] for pair in found]


def test_speed_moves_the_marks_and_the_maps(
    visitor: Visitor, address: str, model: Path, videos: Path
) -> None:
    visitor.open(address, "speed_lab", start="5")
    token = visitor.wait_ready()
    page = visitor.page
    page.wait_for_selector(".st-key-lab_others .js-plotly-plot .main-svg")
    before = {(h, s): visitor.panel(h, s) for h in ("rsp", "avid") for s in "ij"}
    slow = similarities(model, videos / "a_long.mp4", 5, "speed", 0.25)
    assert marked(visitor)[0][0] == 2
    slider = page.get_by_role("slider", name="Playback speed of clip j")
    slider.focus()
    slider.press("Home")
    token = visitor.wait_other(token)
    visitor.wait_link(r"level=0\.25")
    for place, head in enumerate(("rsp", "avid")):
        expect(page.locator(f'[data-testid="lab-{head}"] b')).to_have_text(slow[head])
        page.wait_for_function(
            "document.querySelector('.st-key-lab_curve .js-plotly-plot').data"
            ".find(t => t.name.endsWith('marked')).x[0] === 0.25"
        )
        similarity = marked(visitor)[place][1]
        assert signed(similarity, 4) == slow[head]
        # The first frame is the same at any speed: what differs is the map.
        old = before[head, "j"]
        visitor.wait_until(lambda h, old: change(old, visitor.panel(h, "j")) > 8, head, old)
    expect(page.get_by_test_id("score-rsp")).to_have_text(signed(similarity_of(slow["rsp"]), 3))
    # The scrubber shows another frame and draws nothing anew.
    page.click(".forward")
    visitor.wait_link(r"frame=2\b")
    assert visitor.wait_ready() == token
    # Another change by the menu.
    visitor.choose("lab_name", "Hue")
    visitor.wait_other(token)
    visitor.wait_link(r"change=hue&level=180")


def similarity_of(text: str) -> float:
    return float(text.replace("\N{MINUS SIGN}", "-"))


def test_parts_of_the_evidence(visitor: Visitor, address: str, report: Path) -> None:
    visitor.open(address, "evidence", part="localisation")
    page = visitor.page
    page.wait_for_selector('[data-part="localisation"]')
    visitor.wait_chart()
    visitor.wait_at_rest()
    assert visitor.jumped() < 0.1  # "good", as Web Vitals have it
    table = reports.read(report).results.tables["localisation"]["synthetic"]
    keys = {"weights": "trained", "kind": "eq2", "region": "limbs", "speed": "both"}
    ratio = table.one(**keys, head="rsp")["ratio"]
    drawn = page.evaluate(
        "document.querySelector('.js-plotly-plot').data.filter(t => t.error_x?.array)"
        ".map(t => [t.x[0], t.error_x.array[0], t.error_x.arrayminus[0]])"
    )
    ends = [ratio.value, ratio.high - ratio.value, ratio.value - ratio.low]
    assert any(dot == pytest.approx(ends, abs=1e-5) for dot in drawn)
    page.get_by_role("radio", name="Sanity").click()
    page.wait_for_selector('[data-part="sanity"]')
    visitor.wait_link(r"part=sanity")
    visitor.wait_at_rest()  # what is opened while a page is drawn anew may be closed again
    page.get_by_text("The numbers", exact=True).click()
    expect(page.locator(".study-table").nth(1)).to_be_visible()
    visitor.wait_at_rest()
    page.get_by_text("Export", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("button", name="JSON of the report").click()
    assert Path(download.value.path()).read_bytes() == report.read_bytes()


@pytest.mark.parametrize("page", ["speed_lab", "evidence"])
def test_a_page_with_numbers_is_whole(browser: Any, address: str, page: str) -> None:
    check_page(browser, address, page, name=f"{page}-numbers")
