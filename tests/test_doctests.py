"""The examples in docstrings run, in both packages, and what a user calls has one."""

import doctest
import inspect
import pkgutil
import re
from importlib import import_module
from typing import Any

import pytest

import analysis
import rspnet

# Running a module named __main__ would start its command.
MODULES = sorted(
    module.name
    for package in (rspnet, analysis)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not module.name.endswith("__main__")
)
# What a user calls, and so what has an example.
SHOWN = {
    "analysis": [*analysis.__all__],
    "rspnet": [*rspnet.__all__],
    "rspnet.data.augment": ["AugmentConfig", "augment_clip"],
    "rspnet.data.datasets.labelled": ["load_video_set"],
    "rspnet.data.datasets.registry": ["register_dataset"],
    "rspnet.data.manifest": ["write_manifest"],
    "rspnet.data.sampling": [
        "clip_indices",
        "clip_span",
        "even_starts",
        "evenly_spaced",
        "pace_of",
        "sample_triplet",
    ],
    "rspnet.data.synthetic.videos": ["generate"],
    "rspnet.data.transforms": [
        "centre_crop",
        "eval_frames",
        "load_clip",
        "normalise",
        "resize_short_side",
    ],
    "rspnet.models": [
        "CellGeometry",
        "encoder_info",
        "global_average_pool",
        "register_encoder",
    ],
    "rspnet.pretext": ["avid_logits", "avid_loss", "list_methods", "rsp_loss", "rsp_margin"],
    "rspnet.retrieval.gallery": ["embed_video", "embed_videos"],
}


def code_of_examples(thing: Any) -> str:
    """What the examples in a docstring run, without those that are skipped."""
    examples = doctest.DocTestParser().get_examples(inspect.getdoc(thing) or "")
    return "".join(e.source for e in examples if not e.options.get(doctest.SKIP))


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    failed, _ = doctest.testmod(import_module(name))
    assert failed == 0


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module, names in SHOWN.items() for name in names]
)
def test_what_a_user_calls_has_an_example(module: str, name: str) -> None:
    thing = getattr(import_module(module), name)
    assert "Example:" in (inspect.getdoc(thing) or "")
    assert code_of_examples(thing)


CLASSES = [n for n in analysis.__all__ if inspect.isclass(getattr(analysis, n))]


@pytest.mark.parametrize("name", CLASSES)
def test_what_a_class_offers_is_used_in_its_examples(name: str) -> None:
    """Every public method and property, in the class's own examples or those of its methods."""
    offered = {
        key: value
        for key, value in vars(getattr(analysis, name)).items()
        if not key.startswith("_") and (inspect.isroutine(value) or isinstance(value, property))
    }
    code = "".join(map(code_of_examples, (getattr(analysis, name), *offered.values())))
    assert not [key for key in offered if not re.search(rf"(\.|def ){key}\b", code)]
