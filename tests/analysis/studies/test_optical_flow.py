"""Maps against optical flow: known on videos of known movement, exact in its controls."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from analysis.cli.study import main
from analysis.core.grid import Grid
from analysis.core.score import Score
from analysis.core.statistics import rank_correlation
from analysis.core.table import RSP_MINUS_AVID, StudyTable, interval
from analysis.stimuli import kinds
from analysis.stimuli.kinds import KINDS, with_controls
from analysis.studies.optical_flow import (
    FROZEN,
    TARGETS,
    OpticalFlow,
    OpticalFlowConfig,
    correlations,
    frozen_drops,
    frozen_views,
    load_scene,
    summarise,
    targets_of,
)
from analysis.studies.registry import StudyInputs, run_study
from rspnet.data.datasets.labelled import DatasetConfig
from rspnet.data.video.encode import write_video
from rspnet.models import Branch
from rspnet.weights.checkpoint import save_model
from tests.factories import tiny_branch

GRID = Grid((4, 7, 7), (16, 112, 112), (4.0, 16.0, 16.0), (0.0, 0.0, 0.0))


def tiny() -> Branch:
    return tiny_branch(0, size=48)


def texture(height: int, width: int, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(height, width)).astype(np.float32)
    grey = cv2.GaussianBlur(noise, (0, 0), 2.0)
    grey = np.clip(128 + 50 * grey / grey.std(), 0, 255).astype(np.uint8)
    return grey[..., None].repeat(3, axis=-1)


def moving_square(size: int, num_frames: int, seed: int) -> np.ndarray:
    """A textured square goes to the right over a still ground of little contrast."""
    side = size // 3
    frames = np.repeat((texture(size, size, seed) // 4 + 90)[None], num_frames, axis=0)
    square = texture(side, side, seed + 100)
    for t in range(num_frames):
        left = 2 + (2 * t) % (size - side - 4)
        top = (5 * seed) % (size - side)
        frames[t, top : top + side, left : left + side] = square
    return frames


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four valid videos, one too short, one broken, one static."""
    found = tmp_path_factory.mktemp("flow")
    for n in range(4):
        write_video(found / f"v{n}.mp4", moving_square(48, 24, n), 25, preset="fast")
    write_video(found / "short.mp4", moving_square(48, 10, 0), 25, preset="fast")
    still = np.full((24, 48, 48, 3), 90, np.uint8)
    write_video(found / "still.mp4", still, 25, preset="fast")
    (found / "broken.mp4").write_text("no video")
    return found


def run(paths: list[Path], **settings: int) -> StudyTable:
    model = tiny()
    inputs = StudyInputs(
        query=model, key=model, paths=tuple(paths), videos="squares", progress=False
    )
    return OpticalFlow().measure(inputs, OpticalFlowConfig(**settings, num_workers=1))


@pytest.fixture(scope="module")
def table(folder: Path) -> StudyTable:
    return run(sorted(folder.glob("*.mp4")), num_random=2)


