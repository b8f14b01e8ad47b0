"""One process or several: what is sent, and how they find each other."""

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
import torch
from torch import distributed

from rspnet.training.processes import BatchShuffle, Processes, agree_on_attempt, pick_device

ALONE = Processes(0, 1, torch.device("cpu"))


def in_ranks(size, work, monkeypatch):
    """What ``work`` gives for each of the processes, which are threads here."""
    barrier, boxes = threading.Barrier(size), {}
    ranks = threading.local()

    def exchange(received, sent, counts_in, counts_out):
        boxes[ranks.mine] = sent.split(counts_out)
        barrier.wait(60)
        parts = [boxes[giver][ranks.mine] for giver in range(size)]
        assert [len(part) for part in parts] == counts_in
        torch.cat(parts, out=received)
        barrier.wait(60)

    monkeypatch.setattr(distributed, "all_to_all_single", exchange)

    def run(rank):
        ranks.mine = rank
        return work(Processes(rank, size, torch.device("cpu")))

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(run, range(size)))


def test_alone_nothing_is_sent():
    x = torch.arange(6.0).view(3, 2)
    assert ALONE.gather(x) is x
    assert ALONE.mean(x) is x
    assert ALONE.any(True, False) == [True, False]
    assert ALONE.gather_values("a") == ["a"]
    assert ALONE.from_first({"a": 1}) == {"a": 1}
    shuffle = BatchShuffle(ALONE, (0, 1))
    assert shuffle(x) is x
    assert shuffle.undo(x) is x


def test_a_share_is_even_or_refused():
    two = Processes(0, 2, torch.device("cpu"))
    assert two.share_of(6) == 3
    with pytest.raises(ValueError, match="multiple of their number, got 7 for 2 processes"):
        two.share_of(7)


@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize("num", [1, 4, 6])
def test_the_shuffle_deals_out_what_all_ranks_have_and_is_undone(size, num, monkeypatch):
    clips = torch.arange(size * num * 2, dtype=torch.uint8).view(size * num, 2)

    def work(processes):
        mine = clips[processes.rank * num :][:num]
        shuffle = BatchShuffle(processes, (5, 3, 7))
        dealt = shuffle(mine)
        assert torch.equal(shuffle.undo(dealt), mine)
        assert torch.equal(shuffle.undo(dealt.float() / 3), mine.float() / 3)
        return dealt

    dealt = torch.cat(in_ranks(size, work, monkeypatch))
    # As if each rank had everything and took its part of it.
    assert torch.equal(dealt, clips[np.random.default_rng([5, 3, 7]).permutation(size * num)])


def test_another_seed_shuffles_in_another_way(monkeypatch):
    clips = torch.arange(16)

    def work(processes, seed):
        return BatchShuffle(processes, seed)(clips[8 * processes.rank :][:8])

    one, other = (
        torch.cat(in_ranks(2, partial(work, seed=(5, 3, last)), monkeypatch)) for last in (7, 8)
    )
    assert one.tolist() != other.tolist()
    assert (one[:8] >= 8).any()


def test_ranks_that_are_started_again_do_not_meet_those_before_them():
    store = distributed.HashStore()
    names = []
    # The second start finds all that the first one left in the store; the later a rank comes, the
    # more of it is stale.
    for order in ((0, 1, 2), (2, 1, 0)):
        with ThreadPoolExecutor(3) as pool:
            starts = [pool.submit(agree_on_attempt, store, rank, 3, 20) for rank in order]
            found = {start.result() for start in starts}
        assert len(found) == 1
        names += found
    assert names[0] != names[1]
    with pytest.raises(TimeoutError, match=r"rank 0 waited 0\.1 s for the other 1"):
        agree_on_attempt(distributed.HashStore(), 0, 2, 0.1)


def test_devices():
    assert pick_device("cpu").type == "cpu"
    with pytest.raises(ValueError, match="no device 'gpu'"):
        pick_device("gpu")
    if not torch.cuda.is_available():
        assert pick_device("auto").type == "cpu"
        with pytest.raises(ValueError, match="no GPU is in reach"):
            pick_device("cuda")
