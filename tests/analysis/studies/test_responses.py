"""Responses of models to perturbed clips, over videos."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from analysis.cli.study import main
from analysis.core.table import StudyTable
from analysis.stimuli.kinds import with_swapped_heads
from analysis.stimuli.perturbed_clips import synthetic_probe, video_probe
from analysis.studies.measures.selectivity import (
    OTHER_VIDEOS,
    UNCHANGED,
    drop_difference,
    levels_of,
    samples_of,
    selectivity_difference,
)
from analysis.studies.registry import StudyInputs
from analysis.studies.responses import Responses, ResponsesConfig, ResponsesStudy, respond
from rspnet.data.video.encode import write_video
from rspnet.models import Branch
from rspnet.names import HEADS
from rspnet.weights.checkpoint import save_model
from tests.factories import tiny_branch


def make_branch(seed: int) -> Branch:
    return tiny_branch(seed, size=64)


@pytest.fixture(scope="module")
def studied() -> Responses:
    query, key = make_branch(0), make_branch(1)
    models = {
        "trained": (query, query),
        "pair": (query, key),
        "swapped": (with_swapped_heads(query), with_swapped_heads(query)),
    }
    return respond(models, [synthetic_probe(query, 9, index, 15) for index in range(3)], 15)


def test_unchanged_is_one_within_a_branch_and_in_every_curve(studied: Responses) -> None:
    assert studied.videos == ("synthetic_9_000000", "synthetic_9_000001", "synthetic_9_000002")
    for head in HEADS:
        own = studied.samples["trained"][UNCHANGED, 0.0, head]
        np.testing.assert_allclose(own, 1, atol=1e-12)
    for found in studied.samples.values():
        assert levels_of(found)["speed"] == (0.25, 0.5, 1, 1.5, 2)
        for head in HEADS:
            for name, neutral in (("speed", 1), ("crop", 1), ("hue", 0), ("appearance", 0)):
                own = found[name, float(neutral), head]
                np.testing.assert_array_equal(own, found[UNCHANGED, 0.0, head])
    assert (studied.samples["pair"][UNCHANGED, 0.0, "rsp"] < 0.999).all()


def test_other_videos_by_hand(studied: Responses) -> None:
    query, key = make_branch(0), make_branch(1)
    clips = torch.stack([synthetic_probe(query, 9, i, 15).view.clip for i in range(3)])
    with torch.no_grad():
        z, k = query(clips), key(clips)
    found = studied.samples["pair"]
    for head in HEADS:
        s = (z[head] @ k[head].T).double().numpy()
        expected = [(s[i].sum() - s[i, i]) / 2 for i in range(3)]
        np.testing.assert_allclose(found[OTHER_VIDEOS, 0.0, head], expected, atol=1e-5)
        np.testing.assert_allclose(found[UNCHANGED, 0.0, head], np.diag(s), atol=1e-5)


def test_swapped_heads_are_exactly_reversed(studied: Responses) -> None:
    own, swapped = studied.samples["trained"], studied.samples["swapped"]
    other = dict(zip(HEADS, HEADS[::-1], strict=True))
    for (name, level, head), values in own.items():
        # But for float32's last bits: a copy of the weights may be summed in another order.
        np.testing.assert_allclose(values, swapped[name, level, other[head]], atol=1e-6)
    # Its interval is reversed too, as the same videos are drawn.
    a, b = (drop_difference(found, "speed", 2) for found in (own, swapped))
    assert (a.value, a.low, a.high) == pytest.approx((-b.value, -b.high, -b.low), abs=1e-3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three usable videos, one that is too short, and one that is none."""
    folder = tmp_path_factory.mktemp("probed")
    rng = np.random.default_rng(0)
    for name, num in (("a", 20), ("b", 20), ("c", 20), ("short", 10)):
        frames = rng.integers(0, 256, (num, 32, 40, 3), np.uint8)
        write_video(folder / "x" / f"{name}.mp4", frames, 25, preset="ultrafast")
    (folder / "x" / "broken.mp4").write_bytes(b"no video")
    return folder


def run(folder: Path | None, **settings: object) -> StudyTable:
    query = make_branch(0)
    paths = tuple(sorted(folder.rglob("*.mp4"))) if folder else ()
    inputs = StudyInputs(query=query, key=query, paths=paths, videos="noise", progress=False)
    return ResponsesStudy().measure(inputs, ResponsesConfig(**settings))


def test_short_and_broken_videos_are_skipped_and_named(folder: Path) -> None:
    found = run(folder, num_videos=5, max_speed=2, num_random=2)
    assert sorted(found.settings["names"]) == ["x/a.mp4", "x/b.mp4", "x/c.mp4"]
    assert set(found.skipped) == {"x/short.mp4", "x/broken.mp4"}
    assert "15 frames from frame 0 on are needed, the video has 10" in found.skipped["x/short.mp4"]
    assert found.keys("weights") == ("trained", "random weights")
    assert found.keys("perturbation")[-1] == "blur"  # no factors to swap
    two = run(folder, num_videos=2, max_speed=2, num_random=0)
    assert two.num_videos == 2
    assert two.keys("weights") == ("trained",)
    with pytest.raises(ValueError, match=r"29 frames are needed, got 0, 5 skipped .*--max_speed"):
        run(folder)
    with pytest.raises(ValueError, match="num_videos=1"):
        run(folder, num_videos=1)


