"""Encoders, projection heads and the branch that joins them."""

from rspnet.models.branch import Branch, evaluation_mode
from rspnet.models.geometry import CellGeometry
from rspnet.models.heads import EMBEDDING_DIM, LinearHead, MLPHead, global_average_pool
from rspnet.models.registry import (
    EncoderInfo,
    create_encoder,
    encoder_info,
    encoder_table,
    list_encoders,
    register_encoder,
)
from rspnet.models.wrapped import from_module

__all__ = [
    "EMBEDDING_DIM",
    "Branch",
    "CellGeometry",
    "EncoderInfo",
    "LinearHead",
    "MLPHead",
    "create_encoder",
    "encoder_info",
    "encoder_table",
    "evaluation_mode",
    "from_module",
    "global_average_pool",
    "list_encoders",
    "register_encoder",
]
