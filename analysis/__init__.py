"""Maps of what a model's two heads look at, and numbers that say whether to believe them."""

from analysis.grid import Grid
from analysis.maps import class_activation_map, contribution_map, pairwise_map, similarity_map
from analysis.pair import ClipInfo, HeadMaps, PairExplanation, explain_pair

__all__ = [
    "ClipInfo",
    "Grid",
    "HeadMaps",
    "PairExplanation",
    "class_activation_map",
    "contribution_map",
    "explain_pair",
    "pairwise_map",
    "similarity_map",
]
