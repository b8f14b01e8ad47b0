"""The parts of the run: what is damaged, what reads it, and what comes of that.

A case ends with ``identical`` (what was read is what was written, or what a plain sequential
decode gives), ``refused`` (``VideoError`` or ``ValueError``), ``silent difference`` or ``other
exception``; the process that runs it may also crash or hang. ``concealed`` is for videos: FFmpeg
decodes damage without a word and fills what a frame lacks with what its buffers held before, so the
number of frames is right, and pixels of the damaged ones depend on what was read before them.
"""

import hashlib
import json
import shutil
import traceback
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
import yaml
from safetensors.torch import load_file, save_file

from benchmarks.fuzz import damage as made
from rspnet import Branch, VideoReader, load_model, save_model
from rspnet.commands import parse_config, save_config, to_plain
from rspnet.commands.settings import make_parser
from rspnet.commands.settings import settings_of as settings_of_parser
from rspnet.data.datasets.labelled import DatasetConfig, load_video_set
from rspnet.data.listing import expand_roots
from rspnet.data.video.container import orientation
from rspnet.data.video.index import forget
from rspnet.doctor import PROBES, write_probe
from rspnet.extract import ExtractConfig
from rspnet.finetune import FinetuneConfig
from rspnet.recognition.classifier import Classifier, load_classifier, save_classifier
from rspnet.retrieval.build import build_gallery
from rspnet.retrieval.gallery import Gallery
from rspnet.retrieval.store import Protocol
from rspnet.training.config import TrainConfig
from rspnet.training.run_folder import Checkpoints, load_checkpoint

OUTCOMES = (
    "identical", "refused", "other exception", "crash", "hang", "silent difference", "concealed",
)  # fmt: skip
IDENTICAL, REFUSED, OTHER, CRASH, HANG, SILENT, CONCEALED = OUTCOMES


def judge(right: bool) -> str:
    """The outcome of what was read without an error."""
    return IDENTICAL if right else SILENT


@dataclass(frozen=True)
class Result:
    """What came of a case: one of :data:`OUTCOMES`, and what is to be known of it."""

    outcome: str
    detail: str = ""


class Part(ABC):
    """Cases of one kind, numbered from 0.

    Args:
        folder: Of the originals, made by :meth:`prepare`.
        number: Cases.
        seed: Of all that is random.
    """

    def __init__(self, folder: Path, number: int, seed: int) -> None:
        self.folder, self.number, self.seed = folder, number, seed

    def prepare(self) -> None:  # noqa: B027
        """Write the originals, once."""

    def start(self) -> None:  # noqa: B027
        """What each process does before its first case."""

    @abstractmethod
    def read(self, case: int, rng: np.random.Generator, place: Path) -> tuple[str, str]:
        """Make a case in an empty folder and read it; what came of it, and the outcome."""

    def run(self, case: int, place: Path) -> Result:
        """The outcome of a case, if the process lives to tell it."""
        rng = np.random.default_rng((self.seed, case))
        about: list[str] = []
        self.say = about.append
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        try:
            why, outcome = self.read(case, rng, place)
            return Result(outcome, " ".join([*about, why]))
        except ValueError as error:
            return Result(REFUSED, " ".join([*about, str(error)]))
        except Exception:
            return Result(OTHER, " ".join([*about, traceback.format_exc()]))


# Videos.


def sequential(path: Path, most: int = 5000) -> list[tuple[int, tuple[int, ...]]]:
    """Checksum and shape of each frame that plain PyAV decodes, passing over what it refuses."""
    frames: list[tuple[int, tuple[int, ...]]] = []
    with av.open(str(path), metadata_errors="replace") as container:
        stream = next(s for s in container.streams.video if not s.disposition.value & 0x400)
        stream.codec_context.thread_count = 1
        packets = container.demux(stream)
        while len(frames) < most:
            with suppress(av.FFmpegError, ValueError):
                packet = next(packets, None)
                if packet is None:
                    break
                for frame in packet.decode():
                    image = frame.to_ndarray(format="rgb24", threads=1)
                    turned = orientation(frame) != (1, 0, 0, 1)
                    frames.append((zlib.crc32(image.tobytes()), () if turned else image.shape))
    return frames


