"""The held-out numbers of the pretext tasks, on models whose answer is known."""

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from rspnet.data.video.encode import write_video
from rspnet.evaluate import eval_triplets, evaluate_pretext, evaluate_task, main
from rspnet.models import Branch
from rspnet.pretext.pace import PaceConfig
from rspnet.pretext.speednet import MaxPoolTask, SpeedNetConfig
from rspnet.pretext.task import LinearTask, PretextTask
from rspnet.recognition.result import bootstrap_interval
from rspnet.train import main as train_main
from rspnet.weights.checkpoint import save_model
from tests.factories import tiny_branch


class Ramp:
    """A video that grows brighter by one level a frame, and starts at its own level."""

    num_frames = 60
    fps = 25.0

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


class Steps(nn.Module):
    """One feature: the mean step of the red channel from frame to frame, in levels."""

    num_frames, size = 8, 8
    metadata: ClassVar[dict[str, Any]] = {"config": {"data": {"fps": None, "speeds": [1, 2]}}}

    def features(self, clips):
        step = (clips[:, 0, 1:] - clips[:, 0, :-1]).mean(dim=(1, 2, 3)) * 255 * 0.229
        return step[:, None, None, None, None]


def pace_task(**options):
    # k x - k^2 / 2 is largest for the pace k that is nearest to the step x.
    head = LinearTask(1, ["1x", "2x", "3x", "4x"])
    paces = torch.arange(1.0, 5.0)
    with torch.no_grad():
        head.fc.weight.copy_(paces[:, None])
        head.fc.bias.copy_(-(paces**2) / 2)
    return PretextTask("pace", PaceConfig(**options), Steps(), head)


@pytest.mark.parametrize("contrast", ["none", "context"])
def test_a_task_that_sees_the_answer_is_always_right(contrast):
    task = pace_task(contrast=contrast)
    videos = [Ramp(n) for n in range(5)]
    result = evaluate_task(task, videos, num_draws=6, batch_size=4)
    assert (result.accuracy, result.interval, result.chance) == (1.0, (1.0, 1.0), 0.25)
    assert result.accuracy_by_class == dict.fromkeys(["1x", "2x", "3x", "4x"], 1.0)
    assert (result.num_videos, result.num_draws) == (5, 6)
    assert result.num_answers == 30 * (1 + (contrast == "context"))
    with torch.no_grad():
        task.head.fc.bias[2] += 9  # from now on each answer is 3x
    worse = evaluate_task(task, videos, num_draws=40)
    assert worse.accuracy_by_class == {"1x": 0, "2x": 0, "3x": 1, "4x": 0}
    assert worse.accuracy == pytest.approx(0.25, abs=0.08)
    assert worse.interval[0] < worse.accuracy < worse.interval[1]
    assert evaluate_task(task, videos, num_draws=40, batch_size=3) == worse
    assert evaluate_task(task, videos, num_draws=40, seed=1) != worse
    with pytest.raises(ValueError, match="no videos"):
        evaluate_task(task, [])


def test_both_versions_of_a_clip_are_answered():
    head = MaxPoolTask(1, ("normal", "sped up"))
    with torch.no_grad():
        head.fc.weight.fill_(1.0)
        head.fc.bias.fill_(-1.45)
    task = PretextTask("speednet", SpeedNetConfig(), Steps(), head)
    result = evaluate_task(task, [Ramp(0), Ramp(1)], num_draws=3, batch_size=1)
    assert (result.accuracy, result.chance, result.num_answers) == (1.0, 0.5, 12)


def trained(folder, videos, method, *more):
    words = [
        f"--method={method}", "--batch_size=2", "--num_workers=0", "--device=cpu", "--max_steps=1",
        "--data.size=16", "--data.num_frames=8", f"--data.root={videos}", f"--out={folder}",
        "--model.options={width: 2, stem_kernel: [1, 3, 3]}", *more,
    ]  # fmt: skip
    assert train_main(words) == 0
    return str(folder / "model.safetensors")


@pytest.mark.parametrize(
    ("method", "options", "shown", "untrained"),
    [
        ("pace", "{max_pace: 3}", ["pace accuracy"], "RSP's and A-VID's heads"),
        ("pace", "{contrast: context}", ["pace accuracy", "A-VID top-1"], "RSP's head"),
        ("speednet", "{}", ["speednet accuracy"], "RSP's and A-VID's heads"),
        ("moco", "{queue_length: 4}", ["A-VID top-1"], "RSP's head"),
        ("rspnet", "{}", ["RSP ordering", "A-VID top-1"], None),
    ],
)
def test_what_is_shown_of_each_method(
    tmp_path, video_folder, capsys, method, options, shown, untrained
):
    model = trained(tmp_path, video_folder, method, f"--method_options={options}")
    words = [f"--model={model}", f"--videos={video_folder}", "--num_triplets=1", "--num_draws=3"]
    out = [f"--out={tmp_path / 'r.json'}", "--num_workers=0"]
    capsys.readouterr()
    assert main([*words, *out]) == 0
    printed = capsys.readouterr().out
    names = ("pace accuracy", "speednet accuracy", "RSP ordering", "A-VID top-1")
    assert [name for name in names if name in printed] == shown
    assert ("does not train" in printed) == (untrained is not None)
    assert untrained is None or f"{method} does not train {untrained}" in printed
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["protocol"]["method"] == method
    if len(shown[0].split()) == 2 and "accuracy" in shown[0]:
        assert "3 draws a video" in printed
        assert f"chance {report['result']['task']['chance']:.3f}" in printed
        assert main([*words, *out]) == 0
        assert json.loads((tmp_path / "r.json").read_text()) == report
    assert main([*words, "--random_weights", "--num_workers=0"]) == 0
    control = capsys.readouterr().out
    assert all(name in control for name in shown)


def test_videos_too_short_for_the_task_are_counted(tmp_path, video_folder, capsys):
    model = trained(tmp_path, video_folder, "pace", "--method_options={max_pace: 5}")
    write_video(
        tmp_path / "videos" / "short.mp4", np.zeros((30, 24, 32, 3), np.uint8), 25, preset="fast"
    )
    (tmp_path / "videos" / "long.mp4").write_bytes(next(video_folder.rglob("*.mp4")).read_bytes())
    capsys.readouterr()
    words = [f"--model={model}", f"--videos={tmp_path / 'videos'}", "--num_workers=0"]
    assert main(words) == 0  # 30 frames hold a clip at 2x, but none at 5x, which has 36
    assert "1 videos (1 too short or unreadable)" in capsys.readouterr().out
    assert main([*words, "--num_draws=0"]) == 2
    assert "num_draws and batch_size are positive" in capsys.readouterr().err


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
