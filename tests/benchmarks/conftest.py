"""Benchmarks are scripts: their folder is where their modules are found."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))


@pytest.fixture(autouse=True)
def _one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    # A few generated videos are made sooner than a new process is started.
    monkeypatch.setattr("rspnet.files.default_threads", lambda: 1)
