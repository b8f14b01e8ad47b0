"""Files written atomically, and what is said of them. Imports no torch."""

import csv
import errno
import hashlib
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rspnet.text import spreadsheet_cell

_LONG_NAME = 100
# What libraries that do not raise OSError say when a write fails.
_FULL_WORDS = (
    "No space left", "StorageFull", "os error 28", "os error 27", # safetensors, OpenCV
    "iostream error", "unexpected pos", "file write failed", # torch.save
)  # fmt: skip


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that is synced and renamed to it if the block succeeds.

    Raises:
        OSError: The place can't be written to; ``filename`` is ``path``. Also where the block's own
            error, of whatever class, says that a file could not be written.

    Example:
        >>> folder = Path(tempfile.mkdtemp())
        >>> with atomic_path(folder / "new" / "a.txt") as temporary:
        ...     _ = temporary.write_text("whole, or not there")
        >>> [path.name for path in (folder / "new").iterdir()]
        ['a.txt']
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A name may take 255 bytes: that of the temporary file is no longer than a long one.
        prefix = f".{path.name}." if len(os.fsencode(path.name)) < _LONG_NAME else ".part."
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=path.suffix)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None and error.filename not in (None, str(temporary), temporary):
            raise  # about another file
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    except Exception as error:
        if any(words in str(error) for words in _FULL_WORDS):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def printable(path: str | os.PathLike[str]) -> str:
    r"""A path as text that can be printed and written anywhere.

    Bytes of a name that are not UTF-8, and control characters, are shown escaped. For messages
    and lists only: the file is opened by the path itself.

    Example:
        >>> print(printable(os.fsdecode(b"caf\xe9/clip.mp4")))
        caf\xe9/clip.mp4
    """

    def escape(found: re.Match[str]) -> str:
        code = ord(found[0])
        is_byte = code < 0x80 or 0xDC80 <= code <= 0xDCFF
        return f"\\x{code & 0xFF:02x}" if is_byte else f"\\u{code:04x}"

    return re.sub("[\x00-\x1f\x7f\ud800-\udfff]", escape, os.fspath(path))


def user_path(path: str | os.PathLike[str]) -> Path:
    """A path that a user named: ``~`` is the home folder.

    Raises:
        ValueError: It is empty, or the home folder is not known.

    Example:
        >>> user_path("~/videos") == Path.home() / "videos"
        True
    """
    if not os.fspath(path).strip():
        raise ValueError(f"the path is empty (an unset variable?), got {os.fspath(path)!r}")
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ValueError(f"{path}: {error}") from error


def file_hash(path: str | Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_skipped(folder: Path, name: str, rows: Iterable[tuple[str | Path, str]]) -> Path:
    """Write ``name`` (CSV: path, reason) into a folder, or remove an old one if there is nothing.

    Atomically, as every process of a run may write it. It is for people: what of a name is not
    UTF-8 is escaped, and what would be a formula in a spreadsheet.
    """
    path, rows = folder / name, list(rows)
    if not rows:
        path.unlink(missing_ok=True)
        return path
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "reason"])
        writer.writerows(map(spreadsheet_cell, map(printable, row)) for row in rows)
    return path


def default_threads() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def repository() -> Path | None:
    """The repository that the packages lie in; None where they are installed without it."""
    root = Path(__file__).resolve().parents[1]
    return root if (root / "pyproject.toml").is_file() else None


def default_cache_folder() -> Path:
    """Where synthetic videos, decoded frames and features are kept.

    ``$RSPNET_CACHE``; or ``.cache`` in the repository; or, where the package is installed,
    ``~/.cache/rspnet``.
    """
    root = repository()
    named = os.environ.get("RSPNET_CACHE")
    if named:
        return Path(named)
    return root / ".cache" if root else Path.home() / ".cache" / "rspnet"
