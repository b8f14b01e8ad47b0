"""The processes of a run: one alone, or those that ``torchrun`` started.

Everything here works with one process too, where nothing is sent.
"""

import inspect
import json
import os
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.distributed import PrefixStore, Store  # type: ignore[attr-defined]

from rspnet.commands import RunFailedError, describe_os_error
from rspnet.files import folder_lock

T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """This process among those of the run.

    Attributes:
        rank: Its number, from 0; rank 0 writes files and shows the progress bar.
        size: How many there are.
        device: Where this one computes.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this is rank 0."""
        return self.rank == 0

    def share_of(self, batch_size: int, what: str = "batch_size") -> int:
        """This process's part of a global number.

        Raises:
            ValueError: The number of processes does not divide it.
        """
        if batch_size % self.size:
            raise ValueError(
                f"{what} is for all processes together and a multiple of their number, "
                f"got {batch_size} for {self.size} processes"
            )
        return batch_size // self.size

    def gather(self, tensor: Tensor) -> Tensor:
        """Tensors of all ranks, one after the other: (N, ...) -> (size * N, ...). No gradient."""
        if self.size == 1:
            return tensor
        parts = [torch.empty_like(tensor) for _ in range(self.size)]
        distributed.all_gather(parts, tensor.contiguous())
        return torch.cat(parts)

    def mean(self, tensor: Tensor) -> Tensor:
        """Mean over the ranks, the same bits on all of them."""
        if self.size == 1:
            return tensor
        total = tensor.clone()
        distributed.all_reduce(total)
        return total / self.size

    def any(self, *flags: bool) -> list[bool]:
        """For each flag, whether it is set on any rank."""
        if self.size == 1:
            return list(flags)
        votes = torch.tensor([int(flag) for flag in flags])
        distributed.all_reduce(votes, op=distributed.ReduceOp.MAX)
        return [bool(vote) for vote in votes]

    def from_first(self, value: T) -> T:
        """Rank 0's value, on all ranks. Plain values and dataclasses of them."""
        if self.size == 1:
            return value
        box: list[Any] = [value]
        distributed.broadcast_object_list(box, src=0)
        found: T = box[0]
        return found

    def call_in_first(self, make: Callable[[], T]) -> T:
        """What a function gives in rank 0, on all ranks.

        Raises:
            ValueError: The function raises this or an OSError; on all ranks.
        """
        found: tuple[T | None, str] = (None, "")
        if self.first:
            try:
                found = make(), ""
            except OSError as error:
                found = None, describe_os_error(error)
            except ValueError as error:
                found = None, str(error)
        value, reason = self.from_first(found)
        if reason:
            raise ValueError(reason)
        return cast(T, value)

    @contextmanager
    def only_writer(self, folder: str | Path) -> Iterator[None]:
        """Within it no other run writes into a folder.

        Raises:
            ValueError: One does; on all ranks.
        """
        with ExitStack() as stack:
            self.call_in_first(lambda: stack.enter_context(folder_lock(folder)))
            yield

    @contextmanager
    def others_may_go(self) -> Iterator[None]:
        """Within it an error of the connection to another process says so.

        Raises:
            RunFailedError: Another process of the run has gone.
        """
        try:
            yield
        except RuntimeError as error:
            lost = ("onnection closed by peer", "onnection reset by peer", "Broken pipe")
            known = any(words in str(error) for words in lost)
            if self.size == 1 or not (known or isinstance(error, distributed.DistError)):
                raise
            raise RunFailedError(
                "another process of the run has gone: the same command resumes from the newest "
                "checkpoint"
            ) from error

    def gather_values(self, value: T) -> list[T]:
        """The values of all ranks, in their order."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        distributed.all_gather_object(values, value)
        return list(values)

    def wait(self) -> None:
        """Go on when all ranks have come here."""
        if self.size > 1:
            distributed.barrier()


def pick_device(name: str) -> torch.device:
    """``auto`` is the GPU of this process if there is one.

    Raises:
        ValueError: There is no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"no device {name!r}: {error}") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device is {name!r}, but no GPU is in reach: use 'cpu' or 'auto'")
    if name == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return device


def check_precision(precision: str, device: torch.device) -> None:
    """Refuse a precision that this device does not support well.

    Raises:
        ValueError: Half precision on a CPU.
    """
    why = {
        "bf16": "in bf16 on CPUs give wrong gradients, some of them NaN",
        "fp16": "in fp16 on CPUs take about eight times as long as in fp32",
    }
    if device.type == "cpu" and precision in why:
        raise ValueError(
            f"precision is {precision!r}, but PyTorch's 3D convolutions {why[precision]}: "
            "take 'fp32', or a GPU"
        )


def join_processes(device: str = "auto") -> Processes:
    """Join the processes that ``torchrun`` started, or stand alone.

    Tensors on a GPU travel by NCCL, all others by gloo.

    Raises:
        ValueError: There is no such device.
    """
    found = pick_device(device)
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        return Processes(0, 1, found)
    if found.type == "cuda":
        torch.cuda.set_device(found)
    if not distributed.is_initialized():
        backend = "cpu:gloo,cuda:nccl" if found.type == "cuda" else "gloo"
        store, rank, size = next(distributed.rendezvous("env://"))  # type: ignore[attr-defined]
        store = PrefixStore(agree_on_attempt(store, rank, size), store)
        distributed.init_process_group(backend, store=store, rank=rank, world_size=size)
    return Processes(distributed.get_rank(), distributed.get_world_size(), found)


