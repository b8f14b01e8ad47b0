"""Long work: it is stopped with a button, what is done is kept, and it resumes from there."""

import os
import re
import sys
import threading
import time
from pathlib import Path

import pytest

from dashboard.base.arguments import Arguments
from dashboard.services import embeddings, galleries, jobs
from dashboard.services.galleries import synthetic_folder
from dashboard.services.jobs import Job
from dashboard.services.models import Loaded
from rspnet import load_model
from rspnet.data.video.encode import write_video
from rspnet.retrieval import build, vectors
from rspnet.retrieval.gallery import Protocol
from rspnet.retrieval.vectors import Views, load_views
from tests.dashboard.apps import PATIENCE, open_page, press, run_until, texts
from tests.dashboard.conftest import draw
from tests.dashboard.tiny import save_tiny_model


def test_a_job_ends_at_its_next_check_and_stays_stopped() -> None:
    begun, told = threading.Event(), threading.Event()
    steps: list[int] = []

    def work(job: Job) -> None:
        for step in range(len(steps), 4):
            job.check()
            steps.append(step)
            job.done = step + 1
            begun.set()
            told.wait(PATIENCE)

    job = jobs.start("stopped", 4, work)
    assert begun.wait(PATIENCE)
    assert job in jobs.under_way()
    job.stop()
    assert job.is_stopping
    told.set()
    assert job.finished.wait(PATIENCE)
    assert (job.stopped, job.error, job.done, steps) == (True, "", 1, [0])
    assert jobs.start("stopped", 4, work) is job  # until somebody wants it to go on
    jobs.forget("stopped")
    job = jobs.start("stopped", 4, work)
    assert job.finished.wait(PATIENCE)
    assert (job.stopped, job.done, steps) == (False, 4, [0, 1, 2, 3])


class Gate:
    """Lets so many videos of a gallery be embedded, and the rest once it is open."""

    def __init__(self, num: int) -> None:
        self.names: list[str] = []
        self.num = num
        self.reached, self.open = threading.Event(), threading.Event()

    def load(self, path: Path, protocol: Protocol) -> Views:
        if len(self.names) >= self.num:
            self.reached.set()
            assert self.open.wait(PATIENCE)
        self.names.append(Path(path).stem)
        return load_views(path, protocol)


@pytest.mark.parametrize("name", ["retrieval", "compare"])
def test_a_gallery_is_stopped_and_resumed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RSPNET_CACHE", str(tmp_path / "cache"))
    model = save_tiny_model(tmp_path)
    for index in range(5):
        path = tmp_path / "videos" / ("run" if index < 3 else "walk") / f"{index}.mp4"
        write_video(path, draw(12, index), 25.0, preset="ultrafast")
    gate = Gate(2)
    monkeypatch.setattr(vectors, "load_views", gate.load)
    argv = ["--model", str(model), "--videos", str(tmp_path / "videos")]
    app = open_page(name, argv, monkeypatch)
    assert gate.reached.wait(PATIENCE)
    assert not app.exception
    press(app, "Stop")
    assert next(button for button in app.button if button.label == "Stopping").disabled
    gate.open.set()
    (job,) = (job for job in jobs.under_way() if job.total == 5)  # not a verdict
    assert job.finished.wait(PATIENCE)
    app.run()
    assert not app.exception
    assert [info.value for info in app.info] == [
        "Stopped: 3 of 5 videos are done. They are kept, and the next start resumes from there."
    ]
    assert gate.names == ["0", "1", "2"]  # the one that it was at was done
    press(app, "Resume")
    run_until(app, lambda app: re.search("hit-rsp|near-rsp", texts(app)))
    assert not app.exception
    assert not app.error
    assert [info.value for info in app.info] == []
    assert gate.names == ["0", "1", "2", "3", "4"]


