"""The way of a batch to the device, and how a GPU is to compute.

A GPU waits for nothing where the next batch is on it before the step in progress ends. So a thread
copies it into page-locked memory and from there to the GPU, on a stream of its own. On a CPU there
is nothing to copy, and batches come when they are asked for.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

B = TypeVar("B")
M = TypeVar("M")


def map_tensors(value: B, change: Callable[[Tensor], Tensor]) -> B:
    """A batch with each of its tensors changed, in dataclasses, dicts, tuples and lists.

    Args:
        value: A batch; what is no tensor stays as it is.
        change: Called with every tensor.

    Example:
        >>> map_tensors((torch.ones(2), "name"), lambda t: t + 1)
        (tensor([2., 2.]), 'name')
    """
    changed: Any = value
    if isinstance(value, Tensor):
        changed = change(value)
    elif is_dataclass(value) and not isinstance(value, type):
        named = {f.name: map_tensors(getattr(value, f.name), change) for f in fields(value)}
        changed = replace(value, **named)
    elif isinstance(value, dict):
        changed = {name: map_tensors(part, change) for name, part in value.items()}
    elif isinstance(value, list | tuple):
        parts = [map_tensors(part, change) for part in value]
        changed = type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return changed  # type: ignore[no-any-return]


def one_ahead(batches: Iterable[B], move: Callable[[B], M]) -> Generator[M, None, None]:
    """What ``move`` makes of each batch, in a thread, while the batch before is in use.

    Args:
        batches: Are taken one earlier than they are given. What they raise is raised when the
            batches before it were given.
        move: Called in the thread.
    """
    moving: deque[Future[M]] = deque()
    iterator = iter(batches)
    failure: Exception | None = None
    with ThreadPoolExecutor(1, "transfer") as pool:
        while failure is None:
            try:
                moving.append(pool.submit(move, next(iterator)))
            except Exception as error:
                failure = error
            if len(moving) > (failure is None):
                yield moving.popleft().result()
    if not isinstance(failure, StopIteration):
        raise failure


def on_device(
    batches: Generator[B, None, None], device: torch.device, finish: Callable[[B], Any]
) -> Generator[Any, None, None]:
    """Batches on the device of a run; on a GPU each gets there while the one before is in use.

    Args:
        batches: In the CPU's memory; they are closed in the end.
        device: Of the run.
        finish: What is left to be done with a batch there.
    """
    with closing(batches):
        if device.type == "cuda":
            yield from _copied_ahead(batches, device, finish)
        else:
            yield from map(finish, batches)


def _copied_ahead(
    batches: Iterable[B], device: torch.device, finish: Callable[[B], Any]
) -> Generator[Any, None, None]:
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def copy(tensor: Tensor) -> Tensor:
        if tensor.device.type == device.type:
            return tensor
        return tensor.pin_memory().to(device, non_blocking=True)

    def move(batch: B) -> tuple[Any, torch.cuda.Event]:
        with torch.cuda.stream(stream):
            moved = map_tensors(finish(map_tensors(batch, copy)), copy)
            return moved, stream.record_event()

    for batch, copied in one_ahead(batches, move):
        current = torch.cuda.current_stream(device)
        current.wait_event(copied)

        def mark(tensor: Tensor, user: torch.cuda.Stream = current) -> Tensor:
            tensor.record_stream(user)  # its memory is not given away while the step needs it
            return tensor

        yield map_tensors(batch, mark)


def tune_gpu(device: torch.device, fast: bool) -> None:
    """Say how a GPU multiplies numbers in fp32; other devices are left as they are.

    Args:
        device: Of the run.
        fast: Round factors to TF32 (10 bits of mantissa), and let cuDNN try which of its algorithms
            is the fastest for a shape. Else fp32 throughout, and the algorithms that it guesses.
    """
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high" if fast else "highest")
        torch.backends.cudnn.allow_tf32 = fast
        torch.backends.cudnn.benchmark = fast