def agree_on_attempt(store: Store, rank: int, size: int, patience: float = 600.0) -> str:
    """A name for this start of all ranks, which they find out together.

    Workers that torchrun starts again meet in the store of those before them, and would read the
    addresses that these left there. (torchrun counts restarts for each node by itself, so its
    count is no such name.) Rank 0 proposes a name and lists who greeted it; a rank takes part
    when its own greeting of now is in the list.

    Args:
        store: Where the ranks meet.
        rank: Of this process.
        size: Number of ranks.
        patience: Seconds to wait for the others.

    Raises:
        TimeoutError: Not all of them came.
    """
    mine, deadline = uuid.uuid4().hex, time.monotonic() + patience
    store.set(f"rspnet/greeting/{rank}", mine)
    while time.monotonic() < deadline:
        if rank == 0:
            names = [f"rspnet/greeting/{r}" for r in range(size)]
            greetings = [store.get(n).decode() for n in names if store.check([n])]
            store.set("rspnet/proposal", json.dumps([mine, greetings]))
            if store.check([f"rspnet/{mine}/{r}" for r in range(1, size)]):
                return mine
        elif store.check(["rspnet/proposal"]):
            name, greetings = json.loads(store.get("rspnet/proposal"))
            if mine in greetings:
                store.set(f"rspnet/{name}/{rank}", "here")
                return str(name)
        time.sleep(0.02)
    raise TimeoutError(f"rank {rank} waited {patience:g} s for the other {size - 1} processes")


def leave_processes() -> None:
    """Undo :func:`join_processes`."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


class BatchShuffle:
    """Deal the clips of all ranks out anew, so that no batch statistic tells a query its key.

    The order follows from the seed, which all ranks share, so each clip goes straight to the rank
    that is to have it: a rank receives no more clips than it gives, however many ranks there are.

    Args:
        processes: Of the run.
        seed: Fixes the order.
    """

    def __init__(self, processes: Processes, seed: Sequence[int]) -> None:
        self.processes = processes
        self.seed = list(seed)

    def __call__(self, clips: Tensor) -> Tensor:
        """This rank's share after the shuffle: (N, ...) -> (N, ...)."""
        return self._deal(clips, inverse=False)

    def undo(self, embeddings: Tensor) -> Tensor:
        """The embeddings of this rank's own clips, in their order: (N, D) -> (N, D)."""
        return self._deal(embeddings, inverse=True)

    def _deal(self, tensor: Tensor, *, inverse: bool) -> Tensor:
        rank, size, num = self.processes.rank, self.processes.size, len(tensor)
        if size == 1:
            return tensor
        order = np.random.default_rng(self.seed).permutation(size * num)
        hands = (np.argsort(order) if inverse else order).reshape(size, num)  # a row for each rank
        givers = hands // num
        given = [
            hand[giver == rank] - rank * num for hand, giver in zip(hands, givers, strict=True)
        ]
        received = torch.empty_like(tensor, memory_format=torch.contiguous_format)
        distributed.all_to_all_single(
            received,
            tensor[torch.from_numpy(np.concatenate(given)).to(tensor.device)].contiguous(),
            np.bincount(givers[rank], minlength=size).tolist(),
            [len(some) for some in given],
        )
        # They come by their givers, and are put into the order of the hand.
        places = np.argsort(np.argsort(givers[rank], kind="stable"))
        return received[torch.from_numpy(places).to(tensor.device)]


def distribute(module: nn.Module, processes: Processes, *, some_unused: bool = False) -> nn.Module:
    """The module with its gradients averaged over the ranks.

    Args:
        module: Has the parameters.
        processes: Of the run.
        some_unused: Some parameters may get no gradient in a step.
    """
    if processes.size == 1:
        return module
    # Gradients of 1x1x1 kernels have no one order in memory; PyTorch warns of the copy.
    warnings.filterwarnings("ignore", message="Grad strides do not match bucket view")
    parallel = nn.parallel.DistributedDataParallel
    # Rank 0's statistics of BatchNorm are the ones that are saved; newer PyTorch renamed this.
    known = inspect.signature(parallel).parameters
    sync = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
    options: dict[str, Any] = {sync: False, "find_unused_parameters": some_unused}
    if processes.device.type == "cuda":
        options["device_ids"] = [processes.device]
    return parallel(module, **options)


def synced(module: nn.Module, *, last: bool) -> AbstractContextManager[Any]:
    """Gradients travel with the last micro-batch of a step only."""
    if isinstance(module, nn.parallel.DistributedDataParallel) and not last:
        context: AbstractContextManager[Any] = module.no_sync()
        return context
    return nullcontext()


def rng_state(device: torch.device) -> dict[str, Any]:
    """State of PyTorch's generators of this process."""
    state: dict[str, Any] = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def set_rng_state(state: dict[str, Any], device: torch.device) -> None:
    """Undo what was drawn since :func:`rng_state`."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
