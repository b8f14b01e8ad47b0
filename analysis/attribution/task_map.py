"""Where a method of pre-training sees its answer: maps of a pretext task's logits.

The head of such a task (:class:`rspnet.pretext.task.TaskHead`) is piecewise linear in the features
of each clip, so that a logit is v = sum over clips, cells and channels of dv/dF times F, plus what
no cell has a share in, the *offset*. Gradient times feature is then the exact map of v, and for a
linear head it is Eq. 1, M_v = w F (supplementary C), divided by the number of cells; the offset is
its bias.

A logit says little alone: a softmax does not change if all logits rise together. What does not
depend on that is the *margin* of an answer, its logit minus the mean logit of those that it is told
from. Of answers that are speeds it is that of the fastest over the slowest, for every clip: the
counterpart of the kind of map ``margin_faster``.
"""

import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from analysis.core.clip import View
from analysis.core.clip_map import ClipMap
from analysis.core.models import is_function
from analysis.core.score import ClipFeatures, extract_features
from rspnet.models import evaluation_mode
from rspnet.pretext.task import PretextTask, load_task
from rspnet.weights.checkpoint import resolve_model

MINUS = "\N{MINUS SIGN}"
OTHERS = "others"
# Answers that are speeds in other words.
_SPEEDS = {"normal": "1x", "sped up": "2x"}


@dataclass(frozen=True, kw_only=True)
class TaskMap:
    """Where a pretext task's head sees an answer, in all clips that it answers about.

    Attributes:
        answer: Name of the answer.
        against: Names of the answers that it is told from; none for the map of its logit.
        score: The logit, or the margin, by the network itself.
        offset: What no cell has a share in, such as a bias.
        probability: Of the answer, by the softmax over itself and ``against``, or over all answers.
        maps: Of each clip. Together they sum to ``score - offset``.

    Example:
        >>> import numpy as np
        >>> from analysis import ClipMap, Grid
        >>> grid = Grid.even(cells=(2, 2, 2), clip=(8, 32, 32))
        >>> own = ClipMap(np.full((2, 2, 2), 0.1), 0.8, "task", "task", grid, exact=True)
        >>> found = TaskMap(answer="2x", against=("1x",), score=1, offset=0.2, probability=0.7,
        ...                 maps=(own,))
        >>> found.title, found.completeness_error < 1e-6
        ('2x − 1x', True)
    """

    answer: str
    against: tuple[str, ...]
    score: float
    offset: float
    probability: float
    maps: tuple[ClipMap, ...]

    @property
    def title(self) -> str:
        """What the map is of, in a few words."""
        if not self.against:
            return self.answer
        return f"{self.answer} {MINUS} {self.against[0] if len(self.against) == 1 else OTHERS}"

    @property
    def completeness_error(self) -> float:
        """|sum of all maps - (score - offset)|."""
        total = sum(float(one.values.sum()) for one in self.maps)
        return abs(total - (self.score - self.offset))


def find_task(model: str | Path) -> PretextTask | None:
    """The pretext task of a model (:mod:`analysis.core.models`); nothing if it has no head of one.

    Raises:
        ValueError: There is no such model, or it is damaged.
    """
    if is_function(model):
        return None
    path = resolve_model(model)
    if path.suffix != ".safetensors":
        return None
    try:
        with safe_open(path, framework="pt") as file:
            has_task = "task" in (file.metadata() or {})
    except SafetensorError as error:
        raise ValueError(f"{path} is not a safetensors file: {error}") from error
    return load_task(path) if has_task else None


