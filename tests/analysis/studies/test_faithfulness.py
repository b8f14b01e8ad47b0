"""The study of faithfulness: what is put together from curves, on small models and by hand."""

from pathlib import Path

import numpy as np
import pytest

from analysis.cli.study import main
from analysis.core.cells import FILLS, CellSwap
from analysis.core.clip import ClipInfo, View
from analysis.core.score import Score, extract_features
from analysis.core.table import StudyTable
from analysis.stimuli.triplets import Triplets
from analysis.studies.faithfulness import (
    Faithfulness,
    FaithfulnessConfig,
    Measured,
    agreement,
    measure_video,
    summarise,
)
from analysis.studies.measures.deletion import MODES, KeptCells, order_of, perturbation_curve
from analysis.studies.registry import StudyInputs
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


def table_by_hand() -> StudyTable:
    videos = [measured(0.3, 0.5, 0.4), measured(0.1, 0.5, 0.2, undefined=True)]
    rows = tuple(summarise(videos, NAMES, ["blur"]))
    return StudyTable(study="faithfulness", rows=rows, num_videos=2, videos="videos by hand")


def test_better_means_lower_for_deletion_and_higher_for_insertion() -> None:
    table = table_by_hand()
    keys = {"head": "rsp", "score": "similarity", "fill": "blur"}
    deletion, insertion = (table.one(test=mode, **keys) for mode in ("deletion", "insertion"))
    assert deletion["map"].value == pytest.approx(0.2)
    assert deletion["over_random"].value == pytest.approx(0.3)
    assert insertion["over_random"].value == pytest.approx(-0.3)
    assert deletion["over_centre"].value == pytest.approx(0.1)
    ends = (deletion["over_random"].low, deletion["over_random"].high)
    assert ends == pytest.approx((0.2, 0.4))
    for row in (deletion, insertion):
        assert row["full"].value == pytest.approx(0.8)
        assert row["empty"].value == pytest.approx(0.1)
    assert Faithfulness().finding(table).startswith("In 2 of 4 tests")


def test_videos_whose_score_nothing_changes_are_skipped_and_counted() -> None:
    row = table_by_hand().select(test="infidelity")[0]
    assert (row.values["num_undefined"], row["map"].num) == (1, 1)
    assert row["better"].value == pytest.approx(0.3)


def test_tables_and_figures_have_every_row() -> None:
    table, study = table_by_hand(), Faithfulness()
    curves, infidelity, noise = study.tables(table)
    assert [row[0] for row in curves.rows] == [
        f"{mode}, {head}, blur"
        for mode in ("deletion", "insertion")
        for head in ("RSP, similarity", "A-VID, margin")
    ]
    assert curves.rows[0][4] == table.rows[0]["over_random"]
    assert len(infidelity.rows) == len(noise.rows) == 2
    first, second = study.figures(table)
    assert first.rows == (
        "deletion, similarity, blur", "deletion, margin, blur", "insertion, similarity, blur",
        "insertion, margin, blur",
    )  # fmt: skip
    assert first.panels[1].dots[0].value == table.rows[0]["over_centre"]
    assert len(second.panels[0].dots) == 2


def test_a_video_s_areas_are_those_of_its_curves() -> None:
    branch = make_branch()
    i, j, _ = views(1).views[0]
    c_i, c_j = extract_features(branch, i), extract_features(branch, j)
    scores = [Score.similarity(branch, head, c_j) for head in ("rsp", "avid")]
    found = measure_video(
        scores,
        i,
        c_i,
        config=FaithfulnessConfig(num_steps=3, num_orders=2, num_boxes=2, num_noise_samples=1),
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


def run(branch: Branch, **settings: object) -> StudyTable:
    config = FaithfulnessConfig(
        num_videos=3, num_steps=2, num_orders=1, num_boxes=2, num_noise_samples=1, **settings
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StudyInputs, "triplets", lambda _, num_videos, seed: views(num_videos))
        return Faithfulness().measure(
            StudyInputs(query=branch, key=branch, progress=False), config
        )  # fmt: skip


def test_the_study_is_the_same_each_time() -> None:
    branch = make_branch()
    first, again = run(branch), run(branch)
    assert first.to_json() == again.to_json()
    assert first.num_videos == 3
    assert first.grid.cells == (2, 2, 2)
    assert len(first.select(test="deletion")) == 2 * 2 * len(FILLS)
    with pytest.raises(ValueError, match="num_boxes is positive, got 0"):
        FaithfulnessConfig(num_boxes=0)


def a_map(*values: float) -> np.ndarray:
    return np.array(values).reshape(1, 2, 2)


def test_agreement_by_hand() -> None:
    up, down, almost = a_map(1, 2, 3, 4), a_map(4, 3, 2, 1), a_map(1, 2, 4, 3)
    clips = [{"a": up, "b": down, "c": up}, {"a": up, "b": almost, "c": up}]
    a_b, a_c, b_c = agreement(clips, {"head": "rsp"})
    assert (a_b.keys["method"], a_b.keys["other_method"]) == ("a", "b")
    assert a_b["rho"].value == b_c["rho"].value == pytest.approx((-1 + 0.8) / 2)
    assert (a_c["rho"].value, a_c["rho"].num) == (pytest.approx(1), 2)


def test_constant_maps_are_skipped_and_counted() -> None:
    up, constant = a_map(1, 2, 3, 4), a_map(1, 1, 1, 1)
    (found,) = agreement([{"a": up, "b": constant}, {"a": up, "b": up}], {})
    assert (found["rho"].num, found.values["num_undefined"]) == (1, 1)
    with pytest.raises(ValueError, match="a constant map in every clip"):
        agreement([{"a": up, "b": constant}], {})


def test_captum_explains_the_same_scores() -> None:
    table = run(make_branch(), methods=["layer_gradcam"])
    rows = table.select(test="agreement")
    assert len(rows) == 4
    for row in rows:
        assert (row.keys["method"], row.keys["other_method"]) == ("contribution", "layer_gradcam")
        assert row["rho"].value == pytest.approx(1, abs=1e-3)
    assert len(Faithfulness().tables(table)[-1].rows) == 4


def test_command_line(
    tmp_path: Path,
    video_folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = save_model(tmp_path / "m.safetensors", make_branch(), make_branch())
    out = tmp_path / "out.json"
    common = ["--model", str(model), "--out", str(out), "--videos", str(video_folder)]
    small = ["--num_videos", "2", "--num_steps", "1", "--num_orders", "1"]
    assert main("faithfulness", [*common, *small]) == 0
    shown = Faithfulness().tables(StudyTable.load(out))
    assert shown[0].text() in capsys.readouterr().out
    assert main("faithfulness", [*common, "--num_videos", "1"]) == 2
    assert "at least two" in capsys.readouterr().err
