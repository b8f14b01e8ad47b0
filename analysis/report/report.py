"""All there is to know of a model on one page: ``python -m analysis report --out report.html``.

The page needs no other file: what the model is, how well it does what it was trained on, whether
it finds videos of the same class, where both heads look against the truth of generated videos and
the movement of real ones, what moves each head, whether its maps are faithful, and its best and
worst answers. Every number stands with its interval and the videos that it is over. The numbers
are written beside the page as JSON, for ``python -m analysis compare``::

    python -m analysis report --model M --data.name hmdb51 --data.root DIR --data.annotations DIR \\
        --out report.html

Stop it when you like: parts that are done lie in a folder beside the page, and the same command
goes on.
"""

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure

from analysis.core.score import extract_features
from analysis.core.statistics import Estimate
from analysis.figures.examples import best_and_worst, draw_examples, make_example, margins_of
from analysis.figures.localisation_figure import Example as LocalisationExample
from analysis.figures.localisation_figure import draw_localisation, make_examples
from analysis.figures.response_figure import draw_responses
from analysis.figures.style import style
from analysis.report.page import Picture, Section, Table, render
from analysis.report.parts import Found, ReportConfig, measure, real_videos, triplets_of
from analysis.report.sections import (
    HEADLINE_KIND,
    NAMES,
    WHERE,
    faithfulness_section,
    flow_section,
    localisation_section,
    pretext_section,
    responses_section,
    retrieval_section,
    sanity_section,
)
from analysis.stimuli.triplets import encode_triplets
from analysis.studies.localisation_result import LocalisationStudy
from analysis.studies.response_result import Responses
from analysis.studies.selectivity import selectivity
from rspnet.commands import to_plain
from rspnet.files import atomic_path
from rspnet.models import Branch
from rspnet.names import HEADS
from rspnet.weights.checkpoint import load_model, resolve_model

FORMAT = "rspnet-report"
_TITLES = {
    "pretext": "Does it do what it was trained on?",
    "retrieval": "Does it find videos of the same class?",
    "planted": "Do the maps lie where the truth is?",
    "responses": "What moves each head?",
    "flow": "Do the maps follow movement in real video?",
    "faithfulness": "Does the score change where the maps say?",
    "sanity": "Do the maps depend on the weights?",
    "examples": "Best and worst answers",
}


def picture(figure: Figure, alt: str, caption: str, dpi: int = 130) -> Picture:
    """A figure as PNG for the page."""
    held = io.BytesIO()
    with style():
        figure.savefig(held, format="png", dpi=dpi)
    return Picture(data=held.getvalue(), alt=alt, caption=caption)


def headline(found: Found) -> Section:
    """The project's question, in a few rows: the heads, their difference, random weights."""
    rows: list[list[str | float | Estimate]] = []

    def add(name: str, heads: Sequence[Estimate], less: Estimate, random: Estimate | None) -> None:
        rows.append([name, *heads, less, "-" if random is None else random])

    if found.planted is not None:
        trained, control = found.planted.of(), found.planted.of("random weights")
        shown = {"limbs": "moving limbs", "prop": "the prop", "cues": "prop and set cues"}
        for region, words in shown.items():
            ratios = [trained.row(HEADLINE_KIND, head, region).ratio for head in HEADS]
            d = trained.difference(HEADLINE_KIND, region)
            c = control.difference(HEADLINE_KIND, region)
            if region != "limbs":  # kept there as A-VID less RSP
                d, c = (Estimate(-e.value, -e.high, -e.low, e.num) for e in (d, c))
            add(f"margin map* in {words}, over their area", ratios, d, c)
    if found.flow is not None:
        row = found.flow.of().row(HEADLINE_KIND, "flow")
        c = found.flow.of("random weights").row(HEADLINE_KIND, "flow").difference
        add("margin map* with optical flow, rho", [row.rsp, row.avid], row.difference, c)
    for kind, responses in found.responses.items():
        s = selectivity(responses)
        controls = [selectivity(control).difference for control in responses.controls]
        motion = [head.motion for head in s.heads]
        random = controls[0] if controls else None
        add(f"motion selectivity, {WHERE[kind]}", motion, s.difference, random)
    return Section(
        key="headline",
        title="Does the motion head look at motion, the appearance head at appearance?",
        reading=(
            "An interval of the difference that holds 0 shows no difference. The last column is "
            "the difference with random weights: what an untrained network shows already. "
            "* Signed towards the faster clip: a slow query's own margin map shows what stands "
            "still."
        ),
        tables=[
            Table(
                header=("measure", "RSP", "A-VID", "RSP less A-VID", "the same, random weights"),
                rows=rows,
                caption="95% intervals over videos; the sections below say how each is measured",
            )
        ],
        skipped="" if rows else "none of its measures was asked for",
    )


