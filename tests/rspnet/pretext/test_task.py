"""Methods whose answer is a class: trained by the command, read back, refused where damaged."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from rspnet.models import Branch
from rspnet.pretext.method import METHODS, register_method
from rspnet.pretext.task import Drawn, LinearTask, TaskHead, TaskMethod, load_task
from rspnet.train import main
from rspnet.weights.checkpoint import load_model, save_model

TINY = [
    "--batch_size=2", "--num_workers=0", "--log_every_steps=1", "--device=cpu", "--max_steps=2",
    "--data.size=16", "--data.num_frames=8", "--model.options={width: 2, stem_kernel: [1, 3, 3]}",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Speeds:
    """Settings of the toy."""

    num: int = 2


@pytest.fixture(autouse=True)
def toy() -> Iterator[str]:
    """Tells at which speed a clip plays."""

    @register_method("test_speeds")
    class Toy(TaskMethod):
        settings_class = Speeds

        @classmethod
        def head(cls, num_features: int, settings: Speeds) -> TaskHead:
            return LinearTask(num_features, [f"{n + 1}x" for n in range(settings.num)])

        @classmethod
        def draw(cls, source: Any, data: Any, settings: Speeds, rng: np.random.Generator) -> Drawn:
            answer = int(rng.integers(settings.num))
            return Drawn([range(0, data.num_frames * (answer + 1), answer + 1)], answer)

    yield "test_speeds"
    METHODS.remove("test_speeds")


@pytest.fixture
def model(tmp_path: Path, video_folder: Path) -> Path:
    out = [f"--data.root={video_folder}", f"--out={tmp_path / 'run'}", "--method=test_speeds"]
    assert main([*TINY, *out, "--method_options={num: 3}"]) == 0
    return tmp_path / "run" / "model.safetensors"


def damage(path: Path, task: Any) -> Path:
    """A copy whose header says something else of its task."""
    with safe_open(path, framework="pt") as file:
        header = {k: v for k, v in file.metadata().items() if k != "seal"}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    save_file(tensors, path.with_name("other.safetensors"), header | {"task": json.dumps(task)})
    return path.with_name("other.safetensors")


def test_a_trained_head_is_read_back(model: Path) -> None:
    task = load_task(model)
    assert (task.method, task.settings, task.head.classes) == (
        "test_speeds", Speeds(num=3), ("1x", "2x", "3x"),
    )  # fmt: skip
    clip = torch.randn(2, 3, 8, 16, 16)
    x = load_model(model).features(clip).mean(dim=(2, 3, 4))
    head = task.head
    assert isinstance(head, LinearTask)
    torch.testing.assert_close(task.logits([clip]), x @ head.fc.weight.T + head.fc.bias)
    with pytest.raises(ValueError, match="answers about 1 clips, got 2"):
        task.logits([clip, clip])


@pytest.mark.parametrize(
    ("task", "says"),
    [
        (3, "a method and its settings, got 3"),
        ({"method": "nope", "settings": {}}, "names one of"),
        ({"method": "rspnet", "settings": {}}, "names one of"),
        ({"method": "test_speeds", "settings": []}, "names one of"),
        ({"method": "test_speeds", "settings": {"nun": 3}}, "no setting 'nun'"),
        ({"method": "test_speeds", "settings": {"num": 4}}, "does not fit its architecture"),
    ],
)
def test_a_damaged_header_is_refused(model: Path, task: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        load_task(damage(model, task))


def test_a_model_without_a_task(tmp_path: Path) -> None:
    branch = Branch("resnet18_fine", {"width": 2}, num_frames=8, size=16)
    path = save_model(tmp_path / "a.safetensors", branch, branch)
    with pytest.raises(ValueError, match="has no head of a pretext task: take a model of one of"):
        load_task(path)
