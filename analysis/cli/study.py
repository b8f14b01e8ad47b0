"""The commands of the studies: ``python -m analysis STUDY``, one for each that is registered."""

import sys
from collections.abc import Sequence

from analysis.figures.print import draw_figures
from analysis.figures.style import check_out, save
from analysis.studies.registry import Study, StudyConfig, get_study, inputs_of
from rspnet.training.config import parse_config


def main(name: str, arguments: Sequence[str] | None = None) -> int:
    """Measure one study and write its result. Returns the exit status."""
    study = get_study(name)
    try:
        config = parse_config(
            study.config,
            arguments,
            prog=f"python -m analysis {name}",
            description=f"{study.question} {study.reading}",
        )
        run(study, config)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def run(study: Study[StudyConfig], config: StudyConfig) -> None:
    """Measure, write the table as JSON and the figure, and print both for readers.

    Raises:
        ValueError: A setting is wrong, or the videos are not there.
    """
    if not config.out:
        raise ValueError("give --out FILE.json: where the result is written")
    if config.figure is not None:
        check_out(config.figure)
    table = study.measure(inputs_of(study, config), config)
    table.save(config.out)
    for shown in study.tables(table):
        print(shown.text(), end="\n\n")
    print(study.finding(table))
    for video, reason in table.skipped.items():
        print(f"skipped: {video}: {reason}", file=sys.stderr)
    print(f"\n{config.out}")
    if config.figure is not None:
        print(save(draw_figures(study.figures(table)), config.figure))
