"""A-VID alone: its loss, its pairs of clips, and that RSP's head stays as it was."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from rspnet.data.pretrain import DataConfig
from rspnet.data.sources import FileSource
from rspnet.data.stream import SampleKey
from rspnet.models import Branch
from rspnet.pretext.losses import avid_loss
from rspnet.pretext.method import Step, method_settings
from rspnet.pretext.moco import MoCo, MoCoConfig, PairBatch, PairDataset
from tests.factories import TINY, assert_resumes_exactly, tiny_branch

WORDS = [
    "--method=moco", "--method_options={queue_length: 7, momentum: 0.9}", "--batch_size=3",
    "--num_workers=0", "--device=cpu", "--data.size=16", "--data.num_frames=8",
    "--model.options={width: 2, stem_kernel: [1, 3, 3]}",
]  # fmt: skip


def pair_batch() -> PairBatch:
    query, key = torch.randint(256, (2, 3, 8, 16, 16, 3), dtype=torch.uint8)
    return PairBatch(query, key, torch.tensor([0, 1, 1]), ())


def test_the_loss_is_avids_and_only_its_head_learns() -> None:
    torch.manual_seed(0)
    network = MoCo(Branch("resnet18_fine", TINY), MoCoConfig(queue_length=5, temperature=0.2))
    network.enqueue(torch.nn.functional.normalize(torch.randn(4, 128), dim=1), torch.arange(4))
    batch, z = pair_batch(), {}
    network.query.register_forward_hook(lambda *call: z.update(query=call[2]["avid"]))
    network.key.register_forward_hook(lambda *call: z.update(key=call[2]["avid"]))
    losses = network.losses(batch, Step(number=0, trained=network.trained))
    # One slot was never filled, and one holds a key of the query's own video.
    ignore = torch.tensor([[s == v or s == 4 for s in range(5)] for v in (0, 1, 1)])
    naive = avid_loss(z["query"], [z["key"]], network.queue, 0.2, ignore)
    torch.testing.assert_close(losses.total, naive)
    losses.total.backward()
    assert all(p.grad is not None for p in network.query.encoder.parameters())
    assert all(p.grad is not None for p in network.query.head("avid").parameters())
    assert all(p.grad is None for p in network.query.head("rsp").parameters())
    network.after_step()
    assert network.queue_video.tolist() == [1, 1, 2, 3, 0]


def test_the_positive_has_either_speed_equally_often(video_folder: Path) -> None:
    videos = [FileSource(path, 40, 25.0) for path in sorted(video_folder.rglob("*.mp4"))]
    data = DataConfig(num_frames=8, size=16)
    samples = PairDataset(videos, data, seed=0)
    seen = []
    for position in range(8):
        key = SampleKey(position, 0, position % 2, 1 - position % 2)
        taken = samples.taken(_Named(), key)  # type: ignore[arg-type]
        seen.append((key.speed, taken[1]))
        assert taken[0] == "query"
        assert len(samples[key].clips) == 2
    assert {pair: seen.count(pair) for pair in seen} == {
        (speed, clip): 2 for speed in (0, 1) for clip in ("same", "other")
    }


class _Named:
    query, same_speed, other_speed = "query", "same", "other"


@pytest.mark.parametrize("arch", ["resnet18_fine", "c3d"])
def test_chance_is_said(arch: str) -> None:
    network = MoCo(tiny_branch(arch=arch), MoCoConfig(queue_length=99))
    means = {"loss": 4.6, "avid_top1": 0.5, "avid_spread": 0.9, "clips_per_second": 7.0}
    assert "top-1 0.50, chance 0.0100" in network.summary(means)
    assert "COLLAPSED" in network.summary(means | {"avid_spread": 0.0})


def test_a_stopped_run_resumes_exactly(tmp_path: Path, video_folder: Path) -> None:
    model = assert_resumes_exactly([*WORDS, f"--data.root={video_folder}"], tmp_path)
    tensors = load_file(model)
    assert not torch.equal(
        tensors["query.encoder.conv1.weight"], tensors["key.encoder.conv1.weight"]
    )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"momentum": 2}, "momentum is between 0 and 1, got 2"),
        ({"temperature": 0}, "temperature and queue_length are positive"),
        ({"queue_length": 1.5}, "queue_length is an integer, got '1.5'"),
        ({"rsp_weight": 1}, "no setting 'rsp_weight'"),
    ],
)
def test_settings_are_checked(options: dict[str, float], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        method_settings("moco", options, None)
