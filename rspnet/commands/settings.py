"""Configurations from YAML files and the words of a command line, and back to YAML.

A configuration is a dataclass; a field that is a dataclass itself is a group of settings, whose
names are dotted (``data.size``). The explanation of a setting is its entry below ``Attributes:`` in
the docstring of its class. Types, conversion and the help are jsonargparse's; here words and files
are brought into one form, and what it refuses is said in one sentence.
"""

import difflib
import re
import sys
import types
from argparse import SUPPRESS, Action
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, asdict, field, fields
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import yaml
from jsonargparse import ArgumentError, ArgumentParser
from jsonargparse._typehints import ActionTypeHint

from rspnet.files import atomic_path

C = TypeVar("C")
COMMAND_LINE = "command line"
_FLAG_VALUES = ("true", "yes", "on", "false", "no", "off")
# Settings of older run folders by what they are called now.
_RENAMED = {"observer": "callback"}


def one_of(choices: Sequence[str] | Callable[[], Iterable[str]], default: Any = MISSING) -> Any:
    """A field whose value, or each item of whose list, is one of some names.

    For names that a registry holds; where they are few and fixed, ``Literal`` says the same.

    Args:
        choices: The names, or a function that gives them when they are needed.
        default: The default; a list is copied. Without one, the setting has to be given.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True, kw_only=True)
        ... class Config:
        ...     heads: list[str] = one_of(("rsp", "avid"), ["rsp"])
        >>> parse_config(Config, ["--heads", "avid", "rsp"])
        Config(heads=['avid', 'rsp'])
    """
    about = {"choices": choices}
    if default is MISSING:
        return field(metadata=about)
    if isinstance(default, list):
        return field(default_factory=default.copy, metadata=about)
    return field(default=default, metadata=about)


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in (Union, types.UnionType)


def _narrowed(kind: Any, choices: tuple[str, ...]) -> Any:
    """A type with ``str`` replaced by a literal of these choices."""
    if kind is str:
        return Literal[choices]
    if _is_union(kind):
        return reduce(or_, (_narrowed(k, choices) for k in get_args(kind)))
    if get_origin(kind) is list:
        return list[_narrowed(get_args(kind)[0], choices)]  # type: ignore[misc]
    return kind


def make_parser(config_class: type) -> ArgumentParser:
    """The parser of a configuration class, whose help says what each setting means."""
    parser = ArgumentParser(exit_on_error=False, add_help=False)
    parser.add_class_arguments(config_class, None)
    choices = {e.name: e.metadata["choices"] for e in fields(config_class) if e.metadata}
    for action in parser._actions:
        if isinstance(action, ActionTypeHint) and action.dest in choices:
            names = choices[action.dest]
            names = tuple(names() if callable(names) else names)
            action._typehint = _narrowed(action._typehint, names)
        if _Kind(action).several:  # given as `--k 1 5`
            action.option_strings, action.metavar = [f"--{action.dest}"], "ITEM ..."
        if action.default is SUPPRESS:  # a whole group, which is explained by its settings
            action.help = SUPPRESS
        elif action.help is not None:
            action.help = re.sub(r":\w+:`~?([^`]+)`", r"\1", action.help).replace("``", "")
    general = parser.add_argument_group("all commands")
    alone: dict[str, Any] = {"action": "store_true", "default": SUPPRESS}
    general.add_argument("--help", help="Show this help.", **alone)
    general.add_argument(
        "--config", metavar="FILE.yaml", default=SUPPRESS, help="Read settings from a YAML file."
    )
    general.add_argument("--print_config", help="Print the settings as YAML.", **alone)
    return parser


def settings_of(parser: ArgumentParser) -> dict[str, Action]:
    """The settings of a parser, and their groups, by dotted name."""
    return {
        action.dest: action
        for action in parser._actions
        if action.dest not in ("help", "config", "print_config")
    }


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
    parser = make_parser(config_class)
    parser.description = description
    settings = settings_of(parser)
    bare = [f"{name.upper()}{' ...' * _Kind(settings[name]).several}" for name in positional]
    parser.usage = " ".join(
        [prog, *bare, "[--help]", "[--config FILE.yaml]", "[--SETTING VALUE ...]"]
    )
    lines = "".join(f"  {line}\n" for line in examples)
    return (parser.format_help() + (f"\nexamples:\n{lines}" if examples else "")).rstrip()


_WORDS = {
    "int": "an integer", "float": "a number", "bool": "true or false", "str": "a text",
    "dict": "a mapping",
}  # fmt: skip


