"""The approximate index: against sorting everything, ties, its recall, and what it refuses."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rspnet.retrieval.approximate import TARGET, ApproximateIndex
from rspnet.retrieval.gallery import Gallery, Protocol
from rspnet.retrieval.store import Vectors
from rspnet.retrieve import main, retrieve


def unit(rows: Vectors) -> Vectors:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def groups(num: int, seed: int = 1) -> tuple[Vectors, list[int]]:
    """Vectors in nine loose groups."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(9, 16))
    labels = rng.integers(0, 9, num)
    return unit(centres[labels] + 0.3 * rng.normal(size=(num, 16))), labels.tolist()


def gallery_of(num: int, prefix: str, seed: int = 1) -> Gallery:
    vectors, labels = groups(num, seed)
    paths = tuple(Path(f"/{prefix}{i}.mp4") for i in range(num))
    features = dict.fromkeys(("backbone", "rsp", "avid"), vectors)
    return Gallery(paths, tuple("abcdefghi"[i] for i in labels), features, "hash", Protocol())


def test_without_faiss_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    folder = gallery_of(12, "g").save(tmp_path / "g")
    words = [f"--gallery={folder}", f"--queries={folder}", "--k=1", "--index=approximate"]
    assert main(words) == 2
    assert "python -m pip install faiss-cpu; or search exactly" in capsys.readouterr().err


@pytest.fixture
def index() -> ApproximateIndex:
    pytest.importorskip("faiss", reason="the optional package faiss-cpu is not installed")
    return ApproximateIndex(groups(2500)[0])


def test_it_finds_as_many_of_the_nearest_as_it_says(index: ApproximateIndex) -> None:
    queries = groups(150, seed=2)[0]
    similarity = queries.astype(float) @ index.vectors.T.astype(float)
    exact = np.argsort(-similarity, axis=1, kind="stable")[:, :10]
    found = index.nearest(queries, 10)
    assert index.num_lists == 50
    assert index.num_searched < 20  # it does not look through everything
    share = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(exact, found, strict=True)][1:])
    assert share > TARGET - 0.05
    assert index.recall(queries) == pytest.approx(share)  # of all but the first
    values = np.take_along_axis(similarity, found, 1)  # none is -1 here
    assert (np.diff(values, axis=1) <= 0).all()
    np.testing.assert_array_equal(ApproximateIndex(index.vectors).nearest(queries, 10), found)


def test_all_lists_together_are_exact_and_ties_go_by_place(index: ApproximateIndex) -> None:
    vectors = np.concatenate([index.vectors[:40], index.vectors[:40]])
    twice = ApproximateIndex(vectors)
    twice.num_searched = twice.num_lists
    for place, row in enumerate(twice.nearest(vectors[:40], 4)):
        assert row[:2].tolist() == [place, place + 40]
    assert twice.recall(vectors, skip=1) == 1.0
    assert ApproximateIndex(vectors[:1]).nearest(vectors[:2], 3).tolist() == [[0, -1, -1]] * 2
    with pytest.raises(ValueError, match="no vectors"):
        ApproximateIndex(vectors[:0])


@pytest.mark.usefixtures("index")
def test_retrieval_is_that_of_all_videos_but_for_what_is_missed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gallery = gallery_of(600, "g")
    queries = gallery_of(60, "q", seed=3)
    queries = replace(queries, labels=("no such class", *queries.labels[1:]))
    for searched in (queries, gallery):
        exact = retrieve(gallery, searched, "rsp", [1, 10])
        near = retrieve(gallery, searched, "rsp", [1, 10], index="approximate")
        assert near.num_unmatchable == exact.num_unmatchable
        assert near.top_k == pytest.approx(exact.top_k, abs=3)
        assert near.recall_at_10 is not None
        assert near.recall_at_10 > 0.9
        assert exact.recall_at_10 is None
    words = [f"--gallery={gallery.save(tmp_path / 'g')}", f"--queries={tmp_path / 'g'}", "--k=1"]
    assert main([*words, "--index=approximate", f"--out={tmp_path / 'r.json'}"]) == 0
    assert "% of the 10 nearest found" in capsys.readouterr().out
    assert '"recall_at_10"' in (tmp_path / "r.json").read_text()
    with pytest.raises(ValueError, match="feature is one of"):
        retrieve(gallery, queries, "colour", [1], index="approximate")
