"""Retrieval: top-k by hand, ties, leaving one out, galleries that do not compare."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rspnet import retrieve as module
from rspnet.retrieval.gallery import Gallery, Protocol
from rspnet.retrieve import first_right, main, retrieve


def make(angles: list[float], labels: str, prefix: str = "g") -> Gallery:
    turn = np.deg2rad(angles)
    vectors = np.stack([np.cos(turn), np.sin(turn)], axis=1).astype(np.float32)
    paths = tuple(Path(f"/{prefix}{i}.mp4") for i in range(len(angles)))
    features = dict.fromkeys(("backbone", "rsp", "avid"), vectors)
    return Gallery(paths, tuple(labels), features, "hash", Protocol())


SIX = make([0, 20, 45, 90, 130, 180], "aabbcc")


def test_top_k_by_hand() -> None:
    # From 10: 0a and 20a at 10, ... From 70: 90b (20), 45b (25), ... From 60: 45b (15), 90b (30),
    # 20a (40), 0a (60), 130c (70). From 40: 45b, 20a.
    queries = make([12, 70, 60, 40], "abca", "q")
    assert first_right(SIX, queries, "backbone").tolist() == [1, 1, 5, 2]
    result = retrieve(SIX, queries, "backbone", [1, 2, 4, 5, 6])
    assert result.top_k == {1: 50.0, 2: 75.0, 4: 75.0, 5: 100.0, 6: 100.0}
    assert (result.num_queries, result.num_gallery, result.num_unmatchable) == (4, 6, 0)
    assert result.intervals[5] == (100.0, 100.0)
    low, high = result.intervals[1]
    assert low < 50 < high


def test_one_class_is_no_measure() -> None:
    one = make([0, 20, 45], "aaa")
    with pytest.raises(ValueError, match="all videos of the gallery are of the class 'a': .* 100%"):
        retrieve(one, one, "backbone", [1])


def test_against_sorting_everything() -> None:
    rng = np.random.default_rng(0)
    gallery, queries = (make(list(rng.uniform(0, 360, n)), "x" * n, p) for n, p in
                        ((300, "g"), (40, "q")))  # fmt: skip
    gallery = replace(gallery, labels=tuple("abcde"[i] for i in rng.integers(0, 5, 300)))
    queries = replace(queries, labels=tuple("abcde"[i] for i in rng.integers(0, 5, 40)))
    similarity = queries.vectors["rsp"].astype(float) @ gallery.vectors["rsp"].astype(float).T
    for i, row in enumerate(similarity):
        order = np.argsort(-row, kind="stable")
        right = [gallery.labels[j] == queries.labels[i] for j in order]
        assert first_right(gallery, queries, "rsp")[i] == 1 + right.index(True)


def test_of_equally_near_videos_the_first_is_nearer() -> None:
    gallery = make([30, 50, 50, 50, 90], "xabcx")
    found = [first_right(gallery, make([50], label, "q"), "avid")[0] for label in "abcx"]
    assert found == [1, 2, 3, 4]  # 30 and 90 are farther than all three
    backwards = make([90, 50, 50, 50, 30], "xcbax")
    assert first_right(backwards, make([50], "a", "q"), "avid")[0] == 3


def test_ties_are_exact_in_many_dimensions() -> None:
    rng = np.random.default_rng(1)
    one = rng.normal(size=(1, 131)).astype(np.float32)
    names = ("backbone", "rsp", "avid")
    labels = "x" * 96 + "a"
    gallery = replace(make([0.0] * 97, labels), vectors=dict.fromkeys(names, one.repeat(97, 0)))
    asked = rng.normal(size=(30, 131)).astype(np.float32)
    queries = replace(make([0.0] * 30, "a" * 30, "q"), vectors=dict.fromkeys(names, asked))
    assert first_right(gallery, queries, "rsp").tolist() == [97] * 30


def test_a_gallery_that_queries_itself_leaves_one_out() -> None:
    # 0a: 20a. 20a: 0a. 45b: 20a, then 0a and 90b at 45 alike to the eye: 90b is second or third.
    places = first_right(SIX, SIX, "backbone").tolist()
    assert places[:2] == [1, 1]
    assert places[2] in (2, 3)
    assert places[4:] == [2, 1]  # 130c: 90b, 180c. 180c: 130c
    with pytest.raises(ValueError, match=r"5 videos of the gallery, without a query's own file"):
        retrieve(SIX, SIX, "backbone", [6])
    assert retrieve(SIX, SIX, "backbone", [5]).top_k == {5: 100.0}


def test_a_class_that_the_gallery_lacks_is_never_right() -> None:
    result = retrieve(SIX, make([0, 0], "az", "q"), "rsp", [1, 6])
    assert result.top_k == {1: 50.0, 6: 50.0}
    assert result.num_unmatchable == 1


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    gallery = make(list(rng.uniform(0, 360, 50)), "abcde" * 10)
    queries = make(list(rng.uniform(0, 360, 50)), "aabbc" * 10, "q")
    whole = first_right(gallery, queries, "rsp")
    monkeypatch.setattr(module, "_CELLS", 150)  # three queries at once
    np.testing.assert_array_equal(first_right(gallery, queries, "rsp"), whole)


@pytest.mark.parametrize("ks", [[7], [1, 0], []])
def test_k_that_is_no_number_of_neighbours_is_refused(ks: list[int]) -> None:
    with pytest.raises(ValueError, match="every k is between 1 and the 6 videos of the gallery, "):
        retrieve(SIX, make([0], "a", "q"), "rsp", ks)


def test_what_does_not_compare_is_refused() -> None:
    queries = make([0], "a", "q")
    with pytest.raises(ValueError, match=r"model new.pth \(other\) and a model \(hash\)"):
        retrieve(replace(SIX, model_hash="other", model="new.pth"), queries, "rsp", [1])
    other = replace(queries, protocol=Protocol(pooling="avg", fps=25.0))
    with pytest.raises(ValueError, match=r"pooling 'max' and 'avg'; fps None and 25\.0"):
        retrieve(SIX, other, "rsp", [1])
    with pytest.raises(ValueError, match="feature is one of"):
        retrieve(SIX, queries, "colour", [1])
    with pytest.raises(ValueError, match="0 videos"):
        retrieve(make([], ""), queries, "rsp", [1])


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    queries = replace(make([12, 70, 60, 40], "abca", "q"), model="m",
                      dataset={"name": "ucf101", "split": "test", "fold": 1})  # fmt: skip
    gallery = replace(SIX, model="m", dataset={"name": "ucf101", "split": "train", "fold": 1})
    paths = [
        f"--gallery={gallery.save(tmp_path / 'g')}",
        f"--queries={queries.save(tmp_path / 'q')}",
    ]
    out = tmp_path / "result.json"
    assert main([*paths, "--k", "1", "5", f"--out={out}"]) == 0
    table = capsys.readouterr().out
    assert "4 videos of ucf101 test, split 1, looked for in 6 videos of ucf101 train" in table
    assert [line.split()[0] for line in table.splitlines() if line.endswith("50.0     100.0")] == [
        "backbone", "rsp", "avid"
    ]  # fmt: skip
    assert "RSPNet ResNet-18                41.1      59.4" in table
    assert "UCF101" in table.split("split 1 only")[0]
    found = json.loads(out.read_text())
    assert found["feature"] == "backbone"
    assert found["top_k"] == {"1": 50.0, "5": 100.0}
    assert (found["num_queries"], found["num_gallery"]) == (4, 6)
    assert found["protocol"]["model_hash"] == "hash"
    assert found["protocol"]["pooling"] == "max"
    assert set(found["features"]) == {"backbone", "rsp", "avid"}
    first = out.read_bytes()
    assert main([*paths, "--k", "1", "5", f"--out={out}"]) == 0
    assert out.read_bytes() == first
    assert main([*paths, "--feature", "avid", "--k", "1", f"--out={out}"]) == 0
    assert json.loads(out.read_text())["feature"] == "avid"
    assert main([*paths, "--k", "7"]) == 2
    assert "got [7]" in capsys.readouterr().err
    assert main([f"--gallery={tmp_path}", paths[1]]) == 2
    assert "holds no gallery" in capsys.readouterr().err


def in_fp64(gallery: Gallery, queries: Gallery) -> list[int]:
    """Ranks by one product in fp64 for all, and sorting."""
    known, vectors = (g.vectors["rsp"].astype(float) for g in (gallery, queries))
    ranks = []
    for path, label, row in zip(queries.paths, queries.labels, vectors @ known.T, strict=True):
        others = [i for i in np.argsort(-row, kind="stable") if gallery.paths[i] != path]
        right = [gallery.labels[i] == label for i in others]
        ranks.append(1 + right.index(True) if any(right) else 0)
    return ranks


@pytest.mark.parametrize(
    "spread", [0.3, 1e-4, 1e-6], ids=["as trained", "near a point", "below what fp32 resolves"]
)
@pytest.mark.parametrize("pairs", [2**21, 64])
def test_ranks_are_those_of_fp64_though_fp32_does_the_work(
    spread: float, pairs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAIRS", pairs)
    rng = np.random.default_rng(3)
    vectors = 1 + spread * rng.normal(size=(160, 64))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    paths = tuple(Path(f"/{i}.mp4") for i in range(160))
    labels = tuple("abcdefg"[i] for i in rng.integers(0, 7, 160))
    gallery = Gallery(paths, labels, {"rsp": vectors.astype(np.float32)}, "", Protocol())
    few = gallery.take([*range(40), 40, 40])
    few = replace(few, labels=(*few.labels[:-1], "of no class"))
    assert first_right(gallery, few, "rsp").tolist() == in_fp64(gallery, few)


@pytest.mark.parametrize("num", [30, 400], ids=["pair by pair", "by a product"])
def test_copies_of_a_vector_are_equally_near_wherever_they_stand(num: int) -> None:
    vector, query = np.random.default_rng(5).normal(size=(2, 509)).astype(np.float32)
    paths = tuple(Path(f"/{i}.mp4") for i in range(num))
    labels = tuple("b" if i == num - 9 else "a" for i in range(num))
    vectors = np.tile(vector / np.linalg.norm(vector), (num, 1))
    gallery = Gallery(paths, labels, {"rsp": vectors}, "", Protocol())
    one = Gallery((Path("/q"),), ("b",), {"rsp": query[None]}, "", Protocol())
    assert first_right(gallery, one, "rsp").tolist() == [num - 8]
