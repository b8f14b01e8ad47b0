"""Batches on their way to a device, in their order, and how a GPU is told to compute."""

from collections import namedtuple
from contextlib import nullcontext
from threading import current_thread, main_thread
from typing import Any

import pytest
import torch
from torch import Tensor

from rspnet.data.pretrain import Batch
from rspnet.training import transfer
from rspnet.training.transfer import map_tensors, on_device, one_ahead, tune_gpu

CPU = torch.device("cpu")


def batch(number: int) -> Batch:
    clip = torch.full((1, 2, 3, 3, 3), number, dtype=torch.uint8)
    return Batch(clip, clip + 1, clip + 2, torch.tensor([number]), ((number, "why"),))


def test_every_tensor_of_a_batch_is_changed_and_nothing_else():
    changed = map_tensors([batch(3)], lambda t: t + 10)[0]
    assert (int(changed.query.max()), int(changed.other_speed.min())) == (13, 15)
    assert changed.video.tolist() == [13]
    assert changed.failures == ((3, "why"),)


def test_batches_of_any_kind_are_changed():
    pair = namedtuple("Pair", ["clip", "name"])(torch.ones(2), "a")
    changed = map_tensors({"pair": pair, "more": (torch.zeros(1), None)}, lambda t: t + 1)
    assert type(changed["pair"]) is type(pair)
    assert changed["pair"].clip.tolist() == [2, 2]
    assert changed["more"][0].tolist() == [1]
    assert changed["more"][1] is None


def test_on_a_cpu_batches_are_those_of_the_loader_and_none_is_taken_early():
    taken: list[Batch] = []

    def load() -> Any:
        for number in range(3):
            taken.append(batch(number))
            yield taken[-1]

    for count, found in enumerate(on_device(load(), CPU, lambda b: b), start=1):
        assert len(taken) == count
        assert found is taken[-1]


def test_one_batch_is_moved_in_a_thread_while_another_is_in_use():
    taken: list[int] = []

    def load() -> Any:
        for number in range(4):
            taken.append(number)
            yield number

    def move(number: int) -> int:
        assert current_thread() is not main_thread()
        return 10 * number

    seen = []
    for number in one_ahead(load(), move):
        seen.append(number)
        assert len(taken) == min(4, len(seen) + 1)
    assert seen == [0, 10, 20, 30]


def test_what_a_loader_raises_comes_after_the_batches_before_it():
    def load() -> Any:
        yield from (1, 2)
        raise ValueError("a worker was killed")

    batches = one_ahead(load(), lambda number: number)
    assert [next(batches), next(batches)] == [1, 2]
    with pytest.raises(ValueError, match="a worker was killed"):
        next(batches)


def test_what_moving_raises_is_raised():
    def move(number: int) -> int:
        raise RuntimeError(f"out of memory at {number}")

    with pytest.raises(RuntimeError, match="out of memory at 1"):
        list(one_ahead([1, 2], move))


def test_the_way_to_a_gpu_pins_copies_and_waits_for_each_batch(monkeypatch):
    events: list[str] = []

    class Stream:
        def __init__(self, *_: object) -> None:
            self.number = 0

        def record_event(self) -> int:
            self.number += 1
            return self.number

        def wait_event(self, event: int) -> None:
            events.append(f"wait {event}")

    current = Stream()
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: current)
    pinned, users = [], []
    monkeypatch.setattr(Tensor, "pin_memory", lambda t: pinned.append(t) or t)
    monkeypatch.setattr(Tensor, "record_stream", lambda _, user: users.append(user))

    gpu = torch.device("meta")
    batches = list(transfer._copied_ahead(map(batch, range(3)), gpu, lambda b: b))
    assert [b.failures[0][0] for b in batches] == [0, 1, 2]
    assert {b.query.device for b in batches} | {b.video.device for b in batches} == {gpu}
    assert events == ["wait 1", "wait 2", "wait 3"]
    assert len(pinned) == 3 * 4
    assert users == [current] * 12


@pytest.fixture
def backends():
    precision = torch.get_float32_matmul_precision()
    kept = torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark
    yield
    torch.set_float32_matmul_precision(precision)
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = kept


@pytest.mark.parametrize("fast", [True, False])
def test_only_a_gpu_is_tuned(backends, fast):
    def now() -> tuple[str, bool, bool]:
        cudnn = torch.backends.cudnn
        return torch.get_float32_matmul_precision(), cudnn.allow_tf32, cudnn.benchmark

    before = now()
    tune_gpu(CPU, fast)
    assert now() == before
    tune_gpu(torch.device("cuda"), fast)
    assert now() == ("high" if fast else "highest", fast, fast)
