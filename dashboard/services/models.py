"""Models to choose from, without torch; and the one place where torch and weights come in."""

import hashlib
import json
import os
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from dashboard.base.arguments import CHECKPOINTS, Arguments, cache_folder, runs_folder
from dashboard.base.memory import freeze_libraries
from dashboard.services import runs
from dashboard.services.galleries import Identity, identity
from rspnet.commands.run import describe_os_error
from rspnet.files import printable
from rspnet.names import MAX_FRAMES, MAX_SIZE, check_whole

if TYPE_CHECKING:
    from rspnet.models import Branch
    from rspnet.pretext.task import PretextTask

RANDOM = "random weights"
RUN_MODEL = "model.safetensors"
MOST_RUNS = 40


@dataclass(frozen=True)
class ModelChoice:
    """The file of a model or a classifier as far as its header tells.

    Attributes:
        name: What menu and links show.
        path: The file.
        num_frames: Frames of its clips.
        size: Height and width of its clips, pixels.
        task: The method whose pretext task its head answers; empty where it has none.
    """

    name: str
    path: Path
    num_frames: int
    size: int
    task: str = ""


@dataclass(frozen=True)
class Loaded:
    """Both branches of a model and the lock that whoever uses them holds.

    Attributes:
        query: Branch of c_i, W_i.
        key: Momentum branch of c_j, W_j.
        lock: One forward pass at a time: two would only fight for the same cores.
        task: With the head of its pretext task; nothing where it has none.
    """

    query: "Branch"
    key: "Branch"
    lock: threading.Lock
    task: "PretextTask | None" = None


def list_choices(arguments: Arguments) -> list[ModelChoice]:
    """Models in the menu: the file given with ``--model`` first, then those that ship.

    Below them those of runs of pre-training in the folder of runs, named by their run, the newest
    first; and the network of the first with random weights, to compare with.
    """
    choices = []
    if arguments.model is not None:
        choices.append(describe(printable(arguments.model.stem), arguments.model))
    index = CHECKPOINTS / "index.json"
    if index.is_file():
        for entry in json.loads(index.read_text(encoding="utf-8"))["models"]:
            choices.append(describe(str(entry["name"]), CHECKPOINTS / str(entry["file"])))
    choices += _of_runs(os.fsencode(runs_folder(arguments)))
    if choices and (spec := _spec(choices[0].path)):
        key = hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:16]
        path = cache_folder() / "models" / f"random_{key}.safetensors"
        choices.append(ModelChoice(RANDOM, path, choices[0].num_frames, choices[0].size))
    unique = {choice.name: choice for choice in reversed(choices)}
    return [unique[name] for name in dict.fromkeys(choice.name for choice in choices)]


@st.cache_data(ttl=10, max_entries=4, show_spinner=False)
def _of_runs(folder: bytes) -> list[ModelChoice]:
    """The models of runs below a folder that have ended; its name need not be UTF-8."""
    root = Path(os.fsdecode(folder))
    try:
        names = runs.find(root).names
    except ValueError:  # no such folder
        return []
    found = []
    for name in names:
        try:
            path = runs.inside(root, runs.folder_of(root, name) / RUN_MODEL)
        except ValueError:  # a run of another kind, or one under way
            continue
        found.append(describe(name, path))
        if len(found) == MOST_RUNS:
            break
    return found


def _header(path: Path) -> dict[str, str]:
    """What stands before the tensors of a file; none of them is read."""
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        return file.metadata() or {}


def _spec(path: Path) -> Any:
    """How a file's branches are built, if its header says so."""
    from safetensors import SafetensorError

    try:
        return json.loads(_header(path)["spec"])
    except (SafetensorError, OSError, KeyError, ValueError, RecursionError):
        return None


def make_random(choice: ModelChoice, choices: Sequence[ModelChoice]) -> None:
    """Write the file of the choice with random weights, if it is not there yet.

    Args:
        choice: The one that was chosen; of others nothing is made.
        choices: All, the first of which has the architecture.

    Raises:
        ValueError: The architecture is none, or the file can't be written.
    """
    if choice.name != RANDOM or choice.path.is_file():
        return
    import torch

    from rspnet import Branch, save_model

    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        branch = Branch.from_spec(_spec(choices[0].path) or {})
    try:
        choice.path.parent.mkdir(parents=True, exist_ok=True)
        save_model(choice.path, branch, branch, metadata={"name": RANDOM, "steps": 0})
    except OSError as error:
        raise ValueError(
            f"the model with random weights can't be kept: {describe_os_error(error)}"
        ) from error