def test_galleries_in_memory_make_room_for_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RSPNET_CACHE", str(tmp_path / "cache"))
    path = save_tiny_model(tmp_path)
    loaded = Loaded(load_model(path, "query"), load_model(path, "key"), threading.Lock())
    gate = Gate(999)
    monkeypatch.setattr(vectors, "load_views", gate.load)
    found = []
    for name in "abcde"[: embeddings.MOST_HELD + 1]:
        root = tmp_path / name
        write_video(root / f"{name}.mp4", draw(12, 0), 25.0, preset="ultrafast")
        found.append(galleries.open_source(galleries.OWN, Arguments(videos=root)))

    def embed(source: galleries.Source) -> str:
        key, job = embeddings.embed(source, loaded)
        assert job.finished.wait(PATIENCE)
        assert job.error == ""
        return key

    first, *others = (embed(source) for source in found)
    held = embeddings.embedded(first)
    assert embeddings.embedded(first) is held
    for other in others:
        assert len(embeddings.embedded(other)) == 1
    again = embeddings.embedded(first)  # from the disk
    assert again is not held
    assert [p.stem for p in again.paths] == ["a"]
    assert gate.names == list("abcde")


def is_running(process: int) -> bool:
    """Whether a process is there and has not ended: one that nobody waited for is a zombie."""
    try:
        os.kill(process, 0)
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def test_the_gallery_that_ships_is_unpacked_and_none_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RSPNET_CACHE", str(tmp_path))
    monkeypatch.setattr(sys, "executable", "no generator")
    job = jobs.generate_synthetic(Arguments())
    assert job.finished.wait(PATIENCE)
    assert (job.error, job.done) == ("", 24)
    source = galleries.open_source(galleries.GENERATED, Arguments())
    assert source.find(galleries.SYNTHETIC_EXAMPLE) is not None
    assert len(source.videos) == 24
    assert [path.name for path in (tmp_path / "synthetic").iterdir()] == ["seed7-n24"]
    # Neither another number, nor where a part was generated before.
    assert not galleries.unpack_shipped(Arguments(num_videos=23))
    source.videos[0].path.unlink()
    assert not galleries.unpack_shipped(Arguments())


def test_vectors_that_ship_serve_these_videos_and_this_model_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RSPNET_CACHE", str(tmp_path))
    assert galleries.unpack_shipped(Arguments())
    source = galleries.open_source(galleries.GENERATED, Arguments())
    made: list[Path] = []
    monkeypatch.setattr(build, "build_gallery", lambda *words, **_: made.append(words[2]))

    def embed(model: str | Path) -> str:
        query, key = load_model(model), load_model(model, "key")
        name, job = embeddings.embed(source, Loaded(query, key, threading.Lock()))
        assert job.finished.wait(PATIENCE)
        return name

    gallery = embeddings.embedded(embed("default"))
    assert [path for path in gallery.paths if path.is_file()] == [v.path for v in source.videos]
    assert not made
    embed(save_tiny_model(tmp_path))
    assert len(made) == 1
    # A byte of one video is another.
    path = source.videos[3].path
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    embed("default")
    assert len(made) == 2


def test_where_it_can_not_be_unpacked_it_is_generated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RSPNET_CACHE", str(tmp_path))
    monkeypatch.setattr(galleries, "CHECKPOINTS", tmp_path)
    assert not galleries.unpack_shipped(Arguments())
    (tmp_path / "synthetic-seed7-n24.zip").write_bytes(b"PK torn")
    assert not galleries.unpack_shipped(Arguments())
    assert not list((tmp_path / "synthetic").glob("*"))


GENERATOR = """#!/bin/sh
mkdir -p "$6/walk"
touch "$6/walk/.half.mp4" "$6/walk/a.npz"
(while :; do date +%N > "$6/walk/beat"; sleep 0.05; done) &
echo $! > "$6/walk/child.part"
mv "$6/walk/child.part" "$6/walk/child"
wait
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands for the generator")
def test_generating_is_stopped_with_all_its_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RSPNET_CACHE", str(tmp_path))
    script = tmp_path / "generator.sh"
    script.write_text(GENERATOR)
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    arguments = Arguments(num_videos=4)
    job = jobs.generate_synthetic(arguments)
    folder = synthetic_folder(arguments) / "walk"
    deadline = time.monotonic() + PATIENCE
    while job.done == 0 or not (folder / "child").exists():
        assert not job.finished.wait(0.05), job.error
        assert time.monotonic() < deadline
    job.stop()
    assert job.finished.wait(PATIENCE)
    assert (job.stopped, job.error) == (True, "")
    # What is whole stays, and nobody writes any more.
    assert {path.name for path in folder.iterdir()} - {"beat"} == {"a.npz", "child"}
    while is_running(int((folder / "child").read_text())):  # it is being ended
        assert time.monotonic() < deadline
        time.sleep(0.05)
