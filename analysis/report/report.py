"""All there is to know of a model on one page: ``python -m analysis report --out report.html``.

The page needs no other file: what the model is, whether its two heads look at different things,
then a section for every study (:mod:`analysis.studies.registry`) with what was found, its figure
and its tables, and at last examples with the largest and the smallest margins. Every number has
its interval and the number of videos that it is over. The numbers are written beside the page as
JSON, for ``python -m analysis compare`` and the dashboard::

    python -m analysis report --model M --data.name hmdb51 --data.root DIR --data.annotations DIR \\
        --out report.html

It can be stopped at any time: results lie in a folder beside the page, and the same command
resumes.
"""

from pathlib import Path

import torch

from analysis.core.models import load_branches, model_title
from analysis.core.score import extract_features
from analysis.figures.examples import (
    best_and_worst,
    draw_examples,
    draw_region_examples,
    make_example,
    make_region_examples,
    margins_of,
)
from analysis.report.page import Section, render
from analysis.report.results import (
    EXAMPLES,
    ReportConfig,
    ReportResults,
    inputs_of_report,
    measure,
    real_videos,
)
from analysis.report.sections import headline, picture, sections_of
from analysis.stimuli.triplets import encode_triplets
from analysis.studies.registry import NEEDS_HEADS, StudyInputs
from rspnet.files import atomic_path
from rspnet.models import Branch
from rspnet.names import HEAD_TITLES, HEADS


def examples_section(config: ReportConfig, inputs: StudyInputs) -> Section:
    """Pictures of the largest and smallest margins of both heads, and of maps and regions."""
    title = "Examples"
    if EXAMPLES in config.skip:
        return Section(key=EXAMPLES, title=title, skipped="named by --skip")
    if inputs.query.heads != HEADS:
        return Section(key=EXAMPLES, title=title, skipped=f"it {NEEDS_HEADS}")
    num_videos = config.num_videos if inputs.paths else config.num_synthetic
    clips = inputs.triplets(num_videos, config.seed)
    triplets = encode_triplets(inputs.query, inputs.key, clips)
    pictures, sentences = [], []
    for head in HEADS:
        maps = margins_of(triplets, head)
        places = best_and_worst([m.score for m in maps], config.num_examples)
        examples = [make_example(triplets, clips, place, maps[place]) for place in places]
        num_correct = sum(m.score > 0 for m in maps)
        sentences.append(
            f"The margin of {HEAD_TITLES[head]} is positive for {num_correct} of {len(maps)} "
            "videos."
        )
        pictures.append(
            picture(
                draw_examples(examples),
                f"{HEAD_TITLES[head]}: rows of videos with the margin map of c_i, c_j and the clip "
                "it is contrasted with",
                f"{HEAD_TITLES[head]}: the {len(examples)} videos with the largest and smallest "
                f"margins of {len(maps)} {clips.what}",
            )
        )
    num = min(8, config.num_synthetic)
    regions = make_region_examples(inputs.query, inputs.key, config.seed, num_videos=num)
    pictures.append(
        picture(
            draw_region_examples(regions),
            "Synthetic videos with the outlines of their regions and both heads' margin maps",
            "Synthetic videos with the regions of the localisation study, and both heads' margin "
            "maps of a slow and of a fast query.",
        )
    )
    return Section(
        key=EXAMPLES,
        title=title,
        finding=" ".join(sentences),
        reading=(
            "The margin is s_ij minus s_ik. Orange places make it larger, blue ones smaller, on "
            "one scale for all rows of a head."
        ),
        pictures=pictures,
    )


def _about(config: ReportConfig, query: Branch) -> list[str]:
    num_parameters = sum(p.numel() for p in query.encoder.parameters())
    size = query.size
    grid = extract_features(query, torch.zeros(3, query.num_frames, size, size)).grid
    return [
        f"{config.model}: {query.arch}, {num_parameters / 1e6:.2f} M parameters, "
        f"{query.head_kind} heads, clips of {query.num_frames} x {size} x {size}"
        if query.heads == HEADS
        else f"head {query.heads[0]!r}, clips of {query.num_frames} x {size} x {size}; random "
        "weights: layers as PyTorch initialises them, other parameters shuffled",
        f"maps of {grid}",
        f"SHA-256 {query.hash}",
    ]


def report(config: ReportConfig, command: str = "", folder: Path | None = None) -> ReportResults:
    """Measure what is not measured yet, and write the page and its numbers.

    Args:
        config: What to measure, and where to write.
        command: What the page says it was made by.
        folder: Where results are kept; several models can share one. Nothing: beside the page.

    Returns:
        What was measured, as written.

    Raises:
        ValueError: No such model or data set, or too few videos.
    """
    query, key = load_branches(config.model)
    out = Path(config.out)
    folder = folder or out.with_name(out.stem + "_parts")
    inputs = inputs_of_report(config, query, key, folder, real_videos(config))
    results = measure(config, inputs, folder)
    sections = [
        headline(results),
        *sections_of(results),
        examples_section(config, list(inputs.values())[-1]),
    ]
    results.save(out.with_suffix(".json"))
    lines = _about(config, query) + ([command] if command else [])
    with atomic_path(out) as temporary:
        temporary.write_text(render(model_title(config.model), lines, sections))
    return results
