"""What this installation can do, and what to mend: ``python -m rspnet.doctor [PATHS ...]``.

    python -m rspnet.doctor
    python -m rspnet.doctor clip.mp4 model.safetensors GALLERY RUN VIDEOS

Without paths: versions, decoders, GPU, folders and disk. A video, model, gallery, run or folder of
videos that is given is read from its first to its last byte, by what the other commands read it
with. Exit status 0: all is well; 1: there is something to mend.
"""

import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from packaging.requirements import Requirement

from rspnet.commands import run_cli
from rspnet.commands.run import check_out, describe_os_error
from rspnet.data.listing import list_videos
from rspnet.data.video import VideoReader
from rspnet.files import (
    default_cache_folder,
    default_threads,
    printable,
    repository,
    user_path,
)
from rspnet.recognition.classifier import is_classifier, load_classifier
from rspnet.retrieval.gallery import Gallery
from rspnet.retrieval.store import MANIFEST
from rspnet.training.run_folder import Checkpoints, load_checkpoint
from rspnet.weights.checkpoint import list_models, load_model

_LEAST_DISK = 2e9  # bytes
_MODEL_SUFFIXES = (".safetensors", ".pt", ".pth", ".tar", ".ckpt")
# Container and codec: suffix, encoder and pixel format of a video that is written to try them.
PROBES = {
    "MP4, H.264": (".mp4", "libx264", "yuv420p"),
    "MP4, HEVC": (".mp4", "libx265", "yuv420p"),
    "Matroska, H.264": (".mkv", "libx264", "yuv420p"),
    "WebM, VP9": (".webm", "libvpx-vp9", "yuv420p"),
    "AVI, MPEG-4": (".avi", "mpeg4", "yuv420p"),
    "MPEG-TS, MPEG-2": (".ts", "mpeg2video", "yuv420p"),
    "GIF": (".gif", "gif", "rgb8"),
}


@dataclass(frozen=True)
class Finding:
    """A line of the table.

    Attributes:
        name: What was looked at.
        text: What was found, or what is wrong.
        well: Whether there is nothing to mend.
    """

    name: str
    text: str
    well: bool = True


def write_probe(path: Path, codec: str, pixels: str, num_frames: int = 12, gop: int = 250) -> None:
    """Write a tiny video: a square that moves over a ramp of grey, 64 x 48 pixels, 25 fps."""
    import av

    x265 = {"x265-params": f"log-level=none:keyint={gop}"}
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(
            codec, rate=25, options=x265 if codec == "libx265" else {"g": str(gop)}
        )
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
        for t in range(num_frames):
            image = np.repeat(np.arange(64, dtype=np.uint8)[None, :, None] * 3, 48, axis=0)
            image = np.repeat(image, 3, axis=2)
            image[10:26, 2 + (3 * t) % 40 : 18 + (3 * t) % 40] = (230, 40, 10 * t % 250)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _requirements() -> list[Requirement]:
    root = repository()
    if root is None:
        lines = metadata.requires("rspnet") or []
    else:
        lines = (root / "requirements.txt").read_text(encoding="utf-8").splitlines()
    named = [Requirement(bare) for line in lines if (bare := line.split("#")[0].strip())]
    return [r for r in named if r.marker is None or r.marker.evaluate({"extra": ""})]


def check_versions() -> Iterator[Finding]:
    """Python and the direct dependencies, each at least the version that is needed."""
    yield Finding("python", f"{platform.python_version()}, {platform.platform(terse=True)}")
    for needed in _requirements():
        try:
            found = metadata.version(needed.name)
        except metadata.PackageNotFoundError:
            yield Finding(needed.name, f"absent: pip install '{needed}'", well=False)
            continue
        well = needed.specifier.contains(found, prereleases=True)
        hint = "" if well else f", but {needed.specifier} is needed: pip install '{needed}'"
        yield Finding(needed.name, found + hint, well)


def _read_all(path: Path, backend: str) -> str:
    with VideoReader(path, backend=backend) as reader:  # type: ignore[arg-type]
        for begin in range(0, len(reader), 64):
            reader.get_frames(range(begin, min(begin + 64, len(reader))))
        return (
            f"{len(reader):,} frames of {reader.height} x {reader.width} pixels, "
            f"{reader.fps:.5g} fps, all decoded"
        )


def check_decoders() -> Iterator[Finding]:
    """What PyAV and decord read of a video that is written now, in each container and codec."""
    import av

    with tempfile.TemporaryDirectory() as folder:
        for number, (name, (suffix, codec, pixels)) in enumerate(PROBES.items()):
            path = Path(folder) / f"{number}{suffix}"
            try:
                write_probe(path, codec, pixels)
            except (av.FFmpegError, ValueError, OSError) as error:
                yield Finding(name, f"not tried: PyAV has no encoder {codec} ({error})")
                continue
            try:
                _read_all(path, "pyav")
            except ValueError as error:
                yield Finding(name, f"{error}: pip install --force-reinstall av", well=False)
                continue
            try:
                _read_all(path, "decord")
                second = "decord too"
            except ValueError as error:
                second = str(error).removeprefix(f"{path}: ").split(": use backend")[0]
            yield Finding(name, f"PyAV reads it; {second}")