def explain_task(
    task: PretextTask,
    clips: Sequence[View | Tensor],
    answer: str | None = None,
    against: Sequence[str] = (),
) -> TaskMap:
    """The exact map of a pretext task's logit, or of a margin of answers, in every clip.

    Args:
        task: From :func:`rspnet.pretext.task.load_task`; its model may be in any mode.
        clips: As many as the task answers about, in the order in which its head takes them.
        answer: Name of one; nothing for the likeliest.
        against: Answers whose mean logit is subtracted; see :func:`margin_of`.

    Shape:
        -> of each clip a map (T', H', W').

    Raises:
        ValueError: The model has no such head, there are more or fewer clips than it takes, a clip
            does not fit, or there is no such answer.

    Example:
        >>> from analysis import example_branch, example_views, explain_task
        >>> from rspnet.pretext.task import LinearTask, PretextTask
        >>> branch = example_branch()
        >>> head = LinearTask(branch.num_features, ["1x", "2x"])
        >>> task = PretextTask("speednet", None, branch, head)
        >>> (clip,) = example_views(1)
        >>> faster = explain_task(task, [clip], "2x", ["1x"])
        >>> faster.title, faster.maps[0].values.shape, faster.completeness_error < 1e-5
        ('2x − 1x', (2, 2, 2), True)
    """
    return explain_answer(task, task_features(task, clips), answer, against)


def task_features(task: PretextTask, clips: Sequence[View | Tensor]) -> list[ClipFeatures]:
    """The clips of one answer after their forward passes.

    Raises:
        ValueError: As :func:`explain_task`.
    """
    if not isinstance(task, PretextTask):
        raise ValueError(
            f"maps of a pretext task are of a model with the head that answers it, got "
            f"{type(task).__name__}: read one with rspnet.pretext.task.load_task"
        )
    num = task.head.num_clips
    if len(clips) != num:
        raise ValueError(
            f"{task.method} answers about {num} clips at once, got {len(clips)}: give {num}"
        )
    return [
        extract_features(task.branch, clip, name=f"clip {place}")
        for place, clip in enumerate(clips, start=1)
    ]


def explain_answer(
    task: PretextTask,
    seen: Sequence[ClipFeatures],
    answer: str | None = None,
    against: Sequence[str] = (),
) -> TaskMap:
    """:func:`explain_task` of clips that went through the encoder already.

    Raises:
        ValueError: There is no such answer.
    """
    classes = task.head.classes
    unknown = [name for name in (answer, *against) if name is not None and name not in classes]
    if unknown:
        raise ValueError(
            f"answers of {task.method} are {', '.join(classes)}, got {', '.join(unknown)}"
        )
    # Gradients are needed, whatever a caller has switched off.
    with torch.inference_mode(False), torch.enable_grad(), evaluation_mode(task.head):
        head = copy.deepcopy(task.head).double()
        with torch.no_grad():
            by_network = task.head([one.features.clone() for one in seen])[0].double()
        answer = answer or classes[int(by_network.argmax())]
        if answer in against:
            raise ValueError(f"an answer is told from other ones, got {answer} against itself")
        target = torch.zeros_like(by_network)
        target[classes.index(answer)] = 1
        for name in against:
            target[classes.index(name)] -= 1 / len(against)
        features = [one.features.double().clone().requires_grad_() for one in seen]
        score = head(features)[0] @ target
        gradients = torch.autograd.grad(score, features, allow_unused=True)
    values = [
        torch.zeros_like(F[0, 0]) if grad is None else (grad * F).sum(dim=1)[0]
        for grad, F in zip(gradients, features, strict=True)
    ]
    shares = [float(own.detach().sum()) for own in values]
    own_score = float(by_network @ target)
    offset = float(score.detach()) - sum(shares)
    told = [classes.index(name) for name in ((answer, *against) if against else classes)]
    probability = float(by_network[told].softmax(0)[told.index(classes.index(answer))])
    infos = tuple(one.info for one in seen)
    return TaskMap(
        answer=answer,
        against=tuple(against),
        score=own_score,
        offset=offset,
        probability=probability,
        maps=tuple(
            ClipMap(
                values=values[place].detach().cpu().numpy(),
                # What the network's own score leaves for this clip.
                score=own_score - offset - (sum(shares) - shares[place]),
                head="task",
                kind="task",
                grid=one.grid,
                clip=one.info,
                others=infos[:place] + infos[place + 1 :],
                model_hash=task.branch.hash,
                exact=True,
                units="share of the margin, per cell"
                if against
                else "share of the logit, per cell",
            )
            for place, one in enumerate(seen)
        ),
    )


