"""Parts of a report are made once."""

from pathlib import Path

import pytest

from analysis.report.store import Store


def test_made_once_for_a_model_and_settings(tmp_path: Path) -> None:
    calls: list[int] = []

    def make() -> dict:
        calls.append(1)
        return {"pair": (1, 2.5), "n": len(calls)}

    store = Store(tmp_path / "parts", "f00")
    first = store.part("top_k", {"k": [1, 5]}, make)
    assert first == {"pair": [1, 2.5], "n": 1}
    assert store.part("top_k", {"k": [1, 5]}, make) == first
    assert store.part("top_k", {"k": [1]}, make)["n"] == 2
    assert Store(tmp_path / "parts", "ba4").part("top_k", {"k": [1, 5]}, make)["n"] == 3
    assert store.part("top_k", {"k": [1, 5]}, make) == first


def test_a_damaged_part_is_made_anew(tmp_path: Path) -> None:
    store = Store(tmp_path, "f00")
    store.part("a", {}, lambda: 1)
    (path,) = tmp_path.iterdir()
    path.write_text(path.read_text()[:20])
    assert store.part("a", {}, lambda: 2) == 2
    path.write_text("[]")
    assert store.part("a", {}, lambda: 3) == 3


def test_what_was_interrupted_leaves_nothing(tmp_path: Path) -> None:
    def stopped() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Store(tmp_path, "f00").part("a", {}, stopped)
    assert not list(tmp_path.iterdir())
