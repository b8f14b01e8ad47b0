"""Tensors on the disk: a damaged file is never taken for another."""

import shutil
import zipfile

import pytest
import torch

from rspnet.training.run_folder import Checkpoints
from rspnet.weights.storage import read_torch, save_torch
from tests.factories import damages

NUM_DAMAGES = 200


def state(step: int) -> dict[str, object]:
    generator = torch.Generator().manual_seed(step)
    tensors = {f"w{i}": torch.randn(7, generator=generator) for i in range(8)}
    return {"step": step, "config": {"lr": 0.1, "names": ["a", "b"]}, "network": tensors}


def same(one: object, other: object) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return torch.equal(one, other)
    return type(one) is type(other) and one == other


def test_a_checkpoint_damaged_at_any_byte_is_passed_over_by_its_name(tmp_path, capsys):
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in (1, 2):
        checkpoints.save(step, state(step))
    newest = checkpoints.path(2)
    assert same(read_torch(newest), state(2))
    assert same(torch.load(newest, weights_only=True), state(2))  # by other programs too
    for data in damages(newest.read_bytes(), NUM_DAMAGES):
        newest.write_bytes(data)
        found = checkpoints.load_newest()
        assert found is not None
        assert (found[0], same(found[1], state(1))) == (checkpoints.path(1), True)
        said = capsys.readouterr().out
        assert said.startswith("Passed over: ")
        assert str(newest) in said


def test_an_older_checkpoint_is_checked_by_its_crcs(tmp_path):
    path = tmp_path / "old.pt"
    torch.save(state(1), path)
    assert same(read_torch(path), state(1))
    refused = 0
    for data in damages(path.read_bytes(), 100):
        path.write_bytes(data)
        try:
            found = read_torch(path)
        except ValueError:
            refused += 1
        else:
            assert same(found, state(1))
    assert refused > 50


def test_an_entry_marked_as_a_folder_is_not_left_unread(tmp_path):
    path = tmp_path / "old.pt"
    torch.save(state(1), path)
    data = bytearray(path.read_bytes())
    entry = data.rindex(b"PK\x01\x02", 0, data.rindex(b"data/3"))
    data[entry + 38] |= 0x10  # PyTorch would give what the memory happens to hold
    path.write_bytes(data)
    with pytest.raises(ValueError, match="its entry old/data/3 is marked as a folder"):
        read_torch(path)


def test_compressed_archives_are_refused_before_they_are_unpacked(tmp_path):
    whole, bomb = tmp_path / "a.pt", tmp_path / "bomb.pt"
    torch.save({"w": torch.zeros(3_000_000)}, whole)
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as out:
        for entry in source.infolist():
            out.writestr(entry.filename, source.read(entry))
    assert bomb.stat().st_size < 50_000
    with pytest.raises(ValueError, match=r"bomb.pt can't be read: its entries are compressed"):
        read_torch(bomb)


def test_a_cut_and_a_lengthened_checkpoint_are_refused(tmp_path):
    path = save_torch(tmp_path / "a.pt", state(1))
    other = shutil.copy(path, tmp_path / "b.pt")
    data = path.read_bytes()
    for changed in (data[:-1], data[: len(data) // 2], data + b"\0", b"", data[1:]):
        other.write_bytes(changed)
        with pytest.raises(ValueError, match="b.pt can't be read"):
            read_torch(other)
