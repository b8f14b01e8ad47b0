"""Weights for release: safetensors with a JSON header, and nothing unpickled.

A model file holds both branches under ``query.*`` and ``key.*``; its header says how to build
them (``spec``) and where they come from. :func:`load_model` gives one branch, ready for use.
"""

import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from rspnet.files import file_hash
from rspnet.models import Branch
from rspnet.weights.import_weights import read_torch_file
from rspnet.weights.storage import build, is_torch_file, read_tensors, save_tensors

FORMAT = "rspnet"
FORMAT_VERSION = 1
CHECKPOINTS = Path(__file__).resolve().parents[2] / "checkpoints"
BranchName = Literal["query", "key"]


def save_model(
    path: str | Path,
    query: Branch,
    key: Branch,
    *,
    metadata: Mapping[str, Any] | None = None,
    half: bool = False,
    task: tuple[Mapping[str, Any], nn.Module] | None = None,
) -> Path:
    """Write both branches to a safetensors file, atomically.

    Args:
        path: The file, usually ``*.safetensors``.
        query: The trained branch.
        key: The momentum branch, of the same spec.
        metadata: Plain JSON values to keep with it (command, data, steps, ...).
        half: Store floating-point weights in half precision. They are read as float32.
        task: The head of a pretext task with what it takes to build it, see
            :func:`rspnet.pretext.task.load_task`.

    Raises:
        ValueError: The branches differ in their spec.

    Example:
        >>> import tempfile
        >>> from rspnet import Branch, load_model, save_model
        >>> branch = Branch("resnet18_fine", {"width": 4})
        >>> path = save_model(f"{tempfile.mkdtemp()}/tiny.safetensors", branch, branch)
        >>> load_model(path).num_features
        32
    """
    if query.spec() != key.spec():
        raise ValueError(f"the branches differ: query {query.spec()}, key {key.spec()}")
    tensors: dict[str, Tensor] = {}
    parts: dict[str, nn.Module] = {"query": query, "key": key}
    if task is not None:
        parts["task"] = task[1]
    for name, part in parts.items():
        for entry, tensor in part.state_dict().items():
            # A copy: a model of one branch only may be saved as both.
            value = tensor.detach().cpu().contiguous().clone()
            if half and value.is_floating_point():
                value = value.half()
            tensors[f"{name}.{entry}"] = value
    header = {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "spec": json.dumps(query.spec()),
        "metadata": json.dumps(dict(metadata or {})),
    }
    if task is not None:
        header["task"] = json.dumps(task[0])
    return save_tensors(path, tensors, header)


def list_models() -> list[str]:
    """Names of the models that ship with the project, the default first.

    Example:
        >>> import rspnet
        >>> isinstance(rspnet.list_models(), list)
        True
    """
    return list(_read_index())


def _read_index() -> dict[str, dict[str, Any]]:
    index = CHECKPOINTS / "index.json"
    if not index.is_file():
        return {}
    models = json.loads(index.read_text())["models"]
    return {entry["name"]: entry for entry in models}


def resolve_model(path_or_name: str | Path = "default") -> Path:
    """The file of a model: a path as it is, or a name from ``checkpoints/index.json``.

    Raises:
        ValueError: There is neither such a file nor such a name.
    """
    path = Path(path_or_name)
    if path.is_file():
        return path
    shipped = _read_index()
    name = str(path_or_name)
    if name == "default" and shipped:
        name = next(iter(shipped))
    if name in shipped:
        found = CHECKPOINTS / str(shipped[name]["file"])
        if found.is_file():
            return found
        raise ValueError(f"model {name!r} should be at {found}, but that file is missing")
    near = difflib.get_close_matches(name, shipped, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(
        f"no model {name!r}: expected a .safetensors file written by `python -m rspnet.train`, "
        f"or one of {list(shipped)}.{hint}"
    )


def load_model(
    path_or_name: str | Path = "default",
    branch: BranchName = "query",
    *,
    device: str | torch.device = "cpu",
) -> Branch:
    """Read one branch of a model, in eval mode and float32.

    Args:
        path_or_name: A model file, or the name of a shipped model; ``default`` is the first. The
            authors' ``.pth.tar``, training checkpoints of this project and torchvision's video
            weights are read as well.
        branch: ``query``, or ``key`` for the momentum branch.
        device: Where to put it.

    Returns:
        The branch, with ``.hash`` (SHA-256 of the file) and ``.metadata``.

    Raises:
        ValueError: No such model or branch, not a model file, a damaged one, or its tensors are
            not finite or do not fit the architecture that its header names (the first missing or
            unexpected names are given).

    Example:
        >>> import torch, rspnet
        >>> model = rspnet.load_model()  # the shipped model
        >>> with torch.inference_mode():
        ...     z = model(torch.zeros(1, 3, model.num_frames, model.size, model.size))
        >>> z["rsp"].shape
        torch.Size([1, 128])
    """
    if branch not in ("query", "key"):
        raise ValueError(f"branch is 'query' or 'key', got {branch!r}")
    path = resolve_model(path_or_name)
    try:
        digest = file_hash(path)
    except OSError as error:
        raise ValueError(f"{path} can't be read: {error.strerror}") from error
    _check_released(path, digest)
    if is_torch_file(path):
        found = read_torch_file(path)
        model = found.query if branch == "query" else found.key
        model.metadata = found.metadata
    else:
        model = _load_safetensors(path, branch)
    model.hash = digest
    return model.to(device).eval()


def _check_released(path: Path, digest: str) -> None:
    """Refuse a shipped model that is not the file that was released."""
    for name, entry in _read_index().items():
        if path.resolve() == (CHECKPOINTS / str(entry["file"])).resolve() and (
            entry.get("sha256", digest) != digest
        ):
            raise ValueError(
                f"{path} is damaged: its SHA-256 is {digest[:12]}..., that of the model {name!r} "
                f"is {entry['sha256'][:12]}...: install it again"
            )


def _load_safetensors(path: Path, branch: BranchName) -> Branch:
    header, tensors = read_tensors(path, FORMAT, "an RSPNet model", f"{branch}.")
    version, metadata = header.get("format_version", 0), header.get("metadata", {})
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise ValueError(
            f"{path} has format version {version}, this version of rspnet reads "
            f"up to {FORMAT_VERSION}: update rspnet"
        )
    if not isinstance(metadata, dict):
        raise ValueError(f"{path}: 'metadata' in its header is an object, got {metadata!r}")
    model = build(lambda: Branch.from_spec(header["spec"]), tensors, path)
    model.metadata = metadata
    return model
