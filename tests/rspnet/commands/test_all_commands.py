"""What holds of every command of the project, whoever adds one."""

import errno
import subprocess
import sys
import tempfile
from argparse import SUPPRESS, Action
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import analysis.__main__
import rspnet.__main__
from analysis.studies.registry import list_studies
from rspnet.commands import Command, run, run_command
from rspnet.commands.settings import make_parser, settings_of

PACKAGES = {"rspnet": rspnet.__main__, "analysis": analysis.__main__}
ALL = [(package, name) for package, module in PACKAGES.items() for name in module.COMMANDS]
# A setting that names what the command reads, with a name that is not there.
INPUTS = {
    "train": ["--data.root", "nowhere"],
    "finetune": ["--data.root", "nowhere"],
    "extract": ["--data.root", "nowhere"],
    "retrieve": ["--gallery", "nowhere", "--queries", "nowhere"],
    "evaluate": ["--videos", "nowhere"],
    "convert": ["nowhere.pth", "out.safetensors"],
    "manifest": ["nowhere"],
    "dashboard": ["--videos", "nowhere"],
    "transcode": ["nowhere", "out"],
    "strips": ["--video_i", "nowhere.mp4", "--out", "out.png"],
    "classes": ["--classifier", "nowhere", "--video", "nowhere.mp4", "--out", "out.png"],
    "retrieval": ["--gallery", "nowhere", "--query", "nowhere.mp4", "--out", "out"],
    "structure": ["--gallery", "nowhere"],
    "projection": ["--gallery", "nowhere", "--out", "out.png"],
    "compare": ["nowhere.safetensors", "default"],
    "curves": ["nowhere"],
    "localisation": ["--model", "nowhere.safetensors"],
    "pretext_tasks": ["--model", "nowhere.safetensors"],
    "responses": ["--model", "nowhere.safetensors"],
    "faithfulness": ["--model", "nowhere.safetensors"],
    "sanity": ["--model", "nowhere.safetensors"],
    "optical_flow": ["--videos", "nowhere"],
    "class_retrieval": ["--videos", "nowhere"],
}


class CalledError(Exception):
    """The command was reached, with these options of ``run_cli``."""


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch):
    """The settings of a command, and its ``run_cli``'s other options."""

    def of(package: str, name: str) -> tuple[dict[str, Action], Mapping[str, Any]]:
        def called(config_class: type, **options: Any) -> None:
            raise CalledError(config_class, options)

        with monkeypatch.context() as patch:
            patch.setattr(run, "help_text", called)
            with pytest.raises(CalledError) as caught:
                call(package, [name, "--help"])
        config_class, options = caught.value.args
        settings = settings_of(make_parser(config_class))
        return {n: s for n, s in settings.items() if s.help != SUPPRESS}, options

    return of


def call(package: str, words: list[str]) -> int:
    return run_command(PACKAGES[package].COMMANDS, words, prog=package)


def one_error(capsys: pytest.CaptureFixture[str]) -> str:
    said = capsys.readouterr()
    lines = [line for line in said.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, said.err
    assert said.err.endswith(lines[0] + "\n")
    assert "Traceback" not in said.err
    return lines[0]


def enough(settings: Mapping[str, Action]) -> list[str]:
    """Words for all settings that have to be given."""
    required = [name for name, setting in settings.items() if setting.required and name != "out"]
    return [word for name in required for word in (f"--{name}", "x")]


def out_of(settings: Mapping[str, Action], folder: str | Path) -> list[str]:
    """A result in a folder, with an ending that the command takes."""
    default = settings["out"].default
    ending = Path(default).suffix if isinstance(default, str) else ".png"
    return ["--out", str(Path(folder) / f"result{ending}")]


@pytest.mark.parametrize("package", PACKAGES)
def test_commands_are_listed_with_a_line_each(package, capsys):
    assert call(package, []) == 0
    said = capsys.readouterr().out
    commands: Mapping[str, Command] = PACKAGES[package].COMMANDS
    lines = [line for line in said.splitlines() if line.startswith("  ")]
    assert [line.split()[0] for line in lines] == list(commands)
    assert all(len(line) <= 100 and len(line.split()) > 2 for line in lines)
    first = next(iter(commands))
    assert call(package, [first + "x"]) == 2
    assert f"Did you mean {first!r}?" in one_error(capsys)


@pytest.mark.parametrize(("package", "name"), ALL)
def test_help_explains_every_setting(package, name, settings, capsys):
    found, options = settings(package, name)
    assert call(package, [name, "--help"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: {options['prog']}")
    assert "python -m" in options["prog"]
    assert options["description"].endswith(".")
    assert options["examples"]
    for name, setting in found.items():
        assert setting.help, f"{name} is not explained"
        assert setting.help.endswith((".", "...", "?")), f"{name}: {setting.help}"
        assert f"\n  --{name} " in said
    flat = " ".join(said.split())
    assert flat.count(", default: ") + flat.count("(required, type: ") == len(found)


@pytest.mark.parametrize(("package", "name"), ALL)
def test_an_unknown_option_names_the_nearest(package, name, settings, capsys):
    found, _ = settings(package, name)
    known = next(iter(found))
    assert call(package, [name, f"--{known}x", "1"]) == 2
    assert f"unknown setting '{known}x'. Did you mean '{known}'?" in one_error(capsys)


@pytest.mark.parametrize(("package", "name"), ALL)
def test_a_missing_file(package, name, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call(package, [name, "--config", "nowhere.yaml"]) == 2
    assert "nowhere.yaml" in one_error(capsys)
    if name in INPUTS:
        assert call(package, [name, *INPUTS[name]]) == 2
        assert "nowhere" in one_error(capsys)
    assert list(tmp_path.rglob("*.*")) == []


@pytest.mark.parametrize(("package", "name"), ALL)
def test_an_out_that_cannot_be_written(package, name, settings, capsys, tmp_path, monkeypatch):
    found, _ = settings(package, name)
    if name in ("cost", "doctor", "dashboard"):  # nothing is written
        return
    words = [name, *enough(found)]
    (tmp_path / "file").write_text("kept")
    assert call(package, [*words, *out_of(found, tmp_path / "file")]) == 2
    assert f"{tmp_path / 'file'} is a file, but a folder is expected" in one_error(capsys)
    assert call(package, [*words, *out_of(found, "/proc")]) == 2
    assert "/proc takes no new files" in one_error(capsys)

    def full(**_options: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    assert call(package, [*words, *out_of(found, tmp_path)]) == 2
    assert "the disk is full" in one_error(capsys)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_the_list_of_commands_imports_no_torch():
    code = "import sys, {0}.__main__ as m; m.main([]); assert 'torch' not in sys.modules"
    for package in PACKAGES:
        subprocess.run([sys.executable, "-c", code.format(package)], check=True)


def test_every_study_is_a_command():
    studies = [study.name for study in list_studies()]
    assert [name for name in analysis.__main__.COMMANDS if name in studies] == studies
    for study in list_studies():
        assert analysis.__main__.COMMANDS[study.name].text == study.summary
