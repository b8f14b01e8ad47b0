"""What both heads see over time: parts that sum to the whole, and axes that are shared."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from analysis.attribution.registry import map_kind
from dashboard.base.arguments import Arguments
from dashboard.overlays import maps, strip, view_model
from dashboard.overlays.options import DisplayOptions
from dashboard.overlays.request import resolve
from dashboard.overlays.selection import Clip, Selection
from dashboard.overlays.view_model import PairView
from dashboard.services import galleries, models
from dashboard.services.models import Loaded
from tests.dashboard.tiny import save_tiny_model, write_tiny_videos


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Selection, Loaded]:
    folder = tmp_path_factory.mktemp("tiny")
    choice = models.describe("tiny", save_tiny_model(folder))
    (folder / "videos").mkdir()
    videos = write_tiny_videos(folder / "videos")
    source = galleries.open_source(galleries.OWN, Arguments(videos=videos))
    clips = []
    for side, start, speed in (("i", 2, 2), ("j", 20, 1)):
        video = source.find("a_long.mp4")
        assert video is not None
        clips.append(Clip(side, video, galleries.probe(video), start, speed, choice.num_frames))
    chosen = Selection(choice, source, clips[0], clips[1], DisplayOptions())
    return chosen, models.load(choice)


def strip_of(
    tiny: tuple[Selection, Loaded], display: DisplayOptions, *, split: bool = True
) -> tuple[dict[str, Any], PairView]:
    chosen, loaded = replace(tiny[0], display=display), tiny[1]
    request = resolve(chosen)
    view = view_model.view_pair(request, display, loaded)
    still = strip.still_of(request, loaded) if split else None
    clips = (chosen.clip_i, chosen.clip_j)
    return strip.strip_of(clips, request, display, view, still), view


@pytest.mark.parametrize("kind", ["contribution", "margin", "margin_faster"])
def test_lanes_sum_to_the_scores_and_have_the_ledgers_parts(
    tiny: tuple[Selection, Loaded], kind: str
) -> None:
    made, view = strip_of(tiny, DisplayOptions(kind))
    assert made["edges"] == [0, 2, 8]  # as the grid's cells are drawn
    assert (made["token"], made["waits"]) == ("split", False)
    for n, clip in enumerate(made["clips"]):
        assert len(clip["indices"]) == 8
        assert clip["film"].startswith("url(data:image/jpeg;base64,")
        for lane in clip["lanes"]:
            found = view.found.rows[lane["head"]][n]
            np.testing.assert_allclose(lane["total"], found.values.sum(axis=(1, 2)))
            assert sum(lane["total"]) == pytest.approx(found.score, abs=1e-6)
            low, high = lane["range"]
            parts = np.array([lane["still"], np.subtract(lane["total"], lane["still"])])
            assert low <= np.minimum(parts, 0).sum(axis=0).min()
            assert high >= np.maximum(parts, 0).sum(axis=0).max()
            assert f"{lane['title']}: " in clip["alt"]
            assert "of what moves" in clip["alt"]
    if kind == "contribution":
        ledger = maps.pair_of(resolve(tiny[0]), tiny[1]).ledger("rsp")
        still = ledger.static_static + ledger.static_motion
        assert sum(made["clips"][0]["lanes"][0]["still"]) == pytest.approx(still, abs=1e-6)


@pytest.mark.parametrize(("kind", "cells"), [("eq2", "smooth"), ("contribution", "fine")])
def test_maps_that_cannot_be_taken_apart_have_the_total_alone(
    tiny: tuple[Selection, Loaded], kind: str, cells: str
) -> None:
    made, view = strip_of(tiny, DisplayOptions(kind, cells=cells))
    assert (made["token"], made["waits"]) == ("whole", False)
    lane = made["clips"][0]["lanes"][0]
    assert lane["still"] is None
    total = np.sum(lane["total"]) if kind == "contribution" else np.mean(lane["total"])
    assert total == pytest.approx(view.score("rsp"), abs=1e-5)
    assert "moves" not in made["clips"][0]["alt"]


def test_until_the_parts_are_there_the_strip_waits(tiny: tuple[Selection, Loaded]) -> None:
    made, _ = strip_of(tiny, DisplayOptions("contribution"), split=False)
    assert (made["token"], made["waits"]) == ("whole", True)
    assert made["clips"][0]["lanes"][0]["still"] is None


def ranges(tiny: tuple[Selection, Loaded], scale: str, kind: str = "contribution") -> list[tuple]:
    made, _ = strip_of(tiny, DisplayOptions(kind, scale=scale))
    return [tuple(lane["range"]) for clip in made["clips"] for lane in clip["lanes"]]


def test_lanes_share_an_axis_as_maps_share_a_scale(tiny: tuple[Selection, Loaded]) -> None:
    assert len(set(ranges(tiny, "shared"))) == 1
    rsp_i, avid_i, rsp_j, avid_j = ranges(tiny, "head")
    assert (rsp_i, avid_i) == (rsp_j, avid_j)
    assert len(set(ranges(tiny, "map"))) == 4
    # c_j's map beside a margin is of another score.
    assert len(set(ranges(tiny, "shared", "margin"))) == 2


def test_the_clips_at_rest_go_through_the_network_once_a_pair(
    tiny: tuple[Selection, Loaded], monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen, loaded = tiny
    strip.still_of.clear()
    maps._pair.clear()
    passes: list[int] = []
    hooks = [
        branch.encoder.register_forward_pre_hook(lambda _m, x: passes.append(len(x[0])))
        for branch in (loaded.query, loaded.key)
    ]
    requests = [
        resolve(replace(chosen, display=DisplayOptions(kind)))
        for kind in ("margin", "margin_faster")
    ]
    maps.maps_of(requests[0], loaded)
    passes.clear()
    assert not strip.is_at_hand(requests[0], loaded)
    strip.still_of(requests[0], loaded)
    assert passes == [1, 1]
    assert strip.is_at_hand(requests[0], loaded)
    strip.still_of.clear()
    strip.still_of(requests[1], loaded)
    assert passes == [1, 1]
    for hook in hooks:
        hook.remove()


def test_steps_of_a_mean_average_to_it() -> None:
    values = np.arange(12.0).reshape(2, 2, 3)
    assert map_kind("eq2").over_time(values) == [2.5, 8.5]
    assert map_kind("contribution").over_time(values) == [15.0, 51.0]
