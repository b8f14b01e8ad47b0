"""A cosine taken apart into what stands still and what moves."""

import numpy as np
import pytest
import torch

from analysis import PairClips, View, example_views, explain_kind, map_kinds, similarity_ledger
from analysis.core.clip import static_clip
from analysis.core.ledger import PARTS, ledger_of, static_part
from analysis.core.score import extract_features
from rspnet.models import Branch
from rspnet.names import SIDES
from tests.factories import tiny_branch


def z_of(branch: Branch, view: View, head: str) -> torch.Tensor:
    """The embedding before it is scaled to unit length, by the network's own layers."""
    with torch.no_grad():
        return branch.head(head)(branch.features(view.clip[None]).mean((2, 3, 4)))[0].double()


@pytest.mark.parametrize("kind", ["linear", "mlp"])
@pytest.mark.parametrize("head", ["rsp", "avid"])
def test_parts_are_the_four_products_and_sum_to_the_cosine(head: str, kind: str) -> None:
    query, key = tiny_branch(0, head=kind), tiny_branch(1, head=kind)
    c_i, c_j = example_views(2)
    found = similarity_ledger(query, key, head, c_i, c_j)
    z_i, z_j = z_of(query, c_i, head), z_of(key, c_j, head)
    s_i, s_j = z_of(query, static_clip(c_i), head), z_of(key, static_clip(c_j), head)
    lengths = z_i.norm() * z_j.norm()
    wanted = [s_i @ s_j, s_i @ (z_j - s_j), (z_i - s_i) @ s_j, (z_i - s_i) @ (z_j - s_j)]
    assert list(found.parts) == list(PARTS)
    np.testing.assert_allclose(list(found.parts.values()), torch.stack(wanted) / lengths, atol=1e-6)
    assert found.similarity == pytest.approx(float(z_i @ z_j / lengths), abs=1e-6)
    assert found.completeness_error < 1e-6


def test_maps_of_the_parts_sum_to_the_contribution_map() -> None:
    query, key = tiny_branch(0), tiny_branch(1)
    pair = PairClips.of(query, key, *example_views(2))
    whole = explain_kind("contribution", pair).rows["rsp"]
    for side in (0, 1):
        parts = [explain_kind(part, pair).rows["rsp"][side].values for part in PARTS]
        np.testing.assert_allclose(sum(parts), whole[side].values, atol=1e-7)


def test_clips_that_stand_still_have_no_part_of_movement() -> None:
    query, key = tiny_branch(0), tiny_branch(1)
    c_i, c_j = (static_clip(view) for view in example_views(2))
    found = similarity_ledger(query, key, "avid", c_i, c_j)
    assert found.static_static == pytest.approx(found.similarity, abs=1e-6)
    assert (found.static_motion, found.motion_static, found.motion_motion) == (0, 0, 0)
    assert not found.maps["motion_motion"][0].values.any()


def test_what_alone_moves_has_all_of_the_movement() -> None:
    # A network of 1 x 1 x 1 convolutions hardly sees beyond a pixel: only where pixels change can
    # the cells of what movement adds be other than 0.
    query = key = tiny_branch(0)
    for layer in query.encoder.modules():
        if isinstance(layer, torch.nn.Conv3d):
            centre = tuple(n // 2 for n in layer.kernel_size)
            kept = layer.weight.data[(..., *centre)].clone()
            layer.weight.data.zero_()
            layer.weight.data[(..., *centre)] = kept
    c_i, c_j = (static_clip(view) for view in example_views(2))
    frames = c_i.frames.copy()
    frames[:, :8, :8] = np.random.default_rng(1).integers(0, 256, (8, 8, 8, 3))  # half a cell
    moving = static_clip(c_j).with_frames(frames)
    found = similarity_ledger(query, key, "rsp", moving, c_j)
    values = found.maps["motion_static"][0].values
    assert np.abs(values[:, 0, 0]).max() > 1e-6
    values[:, 0, 0] = 0
    assert np.abs(values).max() < 1e-12


def test_static_clip_of_another_size_is_refused() -> None:
    branch = tiny_branch(0)
    clip = extract_features(branch, torch.randn(3, 8, 32, 32))
    larger = extract_features(branch, torch.randn(3, 8, 48, 48))
    with pytest.raises(ValueError, match="one grid"):
        ledger_of("rsp", clip, larger, clip, clip)


def test_parts_are_kinds_of_maps_that_are_made_when_named() -> None:
    kinds = map_kinds()
    assert set(PARTS) <= set(kinds)
    assert not any(kinds[part].by_default for part in PARTS)


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_static_part_of_a_score_is_linear_in_the_clip_at_rest(kind: str) -> None:
    query, key = tiny_branch(0, head=kind), tiny_branch(1, head=kind)
    c_i, c_j, c_k = example_views(3)
    pair = PairClips.of(query, key, c_i, c_j, view_k=c_k)
    parts = pair.ledger("avid").maps
    for side in SIDES:  # of the cosine it is what the ledger says, cell by cell
        held = static_part(pair.similarity("avid", side), pair.features(side), pair.static(side))
        both = (
            ("static_static", "static_motion")
            if side == "i"
            else ("static_static", "motion_static")
        )
        expected = sum(parts[part][side == "j"].values for part in both)
        np.testing.assert_allclose(held, expected, atol=1e-7)
    # Of a margin it sums to (z of the clip at rest) . t over the clip's own length.
    margin = pair.margin("rsp")
    held = static_part(margin, pair.c_i, pair.static("i"))
    z, rest = (z_of(query, view, "rsp") for view in (c_i, static_clip(c_i)))
    assert held.sum() == pytest.approx(float(rest @ margin.target / z.norm()), abs=1e-6)
    longer = extract_features(query, View(np.concatenate([c_i.frames] * 2), c_i.info))
    with pytest.raises(ValueError, match="have one grid"):
        static_part(margin, pair.c_i, longer)
