"""Maps of fixed clips while a run goes on."""

import csv
import math

import numpy as np
import pytest
import torch

from analysis.track import rank_correlation, round_interval
from rspnet.checkpoint import load_model
from rspnet.config import TrainConfig, parse_config
from rspnet.train import train

TINY = [
    "--batch_size=4", "--num_workers=0", "--device=cpu", "--checkpoint_every_minutes=0",
    "--data.size=32", "--data.num_frames=8", "--max_steps=3", "--loss.queue_length=8",
    "--model.options={width: 2, stem_kernel: [1, 3, 3]}",
]  # fmt: skip


def test_a_run_with_the_tracker_ends_with_the_same_bits(tmp_path, video_folder):
    models = []
    for name, more in (("a", []), ("b", ["--observer=analysis.track:MapTracker"])):
        words = [*TINY, f"--out={tmp_path / name}", f"--data.root={video_folder}", *more]
        models.append(load_model(train(parse_config(TrainConfig, words))))
    second = models[1].state_dict()
    assert all(torch.equal(t, second[k]) for k, t in models[0].state_dict().items())
    maps = tmp_path / "b" / "maps"
    for step in (1, 3):
        assert (maps / f"step_{step:08d}.png").stat().st_size > 1000
        assert (maps / f"step_{step:08d}.npz").is_file()
    assert (maps / "history.png").is_file()
    with (maps / "correlation.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {int(row["step"]) for row in rows} >= {1, 3}
    assert all(-1.001 <= float(row["rho"]) <= 1.001 for row in rows)


def test_rank_correlation_by_hand():
    a = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert rank_correlation(a, 10 * a + 1) == pytest.approx(1)
    assert rank_correlation(a, -a) == pytest.approx(-1)
    # Ranks 0 1 2 3 and 0.5 0.5 2 3: covariance 4.5, norms sqrt(5) and sqrt(4.5).
    tied = np.array([[7.0, 7.0], [8.0, 9.0]])
    assert rank_correlation(a, tied) == pytest.approx(4.5 / math.sqrt(5 * 4.5))
    assert math.isnan(rank_correlation(a, np.zeros((2, 2))))
    with pytest.raises(ValueError, match="two maps of one shape"):
        rank_correlation(a, np.zeros(4))


def test_intervals_are_round_numbers():
    assert [round_interval(n) for n in (0.3, 1, 4, 8, 90, 130)] == [1, 1, 5, 10, 100, 100]
