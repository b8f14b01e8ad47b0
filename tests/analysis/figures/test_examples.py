"""Examples: the largest and smallest margins, and the regions of synthetic videos."""

import numpy as np
import pytest

from analysis.figures.examples import (
    best_and_worst,
    draw_examples,
    draw_region_examples,
    make_example,
    make_region_examples,
    margins_of,
)
from analysis.stimuli.kinds import with_controls
from analysis.stimuli.triplets import encode_triplets, generated_triplets, nearest_videos
from analysis.studies.localisation import make_scene
from rspnet.names import HEADS
from tests.factories import tiny_branch


@pytest.fixture(scope="module")
def triplet_features():
    branch = tiny_branch(0, size=48)
    triplets = generated_triplets(branch, 3, seed=5)
    return triplets, encode_triplets(branch, branch, triplets)


def test_largest_first_and_smallest_last_without_repeats() -> None:
    margins = [0.1, 0.9, -0.5, 0.3, 0.0, 0.9]
    assert best_and_worst(margins, 1) == [1, 2]
    assert best_and_worst(margins, 2) == [1, 5, 4, 2]
    assert best_and_worst(margins, 5) == [1, 5, 3, 0, 4, 2]


@pytest.mark.parametrize("head", ["rsp", "avid"])
def test_margins_are_those_of_the_embeddings(triplet_features, head: str) -> None:
    triplets, encoded = triplet_features
    for place, found in enumerate(margins_of(encoded, head)):
        q = encoded[place]
        own = float(q.c_i.embeddings[head] @ q.c_j.embeddings[head])
        near = nearest_videos(encoded, place)
        away = [q.c_k] if head == "rsp" else [encoded[n].c_j for n in near]
        other = np.mean([float(q.c_i.embeddings[head] @ c.embeddings[head]) for c in away])
        assert found.score == pytest.approx(own - other, abs=1e-6)
        assert found.values.sum() == pytest.approx(found.score, abs=1e-5)
        example = make_example(encoded, triplets, place, found)
        assert example.margin == found.score
        assert example.away_info == away[0].info
        assert (example.frames == triplets.views[place][0].frames).all()


def test_drawn_a_row_an_example(triplet_features) -> None:
    triplets, encoded = triplet_features
    margins = margins_of(encoded, "rsp")
    examples = [make_example(encoded, triplets, n, margins[n]) for n in range(3)]
    figure = draw_examples(examples)
    assert len(figure.axes) == 3 * 5 + 1
    words = [t.get_text() for t in figure.texts]
    assert sum(w in ("correct", "incorrect") for w in words) == 3
    assert sum(w == "correct" for w in words) == sum(e.margin > 0 for e in examples)
    other = make_example(encoded, triplets, 0, margins_of(encoded, "avid")[0])
    with pytest.raises(ValueError, match="by one head"):
        draw_examples([*examples, other])
    with pytest.raises(ValueError, match="none"):
        draw_examples([])


def test_region_examples_are_the_videos_with_the_largest_limbs() -> None:
    branch = tiny_branch(0)
    (example,) = make_region_examples(branch, branch, 9, num=1, num_videos=3)
    scenes = [make_scene(9, n, num_frames=8, size=32, num_triplets=1) for n in range(3)]
    largest = int(np.argmax([one.truth[0]["limbs"].mean() for one in scenes]))
    np.testing.assert_array_equal(example.frames[2], scenes[largest].triplets[1][0].frames[4])
    np.testing.assert_array_equal(example.regions["limbs"], scenes[largest].truth[0]["limbs"][4])
    model = next(with_controls(branch, branch, [one.triplets for one in scenes]))
    for place, speed in enumerate((1, 2)):
        for head in HEADS:
            values = model.maps(largest, place, head)["margin"]
            expected = np.tensordot(example.grid.weights(0)[4], values, 1)
            np.testing.assert_allclose(example.maps[head, speed], expected)
    figure = draw_region_examples([example])
    assert len(figure.axes) == 5 + 2
    with pytest.raises(ValueError, match="give at least one"):
        draw_region_examples([])
