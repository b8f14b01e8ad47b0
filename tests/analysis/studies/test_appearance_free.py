"""Both tasks on noise that moves as clips do."""

from typing import Any

import numpy as np
import pytest

from analysis.studies import appearance_free
from analysis.studies.appearance_free import (
    MOVEMENT,
    STIMULI,
    AppearanceFree,
    AppearanceFreeConfig,
    outcomes,
)
from analysis.studies.registry import StudyInputs
from tests.factories import tiny_branch


def test_outcomes_by_hand() -> None:
    z_i = np.eye(3)
    z_j = np.array([[1, 0, 0], [0.9, 0.1, 0], [0, 0, 0.5]])
    z_k = np.array([[0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]])
    # The second is farther than c_k, but nearest of all; the third is as near as c_k.
    assert outcomes(z_i, z_j, z_k).tolist() == [[1, 0, 0], [1, 1, 1]]
    ties = np.ones((3, 1))
    assert outcomes(ties, ties, ties).sum() == 0


def test_a_head_that_measures_change_orders_noise_and_one_that_sees_colours_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def extract(_branch: Any, view: Any) -> Any:
        import torch

        change = np.abs(np.diff(view.frames.astype(float), axis=0)).mean()
        angle = torch.tensor(min(change / 60, 1.5), dtype=torch.float32)
        colour = torch.tensor(view.frames.mean(axis=(0, 1, 2)) - 127.0, dtype=torch.float32)
        z = {
            "rsp": torch.stack([torch.cos(angle), torch.sin(angle), torch.tensor(0.0)]),
            "avid": torch.nn.functional.normalize(colour, dim=0),
        }
        return type("Seen", (), {"embeddings": z})

    monkeypatch.setattr(appearance_free, "extract_features", extract)
    branch = tiny_branch(0, size=64)
    inputs = StudyInputs(query=branch, key=branch, progress=False)
    table = AppearanceFree().measure(inputs, AppearanceFreeConfig(num_videos=10, num_random=1))

    def value(stimulus: str, head: str, measure: str) -> float:
        return table.one(weights="trained", stimulus=stimulus, head=head)[measure].value

    assert value(MOVEMENT, "rsp", "order") >= 0.6
    assert value("noise at rest", "rsp", "order") == 0  # all are alike: ties
    assert value(next(iter(STIMULI)), "avid", "instance") >= 0.8
    assert value(MOVEMENT, "avid", "instance") <= 0.4
    assert "RSP orders" in AppearanceFree().finding(table)
    assert len(AppearanceFree().tables(table)) == 4
    (figure,) = AppearanceFree().figures(table)
    assert figure.rows == tuple(STIMULI)  # type: ignore[union-attr]
    assert AppearanceFree().key_numbers(table)[0].difference is not None


def test_no_control_is_refused() -> None:
    with pytest.raises(ValueError, match="num_random=0"):
        AppearanceFreeConfig(num_random=0)
