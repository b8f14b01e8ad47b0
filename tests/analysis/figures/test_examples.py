"""Best and worst answers, drawn from what was asked."""

import numpy as np
import pytest

from analysis.figures.examples import best_and_worst, draw_examples, make_example, margins_of
from analysis.stimuli.triplets import encode_triplets, generated_triplets, nearest_videos
from tests.factories import tiny_branch


@pytest.fixture(scope="module")
def asked():
    branch = tiny_branch(0, size=48)
    triplets = generated_triplets(branch, 3, seed=5)
    return triplets, encode_triplets(branch, branch, triplets)


def test_best_first_and_worst_last_without_repeats() -> None:
    margins = [0.1, 0.9, -0.5, 0.3, 0.0, 0.9]
    assert best_and_worst(margins, 1) == [1, 2]
    assert best_and_worst(margins, 2) == [1, 5, 4, 2]
    assert best_and_worst(margins, 5) == [1, 5, 3, 0, 4, 2]


@pytest.mark.parametrize("head", ["rsp", "avid"])
def test_margins_are_those_of_the_embeddings(asked, head: str) -> None:
    triplets, questions = asked
    for place, found in enumerate(margins_of(questions, head)):
        q = questions[place]
        own = float(q.c_i.embeddings[head] @ q.c_j.embeddings[head])
        near = nearest_videos(questions, place)
        away = [q.c_k] if head == "rsp" else [questions[n].c_j for n in near]
        other = np.mean([float(q.c_i.embeddings[head] @ c.embeddings[head]) for c in away])
        assert found.score == pytest.approx(own - other, abs=1e-6)
        assert found.values.sum() == pytest.approx(found.score, abs=1e-5)
        example = make_example(questions, triplets, place, found)
        assert example.margin == found.score
        assert example.away_info == away[0].info
        assert (example.frames == triplets.views[place][0].frames).all()


def test_drawn_a_row_an_example(asked) -> None:
    triplets, questions = asked
    margins = margins_of(questions, "rsp")
    examples = [make_example(questions, triplets, n, margins[n]) for n in range(3)]
    figure = draw_examples(examples)
    assert len(figure.axes) == 3 * 5 + 1
    words = [t.get_text() for t in figure.texts]
    assert sum(w in ("right", "wrong") for w in words) == 3
    assert sum(w == "right" for w in words) == sum(e.margin > 0 for e in examples)
    other = make_example(questions, triplets, 0, margins_of(questions, "avid")[0])
    with pytest.raises(ValueError, match="by one head"):
        draw_examples([*examples, other])
    with pytest.raises(ValueError, match="none"):
        draw_examples([])
