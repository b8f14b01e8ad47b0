"""Offline pages in a real Chromium without a network, and in a notebook."""

import contextlib
import html
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from analysis import example_branch, example_views, explain_pair

pytestmark = pytest.mark.browser
SHIFTS = "() => [...document.querySelectorAll('.panel img')].map(image => image.style.transform)"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pair of toy clips as one file."""
    branch = example_branch()
    pair = explain_pair(branch, branch, *example_views(2))
    return pair.to_html(tmp_path_factory.mktemp("page") / "view.html", command="python -m x")


@contextlib.contextmanager
def opened(browser: Any, address: str, width: int = 1440, scheme: str = "light") -> Iterator[Any]:
    """A page of a browser that has no network; it requests nothing and complains of nothing."""
    size = {"width": width, "height": 900}
    context = browser.new_context(offline=True, viewport=size, color_scheme=scheme)
    page, faults = context.new_page(), []
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: faults.append(request.url))
    page.goto(address)
    yield page
    context.close()
    assert [said for said in faults if said != address and not said.startswith("data:")] == []


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (800, "dark")])
def test_it_opens_from_the_disk_and_all_pictures_go_in_step(
    browser: Any, page: Path, width: int, scheme: str
) -> None:
    with opened(browser, page.as_uri(), width, scheme) as own:
        own.wait_for_selector('.viewer[data-ready="page"]')
        expect(own.locator(".panel img")).to_have_count(4)
        assert all(image.get_attribute("alt") for image in own.locator(".panel img").all())
        own.keyboard.press("Home")
        position = own.locator(".position")
        expect(position).to_have_text("frame 1 / 8")
        for key, frame in (("ArrowRight", 2), (".", 3), (",", 2), ("ArrowLeft", 1), ("End", 8)):
            own.keyboard.press(key)
            expect(position).to_have_text(f"frame {frame} / 8")
        (shift,) = set(own.evaluate(SHIFTS))
        assert shift.startswith("translate(-75%, -50%)")  # the last of 4 x 2 pictures
        own.keyboard.press("Home")
        own.keyboard.press(" ")
        own.wait_for_function("() => document.querySelector('.viewer').dataset.frame !== '0'")
        own.keyboard.press(" ")
        expect(own.locator(".play")).to_have_attribute("aria-label", "Play")
        # Nothing is cut off, and the page is as dark as the visitor wants it.
        assert own.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
        ground = own.evaluate("() => getComputedStyle(document.body).backgroundColor")
        assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
        assert own.locator("pre").inner_text() == "python -m x"


def test_in_a_notebook_the_frame_is_as_high_as_what_it_shows(browser: Any, tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat", reason="needs requirements-docs.txt")
    nbclient = pytest.importorskip("nbclient", reason="needs requirements-docs.txt")
    pytest.importorskip("ipykernel", reason="needs requirements-docs.txt")
    code = (
        "from analysis import example_branch, example_views, explain_pair\n"
        "branch = example_branch()\n"
        "pair = explain_pair(branch, branch, *example_views(2))\n"
    )
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(words) for words in (f"{code}pair", "pair.show()")]
    )
    resources = {"metadata": {"path": str(Path(__file__).parents[3])}}
    nbclient.NotebookClient(notebook, timeout=120, resources=resources).execute()
    (last,), (shown,) = ([one for one in cell.outputs if "data" in one] for cell in notebook.cells)
    assert last.data["text/plain"].startswith("PairExplanation(heads={rsp, avid}")
    assert last.data == shown.data
    # As a notebook's page holds it.
    written = tmp_path / "notebook.html"
    written.write_text(f"<!doctype html><title>Notebook</title>{last.data['text/html']}")
    with opened(browser, written.as_uri()) as own:
        frame = own.frame_locator("iframe")
        frame.locator('.viewer[data-ready="page"]').wait_for()
        expect(frame.locator(".panel img")).to_have_count(4)
        frame.locator(".forward").click()
        high = "() => [frames[0].document.documentElement.offsetHeight, frames[0].innerHeight]"
        own.wait_for_function(f"() => (([a, b]) => Math.abs(a - b) < 2)(({high})())")
        title = own.locator("iframe").get_attribute("title")
        assert title == html.unescape(last.data["text/plain"])
