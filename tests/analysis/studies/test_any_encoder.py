"""Does an encoder of one's own look at motion? Of two encoders without weights it is known."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from analysis import run_study
from analysis.__main__ import main
from analysis.core.clip import StoredFrames
from analysis.core.models import load_branches
from analysis.core.table import MINUS_RANDOM, heads_of
from analysis.stimuli.perturbations import Probe
from analysis.stimuli.perturbed_clips import responses_of_video
from analysis.studies.registry import get_study, list_studies

PLANTED = f"{Path(__file__).parents[1] / 'planted_encoders.py'}"
ENCODERS = ("differences", "frames")


@pytest.fixture(scope="module")
def ledgers():
    options = {"num_videos": 2, "num_random": 1, "progress": False}
    return {n: run_study("ledger", model=f"{PLANTED}:{n}", **options) for n in ENCODERS}


def share(table, head="features", weights="trained"):
    return table.one(weights=weights, other="same", part="movement", head=head)["value"]


def test_all_that_differences_say_is_of_movement_and_hardly_anything_that_frames_say(ledgers):
    """A clip that stands still has no differences: its static part is 0, exactly."""
    own = share(ledgers["differences"])
    assert (own.value, own.low, own.high) == (1, 1, 1)
    assert share(ledgers["frames"]).high < 0.1
    says = {name: get_study("ledger").finding(table) for name, table in ledgers.items()}
    assert says["differences"].startswith("It looks at motion more than")
    assert says["frames"].startswith("It looks at what stands still more")


def test_the_control_of_an_encoder_without_weights_is_the_encoder(ledgers):
    for table in ledgers.values():
        assert heads_of(table) == ("features",)
        assert share(table, weights="random weights") == share(table)
        apart = share(table, MINUS_RANDOM)
        assert (apart.value, apart.low, apart.high) == (0, 0, 0)


def test_responses_are_those_known_by_hand():
    """Reversed, differences change their sign; stopped, they are gone; frames keep their mean."""
    frames = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8)
    probe = Probe(reader=StoredFrames(frames), num_frames=8, size=32)
    levels = dict.fromkeys(("reverse", "static"), (0, 1))
    expected = {"differences": {"reverse": -1, "static": 0}, "frames": {"reverse": 1}}
    for name, known in expected.items():
        branch, _ = load_branches(f"{PLANTED}:{name}")
        curves = responses_of_video(branch, branch, probe, levels)
        for perturbation, value in known.items():
            curve = curves[perturbation].similarity["features"]
            np.testing.assert_allclose(curve, [[1, value]], atol=1e-5)


def test_selectivity_is_told_beside_random_weights():
    table = run_study(
        "responses",
        model=f"{PLANTED}:differences",
        num_videos=2,
        max_speed=2,
        num_random=1,
        progress=False,
    )
    study = get_study("responses")
    (number,) = study.key_numbers(table)
    assert list(number.values) == ["features", "random weights"]
    assert number.difference.value == 0
    assert re.match(
        r"Its motion selectivity is .*; with random weights it is .* \(difference 0.00, 0.00 to",
        study.finding(table),
    )
    assert study.tables(table)[0].header[1:] == ("features", "minus random weights")
    assert study.figures(table)[1].panels[0].dots


@pytest.mark.parametrize("name", ["localisation", "faithfulness", "pretext_tasks"])
def test_a_study_of_both_heads_says_that_it_needs_them(name, tmp_path, capsys):
    out = tmp_path / "out.json"
    assert main([name, "--model", f"{PLANTED}:frames", "--out", str(out)]) == 2
    assert "compares the heads RSP and A-VID" in capsys.readouterr().err
    assert not out.exists()


def test_a_report_answers_the_question_and_skips_the_rest(tmp_path):
    out = tmp_path / "report.html"
    words = [
        "report",
        "--model",
        f"{PLANTED}:differences",
        "--out",
        str(out),
        "--skip",
        "responses",
    ]
    words += ["--num_synthetic", "5", "--num_random", "1"]
    assert main(words) == 0
    page = out.read_text()
    assert "Does it look at motion?" in page
    assert "It looks at motion more than at what stands still: by size" in page
    assert "random weights: layers as PyTorch initialises them" in page
    numbers = json.loads(out.with_suffix(".json").read_text())
    assert set(numbers["tables"]) == {"ledger", "cue_conflict"}
    rest = {study.name for study in list_studies()} - {"ledger", "cue_conflict"}
    assert set(numbers["skipped"]) == rest


def test_all_maps_of_a_pair(tmp_path, capsys):
    words = ["maps", "--model", f"{PLANTED}:frames", "--out", str(tmp_path), "--pictures", "false"]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert "skipped: margin: a margin is what RSP or A-VID is trained on" in told
    numbers = json.loads((tmp_path / "numbers.json").read_text())
    for clip in numbers["kinds"]["contribution"]["features"].values():
        assert clip["completeness_error"] < 1e-6
    assert {"pairwise_features.npz", "contribution_features_i.npz"} <= {
        file.name for file in tmp_path.iterdir()
    }
