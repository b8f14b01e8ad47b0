"""Results on the disk: JSON, or arrays with a JSON manifest, written atomically, read with care."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from zipfile import BadZipFile

import numpy as np

from rspnet.files import atomic_path

T = TypeVar("T")


def save_json(path: str | Path, value: Any) -> Path:
    """Write plain values as JSON, atomically; rows of tables stand on lines of their own."""
    text = json.dumps(value).replace('{"keys": ', '\n{"keys": ')
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n")
    return Path(path)


def load_json(path: str | Path, make: Callable[[Any], T], what: str) -> T:
    """A result from a JSON file.

    Args:
        path: The file.
        make: Makes it from plain values.
        what: It is, for the error.

    Raises:
        ValueError: The file is not there, damaged, or something else.
    """
    try:
        return make(json.loads(Path(path).read_text()))
    except (OSError, json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} holds no {what}: {error!r}") from error


def save_arrays(path: str | Path, manifest: Mapping[str, Any], arrays: Mapping[str, Any]) -> Path:
    """Write ``path`` (.npz with the arrays and a JSON ``manifest``), atomically."""
    stored = {**arrays, "manifest": np.array(json.dumps(manifest))}
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **stored)
    return Path(path)


def load_arrays(
    path: str | Path, expected: str, make: Callable[[dict[str, Any], dict[str, Any]], T], what: str
) -> T:
    """A result from what :func:`save_arrays` wrote.

    Args:
        path: The file.
        expected: Its ``format``.
        make: Makes it from the manifest and the arrays.
        what: It is, for the error.

    Raises:
        ValueError: The file is not there, damaged, or something else.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = dict(stored)
        manifest = json.loads(str(arrays.pop("manifest")))
        if manifest["format"] != expected:
            raise ValueError(f"its format is {manifest['format']!r}")
        return make(manifest, arrays)
    except (OSError, KeyError, ValueError, BadZipFile) as error:
        raise ValueError(f"{path} holds no {what}: {error}") from error
