"""Small videos whose frames are known."""

from collections.abc import Container, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

NUM_BITS = 10


def painted(num_frames: int, height: int = 96, width: int = 128) -> np.ndarray:
    """Frames with their number painted in as a row of black and white squares."""
    y, x = np.mgrid[:height, :width]
    ground = np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], -1).astype(np.uint8)
    frames = np.repeat(ground[None], num_frames, 0)
    for i, frame in enumerate(frames):
        frame[40 + i % 30 : 56 + i % 30, i % 100 : i % 100 + 16] = (255, i % 256, 0)
        for bit in range(NUM_BITS):
            frame[:12, bit * 12 : bit * 12 + 12] = 255 * (i >> bit & 1)
    return frames


def textured(num_frames: int) -> np.ndarray:
    """The same with noise, which takes some hundred bytes a frame."""
    frames = painted(num_frames)
    noise = np.random.default_rng(0).integers(0, 256, (num_frames, 10, 8, 3), np.uint8)
    frames[:, 16:, :64] = noise.repeat(8, 1).repeat(8, 2)
    return frames


def painted_number(frame: np.ndarray) -> int:
    squares = [frame[4:8, bit * 12 + 4 : bit * 12 + 8].mean() > 127 for bit in range(NUM_BITS)]
    return sum(int(square) << bit for bit, square in enumerate(squares))


def write(
    path: Path,
    frames: np.ndarray,
    codec: str = "libx264",
    *,
    num_b_frames: int = 0,
    gop: int = 12,
    times: list[int] | None = None,
    options: dict[str, str] | None = None,
    rate: Fraction | int = 25,
    aspect: Fraction | None = None,
    muxer: dict[str, str] | None = None,
) -> Path:
    """Encode frames; ``times`` are presentation times in hundredths of a second."""
    with av.open(str(path), "w", options=muxer or {}) as container:
        stream: Any = container.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.max_b_frames = num_b_frames
        stream.codec_context.gop_size = gop
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 100)
        for number, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = times[number], Fraction(1, 100)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def sequential(path: Path) -> np.ndarray:
    """All frames of the first video stream, going on after damage."""
    return np.stack([f.to_ndarray(format="rgb24") for f in decode(path)])


def decode(path: Path) -> Iterator[av.VideoFrame]:
    """The same one by one, as the decoder gives them."""
    with av.open(f"file:{path}") as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for packet in container.demux(stream):
            with suppress(av.InvalidDataError):
                yield from packet.decode()


def remux(source: Path, path: Path, lost: Container[int]) -> Path:
    """Copy a video without some of its packets."""
    with av.open(str(source)) as container, av.open(str(path), "w") as out:
        stream = container.streams.video[0]
        copy = out.add_stream_from_template(stream)
        for number, packet in enumerate(p for p in container.demux(stream) if p.size):
            if number not in lost:
                packet.stream = copy
                out.mux(packet)
    return path


def packets_of(path: Path) -> list[tuple[int, int]]:
    with av.open(str(path)) as container:
        return [(p.pos or 0, p.size) for p in container.demux(video=0) if p.size]


def destroy(path: Path, number: int, *, head: bool) -> None:
    """Overwrite a packet, with its head or without."""
    place, size = packets_of(path)[number]
    data = bytearray(path.read_bytes())
    begin = place if head else place + size // 3
    data[begin : place + size] = bytes(0 if head else 0xA5 for _ in range(place + size - begin))
    path.write_bytes(data)
