"""What every command does with its words, its result and its errors."""

import errno
import os
import signal
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import pytest

from rspnet.commands import Command, one_of, parse_config, run_cli, run_command
from rspnet.commands.settings import save_config


@dataclass(frozen=True, kw_only=True)
class Group:
    """A group.

    Attributes:
        size: Side in pixels.
        lr: Rate.
    """

    size: int = 112
    lr: float = 0.1


@dataclass(frozen=True, kw_only=True)
class Config:
    """A toy.

    Attributes:
        source: What is read.
        out: What is written.
        num_videos: How many videos.
        k: Ranks.
        model: One or more models.
        half: Whether to halve.
        shared: Whether to share.
        kind: Which kind.
        start: First frame; nothing for the middle.
        speeds: Two speeds.
        options: Anything.
        data: The data.
    """

    source: str
    out: str | None = None
    num_videos: int = 4
    k: list[int] = field(default_factory=lambda: [1, 5])
    model: str | list[str] = "default"
    half: bool = False
    shared: bool = True
    kind: Literal["max", "avg"] = "max"
    start: int | None = None
    speeds: tuple[int, int] = (1, 2)
    options: dict[str, Any] = field(default_factory=dict)
    data: Group = field(default_factory=lambda: Group(size=64))


def call(words, run=lambda config: None, **options):
    return run_cli(Config, run, words, prog="toy", description="A toy.", **options)


def parsed(*words, **options):
    found = []
    assert call(words, found.append, **options) == 0
    return found[0]


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["--num-videos", "8"], "num_videos", 8),
        (["--num_videos=8"], "num_videos", 8),
        (["--half"], "half", True),
        (["--half", "no"], "half", False),
        (["--k", "3", "7"], "k", [3, 7]),
        (["--k", "3", "--k", "7"], "k", [3, 7]),
        (["--k", "[3, 7]"], "k", [3, 7]),
        (["--k", "3"], "k", [3]),
        (["--model", "a"], "model", "a"),
        (["--model", "a", "b"], "model", ["a", "b"]),
        (["--model", "[a, b]"], "model", ["a", "b"]),
        (["--start", "-3"], "start", -3),
        (["--start", "3", "--start", "null"], "start", None),
        (["--speeds", "1", "4"], "speeds", (1, 4)),
        (
            ["--options.width", "24", "--options.deep", "yes"],
            "options",
            {"width": 24, "deep": True},
        ),
        (["--options", "{width: 24}"], "options", {"width": 24}),
        (["--data.lr", "1e-3"], "data", Group(size=64, lr=0.001)),
        (["--data", "{lr: 1}"], "data", Group(size=64, lr=1.0)),
    ],
)
def test_words_are_read(words, name, value):
    assert getattr(parsed("--source", "s", *words), name) == value


@pytest.mark.parametrize("word", ["~", "null", "#clips", "&a", "1e3", "a: b", "caf\udce9"])
def test_a_text_is_taken_as_it_is_written(word, tmp_path):
    @dataclass(frozen=True, kw_only=True)
    class Places:
        """Places.

        Attributes:
            one: A text.
            some: Texts.
            path: A path.
        """

        one: str | None = None
        some: str | list[str] | None = None
        path: Path | None = None

    settings = parse_config(Places, ["--one", word, "--some", word, "--path", word])
    assert settings == Places(one=word, some=word, path=Path(word))
    save_config(settings, tmp_path / "config.yaml")
    assert parse_config(Places, ["--config", str(tmp_path / "config.yaml")]) == settings
    (tmp_path / "empty.yaml").write_text("one: ''")
    with pytest.raises(ValueError, match=r"empty.yaml: one is empty .* expected a text"):
        parse_config(Places, ["--config", str(tmp_path / "empty.yaml")])
    (tmp_path / "nothing.yaml").write_text("one: null")
    assert parse_config(Places, ["--config", str(tmp_path / "nothing.yaml")]) == Places()


