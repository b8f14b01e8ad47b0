"""Maps of what a model's two heads look at, and numbers that say whether to believe them.

The names below are the public ones; each module is imported when its name is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.clip_map import ClipMap
    from analysis.clips import ClipInfo, View, load_view
    from analysis.closed_form import (
        class_activation_map,
        contribution_map,
        margin_map,
        pairwise_map,
        similarity_map,
    )
    from analysis.fine import fine_map
    from analysis.grid import Grid
    from analysis.margin import MarginExplanation, explain_margin
    from analysis.pair import HeadMaps, PairExplanation, explain_pair
    from analysis.score import Score, look_at

_HOME = {
    "ClipInfo": "clips",
    "ClipMap": "clip_map",
    "Grid": "grid",
    "HeadMaps": "pair",
    "MarginExplanation": "margin",
    "PairExplanation": "pair",
    "Score": "score",
    "View": "clips",
    "class_activation_map": "closed_form",
    "contribution_map": "closed_form",
    "explain_margin": "margin",
    "explain_pair": "pair",
    "fine_map": "fine",
    "load_view": "clips",
    "look_at": "score",
    "margin_map": "closed_form",
    "pairwise_map": "closed_form",
    "similarity_map": "closed_form",
}

__all__ = [
    "ClipInfo",
    "ClipMap",
    "Grid",
    "HeadMaps",
    "MarginExplanation",
    "PairExplanation",
    "Score",
    "View",
    "class_activation_map",
    "contribution_map",
    "explain_margin",
    "explain_pair",
    "fine_map",
    "load_view",
    "look_at",
    "margin_map",
    "pairwise_map",
    "similarity_map",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'analysis' has no attribute {name!r}")
    return getattr(import_module(f"analysis.{_HOME[name]}"), name)
