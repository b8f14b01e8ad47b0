"""Tensors on the disk: what is read is what was written, or an error says that it is damaged.

Files of ``torch.save`` and safetensors carry their own SHA-256 (:func:`rspnet.files.seal`): the
first as the comment of their zip archive, the second in their header. Both are read by other
programs as before. Older files have none: of a zip the CRC of every entry is checked then.
"""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from rspnet.files import BLANK_SEAL, atomic_path, check_seal, seal


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
