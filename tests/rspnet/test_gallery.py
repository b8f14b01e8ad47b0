"""Galleries: vectors by hand, neighbours by hand, files that are no good."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rspnet.data.transforms import load_clip
from rspnet.data.video import VideoReader
from rspnet.gallery import Gallery, embed_video, embed_videos, even_starts
from rspnet.models import Branch


@pytest.fixture(scope="module")
def branch() -> Branch:
    torch.manual_seed(0)
    return Branch("resnet18", {"width": 4}, num_frames=8, size=32).eval()


def by_hand() -> Gallery:
    angles = np.deg2rad([0, 90, 10, 180])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    paths = tuple(Path(f"{name}.mp4") for name in "abcd")
    return Gallery(paths, ("x", "y", "x", "y"), dict.fromkeys(("backbone", "rsp", "avid"), vectors),
                   "hash", 4)  # fmt: skip


def test_nearest_are_sorted_by_cosine_and_length_does_not_count() -> None:
    found = by_hand().nearest(np.array([3.0, 0.0]), "rsp", num=3)
    assert [n.path.stem for n in found] == ["a", "c", "b"]
    assert [n.similarity for n in found] == pytest.approx([1, np.cos(np.deg2rad(10)), 0], abs=1e-6)
    assert found[1].label == "x"


def test_nearest_passes_over_the_query_and_gives_no_more_than_there_are() -> None:
    found = by_hand().nearest(np.array([1.0, 0.0]), "avid", num=9, exclude=Path("a.mp4"))
    assert [n.path.stem for n in found] == ["c", "b", "d"]


@pytest.mark.parametrize(
    ("vector", "feature", "message"),
    [
        (np.ones(2), "colour", "feature is one of"),
        (np.ones(3), "rsp", r"shape \(2,\)"),
        (np.zeros(2), "rsp", "length above 0"),
        (np.full(2, np.nan), "rsp", "length above 0"),
    ],
)
def test_nearest_refuses_what_it_cannot_answer(
    vector: np.ndarray, feature: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        by_hand().nearest(vector, feature)


def test_starts_are_even_and_cover_the_video() -> None:
    assert even_starts(40, 8, 3) == [0, 16, 32]
    assert even_starts(40, 8, 1) == [16]
    assert even_starts(8, 8, 3) == [0, 0, 0]


def test_vectors_are_means_of_single_clips(branch: Branch, video_folder: Path) -> None:
    path = sorted(video_folder.rglob("*.mp4"))[0]
    got = embed_video(branch, path, num_clips=2)
    with VideoReader(path) as reader, torch.inference_mode():
        clips = [load_clip(reader, start, 8, 1, 32)[0] for start in (0, 32)]
        maps = [branch.features(clip[None]) for clip in clips]
        expected = {
            "backbone": sum(F.mean(dim=(2, 3, 4))[0] for F in maps),
            "rsp": sum(branch.project(F)["rsp"][0] for F in maps),
            "avid": sum(branch.project(F)["avid"][0] for F in maps),
        }
    for name, total in expected.items():
        unit = torch.as_tensor(total) / torch.linalg.vector_norm(torch.as_tensor(total))
        np.testing.assert_allclose(got[name], unit.numpy(), atol=1e-5)


def test_bad_videos_are_named_and_the_rest_goes_on(
    branch: Branch, video_folder: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_text("no video")
    paths = sorted(video_folder.rglob("*.mp4"))
    seen: list[int] = []
    gallery = embed_videos(
        branch, [paths[0], bad, paths[1]], num_clips=1, progress=False, on_video=seen.append
    )
    assert gallery.paths == (paths[0], paths[1])
    assert gallery.labels == ("class0", "class0")
    assert [path for path, _ in gallery.skipped] == [bad]
    assert "bad.mp4" in gallery.skipped[0][1]
    assert seen == [1, 2, 3]
    with pytest.raises(ValueError, match=r"none of 1 videos.*bad\.mp4"):
        embed_videos(branch, [bad], progress=False)


def test_a_video_shorter_than_a_clip_is_refused(branch: Branch, video_folder: Path) -> None:
    long = Branch("resnet18", {"width": 4}, num_frames=64, size=32).eval()
    path = sorted(video_folder.rglob("*.mp4"))[0]
    with pytest.raises(ValueError, match="40 frames, a clip of this model takes 64"):
        embed_video(long, path)


def test_save_and_load_give_the_same(tmp_path: Path) -> None:
    gallery = Gallery(**{**by_hand().__dict__, "skipped": ((Path("e.mp4"), "too short"),)})
    again = Gallery.load(gallery.save(tmp_path / "gallery.npz"))
    assert again.paths == gallery.paths
    assert again.labels == gallery.labels
    assert again.skipped == gallery.skipped
    assert (again.model_hash, again.num_clips) == ("hash", 4)
    for name, vectors in gallery.vectors.items():
        np.testing.assert_array_equal(again.vectors[name], vectors)


@pytest.mark.parametrize("damage", ["missing", "text", "cut", "other"])
def test_load_refuses_other_files(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "gallery.npz"
    if damage == "text":
        path.write_text("hello")
    elif damage == "cut":
        by_hand().save(path)
        path.write_bytes(path.read_bytes()[:400])
    elif damage == "other":
        np.savez(path, a=np.zeros(3))
    with pytest.raises(ValueError, match=r"gallery\.npz holds no gallery"):
        Gallery.load(path)
