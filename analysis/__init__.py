"""Maps of what a model's two heads attend to, and numbers that say whether to believe them.

The names below are the public ones; each module is imported when its name is first used.
"""

import ast
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

# The one list of public names: type checkers read it as imports, the package reads it as a table.
if TYPE_CHECKING:
    from analysis.attribution.captum_methods import attribute as attribute
    from analysis.attribution.class_map import classes_of_pair as classes_of_pair
    from analysis.attribution.class_map import explain_classes as explain_classes
    from analysis.attribution.fine import fine_map as fine_map
    from analysis.attribution.margin import MarginExplanation as MarginExplanation
    from analysis.attribution.margin import explain_margin as explain_margin
    from analysis.attribution.pair import HeadMaps as HeadMaps
    from analysis.attribution.pair import PairExplanation as PairExplanation
    from analysis.attribution.pair import explain_pair as explain_pair
    from analysis.attribution.pair_clips import PairClips as PairClips
    from analysis.attribution.pair_maps import KindMaps as KindMaps
    from analysis.attribution.pair_maps import PairMaps as PairMaps
    from analysis.attribution.pair_maps import all_maps as all_maps
    from analysis.attribution.pair_maps import explain_kind as explain_kind
    from analysis.attribution.pairwise import PairwiseMap as PairwiseMap
    from analysis.attribution.pairwise import explain_pairwise as explain_pairwise
    from analysis.attribution.registry import map_kinds as map_kinds
    from analysis.attribution.registry import register_map as register_map
    from analysis.attribution.retrieval.explain import explain_retrieval as explain_retrieval
    from analysis.attribution.retrieval.hit import explain_rank as explain_rank
    from analysis.attribution.retrieval.unit import explain_unit as explain_unit
    from analysis.attribution.task_map import explain_task as explain_task
    from analysis.core.clip import ClipInfo as ClipInfo
    from analysis.core.clip import View as View
    from analysis.core.clip import load_view as load_view
    from analysis.core.clip_map import ClipMap as ClipMap
    from analysis.core.closed_form import class_activation_map as class_activation_map
    from analysis.core.closed_form import contribution_map as contribution_map
    from analysis.core.closed_form import pairwise_map as pairwise_map
    from analysis.core.closed_form import pooled_map as pooled_map
    from analysis.core.closed_form import similarity_map as similarity_map
    from analysis.core.examples import example_branch as example_branch
    from analysis.core.examples import example_views as example_views
    from analysis.core.grid import Grid as Grid
    from analysis.core.ledger import SimilarityLedger as SimilarityLedger
    from analysis.core.ledger import similarity_ledger as similarity_ledger
    from analysis.core.score import Score as Score
    from analysis.core.score import extract_features as extract_features
    from analysis.core.shown import plot as plot
    from analysis.core.shown import show as show
    from analysis.core.shown import to_html as to_html
    from analysis.core.table import StudyTable as StudyTable
    from analysis.figures.figure1 import draw_figure1 as draw_figure1
    from analysis.figures.strips import draw_strip as draw_strip
    from analysis.gallery.structure import gallery_statistics as gallery_statistics
    from analysis.regions.tracks import save_tracks as save_tracks
    from analysis.regions.tracks import tracks_of as tracks_of
    from analysis.regions.tracks import tracks_of_pair as tracks_of_pair
    from analysis.report.verdict import verdict as verdict
    from analysis.stimuli.edit import edit_region as edit_region
    from analysis.stimuli.perturbed_clips import probe_pair as probe_pair
    from analysis.stimuli.perturbed_clips import responses_of_video as responses_of_video
    from analysis.studies.registry import Study as Study
    from analysis.studies.registry import get_study as get_study
    from analysis.studies.registry import list_studies as list_studies
    from analysis.studies.registry import register_study as register_study
    from analysis.studies.registry import run_study as run_study


def _modules_of_names() -> dict[str, str]:
    tree = ast.parse(Path(__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    imports = (node for node in block.body if isinstance(node, ast.ImportFrom))
    return {name.name: str(node.module) for node in imports for name in node.names}


_MODULES = _modules_of_names()
__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'analysis' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
