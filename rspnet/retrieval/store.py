"""Galleries on the disk: a folder of Parquet files and a manifest.

::

    GALLERY/manifest.json         model, protocol, data set, how many videos; ``"complete": true``
    GALLERY/part-00000.parquet    rows of the first ``shard_size`` videos, and so on
    GALLERY/unreadable.csv        path and reason of the videos that could not be read, if any

Columns of a part: ``path`` (what of it is not UTF-8 by :func:`rspnet.text.escape_bytes`),
``label``, ``split`` (strings), ``clip_starts`` (first frame of each
clip), ``backbone``, ``rsp`` and ``avid`` (float32, of one length each, L2-normalised). pandas,
Polars and DuckDB read ``GALLERY/*.parquet``. The reason why a video of a part is not in it stands
in the part's own metadata, so that a part is all there is to know about its videos. There stand as
well its own SHA-256, its number, and the SHA-256 of what the manifest says of the vectors: so a
part that is damaged, or another one's copy, is never taken. Galleries of older versions have none
of these (``"sealed"`` is not in their manifest); they are read as before.

The manifest is written first, with ``"complete": false``, and once more when all parts are there.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from rspnet.files import BLANK_SEAL, atomic_path, check_seal, printable, seal, write_skipped
from rspnet.names import MAX_FRAMES, MAX_SIZE, check_whole
from rspnet.text import escape_bytes, unescape_bytes

FEATURES = ("backbone", "rsp", "avid")
FORMAT = "rspnet-gallery"
FORMAT_VERSION = 2  # 1 was a single .npz file
MANIFEST = "manifest.json"
UNREADABLE = "unreadable.csv"
_NOTE, _SEAL = b"rspnet-gallery", b"seal"
# What parts must have in common with their manifest, beside the protocol.
_COMMON = ("model_hash", "dataset", "shard_size", "num_videos", "videos_hash")

Vectors = NDArray[np.float32]
Pooling = Literal["max", "avg"]
Short = Literal["loop", "refuse"]


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How a video becomes a vector. Vectors compare only if they were made by the same.

    Attributes:
        num_clips: Clips a video, evenly spaced over its length.
        num_frames: Frames in a clip.
        size: Height and width of a clip in pixels.
        pooling: What makes ``backbone`` of the features (C, T', H', W'): ``max`` takes each
            channel's largest value over (T', H', W'), as Xu et al. (2019), whom supplementary B
            follows; ``avg`` takes the mean, as the release does.
        fps: Frames per second of a clip; nothing follows each file's own.
        speed: Playback speed of the clips.
        view: ``centre``: the shorter side resized to ``size``, then the centre crop.
        short: A video shorter than a clip is played in a loop, or refused.
    """

    num_clips: int = 10
    num_frames: int = 16
    size: int = 112
    pooling: Pooling = "max"
    fps: float | None = None
    speed: int = 1
    view: Literal["centre"] = "centre"
    short: Short = "loop"

    def __post_init__(self) -> None:
        bounds = {
            "num_clips": 100_000, "num_frames": MAX_FRAMES, "size": MAX_SIZE, "speed": 10_000,
        }  # fmt: skip
        for name, most in bounds.items():
            check_whole(name, getattr(self, name), most)
        if self.fps is not None and not (self.fps > 0 and math.isfinite(self.fps)):
            raise ValueError(f"fps is a positive number, got {self.fps}")
        for name, kind in (("pooling", Pooling), ("short", Short), ("view", Literal["centre"])):
            if getattr(self, name) not in get_args(kind):
                raise ValueError(
                    f"{name} is one of {list(get_args(kind))}, got {getattr(self, name)!r}"
                )

    @classmethod
    def from_plain(cls, values: dict[str, Any]) -> "Protocol":
        """From what a manifest holds.

        Raises:
            ValueError: A setting is unknown or refused.
        """
        unknown = sorted(set(values) - {entry.name for entry in fields(cls)})
        if unknown:
            raise ValueError(f"its protocol has the unknown settings {unknown}: update rspnet")
        return cls(**values)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a gallery says about itself.

    Attributes:
        model: The model's name or file.
        model_hash: SHA-256 of its file, or of its weights where these are random.
        protocol: How a video became a vector.
        dataset: Name, root, split, fold, ... of the data set; empty for a list of files.
        classes: All classes of the data set.
        missing: Listed videos that the disk lacks.
        num_videos: Videos found, readable or not.
        videos_hash: SHA-256 of their paths and labels, in order.
        shard_size: Videos in a part.
        num_unreadable: Videos that are in no part; nothing as long as that is not known.
        complete: Whether all parts are there.
        sealed: Whether parts carry their SHA-256 and say which they are.
        backend: What ran the network, see :mod:`rspnet.extract`.
    """

    model: str
    model_hash: str
    protocol: Protocol
    dataset: dict[str, Any] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    num_videos: int
    videos_hash: str = ""
    shard_size: int
    num_unreadable: int | None = None
    complete: bool = False
    sealed: bool = True
    backend: str = "torch"

    def __post_init__(self) -> None:
        check_whole("num_videos", self.num_videos, 10**9, least=0)
        check_whole("shard_size", self.shard_size, 10**9)
        if self.num_unreadable is not None:
            check_whole("num_unreadable", self.num_unreadable, self.num_videos, least=0)

    def mark_of(self, number: int) -> str:
        """What a part says of itself: its number, and what all parts have in common."""
        common = {name: getattr(self, name) for name in _COMMON} | asdict(self.protocol)
        if self.backend != "torch":  # the marks of older galleries stay
            common["backend"] = self.backend
        digest = hashlib.sha256(json.dumps(common, sort_keys=True).encode()).hexdigest()
        return f"part {number} of {digest}"

    @property
    def num_shards(self) -> int:
        """Number of parts."""
        return -(-self.num_videos // self.shard_size)

    def differences(self, other: "Manifest") -> list[str]:
        """Why parts made for one are invalid for the other, in words."""
        found = []
        for name in (*_COMMON, "backend"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                found.append(f"{name} {mine!r} and {theirs!r}")
        return found + protocol_differences(self.protocol, other.protocol)


def protocol_differences(one: Protocol, other: Protocol) -> list[str]:
    """The settings that two protocols do not share, as ``name a and b``."""
    theirs = asdict(other)
    return [
        f"{name} {value!r} and {theirs[name]!r}"
        for name, value in asdict(one).items()
        if value != theirs[name]
    ]


@dataclass(frozen=True)
class Part:
    """Some videos of a gallery.

    Attributes:
        paths: Files.
        labels: Their classes.
        splits: The split that each is of.
        clip_starts: First frame of every clip, for each video.
        vectors: ``backbone`` (N, C), ``rsp`` (N, 128) and ``avid`` (N, 128).
        unreadable: (path, reason) of the videos that can't be in it.
    """

    paths: tuple[str, ...]
    labels: tuple[str, ...]
    splits: tuple[str, ...]
    clip_starts: tuple[tuple[int, ...], ...]
    vectors: dict[str, Vectors]
    unreadable: tuple[tuple[str, str], ...] = ()


def write_manifest(folder: str | Path, manifest: Manifest) -> Path:
    """Write ``manifest.json``, atomically."""
    path = Path(folder) / MANIFEST
    values = {"format": FORMAT, "version": FORMAT_VERSION, **asdict(manifest)}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    return path


def read_manifest(folder: str | Path) -> Manifest:
    """Read ``manifest.json``.

    Raises:
        ValueError: It is missing, damaged or of something else.
    """
    path = Path(folder) / MANIFEST
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        kind, version = values.pop("format"), values.pop("version")
        if kind != FORMAT or version > FORMAT_VERSION:
            raise ValueError(
                f"it is of the format {kind!r}, version {version}; this version of rspnet reads "
                f"{FORMAT!r} up to {FORMAT_VERSION}"
            )
        values["protocol"] = Protocol.from_plain(values["protocol"])
        for name in ("classes", "missing"):
            values[name] = tuple(map(str, values[name]))
        values.setdefault("sealed", False)  # of an older version
        if values["dataset"].get("name") == "stage":  # what synthetic videos were called once
            values["dataset"]["name"] = "synthetic"
        return Manifest(**values)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"{folder} holds no gallery of videos: {error}") from error


def part_path(folder: str | Path, number: int) -> Path:
    """The file of a part."""
    return Path(folder) / f"part-{number:05d}.parquet"


def write_part(path: str | Path, part: Part, mark: str = "") -> Path:
    """Write a part, atomically. The same part gives the same bytes.

    Args:
        path: The file.
        part: The part.
        mark: From :meth:`Manifest.mark_of`; nothing for a file that is no part of a gallery.
    """
    import pyarrow
    from pyarrow import parquet

    text = pyarrow.string()
    names = (map(escape_bytes, part.paths), map(printable, part.labels), part.splits)
    arrays = [pyarrow.array(list(values), text) for values in names]
    starts = [list(row) for row in part.clip_starts]
    arrays.append(pyarrow.array(starts, pyarrow.list_(pyarrow.int32())))
    for name in FEATURES:
        vectors = np.ascontiguousarray(part.vectors[name], np.float32)
        flat = pyarrow.array(vectors.reshape(-1), pyarrow.float32())
        arrays.append(pyarrow.FixedSizeListArray.from_arrays(flat, vectors.shape[1]))
    table = pyarrow.table(arrays, ["path", "label", "split", "clip_starts", *FEATURES])
    note = {"version": FORMAT_VERSION, "mark": mark, "unreadable": part.unreadable}
    table = table.replace_schema_metadata({_NOTE: json.dumps(note), _SEAL: BLANK_SEAL})
    with atomic_path(path) as temporary:
        with temporary.open("wb") as file:  # Arrow opens no path that is not UTF-8
            parquet.write_table(table, file, write_page_checksum=True)
        seal(temporary)
    return Path(path)


@contextmanager
def _open_part(path: str | Path, mark: str) -> Iterator[tuple[Any, tuple[tuple[str, str], ...]]]:
    """The open file and the videos that are not in it, if it is whole and the one that is meant."""
    import pyarrow
    from pyarrow import parquet

    try:
        sealed = check_seal(path)
        # One file, not a data set: the names of its folders mean nothing.
        with (
            Path(path).open("rb") as opened,
            parquet.ParquetFile(opened, page_checksum_verification=True) as file,
        ):
            metadata = file.schema_arrow.metadata
            if metadata is None or _NOTE not in metadata:
                raise ValueError("it was not written by rspnet")
            note = json.loads(metadata[_NOTE])
            if "mark" in note and not sealed:
                raise ValueError("it is damaged: its SHA-256 is gone")
            if mark and note.get("mark") != mark:
                raise ValueError("it is another part, or one of another gallery")
            yield file, tuple((str(video), str(reason)) for video, reason in note["unreadable"])
    except (
        OSError, pyarrow.ArrowException, ValueError, KeyError, TypeError, AttributeError,
        RecursionError,
    ) as error:  # fmt: skip
        raise ValueError(f"{path} is no part of a gallery: {error}") from error


def read_shard_header(path: str | Path, mark: str = "") -> tuple[int, tuple[tuple[str, str], ...]]:
    """How many videos a part holds, and (path, reason) of those it can't; vectors are not read.

    Raises:
        ValueError: It is missing, damaged, not the one of this mark, or something else.
    """
    with _open_part(path, mark) as (file, unreadable):
        return file.metadata.num_rows, unreadable


def read_part(path: str | Path, mark: str = "", videos: Sequence[Path] | None = None) -> Part:
    """Read what :func:`write_part` wrote.

    Args:
        path: The file.
        mark: What it is to say of itself, see :meth:`Manifest.mark_of`; nothing for any.
        videos: All videos that it is to tell of, readable or not; nothing for any.

    Raises:
        ValueError: It is missing, damaged, another one, or something else.
    """
    with _open_part(path, mark) as (file, unreadable):
        width = sum(file.schema_arrow.field(name).type.list_size for name in FEATURES)
        unpacked, size = 4 * width * file.metadata.num_rows, Path(path).stat().st_size
        if unpacked > 100 * size + 2**26:  # vectors hardly compress, unless all are alike
            raise ValueError(f"its {size:,} bytes would become {unpacked:,}")
        table = file.read()
        vectors = {}
        for name in FEATURES:
            column = table.column(name).combine_chunks()
            flat = column.flatten().to_numpy(zero_copy_only=False)
            vectors[name] = flat.astype(np.float32).reshape(len(table), column.type.list_size)
            if not np.isfinite(vectors[name]).all():
                raise ValueError(f"it is damaged: {name} has values that are NaN or infinite")
        paths, labels, splits = (
            tuple(table.column(name).to_pylist()) for name in ("path", "label", "split")
        )
        paths = tuple(map(unescape_bytes, paths))
        starts = tuple(tuple(row) for row in table.column("clip_starts").to_pylist())
        found = sorted([*paths, *(video for video, _ in unreadable)])
        if videos is not None and found != sorted(map(str, videos)):
            raise ValueError("it tells of other videos than it is to")
        return Part(paths, labels, splits, starts, vectors, unreadable)


def join_parts(parts: Sequence[Part]) -> Part:
    """One part that holds all of them, in order."""
    return Part(
        paths=tuple(path for part in parts for path in part.paths),
        labels=tuple(label for part in parts for label in part.labels),
        splits=tuple(split for part in parts for split in part.splits),
        clip_starts=tuple(row for part in parts for row in part.clip_starts),
        vectors={name: np.concatenate([part.vectors[name] for part in parts]) for name in FEATURES},
        unreadable=tuple(row for part in parts for row in part.unreadable),
    )


def write_unreadable(folder: str | Path, rows: Sequence[tuple[str, str]]) -> Path:
    """Write ``unreadable.csv``, or remove an old one if there is nothing to list."""
    return write_skipped(Path(folder), UNREADABLE, rows)


def clear_folder(folder: str | Path) -> None:
    """Remove a gallery from a folder, complete or not, so that another can take its place.

    The manifest goes first, so a gallery that was half-removed is none.

    Raises:
        ValueError: ``folder`` is a file, or holds something other than a gallery.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file, a gallery is a folder: choose another name")
    parts = set(folder.glob("part-*.parquet"))
    own = parts | {folder / MANIFEST, folder / UNREADABLE}
    for path in folder.iterdir() if folder.is_dir() else ():
        if path not in own and not path.name.startswith("."):
            raise ValueError(
                f"{folder} holds {path.name}, which is no part of a gallery: choose another name"
            )
    (folder / MANIFEST).unlink(missing_ok=True)
    for path in parts:
        path.unlink()


def clean_up(folder: str | Path) -> None:
    """Remove what was half-written when a process was killed."""
    for half in (*Path(folder).glob(".part-*.parquet"), *Path(folder).glob(".manifest.json.*")):
        half.unlink(missing_ok=True)
