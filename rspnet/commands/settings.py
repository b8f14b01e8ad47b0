"""Configurations from YAML files and the words of a command line, and back to YAML.

A configuration is a dataclass; a field that is a dataclass itself is a group of settings, whose
names are dotted (``data.size``). The explanation of a setting is its entry below ``Attributes:`` in
the docstring of its class.
"""

import difflib
import inspect
import re
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from rspnet.files import atomic_path

C = TypeVar("C")
_TRUE, _FALSE = ("true", "yes", "on"), ("false", "no", "off")
_NOTHING = ("null", "none", "~")
_ORDER = (dict, list, tuple, bool, Literal, int, float, Path, str, Any)  # of a union's members


@dataclass(frozen=True)
class Setting:
    """One setting of a configuration, or a group of them.

    Attributes:
        name: Its dotted name.
        kind: Its type.
        default: Its default, or ``dataclasses.MISSING`` where it has to be given.
        text: What it means.
        is_group: Whether it is a dataclass of settings.
        choices: What its value, or each item of it, is one of; empty: anything.
    """

    name: str
    kind: Any
    default: Any
    text: str
    is_group: bool = False
    choices: tuple[str, ...] = ()

    @property
    def expected(self) -> str:
        """Its type in words."""
        if not self.choices:
            return describe_kind(self.kind)
        each = "a list, each " if self.takes_several else ""
        return f"{each}one of {', '.join(self.choices)}"

    @property
    def takes_several(self) -> bool:
        """Whether its value may be a list."""
        return any(get_origin(kind) in (list, tuple) for kind in _members(self.kind))

    @property
    def takes_one(self) -> bool:
        """Whether its value may be something else than a list."""
        return any(_origin(kind) not in (list, tuple, type(None)) for kind in _members(self.kind))

    @property
    def is_flag(self) -> bool:
        """Whether its name alone means true."""
        return self.kind is bool


