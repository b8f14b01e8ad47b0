"""A real Chromium, the app served to it, and somebody who looks at it."""

import contextlib
import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import playwright.sync_api
from playwright.sync_api import expect

from dashboard.widgets import tour

ROOT = Path(__file__).resolve().parents[3]
SHOTS = ROOT / "artifacts" / "dashboard"
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
READY = '[data-testid="viewer"][data-ready]'
PATIENCE = 120_000
# Where the blocks of the planted videos are, in parts of a panel. Frames are 128 x 96, the view is
# the middle 96 x 96. The blue block at rest covers x 62..88 and y 34..64 of it; the red one covers
# x 8..34 and, in frame 0 of clip 0, y 30..60.
RED, BLUE = (0.13, 0.42, 0.31, 0.56), (0.70, 0.42, 0.87, 0.60)
# The script has run to its end, and nothing on the page stands for something that is to come.
AT_REST = """() =>
    document.querySelector('[data-testid="stApp"][data-test-script-state="notRunning"]')
    && !document.querySelector(
        '[data-stale="true"], [data-testid="stSkeleton"], [data-testid="stSpinner"], '
        + '[data-testid="stProgress"], .js-plotly-plot:not(:has(.main-svg))')
    && document.querySelector('[role="heading"][aria-level="1"]')
    && document.getAnimations().every(one =>  // what fades has the contrast of neither state
        one.playState !== 'running' || one.effect.getTiming().iterations === Infinity)"""
# Every chart is as wide as its place.
CHARTS_FIT = """() => [...document.querySelectorAll('.js-plotly-plot')].every(plot =>
    Math.abs(plot.querySelector('.main-svg').getBoundingClientRect().width
             - plot.getBoundingClientRect().width) < 2)"""


def find_axe() -> str | None:
    """The script of axe-core, if the package that carries it is installed."""
    package = importlib.util.find_spec("axe_playwright_python")
    if package is None or not package.submodule_search_locations:
        return None
    return Path(package.submodule_search_locations[0], "axe.min.js").read_text(encoding="utf-8")


def find_chromium() -> str | None:
    """Path of a Chromium: $CHROMIUM, or one of the usual places."""
    found = [os.environ.get("CHROMIUM"), shutil.which("chromium"), shutil.which("google-chrome")]
    found.append("/usr/bin/chromium")
    return next((path for path in found if path and Path(path).is_file()), None)


