"""Pointers: small files that stand for videos in tar shards and object stores."""

import glob
import hashlib
import json
import os
import re
import shlex
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from rspnet.data.listing import VideoWalk
from rspnet.files import default_cache_folder, user_path

_MARK = b"rspnet pointer 1\n"
_MANIFEST = "manifest.parquet"


@dataclass(frozen=True)
class Pointer:
    """Where the bytes of a video are.

    Attributes:
        address: The object that holds them: a URL.
        object_size: Bytes of the object when it was listed.
        version: What the store calls the object's state: an ETag, or a time.
        offset: Where the video begins in the object.
        size: Bytes of the video.
    """

    address: str
    object_size: int
    version: str
    offset: int
    size: int

    def encode(self) -> bytes:
        """What the pointer's file holds."""
        return _MARK + os.fsencode(json.dumps(asdict(self), ensure_ascii=False) + "\n")


@cache
def _folder_in(_cache: str | None) -> str:
    return os.path.join(os.path.abspath(default_cache_folder()), "stores", "")  # noqa: PTH100, PTH118


def _folder() -> str:
    return _folder_in(os.environ.get("RSPNET_CACHE"))


def read_pointer(path: Path) -> Pointer | None:
    """The pointer that a file is; None for any other file, and where there is none.

    Only files in the cache folder are taken for pointers: a file from elsewhere can't make this
    program read what it names.

    Raises:
        ValueError: The pointer is damaged.
    """
    if not os.path.abspath(path).startswith(_folder()):  # noqa: PTH100  # a path object is slow
        return None
    try:
        data = path.read_bytes()
        return Pointer(**json.loads(os.fsdecode(data.removeprefix(_MARK))))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"damaged pointer to a video ({error}): write the manifest of its store again"
        ) from error


def file_size(path: str) -> int:
    """Bytes of a video: of the one that is pointed to, where the file is a pointer.

    Raises:
        OSError: There is no such file.
        ValueError: The pointer is damaged.
    """
    pointer = read_pointer(Path(path)) if path.startswith(_folder()) else None
    return os.stat(path).st_size if pointer is None else pointer.size  # noqa: PTH116


def address_of(root: str | Path) -> str | None:
    """The address of a store, where that is what was named; None for other files and folders.

    A store is a URL, a tar file, a pattern (``*``) of tar files, or a folder that holds tar files
    and neither videos nor folders of videos.

    Raises:
        ValueError: The tar files do not exist.
    """
    text = os.fspath(root)
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text):
        # Of HTTP, a folder's page differs from a file by the slash alone.
        return text if text.startswith("http") else re.sub(r"(?<=[^:/])/+$", "", text)
    path = user_path(text).absolute()
    if path.is_dir():
        tars = any(path.glob("*.tar")) and not any(True for _ in VideoWalk(path))
        return f"{glob.escape(str(path))}/*.tar" if tars else None
    if not text.lower().endswith((".tar", ".tar.gz", ".tgz")):
        return None
    if not text.lower().endswith(".tar"):
        raise ValueError(
            f"{root} is compressed, and nothing in it can be read by itself: give it unpacked "
            "(gunzip), as a .tar"
        )
    if not path.exists() and not glob.glob(str(path)):  # noqa: PTH207
        raise ValueError(f"no {root}: expected a tar file, or a pattern of tar files")
    return str(path)


def pointer_folder(address: str) -> Path:
    """Where the pointers to a store's videos are."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", address)[-40:].strip("-")
    return Path(_folder(), f"{name}-{hashlib.sha256(os.fsencode(address)).hexdigest()[:12]}")


def root_path(root: str | Path) -> Path:
    """The folder or file that a user named, or the folder of pointers to the store named.

    Raises:
        ValueError: The store has no manifest yet, or its tar files do not exist.
    """
    address = address_of(root)
    if address is None:
        return user_path(root)
    folder = pointer_folder(address)
    if not (folder / _MANIFEST).is_file():
        raise ValueError(
            f"{root} has no manifest yet, without which all its videos would be read to count "
            f"their frames: write it, once, with `python -m rspnet.data.manifest "
            f"{shlex.quote(os.fspath(root))}`"
        )
    return folder
