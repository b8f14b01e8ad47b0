"""Results on the disk: written whole, read with care."""

from pathlib import Path

import numpy as np
import pytest

from analysis.core.serialisation import load_arrays, load_json, save_arrays, save_json


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


def test_json_is_written_with_a_line_a_row_and_read_back(tmp_path: Path) -> None:
    value = {"rows": [{"keys": {"a": 1}}, {"keys": {"a": "}, {"}}], "n": 2}
    path = save_json(tmp_path / "deep" / "a.json", value)
    assert load_json(path, dict, "thing") == value
    assert len(path.read_text().splitlines()) == 3
    assert [p.name for p in path.parent.iterdir()] == ["a.json"]


def test_json_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for text, words in (
        ('{"m": 1}', "holds no thing: KeyError"),
        ("[1]", "holds no thing: TypeError"),
        ("{", "holds no thing: JSONDecodeError"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=words):
            load_json(path, lambda value: int(value["n"]), "thing")
    with pytest.raises(ValueError, match="holds no thing: FileNotFoundError"):
        load_json(tmp_path / "none.json", dict, "thing")