class _Kind:
    """The type of a setting, as far as it decides which words belong to it."""

    def __init__(self, action: Action) -> None:
        kind: Any = getattr(action, "_typehint", None)
        members = set(get_args(kind) if _is_union(kind) else (kind,)) - {type(None)}
        lists = {k for k in members if get_origin(k) in (list, tuple)}
        self.group, self.flag = kind is None, kind is bool
        # A text or a path is what is written: YAML would take "~", "#1" and "null" for nothing.
        self.verbatim = bool(members & {str, Path}) and not members - lists - {str, Path}
        self.path = Path in members
        self.nullable = kind is Any or type(None) in get_args(kind)
        self.mapping = dict in {get_origin(k) or k for k in members}
        self.several, self.one = bool(lists), members != lists  # it may be a list, something else
        text = kind.__name__ if type(kind) is type else str(kind).replace("typing.", "")
        text = re.sub(
            r"Literal\[(.*?)\]", lambda names: "one of " + names[1].replace("'", ""), text
        )
        text = re.sub(r"^Optional\[(.*)\]$", r"\1 | None", text)
        # The type in words: "list[int] | None" is a list, each an integer, or null.
        text = re.sub(r"^(.*) \| None$", r"\1, or null", text)
        text = re.sub(r"\blist\[([^\]]*)\]", r"a list, each \1", text)
        text = re.sub(r"\btuple\[([^\]]*)\]", r"a list of \1", text)
        self.text = re.sub(r"\b(int|float|bool|str|dict)\b", lambda m: _WORDS[m[1]], text)
        if self.verbatim:
            self.text = f"a {'path' if self.path else 'text'}{' or several' * self.several}"


def _nearest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if not near:
        # "batchsize" may be what is meant by "data.batch_sizes": compare last parts too.
        tails = {key.rsplit(".", 1)[-1]: key for key in known}
        tail = difflib.get_close_matches(name.rsplit(".", 1)[-1], tails, n=1, cutoff=0.5)
        near = [tails[t] for t in tail]
    return f" Did you mean {near[0]!r}?" if near else ""


def _find_file(path: Path) -> Path:
    """A configuration file, or a recipe that ships, from whatever folder it is named.

    Raises:
        ValueError: There is neither.
    """
    package = Path(__file__).resolve().parents[1]
    # "pretrain/resnet18_k400" and "rspnet/configs/pretrain/resnet18_k400.yaml" name a recipe.
    shipped = [package / "configs" / f"{path}.yaml", package.parent / path]
    for found in (path, *shipped):
        if found.is_file():
            return found
    folder = package / "configs"
    recipes = [f.relative_to(folder).with_suffix("").as_posix() for f in folder.rglob("*.yaml")]
    raise ValueError(f"no configuration file {path}.{_nearest(str(path), recipes)}")


class _Given:
    """The values that are given for the settings of a parser, as they are written."""

    def __init__(self, parser: ArgumentParser) -> None:
        self.actions = settings_of(parser)
        self.kinds = {name: _Kind(action) for name, action in self.actions.items()}
        self.values: dict[str, Any] = {}
        self.where: dict[str, str] = {}

    def find(self, name: str, where: str) -> str:
        """The setting of this name, or the mapping that a key of this name belongs to.

        Raises:
            ValueError: There is none.
        """
        owners = (k for k, kind in self.kinds.items() if kind.mapping and name.startswith(f"{k}."))
        found = name if name in self.kinds else next(owners, None)
        if found is None:
            near = _nearest(name, list(self.kinds))
            raise ValueError(f"{where}: unknown setting {name!r}.{near}")
        return found

    def set(self, name: str, value: Any, where: str) -> None:
        """Take a value of a setting, of a key of a mapping, or of a group.

        Raises:
            ValueError: There is no such setting, or the value of a group is no mapping.
        """
        if where != COMMAND_LINE and name not in self.kinds:
            name = _RENAMED.get(name, name)
        owner = self.find(name, where)
        self.where[owner] = where
        if name != owner:
            before = self.values.get(owner)
            key = name.removeprefix(f"{owner}.")
            self.values[owner] = (before if isinstance(before, dict) else {}) | {key: value}
            return
        kind = self.kinds[name]
        given = value if isinstance(value, list) else [value]
        if kind.verbatim and any(isinstance(text, str) and not text.strip() for text in given):
            raise ValueError(
                f"{where}: {name} is empty (an unset variable?), got {value!r}, "
                f"expected {kind.text}"
            )
        if isinstance(value, str) and (kind.group or kind.mapping):
            with suppress(yaml.YAMLError):
                value = yaml.safe_load(value)
        if not kind.group:
            self.values[name] = value
        elif isinstance(value, Mapping):
            for key, inner in value.items():
                self.set(f"{name}.{key}", inner, where)
        else:
            raise ValueError(f"{where}: {name} is a group of settings, got {value!r}")

    def is_text(self, name: str, value: Any) -> bool:
        """Whether a value is to be taken as it is written."""
        kind = self.kinds[name]
        return kind.verbatim and isinstance(value, str) and not (kind.several and value[:1] == "[")

    def read_file(self, path: Path) -> None:
        """Take the values of a YAML file, whose names are dotted or nested.

        Raises:
            ValueError: There is no such file, it is no YAML, or a setting in it is unknown.
        """
        path = _find_file(path)
        try:
            tree = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is not a YAML file: {error}") from error
        if not isinstance(tree, Mapping):
            raise ValueError(f"{path} holds no settings: expected 'name: value' lines")
        for key, value in tree.items():
            self.set(str(key), value, str(path))

    def read_words(self, words: Sequence[str], positional: Sequence[str]) -> None:
        """Take the words of a command line, from left to right: what comes later wins.

        Raises:
            ValueError: A word belongs to no setting, or a setting lacks its value.
        """
        bare, added, rest = list[str](), set[str](), list(words)
        while rest:
            word = rest.pop(0)
            if not word.startswith("-"):
                bare.append(word)
                continue
            name, equals, value = word.partition("=")
            if name.startswith("--"):
                name = name.removeprefix("--").replace("-", "_")
            if name == "config":
                if not equals and not rest:
                    raise ValueError("--config needs a YAML file")
                self.read_file(Path(value if equals else rest.pop(0)))
                continue
            kind = self.kinds[self.find(name, COMMAND_LINE)]
            values = [value] if equals else self._values(name, kind, rest)
            if kind.several and values[0][:1] != "[" and (len(values) > 1 or not kind.one):
                # A repeated option adds to its list.
                before = self.values[name] if name in added else []
                self.set(name, [*before, *values], COMMAND_LINE)
                added.add(name)
            else:
                self.set(name, values[0], COMMAND_LINE)
        for name in positional if bare else ():
            several = self.kinds[name].several
            self.set(name, bare if several else bare[0], COMMAND_LINE)
            bare = [] if several else bare[1:]
            if not bare:
                break
        if bare:
            hint = "" if positional else ": settings are given as --name value"
            raise ValueError(f"unexpected word {bare[0]!r}{hint}")

    def _values(self, name: str, kind: _Kind, rest: list[str]) -> list[str]:
        """Take from ``rest`` the words that belong to an option."""
        if kind.flag:
            return [rest.pop(0) if rest and rest[0].lower() in _FLAG_VALUES else "true"]
        values: list[str] = []
        while rest and not rest[0].startswith("--"):
            values.append(rest.pop(0))
            if not kind.several or values[0][:1] == "[":
                break
        if not values:
            raise ValueError(f"--{name} needs a value that is {kind.text}")
        return values


