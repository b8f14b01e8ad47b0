"""The picture of the planted study: its dots are the study's numbers, its maps the videos' own."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from analysis.cli.localisation import main
from analysis.core.statistics import Estimate
from analysis.figures.localisation_figure import (
    COLUMNS,
    ROWS,
    Example,
    dot,
    dot_axis,
    draw_localisation,
    make_examples,
)
from analysis.figures.style import new_figure, save
from analysis.stimuli.kinds import with_controls
from analysis.studies.localisation import localisation_study, make_scene
from analysis.studies.localisation_result import KIND_NAMES, LocalisationStudy
from rspnet.models import Branch
from rspnet.names import HEADS
from rspnet.weights.checkpoint import save_model
from tests.factories import tiny_branch


def tiny(head: str = "linear") -> Branch:
    return tiny_branch(0, head=head)


@pytest.fixture(scope="module")
def study() -> LocalisationStudy:
    model = tiny()
    return localisation_study(
        model, model, num_videos=3, num_triplets=1, num_random=1, progress=False
    )


@pytest.fixture(scope="module")
def examples(study: LocalisationStudy) -> list[Example]:
    return make_examples(tiny(), tiny(), study, num=1, num_videos=3)


def test_every_dot_is_a_number_of_the_study(study: LocalisationStudy) -> None:
    figure = draw_localisation(study, [])
    (ratios,) = figure.subfigs
    assert len(ratios.axes) == len(COLUMNS)
    for axis, region in zip(ratios.axes, COLUMNS, strict=True):
        assert axis.get_xscale() == "log"
        drawn = [
            (round(float(line.get_ydata()[0]), 2), float(line.get_xdata()[0]))
            for line in axis.lines
            if len(line.get_xdata()) == 1
        ]
        expected = []
        for weights in ("trained", "random weights"):
            for place, (kind, speed) in enumerate(ROWS):
                for head, shift in (("rsp", -0.17), ("avid", 0.17)):
                    value = study.of(weights).row(kind, head, region, speed).ratio.value
                    expected.append((round(place + shift, 2), max(value, 0.08)))
        np.testing.assert_allclose(sorted(drawn), sorted(expected))
        ceiling = study.of().row("margin", "rsp", region).ceiling.value
        lines = [float(x[0]) for x in (line.get_xdata() for line in axis.lines) if len(x) == 2]
        assert any(x == pytest.approx(ceiling) for x in lines)
    names = [label.get_text() for label in ratios.axes[0].get_yticklabels()]
    assert names[2:4] == [f"{KIND_NAMES['margin']}, 1x", f"{KIND_NAMES['margin']}, 2x"]


def test_examples_are_videos_of_the_study(
    study: LocalisationStudy, examples: list[Example]
) -> None:
    scenes = [
        make_scene(study.of().seed, n, num_frames=8, size=32, num_triplets=1) for n in range(3)
    ]
    largest = int(np.argmax([one.regions[0]["limbs"].mean() for one in scenes]))
    (example,) = examples
    np.testing.assert_array_equal(example.frames[2], scenes[largest].triplets[1][0].frames[4])
    np.testing.assert_array_equal(example.regions["limbs"], scenes[largest].regions[0]["limbs"][4])
    asking = next(with_controls(tiny(), tiny(), [one.triplets for one in scenes]))
    for number, speed in enumerate((1, 2)):
        for head in HEADS:
            values = asking.maps(largest, number, head)["margin"]
            weights = example.grid.weights(0)[4]
            expected = np.tensordot(weights, values, 1)
            np.testing.assert_allclose(example.maps[head, speed], expected)


def test_the_same_picture_each_time(study, examples, tmp_path: Path) -> None:
    first, again = (
        save(draw_localisation(study, examples), tmp_path / name, dpi=60)
        for name in ("a.png", "b.png")
    )
    assert first.read_bytes() == again.read_bytes()
    width, height = Image.open(first).size
    assert width == 420
    assert height > 200


def test_numbers_below_the_axis_stand_at_its_end() -> None:
    axis = new_figure().add_subplot()
    dot_axis(axis, ["a", "b"])
    dot(axis, 1, Estimate(0.01, 0.0, 0.5, 3), "avid", least=0.1)
    interval, point = axis.lines
    assert list(interval.get_xdata()) == [0.1, 0.5]
    assert list(point.get_xdata()) == [0.1]
    assert list(point.get_ydata()) == [1.17]
    dot(axis, 0, Estimate(2.0, 1.0, 3.0, 3), "rsp", hollow=True)
    assert len(axis.lines) == 3
    assert axis.lines[2].get_markerfacecolor() == "white"
    assert axis.get_ylim() == (1.5, -0.5)


def test_heads_of_layers_have_one_row_less() -> None:
    model = tiny("mlp")
    found = localisation_study(
        model, model, num_videos=2, num_triplets=1, num_random=1, progress=False
    )
    (ratios,) = draw_localisation(found, []).subfigs
    names = [label.get_text() for label in ratios.axes[0].get_yticklabels()]
    assert len(names) == len(ROWS) - 1
    assert KIND_NAMES["eq2"] not in names


def test_command_line_draws(tmp_path: Path, capsys) -> None:
    model = tmp_path / "m.safetensors"
    save_model(model, tiny(), tiny())
    words = [f"--model={model}", "--num_videos=2", "--num_triplets=1", "--num_random=1"]
    words.append(f"--out={tmp_path / 'p.json'}")
    assert main([*words, f"--figure={tmp_path / 'p.txt'}"]) == 2
    assert "written as .png, .svg, .pdf" in capsys.readouterr().err
    assert not (tmp_path / "p.json").exists()
    assert main([*words, f"--figure={tmp_path / 'p.pdf'}"]) == 0
    assert (tmp_path / "p.pdf").read_bytes().startswith(b"%PDF")
    assert capsys.readouterr().out.rstrip().endswith("p.pdf")
