"""What a pointer points to, as a local file: fetched when it is needed, kept while it fits.

Fetched files lie in ``$RSPNET_FETCHED`` (without it: ``fetched`` in the cache folder) and take at
most ``$RSPNET_FETCHED_GB`` (10): those that were not used for longest go first. Processes may share
the folder.
"""

import errno
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rspnet.data.stores.pointers import Pointer, read_pointer
from rspnet.files import atomic_path, default_cache_folder

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_CHUNK = 2**26  # bytes that are held in memory
_IN_USE = 10.0  # seconds: a file that was used since then stays
_VERSIONS = (
    "ETag", "etag", "generation", "mtime", "created", "LastModified", "last_modified", "updated",
)  # fmt: skip
_fetched_since_clean_up = float("inf")


class StoreError(OSError):
    """A store can't be reached, or the cache folder is full: no fault of any of its videos.

    A run stops with it, and the same command resumes; no video is listed as unreadable.
    """


@contextmanager
def store_errors(address: str) -> Iterator[None]:
    """Whatever a store's library raises becomes a sentence.

    Raises:
        ValueError: Of what is not there, or can't be read as it is.
        StoreError: Of the way to it.
    """
    try:
        yield
    except (StoreError, MemoryError):
        raise
    except ValueError as error:
        if address in str(error):
            raise
        raise ValueError(f"{address}: {error}") from error
    except ImportError as error:
        raise ValueError(
            f"{address} needs a package that is not installed ({error}): for s3:// it is s3fs, in "
            "`pip install 'rspnet[remote]'`"
        ) from error
    except FileNotFoundError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno is not None:
            raise _unreachable(address, error.__cause__) from error  # HTTP's refused connection
        raise ValueError(
            f"there is no {address}: check the address; if it was removed, write the manifest again"
        ) from error
    except Exception as error:
        raise _unreachable(address, error) from error


def _unreachable(address: str, error: Exception) -> StoreError:
    what = f"{type(error).__name__}: {error}".rstrip(": ")
    if isinstance(error, PermissionError) or "Credential" in type(error).__name__:
        return StoreError(
            f"no access to {address} ({what}): give the credentials that the store's own tools "
            "take, such as AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    return StoreError(
        f"{address} can't be read ({what}): check the address, the network and, for a store of "
        "one's own, AWS_ENDPOINT_URL; the same command then resumes"
    )


def open_store(address: str) -> "tuple[AbstractFileSystem, str]":
    """The file system of an address, and the path there.

    Raises:
        ValueError: The kind of address is unknown, or needs a package that is not installed.
    """
    from fsspec.core import url_to_fs

    with store_errors(address):
        store, path = url_to_fs(address, use_listings_cache=False)
    return store, path


def version_of(info: dict[str, Any]) -> str:
    """What a store says of an object's state; empty where it says nothing."""
    return next((str(info[name]) for name in _VERSIONS if info.get(name)), "")


def local_file(path: Path) -> Path:
    """The file itself; or, where it is a pointer, a local copy of what it points to.

    Raises:
        ValueError: What it points to is gone, or was changed.
        StoreError: The store can't be reached, the disk is full, or the limit is too small.
    """
    pointer = read_pointer(path)
    return path if pointer is None else _fetch(pointer, path.suffix)


def _fetch(pointer: Pointer, suffix: str) -> Path:
    folder = Path(os.environ.get("RSPNET_FETCHED") or default_cache_folder() / "fetched").absolute()
    target = folder / f"{hashlib.sha256(pointer.encode()).hexdigest()[:32]}{suffix}"
    with suppress(FileNotFoundError):
        stat = target.stat()
        if stat.st_size == pointer.size:
            os.utime(target, ns=(time.time_ns(), stat.st_mtime_ns))
            return target
    _make_room(folder, pointer)
    store, path = open_store(pointer.address)
    try:
        with atomic_path(target, sync=False) as temporary, temporary.open("wb") as file:
            with store_errors(pointer.address):
                _check_unchanged(store.info(path), pointer)
            end = pointer.offset + pointer.size
            for start in range(pointer.offset, end, _CHUNK):
                stop = min(start + _CHUNK, end)
                with store_errors(pointer.address):
                    data = store.cat_file(path, start=start, end=stop)
                if len(data) != stop - start:
                    raise ValueError(
                        f"{pointer.address} gives {len(data)} bytes for {stop - start} from "
                        f"{start}: it was cut off, or its server reads no ranges"
                    )
                file.write(data)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise StoreError(
            f"the disk of {folder} is full: free some space, lower RSPNET_FETCHED_GB, or name "
            "another folder in RSPNET_FETCHED; the same command then resumes"
        ) from error
    return target


def _check_unchanged(info: dict[str, Any], pointer: Pointer) -> None:
    found = (info["size"], version_of(info))
    if found != (pointer.object_size, pointer.version):
        raise ValueError(
            f"{pointer.address} was changed since its manifest was written ({found[0]} bytes of "
            f"version {found[1]}, then {pointer.object_size} of {pointer.version}): write the "
            "manifest again"
        )


def _limit() -> float:
    """Bytes that fetched files may take."""
    text = os.environ.get("RSPNET_FETCHED_GB") or "10"
    with suppress(ValueError):
        if 0 < float(text) < float("inf"):
            return float(text) * 1e9
    raise StoreError(f"RSPNET_FETCHED_GB is a positive number of gigabytes, got {text!r}")


def _make_room(folder: Path, pointer: Pointer) -> None:
    """Remove what was not used for longest, each time that a 64th of the limit was fetched."""
    global _fetched_since_clean_up
    limit = _limit()
    if pointer.size > limit:
        raise StoreError(
            f"a video of {pointer.address} has {pointer.size} bytes, fetched files may take "
            f"{limit:.0f}: raise RSPNET_FETCHED_GB"
        )
    _fetched_since_clean_up += pointer.size
    if _fetched_since_clean_up <= limit / 64:
        return
    _fetched_since_clean_up, total, files = 0, pointer.size, []
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):  # another process makes room as well
                stat = entry.stat()
                files.append((max(stat.st_atime, stat.st_mtime), stat.st_size, entry.path))
                total += stat.st_size
    for used, size, path in sorted(files):
        if total <= limit * 7 / 8 or used > time.time() - _IN_USE:
            break
        Path(path).unlink(missing_ok=True)
        total -= size
