"""Maps against optical flow: known on videos of known movement, exact in its controls."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from analysis.cli.optical_flow import main, run
from analysis.core.grid import Grid
from analysis.core.statistics import rank_correlation
from analysis.stimuli import kinds
from analysis.stimuli.kinds import KINDS, with_controls
from analysis.studies.optical_flow import (
    FlowConfig,
    correlations,
    flow_study,
    load_footage,
    summarise,
    targets_of,
)
from analysis.studies.optical_flow_result import TARGETS, FlowStudy
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
    """Four good videos, one too short, one broken, one still."""
    found = tmp_path_factory.mktemp("flow")
    for n in range(4):
        write_video(found / f"v{n}.mp4", moving_square(48, 24, n), 25, preset="fast")
    write_video(found / "short.mp4", moving_square(48, 10, 0), 25, preset="fast")
    still = np.full((24, 48, 48, 3), 90, np.uint8)
    write_video(found / "still.mp4", still, 25, preset="fast")
    (found / "broken.mp4").write_text("no video")
    return found


@pytest.fixture(scope="module")
def study(folder: Path) -> FlowStudy:
    model, paths = tiny(), sorted(folder.glob("*.mp4"))
    return flow_study(model, model, paths, num_random=2, progress=False)


def test_targets_of_a_clip_lie_where_it_moves_and_where_it_strikes() -> None:
    frames = np.repeat((texture(112, 112, 0) // 4 + 90)[None], 16, axis=0)
    square = texture(32, 32, 1)
    for t in range(16):
        frames[t, 16:48, 2 * t + 8 : 2 * t + 40] = square
    frames[:, 80:100, 80:100] = texture(20, 20, 2)  # at rest, with contrast
    targets = targets_of(frames, GRID)
    assert tuple(targets) == TARGETS
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
    """Maps made by hand: of RSP the movement, of A-VID its negative, and one even kind."""
    model, rng = tiny(), np.random.default_rng(0)
    footage = [
        load_footage(folder / f"v{n}.mp4", model, size=48, num_triplets=2, rng=rng)
        for n in range(3)
    ]
    clips = [video.triplets for video in footage]
    assert [[i.info.speed for i, _, _ in own] for own in clips] == [[1, 1, 2, 2]] * 3
    asking = next(with_controls(model, model, clips))
    flow = {
        id(question): video.targets[number]["flow"]
        for own, video in zip(asking.questions, footage, strict=True)
        for number, question in enumerate(own)
    }

    def maps(question, head, others, *, objective):
        own = flow[id(question)] * (1 if head == "rsp" else -1)
        return dict.fromkeys(KINDS, own) | {"eq2": np.ones_like(own)}

    monkeypatch.setattr(kinds, "maps_of", maps)
    rho = correlations(asking, footage)
    assert rho.shape == (3, 2, 2, len(KINDS), len(TARGETS))
    assert (rho[:, :, :, KINDS.index("eq2")] == 0).all()
    margin = rho[:, :, :, KINDS.index("margin")]
    np.testing.assert_allclose(margin[:, :, 0, 0], 1)
    np.testing.assert_allclose(margin[:, :, 1, 0], -1)
    expected = np.mean([rank_correlation(t["flow"], t["contrast"]) for t in footage[1].targets[:2]])
    assert margin[1, 0, 0, 2] == pytest.approx(expected)


def test_numbers_over_videos_by_hand() -> None:
    rho = np.zeros((2, 2, 2, 1, len(TARGETS)))
    rho[0, :, 0, 0, 0], rho[1, :, 0, 0, 0] = (0.2, 0.6), (0.4, 0.8)  # RSP at 1x and 2x
    rho[:, :, 1, 0, 0] = 0.1
    result = summarise(rho, ["margin"], "trained")
    row = result.row("margin", "flow")
    assert row.rsp.value == pytest.approx(0.5)
    assert (row.rsp.low, row.rsp.high, row.rsp.num) == (pytest.approx(0.4), pytest.approx(0.6), 2)
    assert row.difference.value == pytest.approx(0.4)
    assert result.row("margin", "flow", "1x").rsp.value == pytest.approx(0.3)
    assert result.row("margin", "flow", "2x").difference.value == pytest.approx(0.6)


def test_bad_videos_are_named_and_the_rest_is_measured(study: FlowStudy) -> None:
    assert study.num_videos == 4
    reasons = {Path(path).name: reason for path, reason in study.skipped}
    assert sorted(reasons) == ["broken.mp4", "short.mp4", "still.mp4"]
    assert "10 frames, needs 15" in reasons["short.mp4"]
    assert "is even" in reasons["still.mp4"]
    assert study.grid.clip == (8, 48, 48)
    assert set(study.pixels) == {"saliency", "contrast"}


def test_swapped_heads_are_exactly_reversed(study: FlowStudy) -> None:
    names = [result.weights for result in study.results]
    assert names == ["trained", "swapped heads", "swapped objectives", "random weights"]
    for row in study.of().rows:
        swapped = study.of("swapped heads").row(row.kind, row.target, row.speed)
        assert (swapped.rsp, swapped.avid) == (row.avid, row.rsp)
        assert swapped.difference.value == -row.difference.value
        assert swapped.difference.low == pytest.approx(-row.difference.high, abs=1e-12)
        assert swapped.difference.high == pytest.approx(-row.difference.low, abs=1e-12)
        assert row.rsp.value - row.avid.value == pytest.approx(row.difference.value, abs=1e-12)
        assert -1 <= row.rsp.low <= row.rsp.value <= row.rsp.high <= 1


def test_crossed_questions_change_margins_alone(study: FlowStudy) -> None:
    crossed = study.of("swapped objectives")
    changed = {
        row.kind for row in study.of().rows if row != crossed.row(row.kind, row.target, row.speed)
    }
    assert changed == set(KINDS) - {"eq2", "contribution"}


def test_the_same_videos_give_the_same_numbers(folder: Path, study: FlowStudy) -> None:
    model, paths = tiny(), sorted(folder.glob("*.mp4"))
    assert flow_study(model, model, paths, num_random=2, progress=False) == study
    fewer = flow_study(model, model, paths, num_videos=3, num_random=1, progress=False)
    assert fewer.num_videos + len(fewer.skipped) == 3 + 2


def test_command_line_writes_what_it_prints(folder: Path, tmp_path: Path, capsys) -> None:
    model, out = tmp_path / "m.safetensors", tmp_path / "flow.json"
    save_model(model, tiny(), tiny())
    words = [f"--model={model}", f"--videos={folder}", "--num_random=1", "--num_workers=1"]
    figure = tmp_path / "flow.svg"
    assert main([*words, f"--out={out}", f"--figure={figure}"]) == 0
    printed = capsys.readouterr()
    assert printed.out.rstrip().endswith("flow.svg")
    assert figure.read_bytes().startswith(b"<?xml")
    study = FlowStudy.load(out)
    assert study.table() in printed.out
    assert study.what == f"videos of {folder.name}"
    assert printed.err.count("left out: ") == 3
    assert "short.mp4: 10 frames, needs 15" in printed.err
    # The same through a table, one of whose videos is known to be bad.
    table = tmp_path / "list.csv"
    table.write_text("path,label,split\n" + "".join(f"v{n}.mp4,a,test\n" for n in range(3)))
    data = DatasetConfig(name="csv", root=str(folder), annotations=str(table), split="test")
    config = FlowConfig(out=str(out), model=str(model), data=data, num_random=1, num_workers=1)
    assert run(config).num_videos == 3
    assert run(replace(config, num_videos=2)).num_videos == 2
    assert json.loads(out.read_text())["what"].startswith("videos of csv (list), split test")


def test_mistakes_are_named(folder: Path, tmp_path: Path, capsys) -> None:
    out = f"--out={tmp_path / 'f.json'}"
    for words, message in (
        (["--videos=x"], "give --out FILE.json"),
        ([out, "--figure=f.txt"], "written as .png, .svg, .pdf"),
        ([out], "a folder of videos, or a data set such as"),
        ([out, f"--videos={folder}", f"--data.root={folder}"], "got both"),
        ([out, "--videos=nowhere"], "no folder nowhere"),
        ([out, f"--videos={folder}", "--num_videos=1"], "at least 2 videos"),
        ([out, f"--videos={folder}", "--size=20"], "model's own 112 pixels, got 20"),
        ([out, f"--videos={folder}", "--vidoes=3"], "vidoes"),
    ):
        assert main(words) == 2
        assert message in capsys.readouterr().err
    model, paths = tiny(), [folder / "broken.mp4", folder / "short.mp4"]
    with pytest.raises(ValueError, match=r"(?s)0 of 2 videos can be measured.*broken\.mp4"):
        flow_study(model, model, paths, progress=False)
    assert not list(tmp_path.iterdir())


def test_real_videos_can_be_measured(real_data: Path) -> None:
    paths = sorted((real_data / "jhmdb").rglob("*.mp4"))[:3]
    model = tiny()
    study = flow_study(model, model, paths, num_random=1, progress=False)
    assert study.num_videos + len(study.skipped) == 3