def parse_config(
    config_class: type[C],
    arguments: Sequence[str] | None = None,
    *,
    positional: Sequence[str] = (),
) -> C:
    """Read a configuration from ``--config FILE.yaml`` and dotted options.

    Args:
        config_class: A dataclass of settings.
        arguments: The command line's words; nothing takes the process's own. What comes later
            wins. ``--num-videos`` is read as ``--num_videos``; a flag's name alone means true; a
            list is given as ``--k 1 5`` or ``--k "[1, 5]"``. A text or path is taken as it is
            written: it is no YAML, and can't be empty.
        positional: Settings that bare words stand for, in their order.

    Raises:
        ValueError: A setting is unknown (the nearest is named) or missing, or its value is refused.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True, kw_only=True)
        ... class Config:
        ...     num_videos: int = 4
        ...     linear: bool = False
        >>> parse_config(Config, ["--num-videos", "8", "--linear"])
        Config(num_videos=8, linear=True)
    """
    parser = make_parser(config_class)
    given = _Given(parser)
    given.read_words(sys.argv[1:] if arguments is None else arguments, positional)
    missing = [
        (name.upper() if name in positional else f"--{name}")
        + (f" ({action.help.rstrip('.')})" if action.help else "")
        for name, action in given.actions.items()
        if action.required and name not in given.values
    ]
    if missing:
        raise ValueError(f"missing: {', '.join(missing)}")
    texts = {name: text for name, text in given.values.items() if given.is_text(name, text)}
    try:
        read = parser.parse_object({**given.values, **dict.fromkeys(texts, "text")})
        for name, text in texts.items():
            read[name] = Path(text) if given.kinds[name].path else text
        for name, kind in given.kinds.items():
            # jsonargparse takes null for whatever type.
            if name in given.values and read.get(name) is None and not kind.nullable:
                raise ValueError(f"{given.where[name]}: {name} is {kind.text}, got null")
        made = parser.instantiate(read)
    except ArgumentError as error:
        key = re.search(r'Parser key "([^"]+)"', str(error))
        if key is None or key[1] not in given.values:
            raise ValueError(str(error)) from error
        name = key[1]
        raise ValueError(
            f"{given.where[name]}: {name} is {given.kinds[name].text}, got {given.values[name]!r}"
        ) from None
    return config_class(**{entry.name: made[entry.name] for entry in fields(config_class)})  # type: ignore[arg-type]


def to_plain(config: Any) -> dict[str, Any]:
    """A configuration as plain YAML values."""

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: plain(v) for key, v in value.items()}
        if isinstance(value, list | tuple):
            return [plain(v) for v in value]
        return str(value) if isinstance(value, Path) else value

    return dict(plain(asdict(config)))


def save_config(config: Any, path: Path) -> None:
    """Write a configuration so that ``--config`` reads it back."""
    with atomic_path(path) as temporary:
        temporary.write_text(yaml.safe_dump(to_plain(config), sort_keys=False))
