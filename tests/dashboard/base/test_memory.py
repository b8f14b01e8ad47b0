"""Free memory goes back to the system, now and then."""

import ctypes
import gc
import sys

import numpy as np
import pytest

from dashboard.base import memory


class Library:
    """Counts what it is asked to trim."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def malloc_trim(self, keep: int) -> int:
        self.asked.append(keep)
        return 1


def test_it_is_given_back_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    library, now = Library(), [100.0]
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    monkeypatch.setattr("dashboard.base.memory.time.monotonic", lambda: now[0])
    monkeypatch.setattr(memory, "_last", 0.0)
    assert memory.trim_heap()
    assert not memory.trim_heap()
    now[0] += memory.SECONDS
    assert memory.trim_heap()
    assert library.asked == [0, 0]


@pytest.mark.parametrize(("platform", "library"), [("darwin", Library()), ("linux", object())])
def test_other_systems_do_without(
    platform: str, library: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    monkeypatch.setattr(memory, "_last", -memory.SECONDS)
    assert not memory.trim_heap()


def test_arrays_are_held_up_to_so_many_bytes() -> None:
    cache, made = memory.ArrayCache(most=100, at_once=1), []

    def get(key: str, size: int) -> np.ndarray:
        def make() -> np.ndarray:
            made.append(key)
            return np.full(size, ord(key), np.uint8)

        return cache.get(key, make)

    for key, size in (("a", 60), ("b", 40), ("a", 60), ("c", 40), ("b", 40), ("d", 200)):
        found = get(key, size)
        assert (len(found), found[0]) == (size, ord(key))
        found[:] = 0  # what is held is not changed
        assert cache.num_bytes <= 100
    assert made == ["a", "b", "c", "b", "d"]


def test_loaded_libraries_are_searched_for_garbage_once() -> None:
    before = gc.get_freeze_count()
    memory.freeze_libraries.cache_clear()
    try:
        memory.freeze_libraries()
        frozen = gc.get_freeze_count()
        assert frozen > before
        memory.freeze_libraries()
        assert before < gc.get_freeze_count() <= frozen  # some may have gone since, none was added
    finally:
        gc.unfreeze()
