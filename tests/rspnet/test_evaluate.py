"""The held-out numbers of the pretext tasks, on models whose answer is known."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from rspnet.evaluate import eval_triplets, evaluate_pretext, main
from rspnet.models import Branch
from rspnet.recognition.result import bootstrap_interval
from rspnet.weights.checkpoint import save_model
from tests.factories import tiny_branch


class Ramp:
    """A video that grows brighter by one level a frame, and starts at its own level."""

    num_frames = 60

    def __init__(self, number):
        self.number = number
        self.path = Path(f"{number}.mp4")

    def get_frames(self, indices):
        frames = np.empty((len(indices), 8, 8, 3), np.uint8)
        frames[..., 0] = np.array(indices)[:, None, None]
        frames[..., 1] = 40 * self.number
        frames[..., 2] = 255 - 40 * self.number
        return frames


class Planted(nn.Module):
    """RSP sees only the step from frame to frame, A-VID only the mean of green and blue."""

    heads = ("rsp", "avid")
    num_frames, size = 8, 8

    def __init__(self, sign=1.0):
        super().__init__()
        self.sign = sign

    def forward(self, clips):
        step = (clips[:, 0, 1:] - clips[:, 0, :-1]).mean(dim=(1, 2, 3)) * 255 * 0.229
        angle = self.sign * (step - 1.5)
        rsp = torch.stack([angle.cos(), angle.sin()], dim=1)
        avid = clips[:, 1:].mean(dim=(2, 3, 4))
        return {"rsp": rsp, "avid": nn.functional.normalize(avid, dim=1)}


def test_a_model_that_sees_speed_and_looks_is_right_on_both():
    videos = [Ramp(n) for n in range(5)]
    result = evaluate_pretext(Planted(), Planted(), videos, num_triplets=3, batch_size=2)
    assert result.rsp_accuracy == 1.0
    assert result.rsp_accuracy_by_speed == {"1x": 1.0, "2x": 1.0}
    assert result.avid_top1 == 1.0
    assert (result.num_videos, result.num_triplets) == (5, 30)
    # d+ = 1, d- = cos(1) at either speed.
    assert result.rsp_margin == pytest.approx(1 - np.cos(1.0), abs=1e-3)


def test_a_model_that_sees_it_the_wrong_way_round_is_always_wrong():
    # c_k goes through the key branch, so a mirrored key branch turns the order round.
    result = evaluate_pretext(Planted(), Planted(sign=-1.0), [Ramp(0), Ramp(1)], num_triplets=2)
    assert result.rsp_accuracy == 0.0


def test_result_does_not_depend_on_the_batch_size():
    videos = [Ramp(n) for n in range(3)]
    branch = tiny_branch(0, width=2, size=8)
    one = evaluate_pretext(branch, branch, videos, num_triplets=2, batch_size=1)
    many = evaluate_pretext(branch, branch, videos, num_triplets=2, batch_size=32)
    assert one.rsp_margin == pytest.approx(many.rsp_margin, abs=1e-6)
    assert one.avid_top1 == many.avid_top1


def test_triplets_ask_a_question():
    rng = np.random.default_rng(0)
    triplets = eval_triplets(40, 8, (1, 2), 50, rng)
    assert [t.query.speed for t in triplets] == [1] * 50 + [2] * 50
    assert all(t.query.start not in (t.same_speed.start, t.other_speed.start) for t in triplets)


def test_interval_by_hand():
    assert bootstrap_interval(np.ones(10)) == (1.0, 1.0)
    low, high = bootstrap_interval(np.array([0.0, 1.0] * 200))
    # Mean 0.5, standard error 0.025: +- 1.96 of it.
    assert low == pytest.approx(0.451, abs=0.006)
    assert high == pytest.approx(0.549, abs=0.006)


def test_command_line(tmp_path, video_folder, capsys):
    branch = Branch("resnet18_fine", {"width": 2}, num_frames=8, size=16)
    model = save_model(tmp_path / "m.safetensors", branch, branch)
    arguments = [f"--model={model}", f"--videos={video_folder}", "--num_triplets=1",
                 "--num_workers=0", f"--out={tmp_path / 'r.json'}"]  # fmt: skip
    assert main(arguments) == 0
    assert "RSP ordering accuracy" in capsys.readouterr().out
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["result"]["num_videos"] == 4
    assert len(report["protocol"]["model_hash"]) == 64
    assert main([f"--model={model}", "--videos=nowhere"]) == 2
    assert "expected a folder" in capsys.readouterr().err
