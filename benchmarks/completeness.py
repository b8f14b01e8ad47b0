"""Contributions of random pairs of clips: how far their sums are from the similarity.

python -m benchmarks.completeness [--root DIR] [--model default] [--num_pairs 100]
python -m benchmarks.completeness --encoders all

The second form takes every encoder with new weights, with linear and with MLP heads, and also
compares the closed form with Captum's LayerGradCam (linear heads, no ReLU).
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from analysis import Score, explain_pair, extract_features
from benchmarks.harness import describe_machine, print_row
from rspnet import VideoReader, load_model
from rspnet.data.listing import expand_roots
from rspnet.data.sampling import clip_span
from rspnet.data.synthetic.videos import generate
from rspnet.data.transforms import load_clip
from rspnet.models import Branch, encoder_info, list_encoders


def random_clip(
    paths: list[Path], num_frames: int, size: int, rng: np.random.Generator
) -> torch.Tensor:
    """A clip of a random video, at a random place and a random speed that fits."""
    while True:
        with VideoReader(paths[int(rng.integers(len(paths)))]) as reader:
            speed = int(rng.choice([1, 2]))
            last = len(reader) - clip_span(num_frames, speed)
            if last >= 0:
                start = int(rng.integers(last + 1))
                return load_clip(reader, start, num_frames, speed, size)[0]


def grad_cam_difference(branch: Branch, key: Branch, clips: list[torch.Tensor]) -> float:
    """Largest |contribution map - LayerGradCam + the bias' share|, both heads, relative to s.

    LayerGradCam is the mean gradient of a score times the features. Its score here is the cosine
    with the length of the clip's own embedding held fixed; the head's bias, which lies in no
    place, is added in equal parts.
    """
    from captum.attr import LayerGradCam

    largest = 0.0
    for head in branch.heads:
        c_i, c_j = extract_features(branch, clips[0]), extract_features(key, clips[1])
        found = Score.similarity(branch, head, c_j).contributions(c_i).values
        own = branch.head(head)
        assert isinstance(own, torch.nn.Linear)
        weight, bias = own.weight.detach().double(), own.bias.detach().double()
        F = c_i.features.double()
        z = F.mean((2, 3, 4)) @ weight.T + bias
        target = c_j.unit(head) / z.norm()

        class Network(torch.nn.Module):
            """From features to the score, so that all encoders are one."""

            def __init__(self) -> None:
                super().__init__()
                self.layer = torch.nn.Identity()

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                pooled = self.layer(x).mean((2, 3, 4))
                scores: torch.Tensor = (pooled @ weight.T) @ target[:, None]  # noqa: B023
                return scores

        network = Network()
        cam = LayerGradCam(network, network.layer).attribute(F.requires_grad_(), target=0)
        num = found.size
        # Captum takes the sum over channels of (mean gradient) * F: a map whose sum is the score.
        expected = cam[0, 0].detach().numpy() + float(bias @ target) / num
        largest = max(largest, float(np.abs(found - expected).max()))
    return largest


def encoders(names: list[str], num_pairs: int, seed: int) -> None:
    """Every encoder with new weights, on noise that moves, linear and MLP heads."""
    rows = []
    for arch in tqdm(names, unit="encoder", disable=None):
        info = encoder_info(arch)
        for head in ("linear", "mlp"):
            torch.manual_seed(seed)
            query, key = (
                Branch(arch, head=head, num_frames=info.num_frames, size=info.size).eval()
                for _ in range(2)
            )
            worst, cam, cells = dict.fromkeys(query.heads, 0.0), 0.0, ""
            for _ in range(num_pairs):
                shape = (3, info.num_frames, info.size, info.size)
                clips = [torch.randn(shape) for _ in range(2)]
                pair = explain_pair(query, key, *clips)
                cells = " x ".join(str(n) for n in pair.grid_i.cells)
                for name, maps in pair.heads.items():
                    worst[name] = max(worst[name], maps.completeness_error)
                if head == "linear":
                    cam = max(cam, grad_cam_difference(query, key, clips))
            rows.append((arch, head, cells, worst, f"{cam:.1e}" if head == "linear" else "-"))
    print(f"\nlargest |sum of contributions - s| over {num_pairs} pairs, new weights")
    print_row("encoder, head, cells", "RSP", "A-VID", "LayerGradCam", first=40, width=14)
    for arch, head, cells, worst, cam_text in rows:
        errors = [f"{worst[name]:.1e}" for name in ("rsp", "avid")]
        print_row(f"{arch}, {head}, {cells}", *errors, cam_text, first=40, width=14)
    print(f"largest of all: {max(max(row[3].values()) for row in rows):.1e}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", help="videos; nothing: eight generated ones")
    parser.add_argument("--model", default="default")
    parser.add_argument("--num_pairs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--encoders", nargs="+", help="names, or 'all'; with new weights")
    options = parser.parse_args()
    print(describe_machine("torch", "captum"))
    if options.encoders:
        names = list_encoders() if options.encoders == ["all"] else options.encoders
        encoders(names, min(options.num_pairs, 3), options.seed)
        return 0
    query, key = load_model(options.model, "query"), load_model(options.model, "key")
    rng = np.random.default_rng(options.seed)
    errors: dict[str, list[float]] = {name: [] for name in query.heads}
    with tempfile.TemporaryDirectory() as folder:
        root = options.root or generate(folder, 8, 0, progress=False)
        paths = expand_roots([root])
        for _ in tqdm(range(options.num_pairs), unit="pair", disable=None):
            clips = [random_clip(paths, query.num_frames, query.size, rng) for _ in range(2)]
            pair = explain_pair(query, key, *clips)
            for name, maps in pair.heads.items():
                errors[name].append(maps.completeness_error)
    print(f"\n{options.num_pairs} random pairs of clips of {root}")
    print_row("|sum of contributions - s|", "largest", "median")
    for name, values in errors.items():
        print_row(name, f"{max(values):.1e}", f"{np.median(values):.1e}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
