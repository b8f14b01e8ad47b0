"""What heads lose when a region is edited."""

import numpy as np
import pytest
import torch

from analysis import View, example_views
from analysis.core.score import Score
from analysis.studies.region_edits import (
    HOWS,
    RegionEdits,
    RegionEditsConfig,
    drops,
    edited,
    elsewhere,
    summarise,
)
from analysis.studies.registry import StudyInputs
from tests.factories import tiny_branch


def test_elsewhere_has_the_same_shape_and_does_not_overlap() -> None:
    limbs = np.zeros((32, 32), bool)
    limbs[2:9, 3:12] = True
    found = elsewhere(limbs)
    assert found.sum() == limbs.sum()
    assert not (found & limbs).any()


def test_edits_are_of_where_limbs_are_at_any_time() -> None:
    (view,) = example_views(1)
    limbs = np.zeros((8, 32, 32), bool)
    for t in range(8):
        limbs[t, t + 2, 4:8] = True
    whole, *clips = edited(view, limbs)
    assert whole is view
    assert len(clips) == 2 * len(HOWS)
    changed = (clips[0].frames != view.frames).any(axis=(0, 3))
    assert changed[2:10, 4:8].all()
    assert changed.sum() == 32
    elsewhere_changed = (clips[3].frames != view.frames).any(axis=(0, 3))
    assert elsewhere_changed.sum() == 32
    assert not (changed & elsewhere_changed).any()


def test_drops_are_differences_of_the_networks_own_scores() -> None:
    branch = tiny_branch(0)
    views: list[View] = example_views(3)
    score = Score(branch, "rsp", torch.nn.functional.normalize(torch.arange(128.0), dim=0).double())
    with torch.no_grad():
        found = drops(score, branch(torch.stack([view.clip for view in views])))
        each = [float(score(view.clip[None])) for view in views]
    np.testing.assert_allclose(found, [each[0] - each[1], each[0] - each[2]], atol=1e-6)


def test_estimates_by_hand() -> None:
    # (V, S, H, R, E): RSP loses 0.4 with the limbs and 0.1 elsewhere, A-VID 0.2 with either.
    found = np.zeros((3, 2, 2, 2, 3))
    found[:, :, 0, 0], found[:, :, 0, 1], found[:, :, 1] = 0.4, 0.1, 0.2
    rows = {tuple(row.keys.values())[1:]: row["drop"].value for row in summarise(found, "trained")}
    assert rows["limbs", "freeze", "rsp"] == pytest.approx(0.4)
    assert rows["limbs", "freeze", "rsp_minus_avid"] == pytest.approx(0.2)
    assert rows["elsewhere", "mean", "rsp_minus_avid"] == pytest.approx(-0.1)
    assert rows["limbs_minus_elsewhere", "blur", "rsp"] == pytest.approx(0.3)
    assert rows["limbs_minus_elsewhere", "blur", "avid"] == pytest.approx(0)


def test_freezing_what_stands_still_costs_nothing() -> None:
    query, key = tiny_branch(0), tiny_branch(1)
    inputs = StudyInputs(query=query, key=key, progress=False)
    study = RegionEdits()
    table = study.measure(inputs, RegionEditsConfig(num_videos=2, num_random=1))
    for head in ("rsp", "avid"):
        still = table.one(weights="trained", region="elsewhere", edit="freeze", head=head)
        assert abs(still["drop"].value) < 0.01  # resized pixels at the edge of a limb's path
        limbs = table.one(weights="trained", region="limbs", edit="mean", head=head)
        assert abs(limbs["drop"].value) > 0
    assert [len(panel.dots) for panel in study.figures(table)[0].panels] == [len(HOWS) * 4] * 2
    assert len(study.tables(table)[0].rows) == 3 * len(HOWS)
    assert "RSP's margin drops by" in study.finding(table)
    with pytest.raises(ValueError, match="at least 2 videos and 1 draw"):
        RegionEditsConfig(num_videos=1)