def test_targets_of_a_clip_lie_where_it_moves_and_where_it_is_salient() -> None:
    frames = np.repeat((texture(112, 112, 0) // 4 + 90)[None], 16, axis=0)
    square = texture(32, 32, 1)
    for t in range(16):
        frames[t, 16:48, 2 * t + 8 : 2 * t + 40] = square
    frames[:, 80:100, 80:100] = texture(20, 20, 2)  # at rest, with contrast
    targets = targets_of(frames, GRID)
    assert tuple(targets) == tuple(TARGETS)
    assert all(values.shape == GRID.cells for values in targets.values())
    flow = targets["flow"].mean(axis=0)
    assert flow[1:4, 0:5].mean() > 20 * flow[4:].mean()
    assert targets["contrast"][0, 5, 5] > 2 * targets["contrast"][0, 5, :3].mean()
    for name in ("saliency", "contrast"):  # of one frame, for all times
        np.testing.assert_allclose(targets[name], targets[name][:1].repeat(4, axis=0))
    # Movement is found at the time when it is there.
    late = frames.copy()
    late[:8] = frames[:1]
    early, after = targets_of(late, GRID)["flow"][[0, 3]]
    assert after.mean() > 20 * early.mean()


def test_a_map_of_the_flow_itself_has_rho_one(folder: Path, monkeypatch) -> None:
    """Maps made by hand: of RSP the movement, of A-VID its negative, and one constant kind."""
    model, rng = tiny(), np.random.default_rng(0)
    scenes = [
        load_scene(folder / f"v{n}.mp4", model, size=48, num_triplets=2, rng=rng) for n in range(3)
    ]
    clips = [video.triplets for video in scenes]
    assert [[i.info.speed for i, _, _ in own] for own in clips] == [[1, 1, 2, 2]] * 3
    model_ = next(with_controls(model, model, clips))
    flow = {
        id(question): video.truth[number]["flow"]
        for own, video in zip(model_.triplets, scenes, strict=True)
        for number, question in enumerate(own)
    }

    def maps(question, head, others, *, objective):
        own = flow[id(question)] * (1 if head == "rsp" else -1)
        return dict.fromkeys(KINDS, own) | {"eq2": np.ones_like(own)}

    monkeypatch.setattr(kinds, "maps_of", maps)
    rho = correlations(model_, scenes)["rho"]
    assert rho.shape == (3, 2, 2, len(KINDS), len(TARGETS))
    assert (rho[:, :, :, KINDS.index("eq2")] == 0).all()
    margin = rho[:, :, :, KINDS.index("margin")]
    np.testing.assert_allclose(margin[:, :, 0, 0], 1)
    np.testing.assert_allclose(margin[:, :, 1, 0], -1)
    expected = np.mean([rank_correlation(t["flow"], t["contrast"]) for t in scenes[1].truth[:2]])
    assert margin[1, 0, 0, 2] == pytest.approx(expected)


def test_numbers_over_videos_by_hand() -> None:
    rho = np.zeros((2, 2, 2, 1, len(TARGETS)))
    rho[0, :, 0, 0, 0], rho[1, :, 0, 0, 0] = (0.2, 0.6), (0.4, 0.8)  # RSP at 1x and 2x
    rho[:, :, 1, 0, 0] = 0.1
    rows = tuple(summarise({"rho": rho}, ["margin"], "trained"))
    found = StudyTable(study="optical_flow", rows=rows, num_videos=2, videos="by hand")
    keys = {"kind": "margin", "target": "flow"}
    both = found.one(head="rsp", speed="both", **keys)["rho"]
    assert both.value == pytest.approx(0.5)
    assert (both.low, both.high, both.num) == (pytest.approx(0.4), pytest.approx(0.6), 2)
    assert found.one(head=RSP_MINUS_AVID, speed="both", **keys)["rho"].value == pytest.approx(0.4)
    assert found.one(head="rsp", speed="1x", **keys)["rho"].value == pytest.approx(0.3)
    assert found.one(head=RSP_MINUS_AVID, speed="2x", **keys)["rho"].value == pytest.approx(0.6)


def test_the_fifth_that_moves_most_is_frozen_and_then_all_the_rest(folder: Path) -> None:
    model, rng = tiny(), np.random.default_rng(0)
    scene = load_scene(folder / "v0.mp4", model, size=48, num_triplets=1, rng=rng)
    (view, _, _), grid = scene.triplets[0], Grid.even((2, 3, 5), (8, 48, 48))
    flow = np.zeros((2, 3, 5))
    flow[0, 1, 2], flow[1, 0, 4], flow[:, 2, 0] = 3, 2, 2  # 4 in all
    own, moving, rest = frozen_views(view, flow, grid)
    assert own is view
    most = np.zeros((48, 48), bool)
    for row, column in ((1, 2), (0, 4), (2, 0)):  # a fifth of 15
        most[np.ix_(grid.cell_of(1) == row, grid.cell_of(2) == column)] = True
    middle = np.broadcast_to(view.frames[4], view.frames.shape)
    for clip, frozen in ((moving, most), (rest, ~most)):
        assert (clip.frames[:, frozen] == middle[:, frozen]).all()
        assert (clip.frames[:, ~frozen] == view.frames[:, ~frozen]).all()


def test_drops_are_of_the_networks_own_margins(folder: Path) -> None:
    """A region in which nothing moves costs nothing; all of them cost what a static clip does."""
    model, rng = tiny(), np.random.default_rng(0)
    scenes = [
        load_scene(folder / f"v{n}.mp4", model, size=48, num_triplets=1, rng=rng) for n in range(2)
    ]
    evaluated = next(with_controls(model, model, [scene.triplets for scene in scenes]))
    found = frozen_drops(evaluated, scenes)
    assert found.shape == (2, 2, 2, len(FROZEN))
    own = evaluated.triplets[0][0]
    views = frozen_views(own.view, scenes[0].truth[0]["flow"], own.c_i.grid)
    for h, head in enumerate(("rsp", "avid")):
        others = [own.c_k] if head == "rsp" else [evaluated.triplets[1][0].c_j]
        score = Score.margin(model, head, own.c_j, others)
        sign = 1 if head == "avid" or own.c_j.info.speed > own.c_k.info.speed else -1
        values = [sign * score(view.clip[None]).item() for view in views]
        expected = [values[0] - values[1], values[0] - values[2]]
        np.testing.assert_allclose(found[0, 0, h], expected, atol=1e-6)


def test_invalid_videos_are_named_and_the_rest_is_measured(table: StudyTable) -> None:
    assert table.num_videos == 4
    reasons = {Path(path).name: reason for path, reason in table.skipped.items()}
    assert sorted(reasons) == ["broken.mp4", "short.mp4", "still.mp4"]
    assert "10 frames, needs 15" in reasons["short.mp4"]
    assert "is constant" in reasons["still.mp4"]
    assert table.grid.clip == (8, 48, 48)
    targets = [row.keys["target"] for row in table.select(kind="optical flow itself")]
    assert targets == ["flow", "saliency", "contrast"]
    share = table.one(kind="optical flow itself", target="flow")["share"].value
    assert 0.1 < share < 0.9


def test_swapped_heads_are_exactly_reversed(table: StudyTable) -> None:
    assert table.keys("weights") == (
        "trained", "swapped heads", "swapped objectives", "random weights",
    )  # fmt: skip
    other = {"rsp": "avid", "avid": "rsp"}
    for row in table.select(weights="trained"):
        if "rho" not in row.values:
            continue
        keys = {**row.keys, "weights": "swapped heads"}
        if row.keys["head"] in other:
            swapped = table.one(**{**keys, "head": other[row.keys["head"]]})
            assert row["rho"] == swapped["rho"]
            assert -1 <= row["rho"].low <= row["rho"].value <= row["rho"].high <= 1
        else:
            a, b = row["rho"], -table.one(**keys)["rho"]
            assert a.value == b.value
            assert (a.low, a.high) == pytest.approx((b.low, b.high), abs=1e-12)


def test_swapped_objectives_change_margins_alone(table: StudyTable) -> None:
    changed = {
        row.keys["kind"]
        for row in table.select(weights="trained")
        if "rho" in row.values
        and row["rho"] != table.one(**{**row.keys, "weights": "swapped objectives"})["rho"]
    }
    kinds_measured = set(table.keys("kind")) - {"optical flow itself"}
    assert changed == kinds_measured - {"eq2", "contribution"}


def test_the_same_videos_give_the_same_numbers(folder: Path, table: StudyTable) -> None:
    paths = sorted(folder.glob("*.mp4"))
    assert run(paths, num_random=2).to_json() == table.to_json()
    fewer = run(paths, num_videos=3, num_random=1)
    assert fewer.num_videos + len(fewer.skipped) == 3 + 2


def test_what_is_shown_is_what_was_measured(table: StudyTable) -> None:
    study = OpticalFlow()
    keys = {"weights": "trained", "kind": "margin_faster", "target": "flow", "speed": "both"}
    (first, *_) = study.tables(table)
    (row,) = [row for n, row in enumerate(first.rows) if n in first.strong]
    assert row[0] == "margin to faster with optical flow"
    assert list(row[1:]) == [
        table.one(**keys, head=h)["rho"] for h in ("rsp", "avid", RSP_MINUS_AVID)
    ]
    (number,) = study.key_numbers(table)
    assert number.difference == table.one(**keys, head=RSP_MINUS_AVID)["rho"]
    (figure,) = study.figures(table)
    assert [panel.title for panel in figure.panels] == list(TARGETS.values())
    assert len(figure.panels[0].dots) == 2 * 2 * len(figure.rows)
    assert "local contrast at" in study.explain(table)
    assert "of a clip's cells move by more than 0.5 pixels" in study.explain(table)
    drop = table.one(weights="trained", region="moving", head="rsp")["drop"]
    frozen = study.tables(table)[4:]
    assert [t.folded for t in frozen] == [False, True]  # the model, random weights
    assert frozen[0].rows[0][:2] == ["the fifth that moves most", drop]
    assert f"Frozen where most moves, RSP's margin drops by {interval(drop)}" in study.finding(
        table
    )
    # A table of an earlier version has no such rows.
    rows = tuple(r for r in table.rows if "drop" not in r.values and "share" not in r.values)
    earlier = replace(table, rows=rows)
    assert len(study.tables(earlier)) == 4
    assert "Frozen" not in study.finding(earlier)
    assert "cells move" not in study.explain(earlier)


def test_command_line_writes_what_it_prints(folder: Path, tmp_path: Path, capsys) -> None:
    model, out = tmp_path / "m.safetensors", tmp_path / "flow.json"
    save_model(model, tiny(), tiny())
    words = [f"--model={model}", f"--videos={folder}", "--num_random=1", "--num_workers=1"]
    figure = tmp_path / "flow.svg"
    assert main("optical_flow", [*words, f"--out={out}", f"--figure={figure}"]) == 0
    printed = capsys.readouterr()
    assert printed.out.rstrip().endswith("flow.svg")
    assert figure.read_bytes().startswith(b"<?xml")
    found = StudyTable.load(out)
    assert OpticalFlow().tables(found)[0].text() in printed.out
    assert found.videos == f"videos of {folder.name}"
    assert printed.err.count("skipped: ") == 3
    assert "short.mp4: 10 frames, needs 15" in printed.err
    # The same through a table.
    listed = tmp_path / "list.csv"
    listed.write_text("path,label,split\n" + "".join(f"v{n}.mp4,a,test\n" for n in range(3)))
    data = DatasetConfig(name="csv", root=str(folder), annotations=str(listed), split="test")
    settings = {"model": str(model), "data": data, "num_random": 1, "num_workers": 1}
    measured = run_study("optical_flow", progress=False, **settings)
    assert measured.num_videos == 3
    assert measured.videos.startswith("videos of csv, split test")
    assert run_study("optical_flow", progress=False, num_videos=2, **settings).num_videos == 2


def test_mistakes_are_named(folder: Path, tmp_path: Path, capsys) -> None:
    out = f"--out={tmp_path / 'f.json'}"
    for words, message in (
        ([out, "--figure=f.txt"], "written as .png, .svg, .pdf"),
        ([out], "or a data set such as"),
        ([out, f"--videos={folder}", f"--data.root={folder}"], "got both"),
        ([out, "--videos=nowhere"], "no nowhere"),
        ([out, f"--videos={folder}", "--num_videos=1"], "at least 2 videos"),
        ([out, f"--videos={folder}", "--size=20"], "model's own 112 pixels, got 20"),
        ([out, f"--videos={folder}", "--vidoes=3"], "vidoes"),
    ):
        assert main("optical_flow", words) == 2
        assert message in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"(?s)0 of 2 videos can be measured.*broken\.mp4"):
        run([folder / "broken.mp4", folder / "short.mp4"])
    assert not list(tmp_path.iterdir())


def test_real_videos_can_be_measured(real_data: Path) -> None:
    found = run(sorted((real_data / "jhmdb").rglob("*.mp4"))[:3], num_random=1)
    assert found.num_videos + len(found.skipped) == 3
