"""Registries: encoders, pretext methods and data sets, each registered beside its own code.

A registry imports all modules of its package at the first look-up, so one new file is enough to
add an entry. Entries may also come from outside: the modules that the environment variable
``RSPNET_PLUGINS`` names (separated by commas) are imported as well.
"""

import difflib
import os
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import Any, Generic, TypeVar

T = TypeVar("T")
C = TypeVar("C", bound=type[Any])

PLUGINS = "RSPNET_PLUGINS"


class Registry(Generic[T]):
    """Entries by name.

    Args:
        kind: What an entry is called in messages, such as ``encoder``.
        package: The package whose modules register entries.

    Example:
        >>> colours = Registry("colour", "rspnet.models")
        >>> colours.add("red", "#f00")
        >>> colours["red"]
        '#f00'
        >>> colours["rde"]
        Traceback (most recent call last):
            ...
        ValueError: unknown colour 'rde': expected one of red. Did you mean 'red'?
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self.package = package
        self._entries: dict[str, T] = {}
        self._complete = False

    def add(self, name: str, entry: T) -> None:
        """Register an entry.

        Raises:
            ValueError: The name is taken.
        """
        if name in self._entries:
            raise ValueError(f"there is a {self.kind} {name!r} already: choose another name")
        self._entries[name] = entry

    def remove(self, name: str) -> None:
        """Take an entry out again, as a test does that registered one."""
        del self._entries[name]

    def _complete_entries(self) -> dict[str, T]:
        if not self._complete:
            self._complete = True  # first: the modules below may look entries up themselves
            try:
                self._import_all()
            except BaseException:
                self._complete = False
                raise
        return self._entries

    def _import_all(self) -> None:
        package = import_module(self.package)
        for module in pkgutil.iter_modules(package.__path__, f"{self.package}."):
            import_module(module.name)
        for plugin in filter(None, os.environ.get(PLUGINS, "").split(",")):
            try:
                import_module(plugin.strip())
            except ImportError as error:
                raise ValueError(f"{PLUGINS} names {plugin.strip()!r}: {error}") from error

    def __iter__(self) -> Iterator[str]:
        """The names, sorted."""
        return iter(sorted(self._complete_entries()))

    def __contains__(self, name: object) -> bool:
        return name in self._complete_entries()

    def __getitem__(self, name: str) -> T:
        """The entry of a name.

        Raises:
            ValueError: There is none; the nearest name is given.
        """
        entries = self._complete_entries()
        if name not in entries:
            raise ValueError(
                f"unknown {self.kind} {name!r}: expected one of {', '.join(self)}."
                f"{did_you_mean(name, self)}"
            )
        return entries[name]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`` Did you mean 'x'?`` with the nearest of the known names, or nothing."""
    near = difflib.get_close_matches(str(name), list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def documents(**registries: Registry[Any]) -> Callable[[C], C]:
    """Write the names of registries into a docstring, where it says ``{keyword}``.

    Help texts are made from docstrings: so they list what is registered.
    """

    def fill(documented: C) -> C:
        for keyword, registry in registries.items():
            text = (documented.__doc__ or "").replace(f"{{{keyword}}}", ", ".join(registry))
            documented.__doc__ = text
        return documented

    return fill


def first_sentence(documented: Any) -> str:
    """The first line of a docstring, without its full stop."""
    lines = (documented.__doc__ or "").strip().splitlines()
    return lines[0].strip().removesuffix(".") if lines else ""
