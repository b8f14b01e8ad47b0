"""Classifiers of `python -m rspnet.finetune`: found below the folder of runs, without torch.

Class activation maps (Eq. 1) are of a classifier, and a pre-trained model has none.
"""

import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from dashboard.base import links
from dashboard.base.arguments import Arguments, shown_path
from dashboard.services import runs
from dashboard.services.galleries import Identity, identity
from dashboard.services.models import ModelChoice

if TYPE_CHECKING:
    from rspnet.recognition.classifier import Classifier

FILE = "classifier.safetensors"


@dataclass(frozen=True)
class ClassifierChoice:
    """A classifier as far as its header tells.

    Attributes:
        name: Its folder below the folder of runs: what menu and links show.
        path: The file.
        num_frames: Frames of its clips; 0 where the header can't be read.
        size: Height and width of its clips, pixels.
    """

    name: str
    path: Path
    num_frames: int = 0
    size: int = 112


def list_classifiers(arguments: Arguments) -> list[ClassifierChoice]:
    """Classifiers below the folder of runs, the one that was written last first."""
    root = runs.root_of(arguments)
    try:
        names = runs.find(root).names
    except ValueError:  # no such folder
        return []
    choices = []
    for name in names:
        try:
            path = runs.inside(root, root / name / FILE)
        except ValueError:  # a run of another kind, or one under way
            continue
        choices.append(_describe(name, path))
    return choices


def _describe(name: str, path: Path) -> ClassifierChoice:
    """What the header says; one that can't be read is reported by :func:`load`."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            spec = json.loads((file.metadata() or {})["spec"])
        return ClassifierChoice(name, path, int(spec["num_frames"]), int(spec["size"]))
    except (SafetensorError, OSError, KeyError, ValueError, TypeError):
        return ClassifierChoice(name, path)


def choose_classifier(link: dict[str, str], arguments: Arguments) -> ClassifierChoice | None:
    """The menu of classifiers; None where there is none.

    Args:
        link: New parameters of the link.
        arguments: Of the app.
    """
    choices = {choice.name: choice for choice in list_classifiers(arguments)}
    if not choices:
        return None
    names = list(choices)
    links.take_option("classifier", "the classifier", link.get("classifier"), names)
    name = st.selectbox("Classifier", names, key="classifier", width=190)
    return choices[name]


def what_is_needed(arguments: Arguments, model: ModelChoice) -> str:
    """What to do where there is no classifier, as Markdown.

    Args:
        arguments: Of the app.
        model: The model that is shown.
    """
    root = shown_path(runs.root_of(arguments))
    return (
        "Class activation maps (Eq. 1) are of a classifier's classes. A pre-trained model has "
        f"none, and there is no classifier below `{root}`. Train one on videos whose folders are "
        f"their labels with `python -m rspnet.finetune --model {shown_path(model.path)} "
        f"--data.name folder --data.root DIR --out {root}/actions`: it is offered here once its "
        f"`{FILE}` is written. For another folder start the app with `-- --runs DIR`."
    )


@st.cache_resource(max_entries=2, show_spinner=False)
def load(classifier: Identity) -> "tuple[Classifier, threading.Lock]":
    """A classifier and the lock that whoever uses it holds; loaded once for all sessions.

    Raises:
        ValueError: The file is damaged or no classifier.
    """
    from rspnet.recognition.classifier import load_classifier

    return load_classifier(classifier[0]), threading.Lock()


def identity_of(choice: ClassifierChoice, num_frames: int) -> Identity:
    """What tells a classifier from every other, if it takes clips of this length.

    Args:
        choice: The classifier.
        num_frames: Frames of the clips that are shown.

    Raises:
        ValueError: It is gone, or was made for clips of another length.
    """
    found = identity(choice.path)
    if choice.num_frames and choice.num_frames != num_frames:
        raise ValueError(
            f"the classifier {choice.name} takes clips of {choice.num_frames} frames, and those of "
            f"the model chosen have {num_frames}: choose a model with clips of "
            f"{choice.num_frames} frames, or another classifier"
        )
    return found
