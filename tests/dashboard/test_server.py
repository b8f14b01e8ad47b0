"""The server itself: its headers, how it ends, and what it leaves when it is killed."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.dashboard_speed.session import Session
from dashboard.services import temporary
from rspnet.data.video.encode import encode_video
from tests.dashboard.conftest import APP, ROOT, draw
from tests.dashboard.services.test_jobs import is_running

PATIENCE = 120


@contextlib.contextmanager
def serving(folder: Path, *words: str) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """A server with its own folder for temporary files, and its address."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    own = {"RSPNET_CACHE": str(folder), "TMPDIR": str(folder / "tmp"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "streamlit", "run", str(APP), "--server.headless", "true"]
    command += ["--server.port", str(port), "--", *words]
    with (
        (folder / "log.txt").open("ab") as log,
        subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=os.environ | own) as server,
    ):
        address, deadline = f"http://localhost:{port}", time.monotonic() + PATIENCE
        try:
            while True:
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(f"{address}/_stcore/health", timeout=2)
                    break
                assert server.poll() is None, (folder / "log.txt").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield address, server
        finally:
            server.kill()


def test_every_response_has_the_headers_of_security(tmp_path: Path) -> None:
    with serving(tmp_path) as (address, _):
        for path in ("/", "/compare", "/_stcore/health", "/nothing.js"):
            with contextlib.suppress(urllib.error.HTTPError):
                headers = urllib.request.urlopen(address + path, timeout=PATIENCE).headers
                assert headers["X-Content-Type-Options"] == "nosniff"
                assert headers["X-Frame-Options"] == "SAMEORIGIN"
                assert "frame-ancestors 'self'" in headers["Content-Security-Policy"]
        # Whatever a browser has kept, a page comes with all rules of style.
        given = {
            "Accept-Encoding": "gzip",
            "If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT",
        }
        request = urllib.request.Request(f"{address}/compare", headers=given)
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            assert b"<body><style>" in (page := response.read())
            assert b".st-key-doors" in page
            assert b".st-key-verdicts" in page
            assert response.headers["ETag"] is None


@pytest.mark.skipif(sys.platform == "win32", reason="signals and locks of POSIX")
def test_a_server_that_is_told_to_end_while_it_computes_ends_well(tmp_path: Path) -> None:
    film = encode_video(draw(70, 0), 25.0, preset="ultrafast")
    (tmp_path / "videos").mkdir()
    for number in range(30):
        (tmp_path / "videos" / f"{number}.mp4").write_bytes(film)
    left, living = (tmp_path / "tmp" / f"{temporary.PREFIX}{name}" for name in ("left", "living"))
    for folder in (left, living):
        folder.mkdir(parents=True)
    import fcntl

    held = os.open(living, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    with serving(tmp_path, "--videos", str(tmp_path / "videos")) as (address, server):
        # What a killed server has left is gone before anybody comes; a living one's is not.
        assert not left.exists()
        assert living.exists()
        os.close(held)
        with Session(address, "retrieval") as visitor:
            visitor.send()
            deadline = time.monotonic() + PATIENCE
            while not list((tmp_path / "galleries").glob("*/*")):
                assert time.monotonic() < deadline
                time.sleep(0.1)
            server.terminate()
            assert server.wait(PATIENCE) == 0
    said = (tmp_path / "log.txt").read_text()
    assert "Traceback" not in said
    assert "terminate called" not in said


SENDER = """
import io, sys
from dashboard.services.upload_worker import Limits
from dashboard.services.uploads import UploadStore
store = UploadStore()
print(store.folder(), flush=True)
store.add("a.mp4", open(sys.argv[1], "rb"), Limits())
"""


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="children are read from /proc")
def test_what_a_killed_server_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temporary.tempfile, "tempdir", str(tmp_path))
    film = tmp_path / "long.mp4"
    film.write_bytes(encode_video((draw(1, 0)[0] for _ in range(3000)), 25.0, preset="ultrafast"))
    command = [sys.executable, "-c", SENDER, str(film)]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, env=environment) as server:
        assert server.stdout is not None
        folder = Path(server.stdout.readline().decode().strip())
        assert folder.parent.parent == tmp_path
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children")
        deadline = time.monotonic() + PATIENCE
        while not (workers := children.read_text().split()):
            assert time.monotonic() < deadline
        assert temporary.sweep() == []  # the server lives
        server.send_signal(signal.SIGKILL)
    worker = int(workers[0])
    while is_running(worker):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert folder.exists()
    assert temporary.sweep() == [folder.parent]
    assert not folder.exists()
