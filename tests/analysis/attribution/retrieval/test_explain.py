"""Maps of a retrieval: sums that the ranking gives, cells that won, galleries that do not fit."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from analysis.attribution.retrieval.explain import (
    VideoFeatures,
    check_gallery,
    explain_retrieval,
    features_of_video,
)
from analysis.attribution.retrieval.result import RetrievalExplanation
from analysis.cli.retrieval import main
from analysis.core.clip import ClipInfo
from analysis.core.grid import Grid
from analysis.figures.retrieval_figure import draw_retrieval, strongest
from analysis.figures.style import check_out, save
from rspnet.data.video.encode import write_video
from rspnet.models import Branch
from rspnet.retrieval.gallery import FEATURES, Gallery, embed_video, embed_videos, protocol_for
from rspnet.retrieval.store import Pooling
from rspnet.weights.checkpoint import load_model, save_model
from tests.factories import tiny_branch

POOLINGS: tuple[Pooling, ...] = ("max", "avg")


@pytest.fixture(scope="module", params=["linear", "mlp"])
def branch(request: pytest.FixtureRequest) -> Branch:
    torch.manual_seed(0)
    return Branch("resnet18", {"width": 4}, head=request.param, num_frames=8, size=32).eval()


def make(branch: Branch, folder: Path, pooling: Pooling = "max") -> tuple[list[Path], Gallery]:
    paths = sorted(folder.rglob("*.mp4"))
    protocol = protocol_for(branch, num_clips=3, pooling=pooling)
    return paths, embed_videos(branch, paths, protocol, progress=False)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("feature", FEATURES)
def test_maps_sum_to_what_ranked_and_to_the_gaps(
    branch: Branch, video_folder: Path, feature: str, pooling: Pooling
) -> None:
    paths, gallery = make(branch, video_folder, pooling)
    found = explain_retrieval(branch, gallery, paths[1], feature, 2)
    near = gallery.nearest(gallery.vectors[feature][1], feature, 3, exclude=paths[1])
    assert [hit.index for hit in found.hits] == [n.index for n in near[:2]]
    assert [hit.similarity for hit in found.hits] == [n.similarity for n in near[:2]]
    assert (found.label, found.num_videos) == (paths[1].parent.name, 3)
    for hit, gap, other in zip(found.hits, found.gaps, near[1:], strict=True):
        for maps in (hit.query_maps, hit.hit_maps):
            assert len(maps.maps) == 3
            assert maps.total == pytest.approx(hit.similarity, abs=1e-5)
            assert all((m.completeness_error or 0) < 1e-5 for m in maps.maps)
        assert gap.query_maps.total == pytest.approx(hit.similarity - other.similarity, abs=1e-5)
        assert gap.other_path == str(other.path)
    assert found.completeness_error < 1e-5


@pytest.mark.parametrize("feature", FEATURES)
def test_the_gap_is_the_difference_of_the_maps_to_both_hits(
    branch: Branch, video_folder: Path, feature: str
) -> None:
    paths, gallery = make(branch, video_folder)
    found = explain_retrieval(branch, gallery, paths[0], feature, 3)
    assert len(found.gaps) == 2  # the last hit has no runner-up in so small a gallery
    for first, second, gap in zip(found.hits, found.hits[1:], found.gaps, strict=False):
        pairs = zip(first.query_maps.maps, second.query_maps.maps, strict=True)
        for (j, k), own in zip(pairs, gap.query_maps.maps, strict=True):
            np.testing.assert_allclose(own.values, j.values - k.values, atol=1e-7)
            assert [info.video for info in own.others] == [first.path, second.path]


def by_hand(pooling: Pooling, features: torch.Tensor) -> VideoFeatures:
    branch = Branch("resnet18_fine", {"width": 4}).eval()
    cells = features.shape[2:]
    pooled = features.amax(dim=(2, 3, 4)) if pooling == "max" else features.mean(dim=(2, 3, 4))
    return VideoFeatures(
        path=Path("a.mp4"),
        branch=branch,
        feature="backbone",
        pooling=pooling,
        features=features,
        clips=pooled.double(),
        infos=(ClipInfo("a.mp4"),) * len(features),
        starts=(0,) * len(features),
        grid=Grid.even(cells, (4, 8, 8)),
    )


def test_max_pooling_by_hand_the_cells_that_won_share_ties() -> None:
    F = torch.zeros(2, 2, 1, 1, 3)
    F[0, 0, 0, 0] = torch.tensor([6.0, 1.0, 6.0])  # won by two cells
    F[0, 1, 0, 0] = torch.tensor([0.0, 2.0, 1.0])
    F[1, 1, 0, 0] = torch.tensor([1.0, 1.0, 6.0])
    # The mean of (6, 2) and (0, 6) is (3, 4), of length 5. Against (1, 0) s is 3/5, all of it
    # from the first clip; against (0, 1) it is 4/5: 1/5 of it from the first, 3/5 of the second.
    video = by_hand("max", F)
    assert video.vector.tolist() == [0.6, 0.8]
    first = video.maps(torch.tensor([1.0, 0.0]), 0.6, ["b.mp4"])
    np.testing.assert_allclose(first.maps[0].values.ravel(), [0.3, 0, 0.3], atol=1e-12)
    # A channel without any value is shared by all cells, and nothing is nothing.
    assert not first.maps[1].values.any()
    second = video.maps(torch.tensor([0.0, 1.0]), 0.8, ["b.mp4"])
    np.testing.assert_allclose(second.maps[0].values.ravel(), [0, 0.2, 0], atol=1e-12)
    np.testing.assert_allclose(second.maps[1].values.ravel(), [0, 0, 0.6], atol=1e-12)
    assert second.completeness_error < 1e-12


def test_average_pooling_by_hand() -> None:
    F = torch.zeros(1, 2, 1, 1, 2)
    F[0, 0, 0, 0] = torch.tensor([6.0, 0.0])
    F[0, 1, 0, 0] = torch.tensor([2.0, 6.0])  # the mean is (3, 4)
    maps = by_hand("avg", F).maps(torch.tensor([0.0, 1.0]), 0.8, ["b.mp4"])
    np.testing.assert_allclose(maps.maps[0].values.ravel(), [0.2, 0.6], atol=1e-12)


def test_a_target_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"one vector \(2,\)"):
        by_hand("avg", torch.ones(1, 2, 1, 1, 2)).maps(torch.ones(3), 0, [])


def test_heads_find_what_they_see(planted_branch: Branch, tmp_path: Path) -> None:
    # Red is all that the RSP head sees, blue all that the A-VID head sees.
    for n in range(3):
        frames = np.full((20, 112, 112, 3), 110, np.uint8)
        frames[:, 40:72, :32], frames[:, 40:72, 80:] = (250, 60, 60), (60, 60, 250 - 40 * n)
        write_video(tmp_path / "x" / f"v{n}.mp4", frames, 25, preset="fast")
    paths, gallery = make(planted_branch, tmp_path, "avg")
    red, blue = (
        explain_retrieval(planted_branch, gallery, paths[0], head, 1).hits[0].query_maps.maps[0]
        for head in ("rsp", "avid")
    )
    assert red.values[:, :, :3].sum() > red.values[:, :, -3:].sum()
    assert blue.values[:, :, :3].sum() < blue.values[:, :, -3:].sum()


@pytest.mark.parametrize("feature", FEATURES)
def test_a_query_from_outside_is_embedded_by_the_gallerys_protocol(
    branch: Branch, video_folder: Path, feature: str
) -> None:
    paths, gallery = make(branch, video_folder)
    rest = replace(
        gallery,
        paths=gallery.paths[1:],
        labels=gallery.labels[1:],
        clip_starts=gallery.clip_starts[1:],
        vectors={name: values[1:] for name, values in gallery.vectors.items()},
    )
    found = explain_retrieval(branch, rest, paths[0], feature, 1)
    vector = embed_video(branch, paths[0], gallery.protocol)[feature]
    (near,) = rest.nearest(vector, feature, 1)
    assert found.hits[0].path == str(near.path)
    assert found.hits[0].similarity == pytest.approx(near.similarity, abs=1e-6)
    assert found.num_videos == 3
    assert found.completeness_error < 1e-5
    # Without a class of its name the query has none.
    assert found.label == paths[0].parent.name


def test_the_rank_is_of_the_file_whatever_it_is_called(
    branch: Branch, video_folder: Path, tmp_path: Path
) -> None:
    paths, gallery = make(branch, video_folder)
    link = tmp_path / "link.mp4"
    link.symlink_to(paths[0])
    found = explain_retrieval(branch, gallery, link, "avid", 3)
    assert str(paths[0]) not in [hit.path for hit in found.hits]


def test_other_models_protocols_and_files_are_refused(branch: Branch, video_folder: Path) -> None:
    paths, gallery = make(branch, video_folder)
    with pytest.raises(ValueError, match=r"model .*aaa.* and no hash"):
        explain_retrieval(branch, replace(gallery, model_hash="aaa"), paths[0])
    other = replace(gallery.protocol, pooling="avg", num_clips=5)
    with pytest.raises(ValueError, match=r"num_clips 3 and 5; pooling 'max' and 'avg'"):
        check_gallery(branch, gallery, other)
    check_gallery(branch, gallery, gallery.protocol)
    # A gallery that says it was made in another way than it was.
    with pytest.raises(ValueError, match="another backbone vector than the gallery holds"):
        explain_retrieval(branch, replace(gallery, protocol=other), paths[0], "backbone", 1)
    moved = replace(gallery, clip_starts=tuple((0, 1, 2) for _ in paths))
    with pytest.raises(ValueError, match="the file has changed"):
        explain_retrieval(branch, moved, paths[0], "rsp", 1)
    with pytest.raises(ValueError, match="feature is one of"):
        explain_retrieval(branch, gallery, paths[0], "colour")
    for num in (0, 4):
        with pytest.raises(ValueError, match="between 1 and the 3 other videos"):
            explain_retrieval(branch, gallery, paths[0], "rsp", num)


def test_a_hit_that_changed_on_the_disk_is_refused(branch: Branch, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    paths = [tmp_path / "x" / f"v{n}.mp4" for n in range(2)]
    for path in paths:
        write_video(path, generator.integers(0, 255, (20, 32, 32, 3), np.uint8), 25, preset="fast")
    _, gallery = make(branch, tmp_path)
    write_video(paths[1], np.zeros((30, 32, 32, 3), np.uint8), 25, preset="fast")
    with pytest.raises(ValueError, match=r"v1\.mp4 gives another rsp vector"):
        explain_retrieval(branch, gallery, paths[0], "rsp", 1)


def test_clips_know_their_frames_also_where_a_video_is_looped(
    branch: Branch, tmp_path: Path
) -> None:
    path = tmp_path / "v.mp4"
    write_video(path, np.zeros((5, 32, 32, 3), np.uint8), 25, preset="fast")
    video = features_of_video(branch, path, protocol_for(branch, num_clips=2), "rsp")
    assert [info.frame_indices for info in video.infos] == [(0, 1, 2, 3, 4, 0, 1, 2)] * 2
    assert video.grid.clip == (8, 32, 32)


@pytest.fixture(scope="module")
def explained(video_folder: Path) -> RetrievalExplanation:
    branch = tiny_branch(0, arch="resnet18")
    paths, gallery = make(branch, video_folder)
    return explain_retrieval(branch, gallery, paths[0], "avid", 2)


def test_what_is_saved_is_what_was_found(explained: RetrievalExplanation, tmp_path: Path) -> None:
    path = explained.save(tmp_path / "deep" / "maps.npz")
    with np.load(path, allow_pickle=False) as stored:
        manifest = json.loads(str(stored["manifest"]))
        for hit in explained.hits:
            for name, video in (
                (f"query{hit.rank}", hit.query_maps),
                (f"hit{hit.rank}", hit.hit_maps),
            ):
                assert stored[name].shape == (3, *video.maps[0].grid.cells)
                assert stored[name].sum() == pytest.approx(hit.similarity, abs=1e-5)
        assert stored["gap1"].sum() == pytest.approx(explained.gaps[0].gap, abs=1e-5)
    assert manifest == json.loads(json.dumps(explained.to_json()))
    assert manifest["hits"][0]["query"]["maps"][0]["head"] == "avid"
    assert not list(path.parent.glob(".*"))  # nothing half-written


def test_the_picture_shows_the_clip_and_step_that_say_most(explained: RetrievalExplanation) -> None:
    video = explained.hits[0].query_maps
    shape = video.maps[0].values.shape
    values = np.zeros((2, *shape))
    values[0], values[1, -1] = 0.01, -1.0
    maps = tuple(replace(m, values=own) for m, own in zip(video.maps[:2], values, strict=True))
    clip, frame = strongest(replace(video, maps=maps))
    centre = video.maps[0].grid.centres(0)[-1]
    assert (clip, frame) == (1, min(round(centre), 7))


def test_the_picture_says_scores_and_labels(
    explained: RetrievalExplanation, tmp_path: Path
) -> None:
    drawn = draw_retrieval(explained)
    words = " ".join(text.get_text() for text in drawn.figure.texts)
    for hit in explained.hits:
        assert f"{hit.similarity:.3f}" in words
        assert hit.label in words
    assert f"Of {explained.num_videos} videos" in drawn.caption
    # The query, two hits in three rows, two colour bars.
    assert len(drawn.figure.axes) == 1 + 3 * 2 + 2
    assert save(drawn.figure, check_out(tmp_path / "r.png"), dpi=40).stat().st_size > 1000
    bare = draw_retrieval(explained, with_caption=False)
    assert len(bare.figure.texts) < len(drawn.figure.texts)


def test_the_command_line_gives_the_api_s_numbers(
    video_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    branch = tiny_branch(0, arch="resnet18")
    model = str(save_model(tmp_path / "m.safetensors", branch, branch))
    paths, gallery = make(load_model(model), video_folder)
    folder = str(gallery.save(tmp_path / "gallery"))
    out = tmp_path / "out"
    arguments = ["--model", model, "--gallery", folder, "--query", str(paths[0]), "--k", "2"]
    assert main([*arguments, "--feature", "backbone", "--out", str(out)]) == 0
    expected = explain_retrieval(load_model(model), gallery, paths[0], "backbone", 2).to_json()
    written = json.loads((out / "retrieval_backbone.json").read_text())
    assert written == json.loads(json.dumps(expected))
    assert {p.suffix for p in out.iterdir()} == {".json", ".npz", ".png"}
    assert f"{expected['hits'][0]['similarity']:+.4f}" in capsys.readouterr().out
    assert main([*arguments, "--k", "9", "--out", str(out)]) == 2
    assert "between 1 and the 3" in capsys.readouterr().err
