"""Where a classifier sees a class: class activation maps, Eq. 1 of supplementary C::

    python -m analysis classes --classifier classifier.safetensors --video A.mp4 --out cam.png

Eq. 1 is M_v = w F, whose mean over all places is the score v = w x of a class (Zhou et al. 2016,
"Learning Deep Features for Discriminative Localization"). Here each value is divided by the
number of places and given its part of the bias, so that the map is signed, in units of the logit,
and sums to it. Nothing is rectified or rescaled.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from analysis.core.clip import View
from analysis.core.clip_map import ClipMap
from analysis.core.closed_form import class_activation_map
from analysis.core.score import extract_features
from rspnet.recognition.classifier import Classifier


@dataclass(frozen=True, kw_only=True)
class ClassMap:
    """Where a classifier sees one class.

    Attributes:
        name: Of the class.
        probability: By the softmax over all classes.
        clip_map: Sums to the logit.
    """

    name: str
    probability: float
    clip_map: ClipMap


@torch.no_grad()
def explain_classes(
    model: Classifier, view: View, classes: Sequence[str] = (), num: int = 3
) -> list[ClassMap]:
    """Class activation maps of a clip, from one forward pass.

    Args:
        model: In any mode.
        view: The clip.
        classes: Names; none for the ``num`` most likely.
        num: How many, if no names are given.

    Shape:
        -> of each class a map (T', H', W') that sums to its logit (Eq. 1, supplementary C).

    Raises:
        ValueError: No such class, or the clip does not fit the model.

    Example:
        >>> import numpy as np
        >>> from analysis import ClipInfo, View, example_branch, explain_classes
        >>> branch = example_branch()
        >>> from rspnet.recognition.classifier import Classifier
        >>> model = Classifier(branch, ["jump", "walk", "wave"]).eval()
        >>> frames = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8)
        >>> (walk,) = explain_classes(model, View(frames, ClipInfo()), ["walk"])
        >>> walk.name, walk.clip_map.completeness_error < 1e-6
        ('walk', True)
    """
    unknown = [name for name in classes if name not in model.classes]
    if unknown:
        raise ValueError(f"classes are {', '.join(model.classes)}, got {', '.join(unknown)}")
    if num < 1:
        raise ValueError(f"num is at least 1, got {num}")
    seen = extract_features(model.branch, view)
    F = seen.features.double()
    weight, bias = model.fc.weight.double(), model.fc.bias.double()
    logits = F.mean((2, 3, 4))[0] @ weight.T + bias
    probabilities = logits.softmax(0)
    order = logits.argsort(descending=True, stable=True)[:num].tolist()
    chosen = [model.classes.index(name) for name in classes] or order
    num_places = F[0, 0].numel()
    return [
        ClassMap(
            name=model.classes[k],
            probability=float(probabilities[k]),
            clip_map=ClipMap(
                values=((class_activation_map(F, weight[k])[0] + bias[k]) / num_places).numpy(),
                score=float(logits[k]),
                head="classifier",
                kind="logit",
                grid=seen.grid,
                clip=view.info,
                model_hash=model.branch.hash,
                exact=True,
                units="share of the logit, per cell",
            ),
        )
        for k in chosen
    ]


def classes_of_pair(
    model: Classifier, view_i: View, view_j: View
) -> tuple[tuple[ClassMap, ClassMap], tuple[ClassMap, ClassMap]]:
    """Two classes in both clips of a pair, one forward pass a clip.

    Args:
        model: In any mode.
        view_i: c_i.
        view_j: c_j.

    Returns:
        The class that is likeliest in c_i; then that which is in c_j, or, where it is the same
        one, the second likeliest in c_i. Of each its maps in c_i and in c_j.

    Raises:
        ValueError: The classifier has one class only, or a clip does not fit it.

    Example:
        >>> from analysis import classes_of_pair, example_branch, example_views
        >>> branch = example_branch()
        >>> from rspnet.recognition.classifier import Classifier
        >>> model = Classifier(branch, ["jump", "walk", "wave"]).eval()
        >>> c_i, c_j = example_views(2)
        >>> (first_i, first_j), (second_i, second_j) = classes_of_pair(model, c_i, c_j)
        >>> first_i.name == first_j.name, first_i.name == second_i.name
        (True, False)
    """
    num = len(model.classes)
    if num < 2:
        raise ValueError(f"two classes are shown, this classifier has {num}")
    of_i, of_j = (explain_classes(model, view, num=num) for view in (view_i, view_j))
    first = of_i[0].name
    second = of_j[0].name if of_j[0].name != first else of_i[1].name
    by_name_i, by_name_j = ({one.name: one for one in found} for found in (of_i, of_j))
    return (by_name_i[first], by_name_j[first]), (by_name_i[second], by_name_j[second])
