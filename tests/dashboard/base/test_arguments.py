"""The app's own arguments, and the command that opens it."""

import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.web import cli

from dashboard.__main__ import main
from dashboard.base.arguments import Arguments, cache_folder, parse_arguments, runs_folder
from rspnet import files
from tests.dashboard.apps import PATIENCE

APP = Path(__file__).resolve().parents[3] / "dashboard" / "app.py"


def test_arguments() -> None:
    assert parse_arguments([]) == Arguments()
    given = parse_arguments(["--videos", "v", "--model", "m.safetensors", "--num-videos", "4"])
    assert given == Arguments(videos=Path("v"), model=Path("m.safetensors"), num_videos=4)


def test_folders_are_taken_as_they_are_written() -> None:
    for word in ("null", "#clips"):
        assert parse_arguments(["--videos", word]).videos == Path(word)
    assert parse_arguments(["--videos", "~/x"]).videos == Path.home() / "x"


@pytest.mark.parametrize(
    "argv", [["--video", "x"], ["--videos"], ["--videos", ""], ["x"], ["--num_videos", "one"]]
)
def test_wrong_arguments_are_said(argv: list[str]) -> None:
    with pytest.raises(ValueError, match=r"arguments are invalid: .*--help. lists them"):
        parse_arguments(argv)


def test_too_few_videos() -> None:
    with pytest.raises(ValueError, match="at least 2, got 1"):
        parse_arguments(["--num_videos", "1"])


def test_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert runs_folder(Arguments()) == APP.parents[1] / "runs"
    assert runs_folder(Arguments(runs=tmp_path)) == tmp_path
    monkeypatch.setenv("RSPNET_CACHE", "/elsewhere")
    assert str(cache_folder()) == "/elsewhere"
    monkeypatch.delenv("RSPNET_CACHE")
    assert cache_folder() == APP.parents[1] / ".cache"
    # Installed, the packages' own folder is no place for a user's files.
    monkeypatch.setattr(files, "__file__", str(tmp_path / "site-packages" / "rspnet" / "files.py"))
    monkeypatch.setenv("HOME", "/home/me")
    assert str(cache_folder()) == "/home/me/.cache/rspnet"


def test_help_is_a_page_without_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["app.py", "--help"])
    app = AppTest.from_file(str(APP)).run(timeout=PATIENCE)
    assert not app.exception
    assert not app.error
    assert "--videos VIDEOS" in app.code[0].value


def test_the_command_gives_each_word_to_whom_it_is_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    called: list[list[str]] = []
    monkeypatch.setattr(cli, "main", lambda words, **_: called.append(words))
    words = ["--server.port", "8502", "--", "--videos", str(tmp_path), "--theme.base=dark"]
    assert main(words) == 0
    theirs = ["--server.port", "8502", "--theme.base=dark"]
    assert called == [["run", str(APP), *theirs, "--", "--videos", str(tmp_path)]]
    assert main(["--videos", "nowhere"]) == 2
    assert capsys.readouterr().err == "error: --videos: there is no nowhere\n"
