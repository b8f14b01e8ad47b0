"""Pace prediction: what is drawn, the contrastive loss against a naive one, training, resuming."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from rspnet.data.augment import CENTRE, AugmentConfig
from rspnet.data.pretrain import DataConfig
from rspnet.data.sources import FileSource
from rspnet.data.stream import SampleKey
from rspnet.data.transforms import normalise
from rspnet.pretext.method import Step, method_settings
from rspnet.pretext.pace import Pace, PaceConfig, contrast_loss
from rspnet.pretext.task import load_task
from rspnet.train import main
from rspnet.weights.checkpoint import load_model
from tests.factories import assert_resumes_exactly, tiny_branch

DATA = DataConfig(num_frames=8, size=16)


def words(*more: str, arch: str = "resnet18_fine") -> list[str]:
    options = "{width: 2, stem_kernel: [1, 3, 3]}" if arch == "resnet18_fine" else "{width: 2}"
    return [
        "--method=pace", "--batch_size=3", "--num_workers=0", "--device=cpu", "--data.size=16",
        "--data.num_frames=8", f"--model.arch={arch}", f"--model.options={options}", *more,
    ]  # fmt: skip


def naive_contrast(z: torch.Tensor, group: list[int], temperature: float) -> float:
    rows = [[float(v) for v in row / row.norm()] for row in z]
    found = []
    for i, mine in enumerate(rows):
        s = [sum(a * b for a, b in zip(mine, row, strict=True)) / temperature for row in rows]
        total = sum(math.exp(s[a]) for a in range(len(rows)) if a != i)
        own = [p for p in range(len(rows)) if p != i and group[p] == group[i]]
        if own:
            found.append(sum(-math.log(math.exp(s[p]) / total) for p in own) / len(own))
    return sum(found) / max(1, len(found))


@pytest.mark.parametrize("group", [[0, 1, 2, 0, 1, 2], [0, 0, 0, 1, 1, 2], [0, 1, 2, 3, 4, 5]])
def test_the_contrastive_loss_is_that_of_loops(group: list[int]) -> None:
    torch.manual_seed(0)
    z = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    loss = contrast_loss(z, torch.tensor(group), 0.3)
    assert loss.item() == pytest.approx(naive_contrast(z.detach(), group, 0.3), abs=1e-12)
    loss.backward()
    assert z.grad is not None
    assert z.grad.isfinite().all()


def test_the_contrastive_loss_of_one_clip_and_of_wrong_shapes() -> None:
    z = torch.randn(1, 4, requires_grad=True)
    loss = contrast_loss(z, torch.zeros(1))
    loss.backward()
    assert loss == 0
    assert z.grad is not None
    assert not z.grad.any()
    with pytest.raises(ValueError, match="embeddings are"):
        contrast_loss(z, torch.zeros(2))
    with pytest.raises(ValueError, match="temperature is positive, got 0"):
        contrast_loss(z, torch.zeros(1), 0)


@pytest.mark.parametrize("contrast", ["none", "context", "pace"])
def test_clips_play_at_the_pace_that_is_the_answer(contrast: str) -> None:
    settings = method_settings("pace", {"contrast": contrast, "max_pace": 3}, None)
    source = FileSource(Path("a.mp4"), 30, 25.0)
    rng = np.random.default_rng(0)
    answers: list[int] = []
    starts = {0: set[int](), 1: set[int](), 2: set[int]()}
    for _ in range(400):
        drawn = Pace.draw(source, DATA, settings, rng)
        assert isinstance(drawn.answer, tuple)
        for clip, answer in zip(drawn.clips, drawn.answer, strict=True):
            assert np.diff(clip).tolist() == [answer + 1] * 7
            assert 0 <= clip[0] <= clip[-1] < 30
            starts[answer].add(clip[0])
        answers += drawn.answer
        assert len(set(drawn.answer)) == len(drawn.answer) == 1 + (contrast == "context")
    # All paces equally often, and starts that say nothing of the pace: 30 - (7 * 3 + 1) = 8.
    share = np.bincount(answers) / len(answers)
    assert np.allclose(share, 1 / 3, atol=0.06)
    assert starts[0] == starts[1] == starts[2] == set(range(9))


def test_frames_needed_are_those_of_the_fastest_pace() -> None:
    assert Pace.frames_needed(DATA, 25.0) == 7 * 4 + 1
    assert Pace.frames_needed(DATA, 25.0, PaceConfig(max_pace=3)) == 22
    # At 12.5 frames per second of a video of 25 every second frame is taken at 1x.
    assert Pace.frames_needed(DataConfig(num_frames=8, fps=12.5), 25.0) == 7 * 8 + 1


def test_each_frame_has_colours_of_its_own() -> None:
    frames = np.full((40, 12, 16, 3), 120, np.uint8)
    data = DataConfig(num_frames=40, size=8, augment=AugmentConfig(gray=0, hue=0.2))
    rng = np.random.default_rng(0)
    (view,), answer = Pace.views([frames], (2,), data, PaceConfig(), rng)
    assert (view.shape, answer) == ((40, 8, 8, 3), (2,))
    jittered = (view != 120).any(axis=(1, 2, 3))
    assert 0.6 < jittered.mean() < 0.95  # 0.8 in the mean
    assert len(np.unique(view[jittered], axis=0)) > 20
    (view,), _ = Pace.views([frames], (2,), data, PaceConfig(frame_jitter=0), rng)
    assert (view == view[0]).all()
    still = DataConfig(num_frames=40, size=8, augment=CENTRE)
    (view,), _ = Pace.views([frames], (2,), still, PaceConfig(), rng)
    assert (view == 120).all()


@pytest.mark.parametrize(("contrast", "head"), [("context", "avid"), ("pace", "rsp")])
def test_both_losses_have_their_weights(video_folder: Path, contrast: str, head: str) -> None:
    settings = method_settings(
        "pace", {"contrast": contrast, "contrast_weight": 0.5, "classification_weight": 2}, None
    )
    branch = tiny_branch(0, size=16)
    network = Pace(branch, settings).eval()
    videos = [FileSource(path, 40, 25.0) for path in sorted(video_folder.rglob("*.mp4"))]
    samples = Pace.samples(videos, DATA, 0, settings)
    batch = Pace.collate([samples[SampleKey(n, n, 0, 1)] for n in range(4)])
    losses = network.losses(batch, Step(number=0, trained=network))
    logits, z = network([normalise(clip) for clip in batch.clips])
    group = batch.answer if contrast == "pace" else torch.tensor([0, 1, 2, 3, 0, 1, 2, 3])
    expected = naive_contrast(z[head].detach(), group.tolist(), 0.07)
    classification = torch.nn.functional.cross_entropy(logits, batch.answer).item()
    assert losses.total.item() == pytest.approx(2 * classification + 0.5 * expected, rel=1e-5)
    assert float(losses.scalars["contrast_loss"]) == pytest.approx(expected, rel=1e-5)
    losses.total.backward()
    trained = {name for name in ("rsp", "avid") if branch.head(name).weight.grad is not None}
    assert trained == {head} == set(Pace.trained_heads(settings))
    assert network.clips_per_sample == 1 + (contrast == "context")


@pytest.mark.parametrize(("arch", "contrast"), [("resnet18_fine", "context"), ("c3d", "none")])
def test_a_stopped_run_resumes_exactly(
    tmp_path: Path, video_folder: Path, arch: str, contrast: str
) -> None:
    options = f"--method_options={{contrast: {contrast}, max_pace: 3}}"
    model = assert_resumes_exactly(
        words(f"--data.root={video_folder}", options, arch=arch), tmp_path
    )
    checkpoint = tmp_path / "whole" / "checkpoints" / "step_00000004.pt"
    expected = load_model(model).state_dict()
    for branch in ("query", "key"):  # which are one and the same
        found = load_model(checkpoint, branch).state_dict()
        assert all(torch.equal(expected[name], found[name]) for name in expected)
    task = load_task(model)
    assert task.head.classes == ("1x", "2x", "3x")
    assert (task.branch.arch, task.settings.contrast) == (arch, contrast)


def test_videos_too_short_for_the_fastest_pace_are_skipped_and_counted(
    tmp_path: Path, video_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # 40 frames hold no clip of 8 frames at 6x, which needs 43.
    run = words(f"--data.root={video_folder}", f"--out={tmp_path}", "--max_steps=1")
    assert main([*run, "--method_options={max_pace: 6}"]) == 2
    assert "40 frames, needs 43" in capsys.readouterr().err
    assert len((tmp_path / "too_short.csv").read_text().splitlines()) == 5


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"max_pace": 1}, "max_pace is at least 2, got 1"),
        ({"max_pace": 2.5}, "max_pace is an integer, got '2.5'"),
        ({"contrast": "speed"}, "contrast is one of none, context, pace, got 'speed'"),
        ({"contrast_weight": -1}, "weights are not negative"),
        ({"temperature": 0}, "temperature is positive"),
        ({"frame_jitter": 2}, "frame_jitter is between 0 and 1, got 2"),
    ],
)
def test_settings_are_checked(options: dict[str, float], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        method_settings("pace", options, None)
    with pytest.raises(ValueError, match="contrast is one of"):
        PaceConfig(contrast="speed")  # type: ignore[arg-type]
