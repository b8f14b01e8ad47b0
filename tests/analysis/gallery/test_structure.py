"""Neighbours in blocks, hubs, overlap, purity and disagreement, against naive loops and by hand."""

import itertools
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.cli.structure import main
from analysis.core.table import Row, StudyTable
from analysis.gallery import neighbours as gallery_neighbours
from analysis.gallery.disputed import disputed_pairs, moments
from analysis.gallery.neighbours import Space, check_same_videos, neighbours, ranks, top
from analysis.gallery.structure import (
    chance_jaccard,
    gallery_statistics,
    hubs,
    overlap,
    purity,
    skewness,
    structure_tables,
)
from rspnet.retrieval.gallery import FEATURES, Gallery, Protocol

NUM = 45


def paths_of(num: int) -> tuple[Path, ...]:
    return tuple(Path(f"v{n:03}.mp4") for n in range(num))


def space(name: str, seed: int, num: int = NUM, dim: int = 5) -> Space:
    vectors = np.random.default_rng(seed).normal(size=(num, dim)) + 0.5
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labels = tuple("xyz"[n % 3] for n in range(num))
    return Space(name=name, paths=paths_of(num), labels=labels, vectors=vectors.astype(np.float32))


def on_circle(name: str, degrees: list[float], labels: str) -> Space:
    angles = np.deg2rad(degrees)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    return Space(name=name, paths=paths_of(len(labels)), labels=tuple(labels), vectors=vectors)


def listed(rows: list[Row], name: str, measure: str) -> list[Row]:
    return [row for row in rows if (row.keys["nearer_by"], row.keys["measure"]) == (name, measure)]


@pytest.fixture(params=[1, 100, 2**23], ids=["a row a block", "2 rows a block", "one block"])
def _blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery_neighbours, "_CELLS", request.param)


def order_of(s: Space) -> list[list[int]]:
    """All neighbours of each video, by a plain loop."""
    found = []
    for i in range(len(s)):
        cosines = [float(s.vectors[i].astype(float) @ v.astype(float)) for v in s.vectors]
        others = [j for j in range(len(s)) if s.paths[j] != s.paths[i]]
        found.append(sorted(others, key=lambda j: (-cosines[j], j)))
    return found


@pytest.mark.usefixtures("_blocks")
def test_neighbours_are_those_of_a_plain_loop() -> None:
    s = space("rsp", 1)
    assert neighbours(s, 7).tolist() == [row[:7] for row in order_of(s)]


@pytest.mark.usefixtures("_blocks")
def test_a_file_that_stands_twice_is_no_neighbour_of_itself() -> None:
    s = space("rsp", 1)
    s = replace(s, paths=(*s.paths[:-2], s.paths[0], s.paths[1]))
    assert neighbours(s, 7).tolist() == [row[:7] for row in order_of(s)]
    with pytest.raises(ValueError, match="between 1 and the 43"):
        neighbours(s, 44)


def test_of_equals_the_first_is_the_nearer() -> None:
    row = np.array([[0.5, 1, 0.5, 0.5, -np.inf, 0.5], [3, 2, 1, 0, -1, -np.inf]], np.float32)
    assert top(row, 3).tolist() == [[1, 0, 2], [0, 1, 2]]
    assert top(row, 6)[0].tolist() == [1, 0, 2, 3, 5, 4]
    assert ranks(row, np.array([[1, 3, 5], [4, 0, 2]])).tolist() == [[1, 4, 5], [5, 1, 3]]


@pytest.mark.usefixtures("_blocks")
def test_z_scores_and_ranks_of_the_most_disputed_pairs_are_those_of_a_plain_loop() -> None:
    a, b = space("rsp", 1), space("avid", 2)
    rows = disputed_pairs(a, b, k=4, num=6)
    pairs = list(itertools.combinations(range(NUM), 2))
    z = {}
    for s in (a, b):
        cosines = np.array([float(s.vectors[i].astype(float) @ s.vectors[j]) for i, j in pairs])
        average, deviation = moments(s)
        assert average == pytest.approx(cosines.mean(), abs=1e-6)
        assert deviation == pytest.approx(cosines.std(), abs=1e-6)
        z[s.name] = (cosines - cosines.mean()) / cosines.std()
    difference = z["rsp"] - z["avid"]
    orders = {s.name: order_of(s) for s in (a, b)}
    for name, other, sign in (("rsp", "avid", 1), ("avid", "rsp", -1)):
        expected = [pairs[n] for n in np.argsort(-sign * difference)[:6]]
        by_z = listed(rows, name, "z")
        assert [(row.keys["video"], row.keys["other_video"]) for row in by_z] == expected
        for row, (i, j) in zip(by_z, expected, strict=True):
            assert row.keys["than_by"] == other
            for own in ("rsp", "avid"):
                assert row.values[f"{own}_z"] == pytest.approx(
                    z[own][pairs.index((i, j))], abs=1e-4
                )
                assert row.values[f"{own}_rank"] == 1 + orders[own][i].index(j)
        ranked = sorted(
            (-1 - orders[other][i].index(j), i, j) for i in range(NUM) for j in orders[name][i][:4]
        )[:6]
        by_rank = listed(rows, name, "rank")
        assert [(row.keys["video"], row.keys["other_video"]) for row in by_rank] == [
            (i, j) for _, i, j in ranked
        ]
        assert [row.values[f"{other}_rank"] for row in by_rank] == [-r for r, *_ in ranked]


