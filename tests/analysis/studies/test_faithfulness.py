"""The study of faithfulness: what is put together from curves, on small models and by hand."""

import json
from pathlib import Path

import numpy as np
import pytest

from analysis.cli.faithfulness import main
from analysis.core.cells import FILLS, CellSwap
from analysis.core.clip import ClipInfo, View
from analysis.core.score import Score, extract_features
from analysis.stimuli.triplets import Triplets
from analysis.studies.deletion import MODES, KeptCells, order_of, perturbation_curve
from analysis.studies.faithfulness import (
    Measured,
    PerturbationConfig,
    faithfulness_study,
    measure_video,
    summarise,
)
from analysis.studies.faithfulness_result import FaithfulnessResult
from rspnet.models import Branch
from rspnet.weights.checkpoint import save_model
from tests.factories import tiny_branch

NAMES = [("rsp", "similarity"), ("avid", "margin")]


def make_branch() -> Branch:
    return tiny_branch(3, width=4)


def views(num: int, size: int = 32) -> Triplets:
    rng = np.random.default_rng(0)
    triplets = []
    for _ in range(num):
        shown = [rng.integers(0, 256, (8, size, size, 3), dtype=np.uint8) for _ in range(3)]
        i, j, k = (View(frames, ClipInfo()) for frames in shown)
        triplets.append((i, j, k))
    return Triplets(views=tuple(triplets), what="videos of noise")


def measured(own: float, random: float, centre: float, undefined: bool = False) -> Measured:
    """Two shares; areas as given, the same for both scores, the one fill and both modes."""
    areas = np.broadcast_to([own, random, centre], (2, 1, 2, 3)).copy()
    curves = np.zeros((2, 1, 2, 3, 2))
    curves[:, :, 0] = [0.8, 0.1]  # deletion: from the clip to the fill
    curves[:, :, 1] = [0.1, 0.8]
    left = np.full((2, 1, 2), np.nan) if undefined else np.broadcast_to([0.2, 0.5], (2, 1, 2))
    return Measured(np.array([0.0, 1.0]), curves, areas, left, np.array([0.01, 0.02]))


def result_by_hand() -> FaithfulnessResult:
    return summarise(
        [measured(0.3, 0.5, 0.4), measured(0.1, 0.5, 0.2, undefined=True)],
        NAMES,
        ["blur"],
        videos="videos",
        model_hash="f" * 64,
        cells=(1, 2, 2),
        seed=0,
        num_random=1,
    )


def test_better_means_lower_for_deletion_and_higher_for_insertion() -> None:
    result = result_by_hand()
    deletion = result.curve("rsp", "similarity", "blur", "deletion")
    insertion = result.curve("rsp", "similarity", "blur", "insertion")
    assert deletion.map.value == pytest.approx(0.2)
    assert deletion.over_random.value == pytest.approx(0.3)
    assert insertion.over_random.value == pytest.approx(-0.3)
    assert deletion.over_centre.value == pytest.approx(0.1)
    assert (deletion.over_random.low, deletion.over_random.high) == pytest.approx((0.2, 0.4))
    for row in (deletion, insertion):
        assert row.full.value == pytest.approx(0.8)
        assert row.empty.value == pytest.approx(0.1)
    with pytest.raises(ValueError, match="no row"):
        result.curve("rsp", "margin", "blur", "deletion")


def test_videos_whose_score_nothing_changes_are_left_out_and_counted() -> None:
    row = result_by_hand().infidelity[0]
    assert (row.num_undefined, row.map.num) == (1, 1)
    assert row.better.value == pytest.approx(0.3)


def test_result_goes_through_json_and_its_table_has_every_row(tmp_path: Path) -> None:
    result = result_by_hand()
    path = tmp_path / "result.json"
    path.write_text(json.dumps(result.to_json()))
    assert FaithfulnessResult.load(path) == result
    lines = result.table().splitlines()
    assert sum("RSP     similarity" in line for line in lines) == 4
    assert sum("A-VID   margin" in line for line in lines) == 4
    path.write_text("[]")
    with pytest.raises(ValueError, match="holds no result of faithfulness"):
        FaithfulnessResult.load(path)
    path.write_text("{}")
    with pytest.raises(ValueError, match="expected 'rspnet-faithfulness'"):
        FaithfulnessResult.load(path)


def test_a_video_s_areas_are_those_of_its_curves() -> None:
    branch = make_branch()
    i, j, _ = views(1).views[0]
    c_i, c_j = extract_features(branch, i), extract_features(branch, j)
    scores = [Score.similarity(branch, head, c_j) for head in ("rsp", "avid")]
    found = measure_video(
        scores,
        i,
        c_i,
        effort=PerturbationConfig(num_steps=3, num_random=2, num_boxes=2, num_noise_samples=1),
        seed=5,
    )
    num = int(np.prod(c_i.grid.cells))
    assert found.areas.shape == (2, len(FILLS), len(MODES), 3)
    rng = np.random.default_rng(5)
    order = rng.permutation(num)
    orders = [order, order[::-1]]
    for s, score in enumerate(scores):
        for f, fill in enumerate(FILLS):
            cells = KeptCells(branch, CellSwap.of(i.clip[None], fill, c_i.grid))
            own = order_of(score.contributions(c_i).values)
            for m, mode in enumerate(MODES):
                area = perturbation_curve(score, cells, own, mode, 3).area
                random = [perturbation_curve(score, cells, o, mode, 3).area for o in orders]
                assert found.areas[s, f, m, 0] == pytest.approx(area, abs=1e-6)
                assert found.areas[s, f, m, 1] == pytest.approx(np.mean(random), abs=1e-6)
    assert found.unexplained.shape == (2, len(FILLS), 2)
    assert (found.sensitivity > 0).all()


def test_the_study_is_the_same_each_time() -> None:
    branch = make_branch()
    effort = PerturbationConfig(num_steps=2, num_random=1, num_boxes=2, num_noise_samples=1)
    first, again = (
        faithfulness_study(branch, branch, views(3), fills=["mean"], effort=effort, progress=False)
        for _ in range(2)
    )
    assert first == again
    assert first.num_videos == 3
    assert first.cells == (2, 2, 2)
    assert {(row.head, row.question) for row in first.curves} == {
        (head, question) for head in ("rsp", "avid") for question in ("similarity", "margin")
    }
    with pytest.raises(ValueError, match="num_boxes is positive, got 0"):
        PerturbationConfig(num_boxes=0)


def test_command_line(
    tmp_path: Path,
    video_folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = save_model(tmp_path / "m.safetensors", make_branch(), make_branch())
    out = tmp_path / "out.json"
    common = ["--model", str(model), "--out", str(out), "--data", str(video_folder)]
    assert main([*common, "--num_videos", "2", "--num_steps", "1", "--num_random", "1"]) == 0
    assert FaithfulnessResult.load(out).table() in capsys.readouterr().out
    assert main([*common, "--num_videos", "1"]) == 2
    assert "at least two" in capsys.readouterr().err
