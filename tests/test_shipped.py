"""The model that ships: its file is the one in the index, and it does what its card says."""

import csv
import itertools
import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from analysis import explain_pair
from analysis.report.results import ReportResults
from analysis.report.sections import key_numbers
from dashboard.services.embeddings import protocol
from rspnet import VideoReader, list_models, load_model
from rspnet.data.listing import list_videos
from rspnet.data.sources import scan_files
from rspnet.data.synthetic.render import draw_factors, labels_of, render
from rspnet.data.transforms import load_clip
from rspnet.evaluate import evaluate_pretext
from rspnet.files import file_hash
from rspnet.models import Branch
from rspnet.retrieval.gallery import Gallery, embed_videos
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


def test_videos_that_ship_are_those_of_the_generator(tmp_path: Path) -> None:
    """All rows of the table, and frames of one video, as far as encoders differ."""
    with zipfile.ZipFile(CHECKPOINTS / "synthetic-seed7-n24.zip") as file:
        file.extractall(tmp_path)
    rows = list(csv.DictReader((tmp_path / "labels.csv").open()))
    for index, row in enumerate(rows):
        known = labels_of(draw_factors(7, index))
        assert {name: row[name] for name in known} == {k: str(v) for k, v in known.items()}
    assert len(rows) == len(list_videos(tmp_path)) == 24
    drawn = render(draw_factors(7, 12)).frames
    with VideoReader(tmp_path / rows[12]["path"]) as reader:
        assert len(reader) == len(drawn)
        shown = reader.get_frames([0, 40]).astype(float)
    assert np.abs(shown - drawn[[0, 40]]).mean() < 2


def test_vectors_that_ship_are_those_of_the_model_and_of_the_videos(
    branches: tuple[Branch, Branch], tmp_path: Path
) -> None:
    gallery = Gallery.load(CHECKPOINTS / "rspnet_small.gallery")
    assert gallery.model_hash == branches[0].hash
    assert gallery.protocol == protocol(branches[0])
    with zipfile.ZipFile(CHECKPOINTS / "synthetic-seed7-n24.zip") as file:
        assert {*map(str, gallery.paths), "labels.csv"} == set(file.namelist())
        made = embed_videos(
            branches[0], [file.extract(str(gallery.paths[5]), tmp_path)], gallery.protocol
        )
    for name, vectors in made.vectors.items():
        np.testing.assert_allclose(vectors[0], gallery.vectors[name][5], atol=1e-4)


def table_rows(text: str, title: str) -> dict[str, list[str]]:
    """A Markdown table below a heading or beside a header cell: by first cell, the others."""
    lines = text.replace("**", "").split(title, 1)[1].splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("| ---"))
    table = itertools.takewhile(lambda line: line.startswith("|"), lines[start + 1 :])
    cells = [[cell.strip() for cell in line.strip("| ").split("|")] for line in table]
    return {name: rest for name, *rest in cells}


def test_readme_gives_the_numbers_of_the_report() -> None:
    value = json.loads((CHECKPOINTS / "rspnet_small.report.json").read_text())
    results = ReportResults.from_json(value)
    assert results.model_hash == load_model("default").hash
    keys = dict(key_numbers(results))
    readme = table_rows((CHECKPOINTS.parent / "README.md").read_text(), "Shipped model, videos")
    said = {
        "margin map in moving limbs, ratio to their area": (
            "margin map to faster in moving limbs, over their area"
        ),
        "margin map on the static prop, ratio to its area": (
            "margin map to faster in the prop, over their area"
        ),
        "drop of the margin with moving limbs frozen": (
            "drop of the margin with moving limbs frozen"
        ),
        "correlation of the margin map with optical flow (JHMDB)": (
            "margin map to faster with optical flow, rho"
        ),
        "motion selectivity of the embedding": "motion selectivity, synthetic videos",
    }
    for title, name in said.items():
        key = keys[name]
        shown = [key.values["rsp"], key.values["avid"], key.difference, key.control]
        for cell, estimate in zip(readme[title], shown, strict=True):
            assert cell in (str(estimate), f"{abs(estimate.value):.2f}"), title


def test_its_report_names_no_folder_of_the_machine_it_was_made_on() -> None:
    text = (CHECKPOINTS / "rspnet_small.report.json").read_text()
    assert re.findall(r'"(?:/|[A-Za-z]:\\\\)[^"]*"', text) == []


def test_readme_gives_the_scene_retrieval_of_the_model_card() -> None:
    readme = table_rows((CHECKPOINTS.parent / "README.md").read_text(), "Shipped model, videos")
    card = table_rows((CHECKPOINTS / "README.md").read_text(), "by background")
    scenes = readme["scene retrieval, top-1 in % (128 synthetic videos)"]
    assert scenes[:2] == [card["RSP"][1], card["A-VID"][1]]


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