def check_machine() -> Iterator[Finding]:
    """Cores, GPUs, and the folders that are written to."""
    yield Finding("cores", f"{default_threads()}, {torch.get_num_threads()} threads of PyTorch")
    for number in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(number)
        yield Finding(f"GPU {number}", f"{about.name}, {about.total_memory / 2**30:.0f} GiB")
    if not torch.cuda.is_available():
        yield Finding("GPU", "none that PyTorch can use: all runs on the CPU")
    folders = (
        ("cache", default_cache_folder(), "set RSPNET_CACHE to another folder"),
        ("temporary files", Path(tempfile.gettempdir()), "set TMPDIR to another folder"),
        ("runs", Path("runs"), "choose another --out"),
    )
    for name, folder, hint in folders:
        try:
            check_out(folder, "folder")
        except ValueError as error:
            text = str(error).removesuffix(": choose another --out")
            yield Finding(name, f"{text}: {hint}", well=False)
            continue
        there = next(p for p in (folder.absolute(), *folder.absolute().parents) if p.exists())
        free = shutil.disk_usage(there).free
        text = f"{printable(folder.absolute())}, writable, {free / 1e9:,.1f} GB free"
        hint = "" if free >= _LEAST_DISK else f": free some space, or {hint}"
        yield Finding(name, text + hint, well=free >= _LEAST_DISK)


def _video(path: Path) -> str:
    return _read_all(path, "auto")


def _model(path: Path) -> str:
    if is_classifier(path):
        found = load_classifier(path)
        return f"classifier of {len(found.classes)} classes, encoder {found.branch.arch}"
    model = load_model(path)
    load_model(path, "key")
    return (
        f"{model.arch}, {sum(p.numel() for p in model.parameters()):,} parameters, clips of "
        f"{model.num_frames} x {model.size} x {model.size}, SHA-256 {model.hash[:12]}"
    )


def _gallery(path: Path) -> str:
    gallery = Gallery.load(path)
    return (
        f"gallery of {len(gallery):,} videos, {len(gallery.skipped):,} skipped, "
        f"model {gallery.model or gallery.model_hash[:12] or 'unknown'}"
    )


def _run_file(path: Path) -> str:
    if path.suffix == ".pt":
        return f"state after {load_checkpoint(path)['step']:,} steps"
    return _model(path)


def _files_of(path: Path) -> tuple[Sequence[Path], Callable[[Path], str]]:
    """What is to be read of a path that the user named, and by what."""
    if not path.exists() and str(path) in ("default", *list_models()):
        return [path], _model
    if not path.exists():
        raise ValueError(f"there is no {path}: expected a video, model, gallery, run or folder")
    if not path.is_dir():
        return [path], _model if path.suffix.lower() in _MODEL_SUFFIXES else _video
    if (path / MANIFEST).exists():
        return [path], _gallery
    if (path / "config.yaml").exists():
        return [
            *path.glob("*.safetensors"),
            *Checkpoints(path / "checkpoints", 1).paths(),
        ], _run_file
    return list_videos(path), _video


def check_path(path: Path) -> Iterator[Finding]:
    """Read a video, model, gallery, run folder or folder of videos, all of it."""
    try:
        files, check = _files_of(path)
    except ValueError as error:
        yield Finding(printable(path), str(error), well=False)
        return
    for file in files:
        try:
            yield Finding(printable(file), check(file))
        except (ValueError, OSError) as error:
            text = describe_os_error(error) if isinstance(error, OSError) else str(error)
            text = text.removeprefix(f"{file}: ")
            if check is _run_file and file.suffix == ".pt":
                text += ". Remove it: the run resumes from the checkpoint before it"
            yield Finding(printable(file), text, well=False)


@dataclass(frozen=True, kw_only=True)
class DoctorConfig:
    """What is looked at.

    Attributes:
        paths: Videos, models, galleries, run folders or folders of videos.
    """

    paths: list[str] = field(default_factory=list)


def _run(config: DoctorConfig) -> int:
    checks: dict[str, Callable[[], Iterator[Finding]]] = {
        "versions": check_versions,
        "decoders": check_decoders,
        "machine and folders": check_machine,
    }
    for path in config.paths:
        checks[printable(path)] = partial(check_path, user_path(path))
    to_mend = 0
    for title, check in checks.items():
        print(f"{title}:")
        for found in check():
            to_mend += not found.well
            text = printable(" ".join(found.text.split()))
            print(f"  {'ok' if found.well else 'MEND':4}  {found.name:24}  {text}", flush=True)
    print(f"{to_mend} to mend: see the lines marked MEND" if to_mend else "all is well")
    return min(1, to_mend)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    return run_cli(
        DoctorConfig,
        _run,
        arguments,
        prog="python -m rspnet.doctor",
        description="Say what this installation can do, and what is to be mended in files.",
        examples=(
            "python -m rspnet.doctor",
            "python -m rspnet.doctor clip.mp4 model.safetensors GALLERY RUN VIDEOS",
        ),
        positional=("paths",),
    )


if __name__ == "__main__":
    sys.exit(main())
