"""The real app in a real browser, on a planted model whose answer is known."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from playwright.sync_api import expect, sync_playwright

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[3]
SHOTS = ROOT / "artifacts" / "dashboard"
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
READY = '[data-testid="viewer"][data-ready]'
PATIENCE = 60_000


def find_chromium() -> str | None:
    """Path of a Chromium: $CHROMIUM, or one of the usual places."""
    found = [os.environ.get("CHROMIUM"), shutil.which("chromium"), shutil.which("google-chrome")]
    found.append("/usr/bin/chromium")
    return next((path for path in found if path and Path(path).is_file()), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium: put one on the PATH or name it in $CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@contextlib.contextmanager
def served(folder: Path, words: list[str]) -> Iterator[str]:
    """The app's address, started with these arguments; no traceback may be in its log."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "dashboard" / "app.py")]
    command += ["--server.headless", "true", "--server.port", str(port), "--", *words]
    environment = os.environ | {"RSPNET_CACHE": str(folder), "OMP_NUM_THREADS": "1"}
    with (folder / "log.txt").open("w+") as log:
        server = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=environment)
        try:
            deadline = time.monotonic() + 60
            while True:
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(f"http://localhost:{port}/_stcore/health", timeout=2)
                    break
                assert server.poll() is None, (folder / "log.txt").read_text()
                assert time.monotonic() < deadline, "the server did not come up within 60 s"
                time.sleep(0.2)
            yield f"http://localhost:{port}"
        finally:
            server.terminate()
            server.wait(10)
        log.seek(0)
        assert "Traceback" not in log.read(), (folder / "log.txt").read_text()


@pytest.fixture(scope="module")
def address(
    planted_model: Path,
    planted_videos: Path,
    planted_runs: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """The app, served on the planted model and videos."""
    words = ["--model", str(planted_model), "--videos", str(planted_videos)]
    words += ["--runs", str(planted_runs)]
    with served(tmp_path_factory.mktemp("server"), words) as found:
        yield found


class Visitor:
    """A browser window of its own that keeps a list of what went wrong in it."""

    def __init__(self, browser: Any, width: int = 1440, scheme: str = "light") -> None:
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.faults: list[str] = []
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.faults.append(f"page: {error}"))
        self.page.on("request", self._watch)

    def _hear(self, message: Any) -> None:
        # Streamlit asks for the server first below the page's own path, then at the root.
        if message.type == "error" and not re.search(
            r"/\w+/_stcore/(health|host-config)$", message.location["url"]
        ):
            self.faults.append(f"console: {message.text}")

    def _watch(self, request: Any) -> None:
        if not re.match(r"(https?|wss?)://localhost|data:|blob:", request.url):
            self.faults.append(f"asked the network for {request.url}")

    def open(self, address: str, page: str = "compare", **link: str) -> None:
        query = "&".join(f"{name}={value}" for name, value in link.items())
        self.page.goto(f"{address}/{page}?{query}")

    def wait_ready(self) -> str:
        """Wait for the four overlays; gives the token of what is shown."""
        self.page.wait_for_selector(READY)
        return str(self.page.get_attribute(READY, "data-ready"))

    def wait_other(self, token: str) -> str:
        """Wait for overlays other than these."""
        self.page.wait_for_selector(f'{READY}:not([data-ready="{token}"])')
        return self.wait_ready()

    def wait_chart(self) -> None:
        self.page.wait_for_selector(".js-plotly-plot .main-svg")

    def cursor(self) -> float:
        """Frame that the chart's cursor stands at."""
        return float(
            self.page.evaluate("document.querySelector('.js-plotly-plot').layout.shapes.at(-1).x0")
        )

    def panel(self, head: str, side: str) -> np.ndarray:
        """What a panel shows, RGB."""
        data = self.page.locator(f'[data-testid="panel-{head}-{side}"]').screenshot()
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(float)

    def close(self) -> None:
        """Leave, and complain about what went wrong."""
        exceptions = self.page.locator('[data-testid="stException"]').count()
        self.context.close()
        assert exceptions == 0
        assert self.faults == []


@pytest.fixture
def visitor(browser: Any) -> Iterator[Visitor]:
    """Somebody with a wide light window."""
    visitor = Visitor(browser)
    yield visitor
    visitor.close()


