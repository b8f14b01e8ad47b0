"""A region of a clip changed, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest

from analysis import PairClips, edit_region, example_views, explain_kind
from analysis.core.clip import View
from analysis.stimuli.edit import edit_pair, explain_edit
from rspnet.names import HEADS, SIDES, Side
from tests.factories import tiny_branch


@pytest.fixture
def region() -> np.ndarray:
    mask = np.zeros((32, 32), bool)
    mask[4:10, 6:20] = True
    return mask


@pytest.mark.parametrize("how", ["freeze", "blur", "mean", "swap", "speed"])
def test_only_the_region_changes(how: str, region: np.ndarray) -> None:
    view, other = example_views(2)
    fast = replace(other, info=replace(view.info, speed=2))
    given = {"swap": other, "speed": fast}.get(how)
    found = edit_region(view, region, how, given)  # type: ignore[arg-type]
    assert (found.frames[:, ~region] == view.frames[:, ~region]).all()
    assert (found.frames[:, region] != view.frames[:, region]).any()
    assert found.info == view.info
    if given is not None:
        assert (found.frames[:, region] == other.frames[:, region]).all()
    if how == "freeze":
        assert (found.frames[:, region] == view.frames[4, region]).all()
    if how == "mean":
        expected = view.frames[:, region].reshape(-1, 3).mean(axis=0).round()
        assert (found.frames[:, region] == expected).all()


def test_mask_that_moves() -> None:
    (view,) = example_views(1)
    mask = np.zeros((8, 32, 32), bool)
    for t in range(8):
        mask[t, t] = True
    found = edit_region(view, mask, "freeze")
    assert all((found.frames[t, t] == view.frames[4, t]).all() for t in range(8))
    assert (found.frames[~mask] == view.frames[~mask]).all()


def test_what_does_not_fit_is_refused(region: np.ndarray) -> None:
    view, other = example_views(2)
    small = View(other.frames[:, :16, :16], other.info)
    for mask, how, given, message in (
        (region[:16], "freeze", None, r"booleans \(8, 32, 32\) or \(32, 32\)"),
        (region.astype(int), "freeze", None, "got int64"),
        (np.zeros_like(region), "freeze", None, "the region is empty"),
        (region, "melt", None, "how is one of freeze, blur, mean, swap, speed, got 'melt'"),
        (region, "swap", None, "give other"),
        (region, "swap", small, "both clips are of one size"),
        (region, "blur", other, "takes no other clip"),
        (region, "speed", other, "same video at another speed"),
    ):
        with pytest.raises(ValueError, match=message):
            edit_region(view, mask, how, given)  # type: ignore[arg-type]


@pytest.mark.parametrize("side", SIDES)
def test_a_pair_with_one_clip_edited(side: Side) -> None:
    branch = tiny_branch(0)
    i, j, k, other = example_views(4)
    fast = View(k.frames, replace(k.info, speed=2))
    before = PairClips.of(branch, branch, i, j, view_k=fast, others=[other])
    before.margin("rsp")  # computed, and not to be kept
    mask = np.zeros((32, 32), bool)
    mask[:16] = True
    after = edit_pair(before, side, mask, "blur")
    edited = edit_region(before.view(side), mask, "blur")
    fresh = [edited, j] if side == "i" else [i, edited]
    wanted = PairClips.of(branch, branch, *fresh, view_k=fast, others=[other])
    for head in HEADS:
        assert after.margin(head)(fresh[0].clip[None]) == wanted.margin(head)(fresh[0].clip[None])
        assert after.negatives[head].clips[0] is before.negatives[head].clips[0]
    found = explain_edit("contribution", before, after, side)
    n = SIDES.index(side)
    for row, (first, second) in found.rows.items():
        assert (first.values == explain_kind("contribution", before).rows[row][n].values).all()
        assert (second.values == explain_kind("contribution", wanted).rows[row][n].values).all()
        assert found.similarity[row] == explain_kind("contribution", wanted).similarity[row]
    assert found.sides == (side, f"{side}, edited")
    assert found.views == (before.view(side), after.view(side))


def test_an_edit_shows_the_other_clip_of_the_pair_or_is_refused() -> None:
    branch = tiny_branch(0)
    i, j = example_views(2)
    clips = PairClips.of(branch, branch, i, j)
    whole = np.ones((32, 32), bool)
    assert (edit_pair(clips, "j", whole, "swap").view_j.frames == i.frames).all()
    still = i.with_frames(np.broadcast_to(i.frames[0], i.frames.shape).copy())
    with pytest.raises(ValueError, match="the edit changes no pixel"):
        edit_pair(PairClips.of(branch, branch, still, j), "i", whole, "freeze")
