"""Exact frames of a video file by index.

``VideoReader(path).get_frames(indices)`` gives the frames that a sequential decode with PyAV
(``frame.to_ndarray(format="rgb24")``, then turned upright) gives under these indices, to the byte,
and decodes no more than it needs for that.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from rspnet.data.stores.fetch import local_file
from rspnet.data.video.checks import VideoError, damaged_frame, video_errors
from rspnet.data.video.decoders import (
    Decoder,
    DecordDecoder,
    PyAVDecoder,
    decord_differs,
    decord_is_wrong,
)
from rspnet.data.video.index import VideoIndex, open_index
from rspnet.files import printable

__all__ = ["VideoError", "VideoReader"]

Backend = Literal["auto", "decord", "pyav"]

# Decoders that a forked process inherited. They are never used nor freed there: decord's would
# wait for threads that exist in the parent only.
_inherited: list[Decoder] = []


class VideoReader:
    """Random access to the frames of a video file.

    Frames are numbered in presentation order from 0, also where the frame rate varies. Opening a
    file reads its packets once, without decoding them; a process remembers this for its last
    1,024 files, so opening them again is cheap. Decoding uses one thread.

    Which decoder: PyAV, unless decord is requested. PyAV was right for every file tried, and clips
    come from it faster (``benchmarks/decode.py``). decord 0.6 bundles an older FFmpeg and is
    served only where its frames are the same to the byte: H.264 and VP9 of 4:2:0 in MP4, MOV,
    Matroska or WebM. It is refused, with the reason, for

    - AVI and MPEG-4: wrong frames where there are B-frames, silently fewer from a file that was
      cut off, and an inverse transform that rounds otherwise;
    - other codecs and pixel formats: another conversion to RGB;
    - rotated or mirrored video, and odd heights or widths: not turned, or cut;
    - key frames that the frames before them refer to (open GOPs), and files whose times do not
      give the order of frames: other frames after a seek;
    - files that it can't open, that hold damage, or for which it reads other times than PyAV.

    A reader may be used after a fork and may be pickled: it opens its file anew in the other
    process. It is not safe to share between threads.

    Args:
        path: A video file.
        backend: ``auto`` (PyAV), ``pyav`` or ``decord``.

    Attributes:
        path: The file.
        backend: The decoder in use, ``decord`` or ``pyav``.
        rate: Average frames per second, exactly: by the presentation times, or the nominal rate
            where these fit to it.
        fps: The same as a float.
        height: Height of a frame in pixels, after rotation.
        width: Width of a frame in pixels, after rotation.
        sample_aspect_ratio: Width of a pixel by its height, after rotation; 1 where pixels are
            square or the file says nothing.
        display_size: Height and width of the displayed picture, in square pixels, by the file's
            header.

    A damaged file is readable where its frames are whole: they are those of a sequential decode
    that goes on after damage, and :meth:`get_frames` refuses the frames that lean on it. Recordings
    that were cut off are readable to their end if their header promises no more than that.

    Where the frame size changes, frames are scaled to the first size and a warning says so. Frames
    are as they are coded: pixels that are not square show in ``sample_aspect_ratio`` alone.

    Raises:
        VideoError: The file is missing, empty, holds no video (text, audio only), is cut off,
            corrupt, or of a codec that FFmpeg can't decode. No other exception comes from what a
            file holds. Damage inside a frame may show only when that frame is decoded.
        ValueError: The backend is unknown, not installed, or not exact for this file.

    Example:
        >>> import tempfile
        >>> from rspnet import VideoReader
        >>> from rspnet.data.synthetic.videos import generate
        >>> folder = generate(tempfile.mkdtemp(), 1, num_workers=1, progress=False)
        >>> with VideoReader(next(folder.rglob("*.mp4"))) as reader:
        ...     frames = reader.get_frames([0, 10, 20])
        >>> frames.shape, reader.fps
        ((3, 192, 256, 3), 25.0)
    """

    def __init__(self, path: str | Path, *, backend: Backend = "auto") -> None:
        self._decoder: Decoder | None = None
        self._process = os.getpid()
        if backend not in ("auto", "decord", "pyav"):
            raise ValueError(f"backend is 'auto', 'decord' or 'pyav', got {backend!r}")
        self.path = Path(path)
        self._requested: Backend = backend
        self._index: VideoIndex
        with self._local() as file:
            self._index, container = open_index(file)
        self.backend = self._choose(backend)
        if container is not None and self.backend == "pyav":
            self._decoder = PyAVDecoder(file, self._index, container)
        elif container is not None:
            container.close()
        self.rate = self._index.rate
        self.fps = float(self.rate)
        self.height = self._index.height
        self.width = self._index.width
        self.sample_aspect_ratio = self._index.pixel_aspect
        turned = self._index.matrix[0] == 0  # the stored height is kept, and the width stretched
        self.display_size = (
            (round(self.height / self.sample_aspect_ratio), self.width)
            if turned
            else (self.height, round(self.width * self.sample_aspect_ratio))
        )

    @contextmanager
    def _local(self) -> Iterator[Path]:
        """The file to read, fetched where the path is a pointer. Errors name the path itself."""
        try:
            file = local_file(self.path)
        except ValueError as error:
            raise VideoError(self.path, str(error)) from error
        with video_errors(self.path):
            try:
                yield file
            except VideoError as error:
                if file == self.path:
                    raise
                raise VideoError(self.path, error.reason) from error

    def _choose(self, backend: Backend) -> Literal["decord", "pyav"]:
        if backend != "decord":
            return "pyav"
        if find_spec("decord") is None:
            raise ValueError("backend 'decord' is not installed: pip install decord, or use 'pyav'")
        if not self.why_not_decord and not self._index.decoded:
            with self._local() as file:
                self._index.decord_differs = decord_is_wrong(file, self._index)
            self._index.decoded = True
        if self.why_not_decord:
            raise ValueError(
                f"{printable(self.path)}: decord is not exact for this file "
                f"({self.why_not_decord}): use backend 'pyav'"
            )
        return "decord"

    @property
    def why_not_decord(self) -> str:
        """Why decord is not exact for this file; empty where it is.

        Where decord is installed, its table of the file's frames is compared with PyAV's.
        """
        index = self._index
        if index.why_not_decord or find_spec("decord") is None:
            return index.why_not_decord
        if index.decord_differs is None:
            with self._local() as file:
                index.decord_differs = decord_differs(file, index)
        return index.decord_differs

    def __len__(self) -> int:
        return self._index.num_frames

    def __repr__(self) -> str:
        return (
            f"VideoReader({printable(self.path)!r}, backend={self.backend!r}): {len(self)} frames "
            f"of {self.height} x {self.width} pixels, {self.fps:g} fps"
        )

    def __reduce__(self) -> tuple[object, ...]:
        return _reopen, (self.path, self._requested)

    def get_frames(self, indices: Sequence[int] | NDArray[np.integer]) -> NDArray[np.uint8]:
        """Decode frames.

        Args:
            indices: Frame numbers, 0 to ``len(self) - 1``, in any order, repeats allowed. The
                result follows their order.

        Returns:
            RGB frames, (N, H, W, 3) uint8.

        Raises:
            VideoError: A frame can't be decoded, or leans on a frame that is damaged.
            ValueError: An index is out of range.
            MemoryError: So many frames do not fit into memory.
        """
        wanted = np.asarray(indices)
        if wanted.size == 0:
            return np.empty((0, self.height, self.width, 3), np.uint8)
        if wanted.ndim != 1 or not np.issubdtype(wanted.dtype, np.integer):
            raise ValueError(
                "indices are a list of whole numbers, "
                f"got an array of {wanted.dtype} with shape {wanted.shape}"
            )
        wrong = wanted[(wanted < 0) | (wanted >= len(self))]
        if wrong.size:
            raise ValueError(
                f"{printable(self.path)}: frames are numbered 0 to {len(self) - 1}, got {wrong[0]}"
            )
        unique, inverse = np.unique(wanted, return_inverse=True)
        frames = self._read([int(i) for i in unique])
        if len(unique) == len(wanted) and bool((inverse == np.arange(len(wanted))).all()):
            return frames
        return frames[inverse]

    def _read(self, indices: list[int]) -> NDArray[np.uint8]:
        damaged = [i for i in indices if self._index.damaged[i]]
        if damaged:
            raise damaged_frame(self.path, damaged[0])
        try:
            with self._local() as file:
                return self._open(file).read(indices)
        except VideoError:
            self.close()
            raise

    def _open(self, file: Path) -> Decoder:
        if self._process != os.getpid():
            self.close()
            self._process = os.getpid()
        if self._decoder is None:
            kind = DecordDecoder if self.backend == "decord" else PyAVDecoder
            self._decoder = kind(file, self._index)
        return self._decoder

    def close(self) -> None:
        """Release the file. The next :meth:`get_frames` opens it again."""
        decoder, self._decoder = self._decoder, None
        if decoder is None:
            return
        if self._process == os.getpid():
            decoder.close()
        else:
            _inherited.append(decoder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # The module's globals may be gone when the interpreter shuts down.
        if getattr(self, "_decoder", None) is not None and os is not None:
            self.close()


def _reopen(path: Path, backend: Backend) -> VideoReader:
    return VideoReader(path, backend=backend)
