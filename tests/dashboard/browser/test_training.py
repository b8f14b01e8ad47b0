"""Training in a real browser."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.dashboard.browser.visitor import Visitor

pytestmark = pytest.mark.browser


def test_training_grows_while_one_looks(visitor: Visitor, address: str, planted_runs: Path) -> None:
    visitor.open(address, page="training", step="10")
    page = visitor.page
    page.wait_for_selector('[data-testid="growth"][data-step="10"]')
    expect(page.locator(".js-plotly-plot")).to_have_count(6)
    expect(page.get_by_test_id("newest")).to_contain_text("Step 60")
    slider = page.get_by_role("slider", name="Step")
    slider.focus()
    slider.press("ArrowRight")
    page.wait_for_selector('[data-testid="growth"][data-step="60"]')
    visitor.wait_link(r"step=60")
    with (planted_runs / "first" / "metrics.csv").open("a") as file:
        file.write("70,1.0,2.0,0.9,0.8,0.4,0.3,0.001,80,\n")
    expect(page.locator('[data-testid="newest"]')).to_contain_text("Step 70")
    expect(page.get_by_test_id("newest")).to_contain_text("correct order 0.90")
