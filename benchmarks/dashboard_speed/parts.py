"""What is measured: each part yields rows of the table."""

import contextlib
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from playwright.sync_api import Browser, Page

from benchmarks.dashboard_speed.galleries import Made, make_gallery
from benchmarks.dashboard_speed.server import READY, Memory, Server, rest, served, window
from dashboard.app_pages.compare.region import EDITS
from dashboard.app_pages.retrieval.hits import FEATURES, PAGE
from dashboard.base.arguments import Arguments
from dashboard.services import galleries
from rspnet.names import HEADS

CHANGES = (10, 25, 50, 100, 150, 200)
NEAREST = '[data-testid="near-avid"]'
TITLE = ".title .name"
_OPENED = ("to first content", "to four overlays")
_VERDICT = '[data-testid="verdicts"] b'
_REGION = "0.2,0.2,0.6,0.7"
_EDITED = '[data-testid="edits"] figure:nth-child(2) .tile'
_STRIP = '[data-testid="strip-i"] .part'
# Moves the slider as a hand does; milliseconds until all four panels were painted anew.
_MOVE = """
(slider, step) => new Promise((done, fail) => {
  const panels = [...slider.getRootNode().querySelectorAll(".panel img")]
  const shown = () => panels.map(image => image.style.transform)
  const before = shown(), begin = performance.now()
  slider.value = (Number(slider.value) + step) % (Number(slider.max) + 1)
  slider.dispatchEvent(new Event("input", { bubbles: true }))
  requestAnimationFrame(() => requestAnimationFrame(() => {
    const took = performance.now() - begin, after = shown()
    if (after.length === 4 && after.every((value, n) => value !== before[n])) done(took)
    else fail(new Error("the panels did not all move"))
  }))
})
"""
_LISTS_STAND = """
wanted => !document.querySelector('[data-testid="stDialog"]')
  && Object.entries(wanted).every(([feature, labels]) => {
    const films = document.querySelectorAll(`[data-testid="hit-${feature}"]`)
    return films.length === labels.length
      && labels.every((label, n) => films[n].getAttribute("aria-label") === label)
  })
"""
# Whether both maps have points: ink on the WebGL canvas in its left half and in its right one.
_POINTS_STAND = """
() => {
  const drawn = document.querySelector(".js-plotly-plot .gl-canvas-context")
  if (!drawn?.width) return false
  const small = new OffscreenCanvas(64, 32).getContext("2d", { willReadFrequently: true })
  small.drawImage(drawn, 0, 0, 64, 32)
  return [0, 32].every(x => small.getImageData(x, 0, 32, 32).data.some((v, n) => n % 4 === 3 && v))
}
"""
_IS_EDITED = f"""
before => {{
  const tile = document.querySelector(`{_EDITED}`)
  return tile && tile.getAttribute("style") !== before
    && !document.querySelector('[data-testid="stSpinner"], .st-key-what_if [data-stale="true"]')
}}
"""
_PAINTED = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of the table.

    Attributes:
        name: What was measured.
        seconds: Each time.
        aim: Seconds that it should take at most; nothing where none is set.
    """

    name: str
    seconds: list[float]
    aim: float | None = None


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What all parts need.

    Attributes:
        browser: Headless.
        folder: For all that is made.
        model: A model file; nothing for the one that ships.
        repeats: How often each is measured.
    """

    browser: Browser
    folder: Path
    model: Path | None
    repeats: int

    def arguments(self, videos: Path | None = None) -> Arguments:
        """Of the app."""
        return Arguments(videos=videos, model=self.model)

    @contextlib.contextmanager
    def opened(self, page: str, videos: Path | None = None) -> Iterator[Page]:
        """A window of a new server at one of its pages."""
        with self.served(videos) as server, window(self.browser) as opened:
            opened.goto(f"{server.address}/{page}")
            yield opened

    def served(self, videos: Path | None = None) -> contextlib.AbstractContextManager[Server]:
        """A new server."""
        given = {"--videos": videos, "--model": self.model}
        words = [word for name, path in given.items() if path for word in (name, str(path))]
        return served(self.folder / "server.log", words)

    def gallery(self, num: int) -> Made:
        """So many videos that the app finds embedded, made of the example videos."""
        root = Path(tempfile.mkdtemp(dir=self.folder)) / f"videos{num}"
        return make_gallery(root, num, self.examples(), self.arguments())

    def examples(self) -> list[Path]:
        """The example videos, which :func:`first_visit` has the app make."""
        found = galleries.open_source(galleries.GENERATED, self.arguments())
        return [video.path for video in found.videos]


