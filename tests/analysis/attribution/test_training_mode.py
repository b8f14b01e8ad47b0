"""A model in training mode gives the maps of evaluation, and is left as it was."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from analysis import (
    ClipInfo,
    PairClips,
    Score,
    View,
    all_maps,
    attribute,
    classes_of_pair,
    explain_classes,
    explain_kind,
    explain_margin,
    explain_pair,
    explain_pairwise,
    explain_rank,
    explain_retrieval,
    extract_features,
    fine_map,
    map_kinds,
    similarity_ledger,
)
from analysis.attribution.captum_methods import preserve_model_state
from analysis.stimuli.perturbed_clips import embed_views
from analysis.studies.measures.deletion import sensitivity
from rspnet.models import Branch
from rspnet.pretext.task import LinearTask, PretextTask
from rspnet.recognition.classifier import Classifier
from rspnet.retrieval.gallery import embed_video, embed_videos, protocol_for
from tests.factories import tiny_branch

KINDS = list(map_kinds())


def views(num: int = 4) -> list[View]:
    shape = (num, 8, 32, 32, 3)
    frames = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    return [View(own, ClipInfo(f"v{n}", tuple(range(8)), 1 + n % 2))
            for n, own in enumerate(frames)]  # fmt: skip


@pytest.fixture
def branch() -> Branch:
    """In evaluation mode; its BatchNorm has seen nothing, so that other modes give other maps."""
    return tiny_branch(0)


@pytest.fixture
def classifier() -> Classifier:
    return Classifier(tiny_branch(1), ["jump", "walk", "wave"], dropout=0.5).eval()


@contextmanager
def left_as_it_was(*models: nn.Module) -> Iterator[None]:
    """Put models into a mixed training mode and hold that they come back in it, unchanged."""
    for model in models:
        model.train()
        next(m for m in model.modules() if isinstance(m, nn.BatchNorm3d)).eval()
    modes = [[m.training for m in model.modules()] for model in models]
    states = [{k: v.clone() for k, v in model.state_dict().items()} for model in models]
    yield
    assert modes == [[m.training for m in model.modules()] for model in models]
    for model, state in zip(models, states, strict=True):
        for name, tensor in model.state_dict().items():
            assert torch.equal(tensor, state[name]), name


def numbers_of(value: Any) -> list[Any]:
    """All arrays and numbers in a result, in order."""
    if isinstance(value, torch.Tensor):
        return [value.detach().numpy()]
    if isinstance(value, np.ndarray | float | int):
        return [np.asarray(value)]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [number for part in value for number in numbers_of(part)]
    if isinstance(value, nn.Module | str | Path) or value is None:
        return []
    return numbers_of(dict(getattr(value, "__dict__", {})))


def same_in_training(run: Callable[[], Any], *models: nn.Module) -> None:
    expected = numbers_of(run())
    assert expected
    with left_as_it_was(*models):
        found = numbers_of(run())
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_map(kind: str, branch: Branch, classifier: Classifier) -> None:
    i, j, k, other = views()

    task = PretextTask("toy", None, branch, LinearTask(branch.num_features, ["1x", "2x"]))

    def run() -> Any:
        clips = PairClips.of(
            branch, branch, i, j, view_k=k, others=[other], classifier=classifier, task=task
        )  # fmt: skip
        return explain_kind(kind, clips).rows

    same_in_training(run, branch, classifier)


def _score(branch: Branch) -> Score:
    return Score.similarity(branch, "rsp", extract_features(branch, views()[1]))


FUNCTIONS: dict[str, Callable[[Branch, Classifier], Any]] = {
    "extract_features": lambda b, _: extract_features(b, views()[0]),
    "score": lambda b, _: _score(b)(torch.stack([view.clip for view in views()])),
    "explain_pair": lambda b, _: explain_pair(b, b, views()[0].clip, views()[1].clip),
    "explain_margin": lambda b, _: explain_margin(b, b, "rsp", *views()[:2], views()[2:]),
    "explain_pairwise": lambda b, _: explain_pairwise(
        extract_features(b, views()[0]), extract_features(b, views()[1]), "avid"
    ),
    "all_maps": lambda b, _: all_maps(b, b, *views()[:2], kinds=["contribution"]),
    "fine_map": lambda b, _: fine_map(_score(b), views()[0].clip, 2),
    "integrated_gradients": lambda b, _: attribute(
        _score(b), views()[0], "integrated_gradients", num_steps=2
    ),
    "sensitivity": lambda b, _: sensitivity(_score(b), views()[0].clip, num_samples=2),
    "similarity_ledger": lambda b, _: similarity_ledger(b, b, "rsp", *views()[:2]),
    "embed_views": lambda b, _: embed_views(b, views()),
    "explain_classes": lambda _, c: explain_classes(c, views()[0]),
    "classes_of_pair": lambda _, c: classes_of_pair(c, *views()[:2]),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_public_functions(name: str, branch: Branch, classifier: Classifier) -> None:
    same_in_training(lambda: FUNCTIONS[name](branch, classifier), branch, classifier)


def test_galleries_and_retrieval(branch: Branch, video_folder: Path) -> None:
    paths = sorted(video_folder.rglob("*.mp4"))
    protocol = protocol_for(branch, num_clips=2)
    gallery = embed_videos(branch, paths, protocol, progress=False)
    same_in_training(lambda: embed_video(branch, paths[0], protocol), branch)
    same_in_training(lambda: embed_videos(branch, paths, protocol, progress=False).vectors, branch)
    for feature in ("backbone", "rsp"):
        same_in_training(
            lambda f=feature: explain_retrieval(branch, gallery, paths[0], f, 2), branch
        )
    same_in_training(lambda: explain_rank(branch, gallery, paths[0], "avid", 2), branch)


def test_a_model_comes_back_after_an_error(branch: Branch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no forward pass")

    handle = branch.encoder.layer4.register_forward_hook(fail)
    i, j = views(2)
    with left_as_it_was(branch):
        for run in (
            lambda: extract_features(branch, i),
            lambda: explain_pair(branch, branch, i.clip, j.clip),
            lambda: Score(branch, "rsp", torch.zeros(128))(i.clip[None]),
            lambda: embed_views(branch, [i]),
        ):
            with pytest.raises(RuntimeError, match="no forward pass"):
                run()
        with pytest.raises(RuntimeError), preserve_model_state(branch):
            raise RuntimeError
    handle.remove()
