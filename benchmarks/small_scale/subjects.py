"""What is measured: models, their random weights, and their two own tasks."""

import argparse
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from rspnet.data.sampling import clip_span, evenly_spaced
from rspnet.data.sources import scan_files
from rspnet.evaluate import evaluate_pretext
from rspnet.models import Branch, encoder_info
from rspnet.names import HEADS
from rspnet.recognition.classifier import is_classifier, load_classifier
from rspnet.weights.checkpoint import BranchName, load_model

SPEEDS = (1, 2)
NUM_TRIPLETS = 4
# By pretext method; the others train neither head.
TRAINED_HEADS = {"rspnet": HEADS, "moco": ("avid",)}


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A model, or an architecture with random weights.

    Attributes:
        name: Of its row.
        identity: SHA-256 of the model's file, or all that fixes the random weights.
        spec: What the branch is built from.
        model: Model file or name of a shipped model; nothing for random weights.
        seed: Of the random weights.
        heads: Those that were trained, or all of random weights: of what they give there are rows.
        supervised: Whether the model is a classifier.
    """

    name: str
    identity: str
    spec: dict[str, Any] = field(repr=False)
    model: str | None = None
    seed: int = 0
    heads: tuple[str, ...] = HEADS
    supervised: bool = False

    def branch(self, name: BranchName, device: str) -> Branch:
        """One branch, in evaluation mode; with random weights or a classifier both are one."""
        if self.model is not None and self.supervised:
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
                heads=() if supervised else trained_heads(branch.metadata),
                supervised=supervised,
            )
        )
    return found


def trained_heads(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """The heads that a model's method trained, by what its file says; RSPNet's if it says nothing.

    Example:
        >>> trained_heads({"config": {"method": "moco"}})
        ('avid',)
    """
    config = metadata.get("config")
    method = config.get("method", "rspnet") if isinstance(config, Mapping) else "rspnet"
    return TRAINED_HEADS.get(method, ())


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


def choose_subjects(options: argparse.Namespace) -> tuple[list[Subject], dict[str, str]]:
    """Models and random weights, and the name of the random weights of each model.

    Raises:
        ValueError: No such model or encoder, or one name has models of two architectures.
    """
    models = named_models(options.models)
    specs: dict[str, dict[str, Any]] = {}
    heads: dict[str, tuple[str, ...]] = {}
    for model in models:
        same = specs.setdefault(model.name, model.spec) == model.spec
        if not same or heads.setdefault(model.name, model.heads) != model.heads:
            raise ValueError(
                f"models of one name are seeds of one recipe, but those named {model.name!r} "
                f"differ in their {'trained heads' if same else 'architecture'}: give them names "
                "with NAME=FILE"
            )
    controls: dict[str, str] = {}
    distinct: dict[str, dict[str, Any]] = {}  # by the name of the first model that has it
    for name, spec in specs.items():
        controls[name] = next((own for own, known in distinct.items() if known == spec), name)
        distinct.setdefault(controls[name], spec)
    words = {own: f"random weights, as {own}" for own in distinct}
    if len(distinct) == 1:
        words = dict.fromkeys(distinct, "random weights")
    controls = {name: words[own] for name, own in controls.items()}
    subjects = list(models)
    for own, spec in distinct.items():
        subjects += random_subjects(words[own], spec, options.seeds)
    for arch in options.random_archs:
        name = f"random weights, {arch}"
        subjects += random_subjects(name, default_spec(arch), options.seeds)
    return subjects, controls


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
