"""Classifiers of `python -m rspnet.finetune`: found below the folder of runs, without torch.

Class activation maps (Eq. 1) are of a classifier, and a pre-trained model has none.
"""

import threading
from typing import TYPE_CHECKING

import streamlit as st

from dashboard.base import links
from dashboard.base.arguments import Arguments, runs_folder, shown_path
from dashboard.services import runs
from dashboard.services.galleries import Identity, identity
from dashboard.services.models import ModelChoice, describe
from rspnet.files import printable

if TYPE_CHECKING:
    from rspnet.recognition.classifier import Classifier

FILE = "classifier.safetensors"


def list_classifiers(arguments: Arguments) -> list[ModelChoice]:
    """Classifiers below the folder of runs, the one that was written last first.

    The name of each is its folder below the folder of runs: what menu and links show.
    """
    root = runs_folder(arguments)
    try:
        names = runs.find(root).names
    except ValueError:  # no such folder
        return []
    choices = []
    for name in names:
        try:
            path = runs.inside(root, runs.folder_of(root, name) / FILE)
        except ValueError:  # a run of another kind, or one under way
            continue
        choices.append(describe(name, path, 0))  # 0: not known
    return choices


def choose_classifier(link: dict[str, str], arguments: Arguments) -> ModelChoice | None:
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
    root = printable(shown_path(runs_folder(arguments)))
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

    return load_classifier(classifier.path), threading.Lock()


def identity_of(choice: ModelChoice, num_frames: int) -> Identity:
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
