"""Momentum branch and queue."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import StochasticDepth

from rspnet.data.pretrain import Batch
from rspnet.data.transforms import normalise
from rspnet.models import Branch
from rspnet.pretext import RSPNet, Step, TwoBranch, avid_loss
from rspnet.pretext.rspnet import LossConfig, avid_weight_at, embedding_spread, pretext_losses

TINY = {"width": 2, "stem_kernel": (1, 3, 3)}


@pytest.fixture
def network() -> TwoBranch:
    torch.manual_seed(0)
    return TwoBranch(Branch("resnet18_fine", TINY, num_frames=4, size=16), queue_length=7)


def test_key_branch_starts_equal_and_gets_no_gradient(network):
    clips = torch.randn(3, 2, 3, 4, 16, 16)
    for mine, other in zip(network.query.parameters(), network.key.parameters(), strict=True):
        assert torch.equal(mine, other)
    embeddings = network(*clips)
    losses = pretext_losses(network, embeddings, torch.tensor([0, 1]), LossConfig(), step=0)
    losses.total.backward()
    assert all(p.grad is None for p in network.key.parameters())
    assert all(p.grad is not None for p in network.query.encoder.parameters())
    assert not embeddings.same_speed["rsp"].requires_grad


def test_one_head_is_centred_and_nothing_else_changes(network):
    with torch.no_grad():
        for parameter in network.key.parameters():
            parameter.add_(0.01)  # as a model has it that was trained
    before = {name: p.clone() for name, p in network.named_parameters()}
    network.centre_heads([torch.randn(8, 3, 4, 16, 16)], names=["avid"])
    changed = {n for n, p in network.named_parameters() if not torch.equal(p, before[n])}
    assert changed
    assert all(".projections.avid." in name for name in changed)
    for name, parameter in network.query.head("avid").named_parameters():
        assert torch.equal(parameter, network.key.head("avid").get_parameter(name))


def test_centred_heads_start_spread_out(network):
    clips = torch.randn(8, 3, 4, 16, 16)
    network.train()
    before = {name: embedding_spread(z).item() for name, z in network.query(clips).items()}
    network.centre_heads([clips])
    features = network.query.features(clips)
    for name in network.query.heads:
        mean = network.query.head(name)(features).mean(dim=0)
        torch.testing.assert_close(mean, torch.zeros(128), atol=1e-5, rtol=0)
        after = embedding_spread(network.query.project(features)[name]).item()
        assert before[name] < 0.5 < 0.8 < after
    for mine, other in zip(network.query.parameters(), network.key.parameters(), strict=True):
        assert torch.equal(mine, other)


def test_update_key_is_the_moving_average(network):
    before = [p.detach().clone() for p in network.key.parameters()]
    with torch.no_grad():
        for p in network.query.parameters():
            p.add_(1.0)
    network.update_key(0.75)
    for old, query, new in zip(
        before, network.query.parameters(), network.key.parameters(), strict=True
    ):
        torch.testing.assert_close(new, 0.75 * old + 0.25 * query)


def test_queue_wraps_round_where_the_batch_does_not_divide_it(network):
    keys = functional.normalize(torch.randn(12, 128), dim=1)
    for first in (0, 3, 6, 9):
        network.enqueue(keys[first : first + 3], torch.arange(first, first + 3))
    # 12 keys into 7 places: 7..11 came round to 0..4, 5 and 6 are still there.
    assert network.queue_video.tolist() == [7, 8, 9, 10, 11, 5, 6]
    torch.testing.assert_close(network.queue.T, keys[network.queue_video])
    assert int(network.queue_position) == 5


def test_batch_longer_than_the_queue_leaves_its_last_keys(network):
    keys = functional.normalize(torch.randn(10, 128), dim=1)
    network.enqueue(keys, torch.arange(10))
    assert sorted(network.queue_video.tolist()) == [3, 4, 5, 6, 7, 8, 9]
    torch.testing.assert_close(network.queue.T, keys[network.queue_video])


def test_a_queue_has_at_least_one_place(network):
    assert TwoBranch(network.query, queue_length=1).queue.shape == (128, 1)
    with pytest.raises(ValueError, match="queue_length is positive, got 0"):
        TwoBranch(network.query, queue_length=0)


def test_the_first_video_is_no_empty_slot(network):
    assert network.empty_slots().all()
    network.enqueue(functional.normalize(torch.randn(2, 128), dim=1), torch.tensor([0, 5]))
    assert network.empty_slots().tolist() == [False, False, True, True, True, True, True]


def test_same_video_mask(network):
    network.queue_video.copy_(torch.tensor([4, 2, -1, 4, 0, 1, 3]))
    mask = network.from_same_video(torch.tensor([4, 9]))
    assert mask.int().tolist() == [[1, 0, 0, 1, 0, 0, 0], [0] * 7]


def test_warmup_of_the_avid_weight():
    config = LossConfig(avid_weight=0.5, avid_start=10, avid_warmup=4)
    weights = [avid_weight_at(step, config) for step in (0, 9, 10, 11, 13, 14, 99)]
    assert weights == [0.0, 0.0, 0.125, 0.25, 0.5, 0.5, 0.5]
    assert avid_weight_at(0, LossConfig(avid_weight=0.5, avid_warmup=0)) == 0.5


def test_total_is_the_weighted_sum(network):
    embeddings = network(*torch.randn(3, 2, 3, 4, 16, 16))
    network.enqueue(functional.normalize(torch.randn(7, 128), dim=1), torch.arange(5, 12))
    config = LossConfig(rsp_weight=2.0, avid_weight=0.5, avid_warmup=0)
    losses = pretext_losses(network, embeddings, torch.tensor([0, 1]), config, step=0)
    s = losses.scalars
    assert losses.total.item() == pytest.approx(
        2.0 * float(s["rsp_loss"]) + 0.5 * float(s["avid_loss"]), rel=1e-5
    )
    assert float(s["avid_loss"]) > 0.1
    early = LossConfig(avid_start=5)
    losses = pretext_losses(network, embeddings, torch.tensor([0, 1]), early, step=4)
    assert losses.total.item() == pytest.approx(float(losses.scalars["rsp_loss"]))


def test_default_margins_are_those_of_paper_and_release():
    assert LossConfig(rsp_form="hinge").margin == 0.15
    assert LossConfig(rsp_form="hinge_logits").margin == 2.0
    assert LossConfig(rsp_form="hinge", rsp_margin=0.3).margin == 0.3


def test_spread_tells_a_collapse():
    one_point = torch.tensor([[1.0, 0.0]]).repeat(8, 1)
    opposite = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    assert embedding_spread(one_point).item() == pytest.approx(0.0)
    assert embedding_spread(opposite).item() == pytest.approx(1.0)


def test_empty_slots_are_no_negatives(network):
    embeddings = network(*torch.randn(3, 2, 3, 4, 16, 16))
    config = LossConfig()
    losses = pretext_losses(network, embeddings, torch.tensor([0, 1]), config, step=0)
    assert network.empty_slots().all()
    assert float(losses.scalars["avid_loss"]) == pytest.approx(0.0, abs=1e-6)
    keys = functional.normalize(torch.randn(3, 128), dim=1)
    network.enqueue(keys, torch.tensor([5, 6, 7]))
    assert int(network.empty_slots().sum()) == network.queue.shape[1] - 3
    losses = pretext_losses(network, embeddings, torch.tensor([0, 1]), config, step=0)
    expected = avid_loss(
        embeddings.query["avid"],
        [embeddings.same_speed["avid"], embeddings.other_speed["avid"]],
        keys.T,
    )
    assert float(losses.scalars["avid_loss"]) == pytest.approx(expected.item(), rel=1e-5)


def test_the_key_branch_drops_nothing_in_training():
    query = Branch("swin3d_t", {}, num_frames=16, size=64)
    network = TwoBranch(query, queue_length=2).train()
    dropping = (torch.nn.Dropout, StochasticDepth)

    def training(branch: Branch) -> list[bool]:
        return [m.training for m in branch.modules() if isinstance(m, dropping)]

    assert all(training(network.query))
    assert len(training(network.query)) > 10
    assert not any(training(network.key))
    norms = [m for m in network.key.modules() if isinstance(m, torch.nn.LayerNorm)]
    assert norms
    assert all(m.training for m in norms)
    assert not any(m.training for m in network.eval().modules())


def _keys(clips: Tensor, **shares: float) -> tuple[RSPNet, Tensor, dict[str, Any]]:
    """A method after a batch, the new keys of A-VID and the losses."""
    torch.manual_seed(1)
    branch = Branch("resnet18_fine", TINY, num_frames=4, size=16)
    method = RSPNet(branch, LossConfig(**shares, avid_warmup=0, queue_length=8)).eval()
    method.enqueue(functional.normalize(torch.randn(8, 128), dim=1), torch.arange(4, 12))
    batch = Batch(*clips, torch.arange(4), ())
    losses = method.losses(batch, Step(number=0, trained=method.query))
    return method, method.new_keys[0][0], losses.scalars


def test_avid_may_match_other_views_of_c_k_and_rsp_never_sees_them():
    torch.manual_seed(0)
    clips = torch.randint(0, 256, (3, 4, 4, 16, 16, 3), dtype=torch.uint8)
    _, plain, scalars = _keys(clips)
    method, keys, changed = _keys(clips, avid_differences=0.5, avid_backgrounds=0.25)
    assert changed["rsp_loss"] == scalars["rsp_loss"]
    assert changed["avid_loss"] != scalars["avid_loss"]
    # The new keys are c_k's: two of its differences, one before a still frame of the sample before.
    views = clips[2].clone()
    for view, clip in zip(views[:2], clips[2], strict=False):
        for t in range(3):
            change = clip[t + 1].int() - clip[t].int()
            view[t] = (128 + torch.div(change, 2, rounding_mode="floor")).clamp(0, 255)
        view[3] = 128
    views[2] = ((clips[2, 2].int() + clips[2, 1, 2].int()) // 2).to(torch.uint8)
    expected = method.key(normalise(views[:3]))["avid"]
    torch.testing.assert_close(keys, torch.cat([expected, plain[3:]]).detach())
    method, keys, _ = _keys(clips, avid_backgrounds=1.0)
    views = (clips[2].int() + clips[2].roll(1, dims=0)[:, [2]].int()) // 2
    expected = method.key(normalise(views.to(torch.uint8)))["avid"]
    torch.testing.assert_close(keys, expected.detach())


@pytest.mark.parametrize("shares", [(1.5, 0.0), (0.0, -0.1), (0.6, 0.5)])
def test_shares_of_other_views_are_shares(shares: tuple[float, float]):
    differences, backgrounds = shares
    words = f"no more than 1 together, got {differences} and {backgrounds}"
    with pytest.raises(ValueError, match=words):
        LossConfig(avid_differences=differences, avid_backgrounds=backgrounds)


def test_the_queue_is_filled_without_reading_from_the_device(network):
    on_meta = TwoBranch(network.query, queue_length=7).to("meta")  # from which nothing can be read
    for _ in range(3):
        on_meta.enqueue(torch.empty(3, 128, device="meta"), torch.empty(3, device="meta"))
    assert on_meta._position == 2


def test_a_queue_goes_on_where_its_state_ended(network):
    keys = functional.normalize(torch.randn(9, 128), dim=1)
    network.enqueue(keys[:5], torch.arange(5))
    state = {name: value.clone() for name, value in network.state_dict().items()}
    assert {"queue", "queue_video", "queue_position"} < state.keys()
    resumed = TwoBranch(network.query, queue_length=7)
    resumed.load_state_dict(state)
    for each in (network, resumed):
        each.enqueue(keys[5:], torch.arange(5, 9))
    for name in ("queue", "queue_video", "queue_position"):
        assert torch.equal(resumed.state_dict()[name], network.state_dict()[name])
