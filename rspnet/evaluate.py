"""How well a model does its pretext task on videos it has not seen: ``python -m rspnet.evaluate``.

A model whose method has a task of a few classes (Pace, SpeedNet, ...) is measured by its own head:
the share of right answers about clips that the method itself draws, in the centre of the frame,
beside chance. A head of RSPNet is shown where the method trains it:

*RSP ordering accuracy*: for triplets c_i, c_j (same speed), c_k (other speed) of one video, the
share with d(c_i, c_j) > d(c_i, c_k) by the RSP head. Both speeds query equally often, and the
starts of c_j and c_k have one distribution of distances to c_i, so that a network that knows
nothing of speed stands near 0.5 where clips do not overlap much.

*A-VID top-1*: for each video, whether of all videos' clips c_j the nearest to its c_i by the A-VID
head is its own.

c_i goes through the query branch, c_j and c_k through the key branch, as in training.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from rspnet.commands import run_cli
from rspnet.data.augment import CENTRE
from rspnet.data.listing import expand_roots
from rspnet.data.pretrain import DataConfig
from rspnet.data.sampling import (
    ClipSpec,
    Triplet,
    clip_span,
    evenly_spaced,
    sample_triplet,
    share_frames,
)
from rspnet.data.sources import Source, scan_files
from rspnet.data.stores.pointers import root_path
from rspnet.data.stream import SampleKey
from rspnet.data.transforms import eval_frames, normalise
from rspnet.files import atomic_path
from rspnet.models import Branch
from rspnet.names import HEADS
from rspnet.pretext.method import METHODS, PretextMethod, method_settings
from rspnet.pretext.task import PretextTask, TaskMethod, load_task
from rspnet.recognition.result import bootstrap_interval
from rspnet.training.processes import pick_device
from rspnet.weights.checkpoint import load_model

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """Held-out numbers of a model's pretext tasks.

    Attributes:
        model: Model file or name of a shipped model.
        videos: Folders of videos, single videos, or .txt lists of paths.
        num_videos: Number of the usable videos that are taken, evenly spaced; 0 for all.
        num_triplets: Triplets per video and speed of c_i, for RSP.
        speeds: The two playback speeds, for RSP and A-VID.
        num_draws: Draws per video, for a model whose task has classes.
        batch_size: Clips in one forward pass.
        seed: Seed of the choice of clips, and of random weights.
        random_weights: Ignore the weights and measure the architecture with random ones.
        device: ``auto``, ``cpu``, ``cuda``, ...
        num_workers: Processes that read the files' headers.
        out: JSON file for the result. Nothing: print only.
    """

    model: str = "default"
    videos: str | list[str] = "data/synthetic"
    num_videos: int = 0
    num_triplets: int = 4
    speeds: tuple[int, int] = (1, 2)
    num_draws: int = 8
    batch_size: int = 16
    seed: int = 0
    random_weights: bool = False
    device: str = "auto"
    num_workers: int = 2
    out: str | None = None

    def __post_init__(self) -> None:
        if min(self.num_triplets, self.num_draws, self.batch_size) < 1 or self.num_videos < 0:
            raise ValueError(
                "num_triplets, num_draws and batch_size are positive and num_videos is not "
                f"negative, got {self.num_triplets}, {self.num_draws}, {self.batch_size} and "
                f"{self.num_videos}"
            )


@dataclass(frozen=True)
class PretextResult:
    """What :func:`evaluate_pretext` measured.

    Attributes:
        rsp_accuracy: Share of triplets in the right order.
        rsp_interval: Its 95% interval, by a bootstrap over videos.
        rsp_accuracy_by_speed: The same for each speed of c_i.
        rsp_margin: Mean of d(c_i, c_j) - d(c_i, c_k), in units of the cosine.
        avid_top1: Share of videos found among all.
        avid_interval: Its 95% interval, by a bootstrap over videos.
        num_videos: Videos measured.
        num_triplets: Triplets measured.
    """

    rsp_accuracy: float
    rsp_interval: tuple[float, float]
    rsp_accuracy_by_speed: dict[str, float]
    rsp_margin: float
    avid_top1: float
    avid_interval: tuple[float, float]
    num_videos: int
    num_triplets: int


def eval_triplets(
    video_length: int,
    num_frames: int,
    speeds: tuple[int, int],
    num_triplets: int,
    rng: np.random.Generator,
) -> list[Triplet]:
    """Triplets of one video, ``num_triplets`` for either speed of c_i.

    c_i starts elsewhere than c_j and c_k, if the video leaves a choice: one and the same clip would
    be no question.
    """
    triplets = []
    choice = video_length > clip_span(num_frames, max(speeds))
    for speed, other in (speeds, speeds[::-1]):
        for _ in range(num_triplets):
            t = sample_triplet(video_length, num_frames, speed, other, rng)
            while choice and t.query.start in (t.same_speed.start, t.other_speed.start):
                t = sample_triplet(video_length, num_frames, speed, other, rng)
            triplets.append(t)
    return triplets


@torch.inference_mode()
def _embed(
    branch: Branch, clips: Sequence[Tensor], batch_size: int, device: str
) -> dict[str, Tensor]:
    parts = []
    for first in range(0, len(clips), batch_size):
        batch = normalise(torch.stack(list(clips[first : first + batch_size])).to(device))
        parts.append(branch(batch))
    return {name: torch.cat([part[name] for part in parts]).cpu() for name in branch.heads}


def _load_views(source: Source, specs: Sequence[ClipSpec], size: int) -> list[Tensor]:
    wanted, places = share_frames([spec.indices for spec in specs])
    frames = eval_frames(source.get_frames(wanted), size)
    return [torch.from_numpy(frames[place]) for place in places]


def evaluate_pretext(
    query: Branch,
    key: Branch,
    videos: Sequence[Source],
    *,
    speeds: tuple[int, int] = (1, 2),
    num_triplets: int = 4,
    batch_size: int = 16,
    seed: int = 0,
    device: str = "cpu",
) -> PretextResult:
    """Measure both tasks; see this module.

    Args:
        query: Query branch, for c_i.
        key: Momentum branch, for c_j and c_k.
        videos: Held-out videos, each long enough for a clip at the faster speed.
        speeds: The two playback speeds.
        num_triplets: Triplets per video and speed of c_i.
        batch_size: Clips in one forward pass.
        seed: Fixes the clips.
        device: Where the branches are.

    Raises:
        ValueError: There are no videos, or one is too short.
    """
    if not videos:
        raise ValueError("there are no videos to evaluate on")
    margins: list[Floats] = []
    first_queries, first_keys = [], []
    for number, source in enumerate(tqdm(videos, desc="Evaluating", unit="video", leave=False)):
        rng = np.random.default_rng([seed, number])
        triplets = eval_triplets(source.num_frames, query.num_frames, speeds, num_triplets, rng)
        specs = [s for t in triplets for s in (t.query, t.same_speed, t.other_speed)]
        views = _load_views(source, specs, query.size)
        q = _embed(query, views[0::3], batch_size, device)
        same = _embed(key, views[1::3], batch_size, device)
        other = _embed(key, views[2::3], batch_size, device)
        margin = (q["rsp"] * (same["rsp"] - other["rsp"])).sum(dim=1)
        margins.append(margin.double().numpy())
        # The first triplet's c_i and c_j are at the first speed for every video.
        first_queries.append(q["avid"][0])
        first_keys.append(same["avid"][0])
    margin_NT = np.stack(margins)
    ordered = (margin_NT > 0).astype(np.float64)
    similarity = torch.stack(first_queries) @ torch.stack(first_keys).T
    found = (similarity.argmax(dim=1) == torch.arange(len(videos))).double().numpy()
    return PretextResult(
        rsp_accuracy=float(ordered.mean()),
        rsp_interval=bootstrap_interval(ordered.mean(axis=1)),
        rsp_accuracy_by_speed={
            f"{speeds[0]}x": float(ordered[:, :num_triplets].mean()),
            f"{speeds[1]}x": float(ordered[:, num_triplets:].mean()),
        },
        rsp_margin=float(margin_NT.mean()),
        avid_top1=float(found.mean()),
        avid_interval=bootstrap_interval(found),
        num_videos=len(videos),
        num_triplets=int(margin_NT.size),
    )


@dataclass(frozen=True)
class TaskResult:
    """What :func:`evaluate_task` measured.

    Attributes:
        accuracy: Share of right answers.
        interval: Its 95% interval, by a bootstrap over videos.
        chance: One in the number of classes.
        accuracy_by_class: The same for each right answer that was drawn.
        num_videos: Videos measured.
        num_draws: Draws per video.
        num_answers: Answers in all: a draw of SpeedNet has two.
    """

    accuracy: float
    interval: tuple[float, float]
    chance: float
    accuracy_by_class: dict[str, float]
    num_videos: int
    num_draws: int
    num_answers: int


def data_of(branch: Branch) -> DataConfig:
    """Clips as in the training of a branch, with the largest square in the middle as its view."""
    trained = branch.metadata.get("config", {}).get("data", {})
    rate = {name: trained[name] for name in ("fps", "stride") if name in trained}
    if "speeds" in trained:
        rate["speeds"] = tuple(trained["speeds"])
    return DataConfig(num_frames=branch.num_frames, size=branch.size, augment=CENTRE, **rate)


def evaluate_task(
    task: PretextTask,
    videos: Sequence[Source],
    *,
    num_draws: int = 8,
    batch_size: int = 16,
    seed: int = 0,
    device: str = "cpu",
) -> TaskResult:
    """Measure how often a task's head is right about clips that its method draws.

    Args:
        task: Model and head, see :func:`rspnet.pretext.task.load_task`.
        videos: Held-out videos, each as long as the method needs.
        num_draws: Draws per video.
        batch_size: Clips in one forward pass.
        seed: Fixes clips and answers.
        device: Where the model is.

    Raises:
        ValueError: There are no videos, or one can't be read.
    """
    if not videos:
        raise ValueError("there are no videos to evaluate on")
    method = METHODS[task.method]
    assert issubclass(method, TaskMethod)
    samples = method.samples(videos, data_of(task.branch), seed, task.settings)
    names, num_clips = task.head.classes, task.head.num_clips
    right: list[Floats] = []
    truth: list[NDArray[np.int64]] = []
    for number, _ in enumerate(tqdm(videos, desc="Evaluating", unit="video", leave=False)):
        positions = range(number * num_draws, (number + 1) * num_draws)
        drawn = [samples.load(number, SampleKey(place, number, 0, 1)) for place in positions]
        share = max(1, batch_size // len(drawn[0].clips))
        for first in range(0, num_draws, share):
            batch = method.collate(drawn[first : first + share])
            clips = [normalise(clip.to(device)) for clip in batch.clips]
            groups = [clips[place : place + num_clips] for place in range(0, len(clips), num_clips)]
            predicted = torch.cat([task.logits(group) for group in groups]).argmax(dim=1).cpu()
            right.append((predicted == batch.answer).double().numpy())
            truth.append(batch.answer.numpy())
    right_N, truth_N = np.concatenate(right), np.concatenate(truth)
    return TaskResult(
        accuracy=float(right_N.mean()),
        interval=bootstrap_interval(right_N.reshape(len(videos), -1).mean(axis=1)),
        chance=1 / len(names),
        accuracy_by_class={
            name: float(right_N[truth_N == place].mean())
            for place, name in enumerate(names)
            if (truth_N == place).any()
        },
        num_videos=len(videos),
        num_draws=num_draws,
        num_answers=len(right_N),
    )


def _method_of(branch: Branch) -> tuple[type[PretextMethod], str, Any]:
    """The method that trained a branch, its name and settings; RSPNet where the file is silent."""
    config = branch.metadata.get("config", {})
    name = config.get("method", "rspnet")
    method = METHODS[name]
    own = {} if name == "rspnet" else config.get("method_options", {})
    return method, name, method_settings(name, own, None)


def evaluate(config: EvaluateConfig) -> dict[str, Any]:
    """Load model and videos and measure. Returns protocol and result as plain values.

    The result has RSP's and A-VID's numbers, of untrained heads too (``trained_heads`` in the
    protocol says which are trained), and under ``task`` those of the head of a task.

    Raises:
        ValueError: No such model or videos, or no video is long enough.
    """
    device = str(pick_device(config.device))
    query = load_model(config.model, "query", device=device)
    key = load_model(config.model, "key", device=device)
    method, name, settings = _method_of(query)
    task = load_task(config.model, device) if issubclass(method, TaskMethod) else None
    metadata = query.metadata
    if config.random_weights:
        torch.manual_seed(config.seed)
        query = Branch.from_spec(query.spec()).to(device).eval()
        key, query.metadata = query, metadata
        if task is not None and issubclass(method, TaskMethod):
            head = method.head(query.num_features, settings).to(device).eval()
            task = PretextTask(name, settings, query, head)
    roots = [config.videos] if isinstance(config.videos, str) else config.videos
    paths = expand_roots(list(map(root_path, roots)))
    span = clip_span(query.num_frames, max(config.speeds))

    def needed(video_fps: float) -> int:
        if task is None:
            return span
        return max(span, method.frames_needed(data_of(query), video_fps, settings))

    scan = scan_files(paths, needed, config.num_workers)
    videos = scan.usable
    if config.num_videos > 0:
        videos = evenly_spaced(videos, config.num_videos)
    result = evaluate_pretext(
        query,
        key,
        videos,
        speeds=config.speeds,
        num_triplets=config.num_triplets,
        batch_size=config.batch_size,
        seed=config.seed,
        device=device,
    )
    found = asdict(result)
    if task is not None:
        found["task"] = asdict(
            evaluate_task(
                task,
                videos,
                num_draws=config.num_draws,
                batch_size=config.batch_size,
                seed=config.seed,
                device=device,
            )
        )
    report = {
        "protocol": {
            "model": config.model,
            "model_hash": query.hash,
            "method": name,
            "trained_heads": list(method.trained_heads(settings)),
            "random_weights": config.random_weights,
            "num_frames": query.num_frames,
            "size": query.size,
            "speeds": list(config.speeds),
            "seed": config.seed,
            "too_short": [str(path) for path, _ in scan.too_short],
            "unreadable": [str(path) for path, _ in scan.unreadable],
        },
        "result": found,
    }
    if config.out:
        with atomic_path(Path(config.out)) as temporary:
            temporary.write_text(json.dumps(report, indent=2))
    return report


def _table(report: dict[str, Any]) -> str:
    r, p, task = report["result"], report["protocol"], report["result"].get("task")
    skipped = len(p["too_short"]) + len(p["unreadable"])
    drawn = f"{task['num_draws']} draws a video" if task else f"{r['num_triplets']} triplets"
    lines = [
        f"{r['num_videos']} videos ({skipped} too short or unreadable), "
        f"{drawn}, {p['num_frames']} x {p['size']} x {p['size']}"
    ]
    if task:
        low, high = task["interval"]
        by_class = [f"{k} {v:.3f}" for k, v in task["accuracy_by_class"].items()]
        shown = f"  ({', '.join(by_class)})" if len(by_class) <= 8 else ""
        lines.append(
            f"{p['method'] + ' accuracy':<22} {task['accuracy']:.3f}  [{low:.3f}, {high:.3f}]  "
            f"chance {task['chance']:.3f}{shown}"
        )
    if "rsp" in p["trained_heads"]:
        by_speed = ", ".join(f"{k} {v:.3f}" for k, v in r["rsp_accuracy_by_speed"].items())
        low, high = r["rsp_interval"]
        lines.append(
            f"RSP ordering accuracy  {r['rsp_accuracy']:.3f}  [{low:.3f}, {high:.3f}]  "
            f"({by_speed}), margin {r['rsp_margin']:+.4f}"
        )
    if "avid" in p["trained_heads"]:
        low, high = r["avid_interval"]
        lines.append(
            f"A-VID top-1 of {r['num_videos']:<7} {r['avid_top1']:.3f}  [{low:.3f}, {high:.3f}]"
        )
    untrained = [head for head in HEADS if head not in p["trained_heads"]]
    if untrained:
        names = " and ".join({"rsp": "RSP's", "avid": "A-VID's"}[head] for head in untrained)
        lines.append(
            f"The method {p['method']} does not train {names} head{'s' * (len(untrained) > 1)}, "
            "whose numbers would say nothing."
        )
    return "\n".join(lines)


def _run(config: EvaluateConfig) -> None:
    print(_table(evaluate(config)))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    return run_cli(
        EvaluateConfig,
        _run,
        arguments,
        prog="python -m rspnet.evaluate",
        description=(
            "Measure a model's pretext tasks on held-out videos: the accuracy of its own task, or "
            "RSP ordering accuracy and A-VID top-1."
        ),
        examples=(
            "python -m rspnet.evaluate --model runs/mine/model.safetensors --videos VIDEOS",
            "python -m rspnet.evaluate --videos VIDEOS --random_weights",
        ),
        out="file",
    )


if __name__ == "__main__":
    sys.exit(main())
