"""Randomising a model from its heads down: what is changed, what is compared, the verdict."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from analysis.cli.study import main
from analysis.core.clip import ClipInfo, View
from analysis.core.statistics import Estimate, rank_correlation
from analysis.core.table import Row, StudyTable
from analysis.stimuli.triplets import Triplets, encode_triplets, scores_of
from analysis.studies.registry import StudyInputs
from analysis.studies.sanity import (
    LIMIT,
    OTHER_VIDEO,
    Sanity,
    SanityConfig,
    passes,
    randomised,
    steps_of,
)
from rspnet.models import Branch
from rspnet.weights.checkpoint import save_model


def make_branch(arch: str = "resnet18_fine") -> Branch:
    torch.manual_seed(3)
    options = {"width": 4} if arch.startswith("resnet") else {}
    branch = Branch(arch, options, num_frames=8, size=32).eval()
    with torch.no_grad():  # statistics as after training
        for module in branch.modules():
            if isinstance(module, torch.nn.BatchNorm3d):
                module.running_mean.normal_()
    return branch


def noise(num: int) -> Triplets:
    rng = np.random.default_rng(0)

    def view() -> View:
        return View(rng.integers(0, 256, (8, 32, 32, 3), dtype=np.uint8), ClipInfo())

    views = tuple((view(), view(), view()) for _ in range(num))
    return Triplets(views=views, what="videos of noise")


@pytest.fixture(scope="module")
def result() -> StudyTable:
    branch = make_branch()
    inputs = StudyInputs(query=branch, key=branch, progress=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StudyInputs, "triplets", lambda _, num_videos, seed: noise(num_videos))
        return Sanity().measure(inputs, SanityConfig(num_videos=3, num_random=2))


def test_the_cascade_goes_from_the_heads_to_the_first_convolution() -> None:
    assert steps_of(make_branch()) == [
        ("heads", ("projections",)),
        ("layer4", ("encoder.layer4",)),
        ("layer3", ("encoder.layer3",)),
        ("layer2", ("encoder.layer2",)),
        ("layer1", ("encoder.layer1",)),
        ("conv1", ("encoder.conv1", "encoder.bn1")),
    ]


@pytest.mark.parametrize("arch", ["resnet18_fine", "c3d", "r3d_18", "s3d"])
def test_the_last_step_leaves_nothing_of_the_trained_weights(arch: str) -> None:
    branch = make_branch(arch)
    paths = [path for _, own in steps_of(branch) for path in own]
    names = [name for name, _ in branch.named_parameters()]
    left = [n for n in names if not any(n == p or n.startswith(f"{p}.") for p in paths)]
    assert left == []
    assert len(steps_of(branch)) > 3


def test_a_step_changes_its_own_layers_alone_with_their_statistics() -> None:
    branch = make_branch()
    before = {name: value.clone() for name, value in branch.state_dict().items()}
    changed = randomised(branch, ("projections", "encoder.layer4"), 0).state_dict()
    for name, value in branch.state_dict().items():
        assert torch.equal(value, before[name])  # the branch itself stays
        own = name.startswith(("projections.", "encoder.layer4."))
        if not own:
            assert torch.equal(changed[name], value)
        elif name.endswith(("conv1.weight", "rsp.weight", "running_mean")):
            assert not torch.equal(changed[name], value)
    again = randomised(branch, ("projections", "encoder.layer4"), 0).state_dict()
    other = randomised(branch, ("projections", "encoder.layer4"), 1).state_dict()
    name = "projections.rsp.weight"
    assert torch.equal(changed[name], again[name])
    assert not torch.equal(changed[name], other[name])


def test_rows_are_the_correlations_of_maps_made_by_hand(result: StudyTable) -> None:
    branch, triplets = make_branch(), noise(3)
    trained = encode_triplets(branch, branch, triplets)
    values = []
    for draw in range(2):
        other = randomised(branch, ("projections",), draw)
        other_maps = encode_triplets(other, other, triplets)
        for number in range(3):
            a, b = (
                scores_of(questions, number)["rsp", "margin"]
                .contributions(questions[number].c_i)
                .values
                for questions in (trained, other_maps)
            )
            values.append((rank_correlation(a, b), rank_correlation(abs(a), abs(b))))
    signed, absolute = np.mean(values, axis=0)
    keys = {"head": "rsp", "score": "margin", "step": "heads"}
    row = result.one(**keys, values="signed")
    assert row["rho"].value == pytest.approx(signed, abs=1e-9)
    assert row["size"].value == pytest.approx(np.abs(np.array(values)[:, 0]).mean(), abs=1e-9)
    found = result.one(**keys, values="absolute")["rho"].value
    assert found == pytest.approx(absolute, abs=1e-9)
    assert row["rho"].num == 3


def test_maps_of_different_videos_are_compared_for_reference(result: StudyTable) -> None:
    branch, triplets = make_branch(), noise(3)
    trained = encode_triplets(branch, branch, triplets)
    values = []
    for number in range(3):
        a, b = (
            scores_of(trained, n)["avid", "margin"].contributions(trained[n].c_i).values
            for n in (number, (number + 2) % 3)
        )
        values.append(rank_correlation(a, b))
    row = result.one(head="avid", score="margin", step=OTHER_VIDEO, values="signed")
    found = row["rho"].value
    assert found == pytest.approx(np.mean(values), abs=1e-9)


def with_last(result: StudyTable, high: float, values: str) -> StudyTable:
    """The result with small correlations at the last step, but for one upper end."""
    rows = []
    for row in result.rows:
        if row.keys["step"] == "conv1":
            end = high if row.keys["values"] == values else 0.1
            row = Row(keys=row.keys, values={**row.values, "size": Estimate(0.05, 0.0, end, 3)})
        rows.append(row)
    return replace(result, rows=tuple(rows))


@pytest.mark.parametrize("values", ["signed", "absolute"])
def test_the_verdict_follows_the_upper_end_of_the_interval(result: StudyTable, values: str) -> None:
    assert passes(with_last(result, LIMIT - 0.01, values), "rsp", "margin")
    assert not passes(with_last(result, LIMIT, values), "rsp", "margin")
    assert Sanity().finding(with_last(result, 0.1, values)).count(": passes.") == 4


def test_table_and_figure_have_every_step(result: StudyTable) -> None:
    (shown,) = Sanity().tables(result)
    assert [row[0] for row in shown.rows].count("RSP, margin, layer3") == 1
    assert len(shown.rows) == 4 * 7
    (figure,) = Sanity().figures(result)
    assert [panel.title for panel in figure.panels] == [
        "map of the similarity",
        "map of the margin",
    ]
    assert figure.panels[0].words == (
        "trained", "heads", "layer4", "layer3", "layer2", "layer1", "conv1", OTHER_VIDEO,
    )  # fmt: skip
    line = figure.panels[1].lines[0]
    rows = result.select(head="rsp", score="margin", values="signed")
    assert list(line.values[1:]) == [row["rho"] for row in rows]


def test_command_line(
    tmp_path: Path, video_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = save_model(tmp_path / "m.safetensors", make_branch(), make_branch())
    out, figure = tmp_path / "out.json", tmp_path / "out.svg"
    common = ["--model", str(model), "--videos", str(video_folder), "--num_videos", "2"]
    common += ["--out", str(out)]
    assert main("sanity", [*common, "--num_random", "1", "--figure", str(figure)]) == 0
    table = StudyTable.load(out)
    assert Sanity().tables(table)[0].text() in capsys.readouterr().out
    assert figure.read_text().startswith("<?xml")
    assert main("sanity", [*common, "--num_random", "0"]) == 2
    assert "num_random is positive, got 0" in capsys.readouterr().err