class Videos(Part):
    """Videos in seven containers and codecs, with few key frames and with many."""

    def prepare(self) -> None:
        for number, (suffix, codec, pixels) in enumerate(PROBES.values()):
            for gop in (10, 250):
                path = self.folder / f"{number}-{gop}{suffix}"
                write_probe(path, codec, pixels, num_frames=40, gop=gop)

    def read(self, case: int, rng: np.random.Generator, place: Path) -> tuple[str, str]:
        originals = sorted(self.folder.iterdir())
        original = originals[case % len(originals)]
        data, names = made.damage(original.read_bytes(), rng)
        self.say(f"{original.suffix} {names}:")
        path = place / f"video{original.suffix}"
        path.write_bytes(data)
        forget()
        with VideoReader(path) as reader:
            number = len(reader)
            some = np.sort(rng.integers(0, number, 4))
            few = reader.get_frames(some)
            found = [
                (zlib.crc32(image.tobytes()), image.shape)
                for begin in range(0, number, 16)
                for image in reader.get_frames(range(begin, min(begin + 16, number)))
            ]
        expected = sequential(path)
        if len(expected) != len(found):
            return f"{len(found)} frames, a sequential decode gives {len(expected)}", SILENT
        if [zlib.crc32(image.tobytes()) for image in few] != [found[i][0] for i in some]:
            return f"frames {some} are others after a seek", CONCEALED
        # Of another shape: turned upright, or scaled to the first.
        others = sum(a != b for a, b in zip(expected, found, strict=True) if a[1] == b[1])
        return f"{len(found)} frames, {others} others", CONCEALED if others else IDENTICAL


# Checkpoints and models.


def digest(value: Any) -> str:
    """Of tensors and plain values, nested."""
    found = hashlib.sha256()

    def add(value: Any) -> None:
        if isinstance(value, torch.Tensor):
            found.update(f"{value.dtype}{tuple(value.shape)}".encode())
            found.update(value.detach().contiguous().view(torch.uint8).numpy().tobytes()
                         if value.ndim else repr(value.item()).encode())  # fmt: skip
        elif isinstance(value, np.ndarray):
            found.update(f"{value.dtype}{value.shape}".encode() + value.tobytes())
        elif isinstance(value, dict):
            for key in value:
                add(key)
                add(value[key])
        elif isinstance(value, list | tuple):
            found.update(f"{type(value)}{len(value)}".encode())
            for inner in value:
                add(inner)
        else:
            found.update(f"{type(value)}{value!r}".encode())

    add(value)
    return found.hexdigest()


def tiny_branch() -> Branch:
    """A branch of a few thousand weights, the same at each call."""
    torch.manual_seed(0)
    options = {"width": 2, "stem_kernel": (1, 3, 3)}
    return Branch("resnet18_fine", options, num_frames=8, size=32).eval()


def _both(path: Path) -> Any:
    branches = [load_model(path, name) for name in ("query", "key")]
    return [(b.spec(), b.metadata, dict(b.state_dict())) for b in branches]


def _classifier(path: Path) -> Any:
    model = load_classifier(path)
    about = (model.classes, model.branch.spec(), model.branch.metadata)
    return about, dict(model.state_dict())


def _newest(path: Path) -> Any:
    found = Checkpoints(path.parent, 3).load_newest()
    if found is None:
        raise ValueError("no checkpoint is left")
    return found[1]


