"""The target score of a clip, exactly resolved over its places.

Every target of this package has one form. A clip's embedding by one head, at unit length, is
compared with a fixed vector t::

    score(c) = (z(c) / |z(c)|) . t

With t the unit embedding of c_j it is the similarity s (the cosine). With t the difference of two
unit embeddings it is the margin s_ij - s_ik. Maps, independent attribution methods, insertion and
deletion all evaluate a :class:`Score`, so that all of them are of one target.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from analysis.core.clip import ClipInfo, View
from analysis.core.clip_map import ClipMap
from analysis.core.closed_form import directed_map, unit_embedding
from analysis.core.grid import Grid
from rspnet.models import Branch, evaluation_mode
from rspnet.text import Brief

Kind = Literal["similarity", "margin"]


@dataclass(frozen=True, repr=False)
class ClipFeatures(Brief):
    """A clip after its one forward pass.

    Attributes:
        branch: The branch that it went through.
        features: F, (1, C, T', H', W') float32.
        embeddings: Unit embeddings of both heads as the network gives them, (128,) float32.
        grid: Where the cells of F lie in the clip.
        info: Where the clip is from.
    """

    branch: Branch
    features: Tensor
    embeddings: dict[str, Tensor]
    grid: Grid
    info: ClipInfo

    def unit(self, head: str) -> Tensor:
        """The unit embedding by one head in double precision, (D,).

        Raises:
            ValueError: No such head, or the embedding has length 0.
        """
        with torch.no_grad():
            return unit_embedding(self.features, self.branch.head(head))[0]


def check_clip(branch: Branch, clip: Tensor, name: str = "the clip") -> Tensor:
    """A clip as a batch of one.

    Raises:
        ValueError: It is not one normalised clip, or has fewer frames than the model takes.
    """
    if clip.ndim == 4:
        clip = clip[None]
    if clip.ndim != 5 or clip.shape[:2] != (1, 3):
        raise ValueError(
            f"{name} is one normalised clip (3, T, H, W) or (1, 3, T, H, W), "
            f"got shape {tuple(clip.shape)}"
        )
    if clip.shape[2] < branch.num_frames:
        raise ValueError(
            f"{name} has {clip.shape[2]} frames, this model takes {branch.num_frames}: "
            "load a longer clip"
        )
    return clip


@torch.no_grad()
def extract_features(
    branch: Branch, clip: Tensor | View, info: ClipInfo | None = None, *, name: str = "the clip"
) -> ClipFeatures:
    """Send a clip through a branch, once.

    Args:
        branch: In any mode; the clip goes through it in evaluation mode.
        clip: Normalised, (3, T, H, W), or a view.
        info: Where it is from; a view knows.
        name: What errors call it.

    Shape:
        (3, T, H, W) -> features (1, C, T', H', W'), embeddings (128,) by each head.

    Raises:
        ValueError: The clip does not fit, or the features are not finite.

    Example:
        >>> import torch
        >>> from analysis import example_branch, extract_features
        >>> branch = example_branch()
        >>> seen = extract_features(branch, torch.randn(3, 8, 32, 32))
        >>> seen.features.shape[2:], str(seen.grid)
        (torch.Size([2, 2, 2]), '2 x 2 x 2 cells')
        >>> seen.embeddings["rsp"].shape
        torch.Size([128])
    """
    if isinstance(clip, View):
        info = info or clip.info
        clip = clip.clip
    clip = check_clip(branch, clip, name).to(branch.device)
    with evaluation_mode(branch):
        F = branch.features(clip)
        embeddings = {head: z[0] for head, z in branch.project(F).items()}
    if not torch.isfinite(F).all():
        raise ValueError(
            f"the model gives features that are not finite for {name}: its weights (or the clip) "
            "hold NaN or infinity"
        )
    grid = Grid.of(branch, F.shape[2:], clip.shape[2:])
    return ClipFeatures(branch, F, embeddings, grid, info or ClipInfo())


@dataclass(frozen=True)
class Score:
    """One target: (z / |z|) . t by one head of one branch.

    Attributes:
        branch: Branch of the clip.
        head: ``rsp`` or ``avid``.
        target: t, (D,) in double precision.
        kind: ``similarity`` or ``margin``.
        others: The clips that t was made of: c_j, then its negatives.

    Example:
        >>> import torch
        >>> from analysis import Score, example_branch, extract_features
        >>> branch = example_branch()
        >>> clips = torch.randn(3, 3, 8, 32, 32)
        >>> c_i, c_j, c_k = (extract_features(branch, clip) for clip in clips)
        >>> s = Score.similarity(branch, "rsp", c_j)
        >>> margin = Score.margin(branch, "rsp", c_j, [c_k])
        >>> [score.contributions(c_i).completeness_error < 1e-6 for score in (s, margin)]
        [True, True]
        >>> s(torch.randn(4, 3, 8, 32, 32)).shape  # scores of other clips, by the network itself
        torch.Size([4])
    """

    branch: Branch
    head: str
    target: Tensor
    kind: Kind = "similarity"
    others: tuple[ClipInfo, ...] = ()

    @classmethod
    def similarity(cls, branch: Branch, head: str, c_j: ClipFeatures) -> "Score":
        """s, the cosine to c_j.

        Raises:
            ValueError: No such head, or an embedding of length 0.
        """
        return cls(branch, head, c_j.unit(head), "similarity", (c_j.info,))

    @classmethod
    def margin(
        cls, branch: Branch, head: str, c_j: ClipFeatures, against: Sequence[ClipFeatures]
    ) -> "Score":
        """The cosine to c_j minus the mean cosine to other clips.

        For RSP: one clip c_k of the other speed. For A-VID: clips of other videos, best the
        nearest ones (:func:`hard_negatives`).

        Raises:
            ValueError: No such head, no other clip, or an embedding of length 0.
        """
        if not against:
            raise ValueError("a margin is against at least one other clip, got none")
        away = torch.stack([c.unit(head) for c in against]).mean(dim=0)
        others = (c_j.info, *(c.info for c in against))
        return cls(branch, head, c_j.unit(head) - away, "margin", others)

    def __neg__(self) -> "Score":
        """The same target with the other sign: its map is the negative one."""
        return replace(self, target=-self.target)

    def __call__(self, clips_BCTHW: Tensor) -> Tensor:
        """The score of clips by the network itself, (B,) float32; gradients flow.

        Shape:
            (B, 3, T, H, W) normalised -> (B,).
        """
        with evaluation_mode(self.branch):
            scores: Tensor = self.branch(clips_BCTHW)[self.head] @ self.target.to(clips_BCTHW)
        return scores

    @torch.no_grad()
    def contributions(self, clip: ClipFeatures, kind: str = "") -> ClipMap:
        """The exact signed map of the score: it sums to it (:func:`directed_map`).

        Args:
            clip: Features of the clip, from this score's branch.
            kind: Name of the map, if not ``contribution`` or ``margin``.

        Raises:
            ValueError: The embedding has length 0 or the head is of an unknown kind.
        """
        head = self.branch.head(self.head)
        values = directed_map(clip.features.double(), head, self.target[None])[0]
        own = clip.embeddings[self.head].double() @ self.target
        return ClipMap(
            values=values.cpu().numpy(),
            score=float(own),
            head=self.head,
            kind=kind or ("contribution" if self.kind == "similarity" else "margin"),
            grid=clip.grid,
            clip=clip.info,
            others=self.others,
            model_hash=self.branch.hash,
            exact=True,
        )


def hard_negatives(
    c_i: ClipFeatures, others: Sequence[ClipFeatures], head: str, num: int = 1
) -> list[int]:
    """Which of other clips are nearest to c_i by a head, the nearest first.

    Raises:
        ValueError: ``num`` is not between 1 and the number of clips.
    """
    if not 1 <= num <= len(others):
        raise ValueError(f"num is between 1 and the {len(others)} clips, got {num}")
    near = torch.stack([c.embeddings[head] for c in others]) @ c_i.embeddings[head]
    return [int(i) for i in torch.argsort(-near, stable=True)[:num]]
