"""Encoders, projection heads and the branch that joins them."""

from rspnet.models.branch import HEADS, Branch
from rspnet.models.geometry import CellGeometry
from rspnet.models.heads import EMBEDDING_DIM, LinearHead, MLPHead, global_average_pool
from rspnet.models.registry import create_encoder, list_encoders

__all__ = [
    "EMBEDDING_DIM",
    "HEADS",
    "Branch",
    "CellGeometry",
    "LinearHead",
    "MLPHead",
    "create_encoder",
    "global_average_pool",
    "list_encoders",
]
