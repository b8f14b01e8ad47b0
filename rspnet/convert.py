"""Weights of others as a model file of ours: ``python -m rspnet.convert IN OUT.safetensors``.

IN is the authors' released ``.pth.tar`` (C3D, ResNet-18, S3D-G, R(2+1)D), a state dict of one of
torchvision's video networks (``r3d_18-b3b3357e.pth`` and the like), a training checkpoint of
``python -m rspnet.train``, or a model file. OUT is safetensors with a JSON header: architecture,
heads, source and the hash of IN.

Torchvision's weights have no heads ``rsp`` and ``avid``; theirs are random, from a fixed seed, and
the header says so. Query and key are equal. Their features are what they are for: fine-tuning and
retrieval.

``--average`` takes the mean of IN's weights and those of other models that were trained on from the
same weights: one network that often has the strengths of each (Wortsman et al., Model soups, 2022).
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rspnet.commands import run_cli
from rspnet.files import file_hash
from rspnet.models import Branch
from rspnet.weights.checkpoint import load_model, save_model


def average(branches: Sequence[Branch]) -> Branch:
    """The mean of the weights, and of BatchNorm's statistics, of branches of one network.

    Args:
        branches: At least one; the mean is written into the first.

    Raises:
        ValueError: They differ in their encoder, heads or clips.

    Example:
        >>> import torch
        >>> branches = [Branch("resnet18_fine", {"width": 2}) for _ in range(2)]
        >>> mean = sum(branch.head("rsp").weight for branch in branches) / 2
        >>> torch.allclose(average(branches).head("rsp").weight, mean)
        True
    """
    first, *others = branches
    for other in others:
        if other.spec() != first.spec():
            raise ValueError(
                "only models of the same network can be averaged, got "
                f"{first.spec()} and {other.spec()}"
            )
    mean = {name: value.double() for name, value in first.state_dict().items()}
    for other in others:
        for name, value in other.state_dict().items():
            mean[name] += value
    first.load_state_dict({name: value / len(branches) for name, value in mean.items()})
    return first


def convert(
    source: str | Path, out: str | Path, *, half: bool = False, others: Sequence[str | Path] = ()
) -> Branch:
    """Write a checkpoint as a model file.

    Args:
        source: The checkpoint; see this module.
        out: The model file, ``*.safetensors``.
        half: Store in half precision.
        others: Checkpoints of the same network, whose weights are averaged with the source's.

    Returns:
        The query branch, as it is read back.

    Raises:
        ValueError: A checkpoint can't be read, they are not of one network, or ``out`` is not
            named ``*.safetensors``.
    """
    if Path(out).suffix != ".safetensors":
        raise ValueError(f"a model file is named *.safetensors, got {out}")
    query, key = load_model(source, "query"), load_model(source, "key")
    converted = {"converted_from": Path(source).name, "converted_from_sha256": query.hash}
    if others:
        queries = [load_model(path, "query") for path in others]
        converted["averaged_with_sha256"] = " ".join(other.hash for other in queries)
        query = average([query, *queries])
        key = average([key, *(load_model(path, "key") for path in others)])
    save_model(out, query, key, metadata=query.metadata | converted, half=half)
    return load_model(out, "query")


@dataclass(frozen=True, kw_only=True)
class ConvertConfig:
    """A checkpoint as a model file.

    Attributes:
        source: Released ``.pth.tar``, torchvision's weights, training checkpoint, or model file.
        out: The model file, ``*.safetensors``.
        half: Store in half precision.
        average: Models trained on from the same weights, to be averaged with the source.
    """

    source: str
    out: str
    half: bool = False
    average: tuple[str, ...] = ()


def _run(config: ConvertConfig) -> None:
    branch = convert(config.source, config.out, half=config.half, others=config.average)
    count = sum(p.numel() for p in branch.encoder.parameters())
    print(f"{config.out}: {branch.arch}, {count / 1e6:.2f} M parameters in the encoder,")
    print(f"heads {', '.join(branch.heads)} ({branch.head_kind}), SHA-256 {file_hash(config.out)}")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    return run_cli(
        ConvertConfig,
        _run,
        arguments,
        prog="python -m rspnet.convert",
        description="Write a checkpoint as a model file.",
        examples=(
            "python -m rspnet.convert released.pth.tar model.safetensors",
            "python -m rspnet.convert a.safetensors mean.safetensors --average b.safetensors",
        ),
        positional=("source", "out"),
        out="file",
    )


if __name__ == "__main__":
    sys.exit(main())
