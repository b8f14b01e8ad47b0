"""VideoMAE and V-JEPA 2 of Hugging Face's ``transformers`` as branches.

``transformers`` is no requirement of this project: ``pip install transformers``. Nothing is
downloaded here; a model comes from a folder, or as an object.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

from torch import nn

from rspnet.models.branch import Branch
from rspnet.models.wrapped import from_module

MODELS = {"videomae": "VideoMAE", "vjepa2": "V-JEPA 2"}


def from_huggingface(
    model: Any,
    *,
    num_frames: int | None = None,
    projection: nn.Module | None = None,
    name: str | None = None,
) -> Branch:
    """A VideoMAE or V-JEPA 2 encoder as a branch; its features are the tokens of the last layer.

    Both were made for pixels normalised by ImageNet's mean and standard deviation, as
    :func:`rspnet.models.from_module` takes them by default. V-JEPA 2's predictor does not run.

    Args:
        model: A model of ``transformers``, with or without a head on it, or a folder that
            ``save_pretrained`` wrote, such as one of ``hf download NAME --local-dir FOLDER``.
        num_frames: Frames of its clips. Nothing: as configured, 16 for VideoMAE, which takes no
            other number, and 64 for V-JEPA 2.
        projection: See :func:`rspnet.models.from_module`.
        name: What reports call it; nothing for the name of the folder, or of the kind of model.

    Raises:
        ValueError: ``transformers`` is not installed, there is no such folder, it can't be read,
            it is of another kind of model, or the number of frames does not fit it.

    Example:
        >>> from rspnet.models.huggingface import from_huggingface
        >>> from_huggingface("no/such/folder")
        Traceback (most recent call last):
            ...
        ValueError: there is no folder no/such/folder: download a model with `hf download NAME \
--local-dir FOLDER`, and give the folder
    """
    if isinstance(model, str | Path):
        name = name or Path(model).name
        model = _load(Path(model))
    config = getattr(model, "config", None)
    kind = getattr(config, "model_type", None)
    if config is None or kind not in MODELS:
        raise ValueError(
            f"expected a {' or '.join(MODELS.values())} model of transformers, got "
            f"{kind or type(model).__name__}: wrap others with rspnet.models.from_module"
        )
    size = config.image_size if kind == "videomae" else config.crop_size
    own = config.num_frames if kind == "videomae" else config.frames_per_clip
    num_frames = num_frames or own
    if num_frames % config.tubelet_size or (kind == "videomae" and num_frames != own):
        fits = f"{own}" if kind == "videomae" else f"a multiple of {config.tubelet_size}"
        raise ValueError(f"num_frames of this {MODELS[kind]} is {fits}, got {num_frames}")
    encoder: nn.Module = model.base_model
    side = size // config.patch_size
    return from_module(
        encoder,
        num_frames=num_frames,
        size=size,
        features="encoder" if kind == "vjepa2" else None,
        tokens=(num_frames // config.tubelet_size, side, side),
        layout="BTCHW",
        projection=projection,
        name=name or MODELS[kind],
    )


def _load(folder: Path) -> Any:
    if not folder.is_dir():
        raise ValueError(
            f"there is no folder {folder}: download a model with `hf download NAME --local-dir "
            "FOLDER`, and give the folder"
        )
    try:
        transformers = import_module("transformers")
    except ImportError as error:
        raise ValueError(
            f"models of Hugging Face need the package transformers ({error}): "
            "pip install transformers"
        ) from error
    try:
        return transformers.AutoModel.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise ValueError(f"{folder} can't be read as a model of transformers: {error}") from error