class Models(Part):
    """Training checkpoints (also those of older versions), models and classifiers."""

    READERS: tuple[tuple[str, Callable[[Path], Any]], ...] = (
        ("step_00000007.pt", load_checkpoint),
        ("step_00000007.pt", _newest),
        ("step_00000007.pt", _both),
        ("older.pt", load_checkpoint),
        ("older.pt", _both),
        ("model.safetensors", _both),
        ("classifier.safetensors", _classifier),
    )

    def prepare(self) -> None:
        branch = tiny_branch()
        model = {"arch": branch.arch, "options": branch.encoder_options, "head": "linear"}
        network = {
            f"{name}.{key}": value
            for name in ("query", "key")
            for key, value in branch.state_dict().items()
        }
        config = {"model": model, "data": {"num_frames": 8, "size": 32}}
        state = {"step": 7, "network": network, "config": config}
        Checkpoints(self.folder, 1).save(7, state)
        torch.save(state, self.folder / "older.pt")
        save_model(self.folder / "model.safetensors", branch, branch, metadata={"steps": 7})
        classifier = Classifier(branch, ["run", "walk"])
        save_classifier(self.folder / "classifier.safetensors", classifier, {"steps": 7})

    def start(self) -> None:
        self.known = [digest(reader(self.folder / name)) for name, reader in self.READERS]

    def read(self, case: int, rng: np.random.Generator, place: Path) -> tuple[str, str]:
        which = case % len(self.READERS)
        name, reader = self.READERS[which]
        data, names = made.damage((self.folder / name).read_bytes(), rng)
        self.say(f"{name} {names}:")
        (place / name).write_bytes(data)
        return "read", judge(digest(reader(place / name)) == self.known[which])


# Galleries.


class Galleries(Part):
    """Galleries of three parts: damaged bytes, parts that are missing, swapped or of another."""

    def prepare(self) -> None:
        videos = self.folder / "videos" / "walk"
        videos.mkdir(parents=True)
        for number in range(5):
            write_probe(videos / f"{number}.mp4", "libx264", "yuv420p", num_frames=10 + number)
        (videos / "4.mp4").write_text("no video")
        paths = sorted(videos.iterdir())
        branch, protocol = tiny_branch(), Protocol(num_clips=2, num_frames=8, size=32)
        for name, own in (("gallery", paths), ("other", paths[::-1])):
            build_gallery(branch, own, self.folder / name, protocol, part_size=2)

    @staticmethod
    def _known(folder: Path) -> str:
        gallery = Gallery.load(folder)
        about = [gallery.model, gallery.model_hash, gallery.protocol, gallery.dataset]
        rows = [gallery.paths, gallery.labels, gallery.splits, gallery.clip_starts]
        return digest([about, rows, gallery.skipped, gallery.vectors])

    def start(self) -> None:
        self.known = self._known(self.folder / "gallery")

    def read(self, case: int, rng: np.random.Generator, place: Path) -> tuple[str, str]:
        folder = place / "gallery"
        shutil.copytree(self.folder / "gallery", folder)
        parts = sorted(folder.glob("part-*"))
        one, two = (parts[i] for i in rng.permutation(len(parts))[:2])
        how = ("bytes", "bytes", "bytes", "copy", "swap", "missing", "foreign")[case % 7]
        self.say(f"{how} {one.name}:")
        if how == "bytes":
            file = sorted(folder.iterdir())[int(rng.integers(0, len(parts) + 2))]
            data, names = made.damage(file.read_bytes(), rng)
            self.say(f"{file.name} {names}:")
            file.write_bytes(data)
        elif how == "copy":
            shutil.copy(one, two)
        elif how == "swap":
            first = one.read_bytes()
            one.write_bytes(two.read_bytes())
            two.write_bytes(first)
        elif how == "missing":
            one.unlink()
        else:
            shutil.copy(self.folder / "other" / one.name, one)
        return "loaded", judge(self._known(folder) == self.known)


# Structured nonsense.