def test_random_weights_are_averaged_video_by_video(folder: Path) -> None:
    one, both = (run(folder, num_videos=3, max_speed=2, num_random=num) for num in (1, 2))
    first, mean = (samples_of(table, "random weights") for table in (one, both))
    again = samples_of(run(folder, num_videos=3, max_speed=2, num_random=2), "random weights")
    key = ("grey", 1.0, "rsp")
    assert not np.array_equal(first[key], mean[key])
    np.testing.assert_array_equal(mean[key], again[key])


def test_what_is_shown_is_what_was_measured() -> None:
    table, study = run(None, num_videos=3, max_speed=2, num_random=1), ResponsesStudy()
    selectivities, drops, _ = study.tables(table)
    keys = {"weights": "trained", "measure": "perturbations"}
    assert selectivities.rows[0][1] == table.one(**keys, head="rsp")["motion_selectivity"]
    (grey,) = [row for row in drops.rows if row[0] == "grey scale"]
    own = {"weights": "trained", "perturbation": "grey", "level": 1}
    assert grey[1] == table.one(**own, head="rsp")["similarity"]
    assert grey[4] == table.one(**own, head="avid")["drop"]
    curves, selectivity, switches = study.figures(table)
    (speed,) = [p for p in curves.panels if p.title == "playback speed"]
    assert speed.places == (0.25, 0.5, 1, 1.5, 2)
    (line,) = [x for x in speed.lines if (x.head, x.control) == ("avid", False)]
    rows = table.select(weights="trained", perturbation="speed", head="avid")
    assert line.values == tuple(row["drop"].complement() for row in rows)
    assert len(selectivity.panels[0].dots) == 2 * 2 * 3
    assert "other actor, set and prop" in switches.rows
    (number,) = study.key_numbers(table)
    assert number.values["rsp"] == selectivities.rows[0][1]
    paired = study.paired(table, table)["motion selectivity, RSP"]
    assert (paired.value, paired.low, paired.high) == (0, 0, 0)
    other = replace(table, settings={**table.settings, "names": ["others"]})
    with pytest.raises(ValueError, match="over the same videos"):
        study.paired(table, other)
    samples = samples_of(table)
    assert number.difference == selectivity_difference(samples, HEADS)


def test_without_speeds_there_is_no_selectivity(folder: Path) -> None:
    table, study = run(folder, num_videos=3, max_speed=1, num_random=0), ResponsesStudy()
    assert "Too few perturbations" in study.finding(table)
    assert study.key_numbers(table) == []
    assert len(study.figures(table)) == 3


def test_a_video_that_breaks_off_is_skipped() -> None:
    query = make_branch(0)

    class Broken:
        def __len__(self) -> int:
            return 20

        def get_frames(self, indices: list[int]) -> np.ndarray:
            if max(indices) > 12:
                raise ValueError("frame 13 can't be read")
            return np.zeros((len(indices), 64, 64, 3), np.uint8)

    probes = [synthetic_probe(query, 9, index, 15) for index in range(2)]
    for probe in probes:
        probe.swapped.clear()
    with pytest.raises(ValueError, match="synthetic videos and others apart"):
        respond({}, [probes[0], replace(probes[1], swapped={"set": probes[0].reader})], 15)
    probes.insert(1, video_probe(query, Broken(), window=15, name="broken"))
    found = respond({"trained": (query, query)}, probes, 15)
    assert found.skipped == {"broken": "frame 13 can't be read"}
    assert len(found.videos) == 2


def test_command_line(folder: Path, tmp_path: Path, capsys) -> None:
    query = make_branch(0)
    key = make_branch(0)
    with torch.no_grad():
        for parameter in key.encoder.parameters():
            parameter.mul_(1.02)
    model = save_model(tmp_path / "m.safetensors", query, key)
    out = tmp_path / "r.json"
    words = ["--model", str(model), "--out", str(out), "--num_videos", "2", "--num_random", "1"]
    words += ["--max_speed", "2"]
    assert main("responses", [*words, "--videos", str(folder), "--branch", "key"]) == 0
    found = StudyTable.load(out)
    assert found.settings["branch"] == "key"
    assert (samples_of(found)[UNCHANGED, 0.0, "rsp"] < 1).all()
    printed = capsys.readouterr().out
    assert "RSP minus A-VID" in printed
    assert printed.strip().endswith(str(out))
    picture = tmp_path / "r.png"
    assert main("responses", [*words, "--figure", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert StudyTable.load(out).settings["names"] == ["synthetic_9_000000", "synthetic_9_000001"]
    assert main("responses", [*words, "--num_videos", "0"]) == 2
    assert "at least 2 videos" in capsys.readouterr().err
