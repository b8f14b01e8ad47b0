"""Decoding: speed beside PyAV and decord, and exactness against a sequential decode.

    python -m benchmarks.decode                         clips a second, on generated H.264 files
    python -m benchmarks.decode --root DIR              the same on the videos of a folder
    python -m benchmarks.decode --verify --root DIR     compare every video of a folder
    python -m benchmarks.decode --stores                from tar shards and a local S3 server, too

Speed is that of a training sample: open a file, decode a clip of 16 frames from a random place,
close it, all in one thread. ``VideoReader`` is timed without what it remembers of a file (the
first clip from it that a process takes) and with it (every later one).
"""

import argparse
import logging
import os
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.harness import describe_machine, installed, measure, print_row
from rspnet.data.listing import list_videos
from rspnet.data.stores.shards import write_pointers
from rspnet.data.synthetic.videos import render_video
from rspnet.data.video.encode import write_video
from rspnet.data.video.index import forget
from rspnet.data.video.reader import Backend, VideoError, VideoReader

Frames = NDArray[np.uint8]
Job = tuple[Path, list[int]]
NUM_FRAMES = 16


def sequential(path: Path) -> tuple[Frames | None, str]:
    """All frames as PyAV decodes them from the start, or why it does not."""
    try:
        with av.open(str(path)) as container:
            container.streams.video[0].codec_context.thread_count = 1
            frames = [
                np.rot90(f.to_ndarray(format="rgb24", threads=1), f.rotation // 90)
                for f in container.decode(video=0)
            ]
        return np.stack(frames), ""
    except (av.FFmpegError, ValueError, IndexError) as error:
        return None, str(error)


def verify(paths: Sequence[Path], num_lists: int, seed: int) -> int:
    """Compare readers with sequential decodes; 0 if there is no difference."""
    rng = np.random.default_rng(seed)
    counts: Counter[str] = Counter()
    backends: tuple[Backend, ...] = ("auto", "decord")
    for path in tqdm(paths, unit="video", disable=None):
        expected, why = sequential(path)
        for backend in backends:
            try:
                with VideoReader(path, backend=backend) as reader:
                    _compare(path, reader, expected, num_lists, rng, counts, backend)
            except VideoError as error:
                counts[f"{backend}: files refused"] += 1
                if expected is not None:
                    counts["differences"] += 1
                tqdm.write(f"{error}\n    (sequential decode: {why or 'fine'})")
            except ValueError:
                counts[f"{backend}: files that decord does not read exactly"] += 1
    for name in sorted(counts - Counter(differences=counts["differences"])):
        print(f"{name:32} {counts[name]:12,}")
    print(f"{'differences':32} {counts['differences']:12,}")
    return min(1, counts["differences"])


def _compare(
    path: Path,
    reader: VideoReader,
    expected: Frames | None,
    num_lists: int,
    rng: np.random.Generator,
    counts: Counter[str],
    backend: str,
) -> None:
    if expected is None:
        reader.get_frames(range(len(reader)))
        tqdm.write(f"{path}: read, but a sequential decode fails")
        counts["differences"] += 1
        return
    counts[f"{backend}: files"] += 1
    shape = (len(reader), reader.height, reader.width, 3)
    if shape != expected.shape:
        tqdm.write(f"{path}: {shape} instead of {expected.shape}")
        counts["differences"] += 1
        return
    lists = [rng.integers(0, len(reader), rng.integers(1, 33)) for _ in range(num_lists)]
    for indices in [*lists, np.arange(len(reader))]:
        equal = (reader.get_frames(indices) == expected[indices]).all(axis=(1, 2, 3))
        counts[f"{backend}: frames compared"] += len(indices)
        counts["differences"] += int((~equal).sum())
        if not equal.all():
            tqdm.write(f"{path}: {backend} differs in frames {indices[~equal]} of {indices}")


def with_reader(path: Path, indices: list[int]) -> None:
    with VideoReader(path) as reader:
        reader.get_frames(indices)


def with_new_reader(path: Path, indices: list[int]) -> None:
    forget()
    with_reader(path, indices)


def with_pyav(path: Path, indices: list[int]) -> None:
    """What one writes first: decode from the start, keep what is wanted."""
    wanted = set(indices)
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for number, frame in enumerate(container.decode(video=0)):
            if number in wanted:
                frame.to_ndarray(format="rgb24", threads=1)
            if number == indices[-1]:
                break


def with_decord(path: Path, indices: list[int]) -> None:
    import decord

    decord.VideoReader(str(path), num_threads=1).get_batch(indices).asnumpy()


def decode_all(decode: Callable[[Path, list[int]], None], jobs: list[Job]) -> None:
    for path, indices in jobs:
        decode(path, indices)


def random_clips(paths: Sequence[Path], num_clips: int, seed: int) -> list[Job]:
    """Clips of 16 frames at double speed (where a video is long enough), shuffled."""
    rng = np.random.default_rng(seed)
    jobs = []
    for path in rng.choice(np.array(paths, object), num_clips):
        with VideoReader(path) as reader:
            length = len(reader)
        speed = 2 if length > 2 * NUM_FRAMES else 1
        start = int(rng.integers(0, max(1, length - speed * (NUM_FRAMES - 1))))
        jobs.append((path, [min(start + speed * t, length - 1) for t in range(NUM_FRAMES)]))
    return jobs


def generate(folder: Path) -> dict[str, list[Path]]:
    """Synthetic videos as they are, and a longer, larger variant with few key frames."""
    sets: dict[str, list[Path]] = {"256 x 192, 3 to 5 s": [], "320 x 240, 12 s, 1 key frame": []}
    for index in range(6):
        video = render_video(0, index)
        short, long = folder / f"short{index}.mp4", folder / f"long{index}.mp4"
        write_video(short, video.frames, video.fps)
        larger = [cv2.resize(f, (320, 240)) for f in video.frames]
        turns = (larger, larger[::-1], larger, larger[::-1])
        looped = [frame for turn in turns for frame in turn][:300]
        write_video(long, np.stack(looped).astype(np.uint8), video.fps, gop=300)
        for name, path in zip(sets, (short, long), strict=True):
            sets[name].append(path)
    return sets


def speed(sets: dict[str, list[Path]], num_clips: int, repeats: int, seed: int) -> None:
    peers: dict[str, Callable[[Path, list[int]], None]] = {
        "VideoReader, first clip": with_new_reader,
        "VideoReader, later clips": with_reader,
        "PyAV, sequential": with_pyav,
    }
    if installed("decord") != "absent":
        peers["decord, raw"] = with_decord
    print(f"\nclips of {NUM_FRAMES} frames a second, one thread, best of {repeats} x {num_clips}")
    print_row("", *peers, width=26)
    for name, paths in sets.items():
        jobs = random_clips(paths, num_clips, seed)
        works = {peer: partial(decode_all, decode, jobs) for peer, decode in peers.items()}
        times = measure(works, repeats).values()
        print_row(name, *(f"{num_clips / min(own.wall):.1f}" for own in times), width=26)


@contextmanager
def store_folders(sets: dict[str, list[Path]], folder: Path) -> Iterator[dict[str, list[Path]]]:
    """The same videos in the folder, in a tar, and as objects and a tar of an S3 server here."""
    import s3fs
    from moto.server import ThreadedMotoServer

    paths = next(iter(sets.values()))
    with tarfile.open(folder / "shard.tar", "w") as archive:
        for path in paths:
            archive.add(path, path.name)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    os.environ |= {
        "RSPNET_CACHE": str(folder / "cache"),
        "AWS_ENDPOINT_URL": "http://{}:{}".format(*server.get_host_and_port()),
        **dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "local"),
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    store = s3fs.S3FileSystem()
    store.mkdir("bucket")
    for path in (*paths, folder / "shard.tar"):
        store.put(str(path), f"bucket/{'tar' if path.suffix == '.tar' else 'videos'}/{path.name}")
    addresses = {
        "tar": str(folder / "shard.tar"),
        "S3, an object a video": "s3://bucket/videos",
        "S3, tar": "s3://bucket/tar",
    }
    found = {name: write_pointers(address)[0] for name, address in addresses.items()}
    yield {"folder": paths} | {n: [f / path.name for path in paths] for n, f in found.items()}
    server.stop()


def speed_of_stores(sets: dict[str, list[Path]], num_clips: int, repeats: int, seed: int) -> None:
    """Milliseconds a clip, of a video that has to be fetched and of one that was."""

    def fetch(path: Path, indices: list[int]) -> None:
        for file in (Path(os.environ["RSPNET_CACHE"]) / "fetched").glob("*"):
            file.unlink()
        with_new_reader(path, indices)

    print(f"\nms a clip of {NUM_FRAMES} frames, one thread, median of {repeats} x {num_clips}")
    print_row("", "fetched anew", "there", width=26)
    clips = random_clips(sets["folder"], num_clips, seed)
    numbers = [(sets["folder"].index(path), indices) for path, indices in clips]
    for name, paths in sets.items():
        jobs = [(paths[number], indices) for number, indices in numbers]
        works = {f.__name__: partial(decode_all, f, jobs) for f in (fetch, with_reader)}
        times = measure(works, repeats).values()
        print_row(name, *(f"{1000 * own.seconds / num_clips:.1f}" for own in times), width=26)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--root", type=Path, help="a folder of videos, instead of generated ones")
    parser.add_argument("--verify", action="store_true", help="compare frames instead of timing")
    parser.add_argument("--stores", action="store_true", help="time tar shards and a local S3")
    parser.add_argument("--num_lists", type=int, default=4, help="random lists of frames a video")
    parser.add_argument("--num_clips", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    av.logging.set_level(None)
    with tempfile.TemporaryDirectory() as folder:
        if options.root:
            sets = {str(options.root): list_videos(options.root)}
        else:
            sets = generate(Path(folder))
        if options.verify:
            paths = [path for paths in sets.values() for path in paths]
            return verify(paths, options.num_lists, options.seed)
        print(describe_machine("av", "decord", "numpy"), f"FFmpeg {av.ffmpeg_version_info}")
        if options.stores:
            with store_folders(sets, Path(folder)) as same:
                speed_of_stores(same, options.num_clips, options.repeats, options.seed)
            return 0
        speed(sets, options.num_clips, options.repeats, options.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
