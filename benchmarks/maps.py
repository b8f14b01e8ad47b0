"""Maps of a pair of clips: their time against the forward passes alone, and against other tools.

    python -m benchmarks.maps [--encoders r3d_18 resnet18] [--sizes 112 224] [--no-peers]

A pair has four maps: two heads, two clips. The peers are Captum's LayerGradCam and, where it is
installed, pytorch-grad-cam (``pip install grad-cam``), each on the same scores; they too are given
one forward pass a clip for the embeddings that the scores are against. All are timed in turn,
round by round. Ratios are of CPU time within a round, which other work on the machine does not
lengthen.
"""

import argparse
import statistics
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from analysis import explain_pair, extract_features
from analysis.attribution.captum_methods import with_detached_norm
from analysis.core.score import Score
from benchmarks.harness import Times, describe_machine, measure, print_row
from rspnet import load_model
from rspnet.models import Branch

PLAIN, MAPS = "forward pass of each clip", "explain_pair: contributions and Eq. 2"
HEADS_ONLY = "extract_features and four contribution maps"
CAPTUM, GRAD_CAM = "Captum LayerGradCam", "pytorch-grad-cam GradCAM"


class ScoreModule(nn.Module):
    """A score as a network with one output, which pytorch-grad-cam expects."""

    def __init__(self, score: Score) -> None:
        super().__init__()
        self.branch = score.branch
        self.score = with_detached_norm(score)

    def forward(self, clips: Tensor) -> Tensor:
        return self.score(clips)[:, None]


def scores_of_pair(query: Branch, key: Branch, clips: tuple[Tensor, Tensor]) -> list[Score]:
    """Both heads' similarity, of c_i and of c_j; one forward pass a clip."""
    c_i, c_j = extract_features(query, clips[0]), extract_features(key, clips[1])
    return [
        score
        for head in query.heads
        for score in (Score.similarity(query, head, c_j), Score.similarity(key, head, c_i))
    ]


def grad_cam() -> Any:
    """The class GradCAM, or nothing where the package is not installed."""
    try:
        return import_module("pytorch_grad_cam").GradCAM
    except ImportError:
        return None


def works(query: Branch, key: Branch, peers: bool) -> dict[str, Callable[[], object]]:
    """What is timed, by name."""
    generator = torch.Generator().manual_seed(0)
    shape = (3, query.num_frames, query.size, query.size)
    channels_last = torch.channels_last_3d
    a, b = (
        torch.randn(1, *shape, generator=generator).contiguous(memory_format=channels_last)
        for _ in range(2)
    )
    clips = (a, b)

    @torch.no_grad()
    def plain() -> None:
        query(a), key(b)

    def contributions() -> None:
        c_i, c_j = extract_features(query, a), extract_features(key, b)
        for head in query.heads:
            Score.similarity(query, head, c_j).contributions(c_i)
            Score.similarity(key, head, c_i).contributions(c_j)

    def captum() -> None:
        from captum.attr import LayerGradCam

        for number, score in enumerate(scores_of_pair(query, key, clips)):
            cam = LayerGradCam(with_detached_norm(score), score.branch.encoder)
            cam.attribute(clips[number % 2])

    found: dict[str, Callable[[], object]] = {
        PLAIN: plain,
        MAPS: lambda: explain_pair(query, key, a, b),
        HEADS_ONLY: contributions,
    }
    if not peers:
        return found
    found[CAPTUM] = captum
    method = grad_cam()
    if method is not None:

        def theirs() -> None:
            for number, score in enumerate(scores_of_pair(query, key, clips)):
                with method(ScoreModule(score), [score.branch.encoder]) as cam:
                    cam(clips[number % 2], targets=[lambda output: output[0]])

        found[GRAD_CAM] = theirs
    return found


def print_rows(title: str, times: dict[str, Times]) -> None:
    """Medians in milliseconds, and medians of the ratios to the forward passes."""
    print()
    print_row(title, "ms", "CPU ms", "to forward")
    for name, own in times.items():
        ratios = [a / b for a, b in zip(own.cpu, times[PLAIN].cpu, strict=True)]
        wall, cpu = (f"{1000 * statistics.median(values):.1f}" for values in (own.wall, own.cpu))
        print_row(name, wall, cpu, f"{statistics.median(ratios):.2f}x")
    if CAPTUM in times and GRAD_CAM not in times:
        print(f"{GRAD_CAM:44}not installed: pip install grad-cam")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="default", help="model file or name of a shipped model")
    parser.add_argument("--encoders", nargs="*", default=["r3d_18", "resnet18"])
    parser.add_argument("--sizes", nargs="+", type=int, default=[112, 224])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    print(describe_machine("torch", "torchvision", "captum", "grad-cam"))
    query, key = load_model(options.model, "query"), load_model(options.model, "key")
    shape = f"{query.num_frames} x {query.size} x {query.size}"
    report(f"{options.model} ({query.arch}), {shape}", query, key, options)
    for size in options.sizes:
        for arch in options.encoders:
            torch.manual_seed(0)
            query, key = (
                Branch(arch, size=size).eval().to(memory_format=torch.channels_last_3d)
                for _ in range(2)
            )
            report(f"{arch}, 16 x {size} x {size}, new weights", query, key, options)
    return 0


def report(title: str, query: Branch, key: Branch, options: argparse.Namespace) -> None:
    print_rows(title, measure(works(query, key, options.peers), options.rounds))


if __name__ == "__main__":
    sys.exit(main())
