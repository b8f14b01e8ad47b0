"""A small model and clips of noise: what the examples in docstrings are made with."""

import numpy as np

from analysis.core.clip import ClipInfo, View
from rspnet.models import Branch

NUM_FRAMES, SIZE = 8, 32


def example_branch() -> Branch:
    """A branch with random weights that computes in milliseconds, in evaluation mode.

    Example:
        >>> from analysis import example_branch
        >>> branch = example_branch()
        >>> branch.num_frames, branch.size
        (8, 32)
    """
    return Branch("resnet18_fine", {"width": 2}, num_frames=NUM_FRAMES, size=SIZE).eval()


def example_views(num: int) -> list[View]:
    """Clips of noise that fit :func:`example_branch`, always the same ones.

    Example:
        >>> from analysis import example_views
        >>> c_i, c_j = example_views(2)
        >>> c_i.frames.shape
        (8, 32, 32, 3)
    """
    shape = (num, NUM_FRAMES, SIZE, SIZE, 3)
    frames = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    return [View(own, ClipInfo(f"noise {n}", tuple(range(8)))) for n, own in enumerate(frames)]
