"""A table of videos, made once: ``python -m rspnet.data.manifest DIR``.

``DIR/manifest.parquet`` has a row for each file: ``path`` (relative to the table; what of a name is
not UTF-8 by :func:`rspnet.text.escape_bytes`), ``num_frames``,
``fps``, ``height``, ``width``, ``decoders`` (those whose frames are exact for it), ``reason`` (why
it can't be used; empty for a valid file), ``size`` and ``modified_ns``. Pre-training reads it and
need not open its files to count their frames; extraction and fine-tuning do not open again what it
found invalid, and list it with its reason. A file that has changed since is looked at again.

The videos of tar shards and of object stores (:mod:`rspnet.data.stores`) are listed so as well:
their table lies in the cache folder, beside the pointers to them.
"""

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from rspnet.commands import run_cli
from rspnet.data.listing import list_videos, say
from rspnet.data.sources import in_processes
from rspnet.data.stores.fetch import StoreError
from rspnet.data.stores.pointers import address_of, root_path
from rspnet.data.stores.shards import write_pointers
from rspnet.files import atomic_path, printable, user_path
from rspnet.text import escape_bytes, unescape_bytes

COLUMNS = (
    "path", "num_frames", "fps", "height", "width", "decoders", "reason", "size", "modified_ns",
)  # fmt: skip
NAME = "manifest.parquet"
Row = dict[str, Any]


@dataclass(frozen=True)
class ManifestResult:
    """What :func:`write_manifest` did.

    Attributes:
        path: The table.
        num_valid: Files that can be used.
        invalid: (path, reason) of the others.
        num_unchanged: Files that had not changed since the last time and were not opened.
    """

    path: Path
    num_valid: int
    invalid: tuple[tuple[str, str], ...]
    num_unchanged: int


