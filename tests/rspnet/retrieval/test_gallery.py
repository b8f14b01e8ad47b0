"""Galleries: vectors by hand, neighbours by hand, invalid files."""

import json
from dataclasses import fields, replace
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pyarrow
import pytest
import torch
from pyarrow import parquet

from rspnet.data.transforms import eval_frames, load_clip
from rspnet.data.video.reader import VideoReader
from rspnet.models import Branch
from rspnet.retrieval.gallery import (
    Gallery,
    Protocol,
    embed_video,
    embed_videos,
    largest,
    protocol_for,
)
from rspnet.retrieval.store import (
    Part,
    Pooling,
    part_path,
    read_manifest,
    read_part,
    write_manifest,
    write_part,
)
from rspnet.retrieval.vectors import embed_clips, embed_views, load_views
from tests.factories import damages, tiny_branch

ONE = Protocol(num_clips=1, num_frames=8, size=32, pooling="avg")


@pytest.fixture(scope="module")
def branch() -> Branch:
    return tiny_branch(0, arch="resnet18")


def by_hand() -> Gallery:
    angles = np.deg2rad([0, 90, 10, 180])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    paths = tuple(Path(f"{name}.mp4") for name in "abcd")
    return Gallery(paths, ("x", "y", "x", "y"), dict.fromkeys(("backbone", "rsp", "avid"), vectors),
                   "hash", Protocol(num_clips=4, pooling="avg"))  # fmt: skip


def test_nearest_are_sorted_by_cosine_and_length_does_not_count() -> None:
    found = by_hand().nearest(np.array([3.0, 0.0]), "rsp", num=3)
    assert [n.path.stem for n in found] == ["a", "c", "b"]
    assert [n.similarity for n in found] == pytest.approx([1, np.cos(np.deg2rad(10)), 0], abs=1e-6)
    assert found[1].label == "x"


def test_nearest_passes_over_the_query_and_gives_no_more_than_there_are() -> None:
    found = by_hand().nearest(np.array([1.0, 0.0]), "avid", num=9, exclude=Path("a.mp4"))
    assert [n.path.stem for n in found] == ["c", "b", "d"]


