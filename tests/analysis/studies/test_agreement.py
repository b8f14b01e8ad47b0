"""Rank correlation between methods, over clips."""

import json
from pathlib import Path

import numpy as np
import pytest

from analysis.cli.agreement import main
from analysis.core.clip_map import ClipMap
from analysis.core.grid import Grid
from analysis.stimuli.triplets import generated_triplets
from analysis.studies.agreement import agreement, agreement_study
from rspnet.weights.checkpoint import save_model
from tests.factories import tiny_branch

GRID = Grid.even((1, 2, 2), (4, 8, 8))


def a_map(*values: float) -> ClipMap:
    return ClipMap(np.array(values).reshape(1, 2, 2), 0.0, "rsp", "x", GRID)


def test_correlations_by_hand() -> None:
    up, down, almost = a_map(1, 2, 3, 4), a_map(4, 3, 2, 1), a_map(1, 2, 4, 3)
    found = agreement([{"a": up, "b": down, "c": up}, {"a": up, "b": almost, "c": up}])
    assert found.of("c", "a").rho.value == pytest.approx(1)
    assert found.of("a", "b").rho.value == pytest.approx((-1 + 0.8) / 2)
    assert found.of("a", "b").rho.num == 2
    assert "a  b" in found.table()
    assert [pair["rho"]["num"] for pair in found.to_json()["pairs"]] == [2, 2, 2]


def test_even_maps_are_left_out_and_counted() -> None:
    up, even = a_map(1, 2, 3, 4), a_map(1, 1, 1, 1)
    found = agreement([{"a": up, "b": even}, {"a": up, "b": up}]).of("a", "b")
    assert (found.rho.num, found.num_undefined) == (1, 1)
    with pytest.raises(ValueError, match="an even map in every clip"):
        agreement([{"a": up, "b": even}])


def test_what_can_t_be_compared_is_refused() -> None:
    up = a_map(1, 2, 3, 4)
    with pytest.raises(ValueError, match="two methods"):
        agreement([{"a": up}])
    with pytest.raises(ValueError, match="some differ"):
        agreement([{"a": up, "b": up}, {"a": up, "c": up}])
    with pytest.raises(ValueError, match="methods are"):
        agreement([{"a": up, "b": up}]).of("a", "z")


def test_captum_is_asked_for_the_same_scores(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    branch = tiny_branch(0)
    triplets = generated_triplets(branch, 2, seed=3)
    found = agreement_study(branch, branch, triplets, methods=["layer_gradcam"], progress=False)
    for one in found.values():
        assert one.methods == ("contribution", "layer_gradcam")
        assert one.of("contribution", "layer_gradcam").rho.value == pytest.approx(1, abs=1e-3)
    with pytest.raises(ValueError, match="at least one method"):
        agreement_study(branch, branch, triplets, methods=[], progress=False)
    model = save_model(tmp_path / "m.safetensors", branch, branch)
    out = tmp_path / "a.json"
    words = ["--model", str(model), "--num_videos", "2", "--seed", "3", "--out", str(out)]
    assert main(words) == 0
    assert "integrated_gradients" in capsys.readouterr().out
    written = json.loads(out.read_text())
    assert set(written["heads"]) == {"rsp", "avid"}
    assert len(written["heads"]["rsp"]["pairs"]) == 6
    assert main([*words[:-1], str(out), "--model", "none.safetensors"]) == 2
