"""The strip of a retrieval: what each clip adds over time, taken apart as the map is."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis import example_branch, explain_retrieval, to_html
from analysis.figures.viewer.retrieval import still_of_hits
from rspnet.data.video.encode import write_video
from rspnet.retrieval.gallery import Protocol, embed_videos


def strip_in(page: Path) -> dict[str, Any]:
    panels = re.search(r'id="panels">(.*?)</script>', page.read_text())
    assert panels is not None
    strip: dict[str, Any] = json.loads(panels[1])["strip"]
    return strip


def test_the_page_has_a_strip_of_each_clip_whose_lanes_sum_to_what_it_adds(tmp_path: Path) -> None:
    branch = example_branch()
    rng = np.random.default_rng(0)
    videos = [tmp_path / f"{n}.mp4" for n in range(3)]
    for video in videos:
        frames = rng.integers(0, 255, (12, 48, 64, 3)).astype(np.uint8)
        write_video(video, frames, 25.0, preset="ultrafast")
    protocol = Protocol(num_clips=2, num_frames=8, size=32)
    gallery = embed_videos(branch, videos, protocol, progress=False)
    found = explain_retrieval(branch, gallery, videos[0], "rsp", 2)
    still = still_of_hits(branch, found)
    strip = strip_in(to_html(found, tmp_path / "page.html", still=still))
    titles = [clip["title"] for clip in strip["clips"]]
    assert titles == ["Query and no. 1", "Hit no. 1", "Query and no. 2", "Hit no. 2"]
    sides = [maps for hit in found.hits for maps in (hit.query_maps, hit.hit_maps)]
    held = [values for rank in (1, 2) for values in still[rank]]
    for clip, video, part in zip(strip["clips"], sides, held, strict=True):
        (lane,) = clip["lanes"]
        own = max(video.maps, key=lambda one: abs(one.values.sum()))
        np.testing.assert_allclose(lane["total"], own.values.sum(axis=(1, 2)))
        np.testing.assert_allclose(lane["still"], part.sum(axis=(1, 2)))
        assert sum(lane["total"]) == pytest.approx(own.score, abs=1e-6)
        assert clip["indices"] == list(own.clip.frame_indices)
        assert clip["film"].startswith("url(data:image/jpeg")
    # All lie on one axis, as all maps share one colour scale.
    assert len({tuple(lane["range"]) for clip in strip["clips"] for lane in clip["lanes"]}) == 1
    # Of the backbone, which has no static part, the totals stand alone.
    backbone = explain_retrieval(branch, gallery, videos[0], "backbone", 1)
    assert still_of_hits(branch, backbone) == {}
    alone = strip_in(to_html(backbone, tmp_path / "b.html"))
    assert alone["clips"][0]["lanes"][0]["still"] is None
