"""What excites a unit: the ranking of the vectors, and maps that are W_d F."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from analysis import explain_unit, to_html
from analysis.attribution.retrieval.layers import kept_outputs, layer_grid, layers_of
from analysis.cli import retrieval as command
from analysis.core.grid import Grid
from analysis.figures.retrieval_figure import draw_unit
from analysis.figures.viewer.pair import view_of
from rspnet.data.video.encode import write_video
from rspnet.models import Branch
from rspnet.retrieval.gallery import Gallery, embed_videos, protocol_for
from rspnet.weights.checkpoint import save_model
from tests.factories import tiny_branch

UNIT, CHANNEL = 17, 3


@pytest.fixture(scope="module")
def branch() -> Branch:
    """Its unit 17 of RSP is channel 3 and nothing else."""
    made = tiny_branch(0)
    head = made.head("rsp")
    with torch.no_grad():
        head.weight[UNIT] = 0  # type: ignore[index]
        head.weight[UNIT, CHANNEL] = 2.0  # type: ignore[index]
        if head.bias is not None:
            head.bias[UNIT] = 0  # type: ignore[index]
    return made


@pytest.fixture(scope="module")
def gallery(branch: Branch, video_folder: Path) -> Gallery:
    paths = sorted(video_folder.rglob("*.mp4"))
    return embed_videos(branch, paths, protocol_for(branch, num_clips=2), progress=False)


def test_a_unit_that_is_a_channel_has_that_channels_map(branch: Branch, gallery: Gallery) -> None:
    found = explain_unit(branch, gallery, "rsp", UNIT, num=3)
    column = gallery.vectors["rsp"][:, UNIT]
    assert [own.index for own in found.videos] == np.argsort(-column, kind="stable")[:3].tolist()
    for own in found.videos:
        assert own.value == column[own.index]
        assert own.maps.completeness_error < 1e-6
        # By hand: 2 F_3 in each cell, over the cells, the length of the clip's embedding, the
        # clips and the length of the mean of their unit embeddings.
        z, F = [], []
        for one in own.maps.maps:
            with torch.no_grad():
                features = branch.features(view_of(one.clip, one.grid).clip[None])
                z.append(branch.head("rsp")(features.mean((2, 3, 4)))[0].numpy())
            F.append(features[0, CHANNEL].numpy())
        lengths = np.linalg.norm(z, axis=1)
        mean = np.linalg.norm(np.mean(z / lengths[:, None], axis=0))
        for one, cells, length in zip(own.maps.maps, F, lengths, strict=True):
            wanted = 2 * cells / cells.size / length / len(F) / mean
            np.testing.assert_allclose(one.values, wanted, atol=1e-6)


def test_channels_of_the_backbone_are_units_too(branch: Branch, gallery: Gallery) -> None:
    found = explain_unit(branch, gallery, "backbone", CHANNEL, num=1)
    assert found.videos[0].value == gallery.vectors["backbone"][:, CHANNEL].max()
    assert found.videos[0].maps.completeness_error < 1e-6


def test_a_unit_of_an_inner_layer_finds_and_shows_what_it_is_planted_to_see(
    planted_branch: Branch, tmp_path: Path
) -> None:
    """Channel 0 of each layer is red, channel 1 blue: the reddest video, on its red half."""
    red, blue = (200, 0, 0), (0, 0, 200)
    halves = {"red": (red, (0, 0, 0)), "both": (red, blue), "blue": ((0, 0, 0), blue)}
    for name, (left, right) in halves.items():
        frames = np.zeros((40, 64, 64, 3), np.uint8)
        frames[:, :, :32], frames[:, :, 32:] = left, right
        write_video(tmp_path / f"{name}.mp4", frames, 25, preset="fast")
    paths = sorted(tmp_path.glob("*.mp4"))  # blue, both, red
    protocol = replace(protocol_for(planted_branch, num_clips=2), num_frames=8, size=64)
    gallery = embed_videos(planted_branch, paths, protocol, progress=False)
    for layer in ("layer1", "layer2"):
        found = explain_unit(planted_branch, gallery, layer, 0, num=3)
        assert [own.index for own in found.videos] == [2, 1, 0]
        best = found.videos[0].maps
        assert best.completeness_error < 1e-6
        grid, columns = best.maps[0].grid, best.maps[0].values.sum(axis=(0, 1))
        half = grid.cells[2] // 2
        assert grid.stride[1:] == (64 / (2 * half), 64 / (2 * half))
        assert columns[:half].sum() > 2 * abs(columns[half:].sum())
        assert explain_unit(planted_branch, gallery, layer, 1, num=1).videos[0].index == 0
    # By hand: the mean of the channel over cells and clips, the layers' means at unit length.
    clip = view_of(best.maps[0].clip, best.maps[0].grid).clip[None]
    with kept_outputs(layers_of(planted_branch)) as kept, torch.no_grad():
        last = planted_branch.features(clip)
    u = kept["layer2"].mean((2, 3, 4))[0].double()
    assert float(u[0] / u.norm()) == pytest.approx(found.videos[0].value, abs=1e-5)
    assert layer_grid(planted_branch, tuple(last.shape[2:]), (8, 64, 64)) == Grid.of(
        planted_branch, last.shape[2:], (8, 64, 64)
    )
    with pytest.raises(ValueError, match="units of layer1 are numbered from 0 to 3, got 4"):
        explain_unit(planted_branch, gallery, "layer1", 4, num=1)
    with pytest.raises(ValueError, match=r"one of a layer \(.*layer1.* got 'layer9'"):
        explain_unit(planted_branch, gallery, "layer9", 0)


def test_what_is_no_unit(branch: Branch, gallery: Gallery) -> None:
    with pytest.raises(ValueError, match="units of rsp are numbered from 0 to 127, got 128"):
        explain_unit(branch, gallery, "rsp", 128)
    with pytest.raises(ValueError, match="or of a feature .* got 'speed'"):
        explain_unit(branch, gallery, "speed", 1)
    with pytest.raises(ValueError, match="between 1 and the gallery's 4 videos, got 5"):
        explain_unit(branch, gallery, "rsp", 1, num=5)
    with pytest.raises(ValueError, match="made by another model"):
        explain_unit(branch, replace(gallery, model_hash="other"), "rsp", 1)


def test_the_command_draws_and_writes_what_was_found(
    branch: Branch, video_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = save_model(tmp_path / "m.safetensors", branch, branch)
    from rspnet.weights.checkpoint import load_model

    loaded = load_model(model)
    paths = sorted(video_folder.rglob("*.mp4"))
    gallery = embed_videos(loaded, paths, protocol_for(loaded, num_clips=2), progress=False)
    gallery.save(tmp_path / "g")
    words = ["--model", str(model), "--gallery", str(tmp_path / "g"), "--k", "2"]
    named = [*words, "--unit", str(UNIT), "--out"]
    assert command.main([*named, str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    best = int(gallery.vectors["rsp"][:, UNIT].argmax())
    assert said.startswith(f"  1 {gallery.vectors['rsp'][best, UNIT]:+.4f}")
    stem = tmp_path / "out" / f"unit_rsp_{UNIT}"
    assert json.loads(stem.with_suffix(".json").read_text())["videos"][0]["index"] == best
    with np.load(stem.with_suffix(".npz")) as arrays:
        assert arrays["video2"].shape[0] == 2
    assert stem.with_suffix(".png").is_file()
    found = explain_unit(loaded, gallery, "rsp", UNIT, num=2)
    page = to_html(found, tmp_path / "unit.html").read_text()
    assert f"What excites unit {UNIT} of RSP" in page
    assert "unit 17" in draw_unit(found).caption
    # The same command with a query: the page and the JSON say whether each map can be believed.
    query = [*words[:4], "--k", "1", "--query", str(paths[0]), "--verdict", "true", "--out"]
    assert command.main([*query, str(tmp_path / "why.html")]) == 0
    assert command.main([*query, str(tmp_path / "why")]) == 0
    (said,) = json.loads((tmp_path / "why" / "retrieval_rsp.json").read_text())["verdicts"].values()
    assert f"No. 1, its map of the query:</b> {said}" in (tmp_path / "why.html").read_text()
    assert command.main([*query, str(tmp_path / "x"), "--feature", "backbone"]) == 2
    assert "explain the retrieval by a head" in capsys.readouterr().err
    inner = [*words, "--layer", "layer2", "--unit", "1", "--out"]
    assert command.main([*inner, str(tmp_path / "inner")]) == 0
    assert "(layer2), which the maps" in capsys.readouterr().out
    assert (tmp_path / "inner" / "unit_layer2_1.png").is_file()
    assert command.main([*inner, str(tmp_path / "inner.html")]) == 0
    assert "What excites unit 1 of layer2" in (tmp_path / "inner.html").read_text()
    assert command.main([*words, "--layer", "layer9", "--unit", "1", "--out", "x"]) == 2
    assert "a unit is one of a layer (conv1, layer1, " in capsys.readouterr().err
    assert command.main([*query, str(tmp_path / "x"), "--layer", "layer2"]) == 2
    assert "--layer says of which layer --unit is one" in capsys.readouterr().err
    for wrong in (["--out", "x"], ["--query", "v.mp4", "--unit", "1", "--out", "x"]):
        assert command.main([*words, *wrong]) == 2
        assert "one of --query and --unit" in capsys.readouterr().err
    assert command.main([*named, "x.html", "--verdict", "true"]) == 2
    assert "leave out --verdict or --unit" in capsys.readouterr().err
