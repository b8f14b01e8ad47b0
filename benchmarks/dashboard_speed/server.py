"""The app in a process of its own, and windows of a browser in front of it."""

import contextlib
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 600.0
READY = '[data-testid="viewer"][data-ready]'
_AT_REST = """
document.querySelector('[data-testid="stApp"]')?.dataset.testScriptState === "notRunning"
&& !document.querySelector('[data-stale="true"]')
"""
_CACHED = re.compile(r'^cache_memory_bytes\{cache_type="st_cache_data".*\} (\d+)', re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What a server holds, in MB.

    Attributes:
        resident: All of its pages that are in memory (RSS).
        own: Those of them that are no file's: heap and stacks.
        cached: Values in Streamlit's caches of data, as it counts them.
    """

    resident: float
    own: float
    cached: float


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server that answers.

    Attributes:
        address: Of its first page.
        pid: Of its process.
    """

    address: str
    pid: int

    def memory(self) -> Memory:
        """What it holds now.

        Raises:
            OSError: The system has no ``/proc``.
        """
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        with urllib.request.urlopen(f"{self.address}/_stcore/metrics", timeout=60) as answer:
            cached = sum(map(int, _CACHED.findall(answer.read().decode())))
        resident, own = (
            int(re.findall(rf"^{name}:\s+(\d+) kB", status, re.MULTILINE)[0]) * 1024 / 1e6
            for name in ("VmRSS", "RssAnon")
        )
        return Memory(resident=resident, own=own, cached=cached / 1e6)


@contextlib.contextmanager
def served(log: Path, words: Sequence[str]) -> Iterator[Server]:
    """The app, started with these arguments, until it is no longer needed.

    Args:
        log: Where it writes what it says.
        words: Its own arguments.

    Raises:
        RuntimeError: It ended at once, or there is a traceback in its log.
    """
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "dashboard" / "app.py")]
    command += ["--server.headless", "true", "--server.port", str(port), "--", *words]
    with log.open("w", encoding="utf-8") as said:
        process = subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=said)
    server = Server(address=f"http://localhost:{port}", pid=process.pid)
    try:
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{server.address}/_stcore/health", timeout=2)
                break
            if process.poll() is not None:
                raise RuntimeError(f"the server ended at once:\n{log.read_text(encoding='utf-8')}")
            time.sleep(0.05)
        yield server
    finally:
        process.terminate()
        process.wait(30)
    said_all = log.read_text(encoding="utf-8")
    if "Traceback" in said_all:
        raise RuntimeError(f"the server failed on the way:\n{said_all}")


@contextlib.contextmanager
def window(browser: Browser) -> Iterator[Page]:
    """A window of its own, 1440 x 900, that knows nothing of others."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.set_default_timeout(1000 * PATIENCE)
    try:
        yield page
    finally:
        context.close()


def rest(page: Page) -> None:
    """Wait until the server has drawn the page and nothing old is left on it."""
    page.wait_for_timeout(300)
    page.wait_for_function(_AT_REST)
    page.wait_for_timeout(300)
