"""OPN: frames and patches drawn by their motion, the order as a class, and runs of it."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rspnet.data.augment import AugmentConfig
from rspnet.data.pretrain import DataConfig
from rspnet.data.sources import CachedSource
from rspnet.pretext import opn
from rspnet.pretext.opn import (
    OPN,
    ORDERS,
    OPNHead,
    OPNSettings,
    draw_by_motion,
    flow_magnitudes,
    patch_boxes,
    place_of_motion,
)
from rspnet.pretext.task import load_task
from rspnet.train import main
from tests.factories import assert_resumes_exactly

TINY = [
    "--batch_size=3", "--num_workers=0", "--device=cpu", "--data.size=16", "--data.num_frames=8",
    "--model.options={width: 2, stem_kernel: [1, 3, 3]}",
]  # fmt: skip
FRAME = DataConfig(num_frames=1, size=16)
OPTIONS = ["--data.num_frames=1", "--method_options={window: 40, candidates: 8}"]


def moving(num: int, step: int, height: int = 60, width: int = 80) -> np.ndarray[Any, Any]:
    """A textured square of 20 pixels that moves to the right over a still texture."""
    rng = np.random.default_rng(0)
    frames = np.repeat(rng.integers(100, 120, (1, height, width, 3), np.uint8), num, axis=0)
    square = np.kron(rng.integers(0, 256, (5, 5, 3), np.uint8), np.ones((4, 4, 1), np.uint8))
    for t, frame in enumerate(frames):
        frame[30:50, 5 + step * t : 25 + step * t] = square
    return frames


@pytest.fixture
def source(tmp_path: Path) -> CachedSource:
    """Twelve frames; nothing moves in the first six."""
    frames = np.concatenate([moving(1, 2).repeat(6, axis=0), moving(7, 5)[1:]])
    frames.tofile(tmp_path / "frames")
    return CachedSource(tmp_path, tmp_path / "frames", 0, frames.shape[:3], 25.0)


def test_flow_is_as_long_as_things_move() -> None:
    lengths = flow_magnitudes(moving(3, 2))
    assert lengths.shape == (2, 60, 80)
    assert lengths[0, 36:44, 11:19].mean() == pytest.approx(2, abs=0.3)
    assert lengths[:, :15].max() < 0.2
    assert flow_magnitudes(moving(2, 2, 120, 160)).shape == (1, 60, 80)


def test_frames_are_drawn_in_proportion_to_their_motion() -> None:
    magnitudes = np.array([1, 0, 3], np.float32).reshape(3, 1, 1) * np.ones((3, 2, 2), np.float32)
    rng = np.random.default_rng(0)
    drawn = Counter(draw_by_motion(magnitudes, 1, rng)[0] for _ in range(2000))
    for frame, share in enumerate((1 / 7, 0, 3 / 7, 3 / 7)):  # the last is as the one before
        assert drawn[frame] / 2000 == pytest.approx(share, abs=0.04)
    assert draw_by_motion(np.zeros_like(magnitudes), 4, rng) == [0, 1, 2, 3]


def test_the_place_of_most_motion_is_that_of_a_naive_search() -> None:
    rng = np.random.default_rng(0)
    for side in (1, 2, 5):
        field = rng.random((7, 5)).astype(np.float32)
        best, place = -1.0, (0, 0)
        for y in range(7 - side + 1):
            for x in range(5 - side + 1):
                total = float(field[y : y + side, x : x + side].sum())
                if total > best + 1e-5:
                    best, place = total, (y, x)
        assert place_of_motion(field, side) == place


@pytest.mark.parametrize("zoom", [1, 3])
def test_patches_lie_where_something_moves_each_moved_a_little(zoom: int) -> None:
    frames = np.kron(moving(4, 2), np.ones((1, zoom, zoom, 1), np.uint8))
    rng, spread = np.random.default_rng(0), set()
    for _ in range(50):
        boxes = patch_boxes(frames, 1 / 3, 4, rng)
        tops, lefts, heights, widths = np.array(boxes).T
        assert set(heights) == set(widths) == {20 * zoom}
        assert min(tops) >= 20 * zoom  # the square is at 30 to 50, and 5 to 31
        assert max(tops) <= 60 * zoom - 20 * zoom
        assert min(lefts) >= 0
        assert max(lefts) <= 20 * zoom
        for places in (tops, lefts):
            assert np.ptp(places) <= 2 * round(20 * zoom / 16)
            spread.add(int(np.ptp(places)))
    assert len(spread) > 2


def test_frames_are_shown_forward_or_backward_in_the_order_of_the_class(
    source: CachedSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, rng = OPNSettings(window=12, candidates=12), np.random.default_rng(0)
    OPN.draw(source, FRAME, settings, rng)
    magnitudes = flow_magnitudes(source.get_frames(range(12)))  # the same in every draw
    monkeypatch.setattr(opn, "flow_magnitudes", lambda _frames: magnitudes)
    names = OPN.head(2, settings).classes
    seen, backward, chosen = Counter[str](), Counter[bool](), Counter[int]()
    for _ in range(240):
        drawn = OPN.draw(source, FRAME, settings, rng)
        frames = [clip[0] for clip in drawn.clips]
        ranks = [sorted(frames).index(frame) + 1 for frame in frames]
        shown = "-".join(map(str, ranks))
        assert names[drawn.answer] in (shown, shown[::-1])
        seen[names[drawn.answer]] += 1
        backward[names[drawn.answer] != shown] += 1
        chosen.update(frames)
    assert len(seen) == 12
    assert min(seen.values()) > 8
    assert abs(backward[True] - 120) < 40
    assert sum(chosen[i] for i in range(5)) < 20  # the still ones
    assert min(chosen[i] for i in range(5, 12)) > 60


def test_views_are_patches_of_one_colour_channel_each() -> None:
    rng = np.random.default_rng(0)
    frames = moving(4, 2)
    data = DataConfig(num_frames=1, size=20, augment=AugmentConfig(flip=0))
    order = ORDERS[7]
    clips = [frames[place : place + 1] for place in order]
    channels = set()
    for _ in range(5):
        views, answer = OPN.views(clips, 7, data, OPNSettings(), rng)
        assert answer == 7
        for view, clip in zip(views, clips, strict=True):
            assert view.shape == (1, 20, 20, 3)
            assert (view == view[..., :1]).all()
            # At this size a patch is cut out of the frame as it is.
            windows = np.lib.stride_tricks.sliding_window_view(clip[0], (20, 20), axis=(0, 1))
            found = (windows == view[0, ..., 0]).all(axis=(3, 4)).any(axis=(0, 1))
            assert found.sum() == 1
            channels.add(int(found.argmax()))
    assert channels == {0, 1, 2}
    flipped = DataConfig(num_frames=1, size=20, augment=AugmentConfig(flip=1))
    straight, mirrored = (
        OPN.views(clips, 7, d, OPNSettings(), np.random.default_rng(3))[0] for d in (data, flipped)
    )
    for a, b in zip(straight, mirrored, strict=True):
        np.testing.assert_array_equal(a[:, :, ::-1], b)


def test_the_head_is_what_its_layers_say_and_piecewise_linear() -> None:
    torch.manual_seed(0)
    head = OPNHead(5, 6)
    for norm in (head.frame[1], head.pair[1]):
        torch.nn.init.uniform_(norm.weight, 0.5, 2)
        torch.nn.init.uniform_(norm.running_mean)
        torch.nn.init.uniform_(norm.running_var, 0.5, 2)
    head = head.double().eval()
    features = [torch.randn(1, 5, 1, 2, 2).double() for _ in range(4)]
    with torch.no_grad():
        x = [head.frame[:3](f.mean(dim=(2, 3, 4))) for f in features]
        pairs = [(i, j) for i in range(4) for j in range(i + 1, 4)]
        parts = [head.pair(torch.cat([x[i], x[j]], dim=1)) for i, j in pairs]
        torch.testing.assert_close(head(features), head.fc(torch.cat(parts, dim=1)))
    step = 1e-7 * torch.randn_like(features[2])
    features[2].requires_grad_()
    logit = head(features)[0, 5]
    (gradient,) = torch.autograd.grad(logit, features[2])
    with torch.no_grad():
        features[2] += step
        torch.testing.assert_close(head(features)[0, 5] - logit, (gradient * step).sum())


@pytest.mark.parametrize(
    "model",
    [
        ["--model.arch=caffenet", "--model.options={width: 6}", "--data.size=32"],
        ["--model.arch=resnet18_fine"],  # any encoder that takes single frames
    ],
)
def test_a_resumed_run_gives_the_same_weights(
    tmp_path: Path, video_folder: Path, model: list[str]
) -> None:
    words = [*TINY, f"--data.root={video_folder}", "--method=opn", *OPTIONS, *model]
    task = load_task(assert_resumes_exactly(words, tmp_path))
    assert (len(task.head.classes), task.head.num_clips, task.branch.num_frames) == (12, 4, 1)
    assert task.logits([torch.zeros(1, 3, 1, 32, 32)] * 4).shape == (1, 12)


def test_wrong_clips_and_settings_are_refused(
    tmp_path: Path, video_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*TINY, f"--data.root={video_folder}", f"--out={tmp_path}", "--method=opn"]
    assert main(words) == 2
    assert "opn sorts single frames: num_frames is 1, got 8" in capsys.readouterr().err
    assert main([*words, "--data.num_frames=1"]) == 2
    assert (tmp_path / "too_short.csv").read_text().count("40 frames, needs 60") == 4
    for wrong in ({"window": 3}, {"candidates": 61}, {"patch": 0}, {"patch": 1.5}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            OPNSettings(**wrong)  # type: ignore[arg-type]
