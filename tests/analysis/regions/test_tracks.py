"""Regions through time, by hand."""

import json
from pathlib import Path

import numpy as np
import pytest

from analysis import ClipInfo, ClipMap, Grid, HeadMaps, PairExplanation
from analysis.core.grid import Box
from analysis.regions.boxes import smallest_set
from analysis.regions.tracks import (
    Link,
    components,
    link_masks,
    save_tracks,
    track_regions,
    tracks_of,
    tracks_of_pair,
)

# Steps of 4 frames whose centres are frames 1.5, 5.5 and 9.5; cells of 10 pixels.
GRID = Grid.even((3, 3, 5), (12, 30, 50))


def mask(*rows: str) -> np.ndarray:
    return np.array([[c == "#" for c in row] for row in rows])


def moving() -> np.ndarray:
    """A bar of two cells that moves right by one cell a step, and a spot in the last step."""
    values = np.full(GRID.cells, -0.5)
    for step in range(3):
        values[step, 1, step : step + 2] = (2.0, 3.0, 2.5)[step]
    values[2, 0, 0] = 1.0
    return values


def test_components_touch_at_edges_not_at_corners() -> None:
    found = components(mask("##.#", "..#.", "#.##"))
    expected = [
        mask("##..", "....", "...."),
        mask("...#", "....", "...."),
        mask("....", "..#.", "..##"),
        mask("....", "....", "#..."),
    ]
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert components(mask("...")) == []
    with pytest.raises(ValueError, match=r"booleans \(H, W\)"):
        components(np.ones((2, 2)))  # type: ignore[arg-type]


def test_components_are_a_partition() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        cells = rng.random((6, 7)) < 0.5
        parts = components(cells)
        total = np.sum([part.astype(int) for part in parts], axis=0)
        np.testing.assert_array_equal(total, cells.astype(int))
        firsts = [int(np.flatnonzero(part)[0]) for part in parts]
        assert firsts == sorted(firsts)


def test_links_take_the_largest_overlap_first_and_each_mask_once() -> None:
    before = [mask("##...."), mask("..##..")]
    after = [mask(".##..."), mask("...#..")]
    # IoU: 0-0 1/3, 1-0 1/3, 1-1 1/2.
    assert link_masks(before, after, 0.1) == {1: 1, 0: 0}
    assert link_masks(before, after, 0.4) == {1: 1}
    assert link_masks(before, after, 0.6) == {}
    # A split: the earlier in reading order of two equals goes on.
    assert link_masks([mask("####")], [mask("#..."), mask("...#")], 0.1) == {0: 0}
    assert link_masks([mask("#...")], [mask(".#..")], 1e-9) == {}


def test_a_moving_bar_is_one_track() -> None:
    main, spot = track_regions(moving(), GRID, share=1.0)
    assert [s.box for s in main.steps] == [Box(0, 1, 2, 2), Box(1, 1, 3, 2), Box(2, 1, 4, 2)]
    assert [s.contribution for s in main.steps] == [4.0, 6.0, 5.0]
    assert (main.contribution, main.share) == (15.0, 15 / 16)
    assert (spot.contribution, spot.share) == (1.0, 1 / 16)
    assert main.peak.step == 1
    assert [s.step for s in spot.steps] == [2]


def test_boxes_move_in_a_straight_line_between_the_centres_of_steps() -> None:
    main, spot = track_regions(moving(), GRID, share=1.0)
    lefts = [box.left for box in main.boxes if box is not None]
    # 0 until frame 1.5, 10 at frame 5.5, 20 from frame 9.5 on: 2.5 pixels a frame between.
    assert lefts == pytest.approx(
        [0, 0, 1.25, 3.75, 6.25, 8.75, 11.25, 13.75, 16.25, 18.75, 20, 20]
    )
    for box in main.boxes:
        assert box is not None
        assert (box.right - box.left, box.top, box.bottom) == pytest.approx((20, 10, 20))
    # The spot has the frames of its own step only.
    assert spot.boxes == (None,) * 8 + (Box(0, 0, 10, 10),) * 4


def test_cells_of_a_network_lie_where_the_grid_says() -> None:
    # As of the shipped model: first centre at frame and pixel 0, stride 4 and 16.
    grid = Grid((4, 3, 3), (16, 48, 48), (4.0, 16.0, 16.0), (0.0, 0.0, 0.0))
    values = np.zeros(grid.cells)
    values[1:3, 1, 1] = 1.0
    (track,) = track_regions(values, grid, share=1.0)
    # Territories: step 1 is frames 2.5 to 6.5, so 3 to 6 (2 is a tie); step 2 is 7 to 10.
    shown = [n for n, box in enumerate(track.boxes) if box is not None]
    assert shown == [n for n in range(16) if grid.cell_of(0)[n] in (1, 2)]
    assert track.boxes[5] == Box(8.5, 8.5, 24.5, 24.5)


def test_little_overlap_starts_a_new_track() -> None:
    bar = track_regions(moving(), GRID, share=1.0, min_iou=0.34)  # neighbours share 1 of 3 cells
    assert [len(track.steps) for track in bar] == [1, 1, 1, 1]
    assert [track.contribution for track in bar] == [6.0, 5.0, 4.0, 1.0]
    assert [t.steps[0].step for t in bar] == [1, 2, 0, 2]


