"""Fixtures of the benchmarks' tests."""

import pytest


@pytest.fixture(autouse=True)
def _one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    # A few generated videos are made sooner than a new process is started.
    monkeypatch.setattr("rspnet.files.default_threads", lambda: 1)
