"""The forward passes of an extraction by OpenVINO, which runs 3D networks faster on a processor.

``python -m rspnet.extract --backend openvino`` goes this way. It needs ``pip install openvino``,
a processor, and nothing else: the network is converted where it is used, in a second or two.
"""

import statistics
import time
import warnings
from collections.abc import Callable
from typing import Literal

import torch
from torch.nn import functional

from rspnet.models import Branch, evaluation_mode
from rspnet.retrieval.store import FEATURES, Pooling
from rspnet.retrieval.vectors import CPU_BATCH, Forward, PooledVectors

Backend = Literal["torch", "openvino"]
TOLERANCE = 1e-4  # 1 - cosine to what PyTorch gives


def compile_forward(branch: Branch, pooling: Pooling) -> Forward:
    """The network for a pair of clips, compiled for this processor in float32.

    It computes with as many threads as PyTorch. Its vectors agree with PyTorch's to about 1e-7
    (cosine), not to the bit; among themselves they do not depend on what else is computed.

    Args:
        branch: Query branch, on the processor.
        pooling: Makes ``backbone`` of the features.

    Returns:
        A function for :func:`rspnet.retrieval.vectors.embed_views`.

    Raises:
        ValueError: OpenVINO is not installed, the model is not on the processor or has an
            operation that OpenVINO does not know, or the vectors are not PyTorch's.

    Example:
        >>> from rspnet import load_model
        >>> forward = compile_forward(load_model(), "max")  # doctest: +SKIP
    """
    try:
        from openvino import Core
        from openvino.frontend import FrontEndManager
        from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder
    except ImportError as error:
        raise ValueError(
            "the backend openvino needs the package openvino: python -m pip install openvino"
        ) from error
    if branch.device.type != "cpu":
        raise ValueError(
            f"the backend openvino computes on the processor, the model is on {branch.device}: "
            "give --device cpu, or --backend torch"
        )
    network = PooledVectors(branch, pooling)
    shape = (CPU_BATCH, branch.num_frames, branch.size, branch.size, 3)
    generator = torch.Generator().manual_seed(0)
    clips = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    # Not openvino.convert_model: that one reports each use to its makers.
    try:
        with torch.no_grad(), evaluation_mode(network), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            frontend = FrontEndManager().load_by_framework("pytorch")
            decoder = TorchScriptPythonDecoder(network, example_input=clips)
            model = frontend.convert(frontend.load(decoder))
            model.reshape(list(shape))
            threads = torch.get_num_threads()
            options = {
                # Without it a processor that has bfloat16 would round to 8 bits.
                "INFERENCE_PRECISION_HINT": "f32",
                "INFERENCE_NUM_THREADS": threads,
                "NUM_STREAMS": 1,
            }
            compiled = Core().compile_model(model, "CPU", options)
    except Exception as error:  # what it raises for an unknown operation has no type of its own
        raise ValueError(
            f"OpenVINO can't run the network {branch.arch} ({error}); give --backend torch"
        ) from error

    def forward(pair: torch.Tensor) -> list[torch.Tensor]:
        found = compiled(pair.numpy())
        return [torch.from_numpy(found[i].copy()) for i in range(len(FEATURES))]

    _check_equal(network, forward, clips)
    return forward


def _check_equal(network: PooledVectors, forward: Forward, clips: torch.Tensor) -> None:
    with torch.no_grad(), evaluation_mode(network):
        expected = network(clips)
    for name, own, other in zip(FEATURES, forward(clips), expected, strict=True):
        distance = 1 - float(functional.cosine_similarity(own, other, dim=1).min())
        if not distance <= TOLERANCE:
            raise ValueError(
                f"OpenVINO's {name} differs from PyTorch's by {distance:.1e} (1 - cosine), "
                f"{TOLERANCE:.0e} is allowed: give --backend torch"
            )


def time_gain(branch: Branch, pooling: Pooling, forward: Forward, rounds: int = 5) -> float:
    """How many times as fast as PyTorch it is on this machine: a ratio of medians, in turns."""
    network = PooledVectors(branch, pooling)
    clips = torch.zeros(CPU_BATCH, branch.num_frames, branch.size, branch.size, 3).byte()
    ways: tuple[Callable[[torch.Tensor], object], ...] = (network, forward)
    seconds: tuple[list[float], ...] = ([], [])
    with torch.inference_mode(), evaluation_mode(network):
        for _ in range(rounds + 1):
            for way, times in zip(ways, seconds, strict=True):
                start = time.perf_counter()
                way(clips)
                times.append(time.perf_counter() - start)
    plain, own = (statistics.median(times[1:]) for times in seconds)  # the first warms up
    return plain / own
