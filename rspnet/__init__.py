"""RSPNet: relative speed perception for unsupervised video representation learning.

The names below are the public ones; each module is imported when its name is first used, so that
``import rspnet`` stays cheap.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rspnet.checkpoint import list_models, load_model, save_model
    from rspnet.data.video import VideoError, VideoReader
    from rspnet.models import Branch, create_encoder, list_encoders

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
    "VideoError": "rspnet.data.video",
    "VideoReader": "rspnet.data.video",
    "create_encoder": "rspnet.models",
    "list_encoders": "rspnet.models",
    "list_models": "rspnet.checkpoint",
    "load_model": "rspnet.checkpoint",
    "save_model": "rspnet.checkpoint",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'rspnet' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
