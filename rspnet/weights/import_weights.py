"""Weights that this project did not write as a model file.

These are the authors' released checkpoints, training checkpoints of this project, and the state
dicts of torchvision's video networks. Nothing is unpickled but tensors and plain values. Names are
mapped, and what is missing or left over is named.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rspnet.files import file_hash
from rspnet.models import Branch, encoder_info
from rspnet.models.branch import IMAGENET_MEAN, IMAGENET_STD
from rspnet.models.heads import create_head
from rspnet.weights.storage import build, fill, read_torch

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
TORCHVISION_ARCHS = ("r3d_18", "mc3_18", "r2plus1d_18", "s3d", "mvit_v2_s", "swin3d_t")
_TORCHVISION_CLASSIFIERS = ("fc.", "classifier.", "head.")
# Torchvision's weights have no heads. Those that they get are the same in every process.
_HEAD_SEED = 0


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


def read_torch_file(path: Path) -> Branches:
    """Read a released checkpoint, a training checkpoint of this project, or torchvision's weights.

    Raises:
        ValueError: It is neither, is damaged, or does not fit its architecture.
    """
    state = read_torch(path)
    if isinstance(state, dict) and "network" in state and "config" in state:
        return _read_training(path, state)
    if isinstance(state, dict) and "model" in state and "arch" in state:
        return _read_released(path, state)
    if isinstance(state, dict) and state and all(isinstance(v, Tensor) for v in state.values()):
        tensors = _tensors(state, path)
        found_arch = torchvision_arch(tensors, path)
        if found_arch is not None:
            return _read_torchvision(path, found_arch, tensors)
    found = sorted(map(str, state)) if isinstance(state, dict) else type(state).__name__
    shown = f"{found[:8]} and {len(found) - 8} more" if len(found) > 8 else found
    raise ValueError(
        f"{path} is neither a released checkpoint ('arch' and 'model') nor a training checkpoint "
        "of `python -m rspnet.train` ('network' and 'config') nor a state dict of torchvision's "
        f"{', '.join(TORCHVISION_ARCHS)}: it holds {shown}"
    )


def _tensors(value: Any, path: Path) -> dict[str, Tensor]:
    """A dictionary of tensors by their names, and nothing else."""
    if not isinstance(value, Mapping) or not all(
        isinstance(key, str) and isinstance(tensor, Tensor) for key, tensor in value.items()
    ):
        raise ValueError(f"{path}: expected tensors by their names, got {type(value).__name__}")
    return {key.removeprefix("module."): tensor for key, tensor in value.items()}


def _read_training(path: Path, state: Mapping[str, Any]) -> Branches:
    config, network = state["config"], _tensors(state["network"], path)
    try:
        spec = {
            "arch": config["model"]["arch"],
            "encoder_options": config["model"]["options"],
            "head": config["model"]["head"],
            "num_frames": config["data"]["num_frames"],
            "size": config["data"]["size"],
        }
        steps = int(state["step"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"{path}: its configuration does not describe a training: {error!r}"
        ) from error
    two = any(name.startswith("key.") for name in network)  # else a method with a single branch
    query, key = (
        build(lambda: Branch.from_spec(spec), part(network, prefix), path)
        for prefix in ("query.", "key." if two else "query.")
    )
    return Branches(query, key, {"source": "rspnet", "steps": steps, "config": config})


def _read_released(path: Path, state: Mapping[str, Any]) -> Branches:
    arch = str(state["arch"])
    if arch not in RELEASED_ARCHS:
        raise ValueError(f"{path} has arch {arch!r}; known are {list(RELEASED_ARCHS)}")
    name, size = RELEASED_ARCHS[arch]
    tensors = _tensors(state["model"], path)
    branches = []
    for prefix in ("encoder_q.", "encoder_k."):
        mine = part(tensors, prefix)
        if not mine:
            found = sorted({key.split(".")[0] for key in tensors})
            raise ValueError(f"{path}: no {prefix}* in 'model', only {found}")
        mlp = any(key.startswith("fc1.4.") for key in mine)
        make = partial(Branch, name, head="mlp" if mlp else "linear", num_frames=16, size=size)
        branches.append(build(make, _rename(mine, mlp=mlp), path))
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


def torchvision_arch(tensors: Mapping[str, Tensor], path: Path) -> str | None:
    """Which of torchvision's video networks a state dict is of; None if of none.

    Raises:
        ValueError: It is one of those that there is no encoder for.
    """
    shapes = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    stem = shapes.get("stem.0.weight", ())
    if len(stem) == 5 and "layer1.0.conv1.0.0.weight" in shapes:
        return "r2plus1d_18"
    if len(stem) == 5 and "layer4.0.conv1.0.weight" in shapes:
        # The two differ in the kernels of the later stages: 3 x 3 x 3 or 1 x 3 x 3.
        return "r3d_18" if shapes["layer4.0.conv1.0.weight"][2:] == (3, 3, 3) else "mc3_18"
    if len(shapes.get("features.0.0.0.weight", ())) == 5:
        return "s3d"
    other = None
    if "conv_proj.weight" in shapes and "pos_encoding.class_token" in shapes:
        if "blocks.0.attn.rel_pos_h" in shapes:
            return "mvit_v2_s"
        other = "MViT without relative positions (mvit_v1_b)"
    patches = shapes.get("patch_embed.proj.weight", ())
    if len(patches) == 5:
        # The small one has 18 blocks in its third stage, the base one wider tokens too.
        if patches[0] == 96 and "features.4.6.norm1.weight" not in shapes:
            return "swin3d_t"
        other = "larger Video Swin Transformer (swin3d_s or swin3d_b)"
    if other is not None:
        raise ValueError(
            f"{path} holds the weights of torchvision's {other}, which there is no encoder for; "
            f"supported are {', '.join(TORCHVISION_ARCHS)}"
        )
    return None


def _read_torchvision(path: Path, arch: str, tensors: Mapping[str, Tensor]) -> Branches:
    """Torchvision's weights under heads with random weights from a fixed seed."""
    from torchvision.models import get_model_weights

    info = encoder_info(arch)
    num_frames, size, options = info.num_frames, info.size, {}
    if arch == "mvit_v2_s":
        # Tables of relative positions hold 2 n - 1 rows for n tokens of 2 frames or 4 pixels.
        table_t, table_h = (tensors.get(f"blocks.0.attn.rel_pos_{axis}") for axis in "th")
        if table_t is None or table_h is None or table_t.ndim != 2 or table_h.ndim != 2:
            raise ValueError(
                f"{path} looks like mvit_v2_s, but its tables of relative positions "
                "blocks.0.attn.rel_pos_t and rel_pos_h (rows, channels) are not both there"
            )
        num_frames, size = len(table_t) + 1, 2 * (len(table_h) + 1)
        options = {"num_frames": num_frames, "size": size}
    # The names that torchvision gives its files end with the first digits of their SHA-256.
    if any(Path(weights.url).name == path.name for weights in get_model_weights(arch)):
        digits = path.stem.rpartition("-")[2]
        if not file_hash(path).startswith(digits):
            raise ValueError(
                f"{path} is damaged: its SHA-256 does not begin with {digits}, as its name says: "
                "download it again"
            )
    preset = get_model_weights(arch).DEFAULT.transforms()
    mean, std = tuple(preset.mean), tuple(preset.std)
    own_values = None if (mean, std) == (IMAGENET_MEAN, IMAGENET_STD) else (mean, std)
    # torch.manual_seed would seed GPUs too, whose state is not kept here.
    with torch.random.fork_rng(devices=[]):
        branch = Branch(arch, options, num_frames=num_frames, size=size, normalisation=own_values)
        torch.default_generator.manual_seed(_HEAD_SEED)
        for head in branch.heads:
            branch.projections[head] = create_head("linear", branch.num_features)
    # The counters of BatchNorm are missing from old files, and nothing depends on them.
    own = {
        name: tensor
        for name, tensor in branch.state_dict().items()
        if name.startswith("projections.") or name.endswith(".num_batches_tracked")
    }
    theirs = {
        f"encoder.{name}": tensor
        for name, tensor in tensors.items()
        if not name.startswith(_TORCHVISION_CLASSIFIERS)
    }
    fill(branch, own | theirs, path)
    metadata = {
        "source": "torchvision",
        "arch": arch,
        "heads": "random (torchvision weights have none)",
    }
    return Branches(branch, copy.deepcopy(branch), metadata)


def part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Entries that begin with a prefix, without it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
