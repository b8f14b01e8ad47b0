"""What is measured: models, their random weights, and their two own tasks."""

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from rspnet.data.sampling import clip_span, evenly_spaced
from rspnet.data.sources import scan_files
from rspnet.evaluate import evaluate_pretext
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
    subject: Subject, paths: Sequence[Path], num_videos: int, device: str
) -> dict[str, Any]:
    """RSP's ordering accuracy and A-VID's top-1 by :mod:`rspnet.evaluate`, at 1x and 2x.

    Of the held-out videos that are long enough for a clip at 2x, so many are taken, evenly spaced.
    """
    query, key = subject.branch("query", device), subject.branch("key", device)
    usable = scan_files(sorted(paths), clip_span(query.num_frames, max(SPEEDS))).usable
    usable = evenly_spaced(usable, num_videos)
    found = evaluate_pretext(
        query, key, usable, speeds=SPEEDS, num_triplets=NUM_TRIPLETS, device=device
    )
    return asdict(found)


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