@contextlib.contextmanager
def served(folder: Path, words: list[str]) -> Iterator[str]:
    """The app's address, started with these arguments; no traceback of it may be in its log."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "dashboard" / "app.py")]
    command += ["--server.headless", "true", "--server.port", str(port), "--", *words]
    if "--runs" in words:  # nobody's first visit
        (Path(words[words.index("--runs") + 1]) / tour.SEEN).touch()
    environment = os.environ | {"RSPNET_CACHE": str(folder), "OMP_NUM_THREADS": "1"}
    with (folder / "log.txt").open("w+") as log:
        server = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=environment)
        try:
            _wait_healthy(server, port, folder / "log.txt")
            yield f"http://localhost:{port}"
        finally:
            server.terminate()
            server.wait(60)
    # A browser that leaves in the middle of a message costs the server a traceback of its own. It
    # leads through the middleware of `dashboard/server.py`, as every request does.
    said = (folder / "log.txt").read_text()
    own = rf'File "{ROOT}/(dashboard/(?!server\.py)|analysis/|rspnet/)'
    assert not re.search(own, said), said


def _wait_healthy(server: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE / 1000
    while True:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://localhost:{port}/_stcore/health", timeout=2)
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            raise AssertionError(f"the server ended with {server.wait(0.2)}: {log.read_text()}")
        assert time.monotonic() < deadline, "the server did not come up"


class Visitor:
    """A browser window of its own that keeps a list of what went wrong in it."""

    # Windows that visitors have left: to open the app there takes half of what a new one takes.
    _left: ClassVar[list[Any]] = []

    def __init__(self, browser: Any, width: int = 1440, scheme: str = "light") -> None:
        self.page = self._left.pop() if self._left else browser.new_context().new_page()
        self.page.set_default_timeout(PATIENCE)
        self.look(width, scheme)
        self.page.mouse.move(0, 0)
        self.faults: list[str] = []
        self._heard = {"console": self._hear, "pageerror": self._fail, "request": self._watch}
        for event, listener in self._heard.items():
            self.page.on(event, listener)

    def look(self, width: int, scheme: str) -> None:
        """Make the window so wide, in pixels, and want pages ``light`` or ``dark``."""
        self.page.set_viewport_size({"width": width, "height": 900})
        self.page.emulate_media(color_scheme=scheme)

    def _fail(self, error: Any) -> None:
        self.faults.append(f"page: {error}")

    def _hear(self, message: Any) -> None:
        # Streamlit requests the server first below the page's own path, then at the root.
        if message.type == "error" and not re.search(
            r"/\w+/_stcore/(health|host-config)$", message.location["url"]
        ):
            self.faults.append(f"console: {message.text}")

    def _watch(self, request: Any) -> None:
        if not re.match(r"(https?|wss?)://localhost|data:|blob:", request.url):
            self.faults.append(f"requested {request.url} from the network")

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

    def wait_link(self, pattern: str) -> None:
        """Wait until the address matches; what the page shows instead is said."""
        try:
            self.page.wait_for_function("p => new RegExp(p).test(location.href)", arg=pattern)
        except playwright.sync_api.TimeoutError as error:
            text = self.page.locator('[data-testid="stApp"]').inner_text()
            raise AssertionError(
                f"the address is {self.page.evaluate('location.href')}, not {pattern}; the page "
                f"shows: {text[:2000]}"
            ) from error

    def wait_chart(self) -> None:
        self.page.wait_for_selector(".js-plotly-plot .main-svg")

    def wait_at_rest(self) -> None:
        """Wait until all that the page has is there."""
        self.page.wait_for_function(AT_REST)
        self.page.wait_for_function(CHARTS_FIT)

    def wait_until(self, holds: Callable[..., Any], *given: Any) -> None:
        """Wait until something holds of what is given, such as what a picture shows."""
        deadline = time.monotonic() + PATIENCE / 1000
        while not holds(*given):
            assert time.monotonic() < deadline, f"it did not come to hold of {given[:1]}"
            self.page.wait_for_timeout(50)

    def type_in_menu(self, menu: str, text: str) -> None:
        """Open a menu and type into it; which options are left is for the caller to wait for."""
        field = self.page.locator(f".st-key-{menu} input")

        def typed() -> bool:
            # A menu that is drawn anew meanwhile loses letters, and a page that scrolls closes it.
            field.fill("")
            self.page.keyboard.type(text)
            with contextlib.suppress(playwright.sync_api.TimeoutError):
                self.page.get_by_role("listbox").wait_for(timeout=PATIENCE / 12)
                return bool(field.input_value() == text)
            return False

        self.wait_at_rest()
        self.wait_until(typed)

    def choose(self, menu: str, name: str) -> None:
        """Choose from a menu by typing, and the option once it is there: no key comes too soon."""
        option = self.page.get_by_role("option", name=re.compile(rf"\b{re.escape(name)}$"))

        def chosen() -> bool:
            self.type_in_menu(menu, name)
            with contextlib.suppress(playwright.sync_api.TimeoutError):
                option.click(timeout=PATIENCE / 12)
                return True
            return False

        self.wait_until(chosen)

    def point_at(self, x: float, y: float) -> None:
        """Move to a place of a chart, and wait until Plotly has found what lies there."""
        self.page.mouse.move(x - 3, y)
        self.page.mouse.move(x, y, steps=3)
        self.page.wait_for_selector(".js-plotly-plot .hoverlayer > *", state="attached")

    def panel(self, head: str, side: str) -> np.ndarray:
        """What a panel shows, RGB."""
        return self.picture(self.page.locator(f'[data-testid="panel-{head}-{side}"]'))

    def picture(self, locator: Any) -> np.ndarray:
        """What a part of the page shows, RGB."""
        image = cv2.imdecode(np.frombuffer(locator.screenshot(), np.uint8), cv2.IMREAD_COLOR)
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(float)

    def keep(self, name: str) -> Path:
        """A picture of the whole page as it is, for people to look at."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        size = self.page.viewport_size
        height = self.page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
        self.page.set_viewport_size({"width": size["width"], "height": max(900, int(height))})
        self.page.wait_for_function(CHARTS_FIT)
        path = SHOTS / f"{name}.png"
        self.page.screenshot(path=str(path))
        self.page.set_viewport_size(size)
        return path

    def barriers(self) -> list[str]:
        """What axe-core calls serious or critical on the page as it is, a line a place."""
        script = find_axe()
        assert script is not None, "python -m pip install axe-playwright-python"
        self.page.evaluate(script)
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{rule['id']}: {' '.join(map(str, node['target']))}: {node['html'][:200]}"
            for rule in found["violations"]
            if rule["impact"] in ("serious", "critical")
            for node in rule["nodes"]
        ]

    def jumped(self) -> float:
        """Sum of the layout shifts so far, as the browser scores them: 0 where nothing jumped."""
        return float(
            self.page.evaluate(
                "() => new Promise(done => { let sum = 0; new PerformanceObserver(list => {"
                "for (const entry of list.getEntries()) sum += entry.value"
                "}).observe({type: 'layout-shift', buffered: true});"
                "setTimeout(() => done(sum), 100) })"
            )
        )

    def close(self) -> None:
        """Leave, and complain about what went wrong."""
        exceptions = self.page.locator('[data-testid="stException"]').count()
        for event, listener in self._heard.items():
            self.page.remove_listener(event, listener)
        if exceptions or self.faults:
            self.page.context.close()
        else:
            self.page.goto("about:blank")
            self._left.append(self.page)
        assert exceptions == 0
        assert self.faults == []


