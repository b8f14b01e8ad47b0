"""Figure 1 from files and from generated videos: frames, maps, boxes, arrow, retrieval, words."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import ConnectionPatch, Rectangle
from PIL import Image

from analysis import explain_pair, load_view
from analysis.cli.figure1 import main
from analysis.figures.figure1 import Figure1, draw_figure1, shown_frames
from analysis.figures.figure_inputs import (
    Found,
    Retrieval,
    ShownPair,
    load_pair,
    retrieve_generated,
    retrieve_in_gallery,
)
from analysis.figures.overlay import common_limit, draw_overlay
from analysis.figures.style import values_at
from analysis.regions.tracks import tracks_of_pair
from rspnet.data.video.encode import write_video
from rspnet.models import Branch
from rspnet.retrieval.gallery import Protocol, embed_videos
from rspnet.weights.checkpoint import load_model, save_model


def film(columns: dict[str, int]) -> np.ndarray:
    """40 frames of 112 x 112 with squares of 32 pixels: red and blue, each in its column."""
    frames = np.full((40, 112, 112, 3), 110, np.uint8)
    for colour, column in columns.items():
        rgb = {"red": (250, 60, 60), "blue": (60, 60, 250)}[colour]
        frames[:, 40:72, column : column + 32] = rgb
    return frames


@pytest.fixture(scope="module")
def model(planted_branch: Branch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(
        tmp_path_factory.mktemp("model") / "planted.safetensors", planted_branch, planted_branch
    )


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("films")
    paths = []
    for n, columns in enumerate(
        ({"red": 0, "blue": 80}, {"red": 64, "blue": 8}, {"red": 16}, {"blue": 48})
    ):
        path = folder / ("both" if n < 2 else "one") / f"film{n}.mp4"
        write_video(path, film(columns), 25, preset="fast")
        paths.append(path)
    return paths


@pytest.fixture(scope="module")
def pair(model: Path, videos: list[Path]) -> ShownPair:
    return load_pair(model, videos[0], videos[1], start=[3, 10], speed=[1, 1.5])


def test_the_pair_is_what_the_python_api_gives(
    pair: ShownPair, model: Path, videos: list[Path]
) -> None:
    query, key = load_model(model), load_model(model, "key")
    view_i = load_view(videos[0], query.num_frames, query.size, start=3)
    view_j = load_view(videos[1], query.num_frames, query.size, start=10, speed=1.5)
    expected = explain_pair(query, key, view_i.clip, view_j.clip)
    np.testing.assert_array_equal(pair.view_j.frames, view_j.frames)
    assert (pair.maps.clip_i, pair.maps.clip_j) == (view_i.info, view_j.info)
    for head, maps in expected.heads.items():
        np.testing.assert_array_equal(pair.maps.heads[head].contribution_j, maps.contribution_j)


def test_starts_are_the_middle_of_two_videos_and_the_ends_of_one(
    model: Path, videos: list[Path]
) -> None:
    two = load_pair(model, videos[0], videos[1])
    assert two.maps.clip_i.frame_indices == two.maps.clip_j.frame_indices == tuple(range(12, 28))
    one = load_pair(model, videos[0], speed=[2])
    assert one.maps.clip_i.frame_indices == tuple(range(0, 32, 2))
    assert one.maps.clip_j.frame_indices == tuple(range(9, 41, 2))[:16]
    assert one.maps.clip_j.video == one.maps.clip_i.video
    same = load_pair(model, videos[0], videos[0], speed=[2])
    assert same.maps.clip_j == one.maps.clip_j


def test_shown_frames_lie_in_the_middle_of_their_parts() -> None:
    assert shown_frames(16, 2) == [4, 12]
    assert shown_frames(16, 16) == list(range(16))
    assert shown_frames(5, 1) == [2]
    for num in (0, 6):
        with pytest.raises(ValueError, match="between 1 and the clip's 5 frames"):
            shown_frames(5, num)


def pictures(drawn: Figure1) -> list[np.ndarray]:
    axes = [axis for axis in drawn.figure.axes if len(axis.images) == 1]
    return [np.asarray(axis.images[0].get_array()).astype(int) for axis in axes]


def test_every_picture_is_the_overlay_of_its_frame_on_one_scale(pair: ShownPair) -> None:
    drawn = draw_figure1(pair, num_frames=2)
    shown = pictures(drawn)
    assert len(shown) == 8  # two heads, two clips, two frames
    heads = pair.maps.heads
    limit = common_limit([m for h in heads.values() for m in (h.contribution_i, h.contribution_j)])
    expected = []
    for maps in heads.values():
        for values, view in (
            (maps.contribution_i, pair.view_i),
            (maps.contribution_j, pair.view_j),
        ):
            grid = pair.maps.grid_i
            whole = draw_overlay(view.frames, values, grid, limit=limit, scale=3)
            expected += [whole[4].astype(int), whole[12].astype(int)]
    for one, other in zip(shown, expected, strict=True):
        assert np.abs(one - other).max() <= 1
    own = draw_figure1(pair, num_frames=2, scale="head")
    assert any((a != b).any() for a, b in zip(pictures(own), shown, strict=True))


def test_boxes_are_those_of_the_tracks_and_one_arrow_a_head_joins_them(pair: ShownPair) -> None:
    drawn = draw_figure1(pair, num_frames=2, share=0.9)
    axes = [axis for axis in drawn.figure.axes if len(axis.images) == 1]
    arrows = [a for a in drawn.figure.artists if isinstance(a, ConnectionPatch)]
    assert len(arrows) == 2
    for n, head in enumerate(("rsp", "avid")):
        tracks = tracks_of_pair(pair.maps, head, share=0.9)
        frames = ((tracks.tracks_i, 4), (tracks.tracks_i, 12), (tracks.tracks_j, 4))
        for axis, (own, frame) in zip(axes[4 * n :], frames, strict=False):
            (box,) = [p for p in axis.patches if isinstance(p, Rectangle)]
            assert own.main is not None
            expected = own.main.boxes[frame]
            assert expected is not None
            assert box.get_xy() == (expected.left, expected.top)
            assert box.get_width() == expected.right - expected.left
        # From the last box of c_i to the first box of c_j.
        assert (arrows[n].axesA, arrows[n].axesB) == (axes[4 * n + 1], axes[4 * n + 2])


def test_regions_are_where_the_planted_heads_look(pair: ShownPair) -> None:
    tracks = draw_figure1(pair, num_frames=1, share=0.1).tracks
    red, blue = tracks["rsp"].link, tracks["avid"].link
    assert red is not None
    assert blue is not None
    # Red stands on the left in c_i and right of the middle in c_j; blue the other way round.
    assert red.box_i.centre[0] < 40 < 56 < red.box_j.centre[0]
    assert blue.box_j.centre[0] < 40 < 72 < blue.box_i.centre[0]


def test_words_give_s_grid_rule_and_error(pair: ShownPair) -> None:
    drawn = draw_figure1(pair, num_frames=1, share=0.4)
    caption = drawn.caption.replace("\N{NO-BREAK SPACE}", " ")
    for head, title in (("rsp", "RSP"), ("avid", "A-VID")):
        assert f"{title} s = {pair.maps.heads[head].similarity:+.3f}" in caption
    error = max(m.completeness_error for m in pair.maps.heads.values())
    assert f"sum to s within {error:.0e}" in caption
    for words in ("4 x 7 x 7 cells over 16 frames", "hold 40% of", "at 1x and 1.5x", "one scale"):
        assert words in caption
    written = " ".join(t.get_text() for t in drawn.figure.texts)
    assert drawn.caption in written
    assert {"frame 11", "frame 22"} <= {t.get_text() for t in drawn.figure.texts}
    bare = draw_figure1(pair, num_frames=1, with_caption=False)
    assert "completeness" not in " ".join(t.get_text() for t in bare.figure.texts)
    assert bare.figure.get_figheight() < drawn.figure.get_figheight()


def test_eq2_is_drawn_verbatim(pair: ShownPair) -> None:
    drawn = draw_figure1(pair, num_frames=1, kind="eq2")
    maps = pair.maps.heads["rsp"]
    assert maps.eq2_i is not None
    limit = common_limit(
        [m for h in pair.maps.heads.values() for m in (h.eq2_i, h.eq2_j) if m is not None]
    )
    grid = pair.maps.grid_i
    flat = draw_overlay(pair.view_i.frames, maps.eq2_i, grid, limit=limit, scale=3)[8]
    assert np.abs(pictures(drawn)[0] - flat.astype(int)).max() <= 1
    assert values_at(maps.eq2_i, grid, 8).shape == (7, 7)
    assert "Eq. 2 of the supplementary" in drawn.caption
    deep = {h: replace(m, eq2_i=None, eq2_j=None) for h, m in pair.maps.heads.items()}
    other = replace(pair, maps=replace(pair.maps, heads=deep))
    with pytest.raises(ValueError, match="not linear"):
        draw_figure1(other, kind="eq2")


def found(label: str, right: bool | None) -> Found:
    return Found(frame=np.zeros((8, 8, 3), np.uint8), label=label, similarity=0.5, right=right)


def test_retrieval_marks_the_querys_class(pair: ShownPair) -> None:
    retrieval = Retrieval(
        frame=np.zeros((8, 8, 3), np.uint8),
        label="run",
        found={"rsp": (found("run", True), found("long_jump", False))},
        num_videos=2,
        what="videos",
        protocol=Protocol(),
    )
    drawn = draw_figure1(pair, retrieval, num_frames=2)
    texts = [t.get_text() for t in drawn.figure.texts]
    assert "run  0.50 \N{CHECK MARK}" in texts
    assert "long jump  0.50" in texts
    first = next(a for a in drawn.figure.axes[1:] if len(a.images) == 1)
    assert to_hex(first.spines["left"].get_edgecolor()) == "#0072b2"
    assert "Of 2 videos the nearest" in drawn.caption


def test_gallery_gives_the_nearest_others(model: Path, videos: list[Path]) -> None:
    query = load_model(model)
    protocol = Protocol(num_clips=1, num_frames=16, size=112)
    gallery = embed_videos(query, videos, protocol, progress=False)
    got = retrieve_in_gallery(query, gallery, videos[0], 3)
    assert (got.label, got.num_videos) == ("both", 3)
    for feature, near in got.found.items():
        own = gallery.vectors[feature]
        order = sorted(range(1, 4), key=lambda i: -float(own[i] @ own[0]))
        assert [f.label for f in near] == [gallery.labels[i] for i in order]
        assert [f.right for f in near] == [gallery.labels[i] == "both" for i in order]
        assert [f.similarity for f in near] == pytest.approx(
            [float(own[i] @ own[0]) for i in order]
        )
    # A video that is not in the gallery is embedded by the gallery's protocol.
    part = embed_videos(query, videos[1:], protocol, progress=False)
    other = retrieve_in_gallery(query, part, videos[0], 3)
    assert [f.similarity for f in other.found["rsp"]] == pytest.approx(
        [f.similarity for f in got.found["rsp"]], abs=1e-6
    )
    with pytest.raises(ValueError, match="made by another model"):
        retrieve_in_gallery(query, replace(gallery, model_hash="0" * 64), videos[0], 3)


def test_generated_videos_are_searched(model: Path) -> None:
    got = retrieve_generated(load_model(model), 5, 3, 4, ["backbone"], num_clips=1, progress=False)
    assert got.num_videos == 2
    assert len(got.found["backbone"]) == 2
    assert got.frame.shape == (112, 112, 3)
    with pytest.raises(ValueError, match="at least one other"):
        retrieve_generated(load_model(model), 5, 1, 4)


def test_command_line(
    model: Path, videos: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, tracks = tmp_path / "f.png", tmp_path / "t.json"
    arguments = ["--model", str(model), "--out", str(out), "--frames", "1", "--dpi", "60"]
    ours = ["--video-i", str(videos[0]), "--video-j", str(videos[1]), "--tracks", str(tracks)]
    assert main([*arguments, *ours]) == 0
    assert "sum to s within" in capsys.readouterr().out
    assert Image.open(out).size[0] == 420
    assert set(json.loads(tracks.read_text())["heads"]) == {"rsp", "avid"}
    again = tmp_path / "again.png"
    assert main([*arguments, *ours, "--out", str(again)]) == 0
    assert again.read_bytes() == out.read_bytes()
    assert main([*arguments, "--num-videos", "0", "--out", str(tmp_path / "g.pdf")]) == 0
    assert (tmp_path / "g.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (["--out", "f.jpg"], "written as .png, .svg, .pdf"),
        (["--model", "nobody"], "no model 'nobody'"),
        (["--video-i", "missing.mp4"], "missing.mp4"),
        (["--video-j", "missing.mp4"], "give --video-i as well"),
        (["--start", "1", "2", "3"], "one number for both clips or two, got 3"),
        (["--start", "90000"], "take an earlier start"),
        (["--speed", "-1"], "speed is positive"),
        (["--num-videos", "0", "--frames", "17"], "between 1 and the clip's 16 frames"),
        (["--num-videos", "0", "--share", "2"], "share is above 0"),
        (["--gallery", "nowhere"], "give --video-i"),
    ],
)
def test_mistakes_are_sentences(
    wrong: list[str],
    words: str,
    model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["--model", str(model), "--out", str(tmp_path / "f.png"), *wrong]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert words in error
    assert list(tmp_path.iterdir()) == []
