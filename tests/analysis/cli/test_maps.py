"""All maps of a pair, in a folder."""

import json
from pathlib import Path

import numpy as np
import pytest

from analysis import ClipInfo, ClipMap, PairClips, View, edit_region, load_view, map_kinds
from analysis.attribution.pairwise import PairwiseMap
from analysis.attribution.registry import default_maps
from analysis.cli.maps import main
from analysis.core.models import load_branches
from analysis.figures.figure_inputs import other_speed
from analysis.figures.viewer.rows import signed
from rspnet.data.video.encode import write_video
from rspnet.weights.checkpoint import save_model
from tests.factories import tiny_branch


def view(seed: int) -> View:
    frames = np.random.default_rng(seed).integers(0, 256, (8, 64, 64, 3), np.uint8)
    return View(frames, ClipInfo(f"v{seed}", tuple(range(8)), 1))


class Grey:
    """A grey video of so many frames."""

    def __init__(self, num: int) -> None:
        self.num = num

    def __len__(self) -> int:
        return self.num

    def get_frames(self, indices: list[int]) -> np.ndarray:
        return np.full((len(indices), 64, 64, 3), 99, np.uint8)


def test_other_speed_is_twice_or_half_and_fits() -> None:
    assert other_speed(Grey(20), view(1)).info == ClipInfo("v1", tuple(range(0, 16, 2)), 2)
    late = View(view(1).frames, ClipInfo("v1", tuple(range(9, 17)), 1))
    assert other_speed(Grey(20), late).info.frame_indices == tuple(range(5, 20, 2))
    fast = View(view(1).frames, ClipInfo("v1", tuple(range(0, 16, 2)), 2))
    assert other_speed(Grey(20), fast).info == ClipInfo("v1", tuple(range(8)), 1)
    with pytest.raises(ValueError, match="need a video of 15 frames, this one has 14"):
        other_speed(Grey(14), view(1))
    with pytest.raises(ValueError, match="another speed"):
        other_speed(Grey(20), view(1), 1)
    with pytest.raises(ValueError, match="speed is positive, got 0"):
        other_speed(Grey(20), view(1), 0)  # not the one that is taken where none is named


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
    command = ["--video_i", a, "--video_j", b, "--others", c, "--fine", "2", "--out", str(out)]
    assert main([*command, "--pictures", "false"]) == 0
    assert "grid of 4 x 7 x 7 cells" in capsys.readouterr().out
    names = {p.name for p in out.iterdir()}
    rows = [f"{head}_{clip}.npz" for head in ("rsp", "avid") for clip in "ij"]
    expected = {f"{kind}_{row}" for kind in default_maps() for row in rows}
    has_fine = [key for key in default_maps() if map_kinds()[key].fine]
    expected |= {f"fine_{kind}_{row}" for kind in has_fine for row in rows}
    expected |= {"pairwise_rsp.npz", "pairwise_avid.npz", "pair.npz"}
    assert names == expected | {"regions.json", "numbers.json"}
    numbers = json.loads((out / "numbers.json").read_text())
    assert numbers["command"].startswith("python -m analysis maps --video_i")
    assert numbers["skipped"] == {}
    for head, similarity in numbers["similarity"].items():
        for kind in ("contribution", "margin", "margin_faster", "margin_static"):
            assert numbers["kinds"][kind][head]["i"]["completeness_error"] < 1e-5
        score = PairwiseMap.load(out / f"pairwise_{head}.npz").score
        assert score == pytest.approx(similarity, abs=1e-6)
        assert ClipMap.load(out / f"fine_contribution_{head}_j.npz").grid.cells == (4, 14, 14)
    margin = numbers["kinds"]["margin"]
    assert margin["rsp"]["i"]["negatives"][0]["speed"] == 2
    assert margin["avid"]["i"]["negatives"][0]["video"] == c
    # c_j plays at 1x and c_k at 2x: towards the faster clip the margin of RSP turns.
    faster = numbers["kinds"]["margin_faster"]
    assert faster["rsp"]["i"]["score"] == -margin["rsp"]["i"]["score"]
    assert faster["avid"]["i"]["score"] == margin["avid"]["i"]["score"]
    regions = json.loads((out / "regions.json").read_text())
    assert regions["heads"]["rsp"]["c_i"]["kind"] == "margin_faster"