def test_nearest_of_many_is_the_plain_list_and_compares_few_paths(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[object] = []
    compare = PurePath.__eq__

    def count(self: PurePath, other: object) -> bool:
        compared.append(other)
        return bool(compare(self, other))

    rng = np.random.default_rng(0)
    num, query = 20_000, 17
    # Few values, so that many similarities are equal; the query's file is there three times.
    vectors = rng.integers(-1, 2, (num, 3)).astype(np.float32)
    vectors[~vectors.any(axis=1)] = 1.0
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    names = [f"{query if n in (5, 900) else n}.mp4" for n in range(num)]
    gallery = replace(
        by_hand(),
        paths=tuple(map(Path, names)),
        labels=tuple(names),
        vectors={"rsp": vectors},
    )
    path = gallery.paths[query]
    similarity = vectors @ vectors[query]
    plain = sorted(range(num), key=lambda n: -similarity[n])
    for exclude in (path, None):
        expected = [n for n in plain if names[n] != str(exclude)]
        for k in (0, 1, 50, num):
            compared.clear()
            with monkeypatch.context() as patch:
                patch.setattr(PurePath, "__eq__", count)
                found = gallery.nearest(vectors[query], "rsp", k, exclude)
            assert [hit.index for hit in found] == expected[:k]
            assert [hit.similarity for hit in found] == [similarity[n] for n in expected[:k]]
            assert len(compared) <= k + 3
            assert bool(compared) == (k > 0 and exclude is not None)


def test_the_largest_are_those_of_a_stable_sort() -> None:
    rng = np.random.default_rng(0)
    for num in (1, 7, 50):
        for values in (rng.normal(size=50), rng.integers(0, 4, 50), np.zeros(50)):
            expected = np.argsort(-values, kind="stable")[:num]
            assert largest(values.astype(np.float32), num).tolist() == expected.tolist()
    assert largest(np.zeros(3, np.float32), 0).tolist() == []
    assert largest(np.arange(3, dtype=np.float32), 9).tolist() == [2, 1, 0]


def test_a_file_that_is_there_often_is_passed_over_each_time() -> None:
    names = [*"aaaaabcd"]
    gallery = Gallery(
        tuple(map(Path, names)), tuple(names), {"rsp": np.ones((8, 1), np.float32)}, "", Protocol()
    )
    found = gallery.nearest(np.ones(1, np.float32), "rsp", num=2, exclude=Path("a"))
    assert [n.index for n in found] == [5, 6]
    found = gallery.nearest(np.ones(1, np.float32), "rsp", num=9, exclude=Path("a"))
    assert [n.index for n in found] == [5, 6, 7]


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


@pytest.mark.parametrize("pooling", ["max", "avg"])
def test_vectors_are_means_of_single_clips(
    branch: Branch, video_folder: Path, pooling: Pooling
) -> None:
    path = sorted(video_folder.rglob("*.mp4"))[0]
    got = embed_video(branch, path, protocol_for(branch, num_clips=3, pooling=pooling))
    totals = dict.fromkeys(("backbone", "rsp", "avid"), np.zeros(()))
    with VideoReader(path) as reader, torch.inference_mode():
        for start in (0, 16, 32):
            F = branch.features(load_clip(reader, start, 8, 1, 32)[0][None])
            cells = F[0].flatten(1).numpy()
            pooled = [row.max() if pooling == "max" else row.mean() for row in cells]
            totals["backbone"] = totals["backbone"] + np.array(pooled)
            for name, z in branch.project(F).items():
                totals[name] = totals[name] + z[0].numpy()
    for name, total in totals.items():
        np.testing.assert_allclose(got[name], total / np.linalg.norm(total), atol=1e-6)
        assert got[name].dtype == np.float32


def test_max_is_the_largest_over_time_and_space() -> None:
    class Fixed(Branch):
        def features(self, clips: torch.Tensor) -> torch.Tensor:
            F = torch.zeros(len(clips), 4, 2, 2, 2)
            F[:, 0, 1, 0, 1], F[:, 1] = 3.0, 4.0  # one cell of eight, and all cells
            return F

    clips = np.zeros((1, 2, 8, 8, 3), np.uint8)
    fixed = Fixed("resnet18_fine", {"width": 2}).eval()
    fixed.projections = torch.nn.ModuleDict({n: torch.nn.Linear(4, 4) for n in ("rsp", "avid")})
    assert embed_clips(fixed, clips, "max")["backbone"].tolist() == [[3, 4, 0, 0]]
    assert embed_clips(fixed, clips, "avg")["backbone"].tolist() == [[3 / 8, 4, 0, 0]]


@pytest.mark.parametrize("batch_size", [1, 7, 32])
def test_batch_size_changes_no_bit(branch: Branch, video_folder: Path, batch_size: int) -> None:
    protocol = protocol_for(branch, num_clips=3)
    paths = sorted(video_folder.rglob("*.mp4"))
    views = [load_views(path, protocol) for path in paths]
    got = list(embed_views(branch, views, "max", batch_size))
    assert len(got) == len(paths)
    for path, vectors in zip(paths, got, strict=True):
        for name, expected in embed_video(branch, path, protocol).items():
            np.testing.assert_array_equal(vectors[name], expected)


def test_clips_follow_the_rate_that_is_asked_for(video_folder: Path) -> None:
    path = sorted(video_folder.rglob("*.mp4"))[0]  # 40 frames at 25 fps
    protocol = Protocol(num_clips=2, num_frames=8, size=16, fps=12.5)
    views = load_views(path, protocol)
    assert views.starts == (0, 25)  # a clip reaches over 15 frames
    with VideoReader(path) as reader:
        for start, places in zip(views.starts, views.places, strict=True):
            frames = eval_frames(reader.get_frames(range(start, start + 15, 2)), 16)
            np.testing.assert_array_equal(views.frames[places], frames)


def test_a_short_video_is_played_in_a_loop(branch: Branch, video_folder: Path) -> None:
    long = tiny_branch(arch="resnet18", num_frames=64)
    path = sorted(video_folder.rglob("*.mp4"))[0]
    views = load_views(path, protocol_for(long, num_clips=2))
    assert views.starts == (0, 0)
    np.testing.assert_array_equal(views.places, np.tile(np.arange(64) % 40, (2, 1)))
    assert views.frames.shape == (40, 32, 32, 3)


def test_features_that_are_not_finite_are_refused(video_folder: Path) -> None:
    broken = tiny_branch(width=2, size=16)
    torch.nn.init.constant_(broken.encoder.bn1.weight, float("nan"))
    with pytest.raises(ValueError, match="not finite"):
        embed_video(broken, sorted(video_folder.rglob("*.mp4"))[0])


def test_bad_videos_are_named_and_the_rest_goes_on(
    branch: Branch, video_folder: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_text("no video")
    paths = sorted(video_folder.rglob("*.mp4"))
    seen: list[int] = []
    gallery = embed_videos(
        branch, [paths[0], bad, paths[1]], ONE, progress=False, on_video=seen.append
    )
    assert gallery.paths == (paths[0], paths[1])
    assert gallery.labels == ("class0", "class0")
    assert [path for path, _ in gallery.skipped] == [bad]
    assert "bad.mp4" in gallery.skipped[0][1]
    assert seen == [1, 2, 3]
    with pytest.raises(ValueError, match=r"none of 1 videos.*bad\.mp4"):
        embed_videos(branch, [bad], progress=False)


def test_a_video_shorter_than_a_clip_is_refused(branch: Branch, video_folder: Path) -> None:
    long = tiny_branch(arch="resnet18", num_frames=64)
    path = sorted(video_folder.rglob("*.mp4"))[0]
    with pytest.raises(ValueError, match="40 frames, a clip of this model takes 64"):
        embed_video(long, path, protocol_for(long, short="refuse"))


def full() -> Gallery:
    return replace(
        by_hand(),
        skipped=((Path("e.mp4"), "too short"),),
        splits=("test",) * 4,
        clip_starts=((0, 1, 2, 3),) * 4,
        model="m.safetensors",
        dataset={"name": "csv", "root": None, "split": "test", "fold": 1},
    )


def test_save_and_load_give_the_same(tmp_path: Path) -> None:
    gallery = full()
    again = Gallery.load(gallery.save(tmp_path / "gallery"))
    for entry in fields(Gallery):
        if entry.name != "vectors":
            assert getattr(again, entry.name) == getattr(gallery, entry.name)
    for name, vectors in gallery.vectors.items():
        np.testing.assert_array_equal(again.vectors[name], vectors)
    listed = (tmp_path / "gallery" / "unreadable.csv").read_text().splitlines()
    assert listed == ["path,reason", "e.mp4,too short"]


def test_a_gallery_of_the_old_name_of_synthetic_videos_is_read(tmp_path: Path) -> None:
    folder = replace(by_hand(), dataset={"name": "synthetic", "split": "test"}).save(tmp_path / "g")
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"synthetic"', '"stage"'))
    assert Gallery.load(folder).dataset == {"name": "synthetic", "split": "test"}


def test_take_keeps_what_belongs_to_the_videos() -> None:
    gallery = replace(by_hand(), splits=("train", "train", "test", "test"))
    taken = gallery.take([3, 0])
    assert [path.stem for path in taken.paths] == ["d", "a"]
    assert (taken.labels, taken.splits, taken.clip_starts) == (("y", "x"), ("test", "train"), ())
    np.testing.assert_array_equal(taken.vectors["rsp"], gallery.vectors["rsp"][[3, 0]])


def test_save_replaces_a_gallery_and_nothing_else(tmp_path: Path) -> None:
    folder = full().save(tmp_path / "gallery")
    by_hand().save(folder)
    assert Gallery.load(folder).skipped == ()
    assert sorted(p.name for p in folder.iterdir()) == ["manifest.json", "part-00000.parquet"]
    (folder / "manifest.json").unlink()  # as if a process was killed while it saved
    by_hand().save(folder)
    (folder / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"thesis\.txt, which is no part"):
        by_hand().save(folder)
    with pytest.raises(ValueError, match="is a file"):
        by_hand().save(folder / "thesis.txt")
    assert (folder / "thesis.txt").read_text() == "mine"


def test_pandas_reads_the_parts(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    folder = full().save(tmp_path / "gallery")
    table = pandas.read_parquet(sorted(folder.glob("*.parquet")))
    assert list(table.columns) == ["path", "label", "split", "clip_starts", "backbone", "rsp",
                                   "avid"]  # fmt: skip
    assert list(table["label"]) == ["x", "y", "x", "y"]
    np.testing.assert_array_equal(np.stack(table["rsp"]), full().vectors["rsp"])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("missing", "holds no gallery"),
        ("file", "holds no gallery"),
        ("text", "holds no gallery"),
        ("other", "'something', version 1"),
        ("newer", "version 3; this version of rspnet reads"),
        ("unknown", "unknown settings.*update rspnet"),
        ("begun", "is not complete: run the command"),
        ("no part", "damaged gallery"),
        ("cut", "damaged gallery"),
        ("foreign", "was not written by rspnet"),
        ("fewer", "tell of 4 videos, its manifest of 9"),
    ],
)
def test_load_refuses_what_is_no_gallery(damage: str, message: str, tmp_path: Path) -> None:
    folder = tmp_path / "gallery"
    if damage != "missing":
        by_hand().save(folder)
        manifest, part = folder / "manifest.json", part_path(folder, 0)
        values = json.loads(manifest.read_text())
        if damage == "file":
            folder = part
        elif damage == "text":
            manifest.write_text("hello")
        elif damage == "other":
            manifest.write_text('{"format": "something", "version": 1}')
        elif damage == "newer":
            manifest.write_text(json.dumps(values | {"version": 3}))
        elif damage == "unknown":
            values["protocol"]["flip"] = True
            manifest.write_text(json.dumps(values))
        elif damage == "begun":
            write_manifest(folder, replace(read_manifest(folder), complete=False))
        elif damage == "no part":
            part.unlink()
        elif damage == "cut":
            part.write_bytes(part.read_bytes()[:400])
        elif damage == "foreign":
            parquet.write_table(pyarrow.table({"path": ["a.mp4"]}), str(part))
        elif damage == "fewer":
            write_part(part, read_part(part))
            del values["sealed"]
            manifest.write_text(json.dumps(values | {"num_videos": 9, "shard_size": 9}))
    with pytest.raises(ValueError, match=message):
        Gallery.load(folder)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_clips": 0}, "num_clips is a whole number from 1 to 100,000, got 0"),
        ({"size": 10**18}, "size is a whole number from 1 to 4,096, got 1000000000000000000"),
        ({"num_frames": float("nan")}, "num_frames is a whole number from 1 to 4,096, got nan"),
        ({"fps": -1.0}, "fps is a positive number, got -1"),
        ({"fps": float("inf")}, "fps is a positive number, got inf"),
        ({"pooling": "mean"}, "'mean'"),
        ({"view": "left"}, "'left'"),
    ],
)
def test_protocol_refuses_nonsense(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Protocol(**settings)


@pytest.mark.parametrize(
    "changes",
    [
        {"shard_size": 0}, {"shard_size": -1}, {"shard_size": 1.5}, {"shard_size": None},
        {"num_videos": -1}, {"num_videos": 10**18}, {"num_videos": float("nan")},
        {"num_unreadable": 5}, {"num_unreadable": -1}, {"protocol": None}, {"protocol": []},
        {"protocol": {"size": 0}}, {"protocol": {"fps": "fast"}}, {"dataset": None},
        {"classes": 3}, {"classes": None}, {"more": 1}, {"version": None}, {"format": []},
    ],
    ids=str,
)  # fmt: skip
def test_a_malformed_manifest_is_one_sentence(changes: dict[str, Any], tmp_path: Path) -> None:
    folder = by_hand().save(tmp_path / "gallery")
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(ValueError, match="gallery holds no gallery of videos: "):
        Gallery.load(folder)
    path.write_text("[" * 100_000)
    with pytest.raises(ValueError, match="gallery holds no gallery of videos: "):
        Gallery.load(folder)


@pytest.fixture
def in_parts(tmp_path: Path) -> Path:
    """A gallery in two parts, which can be damaged."""
    gallery = full()
    folder = gallery.save(tmp_path / "gallery")
    whole = read_part(part_path(folder, 0))
    manifest = replace(read_manifest(folder), shard_size=3)
    assert (manifest.num_videos, len(whole.paths)) == (5, 4)
    for number in range(2):
        rows = slice(3 * number, 3 * number + 3)
        part = Part(
            whole.paths[rows], whole.labels[rows], whole.splits[rows], whole.clip_starts[rows],
            {name: vectors[rows] for name, vectors in whole.vectors.items()},
            whole.unreadable if number else (),
        )  # fmt: skip
        write_part(part_path(folder, number), part, manifest.mark_of(number))
    write_manifest(folder, manifest)
    return folder


def test_a_part_damaged_at_any_byte_is_refused(in_parts: Path) -> None:
    path = part_path(in_parts, 1)
    whole = path.read_bytes()
    for data in damages(whole, 120):
        path.write_bytes(data)
        with pytest.raises(ValueError, match="damaged gallery: .*part-00001"):
            Gallery.load(in_parts)
    path.write_bytes(whole)
    assert Gallery.load(in_parts).paths == full().paths


def test_another_part_in_its_place_is_refused(in_parts: Path, tmp_path: Path) -> None:
    first, second = part_path(in_parts, 0), part_path(in_parts, 1)
    whole = second.read_bytes()
    second.write_bytes(first.read_bytes())
    with pytest.raises(ValueError, match="part-00001.*it is another part, or one of another"):
        Gallery.load(in_parts)
    other = replace(read_manifest(in_parts), model_hash="other")
    write_part(second, read_part(first), other.mark_of(1))
    with pytest.raises(ValueError, match="part-00001.*it is another part, or one of another"):
        Gallery.load(in_parts)
    second.write_bytes(whole)
    table = parquet.read_table(second)  # changed by another program that keeps what it finds
    parquet.write_table(table.set_column(1, "label", pyarrow.array(["x"])), second)
    with pytest.raises(ValueError, match="part-00001.*it is damaged"):
        Gallery.load(in_parts)


def test_the_gallery_of_an_older_version_is_read_and_that_is_said(
    in_parts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = in_parts / "manifest.json"
    values = json.loads(path.read_text())
    del values["sealed"]
    path.write_text(json.dumps(values))
    for number in range(2):
        name = part_path(in_parts, number)
        table, rows = parquet.read_table(name), read_part(name).unreadable
        note = {"version": 2, "unreadable": rows}
        table = table.replace_schema_metadata({"rspnet-gallery": json.dumps(note)})
        parquet.write_table(table, name)
    assert Gallery.load(in_parts).paths == full().paths
    assert "written by an older version, without SHA-256" in capsys.readouterr().err
    part_path(in_parts, 1).write_bytes(part_path(in_parts, 0).read_bytes())
    with pytest.raises(ValueError, match="two of its parts are one and the same"):
        Gallery.load(in_parts)


def test_a_part_that_would_fill_the_memory_is_refused_before_it_is_read(in_parts: Path) -> None:
    rows, size = 30_000, 320
    alike = pyarrow.FixedSizeListArray.from_arrays(pyarrow.nulls(rows * size, "float"), size)
    name = pyarrow.array(["a"] * rows)
    columns = {"path": name, "label": name, "split": name, "clip_starts": pyarrow.nulls(rows)}
    table = pyarrow.table(columns | dict.fromkeys(("backbone", "rsp", "avid"), alike))
    note = json.dumps({"version": 2, "unreadable": []})
    path = part_path(in_parts, 0)
    table = table.replace_schema_metadata({"rspnet-gallery": note})
    parquet.write_table(table, path, compression="zstd")
    assert path.stat().st_size < 1_000_000
    with pytest.raises(ValueError, match="part-00000.* bytes would become 115,200,000"):
        read_part(path)
