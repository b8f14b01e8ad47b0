"""Galleries in two dimensions: components, clusters, labels, marks, files, missing packages."""

import csv
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex

from analysis.cli.projection import main
from analysis.figures.projection_figure import MOST_CLASSES, draw_embeddings, marks_of
from analysis.figures.style import CATEGORIES, save
from analysis.gallery.neighbours import Space
from analysis.gallery.projection import (
    Embedding,
    embed_galleries,
    embed_space,
    kmeans,
    labels_for,
    pca,
    read_labels,
    write_points,
)
from rspnet.retrieval.gallery import FEATURES, Gallery, Protocol

NUM = 24


def vectors(seed: int, num: int = NUM, dim: int = 6) -> np.ndarray:
    found = np.random.default_rng(seed).normal(size=(num, dim)) * np.linspace(2, 0.5, dim)
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def gallery(num: int = NUM) -> Gallery:
    return Gallery(
        paths=tuple(Path(f"/data/{'xyz'[n % 3]}/v{n:02}.mp4") for n in range(num)),
        labels=tuple("xyz"[n % 3] for n in range(num)),
        vectors={name: vectors(seed, num) for seed, name in enumerate(FEATURES)},
        model_hash="hash",
        protocol=Protocol(),
        splits=tuple("train" if n % 2 else "test" for n in range(num)),
    )


def space() -> Space:
    return Space.of(gallery(), "rsp")


def test_components_are_those_of_the_singular_values_and_their_signs_are_fixed() -> None:
    X = vectors(1).astype(np.float64)
    points, explained = pca(X)
    centred = X - X.mean(axis=0)
    U, S, _ = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(np.abs(points), np.abs(U[:, :2] * S[:2]), atol=1e-9)
    np.testing.assert_allclose(explained, (S**2 / (S**2).sum())[:2], atol=1e-12)
    for axis in range(2):
        direction = points[:, axis] @ centred  # a multiple of the axis, by its variance
        assert direction[np.abs(direction).argmax()] > 0
    # The order of videos, and turning all of them about, change nothing but the rows' order.
    order = np.random.default_rng(0).permutation(NUM)
    np.testing.assert_allclose(pca(X[order])[0], points[order], atol=1e-9)


