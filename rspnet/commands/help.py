"""The text of ``--help``: every setting with its type, its default and what it means."""

import re
import shutil
import textwrap
import types
from collections.abc import Sequence
from dataclasses import MISSING
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import yaml

from rspnet.commands.settings import Setting, settings_of

_NAMES = {
    int: "INTEGER", float: "NUMBER", str: "TEXT", Path: "PATH", dict: "MAPPING",
    bool: "{true,false}",
}  # fmt: skip
_NO_BREAK = "\N{NO-BREAK SPACE}"


def _placeholder(kind: Any) -> str:
    """How a value is written in the help.

    Example:
        >>> _placeholder(list[int]), _placeholder(Literal["max", "avg"] | None)
        ('INTEGER ...', '{max,avg}')
    """
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        words = [_placeholder(k) for k in args if k is not type(None)]
        several = [word for word in words if word.endswith("...")]
        # "TEXT or TEXT ..." is said by the latter.
        return "|".join(w for w in words if f"{w} ..." not in several)
    if origin is Literal:
        return "{" + ",".join(str(arg) for arg in args) + "}"
    if origin is tuple and Ellipsis not in args:
        return " ".join(_placeholder(arg) for arg in args)
    if origin in (list, tuple):
        return f"{_placeholder(args[0])} ..."
    return _NAMES.get(origin or kind, "VALUE")


def _shown(default: Any) -> str:
    if default is None:
        return "none"
    if isinstance(default, str | Path):
        return str(default) or "''"
    if isinstance(default, tuple):
        default = list(default)
    return yaml.safe_dump(default, default_flow_style=True, width=10_000).split("\n...")[0].strip()


def _plain(text: str) -> str:
    """A docstring's sentence without its markup."""
    return re.sub(r":\w+:`~?([^`]+)`", r"\1", text).replace("``", "")


def _entry(setting: Setting, positional: bool, width: int) -> str:
    name = setting.name.upper() if positional else f"--{setting.name}"
    # The name of a flag alone turns it on; one that is on needs a value to be turned off.
    if not positional and (not setting.is_flag or setting.default is True):
        choices = "{" + ",".join(setting.choices) + "}" + " ..." * setting.takes_several
        name += f" {choices if setting.choices else _placeholder(setting.kind)}"
    default = (
        "(required)" if setting.default is MISSING else f"(default: {_shown(setting.default)})"
    )
    # The default stays on one line.
    text = f"{_plain(setting.text)} {default.replace(' ', _NO_BREAK)}".strip()
    indent = " " * 6
    body = textwrap.fill(
        text, width, initial_indent=indent, subsequent_indent=indent, break_long_words=False
    )
    return f"  {name}\n{body}".replace(_NO_BREAK, " ")


def help_text(
    config_class: type,
    *,
    prog: str,
    description: str,
    examples: Sequence[str] = (),
    positional: Sequence[str] = (),
) -> str:
    """The help of a command: usage, settings by group, examples.

    Args:
        config_class: Its configuration.
        prog: How it is called.
        description: What it does.
        examples: Command lines.
        positional: Settings that bare words stand for.
    """
    width = max(60, min(100, shutil.get_terminal_size().columns))
    settings = list(settings_of(config_class))
    by_name = {s.name: s for s in settings}
    usage = "".join(
        f" {name.upper()}{' ...' if by_name[name].takes_several else ''}" for name in positional
    )
    blocks = [f"usage: {prog}{usage} [--help] [--config FILE.yaml] [--SETTING VALUE ...]"]
    blocks.append(textwrap.fill(description, width))
    if positional:
        entries = [_entry(by_name[name], True, width) for name in positional]
        blocks.append("\n".join(["arguments:", *entries]))
    general = "settings:\n  --config FILE.yaml\n      Read settings from a YAML file."
    heads = {"": general} | {
        s.name: textwrap.fill(f"settings of {s.name}: {_plain(s.text)}", width)
        for s in settings
        if s.is_group
    }
    for group, head in heads.items():
        members = [
            s
            for s in settings
            if s.name.rpartition(".")[0] == group and not s.is_group and s.name not in positional
        ]
        if members:
            blocks.append("\n".join([head, *(_entry(s, False, width) for s in members)]))
        elif not group:
            blocks.append(head)
    if examples:
        blocks.append("\n".join(["examples:", *(f"  {line}" for line in examples)]))
    return "\n\n".join(blocks)