def _open_compare(page: Page, server: Server) -> tuple[float, float]:
    """Seconds to the first content and to the four overlays."""
    begin = time.perf_counter()
    page.goto(f"{server.address}/compare")
    page.wait_for_selector(TITLE)
    title = time.perf_counter() - begin
    page.wait_for_selector(READY)
    return title, time.perf_counter() - begin


def first_visit(bench: Bench) -> Iterator[Row]:
    """A server that has made nothing yet. The other parts use what it makes."""
    with bench.served() as server, window(bench.browser) as page:
        begin = time.perf_counter()
        title, overlays = _open_compare(page, server)
        page.wait_for_selector(NEAREST)
        whole = time.perf_counter() - begin
    yield Row(name="nothing made yet: to first content", seconds=[title])
    yield Row(name="nothing made yet: to four overlays", seconds=[overlays])
    yield Row(name="nothing made yet: to nearest videos", seconds=[whole])


def opening(bench: Bench) -> Iterator[Row]:
    """A new server, then the same server in a new window."""
    times: dict[str, list[float]] = {}
    for _ in range(bench.repeats):
        with bench.served() as server:
            for state in ("cold", "warm"):
                with window(bench.browser) as page:
                    for what, took in zip(_OPENED, _open_compare(page, server), strict=True):
                        times.setdefault(f"{state} server: {what}", []).append(took)
    for name, seconds in times.items():
        yield Row(name=name, seconds=seconds)


def home(bench: Bench) -> Iterator[Row]:
    """From starting a server to Home's answer, which the shipped model has, and its doors."""
    parts = [TITLE, ".st-key-doors .door", *(['[data-testid="answer"]'] if not bench.model else [])]
    seconds = []
    for _ in range(bench.repeats):
        begin = time.perf_counter()
        with bench.served() as server, window(bench.browser) as page:
            page.goto(server.address)
            for part in parts:
                page.wait_for_selector(part)
            seconds.append(time.perf_counter() - begin)
    yield Row(name="starting the server to Home's answer", seconds=seconds, aim=3)


def scrubber(bench: Bench) -> Iterator[Row]:
    """From the slider's event to the frame painted in all four panels."""
    with bench.opened("compare") as page:
        _wait_whole(page)
        seconds = []
        for _ in range(bench.repeats):
            seconds.append(page.locator(".scrubber input").evaluate(_MOVE, 5) / 1000)
            rest(page)
    yield Row(name="another frame by the scrubber", seconds=seconds, aim=0.15)


def pair(bench: Bench) -> Iterator[Row]:
    """From another c_j, chosen in its menu, to the four overlays."""
    titles = [v.title for v in galleries.open_source(galleries.GENERATED, bench.arguments()).videos]
    with bench.opened("compare") as page:
        _wait_whole(page)
        seconds = [_change(page, title) for title in titles[1 : 1 + bench.repeats]]
    yield Row(name="another c_j", seconds=seconds, aim=2)


def verdict(bench: Bench) -> Iterator[Row]:
    """From another c_j, chosen in its menu, to what the checks of both heads' maps came to."""
    titles = [v.title for v in galleries.open_source(galleries.GENERATED, bench.arguments()).videos]
    with bench.opened("compare") as page:
        _wait_whole(page)
        page.wait_for_selector(_VERDICT)
        seconds = []
        for title in titles[1 : 1 + bench.repeats]:
            begin = _choose(page, title)
            page.wait_for_selector(_VERDICT)
            seconds.append(time.perf_counter() - begin)
            rest(page)
    yield Row(name="another c_j: to the verdict", seconds=seconds)


