"""RSPNet: relative speed perception for unsupervised video representation learning.

The names below are the public ones; each module is imported when its name is first used, so that
``import rspnet`` stays cheap.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rspnet.data.video.reader import VideoError, VideoReader
    from rspnet.models import Branch, create_encoder, list_encoders
    from rspnet.weights.checkpoint import list_models, load_model, save_model

__version__ = "0.1.0"

__all__ = [
    "Branch",
    "VideoError",
    "VideoReader",
    "create_encoder",
    "list_encoders",
    "list_models",
    "load_model",
    "save_model",
]

_HOME = {
    "Branch": "rspnet.models",
    "VideoError": "rspnet.data.video.reader",
    "VideoReader": "rspnet.data.video.reader",
    "create_encoder": "rspnet.models",
    "list_encoders": "rspnet.models",
    "list_models": "rspnet.weights.checkpoint",
    "load_model": "rspnet.weights.checkpoint",
    "save_model": "rspnet.weights.checkpoint",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'rspnet' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
