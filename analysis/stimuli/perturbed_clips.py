"""Perturbed clips: probes of videos, their perturbed views, and both heads' responses.

For a study over many videos see :mod:`analysis.studies.responses`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from analysis.attribution.pair_clips import PairClips
from analysis.core.clip import StoredFrames, View
from analysis.core.statistics import Estimate, mean
from analysis.stimuli.perturbations import (
    PERTURBATIONS,
    Probe,
    find_perturbation,
    levels_within,
    perturbed_view,
)
from rspnet.data.synthetic.videos import (
    ACTIONS,
    NUM_ACTORS,
    NUM_BACKGROUNDS,
    PROPS,
    draw_factors,
    render_video,
    video_name,
)
from rspnet.data.transforms import FrameReader
from rspnet.models import Branch, evaluation_mode
from rspnet.models.heads import global_average_pool

T = TypeVar("T")
Floats = NDArray[np.float64]
Levels = dict[str, tuple[float, ...]]

BATCH_SIZE = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """Similarity of a clip to itself with one thing changed.

    Attributes:
        perturbation: One of :data:`analysis.stimuli.perturbations.PERTURBATIONS`.
        levels: L, the neutral one among them.
        similarity: By head, the cosine of every video at every level, (V, L).
    """

    perturbation: str
    levels: tuple[float, ...]
    similarity: dict[str, Floats]

    def at(self, head: str, level: float) -> Floats:
        """Similarities at one level, (V,).

        Raises:
            ValueError: No such level or head.
        """
        if level not in self.levels:
            raise ValueError(f"{self.perturbation} was measured at {self.levels}, got {level:g}")
        if head not in self.similarity:
            raise ValueError(f"heads are {list(self.similarity)}, got {head!r}")
        return self.similarity[head][:, self.levels.index(level)]

    def estimates(self, head: str) -> tuple[Estimate, ...]:
        """The mean over videos at every level, with its interval."""
        return tuple(mean(self.at(head, level)) for level in self.levels)

    def to_json(self) -> dict[str, Any]:
        """Plain values: those of videos, and their means with intervals."""
        return {
            "change": self.perturbation,
            "title": find_perturbation(self.perturbation).title,
            "levels": list(self.levels),
            "similarity": {head: values.tolist() for head, values in self.similarity.items()},
            "mean": {head: [e.to_json() for e in self.estimates(head)] for head in self.similarity},
        }


def video_probe(
    branch: Branch,
    reader: FrameReader,
    *,
    start: int | None = None,
    window: int | None = None,
    name: str = "",
    seed: int | tuple[int, ...] = 0,
) -> Probe:
    """A clip of a video, to be perturbed.

    Args:
        branch: Says how many frames and pixels a clip has.
        reader: The video, open.
        start: First frame; nothing places the window in the middle.
        window: Frames that the clip and its perturbations of time take; nothing for its own.
        name: The video's name.
        seed: Of shuffled frames.

    Raises:
        ValueError: The window does not lie inside the video.
    """
    window = window if window is not None else branch.num_frames
    length = len(reader)
    if start is None:
        start = max(0, length - window) // 2
    if start < 0 or start + window > length:
        raise ValueError(
            f"{window} frames from frame {start} on are needed, the video has {length}: give a "
            "longer video, or a lower highest speed (--max_speed)"
        )
    return Probe(
        reader=reader,
        num_frames=branch.num_frames,
        size=branch.size,
        start=start,
        name=name,
        seed=seed,
    )


def synthetic_probe(branch: Branch, seed: int, index: int, window: int) -> Probe:
    """The first clip of a synthetic video, with the videos of its factor swaps.

    What takes the place of its factors is drawn once a video, never what it was: another action
    with actor, set and prop kept, and another actor, set, prop, or all three of them with
    the action kept, at the same phase and tempo. (An actor's build and an action's reach go with
    them: the figure may stand elsewhere.)

    Args:
        branch: Says how many frames and pixels a clip has.
        seed: Of the videos.
        index: Which of them.
        window: Frames that are rendered.
    """
    own = draw_factors(seed, index)
    rng = np.random.default_rng([seed, index, 1])

    def other(values: Sequence[T], kept: T) -> T:
        rest = [value for value in values if value != kept]
        return rest[int(rng.integers(len(rest)))]

    action, actor = other(ACTIONS, own.action), other(range(NUM_ACTORS), own.actor)
    set_id, prop = other(range(NUM_BACKGROUNDS), own.set_id), other(PROPS, own.prop)
    videos = {
        "own": render_video(seed, index, num_frames=window),
        "action": render_video(seed, index, num_frames=window, action=action),
        "actor": render_video(seed, index, num_frames=window, actor=actor),
        "set": render_video(seed, index, num_frames=window, set_id=set_id),
        "prop": render_video(seed, index, num_frames=window, prop=prop),
        "appearance": render_video(
            seed, index, num_frames=window, actor=actor, set_id=set_id, prop=prop
        ),
    }
    sources = {name: StoredFrames(video.frames) for name, video in videos.items()}
    return Probe(
        reader=sources.pop("own"),
        num_frames=branch.num_frames,
        size=branch.size,
        name=video_name(seed, index),
        seed=(seed, index),
        swapped=sources,
    )


def levels_of(probe: Probe, window: int) -> Levels:
    """The perturbations that a probe has, and their levels inside a window of the video."""
    return {
        name: levels_within(own, probe.num_frames, window)
        for name, own in PERTURBATIONS.items()
        if not own.is_factor_swap or name in probe.swapped
    }


@torch.no_grad()
def embed_views(
    branch: Branch,
    views: Sequence[View],
    batch_size: int = BATCH_SIZE,
    *,
    backbone: bool = False,
) -> dict[str, Floats]:
    """Unit embeddings of views by all heads, a forward pass a view.

    Args:
        branch: The model.
        views: N clips.
        batch_size: Clips in a pass.
        backbone: Whether to give the pooled features as well, as ``backbone``.

    Returns:
        By head, (N, D) in double precision. An embedding of length 0, such as an encoder of
        changes gives of a clip that stands still, stays 0: its cosine with any clip is 0.

    Raises:
        ValueError: The model gives of the first view, the unchanged one, an embedding of length
            0, or one that is not finite of any.
    """
    device = branch.device
    rows: dict[str, list[Floats]] = {}
    for first in range(0, len(views), batch_size):
        batch = torch.stack([view.clip for view in views[first : first + batch_size]])
        with evaluation_mode(branch):
            features = branch.features(batch.to(device))
            embeddings = branch.project(features)
        if backbone:
            embeddings["backbone"] = global_average_pool(features)
        for head, z in embeddings.items():
            rows.setdefault(head, []).append(z.double().cpu().numpy())
    found = {head: np.concatenate(parts) for head, parts in rows.items()}
    for head, vectors in found.items():
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not np.isfinite(length).all() or length[0] == 0:
            raise ValueError(
                f"the {head} head gives an embedding of length 0 or one that is not finite: its "
                "weights (or the clip) hold NaN or infinity, or are all zero"
            )
        found[head] = vectors / np.where(length > 0, length, 1)
    return found


def curves_of(
    levels: Levels, reference: dict[str, Floats], embedded: dict[str, Floats]
) -> dict[str, Curve]:
    """Curves of one video.

    Args:
        levels: By perturbation.
        reference: By head, the unit embedding of the unchanged clip, (D,).
        embedded: By head, those of :func:`views_of`, (N, D).
    """
    similarity = {head: embedded[head] @ own for head, own in reference.items()}
    curves, row = {}, 1
    for name, own in levels.items():
        rows = []
        for level in own:
            neutral = level == find_perturbation(name).neutral
            rows.append(0 if neutral else row)
            row += not neutral
        values = {head: own[rows][None] for head, own in similarity.items()}
        curves[name] = Curve(perturbation=name, levels=own, similarity=values)
    return curves


def views_of(probe: Probe, levels: Levels) -> list[View]:
    """The unchanged view, then that of every level but the neutral ones, in order.

    Raises:
        ValueError: No such perturbation or level, or a frame can't be read.
    """
    view = probe.view
    return [view] + [
        perturbed_view(probe, name, level, unchanged=view)
        for name, own in levels.items()
        for level in own
        if level != find_perturbation(name).neutral
    ]


def responses_of_video(
    query: Branch, key: Branch, probe: Probe, levels: Mapping[str, Sequence[float]]
) -> dict[str, Curve]:
    """The curves of one video.

    Args:
        query: Branch of the unchanged clip.
        key: Branch of the perturbed clips, may be the same.
        probe: The video.
        levels: By perturbation, in any number; see :func:`levels_of` for those that are measured.

    Returns:
        By perturbation, a curve of one video: similarities (1, L), the cosine at L levels.

    Raises:
        ValueError: No such perturbation or level, or a clip or model does not fit.

    Example:
        >>> from analysis import example_branch, responses_of_video
        >>> branch = example_branch()
        >>> frames = np.random.default_rng(0).integers(0, 256, (40, 36, 48, 3), np.uint8)
        >>> probe = video_probe(branch, StoredFrames(frames))
        >>> curves = responses_of_video(branch, branch, probe, {"blur": (0, 1, 4)})
        >>> curves["blur"].similarity["rsp"].shape
        (1, 3)
    """
    chosen = {name: tuple(own) for name, own in levels.items()}
    views = views_of(probe, chosen)
    reference = {head: z[0] for head, z in embed_views(query, views[:1]).items()}
    return curves_of(chosen, reference, embed_views(key, views))


def probe_pair(
    query: Branch, key: Branch, probe: Probe, perturbation: str, level: float
) -> PairClips:
    """One perturbation of one clip: the clip as c_i, its perturbed self as c_j.

    Their maps are those of :func:`analysis.explain_kind`.

    Args:
        query: Branch of the unchanged clip.
        key: Branch of the perturbed clip, may be the same.
        probe: The video.
        perturbation: One of :data:`analysis.stimuli.perturbations.PERTURBATIONS`.
        level: How much.

    Raises:
        ValueError: No such perturbation or level, or a clip or model does not fit.

    Example:
        >>> from analysis import example_branch, explain_kind, probe_pair
        >>> branch = example_branch()
        >>> frames = np.random.default_rng(0).integers(0, 256, (40, 36, 48, 3), np.uint8)
        >>> probe = video_probe(branch, StoredFrames(frames))
        >>> pair = probe_pair(branch, branch, probe, "blur", level=4)
        >>> explain_kind("contribution", pair).completeness_error < 1e-6
        True
    """
    view = probe.view
    perturbed = perturbed_view(probe, perturbation, level, unchanged=view)
    return PairClips.of(query, key, view, perturbed)
