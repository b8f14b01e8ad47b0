"""Class activation maps of a classifier."""

from pathlib import Path

import numpy as np
import pytest
import torch

from analysis import ClipInfo, ClipMap, View
from analysis.attribution.class_map import classes_of_pair, explain_classes
from analysis.cli.classes import main
from rspnet.data.video.encode import write_video
from rspnet.models import Branch
from rspnet.recognition.classifier import Classifier, save_classifier


@pytest.fixture(scope="module")
def model() -> Classifier:
    torch.manual_seed(0)
    options = {"width": 2, "stem_kernel": (1, 3, 3)}
    branch = Branch("resnet18_fine", options, num_frames=8, size=64)
    model = Classifier(branch, ["sit", "stand", "wave"]).eval()
    torch.nn.init.normal_(model.fc.weight)
    torch.nn.init.normal_(model.fc.bias)
    return model


@pytest.fixture(scope="module")
def view() -> View:
    frames = np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3), np.uint8)
    return View(frames, ClipInfo("v.mp4", tuple(range(8)), 1))


def test_maps_sum_to_the_logits_the_likeliest_first(model: Classifier, view: View) -> None:
    with torch.no_grad():
        logits = model(view.clip[None])[0]
    found = explain_classes(model, view)
    assert [one.name for one in found] == [model.classes[k] for k in logits.argsort().flip(0)]
    for one in found:
        k = model.classes.index(one.name)
        assert one.clip_map.score == pytest.approx(float(logits[k]), abs=1e-5)
        assert one.clip_map.completeness_error < 1e-5
        assert one.probability == pytest.approx(float(logits.softmax(0)[k]), abs=1e-5)
    assert sum(one.probability for one in found) == pytest.approx(1)


def test_eq_1_by_hand(model: Classifier, view: View) -> None:
    (one,) = explain_classes(model, view, ["wave"])
    with torch.no_grad():
        F = model.branch.features(view.clip[None])[0].double()
        w, b = model.fc.weight[2].double(), model.fc.bias[2].double()
        place = (0, 1, 2)
        expected = (sum(w[c] * F[c][place] for c in range(len(w))) + b) / F[0].numel()
    assert one.clip_map.values[place] == pytest.approx(float(expected))


def test_two_classes_of_a_pair(model: Classifier, view: View) -> None:
    frames = np.random.default_rng(5).integers(0, 256, view.frames.shape, np.uint8)
    other = View(frames, ClipInfo("w.mp4", tuple(range(8)), 1))
    first, second = classes_of_pair(model, view, other)
    of_i, of_j = (explain_classes(model, one) for one in (view, other))
    assert first[0].name == first[1].name == of_i[0].name
    expected = of_j[0].name if of_j[0].name != of_i[0].name else of_i[1].name
    assert second[0].name == second[1].name == expected
    assert first[1].clip_map.clip.video == "w.mp4"
    same = classes_of_pair(model, view, view)
    assert [both[0].name for both in same] == [one.name for one in of_i[:2]]
    lone = Classifier(model.branch, ["sit"]).eval()
    with pytest.raises(ValueError, match="has 1"):
        classes_of_pair(lone, view, view)


def test_command_line(
    model: Classifier, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = save_classifier(tmp_path / "c.safetensors", model, {})
    rng = np.random.default_rng(1)
    write_video(tmp_path / "v.mp4", rng.integers(0, 256, (12, 72, 72, 3), np.uint8), 25)
    words = ["--classifier", str(file), "--video", str(tmp_path / "v.mp4")]
    out = ["--out", str(tmp_path / "cam.png")]
    assert main([*words, *out, "--maps_folder", str(tmp_path / "maps"), "--num_classes", "2"]) == 0
    assert "probability" in capsys.readouterr().out
    (first, second) = sorted((tmp_path / "maps").iterdir())
    assert ClipMap.load(first).clip.frame_indices == tuple(range(2, 10))
    assert ClipMap.load(second).kind == "logit"
    assert (tmp_path / "cam.png").stat().st_size > 1000
    fast = ["--speed", "1.5", "--classes", "sit", "--maps_folder", str(tmp_path / "fast")]
    assert main([*words, *out, *fast]) == 0
    assert ClipMap.load(tmp_path / "fast" / "sit.npz").clip.speed == 1.5
    for bad, message in (
        ([*words, *out, "--classes", "run"], "classes are sit, stand, wave, got run"),
        ([*words, "--out", "cam.gif"], "cam.gif"),
        ([*words, *out, "--start", "9"], "this one has 12"),
        (["--classifier", str(tmp_path / "v.mp4"), *words[2:], *out], "safetensors"),
    ):
        assert main(bad) == 2
        assert message in capsys.readouterr().err