def edit(bench: Bench) -> Iterator[Row]:
    """From choosing how a region is edited to its maps, scores and nearest videos."""
    seconds: list[float] = []
    with bench.opened(f"compare?region={_REGION}") as page:
        _wait_whole(page)
        for title in islice(cycle(list(EDITS.values())[:3]), bench.repeats):
            before = page.locator(_EDITED).first.get_attribute("style") if seconds else ""
            begin = time.perf_counter()
            page.get_by_role("radio", name=title).click()
            page.wait_for_function(_IS_EDITED, arg=before)
            page.wait_for_selector('[data-testid="nearest-avid"]')
            page.evaluate(_PAINTED)
            seconds.append(time.perf_counter() - begin)
            rest(page)
    yield Row(name="another edit of a region", seconds=seconds)


def _wait_whole(page: Page) -> None:
    for part in (READY, _STRIP, NEAREST):
        page.wait_for_selector(part)
    rest(page)


def _choose(page: Page, title: str) -> float:
    """Choose a video as c_j and wait for its overlays; when it was chosen."""
    token = page.get_attribute(READY, "data-ready")
    field = page.locator(".st-key-video_j input")
    field.fill(title)
    page.get_by_role("option", name=title, exact=True).wait_for()
    begin = time.perf_counter()
    field.press("Enter")
    page.wait_for_selector(f'{READY}:not([data-ready="{token}"])')
    return begin


def _change(page: Page, title: str) -> float:
    """Seconds from choosing a video as c_j to its overlays."""
    begin = _choose(page, title)
    seconds = time.perf_counter() - begin
    rest(page)
    return seconds


def retrieval(bench: Bench, num: int) -> Iterator[Row]:
    """From another query to its lists by both heads, in the order that they should have."""
    made = bench.gallery(num)
    seconds = []
    with bench.opened("retrieval", made.root) as page:
        page.wait_for_selector('[data-testid="hit-avid"]')
        rest(page)
        for n in range(bench.repeats):
            query = (n + 1) * num // (bench.repeats + 1)  # each time of another class
            wanted = {
                head: [
                    f"No. {rank} by {FEATURES[head]}: {title}"
                    for rank, title in enumerate(made.nearest(query, head, PAGE), 1)
                ]
                for head in HEADS
            }
            page.get_by_role("button", name="Choose another").click()
            search = page.get_by_label("Search names and labels")
            search.fill(made.title(query))
            search.press("Enter")
            page.get_by_text(f"1 of {num:,} videos", exact=True).wait_for()
            rest(page)
            begin = time.perf_counter()
            page.get_by_role("button", name="Use this video").click()
            page.wait_for_function(_LISTS_STAND, arg=wanted)
            page.evaluate(_PAINTED)
            seconds.append(time.perf_counter() - begin)
            rest(page)
    yield Row(name=f"{num:,} videos: another query to its lists", seconds=seconds, aim=1)


def embedding(bench: Bench, num: int) -> Iterator[Row]:
    """From opening the page to the points, once gallery and projection were made."""
    made = bench.gallery(num)
    seconds = []
    with bench.served(made.root) as server:
        for _ in range(1 + bench.repeats):  # the first makes the projection
            with window(bench.browser) as page:
                begin = time.perf_counter()
                page.goto(f"{server.address}/embedding")
                page.wait_for_function(_POINTS_STAND)
                page.evaluate(_PAINTED)
                seconds.append(time.perf_counter() - begin)
                rest(page)
    yield Row(name=f"{num:,} points: first opening, projection made", seconds=seconds[:1])
    yield Row(name=f"{num:,} points: opening to the points drawn", seconds=seconds[1:], aim=3)


def memory(bench: Bench, num: int) -> Iterator[tuple[int, Memory]]:
    """What the server holds after so many changes of the pair, none of which it has seen."""
    made = bench.gallery(num + 1)
    marks = {n for n in CHANGES if n < num} | {num}
    with bench.served(made.root) as server, window(bench.browser) as page:
        page.goto(f"{server.address}/compare")
        _wait_whole(page)
        yield 0, server.memory()
        for n in range(1, num + 1):
            _change(page, made.title(n))
            if n in marks:
                yield n, server.memory()
