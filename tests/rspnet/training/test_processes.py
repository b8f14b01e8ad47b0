"""One process or several: what is sent, and how they find each other."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import distributed

from rspnet.training.processes import BatchShuffle, Processes, agree_on_attempt, pick_device

ALONE = Processes(0, 1, torch.device("cpu"))


class Ranks(Processes):
    """Ranks of one process, that pass tensors to each other in turn."""

    def __init__(self, rank, size, tensors):
        super().__init__(rank, size, torch.device("cpu"))
        object.__setattr__(self, "tensors", tensors)

    def gather(self, tensor):
        self.tensors[self.rank] = tensor
        return torch.cat(list(self.tensors.values()))


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


def test_the_shuffle_mixes_the_ranks_and_is_undone():
    clips = {0: torch.arange(0, 8), 1: torch.arange(8, 16)}
    ranks = [Ranks(r, 2, dict(clips)) for r in (0, 1)]
    shuffles = [BatchShuffle(rank, (5, 3, 7)) for rank in ranks]
    dealt = {r: shuffles[r](clips[r]) for r in (0, 1)}
    assert sorted(torch.cat(list(dealt.values())).tolist()) == list(range(16))
    assert any(clip >= 8 for clip in dealt[0].tolist())
    embeddings = {r: 10 * clips_r for r, clips_r in dealt.items()}
    for r in (0, 1):
        ranks[r].tensors.update(embeddings)
        assert shuffles[r].undo(embeddings[r]).tolist() == (10 * clips[r]).tolist()
    other = BatchShuffle(Ranks(0, 2, dict(clips)), (5, 3, 8))(clips[0])
    assert other.tolist() != dealt[0].tolist()


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
