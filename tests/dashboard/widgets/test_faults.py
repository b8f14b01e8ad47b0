"""Whatever fails in a page is a sentence on it; the other pages go on."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from streamlit.testing.v1 import AppTest

from dashboard.services import galleries, models
from tests.dashboard.apps import PATIENCE
from tests.dashboard.conftest import write_run
from tests.dashboard.tiny import save_tiny_model, write_tiny_videos

SCRIPT = """
from dashboard.base import links
from dashboard.widgets import shell
links.enter({name!r})
shell.opener({name!r})()
"""
PAGES = ("home", "compare", "speed_lab", "retrieval", "embedding", "evidence", "training")


def open_(name: str, argv: list[str], monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr(sys, "argv", ["app.py", *argv])
    return AppTest.from_string(SCRIPT.format(name=name), default_timeout=PATIENCE).run()


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_videos(tmp_path_factory.mktemp("faults") / "videos")


@pytest.fixture
def argv(videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("RSPNET_CACHE", str(tmp_path / "cache"))
    model = save_tiny_model(tmp_path)
    return ["--model", str(model), "--videos", str(videos), "--runs", str(tmp_path / "runs")]


@pytest.mark.parametrize(
    "fault", [RuntimeError("shape [2, 3]\nis wrong"), OSError(28, "No space left"), KeyError("k")]
)
def test_a_fault_is_one_sentence(
    fault: Exception, argv: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object) -> None:
        raise fault

    with monkeypatch.context() as broken:
        broken.setattr(galleries, "open_source", fail)
        app = open_("compare", argv, monkeypatch)
    assert not app.exception
    (said,) = (error.value for error in app.error)
    assert said.startswith("This part of the page failed: ")
    assert type(fault).__name__ in said
    assert "\n" not in said
    app = open_("compare", argv, monkeypatch)
    assert not app.exception
    assert not app.error


def header(**spec: object) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        save_file({"a": np.zeros(1)}, path, {"spec": json.dumps(spec.get("all", spec))})

    return write


DAMAGED: dict[str, Callable[[Path], None]] = {
    "bytes": lambda path: path.write_bytes(bytes(range(256)) * 9) and None,
    "empty": lambda path: path.write_bytes(b"") and None,
    "list": header(all=[1, 2]),
    "huge": header(arch="resnet18_fine", num_frames=10**18, size=10**9),
    "none": header(num_frames=None),
    "infinite": header(num_frames=float("inf"), size=112),
    "folder": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_model_is_said_by_name(
    kind: str, argv: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "damaged.safetensors"
    DAMAGED[kind](path)
    argv[1] = str(path)
    # All pages load a model by the same function: what one kind of damage shows, all do.
    for page in PAGES[:-1] if kind == "bytes" else ["compare"]:
        app = open_(page, argv, monkeypatch)
        assert not app.exception, page
        # Evidence loads no model: it finds reports by the file's hash.
        named = any("damaged" in error.value for error in app.error)
        assert named or page == "evidence", page
        assert not any("This part" in error.value for error in app.error), page


def test_a_damaged_run_is_said_by_name(
    argv: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_run(tmp_path / "runs" / "odd")
    (run / "config.yaml").write_text("[" * 20_000)
    (run / "metrics.csv").write_bytes(b"step,\xff\x00\n1,2\n")
    (run / "classifier.safetensors").write_bytes(b"torn")
    (run / "maps").mkdir()
    (run / "maps" / "step_00000010.npz").write_bytes(b"torn")
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "step_00000010.pt").write_bytes(b"torn")
    app = open_("training", argv, monkeypatch)
    assert not app.exception
    assert app.error
    assert not any("This part" in error.value for error in app.error)
    assert not open_("compare", argv, monkeypatch).exception


def test_a_card_links_no_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    model = save_tiny_model(tmp_path)
    monkeypatch.setattr(models, "CHECKPOINTS", tmp_path)
    (tmp_path / "README.md").write_text(
        "See [docs/a.md](../docs/a.md), [`b`](b.py) and [there](https://x.org). ![c](c.png)\n"
    )
    card = models.about(models.describe("tiny", model)).card
    assert card.strip() == "See `docs/a.md`, `b` and [there](https://x.org)."
