"""Free memory goes back to the system, now and then."""

import ctypes
import sys

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