def block(image: np.ndarray, left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """Mean colour of a part of a picture, given in parts of its sides."""
    height, width = image.shape[:2]
    rows = slice(round(top * height), round(bottom * height))
    return image[rows, round(left * width) : round(right * width)].mean(axis=(0, 1))


# Frames are 128 x 96, the view is the middle 96 x 96. The blue block at rest covers x 62..88 and
# y 34..64 of it; the red one covers x 8..34 and, in frame 0 of clip 0, y 30..60.
RED, BLUE = (0.13, 0.42, 0.31, 0.56), (0.70, 0.42, 0.87, 0.60)


def test_each_head_is_in_its_row(visitor: Visitor, address: str) -> None:
    link = {"i": "right/clip_0.mp4", "i_start": "0", "j": "right/clip_2.mp4", "j_start": "3"}
    visitor.open(address, **link)
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
            assert boxes.count() == 2
            path = str(boxes.nth("ij".index(side)).get_attribute("d"))
            x0, x1 = (
                float(v) - 110 * "ij".index(side) for v in re.findall(r"[MH]([\d.]+)", path)[:2]
            )
            assert (x0 < x1 < 50) if half == "left" else (50 < x0 < x1)
            assert row.locator("path.link").count() == 1
    for head in ("rsp", "avid"):
        assert visitor.page.inner_text(f'[data-testid="score-{head}"]') == "+1.00"
        assert "= s" in visitor.page.inner_text(f'[data-testid="facts-{head}"]').replace("\n", " ")


def test_scrubber_drives_all_panels_chart_and_link(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    token = visitor.wait_ready()
    visitor.wait_chart()
    assert visitor.cursor() == 1
    first = {(h, s): visitor.panel(h, s) for h in ("rsp", "avid") for s in "ij"}
    visitor.page.click(".forward")
    visitor.page.wait_for_function(
        "document.querySelector('.js-plotly-plot')?.layout?.shapes.at(-1).x0 === 2"
    )
    slider = visitor.page.locator(".scrubber input")
    slider.focus()
    for _ in range(6):
        slider.press("ArrowRight")
    visitor.page.wait_for_url(re.compile(r"frame=8\b"))
    visitor.page.wait_for_function(
        "document.querySelector('.js-plotly-plot')?.layout?.shapes.at(-1).x0 === 8"
    )
    assert visitor.page.inner_text(".position") == "frame 8 / 16"
    for (head, side), before in first.items():
        # The red block has moved by more than its own brightness away from where it was.
        assert np.abs(visitor.panel(head, side) - before).max() > 100
    assert visitor.wait_ready() == token
    visitor.page.click(".play")
    expect(visitor.page.locator(".position")).not_to_have_text("frame 8 / 16")
    visitor.page.click(".play")


def test_change_of_the_pair_and_the_scale(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    token = visitor.wait_ready()
    visitor.page.locator(".st-key-video_j input").fill("clip_4")
    visitor.page.keyboard.press("Enter")
    token = visitor.wait_other(token)
    assert "clip_4, frames" in visitor.page.inner_text(".heads")
    visitor.page.wait_for_url(re.compile(r"j=right%2Fclip_4.mp4"))
    visitor.page.get_by_text("Per head", exact=True).click()
    token = visitor.wait_other(token)
    visitor.page.wait_for_url(re.compile(r"scale=head"))
    visitor.page.get_by_text("Margin", exact=True).click()
    visitor.wait_other(token)
    visitor.page.wait_for_url(re.compile(r"map=margin"))


def test_place_in_c_i_shows_its_partners_in_c_j(visitor: Visitor, address: str) -> None:
    visitor.open(address, i="right/clip_0.mp4", i_start="0", j="right/clip_2.mp4", j_start="3")
    token = visitor.wait_ready()
    whole = visitor.panel("avid", "j")
    panel = visitor.page.locator('[data-testid="panel-avid-i"]')
    size = panel.bounding_box()["width"]
    panel.click(position={"x": 0.78 * size, "y": 0.5 * size})  # on the blue block
    token = visitor.wait_other(token)
    visitor.page.wait_for_url(re.compile(r"place=avid\.0\."))
    said = visitor.page.inner_text('[data-testid="partners"]')
    assert "A-VID" in said
    assert "frames 1 to" in said
    # Its partners are where c_j is blue, and drawn on a scale of their own.
    partners = visitor.panel("avid", "j")
    assert block(partners, *BLUE)[0] > block(partners, *RED)[0] - 200
    assert np.abs(partners - whole).max() > 20
    assert panel.locator(".limit").inner_text().startswith("\N{PLUS-MINUS SIGN}")
    # The same by keys.
    panel.press("Escape")
    token = visitor.wait_other(token)
    expect(visitor.page.locator('[data-testid="partners"]')).to_have_count(0)
    visitor.page.locator('[data-testid="panel-rsp-i"]').focus()
    for key in ("ArrowLeft", "ArrowUp", "Enter"):
        visitor.page.keyboard.press(key)
    visitor.wait_other(token)
    visitor.page.wait_for_url(re.compile(r"place=rsp\.0\.2\.3"))


def test_click_in_the_chart_goes_to_the_frame(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    visitor.wait_ready()
    visitor.wait_chart()
    plot = visitor.page.locator(".st-key-profiles_box .js-plotly-plot .nsewdrag").first
    box = plot.bounding_box()
    visitor.page.mouse.move(box["x"] + 5, box["y"] + 5)
    visitor.page.mouse.move(box["x"] + 0.59 * box["width"], box["y"] + 40, steps=4)
    visitor.page.wait_for_timeout(300)  # Plotly looks for the nearest point now and then only
    visitor.page.mouse.click(box["x"] + 0.59 * box["width"], box["y"] + 40)
    expect(visitor.page.locator(".position")).to_have_text("frame 10 / 16")
    visitor.page.wait_for_url(re.compile(r"frame=10\b"))


def test_neighbours_stand_below_and_become_c_j(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    token = visitor.wait_ready()
    page = visitor.page
    page.wait_for_selector('[data-testid="near-avid"]')
    for head in ("rsp", "avid"):
        thumbs = page.locator(f'[data-testid="near-{head}"]')
        assert thumbs.count() == 5
        film = thumbs.first.locator(".film")
        assert film.bounding_box()["width"] > 60
        assert "data:image/jpeg" in film.evaluate("e => getComputedStyle(e).backgroundImage")
    name = page.locator('[data-testid="near-rsp"] .what').first.get_attribute("title")
    page.get_by_role("button", name="Use as c_j").first.click()
    visitor.wait_other(token)
    assert f"{name}, frames" in page.inner_text(".heads")


def test_loop_is_a_film_that_plays(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    visitor.wait_ready()
    visitor.page.get_by_text("Loop as one film").click()
    visitor.page.wait_for_selector("video")
    visitor.page.wait_for_function(
        "(v => v.readyState >= 2 && v.videoWidth > 500 && v.muted && v.currentTime > 1.2)"
        "(document.querySelector('video'))"
    )
    # It lasts two seconds and begins anew.
    visitor.page.wait_for_function(
        "(v => v.currentTime < 1 && !v.paused)(document.querySelector('video'))"
    )
    visitor.page.get_by_text("Loop as one film").click()
    visitor.wait_ready()


def test_bad_choices_are_said_and_left(visitor: Visitor, address: str) -> None:
    visitor.open(address, i="short/text.mp4", j_start="zero", frame="17")
    page = visitor.page
    page.wait_for_selector('[data-testid="stAlert"]:has-text("Choose another video")')
    # The video, the start and the frame.
    expect(page.locator('[data-testid="stAlert"]')).to_have_count(3)
    page.locator(".st-key-video_i input").fill("clip_1")
    page.keyboard.press("Enter")
    visitor.wait_ready()
    expect(page.locator('[data-testid="stAlert"]')).to_have_count(0)


def test_two_sessions_do_not_mix(browser: Any, address: str) -> None:
    one, two = Visitor(browser), Visitor(browser, width=800, scheme="dark")
    one.open(address, i="left/clip_1.mp4", j="left/clip_3.mp4")
    two.open(address, i="right/clip_2.mp4", j="right/clip_4.mp4", frame="5")
    one.wait_ready()
    two.wait_ready()
    one.wait_chart()
    two.wait_chart()
    one.page.click(".forward")
    one.page.wait_for_url(re.compile(r"frame=2\b"))
    assert two.page.inner_text(".position") == "frame 5 / 16"
    assert "clip_1, frames" in one.page.inner_text(".heads")
    assert "clip_2, frames" in two.page.inner_text(".heads")
    two.page.click(".back")
    two.page.wait_for_url(re.compile(r"frame=4\b"))
    assert one.page.inner_text(".position") == "frame 2 / 16"
    one.close()
    two.close()


def test_home_leads_to_the_example_in_compare(visitor: Visitor, address: str) -> None:
    visitor.open(address, page="")
    page = visitor.page
    page.wait_for_selector('[data-testid="example"]')
    tiles = page.locator('[data-testid="example"] .tile')
    assert tiles.count() == 3
    # The blue block of the clip in A-VID's tile, where it raises that head's margin or nothing.
    assert tiles.nth(0).bounding_box()["width"] > 200
    assert len(page.inner_text('[data-testid="hash"]')) == 16
    page.get_by_text("Open this pair in Compare").click()
    visitor.wait_ready()
    page.wait_for_url(re.compile(r"/compare\?.*map=margin"))
    assert "left/clip_1, frames 4 to 34, 2x" in page.inner_text(".heads")
    visitor.page.get_by_text("Per map", exact=True).click()
    page.wait_for_url(re.compile(r"scale=map"))
    # Away and back by the menu: the page is as it was left.
    page.get_by_role("link", name="Training").first.click()
    page.wait_for_selector('[data-testid="newest"]')
    page.get_by_role("link", name="Compare").first.click()
    page.wait_for_url(re.compile(r"/compare\?.*map=margin.*scale=map"))
    visitor.wait_ready()


def test_old_links_still_lead_to_compare(visitor: Visitor, address: str) -> None:
    visitor.open(address, page="", i="right/clip_2.mp4", frame="4")
    visitor.wait_ready()
    assert "/compare" in visitor.page.url
    assert "clip_2, frames" in visitor.page.inner_text(".heads")
    assert visitor.page.inner_text(".position") == "frame 4 / 16"


def test_training_grows_while_one_looks(visitor: Visitor, address: str, planted_runs: Path) -> None:
    visitor.open(address, page="training", step="10")
    page = visitor.page
    page.wait_for_selector('[data-testid="growth"][data-step="10"]')
    expect(page.locator(".js-plotly-plot")).to_have_count(6)
    assert "Step 60" in page.inner_text('[data-testid="newest"]')
    slider = page.get_by_role("slider", name="Step")
    slider.focus()
    slider.press("ArrowRight")
    page.wait_for_selector('[data-testid="growth"][data-step="60"]')
    page.wait_for_url(re.compile(r"step=60"))
    with (planted_runs / "first" / "metrics.csv").open("a") as file:
        file.write("70,1.0,2.0,0.9,0.8,0.4,0.3,0.001,80,\n")
    expect(page.locator('[data-testid="newest"]')).to_contain_text("Step 70", timeout=20_000)
    assert "right order 0.90" in page.inner_text('[data-testid="newest"]')


def test_export_gives_files(visitor: Visitor, address: str, tmp_path: Path) -> None:
    visitor.open(address)
    visitor.wait_ready()
    page = visitor.page
    page.get_by_text("Export", exact=True).click()
    for kind, start in (("PNG", b"\x89PNG"), ("NPZ", b"PK"), ("JSON", b"{")):
        with page.expect_download() as download:
            page.get_by_role("button", name=kind, exact=True).click()
        path = tmp_path / kind
        download.value.save_as(path)
        assert path.read_bytes().startswith(start)
        assert download.value.suggested_filename.startswith("rspnet-contribution-")
    assert "python -m analysis figure1" in page.locator("code").first.inner_text()


# What has come when a page is whole.
WHOLE = {
    "home": '[data-testid="example"]',
    "compare": '[data-testid="near-avid"]',
    "training": '[data-testid="growth"]',
}


@pytest.mark.parametrize("width", [1440, 800])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pictures_of_the_pages(browser: Any, address: str, width: int, scheme: str) -> None:
    visitor = Visitor(browser, width, scheme)
    page = visitor.page
    SHOTS.mkdir(parents=True, exist_ok=True)
    for name, whole in WHOLE.items():
        visitor.page.set_viewport_size({"width": width, "height": 900})
        visitor.open(address, page="" if name == "home" else name)
        page.wait_for_selector(whole)
        if name != "home":
            visitor.wait_chart()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
        page.set_viewport_size({"width": width, "height": int(height)})
        path = SHOTS / f"{name}-{width}-{scheme}.png"
        page.screenshot(path=str(path))
        background = cv2.imread(str(path))[4, 4].mean()
        assert (background > 200) if scheme == "light" else (background < 60)
        # Every picture says what it shows.
        assert page.locator("img:not([alt])").count() == 0
        assert page.locator('[role="img"]:not([aria-label])').count() == 0
    visitor.close()