def test_independent_methods_on_the_command_line(folder: Path) -> None:
    out = folder / "captum"
    a, b = (str(folder / f"{name}.mp4") for name in "ab")
    chosen = ["contribution", "layer_gradcam", "layer_gradcam_margin"]
    assert main(["--video_i", a, "--video_j", b, "--maps", *chosen, "--out", str(out)]) == 0
    pictures = {path.name for path in out.glob("*.png")}
    assert pictures == {"figure.png"} | {f"strip_{kind}.png" for kind in chosen}
    assert (out / "pair.mp4").stat().st_size > 0
    numbers = json.loads((out / "numbers.json").read_text())
    for head in ("rsp", "avid"):
        found = ClipMap.load(out / f"layer_gradcam_{head}_j.npz")
        assert (found.kind, found.clip.video) == ("layer_gradcam", b)
        said = numbers["kinds"]["layer_gradcam"][head]["j"]
        assert said["sum"] == pytest.approx(float(found.values.sum()))
        assert said["score"] == pytest.approx(numbers["similarity"][head], abs=1e-6)
        exact = ClipMap.load(out / f"contribution_{head}_j.npz")
        np.testing.assert_allclose(found.values, exact.values, atol=1e-5)
    # Without other videos A-VID has no margin.
    assert set(numbers["kinds"]["layer_gradcam_margin"]) == {"rsp"}
    assert "give --others" in numbers["skipped"]["layer_gradcam_margin_avid"]
    of_j = numbers["kinds"]["layer_gradcam_margin"]["rsp"]["j"]
    assert of_j["score"] == pytest.approx(numbers["similarity"]["rsp"], abs=1e-6)


def test_a_page_of_an_edit_shows_it_beside_the_clip_as_it_is(
    folder: Path, capsys: pytest.CaptureFixture
) -> None:
    a, b, out = (str(folder / name) for name in ("a.mp4", "b.mp4", "edit.html"))
    edit = ["--region", "0.2,0.1,0.6,0.9,2,9", "--region_of", "j", "--edit", "mean"]
    words = ["--video_i", a, "--video_j", b, "--maps", "contribution", *edit, "--out", out]
    assert main(words) == 0
    said, page = capsys.readouterr().out, Path(out).read_text()
    assert said.startswith("Edit of c_j: mean, in the region 0.2,0.1,0.6,0.9,2,9.")
    for head in ("RSP", "A-VID"):
        (line,) = (line for line in said.splitlines() if line.startswith(f"{head}: s "))
        assert line in page
        assert f"{head}, c_j, edited" in page
    assert "j, edited" in page


def test_a_region_is_played_at_another_speed(folder: Path, capsys: pytest.CaptureFixture) -> None:
    c, out = str(folder / "c.mp4"), str(folder / "speed.html")
    model = str(save_model(folder / "tiny.safetensors", tiny_branch(0), tiny_branch(1)))
    words = ["--model", model, "--video_i", c, "--start_i", "3", "--start_j", "20"]
    words += ["--maps", "contribution", "--out", out]
    edit = ["--region", "0,0,0.5,1", "--edit", "speed"]
    assert main([*words, *edit]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Edit of c_i: speed 2x, in the region 0,0,0.5,1.")
    branch, key = load_branches(model)
    c_i, fast = (load_view(c, 8, 32, start=3, speed=speed) for speed in (1, 2))
    c_j = load_view(c, 8, 32, start=20)
    mask = np.zeros((32, 32), bool)
    mask[:, :16] = True
    pair = PairClips.of(branch, key, edit_region(c_i, mask, "speed", fast), c_j)
    for head, name in (("rsp", "RSP"), ("avid", "A-VID")):
        s = float(pair.c_i.embeddings[head] @ pair.c_j.embeddings[head])
        assert f"{name}: s " in said
        assert f"{signed(s, 4)} edited" in said
    for speed, why in (
        ("1", "is at 1x already"),
        ("8", "need a video of 57 frames"),
        ("-1", "speed is positive, got -1"),
    ):
        assert main([*words, *edit, "--edit_speed", speed]) == 2
        assert why in capsys.readouterr().err
    assert main([*words, "--region", "0,0,1,1", "--edit_speed", "2"]) == 2
    assert "--edit_speed goes with --edit speed" in capsys.readouterr().err


def test_bad_input_ends_in_a_sentence(folder: Path, capsys: pytest.CaptureFixture) -> None:
    a, text = str(folder / "a.mp4"), folder / "text.mp4"
    text.write_text("no video")
    for options, words in (
        (["--video_i", str(text)], "text.mp4"),
        (["--video_i", a, "--fine", "3"], "divides the stride"),
        (["--video_i", a, "--start_i", "20"], "need a video of 36 frames, this one has 24"),
        (["--video_i", a, "--speed_k", "2"], "need a video of 31 frames"),
        (["--video_i", a, "--model", "none.safetensors"], "none.safetensors"),
        (["--video_j", a], "give --video_i"),
        (["--video_i", a, "--size", "-1"], "size is a positive number"),
        (["--video_i", a, "--maps", "margin_fast"], "margin_faster"),
        (["--video_i", a, "--region", "0,0,1,1"], "an edit is shown on a page"),
        (["--video_i", a, "--maps", "cam"], "class maps are of a classifier"),
    ):
        assert main([*options, "--pictures", "false", "--out", str(folder / "bad")]) == 2
        assert words in capsys.readouterr().err
    page = ["--video_i", a, "--out", str(folder / "bad.html"), "--region"]
    for region, words in (("0,0,1,a", "numbers, such as"), ("0,0", "4 numbers, or 6")):
        assert main([*page, region]) == 2
        assert words in capsys.readouterr().err
    assert not (folder / "bad.html").exists()
    assert main(["--video_i", a, "--pictures", "false", "--out", str(text)]) == 2
    assert "file" in capsys.readouterr().err
