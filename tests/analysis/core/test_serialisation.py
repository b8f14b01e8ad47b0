"""Results on the disk: written whole, read with care."""

import json
from pathlib import Path

import numpy as np
import pytest

from analysis.core.serialisation import check_format, load_arrays, load_json, save_arrays


def test_arrays_come_back_with_their_manifest(tmp_path: Path) -> None:
    values = np.arange(6.0).reshape(2, 3)
    path = save_arrays(tmp_path / "deep" / "a.npz", {"format": "f", "n": 1}, {"values": values})
    manifest, arrays = load_arrays(path, "f", lambda m, a: (m, a), "thing")
    assert manifest == {"format": "f", "n": 1}
    assert list(arrays) == ["values"]
    np.testing.assert_array_equal(arrays["values"], values)
    assert [p.name for p in path.parent.iterdir()] == ["a.npz"]


def test_other_arrays_are_refused(tmp_path: Path) -> None:
    path = save_arrays(tmp_path / "a.npz", {"format": "f"}, {})
    with pytest.raises(ValueError, match=r"a\.npz holds no thing: its format is 'f'"):
        load_arrays(path, "g", lambda m, _: m, "thing")
    with pytest.raises(ValueError, match="holds no thing: 'x'"):
        load_arrays(path, "f", lambda _, a: a["x"], "thing")
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ValueError, match="holds no thing"):
        load_arrays(path, "f", lambda m, _: m, "thing")
    with pytest.raises(ValueError, match="holds no thing"):
        load_arrays(tmp_path / "none.npz", "f", lambda m, _: m, "thing")


def test_pickled_objects_are_not_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", manifest=np.array({"format": "f"}, dtype=object))
    with pytest.raises(ValueError, match="holds no thing"):
        load_arrays(tmp_path / "a.npz", "f", lambda m, _: m, "thing")


def test_json_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"format": "f", "version": 1, "n": 2}))

    def make(value: dict) -> int:
        check_format(value, "f", "python -m analysis.f")
        return int(value["n"])

    assert load_json(path, make, "thing") == 2
    for text, words in (
        ('{"format": "g"}', "expected 'f' of version 1, written by `python -m analysis.f`"),
        ('{"format": "f", "version": 2}', "got format 'f', version 2"),
        ('{"format": "f", "version": 1}', "holds no thing: KeyError"),
        ("[1]", "holds no thing: AttributeError"),
        ("{", "holds no thing: JSONDecodeError"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=words):
            load_json(path, make, "thing")
    with pytest.raises(ValueError, match="holds no thing: FileNotFoundError"):
        load_json(tmp_path / "none.json", make, "thing")
