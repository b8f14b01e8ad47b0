"""SpeedNet: both versions of a clip in a batch, its head, its sizes, training, resuming."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from rspnet.data.pretrain import DataConfig
from rspnet.data.sources import FileSource
from rspnet.data.transforms import normalise
from rspnet.pretext.method import Step, method_settings
from rspnet.pretext.speednet import MaxPoolTask, SpeedNet, SpeedNetConfig, resized, skip_frames
from rspnet.pretext.task import TaskBatch, load_task
from tests.factories import assert_resumes_exactly, tiny_branch

DATA = DataConfig(num_frames=8, size=16)


def test_skipped_frames_are_chosen_evenly() -> None:
    rng = np.random.default_rng(0)
    drawn = [skip_frames(9, 2.0, rng) for _ in range(3000)]
    for places in drawn:
        assert (places[0], places[-1], len(places)) == (0, 16, 9)
        assert places == sorted(set(places))
    # 7 of the 15 frames between the first and the last are kept, each as often as any other.
    kept = np.bincount(np.concatenate(drawn), minlength=17)[1:-1] / len(drawn)
    assert np.allclose(kept, 7 / 15, atol=0.04)
    assert (skip_frames(1, 2.0, rng), skip_frames(2, 2.0, rng)) == ([0], [0, 2])


def test_both_versions_begin_with_one_frame() -> None:
    source, rng = FileSource(Path("a.mp4"), 40, 25.0), np.random.default_rng(0)
    starts, spans = set(), {0: set[int](), 1: set[int]()}
    for _ in range(300):
        drawn = SpeedNet.draw(source, DATA, SpeedNetConfig(), rng)
        assert drawn.answer == (0, 1)
        (start,) = {clip[0] for clip in drawn.clips}
        starts.add(start)
        for answer, clip in enumerate(drawn.clips):
            assert 0 <= clip[0] <= clip[-1] < 40
            assert min(np.diff(clip)) >= 1
            spans[answer].add(clip[-1] - clip[0])
    # Eight frames reach over 7 steps: 1 to 1.2 of them, and 1.7 to 2.2.
    assert (spans[0], spans[1]) == ({7, 8}, {12, 13, 14, 15})
    assert SpeedNet.frames_needed(DATA, 25.0) == 16
    assert starts == set(range(40 - 16 + 1))
    # At half the video's rate the places are twice as far apart.
    half = DataConfig(num_frames=8, fps=12.5)
    assert SpeedNet.frames_needed(half, 25.0) == 31
    clips = SpeedNet.draw(source, half, SpeedNetConfig(), rng).clips
    assert all((np.array(clip) - clips[0][0]).max() in (14, 16, 24, 26, 28, 30) for clip in clips)
    assert all(((np.array(clip) - clips[0][0]) % 2 == 0).all() for clip in clips)


def test_the_loss_is_the_binary_cross_entropy_of_one_logit() -> None:
    torch.manual_seed(0)
    network = SpeedNet(tiny_branch(0, size=16), SpeedNetConfig(min_scale=1, max_scale=1)).eval()
    clips = tuple(torch.randint(256, (2, 3, 8, 16, 16, 3), dtype=torch.uint8))
    batch = TaskBatch(clips, torch.tensor([0, 0, 0, 1, 1, 1]), torch.arange(3), ())
    losses = network.losses(batch, Step(number=0, trained=network))
    head = network.task
    assert isinstance(head, MaxPoolTask)
    total = 0.0
    with torch.no_grad():
        for version, answer in zip(clips, (0, 1), strict=True):
            for features in network.query.features(normalise(version)):
                pooled = [
                    [max(frame.flatten().tolist()) for frame in channel] for channel in features
                ]
                x = torch.tensor([sum(times) / len(times) for times in pooled])
                p = torch.sigmoid(head.fc(x)).item()
                total -= np.log(p if answer else 1 - p) / 6
    assert losses.total.item() == pytest.approx(total, rel=1e-5)
    assert 0 <= float(losses.scalars["accuracy"]) <= 1


def test_gradient_times_feature_is_the_exact_share_of_every_cell() -> None:
    torch.manual_seed(0)
    head = MaxPoolTask(5, ("normal", "sped up"))
    features = torch.randn(2, 5, 3, 4, 4).relu().requires_grad_()
    logits = head([features])
    assert torch.equal(logits[:, 0], -logits[:, 1])
    (gradient,) = torch.autograd.grad(logits[:, 1].sum(), features)
    share = (gradient * features).sum(dim=1)  # of every cell
    bias = head.fc.bias / 2
    torch.testing.assert_close(share.sum(dim=(1, 2, 3)) + bias, logits[:, 1])
    # By hand for one channel: a cell's share is w max / (2 T) where it is the maximum.
    one = MaxPoolTask(1, ("normal", "sped up"))
    cells = torch.tensor([[1.0, 3.0], [2.0, 0.0]]).reshape(1, 1, 1, 2, 2).requires_grad_()
    (gradient,) = torch.autograd.grad(one([cells])[0, 1], cells)
    w = one.fc.weight.item()
    expected = torch.tensor([[0.0, 3 * w / 2], [0.0, 0.0]]).reshape(1, 1, 1, 2, 2)
    torch.testing.assert_close(gradient * cells, expected)


def test_a_batch_in_training_has_a_random_size() -> None:
    torch.manual_seed(0)
    branch = tiny_branch(0, size=16)
    network = SpeedNet(branch, SpeedNetConfig(min_scale=0.5, max_scale=1.25))
    seen: list[tuple[int, ...]] = []
    branch.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape))
    clips = [torch.zeros(1, 3, 8, 16, 16)] * 2
    for _ in range(60):
        network.train()(clips)
    assert all(shape[:3] == (2, 3, 8) and shape[3] == shape[4] for shape in seen)
    assert {shape[3] for shape in seen} == set(range(8, 21))
    seen.clear()
    network.eval()(clips)
    assert seen == [(2, 3, 8, 16, 16)]


def test_resizing_treats_each_frame_by_itself() -> None:
    clip = torch.randn(1, 3, 2, 4, 4)
    small = clip.reshape(1, 3, 2, 2, 2, 2, 2).mean(dim=(4, 6))
    torch.testing.assert_close(resized(clip, 2), small)
    large = torch.stack(
        [functional.interpolate(clip[:, :, t], (7, 7), mode="bilinear") for t in range(2)], dim=2
    )
    torch.testing.assert_close(resized(clip, 7), large)
    assert resized(clip, 4) is clip


def test_both_versions_have_one_view() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (8, 20, 30, 3), dtype=np.uint8)
    views, answer = SpeedNet.views(
        [frames, frames], (0, 1), DATA, SpeedNetConfig(), np.random.default_rng(1)
    )
    assert answer == (0, 1)
    assert np.array_equal(views[0], views[1])


@pytest.mark.parametrize(("arch", "size"), [("resnet18_fine", 16), ("c3d", 32)])
def test_a_stopped_run_resumes_exactly(
    tmp_path: Path, video_folder: Path, arch: str, size: int
) -> None:
    options = "{width: 2, stem_kernel: [1, 3, 3]}" if arch == "resnet18_fine" else "{width: 2}"
    words = [
        "--method=speednet", "--batch_size=2", "--num_workers=0", "--device=cpu",
        f"--data.size={size}", "--data.num_frames=8", f"--data.root={video_folder}",
        f"--model.arch={arch}", f"--model.options={options}",
        "--method_options={min_scale: 0.5, normal: [1, 1.3]}",
    ]  # fmt: skip
    task = load_task(assert_resumes_exactly(words, tmp_path))
    assert task.head.classes == ("normal", "sped up")
    assert task.settings == SpeedNetConfig(min_scale=0.5, normal=(1.0, 1.3))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"normal": [1.0, 1.8]}, "those of sped_up above those of normal"),
        ({"normal": [0.5, 1.2]}, "at least 1"),
        ({"sped_up": [2.2, 1.7]}, "a smallest and a largest skip each"),
        ({"sped_up": [2]}, "a smallest and a largest skip each"),
        ({"sped_up": "fast"}, "a smallest and a largest skip each|a list of a number, a number"),
        ({"min_scale": 0}, "scales obey 0 < min_scale"),
    ],
)
def test_settings_are_checked(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        method_settings("speednet", options, None)


def test_a_smallest_size_that_the_encoder_does_not_take_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="c3d takes no clips of 9 x 9 pixels: raise min_scale"):
        SpeedNet(tiny_branch(arch="c3d", size=32), SpeedNetConfig())
