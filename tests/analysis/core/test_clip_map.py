"""One map with all that is needed to judge it."""

import json
from pathlib import Path

import numpy as np
import pytest

from analysis import ClipInfo, ClipMap, Grid

GRID = Grid((2, 1, 2), (4, 8, 16), (2, 8, 8), (0, 0, 0))
VALUES = np.array([[[0.5, -0.25]], [[0.125, 0.0]]])


def make(**changes: object) -> ClipMap:
    settings: dict = {
        "values": VALUES,
        "score": 0.375,
        "head": "rsp",
        "kind": "margin",
        "grid": GRID,
        "clip": ClipInfo("a.mp4", (0, 2, 4, 6), 2),
        "others": (ClipInfo("a.mp4", (1, 3, 5, 7), 2), ClipInfo("b.mp4", (0, 1, 2, 3), 1)),
        "model_hash": "f00",
        "exact": True,
    }
    return ClipMap(**(settings | changes))


def test_completeness_is_the_distance_of_sum_and_score() -> None:
    assert make().completeness_error == 0
    assert make(score=0.5).completeness_error == 0.125
    assert make(exact=False).completeness_error is None


def test_values_fit_the_grid() -> None:
    with pytest.raises(ValueError, match=r"\(2, 1, 2\) .* got \(1, 1, 2\)"):
        make(values=VALUES[:1])


def test_saved_and_read_back(tmp_path: Path) -> None:
    mine = make()
    path = mine.save(tmp_path / "deep" / "map.npz")
    other = ClipMap.load(path)
    np.testing.assert_array_equal(other.values, mine.values)
    assert other.manifest() == mine.manifest()
    assert other.clip == mine.clip
    assert other.others == mine.others
    assert [p.name for p in path.parent.iterdir()] == ["map.npz"]
    # Other tools read it without this package.
    with np.load(path, allow_pickle=False) as stored:
        manifest = json.loads(str(stored["manifest"]))
    assert manifest["completeness_error"] == 0
    assert manifest["grid"]["cells"] == [2, 1, 2]
    assert manifest["others"][1]["video"] == "b.mp4"


def test_other_files_are_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.npz"
    text.write_text("no archive")
    pair = tmp_path / "pair.npz"
    np.savez(pair, values=VALUES, manifest=np.array('{"format": "rspnet-pair"}'))
    without = tmp_path / "without.npz"
    np.savez(without, values=VALUES)
    for path in (text, pair, without, tmp_path / "none.npz"):
        with pytest.raises(ValueError, match="holds no map of a clip"):
            ClipMap.load(path)