def _stat(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:  # a link that leads nowhere
        return 0, 0
    return found.st_size, found.st_mtime_ns


def describe_video(path: Path) -> Row:
    """Open a file and describe it: a row without its ``path``."""
    from rspnet.data.video.reader import VideoError, VideoReader

    row: Row = dict.fromkeys(COLUMNS[1:], 0) | {"fps": 0.0, "decoders": "", "reason": ""}
    try:
        row["size"], row["modified_ns"] = _stat(path)
        with VideoReader(path) as reader:
            row |= {"num_frames": len(reader), "fps": float(reader.fps)}
            row |= {"height": reader.height, "width": reader.width}
            row["decoders"] = "pyav" if reader.why_not_decord else "pyav decord"
    except StoreError:  # not the video's fault
        raise
    except (VideoError, OSError) as error:
        row["reason"] = printable(str(error))
    return row


def read_manifest(path: str | Path) -> list[Row]:
    """Rows of a manifest.

    Raises:
        ValueError: The file is missing, damaged or something else.
    """
    from pyarrow import ArrowException, parquet

    try:
        # From an open file: Arrow opens no path that is not UTF-8.
        with Path(path).open("rb") as file, parquet.ParquetFile(file) as opened:
            table = opened.read()
    except (OSError, ArrowException) as error:
        raise ValueError(f"{path} is no manifest of videos: {error}") from error
    missing = sorted(set(COLUMNS) - set(table.column_names))
    if missing:
        raise ValueError(
            f"{path} is no manifest of `python -m rspnet.data.manifest`: it has no {missing}"
        )
    rows: list[Row] = table.select(list(COLUMNS)).to_pylist()
    return [row | {"path": unescape_bytes(row["path"])} for row in rows]


def write_rows(rows: Sequence[Row], path: Path) -> None:
    """Write a manifest of rows that are known."""
    import pyarrow
    from pyarrow import parquet

    kinds = {"fps": pyarrow.float64(), "path": pyarrow.string(), "decoders": pyarrow.string()}
    kinds["reason"] = pyarrow.string()
    schema = pyarrow.schema([(name, kinds.get(name, pyarrow.int64())) for name in COLUMNS])
    escaped = [row | {"path": escape_bytes(row["path"])} for row in rows]
    table = pyarrow.Table.from_pylist(escaped, schema=schema)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        parquet.write_table(table, file)


def write_manifest(
    root: str | Path,
    out: str | Path | None = None,
    *,
    num_workers: int = 2,
    progress: bool = True,
) -> ManifestResult:
    """Read the header of every video below a folder, in parallel, and write the table.

    A table that is there already is brought up to date: files that have not changed are not opened
    again. Stopped with Ctrl-C, it keeps what it has found, and the next call resumes.

    Args:
        root: The folder; or a store, of which every video is fetched once: a URL, a tar file, or a
            pattern or folder of tar files.
        out: The table, if not ``manifest.parquet`` in the folder. Its paths are relative to where
            it lies. The table of a store stays in the cache folder.
        num_workers: Processes.
        progress: Show a progress bar.

    Raises:
        ValueError: There is no such folder, no video in it, or ``out`` is something else.
        StoreError: A store can't be read.

    Example:
        >>> import tempfile
        >>> from rspnet.data.synthetic.videos import generate
        >>> folder = generate(tempfile.mkdtemp(), 1, num_workers=1, progress=False)
        >>> result = write_manifest(folder, progress=False)
        >>> result.num_valid, result.invalid
        (1, ())
    """
    if (address := address_of(root)) is not None:
        if out is not None:
            raise ValueError(f"the table of {root} lies in the cache folder: leave out --out {out}")
        root, passed_over = write_pointers(address)
        say(address, passed_over if progress else "")
    root = user_path(root)
    target = user_path(out) if out is not None else root / NAME
    videos = list_videos(root, quiet=not progress)
    old = {row["path"]: row for row in read_manifest(target)} if target.is_file() else {}
    rows: dict[str, Row] = {}
    todo: list[Path] = []
    for video in videos:
        row = old.get(os.path.relpath(video, target.parent))
        if row is not None and (row["size"], row["modified_ns"]) == _stat(video):
            rows[row["path"]] = row
        else:
            todo.append(video)
    num_unchanged = len(rows)
    bar = tqdm(
        total=len(videos),
        initial=num_unchanged,
        desc="Reading headers",
        unit="video",
        disable=not progress,
    )
    try:
        with bar:
            for video, found in zip(
                todo, in_processes(describe_video, todo, num_workers), strict=True
            ):
                name = os.path.relpath(video, target.parent)
                rows[name] = {"path": name} | found
                bar.update()
    finally:
        if rows:
            write_rows([rows[name] for name in sorted(rows)], target)
    invalid = tuple((name, row["reason"]) for name, row in sorted(rows.items()) if row["reason"])
    return ManifestResult(target, len(rows) - len(invalid), invalid, num_unchanged)


def manifests_in(roots: Iterable[str | Path]) -> list[Path]:
    """The ``manifest.parquet`` of those roots that have one."""
    return [path for root in roots if (path := root_path(root) / NAME).is_file()]


def known_files(
    paths: Iterable[Path], manifests: Iterable[str | Path]
) -> dict[Path, tuple[int, float, str]]:
    """Frames, frames per second and reason of those files that manifests describe as they are.

    Args:
        paths: Video files.
        manifests: Tables, each beside or above its files' paths.

    Raises:
        ValueError: A manifest can't be read.
    """
    rows: dict[str, Row] = {}
    for manifest in map(user_path, manifests):
        folder = manifest.parent.absolute()
        rows |= {os.path.normpath(folder / row["path"]): row for row in read_manifest(manifest)}
    known = {}
    for path in paths:
        row = rows.get(os.path.normpath(path.absolute()))
        if row is None or not path.is_file():
            continue
        if (row["size"], row["modified_ns"]) == _stat(path):
            known[path] = (row["num_frames"], row["fps"], row["reason"])
    return known


def known_invalid(paths: Iterable[Path], roots: Iterable[str | Path]) -> dict[Path, str]:
    """Files that the ``manifest.parquet`` of a root found invalid, unchanged since, and why.

    Raises:
        ValueError: A manifest can't be read.
    """
    known = known_files(paths, manifests_in(roots))
    return {path: reason for path, (_, _, reason) in known.items() if reason}


@dataclass(frozen=True, kw_only=True)
class ManifestConfig:
    """A table of videos.

    Attributes:
        root: Folder of videos; or a URL (s3://...), a tar file, a pattern or folder of tar files.
        out: The table. Nothing: ``manifest.parquet`` in the folder.
        num_workers: Processes that open the files.
    """

    root: str
    out: str | None = None
    num_workers: int = 2


def _run(config: ManifestConfig) -> None:
    result = write_manifest(config.root, config.out, num_workers=config.num_workers)
    table = printable(result.path)
    print(f"{table}: {result.num_valid} valid videos, {len(result.invalid)} invalid")
    for name, reason in result.invalid[:20]:
        print(f"  {printable(name)}: {reason}")
    if len(result.invalid) > 20:
        print(f"  and {len(result.invalid) - 20} more: column 'reason' of the table")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    return run_cli(
        ManifestConfig,
        _run,
        arguments,
        prog="python -m rspnet.data.manifest",
        description="Write a table of the videos below a folder, in tar shards or in an object "
        "store, and of why some can't be used.",
        examples=(
            "python -m rspnet.data.manifest VIDEOS",
            "python -m rspnet.data.manifest 'SHARDS/*.tar'",
            "python -m rspnet.data.manifest s3://bucket/videos",
        ),
        positional=("root",),
        out="file",
        resumes=True,
    )


if __name__ == "__main__":
    sys.exit(main())
