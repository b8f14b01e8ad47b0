"""Figure 1 from files and from generated videos: frames, maps, boxes, arrow, retrieval, words."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.patches import ConnectionPatch, Rectangle
from PIL import Image

from analysis import PairClips, explain_kind, explain_pair, load_view
from analysis.cli.figure1 import main
from analysis.figures.figure1 import Figure1, draw_figure1, shown_frames
from analysis.figures.figure_inputs import (
    Hit,
    Retrieval,
    load_pair,
    retrieve_generated,
    retrieve_in_gallery,
)
from analysis.figures.overlay import common_limit, draw_overlay
from analysis.figures.style import values_at
from analysis.regions.tracks import tracks_of
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
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights: the margins of the planted model are 0 everywhere."""
    torch.manual_seed(0)
    options = {"width": 2, "stem_kernel": (1, 3, 3)}
    branch = Branch("resnet18_fine", options, num_frames=16, size=112).eval()
    return save_model(tmp_path_factory.mktemp("tiny") / "tiny.safetensors", branch, branch)


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
def pair(model: Path, videos: list[Path]) -> PairClips:
    return load_pair(model, videos[0], videos[1], start=[3, 10], speed=[1, 1.5])


def test_the_pair_is_what_the_python_api_gives(
    pair: PairClips, model: Path, videos: list[Path]
) -> None:
    query, key = load_model(model), load_model(model, "key")
    view_i = load_view(videos[0], query.num_frames, query.size, start=3)
    view_j = load_view(videos[1], query.num_frames, query.size, start=10, speed=1.5)
    expected = explain_pair(query, key, view_i.clip, view_j.clip)
    np.testing.assert_array_equal(pair.view_j.frames, view_j.frames)
    assert (pair.view_i.info, pair.view_j.info) == (view_i.info, view_j.info)
    found = explain_kind("contribution", pair)
    for head, maps in expected.heads.items():
        np.testing.assert_array_equal(found.rows[head][1].values, maps.contribution_j)


def test_starts_are_the_middle_of_two_videos_and_the_ends_of_one(
    model: Path, videos: list[Path]
) -> None:
    two = load_pair(model, videos[0], videos[1])
    assert two.view_i.info.frame_indices == two.view_j.info.frame_indices == tuple(range(12, 28))
    one = load_pair(model, videos[0], speed=[2])
    assert one.view_i.info.frame_indices == tuple(range(0, 32, 2))
    assert one.view_j.info.frame_indices == tuple(range(9, 41, 2))[:16]
    assert one.view_j.info.video == one.view_i.info.video
    same = load_pair(model, videos[0], videos[0], speed=[2])
    assert same.view_j.info == one.view_j.info


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


def test_every_picture_is_the_overlay_of_its_frame_on_one_scale(pair: PairClips) -> None:
    drawn = draw_figure1(pair, num_frames=2, kind="contribution")
    shown = pictures(drawn)
    assert len(shown) == 8  # two heads, two clips, two frames
    rows = explain_kind("contribution", pair).rows
    limit = common_limit([m.values for both in rows.values() for m in both])
    expected = []
    for both in rows.values():
        for m, view in zip(both, (pair.view_i, pair.view_j), strict=True):
            whole = draw_overlay(view.frames, m.values, m.grid, limit=limit, scale=3)
            expected += [whole[4].astype(int), whole[12].astype(int)]
    for one, other in zip(shown, expected, strict=True):
        assert np.abs(one - other).max() <= 1
    own = draw_figure1(pair, num_frames=2, kind="contribution", scale="head")
    assert any((a != b).any() for a, b in zip(pictures(own), shown, strict=True))


