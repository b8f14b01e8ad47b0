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
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from rspnet.files import atomic_path, file_hash
from rspnet.models import Branch
from rspnet.weights.import_weights import fill, read_torch_file
from rspnet.weights.storage import is_torch_file

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
) -> Path:
    """Write both branches to a safetensors file, atomically.

    Args:
        path: The file, usually ``*.safetensors``.
        query: The trained branch.
        key: The momentum branch, of the same spec.
        metadata: Plain JSON values to keep with it (command, data, steps, ...).
        half: Store floating-point weights in half precision. They are read as float32.

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
    for name, branch in (("query", query), ("key", key)):
        for entry, tensor in branch.state_dict().items():
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
    path = Path(path)
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata=header)
    return path


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


def _read_header(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is not a safetensors file: {error}") from error
    if header.get("format") != FORMAT or "spec" not in header:
        raise ValueError(
            f"{path} is a safetensors file, but not an RSPNet model: its header has no "
            f"'format: {FORMAT}' and 'spec', only {sorted(header)}"
        )
    if int(header.get("format_version", "0")) > FORMAT_VERSION:
        raise ValueError(
            f"{path} has format version {header['format_version']}, this version of rspnet reads "
            f"up to {FORMAT_VERSION}: update rspnet"
        )
    return json.loads(header["spec"]), json.loads(header.get("metadata", "{}"))


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
        ValueError: No such model or branch, not a model file, or its tensors do not fit the
            architecture that its header names (each missing or unexpected name is given).

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
    if is_torch_file(path):
        found = read_torch_file(path)
        model = found.query if branch == "query" else found.key
        model.metadata = found.metadata
    else:
        model = _load_safetensors(path, branch)
    model.hash = file_hash(path)
    return model.to(device).eval()


def _load_safetensors(path: Path, branch: BranchName) -> Branch:
    spec, metadata = _read_header(path)
    model = Branch.from_spec(spec)
    prefix = f"{branch}."
    try:
        with safe_open(path, framework="pt") as file:
            names = [key for key in file.keys() if key.startswith(prefix)]  # noqa: SIM118
            state = {name.removeprefix(prefix): file.get_tensor(name) for name in names}
    except SafetensorError as error:
        raise ValueError(f"{path} can't be read: {error}") from error
    fill(model, state, path)
    model.metadata = metadata
    return model
