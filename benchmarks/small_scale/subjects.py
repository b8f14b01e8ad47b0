"""What is measured: models, their random weights, and their two own tasks."""

import hashlib
import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from analysis.report.store import Store
from benchmarks.small_scale.features import Videos
from rspnet.data.labelled_clips import ActionsConfig
from rspnet.data.sampling import clip_span, evenly_spaced
from rspnet.data.sources import scan_files
from rspnet.evaluate import evaluate_pretext
from rspnet.finetune import FinetuneConfig, finetune
from rspnet.models import Branch, encoder_info
from rspnet.recognition.classifier import is_classifier, load_classifier
from rspnet.weights.checkpoint import BranchName, load_model

SPEEDS = (1, 2)
NUM_TRIPLETS = 4


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A model, or an architecture with random weights.

    Attributes:
        name: Of its row.
        identity: SHA-256 of the model's file, or all that fixes the random weights.
        spec: What the branch is built from.
        model: Model file or name of a shipped model; nothing for random weights.
        seed: Of the random weights.
        has_heads: Whether its heads were trained; those of a classifier were not.
    """

    name: str
    identity: str
    spec: dict[str, Any] = field(repr=False)
    model: str | None = None
    seed: int = 0
    has_heads: bool = True

    def branch(self, name: BranchName, device: str) -> Branch:
        """One branch, in evaluation mode; with random weights or a classifier both are one."""
        if self.model is not None and not self.has_heads:
            return load_classifier(self.model, device).branch
        if self.model is not None:
            return load_model(self.model, name, device=device)
        torch.manual_seed(self.seed)
        return Branch.from_spec(self.spec).to(device).eval()


def named_models(words: Sequence[str]) -> list[Subject]:
    """Models from ``NAME=FILE``, or a file or shipped name alone.

    A classifier of :mod:`rspnet.finetune` gives its encoder: what labels teach.

    Raises:
        ValueError: No such model, or one that can't be read.
    """
    found = []
    for word in words:
        name, equals, model = word.partition("=")
        if not equals:
            path = Path(word)
            name, model = (path.parent.name if path.stem == "model" else path.stem), word
        supervised = is_classifier(model)
        branch = load_classifier(model).branch if supervised else load_model(model)
        found.append(
            Subject(
                name=name,
                identity=branch.hash,
                spec=branch.spec(),
                model=model,
                has_heads=not supervised,
            )
        )
    return found


def random_subjects(name: str, spec: dict[str, Any], num_seeds: int) -> list[Subject]:
    """An architecture with random weights of the seeds 0, 1, ..."""
    made = {"spec": spec, "torch": version("torch")}  # which draws the numbers
    return [
        Subject(
            name=name,
            identity=json.dumps({"random_weights": seed, **made}, sort_keys=True),
            spec=spec,
            seed=seed,
        )
        for seed in range(num_seeds)
    ]


def default_spec(arch: str) -> dict[str, Any]:
    """An encoder as it is by default.

    Raises:
        ValueError: There is no such encoder.
    """
    info = encoder_info(arch)
    return Branch(arch, num_frames=info.num_frames, size=info.size).spec()


def measure_pretext(
    subject: Subject,
    paths: Sequence[Path],
    identity: str,
    num_videos: int,
    store: Path,
    device: str,
) -> dict[str, Any]:
    """RSP's ordering accuracy and A-VID's top-1, as :mod:`rspnet.evaluate` measures them.

    Args:
        subject: What is measured.
        paths: Held-out videos; those too short for a clip at 2x are skipped.
        identity: Of these videos.
        num_videos: So many of them, evenly spaced.
        store: Folder of what was measured before.
        device: Where to compute.
    """

    def make() -> dict[str, Any]:
        query, key = subject.branch("query", device), subject.branch("key", device)
        usable = scan_files(sorted(paths), clip_span(query.num_frames, max(SPEEDS))).usable
        usable = evenly_spaced(usable, num_videos)
        return asdict(
            evaluate_pretext(
                query, key, usable, speeds=SPEEDS, num_triplets=NUM_TRIPLETS, device=device
            )
        )

    settings = {
        "videos": identity,
        "num_videos": num_videos,
        "speeds": SPEEDS,
        "num_triplets": NUM_TRIPLETS,
    }
    found: dict[str, Any] = Store(store, subject.identity).part("pretext", settings, make)
    return found


def measure_finetuning(
    subject: Subject,
    data: ActionsConfig,
    videos: Videos,
    epochs: float,
    out: Path,
    device: str,
    num_workers: int,
) -> dict[str, Any]:
    """Train the whole network on the labels; see :mod:`rspnet.finetune`.

    Args:
        subject: What training begins with.
        data: The labelled set.
        videos: The same set.
        epochs: How often every video is seen.
        out: Folder of the runs and of what was measured before.
        device: Where to compute.
        num_workers: Processes that decode.
    """
    settings = {"videos": videos.identity(), "epochs": epochs}
    text = f"{subject.identity} {json.dumps(settings)}"
    key = hashlib.sha256(text.encode()).hexdigest()[:16]

    def make() -> dict[str, Any]:
        spec = subject.spec
        config = FinetuneConfig(
            out=str(out / "finetune" / key),
            model=subject.model or "random",
            arch=None if subject.model else spec["arch"],
            options={} if subject.model else spec["encoder_options"],
            seed=subject.seed,
            epochs=epochs,
            data=data,
            device=device,
            num_workers=num_workers,
            threads=torch.get_num_threads(),
        )
        return dict(finetune(config).__dict__)

    found: dict[str, Any] = Store(out / "parts", subject.identity).part("finetune", settings, make)
    return found


def machine(device: str) -> dict[str, Any]:
    """Versions, and what it was computed on."""
    names = ("torch", "numpy", "opencv-python-headless", "av")
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in names},
        "machine": platform.machine(),
        "device": torch.cuda.get_device_name() if device.startswith("cuda") else "cpu",
        "threads": torch.get_num_threads(),
    }
