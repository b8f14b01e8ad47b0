"""Clips that show a movement and nothing else: noise carried by the flow of a clip.

After Ilic et al., ECCV 2022, "Is Appearance Free Action Recognition Possible?" (AFD101): each frame
alone is noise and says nothing; the movement from frame to frame is that of the clip.
"""

import itertools

import cv2
import numpy as np

from analysis.regions.flow import VISIBLE, Frames, dense_flow, visible_change


def carried_noise(frames: Frames, rng: np.random.Generator) -> Frames:
    """Noise that moves as the clip does.

    Each pixel of a frame takes its colour from where the flow back to the frame before says that
    it was (nearest neighbour, so that noise stays noise); what was outside is new noise. Where the
    picture does not visibly change the noise stands still, as flow is a guess there.

    Args:
        frames: (T, H, W, 3).
        rng: Draws the noise.

    Returns:
        (T, H, W, 3), each frame uniform noise in each channel.

    Raises:
        ValueError: The frames have another shape or type.

    Example:
        >>> still = np.zeros((3, 16, 16, 3), np.uint8)
        >>> noise = carried_noise(still, np.random.default_rng(0))
        >>> bool((noise[0] == noise[2]).all()), noise.shape
        (True, (3, 16, 16, 3))
    """
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8:
        raise ValueError(f"frames are uint8 (T, H, W, 3), got {frames.dtype} {frames.shape}")

    def draw() -> Frames:
        return rng.integers(0, 256, size=frames.shape[1:], dtype=np.uint8)

    rows, columns = np.mgrid[: frames.shape[1], : frames.shape[2]].astype(np.float32)
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    found = [draw()]
    for before, after in itertools.pairwise(grey):
        moves = visible_change(after, before) > VISIBLE
        back = np.where(moves[..., None], dense_flow(after, before), 0).astype(np.float32)
        x, y = columns + back[..., 0], rows + back[..., 1]
        carried = cv2.remap(found[-1], x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
        outside = (x < -0.5) | (y < -0.5) | (x > x.shape[1] - 0.5) | (y > y.shape[0] - 0.5)
        found.append(np.where(outside[..., None], draw(), carried))
    return np.stack(found)
