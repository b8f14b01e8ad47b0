"""Names that are not UTF-8, as archives from elsewhere have them: used, and shown escaped."""

import os
import sys
from pathlib import Path

import pytest

from dashboard.base.arguments import Arguments
from dashboard.services import galleries, runs
from dashboard.widgets import export
from dashboard.widgets.export import Command, File
from rspnet.data.video.encode import encode_video
from rspnet.files import printable
from tests.dashboard.apps import open_page, settle, texts
from tests.dashboard.conftest import draw, write_run
from tests.dashboard.tiny import save_tiny_model

ODD = os.fsdecode(b"caf\xe9")
pytestmark = pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are Unicode")


@pytest.fixture
def argv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A model, runs and three videos, all in folders with such names; one is no video."""
    monkeypatch.setenv("RSPNET_CACHE", str(tmp_path / "cache"))
    root = tmp_path / f"films_{ODD}"
    (root / ODD).mkdir(parents=True)
    for number in range(3):
        film = encode_video(draw(40, number), 25.0, preset="ultrafast")
        (root / ODD / f"{ODD}_{number}.mp4").write_bytes(film)
    (root / ODD / f"text_{ODD}.mp4").write_text("no video")
    # The same as it is shown, but by its own name.
    (root / ODD / "caf\\xe9_0.mp4").write_bytes(encode_video(draw(40, 9), 25.0))
    model = save_tiny_model(tmp_path)
    write_run(tmp_path / ODD / f"run_{ODD}")
    return ["--model", str(model), "--videos", str(root), "--runs", str(tmp_path / ODD)]


def test_every_video_has_a_name_of_its_own(argv: list[str]) -> None:
    source = galleries.open_source(galleries.OWN, Arguments(videos=Path(argv[3])))
    names = [video.name for video in source.videos]
    assert len(set(names)) == len(names) == 5
    assert "caf\\xe9/caf\\xe9_1.mp4" in names
    for video in source.videos:
        assert video.path.is_file()
        assert source.find(video.name) == video
        f"{video.name} {video.title} {video.label}".encode()


@pytest.mark.parametrize("page", ["home", "compare", "speed_lab", "retrieval", "embedding"])
def test_pages_use_them_and_links_lead_back(
    page: str, argv: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    link = {"compare": "i", "speed_lab": "video", "retrieval": "query", "embedding": "video"}
    name = "caf\\xe9/caf\\xe9_2.mp4"
    given = {link[page]: name} if page in link else {}
    files: list[File] = []
    monkeypatch.setattr(export, "_button", lambda _key, file: files.append(file))
    app = settle(open_page(page, argv, monkeypatch, **given))
    assert not app.exception
    assert not [error.value for error in app.error]
    assert not [warning.value for warning in app.warning]
    if given:
        assert app.query_params[link[page]] in (name, [name])
    if app.code:
        assert any("$'" in code.value for code in app.code)  # as a shell needs it
    for file in files:
        assert printable(file.name) == file.name
        assert file.name.endswith((".svg", ".pdf")) or file.make()


def test_training_shows_such_a_run(argv: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("training", argv, monkeypatch, run="run_caf\\xe9")
    assert not app.exception
    assert not [error.value for error in app.error]
    assert app.selectbox("training_run").value == "run_caf\\xe9"
    assert "Step 60" in texts(app)
    assert runs.read_metrics(Path(argv[5]), "run_caf\\xe9").columns["step"][0] == 10


def test_a_model_of_such_a_name_is_refused_by_name(
    argv: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its format's library opens UTF-8 alone.
    path = Path(argv[1])
    argv[1] = str(path.rename(path.with_name(f"{ODD}.safetensors")))
    app = open_page("compare", argv, monkeypatch)
    assert not app.exception
    assert app.selectbox("model").options[0] == "caf\\xe9"
    assert any("xe9.safetensors" in error.value for error in app.error)


def test_a_command_is_what_a_shell_needs() -> None:
    words = ("ls", f"a/{ODD} b'.mp4", "plain")
    assert Command("", words).line == r"ls $'a/caf\xe9 b\'.mp4' plain"
