"""Responses of models to changes, over videos."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from analysis.cli.responses import main
from analysis.stimuli.kinds import with_swapped_heads
from analysis.stimuli.perturbed_clips import Curve, synthetic_probe, video_probe
from analysis.studies.response_result import Responses
from analysis.studies.responses import respond, response_study
from rspnet.data.video.encode import write_video
from rspnet.models import Branch
from rspnet.names import HEADS
from rspnet.weights.checkpoint import save_model
from tests.factories import tiny_branch


def make_branch(seed: int) -> Branch:
    return tiny_branch(seed, size=64)


@pytest.fixture(scope="module")
def studied() -> dict[str, Responses]:
    query, key = make_branch(0), make_branch(1)
    models = {
        "trained": (query, query),
        "pair": (query, key),
        "swapped": (with_swapped_heads(query), with_swapped_heads(query)),
    }
    probes = [synthetic_probe(query, 9, index, 15) for index in range(3)]
    return respond(models, probes, 15, source="generated videos")


def test_unchanged_is_one_within_a_branch_and_in_every_curve(studied) -> None:
    found = studied["trained"]
    for head in HEADS:
        np.testing.assert_allclose(found.unchanged[head], 1, atol=1e-12)
    for result in studied.values():
        assert result.videos == ("synthetic_9_000000", "synthetic_9_000001", "synthetic_9_000002")
        assert result.curve("speed").levels == (0.25, 0.5, 1, 1.5, 2)
        for head in HEADS:
            for change, neutral in (("speed", 1), ("crop", 1), ("hue", 0), ("looks", 0)):
                own = result.curve(change).at(head, neutral)
                np.testing.assert_array_equal(own, result.unchanged[head])
                assert not result.drop(head, change, neutral).any()
    assert (studied["pair"].unchanged["rsp"] < 0.999).all()


def test_other_videos_by_hand(studied) -> None:
    query, key = make_branch(0), make_branch(1)
    clips = torch.stack([synthetic_probe(query, 9, i, 15).view.clip for i in range(3)])
    with torch.no_grad():
        z, k = query(clips), key(clips)
    for head in HEADS:
        s = (z[head] @ k[head].T).double().numpy()
        expected = [(s[i].sum() - s[i, i]) / 2 for i in range(3)]
        np.testing.assert_allclose(studied["pair"].unrelated[head], expected, atol=1e-5)
        np.testing.assert_allclose(studied["pair"].unchanged[head], np.diag(s), atol=1e-5)


def test_swapped_heads_are_exactly_reversed(studied) -> None:
    own, swapped = studied["trained"], studied["swapped"]
    for head, other in (HEADS, HEADS[::-1]):
        # But for float32's last bits: a copy of the weights may be summed in another order.
        np.testing.assert_allclose(own.unrelated[head], swapped.unrelated[other], atol=1e-6)
        for a, b in zip(own.curves, swapped.curves, strict=True):
            np.testing.assert_allclose(a.similarity[head], b.similarity[other], atol=1e-6)
    # Its interval is reversed too, as the same videos are drawn.
    a, b = (result.difference("speed", 2) for result in (own, swapped))
    assert (a.value, a.low, a.high) == pytest.approx((-b.value, -b.high, -b.low), abs=1e-3)


def by_hand() -> Responses:
    """Two videos with round numbers."""
    curve = Curve(
        change="grey",
        levels=(0, 1),
        similarity={
            "rsp": np.array([[1.0, 0.9], [1.0, 0.7]]),
            "avid": np.array([[1.0, 0.5], [1.0, 0.5]]),
        },
    )
    return Responses(
        weights="trained",
        model_hash="abc",
        branch="query",
        source="videos",
        seed=0,
        num_frames=8,
        window=15,
        videos=("a", "b"),
        unchanged={head: np.ones(2) for head in HEADS},
        unrelated={"rsp": np.array([0.6, 0.6]), "avid": np.array([0.0, -0.5])},
        curves=(curve,),
        skipped={"c": "too short"},
    )


def test_drops_by_hand() -> None:
    found = by_hand()
    np.testing.assert_allclose(found.drop("rsp", "grey", 1), [0.1, 0.3])
    assert found.scaled_drop("rsp", "grey", 1).value == pytest.approx(0.2 / 0.4)
    assert found.scaled_drop("avid", "grey", 1).value == pytest.approx(0.5 / 1.25)
    assert found.difference("grey", 1).value == pytest.approx(0.5 - 0.4)
    assert found.curve("grey").estimates("rsp")[1].value == pytest.approx(0.8)
    table = found.table()
    assert "grey scale" in table
    assert "0.80 [0.70, 0.90]" in table
    assert "0.50 [0.25, 0.75]" in table  # RSP's scaled drop
    assert "left out: 1\n  c: too short" in table


def test_average_of_draws() -> None:
    one = by_hand()
    both = Responses.average([one, one], "random weights")
    assert both.weights == "random weights"
    np.testing.assert_array_equal(both.curves[0].similarity["rsp"], one.curves[0].similarity["rsp"])
    with pytest.raises(ValueError, match="same videos"):
        Responses.average([], "none")


def test_json_and_back(studied, tmp_path: Path) -> None:
    whole = replace(studied["trained"], controls=(studied["swapped"],), skipped={"x": "short"})
    path = tmp_path / "r.json"
    path.write_text(json.dumps(whole.to_json()))
    again = Responses.load(path)
    assert again.to_json() == whole.to_json()
    assert again.controls[0].weights == "swapped"
    assert again.table() == whole.table()
    path.write_text('{"format": "rspnet-map"}')
    with pytest.raises(ValueError, match="expected 'rspnet-responses'"):
        Responses.load(path)
    path.write_text("[]")
    with pytest.raises(ValueError, match="holds no responses"):
        Responses.load(path)


def test_unknown_names_are_refused() -> None:
    found = by_hand()
    with pytest.raises(ValueError, match="measured were .'grey'., got 'hue'"):
        found.curve("hue")
    with pytest.raises(ValueError, match=r"measured at \(0, 1\), got 0.5"):
        found.curve("grey").at("rsp", 0.5)
    with pytest.raises(ValueError, match="heads are .* got 'motion'"):
        found.curve("grey").at("motion", 1)


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


def test_short_and_broken_videos_are_left_out_and_named(folder: Path) -> None:
    query = make_branch(0)
    found = response_study(
        query, query, [folder], num_videos=5, max_speed=2, num_random=2, progress=False
    )
    assert sorted(found.videos) == ["x/a.mp4", "x/b.mp4", "x/c.mp4"]
    assert set(found.skipped) == {"x/short.mp4", "x/broken.mp4"}
    assert "15 frames from frame 0 on are needed, the video has 10" in found.skipped["x/short.mp4"]
    assert [control.weights for control in found.controls] == ["random weights"]
    assert [curve.change for curve in found.curves][-1] == "blur"  # no exchanges
    two = response_study(
        query, query, [folder], num_videos=2, max_speed=2, num_random=0, progress=False
    )
    assert len(two.videos) == 2
    assert not two.controls
    with pytest.raises(ValueError, match=r"29 frames are needed, got 0, 5 left out .*--max_speed"):
        response_study(query, query, [folder], progress=False)
    with pytest.raises(ValueError, match="num_videos=1"):
        response_study(query, query, [folder], num_videos=1)


def test_a_video_that_breaks_off_is_left_out() -> None:
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
        probe.exchanged.clear()
    with pytest.raises(ValueError, match="generated videos and others apart"):
        respond({}, [probes[0], replace(probes[1], exchanged={"set": probes[0].reader})], 15)
    probes.insert(1, video_probe(query, Broken(), window=15, name="broken"))
    found = respond({"trained": (query, query)}, probes, 15)["trained"]
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
    asked = ["--model", str(model), "--out", str(out), "--num_videos", "2", "--num_random", "1"]
    assert main([*asked, "--videos", str(folder), "--max_speed", "2", "--branch", "key"]) == 0
    found = Responses.load(out)
    assert found.branch == "key"
    assert (found.unchanged["rsp"] < 1).all()
    printed = capsys.readouterr().out
    assert "RSP less A-VID" in printed
    assert "motion selectivity" in printed
    (trained, control) = json.loads(out.read_text())["selectivity"]
    assert (trained["weights"], control["weights"]) == ("trained", "random weights")
    assert trained["measure"] == "changes"
    assert printed.strip().endswith(str(out))
    picture = tmp_path / "r.png"
    assert main([*asked, "--figure", str(tmp_path / "r.gif")]) == 2
    assert ".png" in capsys.readouterr().err
    generated = [*asked, "--max_speed", "2", "--figure", str(picture)]
    assert main(generated) == 0
    assert picture.stat().st_size > 10_000
    assert Responses.load(out).videos == ("synthetic_9_000000", "synthetic_9_000001")
    assert main([*asked, "--num_videos", "0"]) == 2
    assert "at least 2 videos" in capsys.readouterr().err
