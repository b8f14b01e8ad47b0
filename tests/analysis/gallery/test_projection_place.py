"""Places of videos that came later: projected, or between the nearest."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.gallery.projection import embed_space, pca, principal_axes
from analysis.gallery.projection_place import place
from tests.analysis.gallery.test_projection import space, vectors


def test_pca_gives_the_gallerys_own_videos_their_places() -> None:
    own = space()
    made = embed_space(own, "pca")
    np.testing.assert_allclose(place(own, made, own.vectors), made.points, atol=1e-12)
    mean, axes, explained = principal_axes(own.vectors)
    assert explained == made.explained
    np.testing.assert_allclose(axes.T @ axes, np.eye(2), atol=1e-12)
    other = vectors(9, 3)
    # By hand: the dot product with each axis, about the mean of the gallery alone.
    by_hand = [[float((v - mean) @ axes[:, n]) for n in range(2)] for v in other.astype(float)]
    np.testing.assert_allclose(place(own, made, other), by_hand, atol=1e-12)
    points, _ = pca(own.vectors)
    np.testing.assert_array_equal(points, made.points)


def test_where_the_map_is_not_linear_it_is_the_median_of_the_nearest() -> None:
    own = space()
    points = np.random.default_rng(1).normal(size=(len(own), 2))
    made = replace(embed_space(own, "pca"), method="tsne", points=points, explained=None)
    other = vectors(9, 4)
    found = place(own, made, other, num_nearest=3)
    for vector, at in zip(other, found, strict=True):
        nearest = sorted(range(len(own)), key=lambda n: -float(own.vectors[n] @ vector))[:3]
        xs, ys = (sorted(points[nearest, axis]) for axis in range(2))
        assert at.tolist() == [xs[1], ys[1]]
    np.testing.assert_array_equal(place(own, made, own.vectors, num_nearest=1), points)
    everything = place(own, made, other, num_nearest=999)
    np.testing.assert_array_equal(everything, np.median(points, axis=0)[None].repeat(4, axis=0))


def test_what_has_no_place() -> None:
    own = space()
    made = embed_space(own, "pca")
    with pytest.raises(ValueError, match=r"vectors by rsp are \(M, 6\), got \(6,\)"):
        place(own, made, own.vectors[0])
    with pytest.raises(ValueError, match="is not of these 24 videos by avid"):
        place(replace(own, name="avid"), made, own.vectors)
