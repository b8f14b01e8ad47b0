"""The kinds of maps that are measured against a ground truth, all from one forward pass a clip.

A *question* is a triplet as in training: c_i and c_j of one speed, c_k of the other, all of one
video. Each head then gives of c_i

- ``eq2``: Eq. 2 of supplementary C, of the pair c_i, c_j (linear heads only);
- ``contribution``: the exact contributions to the cosine of that pair;
- ``margin``: the exact contributions to the margin that the head is trained on
  (:data:`OBJECTIVES`): c_j is set against c_k, of the other *speed*, or against clips of other
  *videos*, those nearest to c_i;
- ``margin_faster``: the margin map with the sign with which it points from the slow to the fast
  clip. For fast c_i it is the margin map, for slow c_i its negative: where c_i looks fast. A head
  that reads how much moves has no sign of slowness but stillness, so what moves in a slow c_i
  lowers its margin, and the positive part of its margin map is all that stands still. About
  videos, where there is no faster one, it is the margin map;
- ``margin_deviation``: |margin - its median|, where a cell stands out, whatever the sign;
- ``margin_static``: the margin map less that of c_i frozen at its middle frame.

Three controls go with whatever is measured on these maps (:func:`with_controls`):

- *swapped heads*: the model's heads exchanged, each asked what it was trained on under its other
  name. Differences must be exactly reversed, else names and not weights make them;
- *swapped objectives*: each head is asked the other's margin. Maps of similarities do not change;
  what is left of a difference between margins is the head's, what goes is the question's;
- *random weights*: an untrained network is asked the same. What is not near zero here comes of the
  question and the architecture, and only the rest of training.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from analysis.attribution.margin import deviation, reference_map, static_clip
from analysis.core.clip import ClipInfo, Frames, View
from analysis.core.clip_map import Map
from analysis.core.closed_form import similarity_map
from analysis.core.score import ClipFeatures, Score, extract_features, hard_negatives
from rspnet.data.sampling import ClipSpec, Triplet
from rspnet.data.transforms import FrameReader, eval_clips
from rspnet.models import Branch
from rspnet.names import HEADS

KINDS = (
    "eq2", "contribution", "margin", "margin_faster", "margin_deviation", "margin_static",
)  # fmt: skip
Objective = Literal["speed", "video"]
OBJECTIVES: Mapping[str, Objective] = {"rsp": "speed", "avid": "video"}
SWAPPED_OBJECTIVES: Mapping[str, Objective] = {"rsp": "video", "avid": "speed"}
WEIGHTS = ("trained", "swapped heads", "swapped objectives", "random weights")
Views = tuple[View, View, View]


@dataclass(frozen=True)
class TripletFeatures:
    """A triplet after its four forward passes, and c_i's frozen self.

    Attributes:
        view: c_i's frames.
        c_i: By the query branch.
        still: c_i frozen at its middle frame, by the query branch.
        c_j: Same speed, by the key branch.
        c_k: Other speed, by the key branch.
    """

    view: View
    c_i: ClipFeatures
    still: ClipFeatures
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
    still = extract_features(query, static_clip(i))
    return TripletFeatures(
        i, extract_features(query, i), still, extract_features(key, j), extract_features(key, k)
    )


def kinds_of(query: Branch, key: Branch) -> tuple[str, ...]:
    """The kinds of maps that these branches have: all, or all but Eq. 2 if a head is no matrix."""
    heads = [branch.head(head) for branch in (query, key) for head in HEADS]
    return KINDS if all(isinstance(head, nn.Linear) for head in heads) else KINDS[1:]


@torch.no_grad()
def maps_of(
    question: TripletFeatures,
    head: str,
    others: Sequence[ClipFeatures],
    *,
    objective: Objective | None = None,
    num_hard_negatives: int = 5,
) -> dict[str, Map]:
    """Every kind of map of c_i by one head, (T', H', W') each.

    Args:
        question: The triplet.
        head: ``rsp`` or ``avid``.
        others: Clips of other videos by the key branch; of these the ``num_hard_negatives``
            nearest to c_i count.
        asked: What the margin is about, ``speed`` or ``video``; nothing for what the head is
            trained on.
        num_hardest: At most so many.

    Raises:
        ValueError: No such head, or a margin against other videos without any.
    """
    if head not in OBJECTIVES:
        raise ValueError(f"heads are {list(HEADS)}, got {head!r}")
    c_i, c_j = question.c_i, question.c_j
    query, key = c_i.branch, c_j.branch
    against: Sequence[ClipFeatures] = [question.c_k]
    is_slow = c_i.info.speed < question.c_k.info.speed
    if (objective or OBJECTIVES[head]) == "video":
        if not others:
            raise ValueError("this margin is against clips of other videos, got none")
        near = hard_negatives(c_i, others, head, min(num_hard_negatives, len(others)))
        against = [others[n] for n in near]
        is_slow = False
    score = Score.margin(query, head, c_j, against)
    margin = score.contributions(c_i).values
    maps: dict[str, Map] = {}
    if "eq2" in kinds_of(query, key):
        W_i, W_j = (torch.as_tensor(b.head(head).weight).double() for b in (query, key))
        eq2 = similarity_map(c_i.features.double(), c_j.features.double(), W_i, W_j)
        maps["eq2"] = eq2[0].cpu().numpy()
    maps["contribution"] = Score.similarity(query, head, c_j).contributions(c_i).values
    maps["margin"] = margin
    maps["margin_faster"] = -margin if is_slow else margin
    maps["margin_deviation"] = deviation(margin)
    maps["margin_static"] = reference_map(score, c_i, question.still).values
    return maps


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
        return Branch.from_spec(branch.spec()).to(next(branch.parameters()).device).eval()


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
    """A model or one of its controls after it was asked all questions.

    Attributes:
        weights: One of :data:`WEIGHTS`.
        questions: For each video, its questions.
        asked: What each head's margin is about.
    """

    weights: str
    questions: tuple[tuple[TripletFeatures, ...], ...]
    objective: Mapping[str, Objective]

    def maps(self, video: int, number: int, head: str) -> dict[str, Map]:
        """The maps of one question (:func:`maps_of`).

        The clips of other videos are the c_j of the question of the same number.
        """
        others = [own[number].c_j for place, own in enumerate(self.questions) if place != video]
        question = self.questions[video][number]
        return maps_of(question, head, others, objective=self.objective[head])


def with_controls(
    query: Branch,
    key: Branch,
    videos: Sequence[Sequence[Views]],
    *,
    num_random: int = 3,
    done: Callable[[], object] = lambda: None,
) -> Iterator[EvaluatedModel]:
    """Ask a model and its three controls about the same clips.

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

    def answers(query: Branch, key: Branch) -> tuple[tuple[TripletFeatures, ...], ...]:
        found = []
        for triplets in videos:
            found.append(tuple(encode_triplet(query, key, views) for views in triplets))
            done()
        return tuple(found)

    questions = answers(query, key)
    yield EvaluatedModel("trained", questions, OBJECTIVES)
    swapped = answers(with_swapped_heads(query), with_swapped_heads(key))
    yield EvaluatedModel("swapped heads", swapped, SWAPPED_OBJECTIVES)
    yield EvaluatedModel("swapped objectives", questions, SWAPPED_OBJECTIVES)
    for draw in range(num_random):
        # Before training the momentum branch is a copy of the query branch.
        branch = with_random_weights(query, draw)
        yield EvaluatedModel("random weights", answers(branch, branch), OBJECTIVES)
