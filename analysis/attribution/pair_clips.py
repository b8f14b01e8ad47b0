"""The clips that a map is made of: a pair, and what a margin contrasts c_j with.

Each clip goes through its branch once; every kind of map (:mod:`analysis.attribution.registry`)
takes its features and scores from here.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal

import torch

from analysis.attribution.class_map import ClassMap, classes_of_pair
from analysis.attribution.fine import fine_map_of, shifted_features
from analysis.attribution.margin import reference_map
from analysis.attribution.task_map import TaskMap, answers_of_pair
from analysis.core.clip import View, static_clip
from analysis.core.clip_map import ClipMap
from analysis.core.ledger import SimilarityLedger, ledger_of
from analysis.core.score import ClipFeatures, Score, extract_features, hard_negatives
from rspnet.models import Branch
from rspnet.names import CLASS_ROWS, HEAD_TITLES, HEADS, SIDES, TASK_ROWS, Side
from rspnet.pretext.task import PretextTask
from rspnet.recognition.classifier import Classifier
from rspnet.text import Brief

Objective = Literal["speed", "video"]
# What each head is trained to tell apart.
OBJECTIVES: Mapping[str, Objective] = {"rsp": "speed", "avid": "video"}
NUM_HARD_NEGATIVES = 5
OnPass = Callable[[int], None]


@dataclass(frozen=True)
class Negatives:
    """The clips c_k that c_j is contrasted with in a head's margin.

    Attributes:
        objective: ``speed``: one clip of c_j's video at another speed; ``video``: clips of others.
        clips: By the key branch, at least one.
    """

    objective: Objective
    clips: tuple[ClipFeatures, ...]


@dataclass(frozen=True, kw_only=True, repr=False)
class PairClips(Brief):
    """A pair of clips after their forward passes, with the negatives of each head's margin.

    Attributes:
        query: Query branch, of c_i.
        key: Momentum branch, of c_j and of the negatives.
        view_i: c_i's frames.
        view_j: c_j's frames.
        c_i: Features of c_i.
        c_j: Features of c_j.
        negatives: By head; a head that is missing has no margin.
        missing: By head, why it has no negatives, as a sentence without a full stop.
        classifier: For class maps.
        task: For maps of a pretext task.
        steps: Cells of a map along each side for one cell of the network (see
            :mod:`analysis.attribution.fine`).
        on_pass: Called with the number of clips before each forward pass of a method that needs
            many; what it raises ends the work.
        static_features: Features of the clips stopped at their middle frames, where they are known.

    Example:
        >>> from analysis import PairClips, example_branch, example_views
        >>> branch = example_branch()
        >>> c_i, c_j, c_k = example_views(3)
        >>> clips = PairClips.of(branch, branch, c_i, c_j, view_k=c_k)
        >>> clips.view("j") is c_j, clips.branch("j") is branch, clips.features("j") is clips.c_j
        (True, True, True)
        >>> s, margin = clips.similarity("rsp"), clips.margin("rsp")
        >>> clips.map_of(s, "i", "contribution").completeness_error < 1e-6
        True
        >>> clips.static_map_of(margin, "i", "margin_static").grid == clips.static("i").grid
        True
        >>> str(clips.finer(2).map_of(margin, "i", "margin").grid)
        '2 x 4 x 4 cells'
    """

    query: Branch
    key: Branch
    view_i: View
    view_j: View
    c_i: ClipFeatures
    c_j: ClipFeatures
    negatives: Mapping[str, Negatives] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    classifier: Classifier | None = None
    task: PretextTask | None = None
    steps: int = 1
    on_pass: OnPass | None = None
    static_features: dict[Side, ClipFeatures] = field(default_factory=dict, repr=False)
    _margins: dict[str, Score] = field(default_factory=dict, repr=False)
    _shifted: dict[Side, list[list[ClipFeatures]]] = field(default_factory=dict, repr=False)
    _classes: dict[str, tuple[ClassMap, ClassMap]] = field(default_factory=dict, repr=False)
    _answers: dict[str, tuple[TaskMap, TaskMap]] = field(default_factory=dict, repr=False)
    _ledgers: dict[str, SimilarityLedger] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls,
        query: Branch,
        key: Branch,
        view_i: View,
        view_j: View,
        *,
        view_k: View | None = None,
        others: Sequence[View] = (),
        num_hard_negatives: int = NUM_HARD_NEGATIVES,
        classifier: Classifier | None = None,
        task: PretextTask | None = None,
    ) -> "PairClips":
        """Send the clips through their branches.

        Args:
            query: Query branch.
            key: Momentum branch.
            view_i: c_i.
            view_j: c_j.
            view_k: c_k, of c_j's video at another speed, for the margin of RSP.
            others: Clips of other videos, for the margin of A-VID.
            num_hard_negatives: How many of ``others`` count at most, the nearest to c_i first.
            classifier: For class maps.
            task: For maps of a pretext task.

        Example:
            >>> import numpy as np
            >>> from analysis import ClipInfo, View, example_branch
            >>> branch = example_branch()
            >>> frames = np.random.default_rng(0).integers(0, 256, (3, 8, 32, 32, 3), np.uint8)
            >>> views = [View(frames[n], ClipInfo("v", tuple(range(8)), n)) for n in (1, 1, 2)]
            >>> clips = PairClips.of(branch, branch, views[0], views[1], view_k=views[2])
            >>> clips.heads_with_margin
            ('rsp',)

        Raises:
            ValueError: A clip does not fit the model.
        """
        c_i = extract_features(query, view_i, name="c_i")
        c_j = extract_features(key, view_j, name="c_j")
        if c_i.grid.clip != c_j.grid.clip:
            raise ValueError(
                "the two clips of a pair have one size, got c_i with (T, H, W) = "
                f"{c_i.grid.clip} and c_j with {c_j.grid.clip}: load both alike"
            )
        negatives: dict[str, Negatives] = {}
        if view_k is not None and "rsp" in query.heads:
            negatives["rsp"] = Negatives("speed", (extract_features(key, view_k, name="c_k"),))
        if others and "avid" in query.heads:
            seen = [extract_features(key, view, name=view.info.video) for view in others]
            negatives["avid"] = nearest_negatives(c_i, seen, "avid", num_hard_negatives)
        return cls(
            query=query,
            key=key,
            view_i=view_i,
            view_j=view_j,
            c_i=c_i,
            c_j=c_j,
            negatives=negatives,
            classifier=classifier,
            task=task,
        )

    @property
    def heads_with_margin(self) -> tuple[str, ...]:
        """The heads that have negatives."""
        return tuple(head for head in HEADS if head in self.negatives)

    @property
    def classes(self) -> dict[str, tuple[ClassMap, ClassMap]]:
        """The classifier's maps of the two classes that are shown, in c_i and in c_j.

        Raises:
            ValueError: There is no classifier, or it has one class only.

        Example:
            >>> from analysis import PairClips, example_branch, example_views
            >>> branch = example_branch()
            >>> from rspnet.recognition.classifier import Classifier
            >>> model = Classifier(branch, ["jump", "walk", "wave"]).eval()
            >>> c_i, c_j = example_views(2)
            >>> clips = PairClips.of(branch, branch, c_i, c_j, classifier=model)
            >>> list(clips.classes)
            ['class1', 'class2']
        """
        if self.classifier is None:
            raise ValueError(
                "class maps are of a classifier: give one that `python -m rspnet.finetune` wrote"
            )
        if not self._classes:
            both = classes_of_pair(self.classifier, self.view_i, self.view_j)
            self._classes.update(zip(CLASS_ROWS, both, strict=True))
        return self._classes

    @property
    def answers(self) -> dict[str, tuple[TaskMap, TaskMap]]:
        """The pretext task's maps of a margin and of a logit, in c_i and in c_j.

        Raises:
            ValueError: The model has no head of a pretext task, or one about several clips.

        Example:
            >>> from analysis import PairClips, example_branch, example_views
            >>> from rspnet.pretext.task import LinearTask, PretextTask
            >>> branch = example_branch()
            >>> head = LinearTask(branch.num_features, ["1x", "2x"])
            >>> task = PretextTask("speednet", None, branch, head)
            >>> clips = PairClips.of(branch, branch, *example_views(2), task=task)
            >>> [both[0].title for both in clips.answers.values()][0]
            '2x − 1x'
        """
        if self.task is None:
            raise ValueError(
                "maps of a pretext task are of a model with the head that answers it: take one of "
                "a method whose answer is a class (python -m rspnet.train --method NAME)"
            )
        if not self._answers:
            both = answers_of_pair(self.task, self.view_i, self.view_j)
            self._answers.update(zip(TASK_ROWS, both, strict=True))
        return self._answers

    def finer(self, steps: int) -> "PairClips":
        """The same clips with maps of ``steps`` times as many cells along each side."""
        return replace(self, steps=steps, _shifted={})

    def view(self, side: Side) -> View:
        """The frames of one clip."""
        return self.view_i if side == "i" else self.view_j

    def branch(self, side: Side) -> Branch:
        """The branch that one clip goes through."""
        return self.query if side == "i" else self.key

    def features(self, side: Side) -> ClipFeatures:
        """The features of one clip."""
        return self.c_i if side == "i" else self.c_j

    def static(self, side: Side) -> ClipFeatures:
        """The features of the clip stopped at its middle frame, from one more forward pass."""
        if side not in self.static_features:
            static = static_clip(self.view(side))
            self.static_features[side] = extract_features(self.branch(side), static)
        return self.static_features[side]

    def similarity(self, head: str, side: Side = "i") -> Score:
        """The cosine of c_i and c_j as a score of one of them.

        Raises:
            ValueError: No such head, or an embedding has length 0.
        """
        other = self.features(SIDES[side == "i"])
        return Score.similarity(self.branch(side), head, other)

    def margin(self, head: str) -> Score:
        """The margin that a head is trained on, as a score of c_i.

        Raises:
            ValueError: The head has no negatives, or an embedding has length 0.
        """
        if head not in self.negatives:
            if head not in OBJECTIVES:
                raise ValueError(
                    f"a margin is what RSP or A-VID is trained on, this encoder's head is {head!r}"
                )
            why = self.missing.get(head, "no such clip was given")
            raise ValueError(f"the margin of {HEAD_TITLES.get(head, head)} needs negatives: {why}")
        if head not in self._margins:
            clips = self.negatives[head].clips
            self._margins[head] = Score.margin(self.query, head, self.c_j, clips)
        return self._margins[head]

    def ledger(self, head: str) -> SimilarityLedger:
        """The cosine of c_i and c_j, taken apart into what stands still and what moves.

        Raises:
            ValueError: As :func:`~analysis.core.ledger.similarity_ledger`.

        Example:
            >>> from analysis import PairClips, example_branch, example_views
            >>> branch = example_branch()
            >>> clips = PairClips.of(branch, branch, *example_views(2))
            >>> clips.ledger("rsp").completeness_error < 1e-5
            True
        """
        if head not in self._ledgers:
            self._ledgers[head] = ledger_of(
                head, self.c_i, self.static("i"), self.c_j, self.static("j")
            )
        return self._ledgers[head]

    def is_slower(self, head: str) -> bool:
        """Whether c_j is the slower of the two clips that the head's margin tells apart.

        False for a margin over other videos, where neither clip is the faster one.

        Example:
            >>> import numpy as np
            >>> from analysis import ClipInfo, PairClips, View, example_branch
            >>> branch = example_branch()
            >>> frames = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8)
            >>> view, fast = (View(frames, ClipInfo(speed=speed)) for speed in (1, 2))
            >>> PairClips.of(branch, branch, view, view, view_k=fast).is_slower("rsp")
            True
        """
        own = self.negatives[head]
        speed = self.c_j.info.speed
        return own.objective == "speed" and speed < own.clips[0].info.speed

    def margin_to_faster(self, head: str) -> Score:
        """The margin, signed towards the faster of the two clips that it tells apart.

        Raises:
            ValueError: As :meth:`margin`.

        Example:
            >>> import numpy as np
            >>> from analysis import ClipInfo, PairClips, View, example_branch
            >>> branch = example_branch()
            >>> frames = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8)
            >>> view, fast = (View(frames, ClipInfo(speed=speed)) for speed in (1, 2))
            >>> clips = PairClips.of(branch, branch, view, view, view_k=fast)
            >>> bool((clips.margin_to_faster("rsp").target == -clips.margin("rsp").target).all())
            True
        """
        margin = self.margin(head)
        return -margin if self.is_slower(head) else margin

    def with_branch(self, side: Side, branch: Branch) -> "PairClips":
        """The same clips and targets with another branch, such as a random one, for one clip.

        Example:
            >>> from analysis import PairClips, example_branch, example_views
            >>> branch, other = example_branch(), example_branch()
            >>> clips = PairClips.of(branch, branch, *example_views(2))
            >>> changed = clips.with_branch("i", other)
            >>> changed.branch("i") is other, changed.features("j") is clips.c_j
            (True, True)
        """
        features = extract_features(branch, self.view(side))
        changed = replace(
            self, static_features={}, _margins={}, _shifted={}, _classes={}, _ledgers={}
        )
        if side == "i":
            return replace(changed, query=branch, c_i=features)
        return replace(changed, key=branch, c_j=features)

    def map_of(self, score: Score, side: Side, kind: str) -> ClipMap:
        """The exact map of a score in one clip, on the grid of these maps.

        Args:
            score: Of the clip's branch.
            side: Which clip.
            kind: Key of the map.
        """
        if self.steps == 1:
            return score.contributions(self.features(side), kind)
        if side not in self._shifted:
            view = self.view(side)
            self._shifted[side] = shifted_features(
                self.branch(side), view.clip, self.steps, view.info
            )
        return fine_map_of(score, self._shifted[side], kind)

    def static_map_of(self, score: Score, side: Side, kind: str) -> ClipMap:
        """The map of a score minus that of the static clip, cell by cell."""
        return reference_map(score, self.features(side), self.static(side), kind)

    @contextmanager
    def counted(self, side: Side) -> Iterator[None]:
        """Within the block, ``on_pass`` is called before each pass through a clip's encoder.

        Example:
            >>> from dataclasses import replace
            >>> from analysis import PairClips, example_branch, example_views
            >>> branch = example_branch()
            >>> c_i, c_j = example_views(2)
            >>> passes = []
            >>> clips = replace(PairClips.of(branch, branch, c_i, c_j), on_pass=passes.append)
            >>> with clips.counted("i"):
            ...     seen = branch.features(c_i.clip[None])
            >>> passes
            [1]
        """
        if self.on_pass is None:
            yield
            return
        with counted_passes(self.branch(side), self.on_pass):
            yield


@contextmanager
def counted_passes(branch: Branch, tell: OnPass) -> Iterator[None]:
    """Within the block, ``tell`` is called with the number of clips before each forward pass."""

    def before(_encoder: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        tell(len(given[0]))

    handle = branch.encoder.register_forward_pre_hook(before)
    try:
        yield
    finally:
        handle.remove()


def nearest_negatives(
    c_i: ClipFeatures, others: Sequence[ClipFeatures], head: str, num: int = NUM_HARD_NEGATIVES
) -> Negatives:
    """The clips of other videos that are nearest to c_i by a head.

    Args:
        c_i: By the query branch.
        others: By the key branch.
        head: ``rsp`` or ``avid``.
        num: At most so many.

    Raises:
        ValueError: There are no other clips.
    """
    if not others:
        raise ValueError("this margin is against clips of other videos, got none")
    near = hard_negatives(c_i, others, head, min(num, len(others)))
    return Negatives("video", tuple(others[n] for n in near))