def describe(name: str, path: Path, num_frames: int = 16) -> ModelChoice:
    """What a file's header says; one that can't be read is reported by whoever loads it.

    Args:
        name: What menu and links show.
        path: The file.
        num_frames: What stands for the frames of its clips where the header can't be read.
    """
    from safetensors import SafetensorError

    try:
        header = _header(path)
        spec, task = json.loads(header["spec"]), json.loads(header.get("task", '{"method": ""}'))
        found = check_whole("num_frames", spec["num_frames"], MAX_FRAMES)
        size = check_whole("size", spec["size"], MAX_SIZE)
        return ModelChoice(name, path, found, size, str(task["method"]))
    except (SafetensorError, OSError, KeyError, ValueError, TypeError, OverflowError,
            RecursionError):  # fmt: skip
        return ModelChoice(name, path, num_frames, 112)


@dataclass(frozen=True)
class About:
    """What is known of a model file without loading it.

    Attributes:
        sha256: Of the file.
        spec: How its branches are built.
        metadata: What was kept with it: name, steps, data, ...
        card: The text that ships with it, Markdown; empty if there is none.
    """

    sha256: str
    spec: dict[str, Any]
    metadata: dict[str, Any]
    card: str


def about(choice: ModelChoice) -> About:
    """Hash, header and card of a model file.

    Raises:
        ValueError: The file is gone or no model.
    """
    return _about(identity(choice.path))


@st.cache_data(max_entries=16, show_spinner=False)
def _about(model: Identity) -> About:
    from safetensors import SafetensorError

    path = model.path
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        header = _header(path)
        spec, metadata = json.loads(header["spec"]), json.loads(header.get("metadata", "{}"))
        if not (isinstance(spec, dict) and isinstance(metadata, dict)):
            raise ValueError("no mappings")
    except (SafetensorError, OSError, KeyError, ValueError, TypeError, RecursionError) as error:
        raise ValueError(
            f"{printable(path)} is no model: expected a .safetensors file written by "
            "`python -m rspnet.train`"
        ) from error
    card = path.parent / "README.md"
    shipped = path.parent == CHECKPOINTS and card.is_file()
    text = card.read_text(encoding="utf-8") if shipped else ""
    # Its pictures and the documents that it refers to are files that the page does not serve.
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", text)
    text = re.sub(r"\[`?([^\]`]*)`?\]\((?!https?:)[^)]*\)", r"`\1`", text)
    return About(sha256, spec, metadata, text)


def load(choice: ModelChoice) -> Loaded:
    """Load both branches, once for all sessions.

    Raises:
        ValueError: The file is gone, no model, or does not fit its architecture.
    """
    if not choice.path.is_file():
        raise ValueError(
            f"no model {printable(choice.path)}: expected a .safetensors file written by "
            "`python -m rspnet.train`"
        )
    model = identity(choice.path)
    loaded = _load(model, bool(choice.task))
    _ready().add(model)
    return loaded


def is_loaded(choice: ModelChoice) -> bool:
    """Whether :func:`load` will return at once."""
    return choice.path.is_file() and identity(choice.path) in _ready()


@st.cache_resource(show_spinner=False)
def _ready() -> set[Identity]:
    return set()


@st.cache_resource(max_entries=2, show_spinner=False)
def _load(model: Identity, has_task: bool) -> Loaded:
    import analysis  # noqa: F401  (what pages do with a model: loaded once, with it)
    from rspnet import load_model
    from rspnet.pretext.task import load_task

    query = load_model(model.path, "query")
    loaded = Loaded(
        query=query,
        key=load_model(model.path, "key"),
        lock=threading.Lock(),
        task=replace(load_task(model.path), branch=query) if has_task else None,
    )
    freeze_libraries()
    return loaded