def margin_of(classes: Sequence[str], answer: str) -> tuple[str, tuple[str, ...]]:
    """Which answer a margin is of, and those that it is told from.

    Args:
        classes: Names of the answers.
        answer: What counts where the answers are no speeds.

    Returns:
        The fastest and the slowest where all answers are speeds, such as ``2x`` and ``1x``; else
        the answer and all the others.

    Example:
        >>> margin_of(["1x", "2x", "3x", "4x"], "2x"), margin_of(["abc", "acb", "bac"], "acb")
        (('4x', ('1x',)), ('acb', ('abc', 'bac')))
    """
    matches = [re.fullmatch(r"(\d+(?:\.\d+)?)x", _SPEEDS.get(name, name)) for name in classes]
    speeds = [float(match[1]) for match in matches if match]
    if len(speeds) == len(classes) > 1:
        fastest, slowest = (classes[speeds.index(end(speeds))] for end in (max, min))
        return fastest, (slowest,)
    return answer, tuple(name for name in classes if name != answer)


def why_no_pair(task: PretextTask) -> str:
    """Why a pair of clips has no map of a task, as a sentence without a full stop; else empty.

    Example:
        >>> from analysis import example_branch
        >>> from rspnet.pretext.task import LinearTask, PretextTask
        >>> branch = example_branch()
        >>> task = PretextTask("speednet", None, branch, LinearTask(branch.num_features, ["1x"]))
        >>> why_no_pair(task)
        ''
        >>> task.head.num_clips = 3
        >>> why_no_pair(task)  # doctest: +ELLIPSIS
        'speednet answers about 3 clips of a video at once, and c_i and c_j are one clip each: ...
    """
    if task.head.num_clips == 1:
        return ""
    return (
        f"{task.method} answers about {task.head.num_clips} clips of a video at once, and c_i and "
        "c_j are one clip each: give its clips to analysis.explain_task, or measure its maps by "
        "`python -m analysis localisation`"
    )


def answers_of_pair(
    task: PretextTask, view_i: View, view_j: View
) -> tuple[tuple[TaskMap, TaskMap], tuple[TaskMap, TaskMap]]:
    """A margin and a logit in both clips of a pair, one forward pass a clip.

    Args:
        task: In any mode, and about one clip.
        view_i: c_i.
        view_j: c_j.

    Returns:
        The margin of :func:`margin_of` for the answer that is likeliest in c_i, then the logit of
        that answer; of each its maps in c_i and in c_j.

    Raises:
        ValueError: The task is about several clips at once, or a clip does not fit.

    Example:
        >>> from analysis import example_branch, example_views
        >>> from rspnet.pretext.task import LinearTask, PretextTask
        >>> branch = example_branch()
        >>> head = LinearTask(branch.num_features, ["1x", "2x"])
        >>> task = PretextTask("speednet", None, branch, head)
        >>> (margin, other), (logit, _) = answers_of_pair(task, *example_views(2))
        >>> margin.title == other.title == '2x − 1x', logit.title in head.classes
        (True, True)
    """
    if why := why_no_pair(task):
        raise ValueError(why)
    seen_i, seen_j = (task_features(task, [view]) for view in (view_i, view_j))
    logit = explain_answer(task, seen_i)
    margin = margin_of(task.head.classes, logit.answer)
    return (
        (explain_answer(task, seen_i, *margin), explain_answer(task, seen_j, *margin)),
        (logit, explain_answer(task, seen_j, logit.answer)),
    )
