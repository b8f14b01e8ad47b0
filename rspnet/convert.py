"""Weights of others as a model file of ours: ``python -m rspnet.convert IN OUT.safetensors``.

IN is the authors' released ``.pth.tar`` (C3D, ResNet-18, S3D-G, R(2+1)D), a state dict of one of
torchvision's video networks (``r3d_18-b3b3357e.pth`` and the like), a training checkpoint of
``python -m rspnet.train``, or a model file. OUT is safetensors with a JSON header: architecture,
heads, source and the hash of IN.

Torchvision's weights have no heads ``rsp`` and ``avid``; theirs are random, from a fixed seed, and
the header says so. Query and key are equal. Their features are what they are for: fine-tuning and
retrieval.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rspnet.commands import run_cli
from rspnet.files import file_hash
from rspnet.models import Branch
from rspnet.weights.checkpoint import load_model, save_model


def convert(source: str | Path, out: str | Path, *, half: bool = False) -> Branch:
    """Write a checkpoint as a model file.

    Args:
        source: The checkpoint; see this module.
        out: The model file, ``*.safetensors``.
        half: Store in half precision.

    Returns:
        The query branch, as it is read back.

    Raises:
        ValueError: The source can't be read, or ``out`` is not named ``*.safetensors``.
    """
    if Path(out).suffix != ".safetensors":
        raise ValueError(f"a model file is named *.safetensors, got {out}")
    query, key = load_model(source, "query"), load_model(source, "key")
    converted = {"converted_from": Path(source).name, "converted_from_sha256": query.hash}
    save_model(out, query, key, metadata=query.metadata | converted, half=half)
    return load_model(out, "query")


@dataclass(frozen=True, kw_only=True)
class ConvertConfig:
    """A checkpoint as a model file.

    Attributes:
        source: Released ``.pth.tar``, torchvision's weights, training checkpoint, or model file.
        out: The model file, ``*.safetensors``.
        half: Store in half precision.
    """

    source: str
    out: str
    half: bool = False


def _run(config: ConvertConfig) -> None:
    branch = convert(config.source, config.out, half=config.half)
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
        examples=("python -m rspnet.convert released.pth.tar model.safetensors",),
        positional=("source", "out"),
        out="file",
    )


if __name__ == "__main__":
    sys.exit(main())
