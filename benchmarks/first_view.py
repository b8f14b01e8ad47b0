"""The dashboard: seconds from opening the page to the first four overlays.

    python benchmarks/first_view.py [--repeats 3]

First: a new server and no generated videos yet. Cold: a new server, the videos are there. Warm:
the same server, a new browser window. Needs Chromium (named in $CHROMIUM, or on the PATH).
"""

import argparse
import contextlib
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
READY = '[data-testid="viewer"][data-ready]'


@contextlib.contextmanager
def served(cache: Path, model: str | None) -> Iterator[str]:
    """The app in a process of its own."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "dashboard" / "app.py")]
    command += ["--server.headless", "true", "--server.port", str(port)]
    command += ["--", "--model", model] if model else []
    server = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"RSPNET_CACHE": str(cache)},
    )
    address = f"http://localhost:{port}"
    try:
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=2)
                break
            if server.poll() is not None:
                raise RuntimeError("the server ended at once: run the command by hand to see why")
            time.sleep(0.05)
        yield address
    finally:
        server.terminate()
        server.wait(10)


def visit(browser: Browser, address: str, *, with_gallery: bool = False) -> tuple[float, float]:
    """Seconds to the overlays, and to the nearest videos below (0 if not waited for)."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    begin = time.perf_counter()
    page.goto(f"{address}/compare")
    page.wait_for_selector(READY, timeout=180_000)
    overlays = time.perf_counter() - begin
    if with_gallery:
        page.wait_for_selector('[data-testid="near-avid"]', timeout=180_000)
    gallery = time.perf_counter() - begin if with_gallery else 0.0
    context.close()
    return overlays, gallery


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--model", help="a model file; nothing: the shipped one")
    options = parser.parse_args()
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        print("no Chromium: install one, or name it in $CHROMIUM", file=sys.stderr)
        return 2
    cpu = platform.processor() or platform.machine()
    print(f"Python {platform.python_version()}, {platform.system()}, {cpu}, {os.cpu_count()} CPUs")
    print(", ".join(f"{p} {version(p)}" for p in ("streamlit", "torch", "playwright")))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        with served(Path(folder), options.model) as address:
            first, first_gallery = visit(browser, address, with_gallery=True)
        cold, warm = [], []
        for _ in range(options.repeats):
            with served(Path(folder), options.model) as address:
                cold.append(visit(browser, address)[0])
                warm.append(visit(browser, address)[0])
        browser.close()
    print(f"\n{'seconds to the first four overlays':38}{'median':>8}{'all':>24}")
    print(f"{'first, with generating the videos':38}{first:8.1f}{'':>24}")
    for name, values in (("cold", cold), ("warm", warm)):
        listed = " ".join(f"{v:.1f}" for v in values)
        print(f"{name:38}{statistics.median(values):8.1f}{listed:>24}")
    print(f"{'first, to the nearest videos':38}{first_gallery:8.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
