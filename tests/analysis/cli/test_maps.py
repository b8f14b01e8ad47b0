"""All maps of a pair, in a folder."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from analysis import ClipInfo, ClipMap, View, extract_features
from analysis.attribution.pairwise import PairwiseMap
from analysis.cli.maps import all_maps, main, other_speed
from rspnet.data.video.encode import write_video
from rspnet.models import Branch
from tests.factories import tiny_branch


def make_branch(seed: int) -> Branch:
    return tiny_branch(seed, size=64)


def view(seed: int) -> View:
    frames = np.random.default_rng(seed).integers(0, 256, (8, 64, 64, 3), np.uint8)
    return View(frames, ClipInfo(f"v{seed}", tuple(range(8)), 1))


class Still:
    """A grey video of so many frames."""

    def __init__(self, num: int) -> None:
        self.num = num

    def __len__(self) -> int:
        return self.num

    def get_frames(self, indices: list[int]) -> np.ndarray:
        return np.full((len(indices), 64, 64, 3), 99, np.uint8)


def test_one_forward_a_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    query, key = make_branch(0), make_branch(1)
    counts = {"query": 0, "key": 0}
    for name, branch in (("query", query), ("key", key)):
        forward = branch.encoder.forward

        def counted(x: torch.Tensor, name: str = name, forward=forward) -> torch.Tensor:
            counts[name] += 1
            return forward(x)

        monkeypatch.setattr(branch.encoder, "forward", counted)
    found = all_maps(query, key, view(0), view(1), view_k=view(2), others=[view(3), view(4)])
    assert counts == {"query": 2, "key": 4}  # c_i and c_i frozen; c_j, c_k and two others
    assert set(found.margins) == set(found.pairwise) == {"rsp", "avid"}
    assert not found.skipped


def test_all_maps_ask_the_same_scores() -> None:
    query, key = make_branch(0), make_branch(1)
    found = all_maps(
        query,
        key,
        view(0),
        view(1),
        view_k=view(2),
        others=[view(3), view(4)],
        num_hard_negatives=1,
    )
    c_i, c_j, c_k = (
        extract_features(query, view(0)),
        extract_features(key, view(1)),
        extract_features(key, view(2)),
    )
    for head, maps in found.shown.maps.heads.items():
        pairwise = found.pairwise[head]
        np.testing.assert_allclose(pairwise.values.sum((3, 4, 5)), maps.contribution_i, atol=1e-12)
        np.testing.assert_allclose(pairwise.values.sum((0, 1, 2)), maps.contribution_j, atol=1e-12)
    s = {
        name: float(c_i.embeddings["rsp"] @ c.embeddings["rsp"])
        for name, c in (("j", c_j), ("k", c_k))
    }
    assert found.margins["rsp"].margin == pytest.approx(s["j"] - s["k"], abs=1e-6)
    near = max(
        float(c_i.embeddings["avid"] @ extract_features(key, view(n)).embeddings["avid"])
        for n in (3, 4)
    )
    expected = float(c_i.embeddings["avid"] @ c_j.embeddings["avid"]) - near
    assert found.margins["avid"].margin == pytest.approx(expected, abs=1e-6)


def test_what_is_missing_is_named() -> None:
    found = all_maps(make_branch(0), make_branch(1), view(0), view(1))
    assert not found.margins
    assert set(found.skipped) == {"margin_rsp", "margin_avid"}
    assert "left out: margin_avid: no clips of other videos" in found.table()


def test_other_speed_is_twice_or_half_and_fits() -> None:
    assert other_speed(Still(20), view(1)).info == ClipInfo("v1", tuple(range(0, 16, 2)), 2)
    late = View(view(1).frames, ClipInfo("v1", tuple(range(9, 17)), 1))
    assert other_speed(Still(20), late).info.frame_indices == tuple(range(5, 20, 2))
    fast = View(view(1).frames, ClipInfo("v1", tuple(range(0, 16, 2)), 2))
    assert other_speed(Still(20), fast).info == ClipInfo("v1", tuple(range(8)), 1)
    with pytest.raises(ValueError, match="need a video of 15 frames, that of c_j has 14"):
        other_speed(Still(14), view(1))
    with pytest.raises(ValueError, match="another speed"):
        other_speed(Still(20), view(1), 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("maps")
    rng = np.random.default_rng(0)
    for name, num in (("a", 24), ("b", 33), ("c", 40)):
        write_video(root / f"{name}.mp4", rng.integers(0, 256, (num, 120, 120, 3), np.uint8), 25)
    return root


def test_command_line(folder: Path, capsys: pytest.CaptureFixture) -> None:
    out = folder / "out"
    a, b, c = (str(folder / f"{name}.mp4") for name in "abc")
    command = ["--video-i", a, "--video-j", b, "--others", c, "--fine", "2", "--out", str(out)]
    assert main([*command, "--no-pictures"]) == 0
    assert "grid of 4 x 7 x 7 cells" in capsys.readouterr().out
    names = {p.name for p in out.iterdir()}
    fine = {f"fine_{head}_{clip}.npz" for head in ("rsp", "avid") for clip in "ij"}
    both = {f"{kind}_{head}.npz" for kind in ("margin", "pairwise") for head in ("rsp", "avid")}
    fine |= {f"fine_margin_{head}.npz" for head in ("rsp", "avid")}
    assert names == {"pair.npz", "regions.json", "numbers.json"} | fine | both
    numbers = json.loads((out / "numbers.json").read_text())
    assert numbers["command"].startswith("python -m analysis maps --video-i")
    for head, row in numbers["heads"].items():
        assert row["completeness_error"] < 1e-5
        assert row["margin_completeness_error"] < 1e-5
        score = PairwiseMap.load(out / f"pairwise_{head}.npz").score
        assert score == pytest.approx(row["similarity"], abs=1e-6)
        assert ClipMap.load(out / f"fine_{head}_j.npz").grid.cells == (4, 14, 14)
        fine_margin = ClipMap.load(out / f"fine_margin_{head}.npz")
        assert fine_margin.grid.cells == (4, 14, 14)
        with np.load(out / f"margin_{head}.npz") as margin:
            # The clip that is not shifted has every fourth cell.
            np.testing.assert_allclose(fine_margin.values[:, ::2, ::2], margin["i"] / 4, atol=1e-12)
    assert numbers["heads"]["rsp"]["margin_against"][0]["speed"] == 2
    assert numbers["heads"]["avid"]["margin_against"][0]["video"] == c


def test_witnesses_on_the_command_line(folder: Path) -> None:
    out = folder / "witnessed"
    a, b = (str(folder / f"{name}.mp4") for name in "ab")
    command = ["--video-i", a, "--video-j", b, "--witness", "layer_gradcam", "--fine", "2"]
    command += ["--witness-margin", "layer_gradcam"]
    assert main([*command, "--out", str(out)]) == 0
    pictures = {path.name for path in out.glob("*.png")}
    strips = {f"strip_{name}.png" for name in ("margin", "fine", "fine_margin", "layer_gradcam")}
    strips.add("strip_layer_gradcam_margin.png")
    assert pictures == {"figure.png", "strip.png"} | strips
    numbers = json.loads((out / "numbers.json").read_text())["heads"]
    for head in ("rsp", "avid"):
        found = ClipMap.load(out / f"layer_gradcam_{head}_j.npz")
        assert found.kind == "layer_gradcam"
        assert found.clip.video == b
        (_, said) = numbers[head]["witnesses"]["layer_gradcam"]
        assert said["sum"] == pytest.approx(float(found.values.sum()))
        assert said["score"] == pytest.approx(numbers[head]["similarity"], abs=1e-6)
    # Without other videos there is no margin of A-VID to ask about.
    assert "layer_gradcam_margin" not in numbers["avid"]["witnesses"]
    of_i, of_j = numbers["rsp"]["witnesses"]["layer_gradcam_margin"]
    assert of_i["score"] == pytest.approx(numbers["rsp"]["margin"], abs=1e-6)
    assert of_j["score"] == pytest.approx(numbers["rsp"]["similarity"], abs=1e-6)
    with np.load(out / "margin_rsp.npz") as margin:
        asked = ClipMap.load(out / "layer_gradcam_margin_rsp_i.npz")
        np.testing.assert_allclose(asked.values, margin["i"], atol=1e-5)


def test_bad_input_ends_in_a_sentence(folder: Path, capsys: pytest.CaptureFixture) -> None:
    a, text = str(folder / "a.mp4"), folder / "text.mp4"
    text.write_text("no video")
    for options, words in (
        (["--video-i", str(text)], "text.mp4"),
        (["--video-i", a, "--fine", "3"], "divides the stride"),
        (["--video-i", a, "--start", "20"], "need a video of 36 frames, this one has 24"),
        (["--video-i", a, "--other-speed", "2"], "need a video of 31 frames"),
        (["--video-i", a, "--model", "none.safetensors"], "none.safetensors"),
        (["--video-j", a], "give --video-i"),
        (["--video-i", a, "--size", "-1"], "size is a positive number"),
    ):
        assert main([*options, "--no-pictures", "--out", str(folder / "bad")]) == 2
        assert words in capsys.readouterr().err
    assert main(["--video-i", a, "--no-pictures", "--out", str(text)]) == 2
    assert "is a file" in capsys.readouterr().err