def test_boxes_are_those_of_the_tracks_and_one_arrow_a_head_joins_them(pair: PairClips) -> None:
    drawn = draw_figure1(pair, num_frames=2, kind="contribution", share=0.9)
    axes = [axis for axis in drawn.figure.axes if len(axis.images) == 1]
    arrows = [a for a in drawn.figure.artists if isinstance(a, ConnectionPatch)]
    assert len(arrows) == 2
    for n, head in enumerate(("rsp", "avid")):
        maps = explain_kind("contribution", pair).rows[head]
        tracks_i, tracks_j = (tracks_of(m, share=0.9) for m in maps)
        frames = ((tracks_i, 4), (tracks_i, 12), (tracks_j, 4))
        for axis, (own, frame) in zip(axes[4 * n :], frames, strict=False):
            (box,) = [p for p in axis.patches if isinstance(p, Rectangle)]
            assert own.main is not None
            expected = own.main.boxes[frame]
            assert expected is not None
            assert box.get_xy() == (expected.left, expected.top)
            assert box.get_width() == expected.right - expected.left
        # From the last box of c_i to the first box of c_j.
        assert (arrows[n].axesA, arrows[n].axesB) == (axes[4 * n + 1], axes[4 * n + 2])


def test_regions_are_what_the_planted_heads_attend_to(pair: PairClips) -> None:
    tracks = draw_figure1(pair, num_frames=1, kind="contribution", share=0.1).tracks
    red, blue = tracks["rsp"].link, tracks["avid"].link
    assert red is not None
    assert blue is not None
    # Red stands on the left in c_i and right of the middle in c_j; blue the other way round.
    assert red.box_i.centre[0] < 40 < 56 < red.box_j.centre[0]
    assert blue.box_j.centre[0] < 40 < 72 < blue.box_i.centre[0]


def test_words_give_s_grid_rule_and_error(pair: PairClips) -> None:
    drawn = draw_figure1(pair, num_frames=1, kind="contribution", share=0.4)
    caption = drawn.caption.replace("\N{NO-BREAK SPACE}", " ")
    maps = explain_kind("contribution", pair)
    for head, title in (("rsp", "RSP"), ("avid", "A-VID")):
        assert f"{title} s = {maps.similarity[head]:+.3f}" in caption
    assert f"sum to their scores within {maps.completeness_error:.0e}" in caption
    for words in ("4 x 7 x 7 cells over 16 frames", "hold 40% of", "at 1x and 1.5x", "one scale"):
        assert words in caption
    written = " ".join(t.get_text() for t in drawn.figure.texts)
    assert drawn.caption in written
    assert {"frame 11", "frame 22"} <= {t.get_text() for t in drawn.figure.texts}
    bare = draw_figure1(pair, num_frames=1, with_caption=False)
    assert "completeness" not in " ".join(t.get_text() for t in bare.figure.texts)
    assert bare.figure.get_figheight() < drawn.figure.get_figheight()


def test_eq2_is_drawn_verbatim(pair: PairClips) -> None:
    drawn = draw_figure1(pair, num_frames=1, kind="eq2")
    query, key = pair.query, pair.key
    expected = explain_pair(query, key, pair.view_i.clip, pair.view_j.clip).heads
    eq2 = [m for maps in expected.values() for m in (maps.eq2_i, maps.eq2_j) if m is not None]
    grid = pair.c_i.grid
    flat = draw_overlay(pair.view_i.frames, eq2[0], grid, limit=common_limit(eq2), scale=3)[8]
    assert np.abs(pictures(drawn)[0] - flat.astype(int)).max() <= 1
    assert values_at(eq2[0], grid, 8).shape == (7, 7)
    assert "Eq. 2 as the paper has it" in drawn.caption


def test_a_margin_opens_first_and_c_j_has_a_scale_of_its_own(
    videos: list[Path], tiny_model: Path
) -> None:
    pair = load_pair(tiny_model, videos[0], videos[1], speed=[2, 2], others=[videos[2]])
    drawn = draw_figure1(pair, num_frames=1)
    rows = explain_kind("margin_faster", pair).rows
    limits = [common_limit([both[side].values for both in rows.values()]) for side in range(2)]
    assert limits[0] != limits[1]
    bars = [axis for axis in drawn.figure.axes if not axis.images]
    assert [bar.get_xlim()[1] for bar in bars] == limits
    expected = [
        draw_overlay(view.frames, m.values, m.grid, limit=limit, scale=3)[8].astype(int)
        for both in rows.values()
        for m, view, limit in zip(both, (pair.view_i, pair.view_j), limits, strict=True)
    ]
    for one, other in zip(pictures(drawn), expected, strict=True):
        assert np.abs(one - other).max() <= 1
    caption = drawn.caption.replace("\N{NO-BREAK SPACE}", " ")
    delta = "\N{GREEK CAPITAL LETTER DELTA}s"
    score = f"{rows['rsp'][0].score:+.3f}".replace("-", "\N{MINUS SIGN}")
    assert f"RSP {delta} = {score}" in caption
    assert "one scale for all maps of one clip" in caption