def examples_section(
    config: ReportConfig, query: Branch, key: Branch, videos: Sequence[Path]
) -> Section:
    """Pictures of the largest and smallest margins of both heads."""
    kind = "real" if videos else "generated"
    triplets = triplets_of(config, query, kind, videos)
    questions = encode_triplets(query, key, triplets)
    pictures, sentences = [], []
    for head in HEADS:
        maps = margins_of(questions, head)
        places = best_and_worst([m.score for m in maps], config.num_examples)
        examples = [make_example(questions, triplets, place, maps[place]) for place in places]
        right = sum(m.score > 0 for m in maps)
        sentences.append(f"{NAMES[head]} is right for {right} of {len(maps)} videos.")
        pictures.append(
            picture(
                draw_examples(examples),
                f"{NAMES[head]}: rows of videos with the margin map of c_i, c_j and what it is "
                "set against",
                f"{NAMES[head]}: the {len(examples)} videos with the largest and smallest margins "
                f"of {len(maps)} {triplets.what}",
            )
        )
    return Section(
        key="examples",
        title=_TITLES["examples"],
        answer=" ".join(sentences),
        reading=(
            "The margin is s_ij less s_ik. Orange places make it larger, blue ones smaller, on "
            "one scale for all rows of a head."
        ),
        pictures=pictures,
    )


def _responses_with_figures(found: dict[str, Responses]) -> Section:
    section = responses_section(found)
    pictures = [
        picture(
            draw_responses(responses),
            "Curves of both heads' similarity as playback speed, order, colours and frame change",
            f"How each head answers as one thing changes, {len(responses.videos)} {WHERE[kind]}: "
            "similarity to the unchanged clip, 1 for no change and 0 for the clip of another "
            "video; bands are 95% intervals over videos.",
        )
        for kind, responses in found.items()
    ]
    return replace(section, pictures=pictures)


def _localisation_with_figure(
    found: LocalisationStudy, examples: Sequence[LocalisationExample]
) -> Section:
    shown = picture(
        draw_localisation(found, examples),
        "Generated videos with their regions and both heads' margin maps; below, ratios by region "
        "and kind of map",
        f"Both heads' maps against the regions of {found.of().num_videos} generated videos; "
        "intervals over videos, open marks are random weights, dotted lines what the grid allows.",
    )
    return replace(localisation_section(found), pictures=[shown])


def sections_of(found: Found, examples: Sequence[LocalisationExample] = ()) -> list[Section]:
    """Sections of what was measured, and of what was left out with the reason.

    Args:
        found: What was measured.
        examples: Generated videos to show with their regions.
    """

    def planted(study: LocalisationStudy) -> Section:
        return _localisation_with_figure(study, examples)

    makers: dict[str, tuple[Any, Callable[[Any], Section]]] = {
        "pretext": (found.pretext, pretext_section),
        "retrieval": (found.retrieval, retrieval_section),
        "planted": (found.planted, planted),
        "responses": (found.responses, _responses_with_figures),
        "flow": (found.flow, flow_section),
        "faithfulness": (found.faithfulness, faithfulness_section),
        "sanity": (found.sanity, sanity_section),
    }
    return [
        make(value)
        if value
        else Section(key=name, title=_TITLES[name], skipped=found.skipped.get(name, "no result"))
        for name, (value, make) in makers.items()
    ]


def _about(config: ReportConfig, query: Branch) -> list[str]:
    parameters = sum(p.numel() for p in query.encoder.parameters())
    size = query.size
    grid = extract_features(query, torch.zeros(3, query.num_frames, size, size)).grid
    return [
        f"{config.model}: {query.arch}, {parameters / 1e6:.2f} M parameters, "
        f"{query.head_kind} heads, clips of {query.num_frames} x {size} x {size}",
        f"maps of {grid}",
        f"SHA-256 {query.hash}",
    ]


def report(
    config: ReportConfig, command: str = "", folder: Path | None = None
) -> tuple[Found, dict[str, Any]]:
    """Measure what is not measured yet, and write the page and its numbers.

    Args:
        config: What to measure, and where to write.
        command: What the page says it was made by.
        folder: Where parts are kept; several models can share one. Nothing: beside the page.

    Returns:
        What was measured, and the numbers as written.

    Raises:
        ValueError: No such model or data set, or too few videos.
    """
    query, key = load_model(config.model, "query"), load_model(config.model, "key")
    videos = real_videos(config) if config.has_data else []
    out = Path(config.out)
    folder = folder or out.with_name(out.stem + "_parts")
    found = measure(config, query, key, folder, videos)
    planted = make_examples(query, key, found.planted) if found.planted else []
    sections = [headline(found), *sections_of(found, planted)]
    if "examples" in config.skip:
        sections.append(Section(key="examples", title=_TITLES["examples"], skipped="not asked for"))
    else:
        sections.append(examples_section(config, query, key, videos))
    lines = _about(config, query) + ([command] if command else [])
    numbers = {
        "format": FORMAT,
        "version": 1,
        "model": config.model,
        "model_hash": query.hash,
        "config": to_plain(config),
        "found": found.to_json(),
    }
    with atomic_path(out.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(numbers, indent=1))
    page = render(f"RSPNet: {resolve_model(config.model).stem}", lines, sections)
    with atomic_path(out) as temporary:
        temporary.write_text(page)
    return found, numbers
