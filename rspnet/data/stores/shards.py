"""Lists of the videos in tar shards and object stores, and the pointers to them."""

import glob
import os
import tarfile
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from rspnet.data.listing import is_hidden, is_video
from rspnet.data.stores.fetch import open_store, store_errors, version_of
from rspnet.data.stores.pointers import Pointer, pointer_folder
from rspnet.files import printable

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_BLOCK = 2**16  # bytes that are read of a tar for each member


def list_store(address: str) -> tuple[dict[str, Pointer], Counter[str]]:
    """Pointers to all videos below an address by relative path, and what else is there by suffix.

    Members have the paths that unpacking all tars into one folder would give. A video without a
    folder, with a ``.cls`` of its name beside it (webdataset), is in a folder named by its text.

    Raises:
        ValueError: There is nothing, a tar is cut off or no tar, or two members have one path.
        StoreError: The store can't be read.
    """
    store, root = open_store(address)
    with store_errors(address):
        objects, base = _objects(store, root)
    pointers: dict[str, Pointer] = {}
    others: Counter[str] = Counter()
    for path, info in sorted(objects.items()):
        url = store.unstrip_protocol(path)
        with store_errors(url):
            if not (info.get("ETag") or info.get("etag")):  # lists say less than this does
                info = store.info(path)
            if info["size"] is None:
                raise ValueError(f"{url}: its server does not say how many bytes it has")
            whole = (url, int(info["size"]), version_of(info))
            if path.endswith(".tar"):
                found = [
                    (name, Pointer(*whole, *place)) for name, *place in _members(store, path, url)
                ]
            else:
                name = path.removeprefix(base).lstrip("/")
                found = [(name, Pointer(*whole, 0, int(info["size"])))]
        for name, pointer in found:
            pure = PurePosixPath(name)
            if pure.is_absolute() or ".." in pure.parts:
                raise ValueError(
                    f"{url} holds {printable(name)!r}, which leads out of its folder: pack it anew"
                )
            if any(map(is_hidden, pure.parts)) or pure.suffix == ".cls":
                continue
            if not is_video(pure.name):
                others[pure.suffix.lower() or "no suffix"] += 1
                continue
            other = pointers.setdefault(pure.as_posix(), pointer)
            if other.address != url:
                raise ValueError(
                    f"{other.address} and {url} both hold {printable(name)!r}: give the videos "
                    "names of their own, or name the tars one by one"
                )
            pointers[pure.as_posix()] = pointer  # of two in one tar the last counts
    if not pointers:
        there = ", ".join(f"{number} {suffix}" for suffix, number in others.most_common(5))
        raise ValueError(f"no videos in {address}: it holds {there or 'nothing'}")
    return pointers, others


def _objects(store: "AbstractFileSystem", root: str) -> tuple[dict[str, dict[str, Any]], str]:
    """Objects by path, and the folder that their names are relative to."""
    try:
        info = store.info(root)
    except FileNotFoundError:
        if not glob.has_magic(root):
            raise
        plain = root[: min(root.find(sign) for sign in "*?[" if sign in root)]
        return store.glob(root, detail=True), plain.rpartition("/")[0]
    if info["type"] == "directory" or root.endswith("/"):
        return store.find(root, detail=True), root
    return {root: info}, root.rpartition("/")[0]


def _members(store: "AbstractFileSystem", path: str, url: str) -> Iterator[tuple[str, int, int]]:
    """Name, offset and size of the files in a tar."""
    found: list[tuple[str, int, int]] = []
    classes: dict[str, str] = {}
    with store.open(path, "rb", block_size=_BLOCK) as file:
        try:
            with tarfile.open(fileobj=file, mode="r:") as archive:
                for member in archive:
                    if not member.isreg() or member.issparse():
                        continue
                    found.append((member.name, member.offset_data, member.size))
                    stem, suffix = os.path.splitext(member.name)  # noqa: PTH122
                    content = archive.extractfile(member) if suffix == ".cls" else None
                    if content is not None:
                        classes[stem] = content.read(200).decode(errors="replace").strip()
                file.seek(archive.offset)
                ended = file.read(512) == bytes(512)
        except (tarfile.TarError, ValueError) as error:
            raise ValueError(
                f"{url} is cut off, no tar, or its server reads no ranges ({error}): copy it again"
            ) from error
    if not ended:
        raise ValueError(f"{url} is cut off or damaged: it has no end mark; copy it again")
    for name, offset, size in found:
        label = classes.get(os.path.splitext(name)[0], "")  # noqa: PTH122
        flat = label and "/" not in name.removeprefix("./")
        yield f"{label.replace('/', '_')}/{name}" if flat else name, offset, size


def write_pointers(address: str) -> tuple[Path, str]:
    """Write pointers to the videos of a store, and remove those to videos that it lost.

    Returns:
        Their folder, and in words what was passed over; nothing where that is nothing.

    Raises:
        ValueError: There is nothing, or it can't be listed.
        StoreError: The store can't be read.
    """
    pointers, others = list_store(address)
    folder = pointer_folder(address)
    for name, pointer in pointers.items():
        path, data = folder / name, pointer.encode()
        if not (path.is_file() and path.read_bytes() == data):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    for below, _, names in os.walk(folder, topdown=False):
        for path in (Path(below, name) for name in names if is_video(name)):
            if path.relative_to(folder).as_posix() not in pointers:
                path.unlink()
        with suppress(OSError):  # it is not empty
            Path(below).rmdir()
    kinds = ", ".join(suffix for suffix, _ in others.most_common(5))
    return folder, f"passed over: {others.total()} of another kind ({kinds})" if others else ""