@pytest.mark.usefixtures("_blocks")
def test_copies_of_a_file_are_no_pair() -> None:
    a, b = (replace(s, paths=(*s.paths[:-1], s.paths[0])) for s in (space("a", 1), space("b", 2)))
    pairs = [(i, j) for i, j in itertools.combinations(range(NUM), 2) if (i, j) != (0, NUM - 1)]
    cosines = np.array([float(a.vectors[i].astype(float) @ a.vectors[j]) for i, j in pairs])
    assert moments(a) == pytest.approx((cosines.mean(), cosines.std()), abs=1e-6)
    rows = listed(disputed_pairs(a, b, k=3, num=len(pairs) + 5), "a", "z")
    assert sorted((row.keys["video"], row.keys["other_video"]) for row in rows) == pairs


def test_features_that_agree_have_nothing_to_dispute() -> None:
    a = space("a", 1)
    rows = disputed_pairs(a, replace(a, name="b"), k=3, num=3)
    assert [row.values["b_rank"] for row in listed(rows, "a", "rank")] == [3, 3, 3]
    for row in listed(rows, "a", "z"):
        assert row.values["a_z"] == row.values["b_z"]


def test_a_pair_that_is_opposite_by_one_feature_and_one_by_the_other_is_found() -> None:
    a = on_circle("a", [0, 90, 180, 271], "wxyz")
    b = on_circle("b", [0, 90, 2, 270], "wxyz")
    (row,) = listed(disputed_pairs(a, b, k=1, num=1), "b", "z")
    assert (row.keys["video"], row.keys["other_video"]) == (0, 2)
    assert row.values["a_cosine"] == pytest.approx(-1)
    assert row.values["b_cosine"] == pytest.approx(math.cos(math.radians(2)))
    assert (row.values["a_rank"], row.values["b_rank"]) == (3, 1)


def test_hubs_and_orphans_by_hand() -> None:
    # All three of the others are nearest to the video at 0; it is nearest to that at 10.
    s = on_circle("a", [0, 10, -11, -100], "wxyz")
    found = hubs(s, 1)
    assert found.counts.tolist() == [2, 1, 1, 0]
    assert found.orphans.tolist() == [3]
    assert found.orphan_share == 0.25
    assert found.hubs(2).tolist() == [0, 1]
    assert found.skewness.value == pytest.approx(0)
    # By chance N_1 is binomial with n = 3 and p = 1/3.
    assert found.chance_skewness == pytest.approx((1 / 3) / math.sqrt(2 / 3))


def test_skewness_by_hand() -> None:
    # Deviations -1, -1, -1, 3: the third moment is 24 / 4, the deviation sqrt(12 / 4).
    found = skewness(np.array([[0.0, 0, 0, 4], [2, 2, 2, 2]]))
    assert found == pytest.approx([6 / 3**1.5, 0])


def test_neighbours_in_common_by_hand() -> None:
    a = on_circle("a", [0, 10, 25, 180], "wxyz")  # nearest two: 12, 02, 10, 21
    b = on_circle("b", [0, 10, 180, 25], "wxyz")  # nearest two: 13, 03, 31, 10
    assert neighbours(a, 2).tolist() == [[1, 2], [0, 2], [1, 0], [2, 1]]
    assert neighbours(b, 2).tolist() == [[1, 3], [0, 3], [3, 1], [1, 0]]
    found = overlap(a, b, 2)
    np.testing.assert_allclose(found.jaccard, [1 / 3, 1 / 3, 1 / 3, 1 / 3])
    assert found.mean.value == pytest.approx(1 / 3)
    assert overlap(a, replace(a, name="c"), 2).mean.value == 1
    # Two of three: one of the three pairs of lists is the same, the others share one.
    assert found.chance == pytest.approx(1 / 3 + 2 / 3 * 1 / 3)
    assert chance_jaccard(3, 3) == 1
    assert 0.0002 < chance_jaccard(10, 20_000) < 0.0003


