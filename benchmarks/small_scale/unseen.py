"""Real videos without labels that no model saw: its own two tasks, and what its maps follow.

The tasks are those of :mod:`rspnet.evaluate`, maps and optical flow those of
:mod:`analysis.studies.optical_flow`, motion selectivity that of :mod:`analysis.studies.responses`,
each as ``python -m analysis`` measures it on the same videos.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from analysis.core.statistics import Estimate, difference, mean
from analysis.core.table import RSP_MINUS_AVID
from analysis.stimuli.kinds import kinds_of, with_controls
from analysis.stimuli.triplets import SEED
from analysis.studies.measures.controlled import HEADLINE_KIND, SPEEDS
from analysis.studies.optical_flow import TARGETS, correlations, load_scene
from analysis.studies.registry import StudyInputs
from analysis.studies.responses import ResponsesConfig, ResponsesStudy
from benchmarks.small_scale.localisation import seeds_text
from benchmarks.small_scale.subjects import Subject
from benchmarks.small_scale.tables import markdown, tasks_cells
from rspnet.data.listing import expand_roots
from rspnet.data.sampling import clip_span, evenly_spaced
from rspnet.data.sources import scan_files
from rspnet.names import HEADS

COLUMNS = (*HEADS, RSP_MINUS_AVID)


def read_unseen(words: Sequence[str]) -> dict[str, tuple[Path, ...]]:
    """Sets of videos from ``NAME=DIR`` or ``NAME=LIST.txt``.

    Raises:
        ValueError: A word is no such pair, a name comes twice, or fewer than two videos are there.
    """
    found: dict[str, tuple[Path, ...]] = {}
    for word in words:
        name, _, place = word.partition("=")
        if not name or not place or name in found:
            raise ValueError(
                f"unseen sets are NAME=DIR or NAME=LIST.txt, each name once, got {word!r}"
            )
        paths = tuple(expand_roots([place]))
        missing = [path for path in paths if not path.is_file()]
        if missing or len(paths) < 2:
            raise ValueError(
                f"an unseen set is two videos or more that are there: {place} names {len(paths)}, "
                f"of which {len(missing)} are missing{', such as ' if missing else ''}"
                f"{missing[0] if missing else ''}"
            )
        found[name] = paths
    return found


def measure_flow(
    subject: Subject, paths: Sequence[Path], num_videos: int, device: str
) -> dict[str, Any]:
    """How the signed margin follows optical flow: Spearman's rho of each video.

    Returns:
        ``rsp`` and ``avid``, a value a video, and ``skipped``, videos that can't be measured.

    Raises:
        ValueError: Fewer than two videos can be measured.
    """
    query, key = subject.branch("query", device), subject.branch("key", device)
    scan = scan_files(paths, clip_span(query.num_frames, max(SPEEDS)))
    skipped = {str(path): why for path, why in (*scan.unreadable, *scan.too_short)}
    scenes = []
    for place, source in enumerate(evenly_spaced(scan.usable, num_videos)):
        rng = np.random.default_rng([SEED, place])
        try:
            scenes.append(load_scene(source.path, query, size=query.size, num_triplets=1, rng=rng))
        except ValueError as error:
            skipped[str(source.path)] = str(error)
    if len(scenes) < 2:
        raise ValueError(
            f"{len(scenes)} of {len(paths)} videos can be compared with optical flow, at least two "
            f"are needed; skipped: {dict(list(skipped.items())[:3])}"
        )
    model = next(with_controls(query, key, [scene.triplets for scene in scenes]))
    kind, flow = kinds_of(query, key).index(HEADLINE_KIND), list(TARGETS).index("flow")
    rho = correlations(model, scenes)["rho"][..., kind, flow].mean(axis=1)  # (V, heads)
    own = {head: values.tolist() for head, values in zip(HEADS, rho.T, strict=True)}
    return {**own, "skipped": skipped}


def measure_selectivity(
    subject: Subject, paths: Sequence[Path], num_videos: int, device: str
) -> dict[str, Any]:
    """Motion selectivity of both heads and their difference, as estimates over videos.

    Raises:
        ValueError: Fewer than two videos are long enough for a clip at four times their speed.
    """
    query = subject.branch("query", device)
    inputs = StudyInputs(query=query, key=query, paths=tuple(paths), progress=False)
    table = ResponsesStudy().measure(inputs, ResponsesConfig(num_videos=num_videos, num_random=0))
    return {
        head: table.one(measure="perturbations", head=head)["motion_selectivity"].to_json()
        for head in COLUMNS
    }


def flow_estimates(runs: Sequence[Mapping[str, Any]]) -> dict[str, Estimate]:
    """The mean over seeds and videos of each head and of their difference, over videos."""
    rsp, avid = (np.mean([run[head] for run in runs], axis=0) for head in HEADS)
    return {"rsp": mean(rsp), "avid": mean(avid), RSP_MINUS_AVID: difference(rsp, avid)}


def unseen_table(found: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """A line for each set and model; what its method did not train has none.

    Args:
        found: By set and model ``tasks``, ``flow`` and ``selectivity``, each a list of what was
            found for a seed; any may be missing.
    """
    header = ["", "model", "RSP ordering", "A-VID top-1", "of videos"]
    header += ["margin with optical flow, rho: RSP", "A-VID", "RSP minus A-VID", "videos"]
    header += ["motion selectivity: RSP", "A-VID", "RSP minus A-VID"]
    cells = []
    for name, models in found.items():
        for model, parts in models.items():
            line = [name, model]
            line += tasks_cells(parts["tasks"]) if "tasks" in parts else ["-"] * 3
            if "flow" in parts:
                flow = flow_estimates(parts["flow"])
                line += [*(str(flow[head]) for head in COLUMNS), str(flow["rsp"].num)]
            else:
                line += ["-"] * 4
            selectivity = parts.get("selectivity")
            for head in COLUMNS:
                own = [Estimate(**run[head]) for run in selectivity] if selectivity else []
                line.append(seeds_text(own) if own else "-")
            cells.append(line)
    return markdown(header, cells, num_text=2)