def test_a_plane_is_shown_whole() -> None:
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    ellipse = np.stack([3 * np.cos(angles), np.sin(angles)], axis=1)
    points, explained = pca(np.pad(ellipse, [(0, 0), (0, 1)]) + np.array([5, 6, 7]))
    assert explained == pytest.approx((0.9, 0.1))
    np.testing.assert_allclose(points, ellipse, atol=1e-9)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.ones((4, 1)), "D of at least 2"),
        (np.ones((4, 3)), "nothing to spread out"),
    ],
)
def test_what_has_no_plane_is_refused(X: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pca(X)


def test_clusters_are_numbered_by_size_and_the_same_every_time() -> None:
    centres = np.eye(3, 5)
    which = np.array([2, 0, 0, 1, 0, 1, 2, 0, 1, 0])
    noise = np.random.default_rng(0).normal(size=(10, 5)) * 0.02
    found = kmeans((centres[which] + noise).astype(np.float32), 3)
    # Five of 0, three of 1, two of 2.
    assert found.tolist() == which.tolist()
    for seed in range(3):
        np.testing.assert_array_equal(kmeans(vectors(1), 4, seed), kmeans(vectors(1), 4, seed))
    assert kmeans(vectors(1), 1).tolist() == [0] * NUM
    # Of equal sizes the one whose first video comes first.
    assert kmeans(np.eye(2, dtype=np.float32)[[1, 0, 1, 0]], 2).tolist() == [0, 1, 0, 1]
    for num in (0, NUM + 1):
        with pytest.raises(ValueError, match=f"between 1 and the {NUM}"):
            kmeans(vectors(1), num)


def test_an_embedding_of_a_space() -> None:
    found = embed_space(space(), num_clusters=3)
    np.testing.assert_array_equal(found.points, pca(vectors(1))[0])
    assert found.explained == pca(vectors(1))[1]
    assert found.clusters is not None
    np.testing.assert_array_equal(found.clusters, kmeans(vectors(1), 3))
    assert (found.labels, found.name) == (gallery().labels, "rsp")
    plain = json.loads(json.dumps(found.to_json()))
    assert plain["points"] == found.points.tolist()
    assert embed_space(space()).to_json()["clusters"] is None
    with pytest.raises(ValueError, match="method is one of"):
        embed_space(space(), "isomap")


@pytest.mark.parametrize(
    ("method", "module", "package"),
    [("tsne", "sklearn.manifold", "scikit-learn"), ("umap", "umap", "umap-learn")],
)
def test_what_is_not_installed_is_said(
    monkeypatch: pytest.MonkeyPatch, method: str, module: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ValueError, match=f"run `pip install {package}`"):
        embed_space(space(), method, perplexity=5)


class Recorder:
    """In place of scikit-learn's and umap-learn's classes."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def fit_transform(self, X: np.ndarray) -> np.ndarray:
        return np.float32(self.settings["random_state"]) + X[:, :2]


@pytest.mark.parametrize(
    ("method", "module", "name", "setting"),
    [("tsne", "sklearn.manifold", "TSNE", "perplexity"), ("umap", "umap", "UMAP", "n_neighbors")],
)
def test_settings_reach_the_package(
    monkeypatch: pytest.MonkeyPatch, method: str, module: str, name: str, setting: str
) -> None:
    made: list[Recorder] = []

    def make(**settings: Any) -> Recorder:
        made.append(Recorder(**settings))
        return made[-1]

    stand_in = ModuleType(module)
    setattr(stand_in, name, make)
    for part in {module.split(".")[0], module}:
        monkeypatch.setitem(sys.modules, part, stand_in)
    found = embed_space(space(), method, seed=3, perplexity=7, num_neighbours=7)
    np.testing.assert_allclose(found.points, 3 + vectors(1)[:, :2], rtol=1e-6)
    assert made[0].settings[setting] == 7
    assert found.explained is None
    assert "7" in found.settings
    assert "seed 3" in found.settings
    with pytest.raises(ValueError, match=f"below the number of videos, {NUM}"):
        embed_space(space(), method, perplexity=NUM, num_neighbours=NUM)


def test_neighbourhoods_by_the_package_itself() -> None:
    pytest.importorskip("sklearn", reason="needs scikit-learn, which is optional")
    found = [embed_space(space(), "tsne", perplexity=5) for _ in range(2)]
    assert found[0].points.shape == (NUM, 2)
    np.testing.assert_array_equal(found[0].points, found[1].points)


def write_table(folder: Path, rows: list[dict[str, str]]) -> Path:
    path = folder / "labels.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_labels_of_a_table_are_found_by_the_end_of_the_path(tmp_path: Path) -> None:
    paths = [Path("/data/x/v0.mp4"), Path("/data/y/v0.mp4"), Path("/data/z/v1.mp4")]
    rows = [{"clip": "x/v0.mp4", "actor": "7"}, {"clip": "y/v0.mp4", "actor": "8"}]
    table = write_table(tmp_path, rows)
    assert read_labels(table, "actor", paths) == ("7", "8", "")
    for column, match in (("colour", "a column 'colour', it has"), ("actor", "lists none")):
        with pytest.raises(ValueError, match=match):
            read_labels(table, column, [Path("/data/other.mp4")])
    with pytest.raises(ValueError, match="can't be read"):
        read_labels(tmp_path / "none.csv", "actor", paths)


def test_labels_of_a_gallery() -> None:
    assert labels_for(gallery(), "label", None) == gallery().labels
    assert labels_for(gallery(), "split", None)[:2] == ("test", "train")
    with pytest.raises(ValueError, match="does not know 'actor'"):
        labels_for(gallery(), "actor", None)


def test_marks_differ_up_to_ten_classes_and_then_the_smallest_are_others() -> None:
    labels = [f"c{n:02}" for n in range(MOST_CLASSES) for _ in range(20 - n)]
    marks, other = marks_of(labels)
    assert list(marks) == [f"c{n:02}" for n in range(MOST_CLASSES)]
    assert other is None
    assert len({(m.colour, m.marker, m.filled) for m in marks.values()}) == MOST_CLASSES
    first = list(marks.values())[:7]
    assert len({m.colour for m in first}) == len({m.marker for m in first}) == 7
    marks, other = marks_of([*labels, "rare", ""])
    assert len(marks) == MOST_CLASSES - 1
    assert other is not None
    assert other.num == 11 + 1 + 1
    assert other.colour == CATEGORIES[-1]
    assert marks_of(["b", "a"])[0]["a"].num == 1
    assert list(marks_of(["b", "a"])[0]) == ["a", "b"]


def make(name: str, labels: tuple[str, ...], **changes: Any) -> Embedding:
    return replace(embed_space(space()), name=name, labels=labels, **changes)


def test_a_class_looks_the_same_in_all_panels(tmp_path: Path) -> None:
    drawn = draw_embeddings([make("rsp", gallery().labels), make("avid", gallery().labels)])
    panels = drawn.figure.axes
    assert [axis.get_title() for axis in panels] == ["RSP", "A-VID"]
    looks = [[to_hex(c.get_facecolor()[0]) for c in axis.collections] for axis in panels]
    assert looks[0] == looks[1] == list(CATEGORIES[:3])
    shown = np.concatenate([c.get_offsets() for c in panels[0].collections])
    expected = pca(vectors(1))[0]
    np.testing.assert_allclose(sorted(shown.tolist()), sorted(expected.tolist()), atol=1e-9)
    share = 100 * pca(vectors(1))[1][0]
    assert panels[0].get_xlabel() == f"PC 1 ({share:.0f}% of the variance)"
    words = [text.get_text() for text in drawn.figure.legends[0].get_texts()]
    assert words == ["x (8)", "y (8)", "z (8)"]
    assert f"{NUM} videos" in drawn.caption
    assert save(drawn.figure, tmp_path / "map.png", dpi=40).stat().st_size > 1000


def test_methods_without_axes_show_none_and_do_not_mix() -> None:
    one = make("rsp", gallery().labels, method="tsne", explained=None)
    (axis,) = draw_embeddings([one]).figure.axes
    assert not axis.get_xlabel()
    assert len(axis.get_xticks()) == 0
    with pytest.raises(ValueError, match="by one method"):
        draw_embeddings([one, make("avid", gallery().labels)])
    with pytest.raises(ValueError, match="by one method"):
        draw_embeddings([])


def test_videos_without_a_label_are_grey_and_below() -> None:
    labels = ("", *gallery().labels[1:])
    (axis,) = draw_embeddings([make("rsp", labels)]).figure.axes
    assert to_hex(axis.collections[0].get_facecolor()[0]) == CATEGORIES[-1]
    assert len(axis.collections[0].get_offsets()) == 1


def test_coordinates_are_written(tmp_path: Path) -> None:
    found = embed_space(space(), num_clusters=2)
    found = replace(found, labels=("=1+1", *found.labels[1:]))
    path = write_points(tmp_path / "p.csv", [found, replace(found, clusters=None, name="avid")])
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * NUM
    assert rows[0]["label"] == "'=1+1"  # no formula in a spreadsheet
    assert rows[5]["path"] == found.paths[5]
    assert (rows[5]["feature"], rows[NUM]["feature"]) == ("rsp", "avid")
    assert float(rows[5]["y"]) == pytest.approx(found.points[5, 1], rel=1e-5)
    assert found.clusters is not None
    assert (rows[5]["cluster"], rows[NUM]["cluster"]) == (str(found.clusters[5]), "")


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [str(gallery().save(tmp_path / name)) for name in ("one", "two")]
    table = write_table(
        tmp_path,
        [{"path": p.as_posix(), "actor": str(n % 4)} for n, p in enumerate(gallery().paths)],
    )
    out = tmp_path / "map.png"
    arguments = ["--gallery", folders[0], "--out", str(out)]
    assert main([*arguments, "--label_file", str(table), "--label", "actor"]) == 0
    assert "coloured by actor" in capsys.readouterr().out
    with out.with_suffix(".csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows[:4]] == ["0", "1", "2", "3"]
    assert out.is_file()
    assert (
        main([*arguments, "--gallery", folders[1], "--label", "cluster", "--num_clusters", "3"])
        == 0
    )
    with out.with_suffix(".csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["gallery"] for row in rows} == {"one", "two"}
    assert {row["label"] for row in rows} == {"cluster 0", "cluster 1", "cluster 2"}
    assert len(rows) == 4 * NUM
    capsys.readouterr()
    assert main([*arguments, "--label", "cluster"]) == 2
    assert "into how many" in capsys.readouterr().err
    assert main([*arguments[:2], "--out", "map.gif"]) == 2
    assert ".png" in capsys.readouterr().err


def test_one_gallery_needs_no_name(tmp_path: Path) -> None:
    folder = gallery().save(tmp_path / "one")
    found = embed_galleries([folder], ["backbone"], label="split")
    assert (found[0].gallery, found[0].name) == ("", "backbone")
    assert set(found[0].labels) == {"test", "train"}
