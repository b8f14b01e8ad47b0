"""Triplets of clips, the maps of c_i that are measured on them, and their controls.

A *triplet* is as in training: c_i and c_j of one speed, c_k of the other, all of one video. Each
head then gives of c_i every kind of map that is made by default
(:mod:`analysis.attribution.registry`), from one forward pass a clip. Its margin is the one that
the head is trained on (:data:`OBJECTIVES`): c_j is contrasted with c_k, of the other *speed*, or
with clips of other *videos*, those nearest to c_i.

Three controls go with whatever is measured on these maps (:func:`with_controls`):

- *swapped heads*: the model's heads exchanged, each evaluated on its own objective under its other
  name. Differences must be exactly reversed, else names and not weights make them;
- *swapped objectives*: each head is evaluated on the other's margin. Maps of similarities do not
  change; what is left of a difference between margins is the head's, what goes is the objective's;
- *random weights*: an untrained network is evaluated on the same clips. What is not near zero here
  comes of the target score and the architecture, and only the rest of training.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from analysis.attribution.pair_clips import (
    NUM_HARD_NEGATIVES,
    Negatives,
    PairClips,
    nearest_negatives,
)
from analysis.attribution.pair_clips import OBJECTIVES as OBJECTIVES
from analysis.attribution.pair_clips import Objective as Objective
from analysis.attribution.registry import default_maps, map_kind
from analysis.core.clip import ClipInfo, Frames, View, static_clip
from analysis.core.clip_map import Map
from analysis.core.score import ClipFeatures, extract_features
from rspnet.data.sampling import ClipSpec, Triplet
from rspnet.data.transforms import FrameReader, eval_clips
from rspnet.models import Branch
from rspnet.names import HEADS

KINDS = default_maps()
SWAPPED_OBJECTIVES: Mapping[str, Objective] = {"rsp": "video", "avid": "speed"}
WEIGHTS = ("trained", "swapped heads", "swapped objectives", "random weights")
Views = tuple[View, View, View]


@dataclass(frozen=True)
class TripletFeatures:
    """A triplet after its four forward passes, one of them of c_i's static clip.

    Attributes:
        view: c_i's frames.
        c_i: By the query branch.
        static: c_i stopped at its middle frame, by the query branch.
        c_j: Same speed, by the key branch.
        c_k: Other speed, by the key branch.
    """

    view: View
    c_i: ClipFeatures
    static: ClipFeatures
    c_j: ClipFeatures
    c_k: ClipFeatures


def triplet_views(reader: FrameReader, triplet: Triplet, size: int, name: str = "") -> Views:
    """c_i, c_j and c_k in the view of evaluation, every frame decoded once.

    Args:
        reader: The video.
        triplet: Which clips.
        size: Height and width in pixels.
        name: Of the video.
    """
    specs: tuple[ClipSpec, ...] = (triplet.query, triplet.same_speed, triplet.other_speed)
    frames, places = eval_clips(reader, [spec.indices for spec in specs], size)

    def view(spec: ClipSpec, own: Frames) -> View:
        return View(own, ClipInfo(name, tuple(spec.indices), spec.speed))

    i, j, k = (view(spec, frames[place]) for spec, place in zip(specs, places, strict=True))
    return i, j, k


def encode_triplet(query: Branch, key: Branch, views: Views) -> TripletFeatures:
    """Send a triplet through the branches.

    Args:
        query: Query branch, for c_i.
        key: Momentum branch, for c_j and c_k.
        views: c_i, c_j and c_k.

    Raises:
        ValueError: A clip does not fit the model.
    """
    i, j, k = views
    static = extract_features(query, static_clip(i))
    return TripletFeatures(
        i, extract_features(query, i), static, extract_features(key, j), extract_features(key, k)
    )


def kinds_of(query: Branch, key: Branch) -> tuple[str, ...]:
    """The default kinds of maps of these branches: all, or all but Eq. 2 for non-linear heads."""
    heads = [branch.head(head) for branch in (query, key) for head in HEADS]
    is_linear = all(isinstance(head, nn.Linear) for head in heads)
    return tuple(key for key in default_maps() if is_linear or key != "eq2")


@torch.no_grad()
def maps_of(
    triplet: TripletFeatures,
    head: str,
    others: Sequence[ClipFeatures],
    *,
    objective: Objective | None = None,
    num_hard_negatives: int = NUM_HARD_NEGATIVES,
) -> dict[str, Map]:
    """Every default kind of map of c_i by one head, (T', H', W') each.

    Args:
        triplet: The triplet.
        head: ``rsp`` or ``avid``.
        others: Clips of other videos by the key branch; of these the ``num_hard_negatives``
            nearest to c_i count.
        objective: What the margin tells apart, ``speed`` or ``video``; nothing for what the head
            is trained on.
        num_hard_negatives: At most so many.

    Raises:
        ValueError: No such head, or a margin against other videos without any.
    """
    if head not in OBJECTIVES:
        raise ValueError(f"heads are {list(HEADS)}, got {head!r}")
    c_i, c_j = triplet.c_i, triplet.c_j
    negatives = Negatives("speed", (triplet.c_k,))
    if (objective or OBJECTIVES[head]) == "video":
        negatives = nearest_negatives(c_i, others, head, num_hard_negatives)
    clips = PairClips(
        query=c_i.branch,
        key=c_j.branch,
        view_i=triplet.view,
        view_j=triplet.view,  # no kind of these draws on c_j's frames
        c_i=c_i,
        c_j=c_j,
        negatives={head: negatives},
        static_features={"i": triplet.static},
    )
    return {
        kind: map_kind(kind).compute(clips, head, "i").values
        for kind in kinds_of(clips.query, clips.key)
    }


def with_swapped_heads(branch: Branch) -> Branch:
    """A copy of a branch whose RSP head is the A-VID head and the other way round."""
    swapped = copy.deepcopy(branch)
    for head, other in (HEADS, HEADS[::-1]):
        swapped.projections[head] = copy.deepcopy(branch.head(other))
    return swapped


def with_random_weights(branch: Branch, seed: int) -> Branch:
    """The same architecture untrained, by a seed; torch's generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return branch.untrained().to(branch.device).eval()


def clip_size(
    branch: Branch, size: int | None, *, num_videos: int, num_triplets: int, num_random: int
) -> int:
    """Check how large a study is before its work begins.

    Args:
        branch: The model.
        size: Of clips in pixels; nothing for the model's own. A larger one gives a finer grid.
        num_videos: At least two: A-VID needs other videos.
        num_triplets: A video and speed of c_i.
        num_random: Draws of random weights.

    Returns:
        The size.

    Raises:
        ValueError: A number is too small, or the size is far from what the model was made for.
    """
    if num_videos < 2 or num_triplets < 1 or num_random < 1:
        raise ValueError(
            "give at least 2 videos, 1 triplet and 1 draw of random weights, got "
            f"num_videos={num_videos}, num_triplets={num_triplets}, num_random={num_random}"
        )
    size = branch.size if size is None else size
    if not branch.size // 2 <= size <= 4 * branch.size:
        raise ValueError(
            f"size is between half and four times the model's own {branch.size} pixels, got {size}"
        )
    return size


@dataclass(frozen=True)
class EvaluatedModel:
    """A model or one of its controls with the features of all triplets.

    Attributes:
        weights: One of :data:`WEIGHTS`.
        triplets: For each video, its triplets.
        objective: What each head's margin tells apart.
    """

    weights: str
    triplets: tuple[tuple[TripletFeatures, ...], ...]
    objective: Mapping[str, Objective]

    def maps(self, video: int, number: int, head: str) -> dict[str, Map]:
        """The maps of one triplet (:func:`maps_of`).

        The clips of other videos are the c_j of the triplet of the same number.
        """
        others = [own[number].c_j for place, own in enumerate(self.triplets) if place != video]
        triplet = self.triplets[video][number]
        return maps_of(triplet, head, others, objective=self.objective[head])


def with_controls(
    query: Branch,
    key: Branch,
    videos: Sequence[Sequence[Views]],
    *,
    num_random: int = 3,
    done: Callable[[], object] = lambda: None,
) -> Iterator[EvaluatedModel]:
    """Evaluate a model and its three controls on the same clips.

    Args:
        query: Query branch.
        key: Momentum branch.
        videos: At least two, each with as many triplets (c_i, c_j, c_k).
        num_random: Draws of random weights, each an item of its own.
        done: Called after each video of each model, ``len(videos) * (2 + num_random)`` times.

    Yields:
        In the order of :data:`WEIGHTS`.

    Raises:
        ValueError: There are fewer than two videos, or no draw of random weights.
    """
    if len(videos) < 2 or num_random < 1:
        raise ValueError(
            "A-VID needs other videos, and a control some weights: give at least 2 videos and 1 "
            f"draw of random weights, got {len(videos)} and {num_random}"
        )

    def encode(query: Branch, key: Branch) -> tuple[tuple[TripletFeatures, ...], ...]:
        found = []
        for own in videos:
            found.append(tuple(encode_triplet(query, key, views) for views in own))
            done()
        return tuple(found)

    triplets = encode(query, key)
    yield EvaluatedModel("trained", triplets, OBJECTIVES)
    swapped = encode(with_swapped_heads(query), with_swapped_heads(key))
    yield EvaluatedModel("swapped heads", swapped, SWAPPED_OBJECTIVES)
    yield EvaluatedModel("swapped objectives", triplets, SWAPPED_OBJECTIVES)
    for draw in range(num_random):
        # Before training the momentum branch is a copy of the query branch.
        branch = with_random_weights(query, draw)
        yield EvaluatedModel("random weights", encode(branch, branch), OBJECTIVES)
