"""Several models side by side: ``python -m analysis compare M1 M2 ... --out compare.html``.

Models come first; all else are settings of :mod:`analysis.report.report`. Every model gets a report
of its own beside the page that puts their numbers next to each other, with ``.json`` beside each.
All models are asked about the same videos. Where values of single videos are known, the difference
to the first model is paired video by video; elsewhere each model has its own interval, and two
intervals that overlap do not say that there is no difference.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.core.statistics import Estimate, estimate
from analysis.report.page import Section, Table, render
from analysis.report.parts import Found, ReportConfig
from analysis.report.report import report
from analysis.report.sections import HEADLINE_KIND, NAMES, WHERE
from analysis.studies.response_result import Responses
from analysis.studies.selectivity import find_measure, group_drop, motion_selectivity
from rspnet.files import atomic_path
from rspnet.names import HEADS
from rspnet.weights.checkpoint import load_model

FORMAT = "rspnet-compare"
Floats = NDArray[np.float64]
Row = tuple[str, list[Estimate | None]]


def rows_of(found: Sequence[Found]) -> list[Row]:
    """A line a measure, a number a model; nothing where it was not measured."""
    rows: dict[str, list[Estimate | None]] = {}

    def put(name: str, place: int, value: Estimate) -> None:
        rows.setdefault(name, [None] * len(found))[place] = value

    for place, one in enumerate(found):
        for kind, weights in one.pretext.items():
            r = weights["trained"]["result"]
            for name, value, interval in (
                ("RSP, right order", r["rsp_accuracy"], r["rsp_interval"]),
                ("A-VID, top-1", r["avid_top1"], r["avid_interval"]),
            ):
                estimate = Estimate(value, interval[0], interval[1], r["num_videos"])
                put(f"{name}, {WHERE[kind]}", place, estimate)
        if one.retrieval is not None:
            for feature, r in one.retrieval["features"].items():
                for k, value in r["top_k"].items():
                    low, high = r["interval"][k]
                    name = f"retrieval, {NAMES[feature]}, top-{k} in %"
                    put(name, place, Estimate(value, low, high, r["num_queries"]))
        if one.planted is not None:
            trained = one.planted.of()
            for region, words in (("limbs", "moving limbs"), ("cues", "prop and set cues")):
                for head in HEADS:
                    ratio = trained.row(HEADLINE_KIND, head, region).ratio
                    put(
                        f"margin map to faster in {words} over their area, {NAMES[head]}",
                        place,
                        ratio,
                    )
        if one.flow is not None:
            row = one.flow.of().row(HEADLINE_KIND, "flow")
            for head in HEADS:
                put(
                    f"margin map to faster with optical flow, rho, {NAMES[head]}",
                    place,
                    getattr(row, head),
                )
        for kind, responses in one.responses.items():
            for head in HEADS:
                name = f"motion selectivity, {NAMES[head]}, {WHERE[kind]}"
                put(name, place, motion_selectivity(responses, head))
        for kind, faith in one.faithfulness.items():
            for head in HEADS:
                curve = faith.curve(head, "margin", "blur", "deletion")
                name = f"deletion of the margin, better than random, {NAMES[head]}, {WHERE[kind]}"
                put(name, place, curve.over_random)
    return list(rows.items())


def selectivity_gain(other: Responses, first: Responses, head: str) -> Estimate:
    """Motion selectivity by ``other`` less that by ``first``, paired by video.

    Raises:
        ValueError: They were not asked about the same videos.
    """
    if other.videos != first.videos:
        raise ValueError("a paired difference is over the same videos")
    parts = find_measure("changes")
    columns = [
        group_drop(responses, head, changes)
        for responses in (other, first)
        for changes in (parts.motion, parts.appearance)
    ]

    def gain(*drops: Floats) -> Floats:
        m, a, m_first, a_first = (np.clip(drop.mean(axis=1), 0, None) for drop in drops)
        return np.asarray(m / (m + a) - m_first / (m_first + a_first), np.float64)

    return estimate(columns, gain)


def paired_rows(found: Sequence[Found]) -> list[Row]:
    """Motion selectivity less that of the first model, paired by video."""
    rows: list[Row] = []
    kinds = [kind for kind in found[0].responses if all(kind in one.responses for one in found)]
    for kind in kinds:
        first: Responses = found[0].responses[kind]
        others = [one.responses[kind] for one in found[1:]]
        if any(other.videos != first.videos for other in others):
            continue  # models whose clips differ in length can't use the same videos
        for head in HEADS:
            values: list[Estimate | None] = [
                selectivity_gain(other, first, head) for other in others
            ]
            rows.append((f"motion selectivity, {NAMES[head]}, {WHERE[kind]}", values))
    return rows


def _table(header: Sequence[str], rows: Sequence[Row], caption: str) -> Table:
    cells = [
        [name, *("-" if value is None else value for value in values)] for name, values in rows
    ]
    return Table(header=("measure", *header), rows=cells, caption=caption)


def _file_names(models: Sequence[str]) -> list[str]:
    """A short name for each model's report."""
    names: list[str] = []
    for model in models:
        stem = re.sub(r"[^\w.-]+", "_", Path(model).stem) or "model"
        name = stem
        while name in names or name == "compare":
            name = f"{stem}-{len(names)}"
        names.append(name)
    return names


def compare(models: Sequence[str], config: ReportConfig, command: str = "") -> Path:
    """Report on every model and put the numbers side by side.

    Args:
        models: Model files or names of shipped models, at least two.
        config: Settings of the reports; its ``model`` is not used, the folder of its ``out`` is
            where everything is written.
        command: What the page says it was made by.

    Returns:
        The page.

    Raises:
        ValueError: There are fewer than two models, two are the same file, or as
            :func:`analysis.report.report.report`.
    """
    if len(models) < 2:
        raise ValueError(f"a comparison is of at least two models, got {len(models)}")
    hashes = [load_model(model).hash for model in models]
    if len(set(hashes)) < len(hashes):
        raise ValueError(f"two of the models are the same file: {', '.join(models)}")
    out = Path(config.out)
    names = _file_names(models)
    found = []
    for model, name in zip(models, names, strict=True):
        own = replace(config, model=model, out=str(out.with_name(f"{name}.html")))
        found.append(report(own, command, folder=out.with_name(f"{out.stem}_parts"))[0])
    rows, paired = rows_of(found), paired_rows(found)
    tables = [_table(names, rows, "every number with its own 95% interval")]
    if paired:
        header = [f"{name} less {names[0]}" for name in names[1:]]
        tables.append(_table(header, paired, "differences paired by video, 95% interval"))
    section = Section(
        key="compare",
        title="Numbers side by side",
        reading=(
            "All models were asked about the same videos, so intervals that overlap do not say "
            "that two models are alike; a paired difference whose interval leaves out 0 says that "
            "they are not."
        ),
        tables=tables,
    )
    numbers: dict[str, Any] = {
        "format": FORMAT,
        "version": 1,
        "models": dict(zip(names, hashes, strict=True)),
        "rows": {n: [v.to_json() if v else None for v in values] for n, values in rows},
        "paired": {n: [v.to_json() if v else None for v in values] for n, values in paired},
    }
    with atomic_path(out.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(numbers, indent=1))
    lines = [f"{name}: {model}" for name, model in zip(names, models, strict=True)]
    lines += [f"each has a page of its own: {', '.join(f'{name}.html' for name in names)}"]
    with atomic_path(out) as temporary:
        temporary.write_text(
            render("RSPNet: models compared", lines + ([command] if command else []), [section])
        )
    return out
