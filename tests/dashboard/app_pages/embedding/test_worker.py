"""t-SNE and UMAP, which nothing but their own end stops, in a process that is ended on Stop."""

import os
import select
import time
from pathlib import Path

import numpy as np
import pytest

from analysis.gallery.neighbours import Space
from analysis.gallery.projection import embed_space
from dashboard.app_pages.embedding import worker
from dashboard.app_pages.embedding.worker import ProjectionRequest
from dashboard.services import jobs
from dashboard.services.jobs import Job
from rspnet.data.video.encode import write_video
from tests.dashboard.apps import PATIENCE, open_page, press, run_until
from tests.dashboard.conftest import draw
from tests.dashboard.tiny import save_tiny_model

# scikit-learn is not needed by the project, so this stands in for it.
STAND_IN = """
import os
import threading
from pathlib import Path

HERE = Path(__file__).parent


class TSNE:
    def __init__(self, **settings):
        self.settings = settings

    def fit_transform(self, vectors):
        (HERE / "process").write_text(str(os.getpid()))
        if (HERE / "gate").exists():  # a pipe: one call that does not return, as there
            (HERE / "gate").write_text("here")
            threading.Event().wait()
        return vectors[:, 1::-1] * 3
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of the stand-in: with a pipe ``gate`` there t-SNE does not come to its end."""
    folder = tmp_path / "packages" / "sklearn"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "manifold.py").write_text(STAND_IN)
    monkeypatch.syspath_prepend(str(folder.parent))
    monkeypatch.setenv("PYTHONPATH", str(folder.parent))
    return folder


def wait_at(gate: Path) -> None:
    """Wait until a process has written to a pipe."""
    reader = os.open(gate, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert select.select([reader], [], [], PATIENCE)[0]
    finally:
        os.close(reader)


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def make_space(num: int = 40) -> Space:
    vectors = np.random.default_rng(0).normal(size=(num, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    paths = tuple(Path("a") / f"{n}.mp4" for n in range(num))
    return Space(name="rsp", paths=paths, labels=("a",) * num, vectors=vectors)


def test_the_other_process_gives_what_this_one_would(stand_in: Path) -> None:
    space = make_space()
    found = worker.place(ProjectionRequest(space, "tsne", 3), Job(1))
    assert int((stand_in / "process").read_text()) != os.getpid()
    np.testing.assert_array_equal(found.points, space.vectors[:, 1::-1] * 3)
    assert found.to_json() == embed_space(space, "tsne", num_clusters=3).to_json()


def test_what_is_wrong_is_told(stand_in: Path) -> None:
    with pytest.raises(ValueError, match="perplexity is at least 1 and below"):
        worker.place(ProjectionRequest(make_space(5), "tsne", 0), Job(1))
    (stand_in / "manifold.py").write_text("raise OSError('no such library')")
    with pytest.raises(ValueError, match=r"ended with status 1: OSError: no such library"):
        worker.place(ProjectionRequest(make_space(), "tsne", 0), Job(1))


def test_stop_ends_it_at_once_and_the_page_is_usable(
    stand_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RSPNET_CACHE", str(tmp_path / "cache"))
    model = save_tiny_model(tmp_path)
    num = 32  # t-SNE's perplexity of 30 takes more than 30
    for index in range(num):
        path = tmp_path / "videos" / "walk" / f"{index}.mp4"
        write_video(path, draw(12, index), 25.0, preset="ultrafast")
    argv = ["--model", str(model), "--videos", str(tmp_path / "videos")]
    app = open_page("embedding", argv, monkeypatch)
    run_until(app, lambda app: app.get("plotly_chart"))
    os.mkfifo(stand_in / "gate")
    app = open_page("embedding", argv, monkeypatch, method="tsne")
    wait_at(stand_in / "gate")
    process = int((stand_in / "process").read_text())
    assert is_alive(process)
    (job,) = jobs.under_way()
    begun = time.monotonic()
    press(app, "Stop")
    assert job.finished.wait(PATIENCE)
    assert time.monotonic() - begun < 30  # with the drawing of the page
    assert not is_alive(process)
    app.run()
    assert not app.exception
    assert app.info[0].value.startswith("Stopped: 0 of 2 heads are done.")
    # Other maps are there at once, and this one when it is resumed.
    app.segmented_control(key="embedding_method").set_value("pca").run()
    run_until(app, lambda app: app.get("plotly_chart"))
    assert not app.info
    (stand_in / "gate").unlink()
    app.segmented_control(key="embedding_method").set_value("tsne").run()
    press(app, "Resume")
    run_until(app, lambda app: app.get("plotly_chart"))
    assert not app.exception
    assert not app.error
    assert not jobs.under_way()