def one_of(choices: Sequence[str] | Callable[[], Iterable[str]], default: Any = MISSING) -> Any:
    """A field whose value, or each item of whose list, is one of some names.

    For names that a registry holds; where they are few and fixed, ``Literal`` says the same.

    Args:
        choices: The names, or a function that gives them when they are needed.
        default: The default; a list is copied. Without one, the setting has to be given.

    Example:
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


def explanations(config_class: type) -> dict[str, str]:
    """What the docstrings of a class and of those that it inherits from say of its attributes.

    Example:
        >>> explanations(Setting)["kind"]
        'Its type.'
    """
    found: dict[str, str] = {}
    for owner in reversed(config_class.__mro__):
        _, _, section = inspect.cleandoc(owner.__doc__ or "").partition("Attributes:\n")
        name = ""
        for line in section.splitlines():
            entry = re.match(r" {4}(\w+): (.*)", line)
            if entry:
                name, found[entry[1]] = entry[1], entry[2].strip()
            elif line and not line.startswith(" "):
                break
            elif name and line.strip():
                found[name] += " " + line.strip()
    return found


def settings_of(config_class: type, default: Any = MISSING, prefix: str = "") -> Iterator[Setting]:
    """All settings of a configuration, each group before its members.

    Args:
        config_class: A dataclass.
        default: A configuration whose values are the defaults, if not those of the class.
        prefix: What stands before their names.
    """
    texts, kinds = explanations(config_class), get_type_hints(config_class)
    for entry in fields(config_class):
        value = entry.default
        if default is not MISSING:
            value = getattr(default, entry.name)
        elif callable(entry.default_factory):
            value = entry.default_factory()
        kind, name = kinds[entry.name], prefix + entry.name
        is_group = isinstance(kind, type) and is_dataclass(kind)
        choices = entry.metadata.get("choices", ())
        choices = tuple(choices() if callable(choices) else choices)
        yield Setting(name, kind, value, texts.get(entry.name, ""), is_group, choices)
        if is_group:
            yield from settings_of(kind, value, f"{name}.")


def _origin(kind: Any) -> Any:
    return get_origin(kind) or kind


def _members(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)


def describe_kind(kind: Any) -> str:
    """A type in words.

    Example:
        >>> describe_kind(tuple[int, ...] | None)
        'a list of integers, or none'
    """
    if len(_members(kind)) > 1:
        words = [describe_kind(k) for k in _members(kind) if k is not type(None)]
        return " or ".join(words) + (", or none" if type(None) in _members(kind) else "")
    args = get_args(kind)
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(str(arg) for arg in args)
    if get_origin(kind) in (list, tuple):
        item = describe_kind(args[0]).removeprefix("an ").removeprefix("a ")
        if get_origin(kind) is tuple and Ellipsis not in args:
            return f"{len(args)} {item}s"
        return f"a list, each {item}" if item.startswith("one of") else f"a list of {item}s"
    names = {bool: "true or false", int: "an integer", float: "a number", str: "a text"}
    names |= {Path: "a path", dict: "a mapping"}
    return names.get(_origin(kind), "a value")


class _MismatchError(Exception):
    """A value is not of a type."""


def _loaded(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise _MismatchError from error


def _item_kinds(kind: Any, num: int) -> Sequence[Any]:
    args = get_args(kind) or (Any,)
    if get_origin(kind) is tuple and Ellipsis not in args:
        if len(args) != num:
            raise _MismatchError
        return args
    return [args[0]] * num


def _number(value: Any, kind: Callable[[Any], Any]) -> Any:
    whole = kind is int and isinstance(value, float)
    if isinstance(value, bool) or whole or not isinstance(value, int | float | str):
        raise _MismatchError
    try:
        return kind(value)
    except ValueError as error:
        raise _MismatchError from error


def _convert(value: Any, kind: Any) -> Any:
    """A value from a YAML file or a word of the command line, as one of this type."""
    origin = _origin(kind)
    if origin in (Union, types.UnionType):
        members = [k for k in _members(kind) if k is not type(None)]
        if len(members) < len(_members(kind)) and (
            value is None or (isinstance(value, str) and value.lower() in _NOTHING)
        ):
            return None
        for member in sorted(members, key=lambda k: _ORDER.index(_origin(k))):
            try:
                return _convert(value, member)
            except _MismatchError:
                continue
        raise _MismatchError
    if origin is Any:
        return _loaded(value) if isinstance(value, str) else value
    if origin is Literal:
        for choice in get_args(kind):
            if value == choice or (isinstance(value, str) and value == str(choice)):
                return choice
        raise _MismatchError
    if isinstance(value, str) and origin in (list, tuple, dict):
        value = _loaded(value) if value[:1] in ("[", "{") else value
    if origin in (list, tuple) and isinstance(value, list | tuple):
        kinds = _item_kinds(kind, len(value))
        return origin(_convert(item, k) for item, k in zip(value, kinds, strict=True))
    if origin is bool and isinstance(value, str) and value.lower() in (*_TRUE, *_FALSE):
        return value.lower() in _TRUE
    if origin in (int, float):
        return _number(value, origin)
    if origin is Path and isinstance(value, str | Path):
        return Path(value)
    if origin in (str, bool, dict) and isinstance(value, origin):
        return value
    raise _MismatchError


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


class _Reader:
    """Collects the values that are given for a configuration class, by dotted names."""

    def __init__(self, config_class: type, positional: Sequence[str] = ()) -> None:
        self.config_class = config_class
        self.positional = positional
        self.settings = {s.name: s for s in settings_of(config_class)}
        self.given: dict[str, Any] = {}

    def label(self, name: str) -> str:
        """A setting's name as it is given."""
        return name.upper() if name in self.positional else f"--{name}"

    def find(self, name: str, where: str) -> Setting:
        """The setting of this name, or the one that a key of a mapping belongs to."""
        inside = [k for k in self.settings if name.startswith(f"{k}.")]
        owner = name if name in self.settings else inside[-1] if inside else ""
        found = self.settings.get(owner)
        if found is None or (owner != name and _origin(found.kind) is not dict):
            known = list(self.settings)
            raise ValueError(f"{where}: unknown setting {name!r}.{_nearest(name, known)}")
        return found

    def set(self, name: str, value: Any, where: str) -> None:
        """Take a value for a setting.

        Raises:
            ValueError: There is no such setting, or the value is of another type.
        """
        setting = self.find(name, where)
        try:
            if setting.is_group or name != setting.name:
                value = _loaded(value) if isinstance(value, str) else value
            if setting.is_group:
                self.set_all(_convert(value, dict), where, f"{name}.")
            elif name == setting.name:
                self.given[name] = self._checked(_convert(value, setting.kind), setting)
            else:
                inside = name.removeprefix(f"{setting.name}.")
                self.given[setting.name] = {**self.given.get(setting.name, {}), inside: value}
        except _MismatchError:
            expected = "a group of settings" if setting.is_group else setting.expected
            raise ValueError(f"{where}: {name} is {expected}, got {value!r}") from None

    def _checked(self, value: Any, setting: Setting) -> Any:
        items = value if isinstance(value, list | tuple) else [value]
        if setting.choices and value is not None and not set(items) <= set(setting.choices):
            raise _MismatchError
        return value

    def set_all(self, tree: Mapping[Any, Any], where: str, prefix: str = "") -> None:
        """Take the values of a YAML file, whose names are dotted or nested."""
        for key, value in tree.items():
            self.set(f"{prefix}{key}", value, where)

    def read_file(self, path: Path) -> None:
        """Take the values of a YAML file.

        Raises:
            ValueError: There is no such file, it is no YAML, or a setting in it is wrong.
        """
        path = _find_file(path)
        try:
            tree = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is not a YAML file: {error}") from error
        if not isinstance(tree, Mapping):
            raise ValueError(f"{path} holds no settings: expected 'name: value' lines")
        self.set_all(tree, str(path))

    def read_words(self, words: Sequence[str]) -> None:
        """Take the words of a command line, from left to right: what comes later wins.

        Raises:
            ValueError: A word can't be read.
        """
        where, bare, added = "command line", list[str](), set[str]()
        rest = list(words)
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
            setting = self.find(name, where)
            values = [value] if equals else self._values(setting, rest)
            several = setting.takes_several and values[0][:1] != "["
            if several and (len(values) > 1 or not setting.takes_one):
                # A repeated option adds to its list.
                before = self.given.get(name) if name in added else None
                self.set(name, [*(before or []), *values], where)
                added.add(name)
            else:
                self.set(name, values[0], where)
        self._place(bare, where)

    def _values(self, setting: Setting, rest: list[str]) -> list[str]:
        """Take from ``rest`` the words that belong to an option."""
        if setting.is_flag:
            known = rest and rest[0].lower() in (*_TRUE, *_FALSE)
            return [rest.pop(0) if known else "true"]
        values: list[str] = []
        while rest and not rest[0].startswith("--"):
            values.append(rest.pop(0))
            if not setting.takes_several or values[0][:1] == "[":
                break
        if not values:
            raise ValueError(f"--{setting.name} needs a value: {setting.expected}")
        return values

    def _place(self, bare: Sequence[str], where: str) -> None:
        """Give bare words to the settings that take them, in their order."""
        left = list(bare)
        for name in self.positional:
            if not left:
                return
            if self.settings[name].takes_several:
                self.set(name, left, where)
                left = []
            else:
                self.set(name, left.pop(0), where)
        if left:
            hint = "" if self.positional else ": settings are given as --name value"
            raise ValueError(f"unexpected word {left[0]!r}{hint}")

    def make(self) -> Any:
        """The configuration.

        Raises:
            ValueError: A setting is missing, or the class refuses a value.
        """
        missing = [
            f"{self.label(s.name)} ({s.text.rstrip('.')})" if s.text else self.label(s.name)
            for s in self.settings.values()
            if s.default is MISSING and not s.is_group and s.name not in self.given
        ]
        if missing:
            raise ValueError(f"missing: {', '.join(missing)}")
        return self._make(self.config_class, MISSING, "")

    def _make(self, config_class: Any, default: Any, prefix: str) -> Any:
        values: dict[str, Any] = {}
        for entry in fields(config_class):
            setting = self.settings[prefix + entry.name]
            inside = any(name.startswith(f"{setting.name}.") for name in self.given)
            if setting.is_group and (inside or setting.default is MISSING):
                values[entry.name] = self._make(setting.kind, setting.default, f"{setting.name}.")
            elif setting.name in self.given:
                values[entry.name] = self.given[setting.name]
        return config_class(**values) if default is MISSING else replace(default, **values)


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
            list is given as ``--k 1 5`` or ``--k "[1, 5]"``.
        positional: Settings that bare words stand for, in their order.

    Raises:
        ValueError: A setting is unknown (the nearest is named) or missing, or its value is refused.

    Example:
        >>> @dataclass(frozen=True, kw_only=True)
        ... class Config:
        ...     num_videos: int = 4
        ...     linear: bool = False
        >>> parse_config(Config, ["--num-videos", "8", "--linear"])
        Config(num_videos=8, linear=True)
    """
    reader = _Reader(config_class, positional)
    reader.read_words(sys.argv[1:] if arguments is None else arguments)
    made: C = reader.make()
    return made


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
