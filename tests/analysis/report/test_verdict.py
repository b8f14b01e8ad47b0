"""One word on one map, and the checks behind it."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from analysis import ClipMap, PairClips, example_views, verdict
from analysis.attribution.registry import MAP_KINDS, OTHER_ROWS, map_kind, map_kinds, register_map
from analysis.core.cells import CellSwap, Fill
from analysis.report.verdict import Check, verdict_on_score
from analysis.studies.measures.ablation import cell_drops, removal_by_place
from analysis.studies.measures.deletion import KeptCells
from rspnet.names import Side
from tests.factories import tiny_branch


@pytest.fixture(scope="module")
def clips() -> PairClips:
    c_i, c_j, c_k = example_views(3)
    fast = replace(c_k, info=replace(c_k.info, speed=2))
    slow = replace(c_j, info=replace(c_j.info, speed=1))
    return PairClips.of(tiny_branch(0), tiny_branch(1), c_i, slow, view_k=fast, others=[c_k])


def test_scores_are_those_of_the_maps(clips: PairClips) -> None:
    for kind in ("contribution", "margin", "margin_faster"):
        for side in ("i", "j"):
            found = map_kind(kind).compute(clips, "rsp", side)
            own = map_kind(kind).score(clips, "rsp", side).contributions(clips.features(side))
            np.testing.assert_allclose(found.values, own.values)
    assert clips.is_slower("rsp")


def test_every_kind_of_a_pair_has_a_verdict(clips: PairClips) -> None:
    for key, kind in map_kinds().items():
        if kind.needs in OTHER_ROWS or kind.num_passes is not None:
            continue
        found = verdict(clips, "avid", key, num_orders=2, num_steps=2, num_random=1)
        names = [check.name for check in found.checks]
        last = ["ablation"] if kind.needs == "triplet" else []
        assert names[-2 - len(last) :] == ["weights", "deletion", *last]
        assert found.sentence.startswith(f"{found.word}: ")


def test_the_map_of_a_clip_of_a_query_is_checked_as_the_map_of_a_score(clips: PairClips) -> None:
    for head in ("rsp", "avid"):
        own = verdict_on_score(clips.similarity(head), clips.view("i"), num_orders=2)
        assert own == verdict(replace(clips, negatives={}), head, "contribution", num_orders=2)
    with pytest.raises(ValueError, match="are positive, got 0, 6 and 3"):
        verdict_on_score(clips.similarity("rsp"), clips.view("i"), num_orders=0)


@pytest.fixture
def planted(clips: PairClips) -> Iterator[None]:
    """Kinds of known worth: what each cell alone takes from s, its negative, and a fixed map."""

    def single_drops(own: PairClips, head: str, side: Side) -> ClipMap:
        score, contribution = (
            own.similarity(head, side),
            own.map_of(own.similarity(head, side), side, "contribution"),
        )
        cells = KeptCells(
            own.branch(side), CellSwap.of(own.view(side).clip[None], "blur", contribution.grid)
        )
        num = contribution.values.size
        kept = torch.cat([torch.ones(1, num), 1 - torch.eye(num)])
        scores = cells.score(score, kept.reshape(-1, *contribution.grid.cells)).numpy()
        values = (scores[0] - scores[1:]).reshape(contribution.values.shape)
        return replace(contribution, values=values, exact=False)

    known = single_drops(clips, "rsp", "i")
    about = {"symbol": "s", "units": "drop", "needs": "pair", "sums_to": "", "text": "Planted."}

    @register_map(key="drops", title="Drops", **about)
    def drops(own: PairClips, head: str, side: Side) -> ClipMap:
        return single_drops(own, head, side)

    @register_map(key="reversed", title="Reversed", **about)
    def reversed_(own: PairClips, head: str, side: Side) -> ClipMap:
        found = single_drops(own, head, side)
        return replace(found, values=-found.values)

    @register_map(key="fixed", title="Fixed", **about)
    def fixed(own: PairClips, head: str, side: Side) -> ClipMap:
        return known

    @register_map(key="short", title="Short", **about)
    def short(own: PairClips, head: str, side: Side) -> ClipMap:
        return replace(known, values=known.values, score=known.values.sum() + 0.1, exact=True)

    about = {**about, "needs": "triplet"}

    @register_map(key="held", title="Held", **about)
    def held(own: PairClips, head: str, side: Side) -> ClipMap:
        score = own.margin(head)
        values = cell_drops(score, own.c_i, own.static("i"))
        return replace(score.contributions(own.c_i), values=values, exact=False)

    @register_map(key="elsewhere", title="Elsewhere", **about)
    def elsewhere(own: PairClips, head: str, side: Side) -> ClipMap:
        found = held(own, head, side)
        return replace(found, values=found.values[:, :, ::-1])

    yield
    for key in ("drops", "reversed", "fixed", "short", "elsewhere", "held"):
        MAP_KINDS.remove(key)


def test_words_on_maps_of_known_worth(clips: PairClips, planted: None) -> None:
    kinds = ("drops", "reversed", "fixed", "short")
    found = {key: verdict(clips, "rsp", key, fill="blur") for key in kinds}
    checks = {key: {c.name: c for c in own.checks} for key, own in found.items()}
    assert checks["drops"]["deletion"].passes
    assert checks["drops"]["deletion"].value > 0 > checks["reversed"]["deletion"].value
    assert found["reversed"].word == "not supported"
    # It does not change with the weights: its correlation with itself is 1.
    assert checks["fixed"]["weights"].value == pytest.approx(1)
    assert found["fixed"].word == "weak"
    assert found["short"].word == "not supported"
    assert checks["short"]["completeness"].value == pytest.approx(0.1)
    assert "add up to the score but for 1e-01" in found["short"].sentence


def test_a_margin_is_checked_by_letting_single_cells_stand_still(
    clips: PairClips, planted: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = {
        key: verdict(clips, "rsp", key, num_orders=1, num_steps=1, num_random=1).checks[-1]
        for key in ("held", "elsewhere")
    }
    assert checks["held"].name == "ablation"
    assert checks["held"].value == pytest.approx(1)
    assert checks["held"].passes
    assert "stand still is 1.00, and as large at 0% of other places" in checks["held"].text
    assert not checks["elsewhere"].passes
    passed = Check(name="deletion", value=1.0, passes=True, text="")
    monkeypatch.setattr("analysis.report.verdict._deletion", lambda *_: passed)
    assert verdict(clips, "rsp", "elsewhere", num_random=1).word == "weak"


def test_of_a_similarity_features_are_replaced_by_the_mean_of_other_videos(
    clips: PairClips, planted: None
) -> None:
    few = {"num_orders": 1, "num_steps": 1, "num_random": 1}
    check = verdict(clips, "rsp", "contribution", **few).checks[2]
    score, others = clips.similarity("rsp"), clips.negatives["avid"].clips
    own = score.contributions(clips.c_i).values
    gain, share = removal_by_place(score, clips.c_i, own, others)
    assert (check.name, check.value, check.passes) == ("deletion", gain, share < 0.05)
    assert "the mean of other videos" in check.text
    # A map on a finer grid, and a pair without other videos, are checked in pixels.
    alone = replace(clips, negatives={"rsp": clips.negatives["rsp"]})
    for pair in (clips.finer(2), alone):
        text = verdict(pair, "rsp", "contribution", **few).checks[2].text
        assert text.startswith("deleting cells")


def test_of_a_margin_cells_are_frozen_and_of_a_similarity_alone_blurred(clips: PairClips) -> None:
    own: dict[str, Fill] = {"margin": "static", "contribution": "blur"}
    lone = replace(clips, negatives={"rsp": clips.negatives["rsp"]})
    for kind, fill in own.items():
        plain = verdict(lone, "rsp", kind, num_orders=2).checks[2]
        assert plain == verdict(lone, "rsp", kind, num_orders=2, fill=fill).checks[2]
        assert plain.text.startswith("freezing" if kind == "margin" else "deleting")
        assert plain != verdict(lone, "rsp", kind, num_orders=2, fill="mean").checks[2]


def test_numbers_and_names_that_do_not_fit_are_refused(clips: PairClips) -> None:
    for arguments, message in (
        (("flow",), "heads are rsp, avid, got 'flow'"),
        (("rsp", "cam"), "a verdict is on maps of similarities and margins, got 'cam'"),
        (("rsp", "margn"), "Did you mean 'margin'"),
    ):
        with pytest.raises(ValueError, match=message):
            verdict(clips, *arguments)
    with pytest.raises(ValueError, match="are positive, got 0, 6 and 3"):
        verdict(clips, "rsp", num_orders=0)


def test_a_map_on_the_fine_grid_is_compared_with_one_on_it(clips: PairClips) -> None:
    found = verdict(clips.finer(2), "rsp", num_orders=1, num_steps=1, num_random=1)
    assert [check.name for check in found.checks] == ["completeness", "weights", "deletion"]
