"""Files written atomically, and what is said of them. Imports no torch."""

import csv
import errno
import hashlib
import os
import re
import socket
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from rspnet.text import spreadsheet_cell

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"
# A file that has this text in it carries its own SHA-256: that of itself with these digits 0.
SEAL = "rspnet-sha256:"
BLANK_SEAL = SEAL + 64 * "0"
_LONG_NAME = 100
# What libraries that do not raise OSError say when a write fails.
_FULL_WORDS = (
    "No space left", "StorageFull", "os error 28", "os error 27", # safetensors, OpenCV
    "iostream error", "unexpected pos", "file write failed", # torch.save
)  # fmt: skip


@contextmanager
def atomic_path(path: str | Path, *, sync: bool = True) -> Iterator[Path]:
    """A temporary path beside ``path`` that is synced and renamed to it if the block succeeds.

    Args:
        path: The file.
        sync: Wait until the disk has it; a copy that can be made again need not.

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
        if sync:
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


# Locks live in open files, and a forked process has all of them: it must not keep a lock that its
# parent has left behind, as one that was killed does.
_held: set[int] = set()


def _close_in_child() -> None:
    while _held:
        os.close(_held.pop())


if fcntl is not None:
    os.register_at_fork(after_in_child=_close_in_child)


def _open_locked(path: Path) -> int | None:
    """The open lock file, locked; None where this platform or file system has no locks."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The one who held it may have removed it since: then another file has its name.
            if os.path.samestat(os.fstat(handle), path.stat()):
                return handle
        except FileNotFoundError:
            pass
        except BlockingIOError as error:
            holder = os.pread(handle, 200, 0).decode(errors="replace").strip()
            os.close(handle)
            raise ValueError(
                f"{path.parent} is being written by {holder or 'another process'}: wait until "
                "that has ended, or choose another folder"
            ) from error
        except OSError:  # a file system without locks
            os.close(handle)
            return None
        os.close(handle)


@contextmanager
def folder_lock(folder: str | Path) -> Iterator[None]:
    """Keep other processes (and threads) that take this lock from writing into a folder.

    The lock goes with the block or the process, however that ends. Processes that it forks do not
    hold it. Where the platform or the file system has no locks, the block runs without one, which
    is said.

    Args:
        folder: It is made if it is not there, and removed again if it stays empty. While the block
            runs it holds the file ``.lock``.

    Raises:
        ValueError: Another one holds the lock; its process is named.

    Example:
        >>> folder = tempfile.mkdtemp()
        >>> with folder_lock(folder):
        ...     os.listdir(folder)
        ['.lock']
    """
    path = Path(folder) / LOCK
    made = not path.parent.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = _open_locked(path) if fcntl is not None else None
    if handle is None:
        print(f"{folder} can't be locked here: let no other process write into it", file=sys.stderr)
        yield
        return
    _held.add(handle)
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        yield
    finally:
        if handle in _held:  # not in a forked process
            _held.remove(handle)
            with suppress(OSError):
                path.unlink()
                if made:
                    path.parent.rmdir()  # if it is empty
            os.close(handle)


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


def label_of(path: str | os.PathLike[str]) -> str:
    r"""The name of a file's folder, which is its label where nothing else is known.

    Example:
        >>> label_of("videos/walk/1.mp4")
        'walk'
    """
    return printable(Path(path).parent.name)


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


def _find_seal(file: BinaryIO) -> int | None:
    """Where the digits of the last seal of a file begin."""
    mark, tail, found = SEAL.encode(), b"", None
    while chunk := file.read(2**20):
        begin = file.tell() - len(chunk) - len(tail)
        tail += chunk
        place = tail.rfind(mark)
        if place >= 0:
            found = begin + place + len(mark)
        tail = tail[1 - len(mark) :]
    return found


def _hash_with_blank_seal(file: BinaryIO, place: int) -> str:
    digest, left = hashlib.sha256(), place
    file.seek(0)
    while left and (chunk := file.read(min(left, 2**20))):
        digest.update(chunk)
        left -= len(chunk)
    digest.update(64 * b"0")
    file.seek(place + 64)
    while chunk := file.read(2**20):
        digest.update(chunk)
    return digest.hexdigest()


def seal(path: str | Path) -> None:
    """Write a file's own SHA-256 into it, where it has the text :data:`BLANK_SEAL`.

    Example:
        >>> path = Path(tempfile.mkdtemp()) / "a.txt"
        >>> _ = path.write_text("All this. " + BLANK_SEAL)
        >>> seal(path)
        >>> check_seal(path)
        True
        >>> _ = path.write_text(path.read_text().replace("All", "Not"))
        >>> check_seal(path)
        Traceback (most recent call last):
            ...
        ValueError: it is damaged: its SHA-256 is not the one that it was written with
    """
    with Path(path).open("rb+") as file:
        place = _find_seal(file)
        if place is None:
            raise ValueError(f"{path} has no place for its SHA-256")
        digest = _hash_with_blank_seal(file, place)
        file.seek(place)
        file.write(digest.encode())


def check_seal(path: str | Path) -> bool:
    """Whether a file carries its own SHA-256, as :func:`seal` writes it.

    Raises:
        ValueError: It does, but the file is another one.
    """
    with Path(path).open("rb") as file:
        place = _find_seal(file)
        if place is None:
            return False
        file.seek(place)
        if file.read(64) != _hash_with_blank_seal(file, place).encode():
            raise ValueError("it is damaged: its SHA-256 is not the one that it was written with")
    return True


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
