"""The commands of the studies: ``python -m analysis STUDY``, one for each that is registered."""

import sys
from collections.abc import Sequence

from analysis.figures.print import draw_figures
from analysis.figures.style import check_out, save
from analysis.studies.registry import Study, StudyConfig, get_study, inputs_of
from rspnet.commands import run_cli


def main(name: str, arguments: Sequence[str] | None = None) -> int:
    """Measure one study and write its result. Returns the exit status."""
    study = get_study(name)
    return run_cli(
        study.config,
        lambda config: run(study, config),
        arguments,
        prog=f"python -m analysis {name}",
        description=f"{study.summary} {study.question} {study.reading}",
        examples=(f"python -m analysis {name} --out {name}.json --figure {name}.png",),
        out="file",
    )


def run(study: Study[StudyConfig], config: StudyConfig) -> None:
    """Measure, write the table as JSON and the figure, and print what was found.

    Raises:
        ValueError: A setting is wrong, or the videos are not there.
    """
    if config.figure is not None:
        check_out(config.figure)
    table = study.measure(inputs_of(study, config), config)
    out = table.save(config.out or f"{study.name}.json")
    for shown in study.tables(table):
        print(shown.text(), end="\n\n")
    print(study.finding(table))
    for video, reason in table.skipped.items():
        print(f"skipped: {video}: {reason}", file=sys.stderr)
    print(f"\n{out}")
    if config.figure is not None:
        print(save(draw_figures(study.figures(table)), config.figure))
