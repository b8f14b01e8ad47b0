"""What many tests are made with."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from rspnet.commands import parse_config
from rspnet.models import Branch
from rspnet.train import Trainer, train
from rspnet.training.config import TrainConfig

TINY: dict[str, Any] = {"width": 2, "stem_kernel": (1, 3, 3)}


def tiny_branch(
    seed: int | None = None,
    *,
    arch: str = "resnet18_fine",
    num_frames: int = 8,
    size: int = 32,
    head: str = "linear",
    **options: Any,
) -> Branch:
    """A branch with random weights that computes in milliseconds, in evaluation mode.

    Args:
        seed: Fixes the weights. Nothing: PyTorch's generator as it stands.
        arch: Encoder.
        num_frames: Frames of its clips.
        size: Height and width of its clips, in pixels.
        head: ``linear`` or ``mlp``.
        **options: Of the encoder. Nothing: width 2 and a small stem for ``resnet18_fine``, width 4
            for others.
    """
    if seed is not None:
        torch.manual_seed(seed)
    options = options or (TINY if arch == "resnet18_fine" else {"width": 4})
    return Branch(arch, options, num_frames=num_frames, size=size, head=head).eval()


def assert_resumes_exactly(words: Sequence[str], folder: Path) -> Path:
    """A run of four steps that is killed after the third ends as one never stopped.

    Args:
        words: Of ``rspnet.train``, without its folder and steps.
        folder: Where both runs are made.

    Returns:
        The model file.
    """
    words = [*words, "--max_steps=4", "--checkpoint_every_minutes=0"]
    whole = train(parse_config(TrainConfig, [*words, f"--out={folder / 'whole'}"]))
    words = [*words, f"--out={folder / 'resumed'}", "--checkpoint_every_steps=2"]
    trainer = Trainer(parse_config(TrainConfig, words))
    for batch in trainer.batches():
        trainer.train_step([batch])
        if trainer.step == 2:
            trainer.save_checkpoint()
        if trainer.step == 3:
            break  # as if killed: step 3 is lost
    expected, found = (load_file(path) for path in (whole, train(parse_config(TrainConfig, words))))
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    return whole


def damages(data: bytes, num: int) -> Iterator[bytes]:
    """The file with one byte changed, at places spread over all of it, or with 36 of them."""
    rng = np.random.default_rng(0)
    for i, place in enumerate(np.linspace(0, len(data) - 1, num).astype(int)):
        changed = bytearray(data)
        places = [place] if i % 4 else [place, *rng.integers(0, len(data), 35)]
        for p in places:
            changed[p] ^= int(rng.integers(1, 256))
        yield bytes(changed)
