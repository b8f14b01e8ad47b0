"""VCP: its five operations, which clips are drawn for them, and runs of it."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from rspnet.data.augment import AugmentConfig
from rspnet.data.pretrain import DataConfig
from rspnet.data.sources import FileSource
from rspnet.pretext.task import load_task
from rspnet.pretext.vcp import (
    OPERATIONS,
    VCP,
    ConcatTask,
    VCPSettings,
    operate,
    permute_tiles,
    swap_parts,
)
from rspnet.train import main
from tests.factories import assert_resumes_exactly

TINY = [
    "--batch_size=3", "--num_workers=0", "--device=cpu", "--data.size=16", "--data.num_frames=8",
    "--model.options={width: 2, stem_kernel: [1, 3, 3]}",
]  # fmt: skip
FEW = VCPSettings(interval=1, remote=2)
OPTIONS = "--method_options={interval: 1, remote: 2}"


def operated(operation: str, frames: np.ndarray, num: int = 300) -> Counter[bytes]:
    rng = np.random.default_rng(0)
    number = OPERATIONS.index(operation)
    return Counter(operate(frames, number, rng).tobytes() for _ in range(num))


def test_operations_give_each_of_their_results_equally_often_and_never_the_original() -> None:
    frames = np.random.default_rng(1).integers(0, 256, (8, 4, 4, 3), np.uint8)
    turned = {np.rot90(frames, k, (1, 2)).tobytes() for k in (1, 2, 3)}
    swapped = set()
    for a in range(4):
        for b in range(a):
            order = list(range(8))
            order[2 * a : 2 * a + 2], order[2 * b : 2 * b + 2] = (
                [2 * b, 2 * b + 1],
                [2 * a, 2 * a + 1],
            )
            swapped.add(frames[order].tobytes())
    assert set(operated("spatial rotation", frames)) == turned
    assert min(operated("spatial rotation", frames).values()) > 70
    assert set(operated("temporal adjacent shuffling", frames)) == swapped
    assert min(operated("temporal adjacent shuffling", frames).values()) > 25
    tiled = operated("spatial permutation", frames, 2000)
    assert len(tiled) == 23  # all orders of four but one
    assert frames.tobytes() not in tiled
    for name in ("original", "temporal remote shuffling"):
        assert set(operated(name, frames, 2)) == {frames.tobytes()}


def test_quarters_of_frames_of_odd_sizes_keep_the_last_row_and_column() -> None:
    frames = np.arange(25, dtype=np.uint8).reshape(1, 5, 5, 1)
    got = permute_tiles(frames, (1, 0, 2, 3))[0, ..., 0]
    assert got.tolist() == [
        [2, 3, 0, 1, 4],
        [7, 8, 5, 6, 9],
        [10, 11, 12, 13, 14],
        [15, 16, 17, 18, 19],
        [20, 21, 22, 23, 24],
    ]
    assert swap_parts(np.arange(6), 0, 3).tolist() == [5, 2, 3, 4, 0, 1]  # parts of 2, 2, 1, 1


@pytest.mark.parametrize("num_frames", [20, 21, 40])
def test_a_remote_clip_keeps_its_distance_and_nothing_else_tells_the_class(num_frames: int) -> None:
    data, rng = DataConfig(num_frames=4), np.random.default_rng(0)
    # Three clips of 4 frames with 1 between reach over 14; a remote one takes 2 + 4 beside them.
    assert VCP.frames_needed(data, 25.0, FEW) == 20
    source = FileSource(Path("none"), num_frames, 25.0)
    starts: dict[bool, Counter[int]] = {True: Counter(), False: Counter()}
    middles, seen = Counter[int](), Counter[str]()
    for _ in range(3000):
        drawn = VCP.draw(source, data, FEW, rng)
        name = OPERATIONS[drawn.answer]
        first, middle, third = map(list, drawn.clips)
        start, remote = first[0], name == "temporal remote shuffling"
        assert first == list(range(start, start + 4))
        assert third == [i + 10 for i in first]
        assert middle == list(range(middle[0], middle[0] + 4))
        assert min(first + middle) >= 0
        assert max(third + middle) < num_frames
        if remote:
            before, after = start - 1 - middle[-1], middle[0] - third[-1] - 1
            assert max(before, after) >= 2
            middles[middle[0]] += 1
        else:
            assert middle == [i + 5 for i in first]
        starts[remote][start] += 1
        seen[name] += 1
    assert max(abs(seen[name] - 600) for name in OPERATIONS) < 100
    allowed = [s for s in range(num_frames - 13) if s >= 6 or s + 20 <= num_frames]
    assert sorted(starts[False]) == sorted(starts[True]) == allowed
    assert max(middles) == num_frames - 4
    assert min(middles) == 0


def test_views_change_the_middle_clip_alone() -> None:
    still = AugmentConfig(
        min_area=1, max_ratio=1, gray=0, brightness=0, contrast=0, saturation=0, hue=0, flip=0
    )
    data, rng = DataConfig(num_frames=8, size=4, augment=still), np.random.default_rng(0)
    clips = list(rng.integers(0, 256, (3, 8, 4, 4, 3), np.uint8))
    for number, name in enumerate(OPERATIONS):
        views, answer = VCP.views(clips, number, data, FEW, rng)
        assert answer == number
        same = [np.array_equal(view, clip) for view, clip in zip(views, clips, strict=True)]
        assert same == [True, "spatial" not in name and "adjacent" not in name, True]


def test_the_head_is_linear_in_every_clip() -> None:
    head = ConcatTask(5, OPERATIONS, 3)
    features = [torch.randn(2, 5, 2, 3, 3) for _ in range(3)]
    expected = head.fc.bias.repeat(2, 1)
    for clip, f in enumerate(features):
        expected = expected + f.mean(dim=(2, 3, 4)) @ head.fc.weight[:, 5 * clip : 5 * clip + 5].T
    torch.testing.assert_close(head(features), expected)


def test_a_resumed_run_gives_the_same_weights(tmp_path: Path, video_folder: Path) -> None:
    words = [*TINY, f"--data.root={video_folder}", "--method=vcp", OPTIONS]
    task = load_task(assert_resumes_exactly(words, tmp_path))
    assert (task.settings, task.head.classes, task.head.num_clips) == (FEW, OPERATIONS, 3)


def test_short_videos_and_clips_are_refused(
    tmp_path: Path, video_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*TINY, f"--data.root={video_folder}", f"--out={tmp_path}", "--method=vcp"]
    assert main(words) == 2  # 3 x 8 + 2 x 8, then 16 + 8
    assert (tmp_path / "too_short.csv").read_text().count("40 frames, needs 64") == 4
    capsys.readouterr()
    assert main([*words, OPTIONS, "--data.num_frames=3"]) == 2
    assert "num_frames is at least 4, got 3" in capsys.readouterr().err
    with pytest.raises(ValueError, match="remote is a whole number from 0 to 4,096, got -1"):
        VCPSettings(remote=-1)
