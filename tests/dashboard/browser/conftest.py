"""One Chromium for all browser tests, and the app served to it on planted models."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.dashboard.browser.visitor import ARGUMENTS, PATIENCE, Visitor, find_chromium, served

expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium: put one on the PATH or name it in $CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def visitor(browser: Any) -> Iterator[Visitor]:
    """Somebody with a wide light window."""
    visitor = Visitor(browser)
    yield visitor
    visitor.close()


@pytest.fixture(scope="session")
def address(
    planted_model: Path,
    planted_videos: Path,
    planted_runs: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """The app, served on the planted model, videos and run."""
    words = ["--model", str(planted_model), "--videos", str(planted_videos)]
    words += ["--runs", str(planted_runs)]
    with served(tmp_path_factory.mktemp("server"), words) as found:
        yield found


@pytest.fixture(scope="session")
def coloured_address(
    coloured_model: Path, coloured_videos: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The app, served on the model that ranks by colours."""
    runs = tmp_path_factory.mktemp("no_runs")
    words = ["--model", str(coloured_model), "--videos", str(coloured_videos), "--runs", str(runs)]
    with served(tmp_path_factory.mktemp("server"), words) as found:
        yield found
