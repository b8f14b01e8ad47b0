"""What studies of maps evaluate: a triplet a video, and both heads' two target scores of it.

Of each video c_i and c_j have one speed and c_k the other; c_i's speed alternates from video to
video. The *similarity* is the cosine of c_i and c_j. The *margin* is what the head is trained on:
for RSP against c_k, for A-VID against the clips of other videos that are nearest to c_i.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from analysis.core.clip import StoredFrames, View
from analysis.core.score import Kind, Score, hard_negatives
from analysis.stimuli.kinds import TripletFeatures, encode_triplet, triplet_views
from rspnet.data.listing import expand_roots
from rspnet.data.sampling import clip_span, evenly_spaced
from rspnet.data.sources import scan_files
from rspnet.data.synthetic.videos import draw_factors, render_video, video_name
from rspnet.data.transforms import FrameReader
from rspnet.evaluate import eval_triplets
from rspnet.models import Branch
from rspnet.names import HEADS

Views = tuple[View, View, View]
SCORES: tuple[Kind, ...] = ("similarity", "margin")
SPEEDS = (1, 2)
SEED = 9


@dataclass(frozen=True, kw_only=True)
class Triplets:
    """Clips of videos to evaluate.

    Attributes:
        views: c_i, c_j and c_k, a triplet a video.
        what: Which videos these are, in words.
        skipped: Videos that can't be read or are too short, and why.
    """

    views: tuple[Views, ...]
    what: str
    skipped: Mapping[str, str] = field(default_factory=dict)


def _drawn(reader: FrameReader, branch: Branch, number: int, seed: int, name: str) -> Views:
    rng = np.random.default_rng([seed, number])
    drawn = eval_triplets(len(reader), branch.num_frames, SPEEDS, 1, rng)
    return triplet_views(reader, drawn[number % 2], branch.size, name)


def generated_triplets(branch: Branch, num_videos: int, seed: int = SEED) -> Triplets:
    """Triplets of generated videos.

    Args:
        branch: Whose clips' length and size are taken.
        num_videos: At least two: A-VID needs other videos.
        seed: Of the videos and of the clips.

    Raises:
        ValueError: There are fewer than two videos.
    """
    _check_number(num_videos)
    views, span = [], clip_span(branch.num_frames, max(SPEEDS))
    for index in range(num_videos):
        # As long as they are, or as the longer clips of another encoder need.
        length = max(draw_factors(seed, index).num_frames, span)
        frames = render_video(seed, index, num_frames=length).frames
        name = video_name(seed, index)
        views.append(_drawn(StoredFrames(frames), branch, index, seed, name))
    return Triplets(views=tuple(views), what=f"synthetic videos of seed {seed}")


def file_triplets(
    branch: Branch, roots: Sequence[str | Path], num_videos: int, seed: int = SEED
) -> Triplets:
    """Triplets of videos from files, evenly spaced among those that are long enough.

    Args:
        branch: Whose clips' length and size are taken.
        roots: Folders of videos, single videos, or .txt lists of paths.
        num_videos: At most so many, at least two.
        seed: Of the clips.

    Raises:
        ValueError: Nothing is found, or fewer than two videos can be read and are long enough.
    """
    _check_number(num_videos)
    scan = scan_files(expand_roots(roots), clip_span(branch.num_frames, max(SPEEDS)))
    if len(scan.usable) < 2:
        raise ValueError(
            f"{len(scan.usable)} usable videos in {', '.join(map(str, roots))} "
            f"({len(scan.too_short)} are too short, {len(scan.unreadable)} can't be read): "
            "at least two are needed"
        )
    views = []
    for number, source in enumerate(evenly_spaced(scan.usable, num_videos)):
        reader = StoredFrames(source.get_frames(range(source.num_frames)))
        views.append(_drawn(reader, branch, number, seed, str(source.path)))
    skipped = {
        str(path): why.removeprefix(f"{path}: ")
        for path, why in (*scan.unreadable, *scan.too_short)
    }
    what = f"videos of {', '.join(map(str, roots))}"
    return Triplets(views=tuple(views), what=what, skipped=skipped)


def _check_number(num_videos: int) -> None:
    if num_videos < 2:
        raise ValueError(f"A-VID needs other videos: give at least two, got {num_videos}")


def encode_triplets(query: Branch, key: Branch, triplets: Triplets) -> list[TripletFeatures]:
    """Send every triplet through the branches, one forward pass a clip."""
    return [encode_triplet(query, key, views) for views in triplets.views]


def nearest_videos(encoded: Sequence[TripletFeatures], number: int, num: int = 5) -> list[int]:
    """The other videos whose c_j is nearest to a video's c_i by the A-VID head, nearest first.

    Args:
        encoded: All videos.
        number: The one that is evaluated.
        num: At most so many.

    Raises:
        ValueError: There is no other video.
    """
    others = [place for place in range(len(encoded)) if place != number]
    clips = [encoded[place].c_j for place in others]
    return [
        others[n] for n in hard_negatives(encoded[number].c_i, clips, "avid", min(num, len(clips)))
    ]


def scores_of(
    encoded: Sequence[TripletFeatures], number: int, nearest: Sequence[int] | None = None
) -> dict[tuple[str, Kind], Score]:
    """Both heads' similarity and margin of one video's c_i.

    Args:
        encoded: All videos.
        number: The one that is evaluated.
        nearest: The videos that the margin of A-VID is against, if not :func:`nearest_videos`.

    Raises:
        ValueError: There is no other video, or an embedding has length 0.
    """
    own = encoded[number]
    places = nearest_videos(encoded, number) if nearest is None else nearest
    negatives = {"rsp": [own.c_k], "avid": [encoded[place].c_j for place in places]}
    scores: dict[tuple[str, Kind], Score] = {}
    for head in HEADS:
        scores[head, "similarity"] = Score.similarity(own.c_i.branch, head, own.c_j)
        scores[head, "margin"] = Score.margin(own.c_i.branch, head, own.c_j, negatives[head])
    return scores
