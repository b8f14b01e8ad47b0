"""Weights of others as a model file of ours: ``python -m rspnet.convert IN OUT.safetensors``.

IN is the authors' released ``.pth.tar`` (C3D, ResNet-18, S3D-G, R(2+1)D), a state dict of one of
torchvision's video networks (``r3d_18-b3b3357e.pth`` and the like), a training checkpoint of
``python -m rspnet.train``, or a model file. OUT is safetensors with a JSON header: architecture,
heads, source and the hash of IN.

Torchvision's weights have no heads ``rsp`` and ``avid``; theirs are random, from a fixed seed, and
the header says so. Query and key are equal. Their features are what they are for: fine-tuning and
retrieval.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

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


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m rspnet.convert", description="Write a checkpoint as a model file."
    )
    parser.add_argument(
        "source",
        help="released .pth.tar, torchvision's weights, training checkpoint, or model file",
    )
    parser.add_argument("out", help="the model file, *.safetensors")
    parser.add_argument("--half", action="store_true", help="store in half precision")
    options = parser.parse_args(arguments)
    try:
        branch = convert(options.source, options.out, half=options.half)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    count = sum(p.numel() for p in branch.encoder.parameters())
    print(f"{options.out}: {branch.arch}, {count / 1e6:.2f} M parameters in the encoder,")
    print(f"heads {', '.join(branch.heads)} ({branch.head_kind}), SHA-256 {file_hash(options.out)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