def test_bare_words_stand_for_the_settings_named(tmp_path):
    config = parsed("in", "--half", "out", positional=("source", "out"))
    assert (config.source, config.out, config.half) == ("in", "out", True)
    assert parsed("in", "a", "b", positional=("source", "model")).model == ["a", "b"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "missing: --source (What is read)"),
        (["--source", "s", "x"], "unexpected word 'x': settings are given as --name value"),
        (["--source"], "--source needs a value that is a text"),
        (["--source", "s", "--num_video", "3"], "Did you mean 'num_videos'?"),
        (["--source", "s", "--start", "x"], "start is an integer, or null, got 'x'"),
        (["--source", "s", "--num_videos", "1.5"], "num_videos is an integer, got '1.5'"),
        (["--source", "s", "--kind", "min"], "kind is one of max, avg, got 'min'"),
        (["--source", "s", "--k", "a"], "k is a list, each an integer, got ['a']"),
        (["--source", "s", "--k", "[1"], "k is a list, each an integer, got '[1'"),
        (
            ["--source", "s", "--speeds", "1"],
            "speeds is a list of an integer, an integer, got ['1']",
        ),
        (["--source", "s", "--data", "3"], "data is a group of settings, got 3"),
        (["--source", "s", "--config"], "--config needs a YAML file"),
        (["--source", "s", "-v"], "unknown setting '-v'"),
        (["--source", ""], "source is empty (an unset variable?), got '', expected a text"),
        (["--source", "s", "--model", "a", " "], "model is empty (an unset variable?), got ['a'"),
    ],
)
def test_mistakes_are_one_sentence_and_status_2(words, message, capsys):
    assert call(words) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1


def test_a_file_is_no_yaml(tmp_path, capsys):
    file = tmp_path / "c.yaml"
    file.write_text("a: [1\n")
    assert call(["--config", str(file)]) == 2
    assert f"error: {file} is not a YAML file" in capsys.readouterr().err
    file.write_text("num_videos: '8'\ndata.size: 5\nsource: s\n")
    assert parsed("--config", str(file)).num_videos == 8
    file.write_text("source: 5\n")
    assert call(["--config", str(file)]) == 2
    assert f"{file}: source is a text, got 5" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("two\nlines"), "two lines"),
        (OSError(errno.ENOSPC, "No space", "x/y"), "the disk is full: x/y could not be written"),
        (OSError(errno.EROFS, "Read-only", "x"), "x is on a read-only file system"),
        (OSError(errno.EACCES, "Denied", "x"), "no permission for x"),
        (OSError(errno.ENOENT, "None", "x"), "there is no file or folder x"),
        (OSError(errno.EISDIR, "Is a directory", "x"), "x is a folder, but a file is expected"),
        (OSError(errno.EIO, "Input/output error", "x"), "Input/output error: x"),
        (OSError("encoder error -2"), "encoder error -2"),
        (MemoryError(), "the memory is full"),
    ],
)
def test_errors_that_a_user_can_cause(error, message, capsys):
    def run(_config):
        raise error

    assert call(["--source", "s"], run) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {message}")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("job", "message"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "a worker process was killed, as the"),
        (lambda: {}["nothing"], "a worker process failed with KeyError: 'nothing'"),
    ],
)
def test_a_run_that_failed_in_a_process_of_its_pool(job, message, capsys, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "_job", job, raising=False)

    def run(_config):
        with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:
            pool.submit(_call_job).result()

    assert call(["--source", "s"], run) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: {message}")
    assert said.count("\n") == 1


def _call_job():
    return sys.modules[__name__]._job()


def test_a_fault_in_the_program_is_not_hidden():
    with pytest.raises(KeyError):
        call(["--source", "s"], lambda config: {}["nothing"])


def test_interrupted(capsys):
    def run(_config):
        raise KeyboardInterrupt

    assert call(["--source", "s"], run) == 130
    assert "begins again from the start" in capsys.readouterr().err
    assert call(["--source", "s"], run, resumes=True) == 130
    assert "resumes where it stopped" in capsys.readouterr().err


def test_the_status_is_that_of_the_run():
    assert call(["--source", "s"], lambda config: 143) == 143


