"""What the documentation prints can be typed: commands, options, files and targets exist."""

import contextlib
import io
import json
import re
import shlex
from collections.abc import Iterator
from functools import lru_cache
from importlib import import_module, util
from pathlib import Path

import pytest

from analysis.report.results import ReportResults

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "checkpoints" / "README.md", *ROOT.glob("docs/**/*.md")])
_STARTS = ("python ", "torchrun ", "rspnet", "streamlit run ", "make ")


def code_lines(text: str) -> Iterator[str]:
    """Lines of fenced blocks, continuations joined, and code in the text and in tables."""
    for block in re.findall(r"```(?:bash|text)?\n(.*?)```", text, flags=re.DOTALL):
        yield from re.sub(r"\\\n\s*", " ", block).splitlines()
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    yield from (code.replace("\n", " ") for code in re.findall(r"`([^`]+)`", prose))


def commands(text: str) -> list[str]:
    """Lines that begin a command of this project."""
    lines = (line.strip() for line in code_lines(text))
    found = [line.replace(" ...", "") for line in lines if line.startswith(_STARTS)]
    return [line for line in found if re.match(r"(rspnet(-analysis)? |(?!rspnet))", line)]


CASES = sorted(
    {(page.relative_to(ROOT).as_posix(), c) for page in PAGES for c in commands(page.read_text())}
)


def split(command: str) -> tuple[str, list[str]]:
    """The module that a command runs, or the file or target, and its further words."""
    words = shlex.split(command.replace("&", ""), comments=True)
    program, *rest = words
    if program in ("rspnet", "rspnet-analysis"):
        return {"rspnet": "rspnet", "rspnet-analysis": "analysis"}[program], rest
    if program == "streamlit":
        return "dashboard", [word for word in rest[2:] if word != "--"]
    if program == "make":
        return "make", rest
    if program == "torchrun" and "-m" not in rest:  # its own options alone
        return "torchrun", []
    if "-m" in rest:
        place = rest.index("-m")
        return rest[place + 1], rest[place + 2 :]
    return rest[0], rest[1:]


@lru_cache
def help_of(module: str, command: str | None) -> str:
    """What ``--help`` prints."""
    name = (
        module if callable(getattr(import_module(module), "main", None)) else f"{module}.__main__"
    )
    words = [command, "--help"] if command else ["--help"]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        import_module(name).main(words)
    return printed.getvalue()


def test_there_are_commands_of_every_kind() -> None:
    programs = {split(command)[0] for _, command in CASES}
    assert {"rspnet.train", "rspnet.retrieve", "analysis", "dashboard", "make"} <= programs
    assert len(CASES) > 60


@pytest.mark.parametrize(("page", "command"), CASES)
def test_command_exists_with_its_options(page: str, command: str) -> None:
    program, words = split(command)
    if program == "torchrun":
        return
    if program == "make":
        assert not words or re.search(rf"^{words[0]}:.*##", (ROOT / "Makefile").read_text(), re.M)
        return
    if program.endswith(".py"):
        assert (ROOT / program).is_file()
        known = (ROOT / program).read_text()
    else:
        several = program in ("rspnet", "analysis")
        name = words[0] if several and words else None
        if name and not re.fullmatch("[a-z][a-z0-9_]*", name):
            return  # a placeholder such as COMMAND
        if program.startswith("benchmarks."):
            spec = util.find_spec(program)
            assert spec is not None
            assert spec.origin is not None
            known = Path(spec.origin).read_text()
        else:
            known = help_of(program, name)
        assert known, f"{page}: there is no command {program} {name or ''}"
    for word in words:
        if program.startswith("benchmarks"):  # only that the module exists is checked
            break
        if word.startswith("--") and len(word) > 2:
            option = word.split("=")[0]
            assert re.search(rf"(?<![\w-]){option}(?![\w.-])", known), f"{page}: no {option}"


@pytest.mark.parametrize("page", [page.relative_to(ROOT).as_posix() for page in PAGES])
def test_pictures_and_files_that_a_page_names_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if "://" not in target:
            assert ((ROOT / page).parent / target).exists(), target
    for target in re.findall(
        r"`((?:rspnet|analysis|benchmarks|examples|tests)/[\w/.]+\.\w+)`", text
    ):
        assert (ROOT / target).exists(), target
    for target in re.findall(r'--8<-- "([^":]+)', text):
        assert (ROOT / target).is_file(), target


def test_headline_numbers_are_those_of_the_report() -> None:
    report = json.loads((ROOT / "checkpoints" / "rspnet_small.report.json").read_text())
    table = ReportResults.from_json(report).tables["localisation"]["synthetic"]
    text = (ROOT / "README.md").read_text().replace("**", "")
    for region in ("limbs", "prop"):
        for head in ("rsp", "avid"):
            row = table.one(
                weights="trained", kind="margin_faster", head=head, region=region, speed="both"
            )
            found = row["ratio"]
            assert f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]" in text
