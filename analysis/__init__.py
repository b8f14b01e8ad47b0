"""Maps of what a model's two heads look at, and numbers that say whether to believe them.

The names below are the public ones; each module is imported when its name is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.cam import classes_of_pair, explain_classes
    from analysis.clip_map import ClipMap
    from analysis.clips import ClipInfo, View, load_view
    from analysis.closed_form import (
        class_activation_map,
        contribution_map,
        margin_map,
        pairwise_map,
        pooled_map,
        similarity_map,
    )
    from analysis.faithfulness import faithfulness_study
    from analysis.figure1 import draw_figure1
    from analysis.fine import fine_map
    from analysis.flow import flow_study
    from analysis.gallery_views import look_at_gallery
    from analysis.grid import Grid
    from analysis.maps import PairMaps, all_maps
    from analysis.margin import MarginExplanation, explain_margin
    from analysis.pair import HeadMaps, PairExplanation, explain_pair
    from analysis.pairwise import PairwiseMap, explain_pairwise
    from analysis.planted import planted_study
    from analysis.probes import probe_pair, responses_of_video
    from analysis.responses import response_study
    from analysis.retrieval import explain_retrieval
    from analysis.retrieval_rank import explain_rank
    from analysis.sanity import sanity_study
    from analysis.score import Score, look_at
    from analysis.selectivity import appearance_selectivity, motion_selectivity
    from analysis.strips import draw_strip
    from analysis.tracks import save_tracks, tracks_of, tracks_of_pair
    from analysis.witnesses import witness

_HOME = {
    "ClipInfo": "clips",
    "ClipMap": "clip_map",
    "Grid": "grid",
    "HeadMaps": "pair",
    "MarginExplanation": "margin",
    "PairExplanation": "pair",
    "PairMaps": "maps",
    "PairwiseMap": "pairwise",
    "Score": "score",
    "View": "clips",
    "all_maps": "maps",
    "appearance_selectivity": "selectivity",
    "class_activation_map": "closed_form",
    "contribution_map": "closed_form",
    "draw_figure1": "figure1",
    "draw_strip": "strips",
    "classes_of_pair": "cam",
    "explain_classes": "cam",
    "explain_margin": "margin",
    "explain_pair": "pair",
    "explain_pairwise": "pairwise",
    "explain_rank": "retrieval_rank",
    "explain_retrieval": "retrieval",
    "faithfulness_study": "faithfulness",
    "fine_map": "fine",
    "flow_study": "flow",
    "load_view": "clips",
    "look_at": "score",
    "look_at_gallery": "gallery_views",
    "margin_map": "closed_form",
    "motion_selectivity": "selectivity",
    "pairwise_map": "closed_form",
    "planted_study": "planted",
    "pooled_map": "closed_form",
    "probe_pair": "probes",
    "response_study": "responses",
    "responses_of_video": "probes",
    "sanity_study": "sanity",
    "save_tracks": "tracks",
    "similarity_map": "closed_form",
    "tracks_of": "tracks",
    "tracks_of_pair": "tracks",
    "witness": "witnesses",
}

__all__ = [
    "ClipInfo",
    "ClipMap",
    "Grid",
    "HeadMaps",
    "MarginExplanation",
    "PairExplanation",
    "PairMaps",
    "PairwiseMap",
    "Score",
    "View",
    "all_maps",
    "appearance_selectivity",
    "class_activation_map",
    "classes_of_pair",
    "contribution_map",
    "draw_figure1",
    "draw_strip",
    "explain_classes",
    "explain_margin",
    "explain_pair",
    "explain_pairwise",
    "explain_rank",
    "explain_retrieval",
    "faithfulness_study",
    "fine_map",
    "flow_study",
    "load_view",
    "look_at",
    "look_at_gallery",
    "margin_map",
    "motion_selectivity",
    "pairwise_map",
    "planted_study",
    "pooled_map",
    "probe_pair",
    "response_study",
    "responses_of_video",
    "sanity_study",
    "save_tracks",
    "similarity_map",
    "tracks_of",
    "tracks_of_pair",
    "witness",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'analysis' has no attribute {name!r}")
    return getattr(import_module(f"analysis.{_HOME[name]}"), name)
