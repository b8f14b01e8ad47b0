"""What a page begins with."""

from pathlib import Path

from dashboard.base.arguments import Arguments
from dashboard.services import galleries
from dashboard.widgets import controls
from rspnet.data.synthetic.videos import draw_factors


def test_a_gallery_may_begin_with_another_video(planted_videos: Path) -> None:
    source = galleries.open_source(galleries.OWN, Arguments(videos=planted_videos))
    first, other = "left/clip_1.mp4", "right/clip_6.mp4"
    # One that is not there, or can't be read, leaves the first.
    for preferred in ("", other, "nowhere.mp4", "short/text.mp4"):
        expected = other if preferred == other else first
        pair = controls.first_pair(source, 16, preferred=preferred)
        assert pair is not None
        assert [clip.video.name for clip in pair] == [expected] * 2
        assert {clip.speed for clip in pair} == {2}


def test_home_begins_with_a_video_of_the_generated_gallery() -> None:
    folder, file = galleries.SYNTHETIC_EXAMPLE.split("/")
    seed, index = (int(word) for word in file.removesuffix(".mp4").split("_")[1:])
    assert seed == galleries.SYNTHETIC_SEED
    assert index < Arguments().num_videos
    assert draw_factors(seed, index).action == folder
