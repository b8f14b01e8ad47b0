"""Maps of what a model's two heads look at, and numbers that say whether to believe them.

The names below are the public ones; each module is imported when its name is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.attribution.captum_methods import witness
    from analysis.attribution.class_map import classes_of_pair, explain_classes
    from analysis.attribution.fine import fine_map
    from analysis.attribution.margin import MarginExplanation, explain_margin
    from analysis.attribution.pair import HeadMaps, PairExplanation, explain_pair
    from analysis.attribution.pairwise import PairwiseMap, explain_pairwise
    from analysis.attribution.retrieval import explain_retrieval
    from analysis.attribution.retrieval_hit import explain_rank
    from analysis.cli.maps import PairMaps, all_maps
    from analysis.core.clip import ClipInfo, View, load_view
    from analysis.core.clip_map import ClipMap
    from analysis.core.closed_form import (
        class_activation_map,
        contribution_map,
        margin_map,
        pairwise_map,
        pooled_map,
        similarity_map,
    )
    from analysis.core.grid import Grid
    from analysis.core.score import Score, extract_features
    from analysis.figures.figure1 import draw_figure1
    from analysis.figures.strips import draw_strip
    from analysis.gallery.structure import gallery_statistics
    from analysis.regions.tracks import save_tracks, tracks_of, tracks_of_pair
    from analysis.stimuli.perturbed_clips import probe_pair, responses_of_video
    from analysis.studies.registry import Study, get_study, list_studies, register_study, run_study
    from analysis.studies.table import StudyTable

_HOME = {
    "ClipInfo": "analysis.core.clip",
    "ClipMap": "analysis.core.clip_map",
    "Grid": "analysis.core.grid",
    "HeadMaps": "analysis.attribution.pair",
    "MarginExplanation": "analysis.attribution.margin",
    "PairExplanation": "analysis.attribution.pair",
    "PairMaps": "analysis.cli.maps",
    "PairwiseMap": "analysis.attribution.pairwise",
    "Score": "analysis.core.score",
    "View": "analysis.core.clip",
    "all_maps": "analysis.cli.maps",
    "class_activation_map": "analysis.core.closed_form",
    "classes_of_pair": "analysis.attribution.class_map",
    "contribution_map": "analysis.core.closed_form",
    "draw_figure1": "analysis.figures.figure1",
    "draw_strip": "analysis.figures.strips",
    "explain_classes": "analysis.attribution.class_map",
    "explain_margin": "analysis.attribution.margin",
    "explain_pair": "analysis.attribution.pair",
    "explain_pairwise": "analysis.attribution.pairwise",
    "explain_rank": "analysis.attribution.retrieval_hit",
    "explain_retrieval": "analysis.attribution.retrieval",
    "fine_map": "analysis.attribution.fine",
    "load_view": "analysis.core.clip",
    "extract_features": "analysis.core.score",
    "gallery_statistics": "analysis.gallery.structure",
    "margin_map": "analysis.core.closed_form",
    "pairwise_map": "analysis.core.closed_form",
    "pooled_map": "analysis.core.closed_form",
    "probe_pair": "analysis.stimuli.perturbed_clips",
    "responses_of_video": "analysis.stimuli.perturbed_clips",
    "save_tracks": "analysis.regions.tracks",
    "similarity_map": "analysis.core.closed_form",
    "tracks_of": "analysis.regions.tracks",
    "tracks_of_pair": "analysis.regions.tracks",
    "Study": "analysis.studies.registry",
    "StudyTable": "analysis.studies.table",
    "get_study": "analysis.studies.registry",
    "list_studies": "analysis.studies.registry",
    "register_study": "analysis.studies.registry",
    "run_study": "analysis.studies.registry",
    "witness": "analysis.attribution.captum_methods",
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
    "Study",
    "StudyTable",
    "View",
    "all_maps",
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
    "extract_features",
    "fine_map",
    "gallery_statistics",
    "get_study",
    "list_studies",
    "load_view",
    "margin_map",
    "pairwise_map",
    "pooled_map",
    "probe_pair",
    "register_study",
    "responses_of_video",
    "run_study",
    "save_tracks",
    "similarity_map",
    "tracks_of",
    "tracks_of_pair",
    "witness",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'analysis' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
