"""Top-k by any columns of labels, against the command line's and a plain count."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from analysis.gallery.correctness import chance_of, correct_at, first_correct
from analysis.gallery.query_ranks import disputed, rank_all
from rspnet.retrieval.gallery import Gallery, Protocol
from rspnet.retrieve import retrieve

NUM = 12


@pytest.fixture(scope="module")
def gallery() -> Gallery:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(NUM, 5)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labels = tuple("abc"[n % 3] for n in range(NUM))
    paths = tuple(Path(f"{n}.mp4") for n in range(NUM))
    return Gallery(paths, labels, {"rsp": vectors, "avid": vectors[::-1].copy()}, "", Protocol())


def test_with_one_column_it_is_the_command_lines_top_k(gallery: Gallery) -> None:
    first = first_correct(gallery, "rsp", [gallery.labels])
    result = retrieve(gallery, gallery, "rsp", [1, 3])
    for k in (1, 3):
        assert 100 * correct_at(first, k).mean() == result.top_k[k]


def test_of_several_columns_one_in_common_is_enough(gallery: Gallery) -> None:
    columns = [("x", "x", *["y"] * 3, *[""] * 7), ("", "1", "1", "2", "2", *[""] * 6, "9")]
    found = first_correct(gallery, "rsp", columns)
    for row in range(NUM):
        ranks = rank_all(gallery, "rsp", row).rank
        mine = [column[row] for column in columns]
        shared = [
            int(ranks[n])
            for n in range(NUM)
            if n != row and any(m and m == c[n] for m, c in zip(mine, columns, strict=True))
        ]
        assert found[row] == (min(shared, default=0) if any(mine) else -1)
    assert len(correct_at(found, 1)) == 6


def test_chance_is_that_of_all_draws() -> None:
    columns = [("a", "a", "b", "", "b"), ("1", "2", "1", "", "1")]
    for k in (1, 2, 3):
        shares = []
        for row in (0, 1, 2, 4):
            others = [n for n in range(5) if n != row]
            correct = {n for n in others if any(c[row] and c[row] == c[n] for c in columns)}
            draws = list(combinations(others, k))
            shares.append(sum(bool(correct & set(draw)) for draw in draws) / len(draws))
        assert chance_of(columns, k) == pytest.approx(np.mean(shares))


def test_a_querys_ranks_are_those_of_the_gallery(gallery: Gallery) -> None:
    for row in (0, 7):
        found = rank_all(gallery, "avid", row)
        near = gallery.nearest(
            gallery.vectors["avid"][row], "avid", NUM, exclude=gallery.paths[row]
        )
        assert found.order.tolist() == [one.index for one in near]
        assert found.rank[row] == 0
        assert [found.rank[one.index] for one in near] == list(range(1, NUM))
        assert [found.similarity[one.index] for one in near] == [one.similarity for one in near]
        others = np.delete(found.similarity, row)
        assert np.delete(found.z, row) == pytest.approx(
            (others - others.mean()) / others.std(), abs=1e-5
        )


def test_heads_disagree_on_what_is_near_by_one_alone(gallery: Gallery) -> None:
    own, other = (rank_all(gallery, head, 3) for head in ("rsp", "avid"))
    by_hand = [row for row in range(NUM) if row != 3 and own.z[row] > 0]
    by_hand.sort(key=lambda row: (other.z[row] - own.z[row], own.rank[row]))
    assert disputed(own, other).tolist() == by_hand
    assert disputed(own, own).tolist() == [row for row in own.order if own.z[row] > 0]


def test_bad_queries_are_said(gallery: Gallery) -> None:
    with pytest.raises(ValueError, match="feature is one of"):
        rank_all(gallery, "speed", 0)
    gallery.vectors["zero"] = np.zeros((NUM, 2), np.float32)
    with pytest.raises(ValueError, match="length 0"):
        rank_all(gallery, "zero", 0)
    del gallery.vectors["zero"]