def test_tracks_hold_the_smallest_set_and_each_cell_once() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        values = rng.normal(size=GRID.cells)
        share = float(rng.uniform(0.2, 1.0))
        tracks = track_regions(values, GRID, share=share)
        count = np.zeros(GRID.cells, int)
        for track in tracks:
            steps = [s.step for s in track.steps]
            assert steps == list(range(steps[0], steps[-1] + 1))
            for step in track.steps:
                count[step.step] += step.mask
                assert step.contribution == pytest.approx(values[step.step][step.mask].sum())
        np.testing.assert_array_equal(count, smallest_set(values, share).astype(int))
        assert sum(track.share for track in tracks) >= share - 1e-9
        totals = [track.contribution for track in tracks]
        assert totals == sorted(totals, reverse=True)


def test_more_steps_than_frames_still_gives_every_track_a_box() -> None:
    grid = Grid.even((4, 1, 1), (2, 8, 8))
    for step in range(4):
        values = np.zeros(grid.cells)
        values[step] = 1.0
        (track,) = track_regions(values, grid, share=1.0)
        assert sum(box is not None for box in track.boxes) == 1
        assert track.nearest_box(0.0)[1] == Box(0, 0, 8, 8)


def explanation() -> PairExplanation:
    values = moving()
    other = np.flip(values, axis=(0, 2)).copy()
    return PairExplanation(
        {"rsp": HeadMaps(float(values.sum()), values, other, None, None)},
        GRID,
        GRID,
        ClipInfo("a.mp4", tuple(range(20, 44, 2)), 2),
        ClipInfo("b.mp4", tuple(range(12)), 1),
        "abc",
    )


def test_the_link_joins_the_main_tracks_where_they_contribute_most() -> None:
    found = tracks_of_pair(explanation(), "rsp", share=1.0)
    link = found.link
    assert isinstance(link, Link)
    # Both peak in the middle step, whose centre 5.5 is as near to frame 5 as to 6.
    assert (link.frame_i, link.frame_j) == (5, 5)
    assert link.box_i.left == pytest.approx(8.75)
    assert link.box_j.left == pytest.approx(50 - 20 - 11.25)
    with pytest.raises(ValueError, match=r"head is one of \['rsp'\], got 'avid'"):
        tracks_of_pair(explanation(), "avid")


def test_no_positive_cell_gives_no_track_and_no_link() -> None:
    values = -np.ones(GRID.cells)
    assert track_regions(values, GRID) == ()
    pair = PairExplanation({"rsp": HeadMaps(-45.0, values, moving(), None, None)}, GRID, GRID)
    found = tracks_of_pair(pair, "rsp")
    assert (found.link, found.tracks_i.main, found.tracks_i.boxes(0)) == (None, None, [])
    assert found.to_json()["link"] is None


def test_json_says_rule_grid_frames_and_model(tmp_path: Path) -> None:
    found = tracks_of_pair(explanation(), "rsp", share=1.0)
    plain = json.loads(save_tracks(tmp_path / "pair.json", found).read_text())
    assert (plain["format"], plain["version"]) == ("rspnet-pair-tracks", 1)
    assert plain["link"]["c_i"] == {"frame": 5, "box": pytest.approx([8.75, 10, 28.75, 20])}
    one = plain["c_i"]
    assert (one["share"], one["min_iou"], one["model_hash"], one["head"]) == (
        1.0,
        0.1,
        "abc",
        "rsp",
    )
    assert Grid.from_json(one["grid"]) == GRID
    assert one["clip"]["speed"] == 2
    main = one["tracks"][0]
    assert [f["video_frame"] for f in main["frames"]] == list(range(20, 44, 2))
    assert main["steps"][1] == {
        "step": 1, "cells": [1, 1, 3, 2], "num_cells": 2, "contribution": 6.0,
    }  # fmt: skip
    assert "smallest set" in one["rule"]


def test_map_of_one_clip(tmp_path: Path) -> None:
    values = moving()
    clip_map = ClipMap(values, float(values.sum()), "rsp", "margin", GRID, model_hash="abc")
    found = tracks_of(clip_map, share=0.5, min_iou=0.2)
    assert (found.kind, found.share, found.min_iou) == ("margin", 0.5, 0.2)
    plain = json.loads(save_tracks(tmp_path / "one.json", found).read_text())
    assert plain["format"] == "rspnet-tracks"
    # The clip's frames are not known.
    assert plain["tracks"][0]["frames"][0]["video_frame"] is None
    assert [len(found.boxes(frame)) for frame in (0, 11)] == [
        sum(t.boxes[frame] is not None for t in found.tracks) for frame in (0, 11)
    ]


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match="min_iou is above 0"):
        track_regions(moving(), GRID, min_iou=0.0)
    with pytest.raises(ValueError, match="share is above 0"):
        track_regions(moving(), GRID, share=1.5)
    with pytest.raises(ValueError, match="has the shape"):
        track_regions(moving()[:2], GRID)