@pytest.mark.parametrize(
    ("kind", "place", "message"),
    [
        ("folder", "file", "file is a file, but a folder is expected there"),
        ("folder", "file/below", "file is a file, but a folder is expected there"),
        ("file", "file/below.json", "file is a file, but a folder is expected there"),
        ("file", "folder", "folder is a folder, but a file is expected there"),
        ("folder", "/dev/full", "/dev/full is a file, but a folder is expected there"),
        ("file", "/dev/full", "/dev/full is a device, but a file is expected"),
        ("file", "/proc/result.json", "/proc takes no new files"),
        ("folder", "/proc/result", "/proc takes no new files"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_at_once(kind, place, message, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    ran = []
    words = ["--source", "s", "--out", str(tmp_path / place)]
    assert call(words, ran.append, out=kind) == 2
    assert message in capsys.readouterr().err
    assert not ran


def test_places_that_can_be_written(tmp_path):
    (tmp_path / "file").write_text("kept")
    for kind, place in (("file", "file"), ("file", "a/b"), ("folder", "."), ("folder", "a/b")):
        parsed("--source", "s", "--out", str(tmp_path / place), out=kind)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "kept"


def test_help(capsys):
    words = ["--help"]
    options = {"examples": ("toy --half",), "positional": ("source",)}
    assert call(words, **options) == 0
    said = capsys.readouterr().out
    assert said.startswith("usage: toy SOURCE [--help] [--config FILE.yaml] [--SETTING VALUE ...]")
    flat = " ".join(said.split())
    assert "--source SOURCE What is read. (required, type: str)" in flat
    assert "Ranks. (type: list[int], default: [1, 5])" in flat
    assert "One or more models. (type: str | list[str], default: default)" in flat
    assert "--half {true,false} Whether to halve. (type: bool, default: False)" in flat
    assert "--kind {max,avg} Which kind. (type: Literal['max', 'avg'], default: max)" in flat
    assert "\nThe data:\n  --data.size SIZE " in said
    assert "Side in pixels. (type: int, default: 64)" in flat
    assert said.endswith("examples:\n  toy --half\n")


def test_print_config_reads_back(tmp_path, capsys):
    words = ["--source", "s", "--k", "3", "--data.lr", "0.5"]
    assert call([*words, "--print_config"]) == 0
    file = tmp_path / "c.yaml"
    file.write_text(capsys.readouterr().out)
    assert parsed("--config", str(file)) == parsed(*words)


def test_the_list_of_commands(capsys):
    commands = {"cost": Command("rspnet.cost", "what it takes"), "train": Command("x", "trains")}
    assert run_command(commands, [], prog="toys") == 0
    said = capsys.readouterr().out
    assert said == (
        "usage: toys COMMAND [--help | SETTINGS]\n\ncommands:\n"
        "  cost   what it takes\n  train  trains\n"
    )
    assert run_command(commands, ["tran"], prog="toys") == 2
    assert capsys.readouterr().err == "error: there is no command 'tran'. Did you mean 'train'?\n"
    assert run_command(commands, ["cost", "--nonsense"], prog="toys") == 2


def test_further_commands_are_read_only_when_they_are_needed(capsys):
    called = []

    def more():
        called.append("more")
        return {"flow": Command(lambda words: len(words), "measures flow", "studies")}

    commands = {"now": Command(lambda words: 7, "at once")}
    assert run_command(commands, ["now"], prog="toys", more=more) == 7
    assert not called
    assert run_command(commands, ["flow", "a", "b"], prog="toys", more=more) == 2
    assert run_command(commands, [], prog="toys", more=more) == 0
    said = capsys.readouterr().out
    assert said.endswith("\ncommands:\n  now   at once\n\nstudies:\n  flow  measures flow\n")


def test_choices_of_a_registry_are_checked_and_listed(capsys):
    @dataclass(frozen=True, kw_only=True)
    class Chosen:
        """A toy.

        Attributes:
            heads: Which heads.
            map: Which map.
        """

        heads: list[str] = one_of(lambda: ("rsp", "avid"), ["rsp"])
        map: str | None = one_of(("cam", "margin"), None)

    def call(*words):
        return run_cli(Chosen, print, words, prog="toy", description="A toy.")

    assert call("--heads", "avid", "rsp", "--map", "cam") == 0
    assert "Chosen(heads=['avid', 'rsp'], map='cam')" in capsys.readouterr().out
    assert call("--heads", "avid", "x") == 2
    assert "heads is a list, each one of rsp, avid, got ['avid', 'x']" in capsys.readouterr().err
    assert call("--map", "x") == 2
    assert "map is one of cam, margin, or null, got 'x'" in capsys.readouterr().err
    assert call("--help") == 0
    assert "(type: list[Literal['rsp', 'avid']], default: ['rsp'])" in " ".join(
        capsys.readouterr().out.split()
    )


def test_a_name_that_a_library_does_not_take_is_said(capsys):
    def run(config):
        print(config.source)
        config.source.encode()

    assert call(["--source", "caf\udce9"], run) == 2
    found = capsys.readouterr()
    assert found.out == "caf\\udce9\n"
    assert r"a name that is not UTF-8 can't be used here: caf\xe9: choose another" in found.err
