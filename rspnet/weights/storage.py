"""Weights on the disk: what is read is what was written, or an error says that it is damaged.

Files of ``torch.save`` and safetensors carry their own SHA-256 (:func:`rspnet.files.seal`): the
first as the comment of their zip archive, the second in their header. Both are read by other
programs as before. Older files have none: of a zip the CRC of every entry is checked then.
"""

import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from rspnet.files import BLANK_SEAL, atomic_path, check_seal, seal

M = TypeVar("M", bound=nn.Module)
_KEYS = {"format", "format_version", "spec", "classes", "metadata", "seal", "task"}


def save_torch(path: str | Path, state: Mapping[str, Any]) -> Path:
    """Write plain values and tensors as ``torch.save`` does, atomically, with their SHA-256."""
    with atomic_path(path) as temporary:
        torch.save(dict(state), temporary)
        with temporary.open("rb+") as file:
            file.seek(-2, 2)  # a zip archive ends with the length of its comment, and that
            file.write(len(BLANK_SEAL).to_bytes(2, "little") + BLANK_SEAL.encode())
        seal(temporary)
    return Path(path)


def _check_zip(path: Path) -> None:
    sealed = check_seal(path)
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        size, unpacked = path.stat().st_size, sum(entry.file_size for entry in entries)
        if unpacked > size or any(entry.compress_type for entry in entries):
            raise ValueError(
                f"its entries are compressed: {size:,} bytes would become {unpacked:,}, but "
                "torch.save compresses nothing"
            )
        if sealed:
            return
        if archive.comment:
            raise ValueError("it is damaged: it ends with something other than its SHA-256")
        folder = next((e.filename for e in entries if e.is_dir() or e.external_attr & 0x10), None)
        if folder is not None:
            raise ValueError(f"it is damaged: its entry {folder} is marked as a folder")
        damaged = archive.testzip()
        if damaged is not None:
            raise ValueError(f"it is damaged: the CRC of its entry {damaged} is another one")


def is_torch_file(path: Path) -> bool:
    """Whether a file is what ``torch.save`` writes (now or before PyTorch 1.6), by its content."""
    with path.open("rb") as file:
        return file.read(2) in (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04") or (
            zipfile.is_zipfile(path)
        )


def read_torch(path: str | Path) -> Any:
    """Read what ``torch.save`` wrote: nothing is unpickled but tensors and plain values.

    Files of PyTorch before 1.6, which are no zip archives, have nothing to check them by.

    Raises:
        ValueError: The file is missing, damaged or compressed, or holds other objects.

    Example:
        >>> import tempfile
        >>> path = save_torch(f"{tempfile.mkdtemp()}/a.pt", {"step": 1, "w": torch.zeros(2)})
        >>> read_torch(path)
        {'step': 1, 'w': tensor([0., 0.])}
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            archive = file.read(2) == b"PK" or zipfile.is_zipfile(path)
        if archive:
            _check_zip(path)
    except Exception as error:  # zipfile raises a dozen kinds
        raise ValueError(f"{path} can't be read: {error}") from error
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # and so does torch
        raise ValueError(
            f"{path} can't be read without unpickling objects, which is refused: {error}"
        ) from error


def save_tensors(
    path: str | Path, tensors: Mapping[str, Tensor], header: Mapping[str, str]
) -> Path:
    """Write tensors and a header as safetensors, atomically, with their SHA-256."""
    with atomic_path(path) as temporary:
        save_file(dict(tensors), temporary, metadata=dict(header) | {"seal": BLANK_SEAL})
        seal(temporary)
    return Path(path)


def read_tensors(
    path: str | Path, header_format: str, kind: str, prefix: str = ""
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read what :func:`save_tensors` wrote, or a file of an older version, which has no SHA-256.

    Args:
        path: The file.
        header_format: Entry ``format`` of its header.
        kind: What a file of this format is called, for messages.
        prefix: Beginning of the names of the tensors that are wanted.

    Returns:
        The header, whose values are read as JSON where they are, and the tensors without the
        prefix.

    Raises:
        ValueError: It is missing, damaged or something else.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            if header.get("format") != header_format or "spec" not in header:
                raise ValueError(
                    f"{path} is a safetensors file, but not {kind}: its header has no "
                    f"'format: {header_format}' and 'spec', only {sorted(header)[:8]}"
                )
            try:
                sealed, unknown = check_seal(path), sorted(set(header) - _KEYS)
                if unknown or ("seal" in header and not sealed):
                    raise ValueError(f"it is damaged: its header has {unknown or 'a broken seal'}")
            except ValueError as error:
                raise ValueError(f"{path} can't be read: {error}") from error
            names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118
            tensors = {name.removeprefix(prefix): file.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is not a safetensors file: {error}") from error
    values: dict[str, Any] = {}
    for name in header.keys() - {"format", "seal"}:
        try:
            values[name] = json.loads(header[name])
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path}: {name!r} in its header is no valid JSON: {error}") from error
    return values, tensors


def build(make: Callable[[], M], tensors: Mapping[str, Tensor], path: Path) -> M:
    """Make a module and give it tensors, as float32. Nothing is allocated if they do not fit.

    Args:
        make: Makes the module with other weights. It is called twice, first without memory.
        tensors: All that the module's state consists of.
        path: The file that they are from, for messages.

    Raises:
        ValueError: There is no such module; a name is missing or left over, or a shape differs
            (the first ones are named); or a weight is not finite.
    """
    try:
        with torch.device("meta"):
            shell = make()
    except ValueError as error:
        raise ValueError(f"{path} describes no model that can be built: {error}") from error
    check_fit(shell, tensors, path)
    module = make()
    _put(module, tensors, path)
    return module


def check_fit(module: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Refuse tensors that are not those of a module, by their names and shapes.

    Raises:
        ValueError: A name is missing or left over, or a shape differs; the first ones are named.
    """
    expected = module.state_dict()
    missing = sorted(set(expected) - set(tensors))
    unexpected = sorted(set(tensors) - set(expected))
    shapes = [
        f"{name} {_kind(tensors[name])} instead of {_kind(expected[name])}"
        for name in sorted(set(expected) & set(tensors))
        if _kind(tensors[name]) != _kind(expected[name])
    ]
    if missing or unexpected or shapes:
        raise ValueError(
            f"{path} does not fit its architecture: missing {_first(missing)}, "
            f"unexpected {_first(unexpected)}, of another shape {_first(shapes)}"
        )


def _kind(tensor: Tensor) -> str:
    """Shape, and what is not to be expected of weights."""
    plain = tensor.layout == torch.strided and not tensor.is_complex() and not tensor.is_quantized
    return f"{tuple(tensor.shape)}" + ("" if plain else f" {tensor.dtype} {tensor.layout}")


def fill(module: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Put tensors into a module, as float32.

    Raises:
        ValueError: They do not fit, see :func:`check_fit`, or one is not finite.
    """
    check_fit(module, tensors, path)
    _put(module, tensors, path)


def _put(module: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    expected = module.state_dict()
    state = {name: tensor.to(expected[name].dtype) for name, tensor in tensors.items()}
    infinite = sorted(name for name, tensor in state.items() if not tensor.isfinite().all())
    if infinite:
        raise ValueError(
            f"{path} has weights that are NaN or infinite, in {_first(infinite)}: the model is "
            "damaged, or its training diverged"
        )
    module.load_state_dict(state)


def _first(names: list[str], num: int = 3) -> str:
    """The first of some names, and how many more there are: another model differs in hundreds."""
    more = len(names) - num
    return str(names[:num]) + (f" and {more} more" if more > 0 else "")