class Configurations(Part):
    """Settings of train, finetune and extract, in a file or as words."""

    CLASSES = (TrainConfig, FinetuneConfig, ExtractConfig)

    def start(self) -> None:
        share = -(-self.number // len(self.CLASSES))
        self.cases = [
            made.examples(made.settings_of(sorted(settings_of_parser(make_parser(c)))), share, n)
            for n, c in enumerate(self.CLASSES, self.seed)
        ]

    def read(self, case: int, rng: np.random.Generator, place: Path) -> tuple[str, str]:
        kind = case % len(self.CLASSES)
        values = self.cases[kind][case // len(self.CLASSES)]
        config_class: type[Any] = self.CLASSES[kind]
        self.say(f"{config_class.__name__} {values!r}:")
        if rng.random() < 0.5:
            path = place / "config.yaml"
            path.write_text(yaml.safe_dump(values), encoding="utf-8", errors="surrogatepass")
            words = ["--config", str(path)]
        else:
            words = [w for name, value in values.items() for w in (f"--{name}", str(value))]
        config = parse_config(config_class, words)
        save_config(config, place / "saved.yaml")
        again = parse_config(config_class, ["--config", str(place / "saved.yaml")])
        return "read", judge(repr(to_plain(again)) == repr(to_plain(config)))


class Headers(Models):
    """Headers of models and classifiers, sealed anew: right by their digest, nonsense inside."""

    def start(self) -> None:
        from safetensors import safe_open

        self.cases = []
        for name in ("model.safetensors", "classifier.safetensors"):
            with safe_open(self.folder / name, framework="pt") as file:
                good = {k: v for k, v in file.metadata().items() if k != "seal"}
            found = made.examples(made.headers(good), -(-self.number // 2), self.seed)
            self.cases.append((name, load_file(self.folder / name), found))

    def read(self, case: int, rng: np.random.Generator, place: Path) -> tuple[str, str]:
        name, tensors, found = self.cases[case % 2]
        header = found[case // 2]
        self.say(f"{name} {json.dumps(header)[:600]}:")
        save_file(tensors, place / name, metadata=header)
        if name.startswith("model"):
            spec = [load_model(place / name, b).spec() for b in ("query", "key")]
        else:
            spec = [load_classifier(place / name).branch.spec()]
        sane = all(0 < s["num_frames"] <= 4096 and 0 < s["size"] <= 4096 for s in spec)
        return f"read {spec}", judge(sane)


class Lists(Part):
    """Lists of videos and tables of labels: encodings, odd names, broken text."""

    KINDS = (("list.txt", "", "{}"), ("list.txt", "", "{} 3"), ("t.csv", "path,label", "{},a"))

    def prepare(self) -> None:
        for name in made.NAMES:
            path = self.folder / name
            path.parent.mkdir(exist_ok=True, parents=True)
            path.touch()

    def start(self) -> None:
        share = -(-self.number // len(self.KINDS))
        rows = ((f"{h},split", f"{r},train") if h else (h, r) for _, h, r in self.KINDS)
        self.cases = [made.examples(made.lists(h, r), share, self.seed) for h, r in rows]

    def read(self, case: int, rng: np.random.Generator, place: Path) -> tuple[str, str]:
        kind = case % len(self.KINDS)
        name = self.KINDS[kind][0]
        data, expected = self.cases[kind][case // len(self.KINDS)]
        self.say(f"{name} {data!r}:")
        path = self.folder / f"{case}-{name}"
        path.write_bytes(data)
        try:
            if name.endswith(".txt"):
                found = [str(p.relative_to(self.folder)) for p in expand_roots([path])]
            else:
                config = DatasetConfig(name="csv", root=str(self.folder), annotations=str(path))
                videos = load_video_set(config).videos
                found = [str(video.path.relative_to(self.folder)) for video in videos]
        finally:
            path.unlink()
        return f"{found}", judge(expected is None or sorted(found) == sorted(expected))


PARTS: dict[str, type[Part]] = {
    "videos": Videos,
    "models": Models,
    "galleries": Galleries,
    "configurations": Configurations,
    "headers": Headers,
    "lists": Lists,
}
NUMBERS = {
    "videos": 2100, "models": 560, "galleries": 350, "configurations": 600, "headers": 300,
    "lists": 300,
}  # fmt: skip
