"""An encoder with one linear classifier on its pooled features."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from rspnet.files import file_hash
from rspnet.models import Branch
from rspnet.models.heads import global_average_pool
from rspnet.weights.storage import build, read_tensors, save_tensors

FORMAT = "rspnet-classifier"


class Classifier(nn.Module):
    """v = w x + b with x the globally averaged features (Eq. 1, supplementary C).

    Args:
        branch: Gives the encoder; its projection heads are not used.
        classes: Names of the classes.
        dropout: Share of the pooled features that training leaves out.

    Shape:
        (B, 3, T, H, W) normalised float32 -> logits (B, num_classes).
    """

    def __init__(self, branch: Branch, classes: Sequence[str], dropout: float = 0.0) -> None:
        super().__init__()
        self.branch = branch
        # Heads would be parameters without a gradient.
        self.branch.projections.requires_grad_(False)
        self.classes = tuple(classes)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(branch.num_features, len(self.classes))
        nn.init.normal_(self.fc.weight, std=0.01)
        nn.init.zeros_(self.fc.bias)

    def forward(self, clips: Tensor) -> Tensor:
        """Logits of clips."""
        x = self.dropout(global_average_pool(self.branch.features(clips)))
        logits: Tensor = self.fc(x)
        return logits


def save_classifier(path: str | Path, model: Classifier, metadata: dict[str, Any]) -> Path:
    """Write a classifier as safetensors, atomically."""
    tensors = {k: v.detach().cpu().contiguous().clone() for k, v in model.state_dict().items()}
    header = {
        "format": FORMAT,
        "spec": json.dumps(model.branch.spec()),
        "classes": json.dumps(model.classes),
        "metadata": json.dumps(metadata),
    }
    return save_tensors(path, tensors, header)


def is_classifier(path: str | Path) -> bool:
    """Whether a file is what :func:`save_classifier` writes, by its header alone."""
    try:
        with safe_open(path, framework="pt") as file:
            return (file.metadata() or {}).get("format") == FORMAT
    except (SafetensorError, OSError):
        return False


def load_classifier(path: str | Path, device: str | torch.device = "cpu") -> Classifier:
    """Read what :func:`save_classifier` wrote, in eval mode.

    Raises:
        ValueError: The file is missing, damaged or something else.
    """
    path = Path(path)
    header, tensors = read_tensors(path, FORMAT, "a classifier of `python -m rspnet.finetune`")
    classes, metadata = header.get("classes"), header.get("metadata", {})
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise ValueError(f"{path}: 'classes' in its header is a list of names, got {classes!r}")
    if not isinstance(metadata, dict):
        raise ValueError(f"{path}: 'metadata' in its header is an object, got {metadata!r}")
    model = build(lambda: Classifier(Branch.from_spec(header["spec"]), classes), tensors, path)
    model.branch.hash = file_hash(path)
    model.branch.metadata = metadata
    return model.to(device).eval()
