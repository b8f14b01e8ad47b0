"""ClipOrder: which clips are drawn, what the pairwise head computes, and runs of it."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from rspnet.data.pretrain import DataConfig
from rspnet.data.sources import FileSource
from rspnet.pretext.cliporder import ClipOrder, ClipOrderSettings
from rspnet.pretext.method import method_settings
from rspnet.pretext.order import PairwiseHead, all_orders
from rspnet.pretext.task import load_task
from rspnet.train import main
from tests.factories import assert_resumes_exactly

TINY = [
    "--batch_size=3", "--num_workers=0", "--device=cpu", "--data.size=16", "--data.num_frames=8",
    "--model.options={width: 2, stem_kernel: [1, 3, 3]}",
]  # fmt: skip
SETTINGS = ClipOrderSettings()


def video(num_frames: int, fps: float = 25.0) -> FileSource:
    return FileSource(Path("none"), num_frames, fps)


def test_orders_without_their_reverses() -> None:
    orders = all_orders(4, reversible=True)
    assert len(orders) == 12
    assert {*orders, *(order[::-1] for order in orders)} == set(all_orders(4))


def test_clips_follow_one_another_and_are_shown_in_the_order_of_the_class() -> None:
    data, seen, starts = DataConfig(num_frames=4), Counter[int](), set()
    rng = np.random.default_rng(0)
    for _ in range(600):
        drawn = ClipOrder.draw(video(30), data, SETTINGS, rng)
        name = ClipOrder.head(2, SETTINGS).classes[drawn.answer]
        shown = dict(zip(name.split("-"), drawn.clips, strict=True))
        first, second, third = (shown[place] for place in "123")
        start = first[0]
        assert list(first) == [start, start + 1, start + 2, start + 3]
        assert list(second) == [i + 12 for i in first]  # 4 frames, then 8 between
        assert list(third) == [i + 24 for i in first]
        seen[drawn.answer] += 1
        starts.add(start)
    assert starts == {0, 1, 2}  # 28 frames of 30
    assert set(seen) == set(range(6))
    assert max(abs(count - 100) for count in seen.values()) < 40


def test_frames_follow_the_rate_of_the_clips() -> None:
    data = DataConfig(num_frames=2, fps=10.0)
    drawn = ClipOrder.draw(
        video(15, 20.0), data, ClipOrderSettings(interval=1), np.random.default_rng(0)
    )
    assert sorted(map(list, drawn.clips)) == [[0, 2], [6, 8], [12, 14]]
    assert ClipOrder.frames_needed(data, 20.0, ClipOrderSettings(interval=1)) == 15


def test_the_head_is_what_the_paper_draws() -> None:
    torch.manual_seed(0)
    head = PairwiseHead(5, all_orders(3), hidden=7).eval()
    features = [torch.randn(2, 5, 2, 3, 3) for _ in range(3)]
    weight, bias = head.pair[0].weight, head.pair[0].bias
    for row in range(2):
        x = [f[row].mean(dim=(1, 2, 3)) for f in features]
        parts = []
        for i, j in ((0, 1), (0, 2), (1, 2)):
            parts += (weight @ torch.cat([x[i], x[j]]) + bias).clamp(min=0).tolist()
        expected = head.fc.weight @ torch.tensor(parts) + head.fc.bias
        torch.testing.assert_close(head(features)[row], expected)


def shares(head: torch.nn.Module, features: list[Tensor], answer: int, clip: int) -> Tensor:
    """What each cell of a clip adds to a logit: gradient times feature."""
    parts = [f.clone().requires_grad_() for f in features]
    (gradient,) = torch.autograd.grad(head(parts)[:, answer].sum(), parts[clip])
    return (gradient * features[clip]).sum(dim=1)


@pytest.mark.parametrize("clip", range(3))
def test_gradient_times_feature_adds_up_to_the_logit(clip: int) -> None:
    """The rest is what the logit would be without the clip, at the same active units."""
    torch.manual_seed(1)
    head = PairwiseHead(6, all_orders(3), hidden=9).eval()
    features = [torch.randn(2, 6, 2, 3, 3) for _ in range(3)]
    with torch.no_grad():
        logit = head(features)[:, 4]
        x = [f.mean(dim=(2, 3, 4)) for f in features]
        rest = head.fc.bias[4].repeat(2)
        for number, (i, j) in enumerate(((0, 1), (0, 2), (1, 2))):
            active = head.pair[0](torch.cat([x[i], x[j]], dim=1)) > 0
            others = [torch.zeros_like(x[k]) if k == clip else x[k] for k in (i, j)]
            hidden = head.pair[0](torch.cat(others, dim=1)) * active
            rest += hidden @ head.fc.weight[4, number * 9 : number * 9 + 9]
    total = shares(head, features, 4, clip).sum(dim=(1, 2, 3))
    torch.testing.assert_close(total + rest, logit)


def test_a_resumed_run_gives_the_same_weights(tmp_path: Path, video_folder: Path) -> None:
    path = assert_resumes_exactly(
        [*TINY, f"--data.root={video_folder}", "--method=cliporder"], tmp_path
    )
    task = load_task(path)
    assert (task.settings, len(task.head.classes), task.head.num_clips) == (SETTINGS, 6, 3)
    assert task.logits([torch.zeros(2, 3, 8, 16, 16)] * 3).shape == (2, 6)


def test_short_videos_are_skipped_and_wrong_settings_refused(
    tmp_path: Path, video_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*TINY, f"--data.root={video_folder}", f"--out={tmp_path}", "--method=cliporder"]
    assert main([*words, "--method_options={interval: 9}"]) == 2  # 3 x 8 + 2 x 9 of 40 frames
    assert "none of 4 videos is long enough" in capsys.readouterr().err
    assert (tmp_path / "too_short.csv").read_text().count("40 frames, needs 42") == 4
    for wrong in (-1, 2.5, "x", True):
        with pytest.raises(ValueError, match="interval is an? "):
            method_settings("cliporder", {"interval": wrong}, None)
