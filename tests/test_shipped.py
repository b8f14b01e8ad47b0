"""The model that ships: its file is the one in the index, and it does what its card says."""

import itertools
import json
import re
from pathlib import Path

import pytest
import torch

from analysis import explain_pair
from analysis.report.results import ReportResults
from rspnet import VideoReader, list_models, load_model
from rspnet.data.sources import list_videos, scan_files
from rspnet.data.transforms import load_clip
from rspnet.evaluate import evaluate_pretext
from rspnet.files import file_hash
from rspnet.models import Branch
from rspnet.weights.checkpoint import CHECKPOINTS, resolve_model


@pytest.fixture(scope="module")
def branches() -> tuple[Branch, Branch]:
    return load_model("default", "query"), load_model("default", "key")


def test_index_names_files_by_hash() -> None:
    entries = json.loads((CHECKPOINTS / "index.json").read_text())["models"]
    assert [entry["name"] for entry in entries] == list_models()
    for entry in entries:
        path = resolve_model(entry["name"])
        assert file_hash(path) == entry["sha256"]
        assert path.stat().st_size <= 15e6
        assert entry["name"] in (CHECKPOINTS / "README.md").read_text()


def test_its_report_is_of_this_model_and_the_readme_says_the_same() -> None:
    value = json.loads((CHECKPOINTS / "rspnet_small.report.json").read_text())
    results = ReportResults.from_json(value)
    assert results.model_hash == load_model("default").hash
    located = results.tables["localisation"]["synthetic"]
    keys = {"weights": "trained", "kind": "margin_faster", "head": "rsp", "speed": "both"}
    limbs, prop = (located.one(**keys, region=name)["ratio"] for name in ("limbs", "prop"))
    responses = results.tables["responses"]["synthetic"]
    own = {"weights": "trained", "measure": "perturbations"}
    rsp, avid = (responses.one(**own, head=h)["motion_selectivity"] for h in ("rsp", "avid"))
    readme = (CHECKPOINTS.parent / "README.md").read_text().replace("**", "")
    for estimate in (limbs, prop, rsp, avid):
        assert str(estimate) in readme


def test_its_report_names_no_folder_of_the_machine_it_was_made_on() -> None:
    text = (CHECKPOINTS / "rspnet_small.report.json").read_text()
    assert re.findall(r'"(?:/|[A-Za-z]:\\\\)[^"]*"', text) == []


def test_readme_gives_the_held_out_numbers_of_the_card() -> None:
    card = (CHECKPOINTS / "README.md").read_text().replace("**", "")
    readme = (CHECKPOINTS.parent / "README.md").read_text().replace("**", "")
    section = readme.split("## The shipped model")[1].split("\n## ")[0]
    cells = [
        cell.strip()
        for line in section.splitlines()
        if line.startswith("| ") and "---" not in line
        for cell in line.strip("| ").split(" | ")[1:]
        if cell.strip()[0].isdigit() and "." in cell
    ]
    assert len(cells) >= 8
    assert [cell for cell in cells if cell not in card] == []


def test_grid_is_fine_enough_to_look_at(branches: tuple[Branch, Branch]) -> None:
    query, key = branches
    assert (query.num_frames, query.size) == (16, 112)
    with torch.inference_mode():
        F = query.features(torch.zeros(1, 3, 16, 112, 112))
    assert tuple(F.shape[2:]) == (4, 7, 7)
    # The momentum branch is another one.
    assert not torch.equal(query.head("rsp").weight, key.head("rsp").weight)


def test_contributions_of_real_clips_sum_to_s(
    branches: tuple[Branch, Branch], synthetic_folder: Path
) -> None:
    paths = list_videos(synthetic_folder)
    for first, second in itertools.pairwise(paths):
        with VideoReader(first) as a, VideoReader(second) as b:
            pair = explain_pair(*branches, load_clip(a, 3, 16)[0], load_clip(b, 11, 16, 2)[0])
        for maps in pair.heads.values():
            assert maps.completeness_error < 1e-5


def test_it_does_its_two_tasks_on_videos_it_has_not_seen(
    branches: tuple[Branch, Branch], synthetic_folder: Path
) -> None:
    videos = scan_files(list_videos(synthetic_folder), 31).usable
    result = evaluate_pretext(*branches, videos, num_triplets=3)
    assert result.num_triplets == 36
    assert result.rsp_accuracy > 0.8
    assert result.avid_top1 > 0.8
