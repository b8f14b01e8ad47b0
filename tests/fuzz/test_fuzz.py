"""A few cases of each part of ``python -m benchmarks.fuzz``, and how it counts."""

import os
import time
from collections import Counter
from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks.fuzz.damage import DAMAGE, damage, examples, settings_of
from benchmarks.fuzz.parts import (
    CONCEALED,
    IDENTICAL,
    OUTCOMES,
    PARTS,
    REFUSED,
    Part,
    Videos,
    judge,
    sequential,
)
from benchmarks.fuzz.pool import run_part

# Few that take long, in another order than the long run has them.
SEED = 18
CASES = {
    "videos": 56, "models": 28, "galleries": 28, "configurations": 30, "headers": 24, "lists": 40,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _quiet():
    level = av.logging.get_level()
    av.logging.set_level(None)
    yield
    av.logging.set_level(level)


@pytest.mark.parametrize("name", PARTS)
def test_damaged_files_are_refused_or_read_exactly(name, tmp_path, capsys):
    part = PARTS[name](tmp_path / "originals", CASES[name], SEED)
    part.folder.mkdir()
    part.prepare()
    part.start()
    results = [part.run(case, tmp_path / "case") for case in range(CASES[name])]
    wrong = [
        f"{name}:{case} {result.outcome}: {result.detail}"
        for case, result in enumerate(results)
        if result.outcome not in (IDENTICAL, REFUSED, CONCEALED)
    ]
    assert wrong == []
    counts = Counter(result.outcome for result in results)
    assert counts[REFUSED] > 0
    assert counts[IDENTICAL] > 0 or name == "models"


def test_what_is_whole_is_read_exactly(tmp_path, monkeypatch):
    """Undamaged, every original is identical: the run would notice a difference otherwise."""
    monkeypatch.setattr("benchmarks.fuzz.damage.damage", lambda data, rng: (data, "nothing"))
    for name in ("videos", "models"):
        part = PARTS[name](tmp_path / name / "originals", 7, SEED)
        part.folder.mkdir(parents=True)
        part.prepare()
        part.start()
        found = {part.run(case, tmp_path / "case").outcome for case in range(7)}
        assert found == {IDENTICAL}, name


def test_plain_decoding_counts_what_it_gets(tmp_path):
    Videos(tmp_path, 1, SEED).prepare()
    for path in tmp_path.iterdir():
        assert len(sequential(path)) == 40, path


def test_damage_changes_a_file_and_is_the_same_each_time():
    data = bytes(range(256)) * 8
    kinds = set()
    for seed in range(100):
        changed, names = damage(data, np.random.default_rng(seed))
        assert changed != data
        assert (changed, names) == damage(data, np.random.default_rng(seed))
        kinds |= set(names.split("+"))
    assert kinds == {kind.__name__ for kind in DAMAGE}
    strategy = settings_of(["seed", "out"])
    assert repr(examples(strategy, 20, 1)) == repr(examples(strategy, 20, 1))


class Ends(Part):
    """Cases that end in each of the ways that there are."""

    def read(self, case: int, rng: np.random.Generator, place: Path) -> tuple[str, str]:
        if case == 1:
            raise ValueError("no video")
        if case == 2:
            raise KeyError("spec")
        if case == 3:
            os.abort()
        if case == 4:
            time.sleep(60)
        return "read", CONCEALED if case == 6 else judge(case != 5)


def test_every_outcome_is_counted(tmp_path):
    results = run_part(Ends, tmp_path, 8, SEED, workers=2, seconds=3.0, progress=False)
    found = [results[case].outcome for case in range(8)]
    assert found == [*OUTCOMES, IDENTICAL]
    assert "KeyError" in results[2].detail