def hit(label: str, correct: bool | None) -> Hit:
    return Hit(frame=np.zeros((8, 8, 3), np.uint8), label=label, similarity=0.5, correct=correct)


def test_retrieval_marks_the_querys_class(pair: PairClips) -> None:
    retrieval = Retrieval(
        frame=np.zeros((8, 8, 3), np.uint8),
        label="run",
        hits={"rsp": (hit("run", True), hit("long_jump", False))},
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
    for feature, near in got.hits.items():
        own = gallery.vectors[feature]
        order = sorted(range(1, 4), key=lambda i: -float(own[i] @ own[0]))
        assert [f.label for f in near] == [gallery.labels[i] for i in order]
        assert [f.correct for f in near] == [gallery.labels[i] == "both" for i in order]
        assert [f.similarity for f in near] == pytest.approx(
            [float(own[i] @ own[0]) for i in order]
        )
    # A video that is not in the gallery is embedded by the gallery's protocol.
    part = embed_videos(query, videos[1:], protocol, progress=False)
    other = retrieve_in_gallery(query, part, videos[0], 3)
    assert [f.similarity for f in other.hits["rsp"]] == pytest.approx(
        [f.similarity for f in got.hits["rsp"]], abs=1e-6
    )
    with pytest.raises(ValueError, match="made by another model"):
        retrieve_in_gallery(query, replace(gallery, model_hash="0" * 64), videos[0], 3)


def test_generated_videos_are_searched(model: Path) -> None:
    got = retrieve_generated(load_model(model), 5, 3, 4, ["backbone"], num_clips=1, progress=False)
    assert got.num_videos == 2
    assert len(got.hits["backbone"]) == 2
    assert got.frame.shape == (112, 112, 3)
    with pytest.raises(ValueError, match="at least one other"):
        retrieve_generated(load_model(model), 5, 1, 4)


def test_command_line(
    model: Path, videos: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, tracks = tmp_path / "f.png", tmp_path / "t.json"
    arguments = ["--model", str(model), "--out", str(out), "--frames", "1", "--dpi", "60"]
    ours = ["--video_i", str(videos[0]), "--video_j", str(videos[1]), "--tracks", str(tracks)]
    assert main([*arguments, *ours]) == 0
    assert "sum to their scores within" in capsys.readouterr().out
    assert Image.open(out).size[0] == 420
    assert set(json.loads(tracks.read_text())["heads"]) == {"rsp"}  # A-VID has no other videos
    first = out.read_bytes()
    assert main([*arguments, *ours]) == 0
    assert out.read_bytes() == first
    assert Image.open(out).text["Description"].startswith("python -m analysis figure1 --model")
    assert main([*arguments, "--num_videos", "0", "--out", str(tmp_path / "g.pdf")]) == 0
    assert (tmp_path / "g.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (["--out", "f.jpg"], "written as .png, .svg, .pdf"),
        (["--model", "nobody"], "no model 'nobody'"),
        (["--video_i", "missing.mp4"], "missing.mp4"),
        (["--video_j", "missing.mp4"], "give --video_i as well"),
        (["--start_i", "90000"], "take an earlier start"),
        (["--speed_i", "-1"], "speed is positive"),
        (["--num_videos", "0", "--frames", "17"], "between 1 and the clip's 16 frames"),
        (["--num_videos", "0", "--share", "2"], "share is above 0"),
        (["--gallery", "nowhere"], "give --video_i"),
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