def test_purity_by_hand() -> None:
    s = on_circle("a", [0, 10, 25, 180, 181], "xxyyz")
    found = purity(s, 1)  # nearest: 1, 0, 1, 4, 3; z is alone with its label
    assert found.mean.value == pytest.approx(2 / 4)
    assert found.chance == pytest.approx(1 / 4)
    assert found.by_label == {"x": 1.0, "y": 0.0}
    assert found.num_skipped == 1
    with pytest.raises(ValueError, match="no two videos"):
        purity(replace(s, labels=("",) * 5), 1)


def test_what_does_not_fit_is_refused() -> None:
    a, b = space("a", 1), space("b", 2)
    with pytest.raises(ValueError, match="a has 45 and b 44"):
        check_same_videos([a, space("b", 2, NUM - 1)])
    swapped = replace(b, paths=(b.paths[1], b.paths[0], *b.paths[2:]))
    for compare in (disputed_pairs, overlap):
        with pytest.raises(ValueError, match=r"video 0 is v000\.mp4 in a and v001\.mp4 in b"):
            compare(a, swapped)
    with pytest.raises(ValueError, match="k is between 1 and the 44"):
        overlap(a, b, 45)
    with pytest.raises(ValueError, match="a name each"):
        disputed_pairs(a, a)
    with pytest.raises(ValueError, match="equally similar by a"):
        disputed_pairs(on_circle("a", [0, 120, 240], "xyz"), on_circle("b", [0, 1, 2], "xyz"), k=1)
    with pytest.raises(ValueError, match=r"that of v000\.mp4 is not"):
        replace(a, vectors=a.vectors * np.float32(2))
    with pytest.raises(ValueError, match="at least two"):
        space("a", 1, 1)
    with pytest.raises(ValueError, match="one of each a video"):
        replace(a, labels=a.labels[1:])
    with pytest.raises(ValueError, match="not finite"):
        replace(a, vectors=np.full_like(a.vectors, np.nan))
    with pytest.raises(ValueError, match="its own name"):
        gallery_statistics([a, a])


def gallery() -> Gallery:
    spaces = {name: space(name, seed) for seed, name in enumerate(FEATURES)}
    return Gallery(
        paths=paths_of(NUM),
        labels=spaces["rsp"].labels,
        vectors={name: s.vectors for name, s in spaces.items()},
        model_hash="hash",
        protocol=Protocol(),
    )


def test_a_space_is_a_feature_of_a_gallery() -> None:
    found = Space.of(gallery(), "avid", "A-VID of a model")
    assert found.name == "A-VID of a model"
    np.testing.assert_array_equal(found.vectors, gallery().vectors["avid"])
    with pytest.raises(ValueError, match="feature is one of"):
        Space.of(gallery(), "colour")


def test_the_command_line_gives_the_api_s_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(gallery().save(tmp_path / "gallery"))
    out = tmp_path / "views.json"
    assert main(["--gallery", folder, "--k", "5", "--num_pairs", "3", "--out", str(out)]) == 0
    spaces = [Space.of(gallery(), name) for name in ("rsp", "avid")]
    expected = gallery_statistics(spaces, k=5, num=3)
    assert StudyTable.load(out).to_json() == expected.to_json()
    for name, own in zip(("rsp", "avid"), spaces, strict=True):
        row = expected.select(feature=name)[0]
        found = hubs(own, 5)
        assert row.samples["counts"].tolist() == found.counts.tolist()
        assert row["skewness"] == found.skewness
        assert row["purity"] == purity(own, 5).mean
    shared = expected.one(feature="rsp", other_feature="avid")
    assert shared["overlap"] == overlap(*spaces, 5).mean
    assert len(expected.select(nearer_by="rsp", than_by="avid", measure="z")) == 3
    assert [table.header[0] for table in structure_tables(expected)] == [
        "feature",
        "features",
        "nearer by",
    ]
    printed = capsys.readouterr().out
    for table in structure_tables(expected):
        assert table.text() in printed
    assert main(["--gallery", folder, "--k", "45"]) == 2
    assert "k is between 1 and the 44" in capsys.readouterr().err


def test_galleries_without_labels_have_no_purity() -> None:
    spaces = [replace(space(name, n), labels=("",) * NUM) for n, name in enumerate("ab")]
    found = gallery_statistics(spaces, k=3)
    assert not any("purity" in row.values for row in found.rows)
    assert structure_tables(found)[0].rows[0][-1] == ""
    assert len(structure_tables(gallery_statistics(spaces[:1], k=3))) == 1
