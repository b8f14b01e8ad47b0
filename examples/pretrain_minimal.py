"""RSPNet on one page: ``python examples/pretrain_minimal.py``.

The whole method of Chen et al. (AAAI 2021) in plain PyTorch, on small synthetic clips, in under a
minute of one CPU core: RSP orders nearly all triplets at the end. It uses the project's encoder,
sampling and losses; ``python -m rspnet.train`` adds augmentation, checkpoints, exact resume,
several GPUs and all else that a real run needs.
"""

import argparse
import copy
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rspnet import create_encoder
from rspnet.data.sampling import sample_triplet
from rspnet.data.transforms import normalise
from rspnet.pretext import avid_loss, rsp_loss

NUM_FRAMES, SIZE, DIM = 16, 32, 32  # frames of a clip, its height and width, size of an embedding
BATCH_SIZE, QUEUE_LENGTH, MOMENTUM = 16, 128, 0.9


def make_video(seed: int, length: int = 48) -> np.ndarray:
    """A texture that glides in one direction, (length, SIZE, SIZE, 3) uint8."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (8, 8, 3)).astype(np.uint8)
    texture = cv2.resize(blocks, (2 * SIZE, 2 * SIZE), interpolation=cv2.INTER_CUBIC)
    angle, speed = rng.uniform(0, 2 * np.pi), 1.5 * rng.uniform(0.9, 1.1)  # pixels a frame
    step = speed * np.array([np.sin(angle), np.cos(angle)])
    moved = [np.roll(texture, np.rint(n * step).astype(int), axis=(0, 1)) for n in range(length)]
    return np.stack(moved)[:, :SIZE, :SIZE]


class Branch(nn.Module):
    """An encoder, the mean over its cells, and a linear head for each of the two tasks."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = create_encoder("resnet18_fine", width=8)
        self.rsp = nn.Linear(self.encoder.num_features, DIM)  # g_m, for motion
        self.avid = nn.Linear(self.encoder.num_features, DIM)  # g_a, for appearance

    def pool(self, clips: Tensor) -> Tensor:
        """Features of clips (B, 3, T, H, W), averaged over time and place: (B, C)."""
        return self.encoder(clips).mean(dim=(2, 3, 4))

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        """Unit embeddings of clips (B, 3, T, H, W) by both heads, (B, DIM) each."""
        x = self.pool(clips)
        return functional.normalize(self.rsp(x), dim=1), functional.normalize(self.avid(x), dim=1)


def make_batch(videos: Sequence[np.ndarray], rng: np.random.Generator) -> list[Tensor]:
    """c_i, c_j (of the same speed) and c_k (of the other speed) of different videos."""
    clips: list[list[Tensor]] = [[], [], []]
    for number, index in enumerate(rng.choice(len(videos), BATCH_SIZE, replace=False)):
        speed, other_speed = ((1, 2), (2, 1))[number % 2]  # half of the queries at either speed
        drawn = sample_triplet(len(videos[index]), NUM_FRAMES, speed, other_speed, rng)
        for part, clip in zip(
            clips, (drawn.query, drawn.same_speed, drawn.other_speed), strict=True
        ):
            part.append(normalise(videos[index][clip.indices]))
    return [torch.stack(part) for part in clips]


def train(num_steps: int, seed: int = 0, log_every: int = 20) -> list[tuple[float, float]]:
    """Pre-train on 128 videos; return both accuracies of every ``log_every`` steps."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    videos = [make_video(index) for index in range(128)]
    query = Branch()
    with torch.no_grad():  # centre the heads: else all embeddings of a new network are alike
        x = query.pool(torch.cat(make_batch(videos, rng)))
        for head in (query.rsp, query.avid):
            head.bias -= head(x).mean(dim=0)
    key = copy.deepcopy(query).requires_grad_(False)  # the momentum branch gets no gradient
    queue = functional.normalize(torch.randn(DIM, QUEUE_LENGTH), dim=0)  # keys of other videos
    optimiser = torch.optim.AdamW(query.parameters(), lr=1e-3)
    log, rsp_correct, avid_correct = [], 0.0, 0.0
    for step in range(1, num_steps + 1):
        c_i, c_j, c_k = make_batch(videos, rng)
        rsp_i, avid_i = query(c_i)
        with torch.no_grad():  # both keys in one batch, so that BatchNorm can't tell them apart
            (rsp_j, rsp_k), (avid_j, avid_k) = (z.chunk(2) for z in key(torch.cat([c_j, c_k])))
        motion = rsp_loss(rsp_i, rsp_j, rsp_k, form="logistic")  # d(c_i, c_j) > d(c_i, c_k)
        appearance = avid_loss(avid_i, [avid_j, avid_k], queue)  # c_j and c_k before the queue
        weight = 0.1 if step > num_steps // 2 else 0.0  # a short training finds RSP first
        loss = motion + weight * appearance

        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        with torch.no_grad():
            for old, new in zip(key.parameters(), query.parameters(), strict=True):
                old.lerp_(new, 1 - MOMENTUM)  # key <- momentum * key + (1 - momentum) * query
            margin = (rsp_i * (rsp_j - rsp_k)).sum(dim=1)
            nearest = (avid_i @ queue).max(dim=1).values
            rsp_correct += float((margin > 0).float().mean()) / log_every
            avid_correct += (
                float(((avid_i * avid_j).sum(dim=1) > nearest).float().mean()) / log_every
            )
            queue = torch.cat([avid_k.T, queue], dim=1)[:, :QUEUE_LENGTH]  # the oldest keys leave
        if step % log_every == 0:
            log.append((rsp_correct, avid_correct))
            print(f"step {step}: RSP {100 * rsp_correct:.0f}%, A-VID {100 * avid_correct:.0f}%")
            rsp_correct, avid_correct = 0.0, 0.0
    return log


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Pre-train a tiny RSPNet on synthetic clips.")
    parser.add_argument("--num_steps", type=int, default=160, help="optimisation steps")
    parser.add_argument("--seed", type=int, default=0, help="fixes weights and samples")
    options = parser.parse_args()
    train(options.num_steps, options.seed)