def change(before: np.ndarray, after: np.ndarray) -> float:
    """The largest change between two pictures; a panel may be a pixel higher on half pixels."""
    height, width = (min(sizes) for sizes in zip(before.shape[:2], after.shape[:2], strict=True))
    return float(np.abs(after[:height, :width] - before[:height, :width]).max())


def block(image: np.ndarray, left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """Mean colour of a part of a picture, given in parts of its sides."""
    height, width = image.shape[:2]
    rows = slice(round(top * height), round(bottom * height))
    return image[rows, round(left * width) : round(right * width)].mean(axis=(0, 1))


def check_page(browser: Any, address: str, page: str, *, name: str = "", **link: str) -> None:
    """Open a page wide and light, then narrow and dark; wait each time until all of it is there.

    Nothing may be wider than the window, every picture says what it shows, the page has one title,
    its ground is light or dark as the visitor wants it, and where axe-core is installed it finds
    no serious barrier. A picture of each is kept.
    """
    visitor = Visitor(browser)
    for width, scheme in ((1440, "light"), (800, "dark")):
        visitor.look(width, scheme)
        visitor.open(address, page, **link)
        visitor.wait_at_rest()
        assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width
        for wrong in ("img:not([alt])", '[role="img"]:not([aria-label])'):
            assert visitor.page.locator(wrong).count() == 0
        expect(visitor.page.locator('[role="heading"][aria-level="1"]')).to_have_count(1)
        if find_axe() is not None:
            assert visitor.barriers() == []
        picture = visitor.keep(f"{name or page}-{width}-{scheme}")
        ground = cv2.imread(str(picture))[4, 4].mean()
        assert (ground > 200) if scheme == "light" else (ground < 60)
    visitor.close()
