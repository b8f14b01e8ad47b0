"""Weights that this project did not write as a model file: the authors' and training checkpoints.

Nothing is unpickled but tensors and plain values. Names are mapped, and what is missing or left
over is named.
"""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rspnet.models import Branch

# The release's names of encoders, and the height and width that each was trained on.
RELEASED_ARCHS = {
    "c3d": ("c3d", 112),
    "resnet18": ("resnet18", 112),
    "s3dg": ("s3dg", 224),
    "r2plus1d-vcop": ("r2plus1d", 112),
}
# fc1 is A-VID and fc2 is RSP. (The release's visualiser has them the other way round.)
RELEASED_HEADS = {"avid": "fc1", "rsp": "fc2"}
# Classifiers that the release's encoders carry along unused.
_CLASSIFIERS = ("fc.", "linear.")


@dataclass(frozen=True)
class Branches:
    """Both branches of a checkpoint, and what it says of itself.

    Attributes:
        query: The trained branch.
        key: The momentum branch.
        metadata: Plain values: ``source``, ``epoch`` or ``steps``, ...
    """

    query: Branch
    key: Branch
    metadata: dict[str, Any]


def is_torch_file(path: Path) -> bool:
    """Whether a file is what ``torch.save`` writes (now or before PyTorch 1.6), by its content."""
    if zipfile.is_zipfile(path):
        return True
    with path.open("rb") as file:
        return file.read(2) in (b"\x80\x02", b"\x80\x03", b"\x80\x04")


def read_torch_file(path: Path) -> Branches:
    """Read the authors' released checkpoint, or a training checkpoint of this project.

    Raises:
        ValueError: It is neither, is damaged, or does not fit its architecture.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a dozen kinds
        raise ValueError(
            f"{path} can't be read without unpickling objects, which is refused: {error}"
        ) from error
    if isinstance(state, dict) and "network" in state and "config" in state:
        return _read_training(path, state)
    if isinstance(state, dict) and "model" in state and "arch" in state:
        return _read_released(path, state)
    found = sorted(map(str, state)) if isinstance(state, dict) else type(state).__name__
    raise ValueError(
        f"{path} is neither a released checkpoint ('arch' and 'model') nor a training checkpoint "
        f"of `python -m rspnet.train` ('network' and 'config'): it holds {found}"
    )


def _read_training(path: Path, state: Mapping[str, Any]) -> Branches:
    config = state["config"]
    branches = []
    for name in ("query", "key"):
        branch = Branch(
            config["model"]["arch"],
            config["model"]["options"],
            head=config["model"]["head"],
            num_frames=config["data"]["num_frames"],
            size=config["data"]["size"],
        )
        fill(branch, part(state["network"], f"{name}."), path)
        branches.append(branch)
    metadata = {"source": "rspnet", "steps": int(state["step"]), "config": config}
    return Branches(branches[0], branches[1], metadata)


def _read_released(path: Path, state: Mapping[str, Any]) -> Branches:
    arch = str(state["arch"])
    if arch not in RELEASED_ARCHS:
        raise ValueError(f"{path} has arch {arch!r}; known are {list(RELEASED_ARCHS)}")
    name, size = RELEASED_ARCHS[arch]
    tensors = {key.removeprefix("module."): value for key, value in state["model"].items()}
    branches = []
    for prefix in ("encoder_q.", "encoder_k."):
        mine = part(tensors, prefix)
        if not mine:
            found = sorted({key.split(".")[0] for key in tensors})
            raise ValueError(f"{path}: no {prefix}* in 'model', only {found}")
        mlp = any(key.startswith("fc1.4.") for key in mine)
        branch = Branch(name, head="mlp" if mlp else "linear", num_frames=16, size=size)
        fill(branch, _rename(mine, mlp=mlp), path)
        branches.append(branch)
    metadata: dict[str, Any] = {"source": "RSPNet release", "arch": arch}
    for entry in ("epoch", "best_loss"):
        value = state.get(entry)
        if isinstance(value, int | float):
            metadata[entry] = value
        elif isinstance(value, Tensor) and value.numel() == 1:
            metadata[entry] = value.item()
    return Branches(branches[0], branches[1], metadata)


def _rename(tensors: Mapping[str, Tensor], *, mlp: bool) -> dict[str, Tensor]:
    """From the release's names within a branch to ours. A name that is not known stays as it is."""
    # Behind pooling (0) and flattening (1): one linear layer, or linear, ReLU, linear.
    layers = {"2": "0.", "4": "2."} if mlp else {"2": ""}
    renamed = {}
    for key, tensor in tensors.items():
        inner = key.removeprefix("encoder.")
        if inner != key:
            if not inner.startswith(_CLASSIFIERS):
                renamed[key] = tensor
            continue
        head = next((h for h, fc in RELEASED_HEADS.items() if key.startswith(f"{fc}.")), None)
        if head is not None:
            _, layer, rest = key.split(".", 2)
            if layer in layers:
                renamed[f"projections.{head}.{layers[layer]}{rest}"] = tensor
                continue
        renamed[key] = tensor
    return renamed


def part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Entries that begin with a prefix, without it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def fill(branch: Branch, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Put tensors into a branch, as float32.

    Raises:
        ValueError: A name is missing or left over, or a shape differs; each is named.
    """
    expected = branch.state_dict()
    missing = sorted(set(expected) - set(tensors))
    unexpected = sorted(set(tensors) - set(expected))
    shapes = [
        f"{name} {tuple(tensors[name].shape)} instead of {tuple(expected[name].shape)}"
        for name in sorted(set(expected) & set(tensors))
        if tensors[name].shape != expected[name].shape
    ]
    if missing or unexpected or shapes:
        raise ValueError(
            f"{path} does not fit its architecture {branch.arch!r}: missing {missing}, "
            f"unexpected {unexpected}, of another shape {shapes}"
        )
    branch.load_state_dict({name: t.to(expected[name].dtype) for name, t in tensors.items()})
